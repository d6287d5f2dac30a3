//! What mixing promises: the same batches for any threads, labels alike, errors that name what is
//! wrong.

use std::sync::Arc;

use ndlens_core::{DType, View};
use ndlens_loader::{Batch, Config, DrawnMixing, Error, Field, Loader};
use ndlens_transforms::{ChannelsFirst, Error as TransformsError, Mix, Mixing, Step, ToDtype};

const CLASSES: usize = 5;

fn mix_up() -> Mix {
    Mix::MixUp { num_classes: Some(CLASSES), alpha: 1.0 }
}

fn cut_mix() -> Mix {
    Mix::CutMix { num_classes: Some(CLASSES), alpha: 1.0 }
}

/// Images of 90 x 70 in which every pixel is its image's number, and labels.
fn fields(items: usize) -> Vec<Field> {
    const PIXELS: usize = 90 * 70 * 3;
    let bytes = (0..items * PIXELS).map(|at| (at / PIXELS) as u8).collect();
    let images = View::from_vec(bytes).reshape(&[items as isize, 90, 70, 3]).unwrap();
    let labels: Vec<i64> = (0..items).map(|item| (item % CLASSES) as i64).collect();
    let to_float = ToDtype { dtype: DType::F32, scale: false }.boxed();
    vec![
        Field::new("image", Arc::new(images))
            .with_transforms(vec![to_float, ChannelsFirst::default().boxed()]),
        Field::new("label", Arc::new(View::from_vec(labels))),
    ]
}

fn loader(mixing: &Mixing, num_workers: usize) -> Loader {
    let config = Config {
        batch_size: 8,
        num_workers,
        shuffle: true,
        return_params: true,
        ..Config::default()
    };
    Loader::builder(fields(20), config).unwrap().mixing(mixing.clone()).build().unwrap()
}

fn floats(batch: &Batch, field: usize) -> Vec<f32> {
    batch.views()[field].to_vec().unwrap()
}

#[test]
fn batches_are_the_same_for_any_number_of_threads() {
    for mixing in [
        Mixing::new(mix_up()),
        Mixing::new(cut_mix()),
        Mixing::choice(vec![mix_up(), cut_mix()], Some(vec![1.0, 2.0])),
    ] {
        let made = |num_workers| -> Vec<_> {
            let epoch = loader(&mixing, num_workers).epoch(3).unwrap().map(Result::unwrap);
            epoch
                .map(|b| (floats(&b, 0), floats(&b, 1), b.mixed().map(DrawnMixing::to_json)))
                .collect()
        };
        let expected = made(0);
        assert_eq!(expected.len(), 3);
        for num_workers in [1, 2, 7] {
            assert!(made(num_workers) == expected, "{num_workers} workers, {mixing:?}");
        }
    }
}

#[test]
fn pixels_are_mixed_in_the_proportion_of_their_labels() {
    for batch in loader(&Mixing::new(mix_up()), 2).epoch(0).unwrap() {
        let batch = batch.unwrap();
        let (images, labels) = (floats(&batch, 0), floats(&batch, 1));
        for (image, label) in images.chunks(90 * 70 * 3).zip(labels.chunks(CLASSES)) {
            assert!(image.iter().all(|pixel| pixel.to_bits() == image[0].to_bits()));
            assert!((label.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!(label.iter().filter(|&&share| share > 0.0).count() <= 2);
        }
    }
}

#[test]
fn the_part_of_a_neighbour_is_as_large_as_its_labels_share() {
    for batch in loader(&Mixing::new(cut_mix()), 2).epoch(0).unwrap() {
        let batch = batch.unwrap();
        let mixed: serde_json::Value =
            serde_json::from_str(&batch.mixed().unwrap().to_json()).unwrap();
        let share = mixed["CutMix"]["lam_adjusted"].as_f64().unwrap();
        for image in floats(&batch, 0).chunks(90 * 70 * 3) {
            // The corner may be the neighbour's.
            let own = image.iter().filter(|pixel| pixel.to_bits() == image[0].to_bits()).count()
                as f64
                / image.len() as f64;
            assert!(
                (own - share).abs() < 1e-6 || (1.0 - own - share).abs() < 1e-6,
                "{own} {share}"
            );
        }
    }
}

#[test]
fn what_is_drawn_depends_on_the_place_in_the_order_and_not_on_the_batch_size() {
    let drawn = |batch_size| -> Vec<String> {
        let config = Config { batch_size, return_params: true, ..Config::default() };
        let loader = Loader::builder(fields(20), config)
            .unwrap()
            .mixing(Mixing::new(mix_up()))
            .build()
            .unwrap();
        loader.epoch(0).unwrap().map(|batch| batch.unwrap().mixed().unwrap().to_json()).collect()
    };
    let (twos, fours) = (drawn(2), drawn(4));
    assert!(twos.iter().step_by(2).eq(&fours));
    assert_ne!(twos[0], twos[1]);
}

#[test]
fn invalid_settings_are_named() {
    let message = |mixing: &Mixing| {
        Loader::builder(fields(3), Config::default())
            .unwrap()
            .mixing(mixing.clone())
            .build()
            .unwrap_err()
            .to_string()
    };
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            message(&Mixing::new(Mix::MixUp { num_classes: Some(3), alpha })),
            format!("MixUp: alpha must be a finite number above 0, got {alpha}")
        );
    }
    assert_eq!(
        message(&Mixing::new(Mix::CutMix { num_classes: Some(0), alpha: 1.0 })),
        "CutMix: num_classes must be at least 1, got 0"
    );
    assert_eq!(
        message(&Mixing::new(mix_up()).with_labels(7)),
        "there is no field 7 to mix, there are 2"
    );
}

#[test]
fn a_label_that_is_not_a_class_is_an_error_of_its_item() {
    let labels = View::from_vec(vec![0u16, 4, 5]);
    let rows = View::from_vec(vec![0.0f32; 3]).reshape(&[3, 1]).unwrap();
    let fields = vec![Field::new("label", Arc::new(labels)), Field::new("rows", Arc::new(rows))];
    let config = Config { batch_size: 3, ..Config::default() };
    let loader =
        Loader::builder(fields, config).unwrap().mixing(Mixing::new(mix_up())).build().unwrap();
    let error = loader.epoch(0).unwrap().next().unwrap().unwrap_err();
    let Error::Item { field, item: 2, source } = error else { panic!("{error}") };
    assert_eq!(field, "label");
    let Error::Transforms(source) = *source else { panic!("{source}") };
    assert!(matches!(*source, TransformsError::NoSuchClass { label: 5, classes: CLASSES }));
}
