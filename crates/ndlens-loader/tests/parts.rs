//! Epochs over a part of a data set, and of more or fewer items than there are.

use std::sync::Arc;

use ndlens_core::View;
use ndlens_loader::{
    Batch, Config, Field, ItemNumbers, Loader, LoaderBuilder, Remainder, Sampled, Selection, Shard,
    Shuffler, Weights,
};
use ndlens_transforms::{RandomCrop, Step};

fn numbers(list: &[i64]) -> ItemNumbers {
    ItemNumbers::from_view(&View::from_vec(list.to_vec())).unwrap()
}

fn builder(config: Config) -> LoaderBuilder {
    let images = View::from_vec((0..40 * 36).map(|at| (at * 7 % 251) as u8).collect());
    let image = Field::new("image", Arc::new(images.reshape(&[40, 6, 6, 1]).unwrap()))
        .with_transforms(vec![RandomCrop::new(3, 3).boxed()]);
    let label = Field::new("label", Arc::new(View::from_vec((0..40i64).collect())));
    Loader::builder(vec![image, label], config).unwrap()
}

fn part_of(list: &[i64]) -> Selection {
    Selection::from_view(&View::from_vec(list.to_vec()), 40).unwrap()
}

/// Labels and images, one after another.
fn items(epoch: impl Iterator<Item = ndlens_loader::Result<Batch>>) -> Vec<(i64, Vec<u8>)> {
    let of_batch = |batch: Batch| {
        let labels = batch.views()[1].to_vec::<i64>().unwrap();
        let pixels = batch.views()[0].to_vec::<u8>().unwrap();
        labels.into_iter().zip(pixels.chunks(9).map(<[u8]>::to_vec)).collect::<Vec<_>>()
    };
    epoch.flat_map(|batch| of_batch(batch.unwrap())).collect()
}

const PART: [i64; 9] = [3, 38, 7, 21, 0, 11, 30, 5, 17];

#[test]
fn a_part_is_its_items_in_any_order_with_the_draws_of_those_items() {
    let all = items(builder(Config::default()).build().unwrap().epoch(4).unwrap());
    for config in [
        Config::default(),
        Config { shuffle: true, ..Config::default() },
        Config {
            shuffle: true,
            shuffler: Shuffler::Torch,
            batch_size: 2,
            num_workers: 2,
            ..Config::default()
        },
    ] {
        let part = builder(config).indices(part_of(&PART)).build().unwrap();
        let mut got = items(part.epoch(4).unwrap());
        assert!(got.iter().all(|(label, _)| PART.contains(label)));
        assert_eq!(got.iter().map(|(label, _)| *label).eq(PART), !config.shuffle);
        assert!(got.iter().all(|item| all.contains(item)), "drawn otherwise than in the whole");
        got.sort();
        got.dedup();
        assert_eq!((got.len(), part.len()), (9, 9usize.div_ceil(config.batch_size)));
    }
}

#[test]
fn ranks_weights_and_samplers_take_places_in_a_part() {
    let part = || builder(Config::default()).indices(part_of(&PART));
    let shard = |rank| Shard { rank, world_size: 2, remainder: Remainder::Keep };
    assert_eq!(part().build().unwrap().items_of(shard(1), 0).unwrap(), [38, 21, 11, 5]);
    let mut weights = [0.0; 9];
    weights[1] = 1.0;
    let weighted = part().weights(Weights::new(&weights, true, Some(3)).unwrap()).build().unwrap();
    assert_eq!(weighted.items_of(Shard::default(), 0).unwrap(), [38; 3]);
    let forty = Weights::new(&[1.0; 40], true, None).unwrap();
    assert_eq!(
        part().weights(forty).build().unwrap_err().to_string(),
        "weights must be one for each item: got 40, expected 9"
    );
    let sampled = part().sampler().build().unwrap();
    let epoch = |list: &[i64]| {
        sampled.start_epoch_of(Sampled::Numbers(numbers(list)), Shard::default()).unwrap()
    };
    let labels: Vec<i64> = items(epoch(&[8, 0, 8])).into_iter().map(|(label, _)| label).collect();
    assert_eq!(labels, [17, 3, 17]);
    assert_eq!(
        epoch(&[9]).next().unwrap().unwrap_err().to_string(),
        "the sampler gave item 9 at place 0, but there are 9 items"
    );
}

#[test]
fn a_part_that_is_empty_or_out_of_bounds_is_refused_and_a_state_knows_its_part() {
    let of = |list: &[i64]| builder(Config::default()).indices(part_of(list)).build().unwrap();
    let none = builder(Config::default()).indices(part_of(&[])).build().unwrap_err();
    assert_eq!(none.to_string(), "indices choose no item");
    let more = Selection::range(39, 1, 2, 41).unwrap();
    assert_eq!(
        builder(Config::default()).indices(more).build().unwrap_err().to_string(),
        "index 40 at place 1 is out of bounds for 40 items"
    );
    let (one, other) = (of(&[1, 2, 3]), of(&[1, 2, 4]));
    other.load_state(&other.state()).unwrap();
    let message = other.load_state(&one.state()).unwrap_err().to_string();
    assert!(message.starts_with("this state is of another run: its indices: 3 "), "{message}");
    let whole = builder(Config::default()).build().unwrap();
    let message = whole.load_state(&one.state()).unwrap_err().to_string();
    assert!(message.ends_with("this loader's: all items"), "{message}");
}

#[test]
fn an_epoch_has_the_given_number_of_items() {
    let of = |shuffle, samples| {
        let config = Config { shuffle, batch_size: 16, ..Config::default() };
        builder(config).samples(samples).build().unwrap()
    };
    let labels = |loader: &Loader| -> Vec<i64> {
        items(loader.epoch(1).unwrap()).into_iter().map(|(label, _)| label).collect()
    };
    assert_eq!(labels(&of(false, 50)), (0..40).chain(0..10).collect::<Vec<_>>());
    assert_eq!((of(false, 50).len(), of(true, 5).len()), (4, 1));
    let whole = labels(&of(true, 40));
    assert_eq!(labels(&of(true, 5)), whole[..5]);
    let longer = labels(&of(true, 95));
    assert_eq!(longer[..40], whole);
    let mut second = longer[40..80].to_vec();
    assert_ne!(second, whole);
    second.sort_unstable();
    assert_eq!(second, (0..40).collect::<Vec<_>>());
    // An item that occurs again has new random draws.
    let all = items(of(true, 80).epoch(0).unwrap());
    let again = all[40..].iter().filter(|item| all[..40].contains(item)).count();
    assert!(again < 20, "{again} of 40 came again as they were");
    let many = of(true, 200);
    assert_eq!(items(many.epoch(0).unwrap()).len(), 200);
}
