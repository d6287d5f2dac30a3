//! What a loader promises to runs of many ranks: together they take what one would, and any number
//! of them goes on from where others stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndlens_core::{DType, View};
use ndlens_loader::{
    Batch, Config, Error, Field, ItemNumbers, Loader, Remainder, Sampled, Shard, State,
};
use ndlens_transforms::{RandomCrop, RandomHorizontalFlip, Step, ToDtype};

const ITEMS: usize = 103;

fn images() -> View {
    let bytes = (0..ITEMS * 6 * 6 * 3).map(|at| (at * 7 % 251) as u8).collect();
    View::from_vec(bytes).reshape(&[ITEMS as isize, 6, 6, 3]).unwrap()
}

fn loader(rank: usize, world_size: usize, remainder: Remainder, num_workers: usize) -> Loader {
    let image = Field::new("image", Arc::new(images())).with_transforms(vec![
        RandomCrop::new(4, 4).boxed(),
        RandomHorizontalFlip { p: 0.5 }.boxed(),
        ToDtype { dtype: DType::F32, scale: true }.boxed(),
    ]);
    let label = Field::new("label", Arc::new(View::from_vec((0..ITEMS as i64).collect())));
    let shard = Shard { rank, world_size, remainder };
    let config =
        Config { batch_size: 4, shuffle: true, seed: 5, num_workers, shard, ..Config::default() };
    Loader::new(vec![image, label], config).unwrap()
}

fn numbers(list: &[i64]) -> Sampled {
    Sampled::Numbers(ItemNumbers::from_view(&View::from_vec(list.to_vec())).unwrap())
}

/// Each item of a batch: its label, and the bits of its image.
fn items(batch: &Batch) -> Vec<(i64, Vec<u32>)> {
    let labels = batch.views()[1].to_vec::<i64>().unwrap();
    let pixels = batch.views()[0].to_vec::<f32>().unwrap();
    let of_one = pixels.len() / labels.len();
    labels
        .into_iter()
        .zip(pixels.chunks(of_one).map(|image| image.iter().map(|x| x.to_bits()).collect()))
        .collect()
}

fn epoch(loader: &Loader) -> Vec<(i64, Vec<u32>)> {
    loader.start_epoch().unwrap().flat_map(|batch| items(&batch.unwrap())).collect()
}

#[test]
fn ranks_together_make_what_one_makes_bit_by_bit() {
    let alone: BTreeMap<_, _> = epoch(&loader(0, 1, Remainder::Keep, 0)).into_iter().collect();
    assert_eq!(alone.len(), ITEMS);
    for world_size in [2, 3, 8] {
        let shares: Vec<_> = (0..world_size)
            .map(|rank| epoch(&loader(rank, world_size, Remainder::Keep, rank % 3)))
            .collect();
        assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), ITEMS);
        let together: BTreeMap<_, _> = shares.into_iter().flatten().collect();
        assert_eq!(together, alone, "{world_size} ranks");
    }
}

#[test]
fn padded_and_dropping_ranks_have_equally_many_batches() {
    for (remainder, items) in [(Remainder::Pad, 13usize), (Remainder::Drop, 12)] {
        for rank in 0..8 {
            let loader = loader(rank, 8, remainder, 2);
            assert_eq!(loader.len(), items.div_ceil(4));
            assert_eq!(epoch(&loader).len(), items);
            assert_eq!(loader.items_of(loader.config().shard, 0).unwrap().len(), items);
        }
    }
}

#[test]
fn a_run_goes_on_with_other_ranks_and_nothing_is_lost_or_doubled() {
    let mut seen = vec![];
    let mut state: Option<State> = None;
    for (world_size, batches) in [(8, 2), (4, 1), (6, usize::MAX)] {
        let mut states = vec![];
        for rank in 0..world_size {
            let loader = loader(rank, world_size, Remainder::Keep, rank % 2 * 2);
            if let Some(state) = &state {
                loader.load_state(state).unwrap();
            }
            let mut epoch = loader.start_epoch().unwrap();
            for batch in epoch.by_ref().take(batches) {
                seen.extend(items(&batch.unwrap()));
            }
            states.push(loader.state());
        }
        // Ranks that are in step write the same state.
        assert!(states.iter().all(|other| *other == states[0]), "{states:?}");
        state = states.pop();
    }
    let alone: BTreeMap<_, _> = epoch(&loader(0, 1, Remainder::Keep, 0)).into_iter().collect();
    assert_eq!(seen.len(), ITEMS);
    assert_eq!(seen.into_iter().collect::<BTreeMap<_, _>>(), alone);
    assert_eq!(state.map(|state| (state.epoch, state.start)), Some((1, 0)));
}

#[test]
fn a_state_counts_batches_handed_out_not_batches_made() {
    let loader = loader(0, 1, Remainder::Pad, 2);
    let mut epoch = loader.start_epoch().unwrap();
    assert_eq!((loader.state().epoch, loader.state().start), (0, 0));
    epoch.next().unwrap().unwrap();
    assert_eq!((loader.state().epoch, loader.state().start), (0, 4));
    let older = epoch;
    let mut epoch = loader.start_epoch().unwrap();
    assert_eq!((loader.state().epoch, loader.state().start), (1, 0));
    // The epoch begun last is the one in hand.
    older.for_each(|batch| drop(batch.unwrap()));
    assert_eq!((loader.state().epoch, loader.state().start), (1, 0));
    epoch.by_ref().for_each(|batch| drop(batch.unwrap()));
    assert_eq!((loader.state().epoch, loader.state().start), (2, 0));
}

#[test]
fn setting_the_epoch_that_is_to_be_resumed_still_resumes_it() {
    let loader = loader(0, 1, Remainder::Pad, 0);
    let state = State { epoch: 3, start: 100, ..loader.state() };
    loader.load_state(&state).unwrap();
    loader.set_epoch(3);
    assert_eq!(epoch(&loader).len(), 3);
    loader.load_state(&state).unwrap();
    loader.set_epoch(4);
    assert_eq!(epoch(&loader).len(), ITEMS);
}

#[test]
fn a_state_of_another_run_is_refused_with_the_reason() {
    let loader = loader(0, 1, Remainder::Pad, 0);
    let state = loader.state();
    let refused = |change: &dyn Fn(&mut State)| {
        let mut state = state.clone();
        change(&mut state);
        loader.load_state(&state).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|state| state.basis.items = 7),
        "this state is of another run: its items: 7; this loader's: 103"
    );
    assert_eq!(
        refused(&|state| state.basis.seed = 6),
        "this state is of another run: its seed: 6; this loader's: 5"
    );
    assert_eq!(
        refused(&|state| state.basis.fields = vec!["x uint8 []".to_owned()]),
        "this state is of another run: its fields: x uint8 []; this loader's: image uint8 [6, 6, \
         3], label int64 []"
    );
    assert_eq!(
        refused(&|state| state.start = 104),
        "this state says that 104 of 103 items are done"
    );
}

#[test]
fn a_list_of_items_is_an_order_and_one_that_is_not_there_is_named() {
    let loader = loader(0, 1, Remainder::Pad, 2);
    let labels: Vec<_> = loader
        .start_epoch_of(numbers(&[5, 5, 102, 0, 9]), Shard::default())
        .unwrap()
        .flat_map(|batch| batch.unwrap().views()[1].to_vec::<i64>().unwrap())
        .collect();
    assert_eq!(labels, [5, 5, 102, 0, 9]);
    for (list, text) in [
        (&[0, 103], "the sampler gave item 103 at place 1, but there are 103 items"),
        (&[0, -1], "the sampler gave item -1 at place 1, but there are 103 items"),
    ] {
        let error = loader
            .start_epoch_of(numbers(list), Shard::default())
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, Error::NoSuchItem { .. }));
        assert_eq!(error.to_string(), text);
    }
}
