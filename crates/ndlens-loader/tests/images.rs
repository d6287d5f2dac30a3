//! Encoded images as a field: what is read and asked for, and what is left out of a batch.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ndlens_core::View;
use ndlens_loader::{
    Config, EncodedImages, Error, Field, ImageBytes, ImageFiles, ImageOptions, Images, Loader,
    OnError, Ragged, Result, Sampled, Sampling, Selection, Shapes, Shard, Source, Subset,
};
use ndlens_transforms::{CenterCrop, Step};

/// A grey image of 1 x 2 pixels, 7 and 9: PNG.
const PNG: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 2, 0, 0, 0, 1, 8, 0, 0,
    0, 0, 209, 73, 32, 86, 0, 0, 0, 11, 73, 68, 65, 84, 120, 156, 99, 96, 231, 4, 0, 0, 26, 0, 17,
    96, 205, 36, 146, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];

/// What was done to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Asked(usize),
    Read(usize),
}

/// Images in files that note what is done; those whose number ends in 3 are damaged.
#[derive(Debug)]
struct Noted {
    len: usize,
    done: Mutex<Vec<Done>>,
}

impl Noted {
    fn take(&self) -> Vec<Done> {
        std::mem::take(&mut self.done.lock().unwrap())
    }
}

impl EncodedImages for Noted {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, index: usize, bytes: &mut Vec<u8>) -> Result<()> {
        self.done.lock().unwrap().push(Done::Read(index));
        bytes.clear();
        bytes.extend_from_slice(if index % 10 == 3 { &PNG[..20] } else { PNG });
        Ok(())
    }

    fn name(&self, index: usize) -> Option<String> {
        Some(format!("{index}.png"))
    }

    fn prefetch(&self, index: usize) {
        self.done.lock().unwrap().push(Done::Asked(index));
    }

    fn is_in_files(&self) -> bool {
        true
    }
}

fn images(len: usize) -> (Arc<Noted>, Arc<Images>) {
    let noted = Arc::new(Noted { len, done: Mutex::default() });
    let source: Arc<dyn EncodedImages> = Arc::<Noted>::clone(&noted);
    (noted, Arc::new(Images::new(source, ImageOptions::default()).unwrap()))
}

fn loader(images: Arc<dyn Source>, config: Config) -> Loader {
    let numbers = View::from_vec((0..images.len() as i64).collect());
    let field = Field::new("image", images).with_transforms(vec![CenterCrop::new(1, 1).boxed()]);
    Loader::new(vec![field, Field::new("number", Arc::new(numbers))], config).unwrap()
}

fn skipping(batch_size: usize, num_workers: usize) -> Config {
    let on_error = OnError::Skip;
    Config { batch_size, num_workers, on_error, shuffle: true, seed: 5, ..Config::default() }
}

#[test]
fn each_file_is_asked_for_once_and_before_it_is_read() {
    let (noted, images) = images(200);
    for num_workers in [0, 3] {
        for batch_size in [1, 7, 100] {
            let config = Config { on_error: OnError::Skip, ..skipping(batch_size, num_workers) };
            let loader = loader(Arc::<Images>::clone(&images), config);
            // A batch of one damaged image alone is an error.
            let made = loader.epoch(0).unwrap().take_while(Result::is_ok).count();
            let done = noted.take();
            let asked: Vec<_> = done
                .iter()
                .filter_map(|done| if let Done::Asked(item) = done { Some(*item) } else { None })
                .collect();
            let distinct: BTreeSet<_> = asked.iter().collect();
            assert_eq!(distinct.len(), asked.len(), "{num_workers} {batch_size}");
            if batch_size > 1 {
                assert_eq!(made, 200usize.div_ceil(batch_size));
                // All but the one that is read at once.
                assert_eq!(asked.len(), 199);
            }
            if num_workers == 0 {
                for (at, read) in done.iter().enumerate() {
                    if let Done::Read(item) = read
                        && *item != loader.order(0).unwrap().at(0)
                    {
                        assert!(done[..at].contains(&Done::Asked(*item)), "{item}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_files_of_a_sampler_are_asked_for_as_far_as_they_are_known() {
    let (noted, images) = images(20);
    let config = Config { shuffle: false, ..skipping(4, 0) };
    let loader = Loader::builder(
        vec![Field::new("image", images).with_transforms(vec![CenterCrop::new(1, 1).boxed()])],
        config,
    );
    let loader = loader.unwrap().sampler().build().unwrap();
    let sampling = Sampled::Read(Sampling { expected: Some(8), ..Sampling::default() });
    let mut epoch = loader.start_epoch_of(sampling, Shard::default()).unwrap();
    let mut numbers = [9, 8, 7, 6, 5, 4, 2, 1].into_iter();
    while epoch.to_read() > 0 {
        let count = epoch.to_read();
        let some: Vec<i64> = numbers.by_ref().take(count).collect();
        if some.len() < count {
            epoch.add(&some, None).unwrap();
            epoch.end_sampler(None).unwrap();
        } else {
            epoch.add(&some, None).unwrap();
        }
    }
    assert!(epoch.next().unwrap().is_ok());
    let done = noted.take();
    assert_eq!(done[..3], [8, 7, 6].map(Done::Asked));
}

#[test]
fn damaged_images_are_left_out_in_all_fields_whatever_the_threads_do() {
    let (_, images) = images(200);
    let order = loader(Arc::<Images>::clone(&images), skipping(16, 0)).order(0).unwrap();
    for num_workers in [0, 1, 3] {
        let loader = loader(Arc::<Images>::clone(&images), skipping(16, num_workers));
        let mut epoch = loader.start_epoch().unwrap();
        let batches: Vec<_> = epoch.by_ref().collect::<Result<_>>().unwrap();
        assert_eq!(batches.len(), loader.len());
        for (number, batch) in batches.iter().enumerate() {
            let places = number * 16..(number * 16 + 16).min(200);
            let kept: Vec<_> =
                places.map(|place| order.at(place) as i64).filter(|item| item % 10 != 3).collect();
            assert_eq!(batch.views()[1].to_vec::<i64>().unwrap(), kept);
            assert_eq!(batch.views()[0].shape(), [kept.len(), 1, 1, 3]);
            assert!(batch.views()[0].to_vec::<u8>().unwrap().iter().all(|&pixel| pixel == 7));
        }
        let damaged: Vec<_> =
            (0..200).map(|place| order.at(place)).filter(|item| item % 10 == 3).collect();
        let skipped = loader.skipped();
        assert_eq!(skipped, epoch.skipped());
        assert_eq!(skipped.count, 20);
        let items: Vec<_> = skipped.first.iter().map(|skipped| skipped.item).collect();
        assert_eq!(items, damaged);
        let first = &skipped.first[0];
        assert_eq!(first.name, Some(format!("{}.png", damaged[0])));
        assert_eq!(
            first.error,
            format!(
                "field \"image\", item {0}: {0}.png: the PNG image is truncated after 20 bytes",
                damaged[0]
            )
        );
    }
}

#[test]
fn a_subset_of_images_reads_its_own() {
    let (noted, images) = images(50);
    let chosen = Selection::from_view(&View::from_vec(vec![7i64, -1, 0]), 50).unwrap();
    let part = Subset::new(images, chosen).unwrap();
    assert_eq!(part.item_shape().unwrap().to_string(), "[?, ?, 3]");
    assert_eq!(noted.take(), []);
    let config = Config { batch_size: 3, ..Config::default() };
    let loader = loader(Arc::new(part), config);
    loader.epoch(0).unwrap().next().unwrap().unwrap();
    let read = noted.take().into_iter().filter(|done| matches!(done, Done::Read(_)));
    assert_eq!(read.collect::<Vec<_>>(), [7, 49, 0].map(Done::Read));
}

#[test]
fn bytes_in_memory_are_copied_and_decoded() {
    let mut shapes = Shapes::default();
    let bytes: Vec<u8> = [PNG, PNG].concat();
    (0..2).for_each(|_| shapes.push(&[PNG.len()]).unwrap());
    let items = Ragged::packed(View::from_vec(bytes), None, shapes).unwrap();
    let source = Arc::new(ImageBytes::new(Arc::new(items)).unwrap());
    let images = Images::new(source, ImageOptions::default()).unwrap();
    assert_eq!(images.decode(1).unwrap().to_vec::<u8>().unwrap(), [7, 7, 7, 9, 9, 9]);
    let floats = Arc::new(View::from_vec(vec![0f32; 4]));
    assert!(matches!(ImageBytes::new(floats), Err(Error::NotBytes { .. })));
}

#[test]
fn paths_are_joined_and_cut_apart_again() {
    let files = ImageFiles::new(["a/1.jpg", "", "b"]).unwrap();
    let again = ImageFiles::of_joined(&files.joined().unwrap()).unwrap();
    let paths = |files: &ImageFiles| (0..3).map(|at| files.name(at).unwrap()).collect::<Vec<_>>();
    assert_eq!(paths(&again), paths(&files));
    assert_eq!(again.len(), 3);
    assert_eq!(files.fingerprint(), ImageFiles::new(["c/1.jpg", "", "b"]).unwrap().fingerprint());
    assert_ne!(files.fingerprint(), ImageFiles::new(["a/1.jpgb", "", ""]).unwrap().fingerprint());
    let error = ImageFiles::new(["a\0b"]).unwrap_err().to_string();
    assert_eq!(error, "no path has a null byte, got \"a\\0b\"");
}
