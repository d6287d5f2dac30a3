//! The guarantees of a loader with any number of threads: the same batches, errors at their place,
//! clean ends, bounded memory.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ndlens_core::{DType, View, ViewRef};
use ndlens_loader::{
    Batch, Config, Epoch, Error, Field, Loader, Permutation, PoolUse, Progress, Source,
};
use ndlens_transforms::{
    ChannelsFirst, ItemShape, Normalize, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip,
    Step, ToDtype,
};
use proptest::prelude::*;

const WORKERS: [usize; 4] = [0, 1, 2, 7];

/// As much as the engine's largest chunk: each item is a chunk of its own, and a batch is the work
/// of many threads.
const BIG_ITEM: usize = 1 << 20;

/// Rows of a view, with something done before each is given.
struct Scripted<F> {
    rows: View,
    before: F,
}

impl<F: Fn(usize) -> ndlens_core::Result<()> + Send + Sync> Source for Scripted<F> {
    fn len(&self) -> usize {
        self.rows.shape()[0]
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        self.rows.item_shape()
    }

    fn dtype(&self) -> &DType {
        self.rows.dtype()
    }

    fn is_complete(&self) -> bool {
        true
    }

    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        (self.before)(index)?;
        self.rows.item(index)
    }
}

fn scripted<F>(items: usize, item_bytes: usize, before: F) -> Arc<Scripted<F>>
where
    F: Fn(usize) -> ndlens_core::Result<()> + Send + Sync,
{
    Arc::new(Scripted { rows: numbered(items, item_bytes), before })
}

/// Rows of bytes, each different from its neighbours.
fn numbered(items: usize, item_bytes: usize) -> View {
    let bytes =
        (0..items * item_bytes).map(|at| (at / item_bytes * 31 + at % item_bytes) as u8).collect();
    View::from_vec(bytes).reshape(&[items as isize, item_bytes as isize]).unwrap()
}

fn failure(index: usize) -> ndlens_core::Error {
    ndlens_core::Error::Unavailable {
        path: format!("item-{index}"),
        message: "on strike".to_owned(),
    }
}

fn config(batch_size: usize, num_workers: usize) -> Config {
    Config { batch_size, num_workers, ..Config::default() }
}

fn bytes(batch: &Batch) -> Vec<Vec<u8>> {
    batch
        .views()
        .iter()
        .map(|view| view.copy(ndlens_core::Order::C).unwrap().to_vec::<u8>().unwrap())
        .collect()
}

/// Waits until `done` says so; ten seconds are for a busy machine.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_error_comes_when_its_batch_is_due_and_ends_the_epoch() {
    for num_workers in WORKERS {
        for item_bytes in [1, BIG_ITEM] {
            for bad in [0, 7, 9, 22] {
                let source = scripted(23, item_bytes, move |index| {
                    if index == bad { Err(failure(index)) } else { Ok(()) }
                });
                let loader =
                    Loader::new(vec![Field::new("rows", source)], config(5, num_workers)).unwrap();
                let mut epoch = loader.epoch(0).unwrap();
                for batch in 0..bad / 5 {
                    assert_eq!(epoch.remaining(), Some(5 - batch));
                    let rows = epoch.next().unwrap().unwrap();
                    assert_eq!(
                        bytes(&rows)[0].len(),
                        5 * item_bytes,
                        "{num_workers} workers, batch {batch}"
                    );
                    assert_eq!(bytes(&rows)[0][0], (batch * 5 * 31) as u8);
                }
                let error = epoch.next().unwrap().unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("field \"rows\", item {bad}: item-{bad}: on strike"),
                    "{num_workers} workers"
                );
                assert!(
                    epoch.next().is_none(),
                    "{num_workers} workers: an epoch goes on after its error"
                );
                assert!(matches!(epoch.next_within(Duration::ZERO), Progress::Finished));
            }
        }
    }
}

#[test]
fn nothing_remains_of_an_epoch_that_an_error_ended() {
    for num_workers in WORKERS {
        let source = scripted(20, 1, |index| if index == 6 { Err(failure(index)) } else { Ok(()) });
        let loader = Loader::new(vec![Field::new("rows", source)], config(5, num_workers)).unwrap();
        let mut epoch = loader.epoch(0).unwrap();
        assert!(epoch.next().unwrap().is_ok());
        assert_eq!(epoch.remaining(), Some(3));
        assert!(epoch.next().unwrap().is_err());
        assert_eq!(epoch.remaining(), Some(0), "{num_workers} workers");
    }
}

#[test]
fn a_loader_starts_a_new_epoch_after_one_that_failed() {
    for num_workers in WORKERS {
        let failures = AtomicUsize::new(1);
        let source = scripted(12, 3, move |index| {
            let fails = index == 4
                && failures
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    .is_ok();
            if fails { Err(failure(index)) } else { Ok(()) }
        });
        let loader = Loader::new(vec![Field::new("rows", source)], config(4, num_workers)).unwrap();
        assert_eq!(loader.epoch(0).unwrap().filter(Result::is_err).count(), 1);
        let batches: Vec<_> = loader.epoch(0).unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.len(), 3);
        drop(batches);
        assert_eq!(loader.pool_use().leased, 0, "a batch that failed gives its memory back");
    }
}

#[test]
fn several_errors_in_a_batch_give_that_of_the_first_item() {
    for num_workers in WORKERS {
        for item_bytes in [1, BIG_ITEM] {
            let source = scripted(10, item_bytes, |index| match index {
                // The first item fails last.
                3 => {
                    thread::sleep(Duration::from_millis(20));
                    Err(failure(index))
                }
                4 | 7 | 9 => Err(failure(index)),
                _ => Ok(()),
            });
            let loader =
                Loader::new(vec![Field::new("rows", source)], config(10, num_workers)).unwrap();
            let error = loader.epoch(0).unwrap().next().unwrap().unwrap_err();
            assert_eq!(
                error.to_string(),
                "field \"rows\", item 3: item-3: on strike",
                "{num_workers} workers"
            );
        }
    }
}

#[test]
fn several_fields_that_fail_give_the_error_of_the_first_item() {
    for num_workers in WORKERS {
        for item_bytes in [1, BIG_ITEM] {
            let failing =
                |bad: usize| {
                    scripted(10, item_bytes, move |index| {
                        if index == bad { Err(failure(index)) } else { Ok(()) }
                    })
                };
            let fields = vec![Field::new("late", failing(7)), Field::new("early", failing(2))];
            let loader = Loader::new(fields, config(10, num_workers)).unwrap();
            let error = loader.epoch(0).unwrap().next().unwrap().unwrap_err();
            assert_eq!(
                error.to_string(),
                "field \"early\", item 2: item-2: on strike",
                "{num_workers} workers, items of {item_bytes} bytes"
            );
        }
    }
}

#[test]
fn in_a_shuffled_batch_the_first_item_is_the_one_that_comes_first() {
    let order = Permutation::new(3, 1, 10);
    let expected =
        (0..10).map(|place| order.at(place)).find(|item| [2, 5, 8].contains(item)).unwrap();
    for num_workers in WORKERS {
        let source = scripted(10, BIG_ITEM, |index| {
            if [2, 5, 8].contains(&index) { Err(failure(index)) } else { Ok(()) }
        });
        let config = Config { shuffle: true, seed: 3, ..config(10, num_workers) };
        let loader = Loader::new(vec![Field::new("rows", source)], config).unwrap();
        let error = loader.epoch(1).unwrap().next().unwrap().unwrap_err();
        let Error::Item { field, item, .. } = error else { panic!("{error}") };
        assert_eq!((field.as_str(), item as u64), ("rows", expected), "{num_workers} workers");
    }
}

/// Runs an epoch over a source that panics at item 7 of batches of 5.
fn panicking(num_workers: usize, item_bytes: usize) {
    let source = scripted(20, item_bytes, |index| {
        assert!(index != 7, "item {index} bit me");
        Ok(())
    });
    let loader = Loader::new(vec![Field::new("rows", source)], config(5, num_workers)).unwrap();
    let mut epoch = loader.epoch(0).unwrap();
    assert!(epoch.next().unwrap().is_ok());
    let error = epoch.next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "making batch 1 panicked: item 7 bit me",
        "{num_workers} workers"
    );
    assert!(epoch.next().is_none());
    drop(epoch);
    assert_eq!(loader.pool_use().leased, 0);
}

#[test]
fn a_panic_in_a_worker_is_an_error_of_its_batch() {
    for num_workers in [1, 2, 7] {
        for item_bytes in [1, BIG_ITEM] {
            panicking(num_workers, item_bytes);
        }
    }
}

#[test]
fn a_panic_without_workers_is_an_error_of_its_batch_too() {
    panicking(0, 1);
}

/// A door that is shut until it is opened, and counts the threads that wait at it.
#[derive(Default)]
struct Door {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Door {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.opened.wait(open).unwrap();
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn shut(&self) {
        *self.open.lock().unwrap() = false;
    }
}

#[test]
fn an_epoch_dropped_while_workers_work_waits_for_the_items_in_hand_and_no_others() {
    for num_workers in [1, 2, 7] {
        let (door, asked) = (Arc::new(Door::default()), Arc::new(AtomicUsize::new(0)));
        let (its_door, its_asked) = (Arc::clone(&door), Arc::clone(&asked));
        let source = scripted(100, BIG_ITEM, move |_| {
            its_asked.fetch_add(1, Ordering::SeqCst);
            its_door.pass();
            Ok(())
        });
        let loader =
            Loader::new(vec![Field::new("rows", source)], config(50, num_workers)).unwrap();
        let mut epoch = loader.epoch(0).unwrap();
        eventually("all workers work", || door.waiting.load(Ordering::SeqCst) == num_workers);
        // A consumer that waited would help, and wait at the door too.
        assert!(matches!(epoch.next_within(Duration::ZERO), Progress::Pending));

        let (says_dropped, dropped) = channel();
        let dropping = thread::spawn(move || {
            drop(epoch);
            says_dropped.send(()).unwrap();
        });
        assert!(
            dropped.recv_timeout(Duration::from_millis(50)).is_err(),
            "{num_workers} workers: an epoch was gone before its threads"
        );
        door.open();
        dropped
            .recv_timeout(Duration::from_secs(10))
            .expect("the drop ends once the items in hand are done");
        dropping.join().unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), num_workers, "an item was begun after the end");
        assert_eq!(loader.pool_use().leased, 0, "a batch that nobody took gives its memory back");
        // The threads are gone, and with them their hold on the door.
        drop(loader);
        assert_eq!(Arc::strong_count(&door), 1, "{num_workers} workers");
    }
}

#[test]
fn no_more_than_prefetch_factor_batches_are_begun_ahead() {
    const BATCH: usize = 4;
    for (num_workers, prefetch_factor) in [(1, 1), (1, 3), (2, 2), (7, 1), (7, 5)] {
        // How many batches may have been begun, and how many were.
        let (allowed, begun) =
            (Arc::new(AtomicUsize::new(prefetch_factor)), Arc::new(AtomicUsize::new(0)));
        let excess = Arc::new(AtomicUsize::new(0));
        let seen = (Arc::clone(&allowed), Arc::clone(&begun), Arc::clone(&excess));
        let source = scripted(80, 8, move |index| {
            let (allowed, begun, excess) = &seen;
            let number = index / BATCH + 1;
            begun.fetch_max(number, Ordering::SeqCst);
            excess
                .fetch_max(number.saturating_sub(allowed.load(Ordering::SeqCst)), Ordering::SeqCst);
            Ok(())
        });
        let config = Config { prefetch_factor, ..config(BATCH, num_workers) };
        let loader = Loader::new(vec![Field::new("rows", source)], config).unwrap();
        let mut epoch = loader.epoch(0).unwrap();
        let mut held = vec![];
        for taken in 0..20 {
            let full = (taken + prefetch_factor).min(20);
            eventually("the window is full", || begun.load(Ordering::SeqCst) == full);
            if taken % 5 == 0 {
                thread::sleep(Duration::from_millis(3));
                assert_eq!(begun.load(Ordering::SeqCst), full);
            }
            // Taking a batch makes room for one, which may be begun before it is handed out.
            allowed.fetch_add(1, Ordering::SeqCst);
            held.push(epoch.next().unwrap().unwrap());
        }
        assert!(epoch.next().is_none());
        assert_eq!(
            excess.load(Ordering::SeqCst),
            0,
            "{num_workers} workers, prefetch {prefetch_factor}"
        );
        assert_eq!(loader.pool_use().slabs, 20);
    }
}

#[test]
fn no_batch_that_needs_new_memory_begins_beside_the_first() {
    for num_workers in [2, 7] {
        let door = Arc::new(Door::default());
        let its_door = Arc::clone(&door);
        let source = scripted(8, BIG_ITEM, move |index| {
            if index == 0 {
                its_door.pass();
            }
            Ok(())
        });
        let loader = Loader::new(vec![Field::new("rows", source)], config(1, num_workers)).unwrap();

        let epoch = loader.epoch(0).unwrap();
        eventually("the first batch is begun", || door.waiting.load(Ordering::SeqCst) == 1);
        thread::sleep(Duration::from_millis(3));
        assert_eq!(loader.pool_use().slabs, 1, "{num_workers} workers");
        door.open();
        eventually("the window is full, though nothing is taken", || loader.pool_use().slabs == 2);
        drop(epoch);

        door.shut();
        let epoch = loader.epoch(1).unwrap();
        eventually("memory that is there is used", || loader.pool_use().leased == 2);
        door.open();
        drop(epoch);
    }
}

#[test]
fn without_workers_nothing_is_made_before_it_is_asked_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let source = scripted(10, 8, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let config = Config { prefetch_factor: 5, ..config(4, 0) };
    let loader = Loader::new(vec![Field::new("rows", source)], config).unwrap();
    let mut epoch = loader.epoch(0).unwrap();
    for expected in [4, 8, 10] {
        assert!(epoch.next().unwrap().is_ok());
        assert_eq!(asked.load(Ordering::SeqCst), expected);
    }
    assert!(epoch.next().is_none());
}

/// A loader of one batch, each of whose items waits until `threads` are being made: fewer threads
/// would wait for ever.
fn waiting_for_each_other(threads: usize, num_workers: usize) -> Loader {
    let making = (Mutex::new(0usize), Condvar::new());
    let source = scripted(threads, BIG_ITEM, move |_| {
        let (count, more) = &making;
        let mut count = count.lock().unwrap();
        *count += 1;
        more.notify_all();
        let (_count, timeout) = more
            .wait_timeout_while(count, Duration::from_secs(10), |count| *count < threads)
            .unwrap();
        if timeout.timed_out() { Err(failure(0)) } else { Ok(()) }
    });
    Loader::new(vec![Field::new("rows", source)], config(threads, num_workers)).unwrap()
}

#[test]
fn workers_share_one_batch_of_big_items() {
    let loader = waiting_for_each_other(2, 2);
    let mut epoch = loader.epoch(0).unwrap();
    // The consumer does not wait, so it does not help.
    let mut progress = Progress::Pending;
    eventually("the workers are done", || {
        progress = epoch.next_within(Duration::ZERO);
        !matches!(progress, Progress::Pending)
    });
    assert!(matches!(progress, Progress::Batch(Ok(_))));
}

#[test]
fn a_consumer_that_waits_for_a_batch_helps_to_make_it() {
    for num_workers in [1, 3] {
        let loader = waiting_for_each_other(num_workers + 1, num_workers);
        assert!(loader.epoch(0).unwrap().next().unwrap().is_ok(), "{num_workers} workers");
    }
}

#[test]
fn memory_comes_back_when_batches_are_dropped_and_grows_while_they_are_kept() {
    for num_workers in WORKERS {
        let fields = vec![
            Field::new("wide", Arc::new(numbered(40, 100))),
            Field::new("narrow", Arc::new(numbered(40, 1))),
        ];
        let loader = Loader::new(fields, config(4, num_workers)).unwrap();
        assert_eq!(loader.pool_use(), PoolUse { slabs: 0, leased: 0, bytes: 0 });

        for epoch in 0..20 {
            for batch in loader.epoch(epoch).unwrap() {
                drop(batch.unwrap());
            }
            let after = loader.pool_use();
            // The window and the user's batch, and no other.
            assert!(after.slabs <= 2 * (2 + 1), "{num_workers} workers: {after:?}");
            // A worker may begin a batch between the two slabs of the one that is dropped.
            let (wide, narrow) = (after.bytes / 400, after.bytes % 400 / 4);
            assert_eq!((after.leased, wide + narrow), (0, after.slabs));
        }

        let kept: Vec<_> = loader.epoch(0).unwrap().map(Result::unwrap).collect();
        assert_eq!(loader.pool_use(), PoolUse { slabs: 20, leased: 20, bytes: 10 * 4 * 101 });
        let clone = kept[3].views()[1].clone();
        drop(kept);
        assert_eq!(loader.pool_use(), PoolUse { slabs: 20, leased: 1, bytes: 10 * 4 * 101 });
        let row = clone.to_vec::<u8>().unwrap();
        for batch in loader.epoch(1).unwrap() {
            drop(batch.unwrap());
        }
        assert_eq!(clone.to_vec::<u8>().unwrap(), row, "a kept view was overwritten");
        drop((loader, row));
        assert_eq!(
            clone.to_vec::<u8>().unwrap(),
            (12..16).map(|i| (i * 31) as u8).collect::<Vec<_>>()
        );
    }
}

#[test]
fn many_epochs_may_run_at_once_and_end_anywhere() {
    let loader = Loader::new(
        vec![Field::new("rows", Arc::new(numbered(1000, 16)))],
        Config { shuffle: true, ..config(8, 2) },
    )
    .unwrap();
    let expected: Vec<Vec<_>> = (0..4)
        .map(|epoch| loader.epoch(epoch).unwrap().map(|batch| bytes(&batch.unwrap())).collect())
        .collect();
    let mut epochs: Vec<Epoch> = (0..4).map(|epoch| loader.epoch(epoch).unwrap()).collect();
    for at in 0..125 {
        for (epoch, expected) in epochs.iter_mut().zip(&expected) {
            assert_eq!(bytes(&epoch.next().unwrap().unwrap()), expected[at]);
        }
        // One after the other leaves early.
        epochs.truncate(4 - at / 32);
    }
}

/// The expected batch, computed item by item.
fn oracle(rows: &View, order: Option<&Permutation>, places: Range<usize>) -> Vec<u8> {
    let mut out = vec![];
    for place in places {
        let item = order.map_or(place, |order| order.at(place as u64) as usize);
        let mut row = vec![0; rows.nbytes() / rows.shape()[0]];
        rows.item(item).unwrap().read_into(&mut row).unwrap();
        out.extend(row);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_are_the_same_for_any_number_of_threads(
        items in 1usize..40,
        batch_size in 1usize..50,
        item_bytes in prop_oneof![Just(0usize), 1usize..100, Just(100_000), Just(BIG_ITEM)],
        num_workers in 0usize..9,
        prefetch_factor in 1usize..5,
        shuffle: bool,
        drop_last: bool,
        seed: u64,
        epoch: u32,
    ) {
        let rows = if item_bytes == 0 {
            View::from_vec(Vec::<u8>::new()).reshape(&[items as isize, 0]).unwrap()
        } else {
            numbered(items, item_bytes)
        };
        let config = Config { batch_size, shuffle, seed, drop_last, ..Config::default() };
        let config = Config { num_workers, prefetch_factor, ..config };
        let loader = Loader::new(vec![Field::new("rows", Arc::new(rows.clone()))], config).unwrap();
        let order = shuffle.then(|| Permutation::new(seed, epoch, items as u64));
        let batches: Vec<_> = loader.epoch(epoch).unwrap().map(Result::unwrap).collect();
        let count = if drop_last { items / batch_size } else { items.div_ceil(batch_size) };
        prop_assert_eq!((batches.len(), loader.len()), (count, count));
        prop_assert_eq!(loader.is_empty(), count == 0);
        for (at, batch) in batches.iter().enumerate() {
            let places = at * batch_size..((at + 1) * batch_size).min(items);
            prop_assert_eq!(batch.views()[0].shape(), [places.len(), item_bytes]);
            // No assert_eq: a failure would print megabytes.
            prop_assert!(bytes(batch)[0] == oracle(&rows, order.as_ref(), places), "batch {}", at);
        }
    }

    #[test]
    fn random_transforms_draw_the_same_for_any_number_of_threads(
        items in 1usize..20,
        batch_size in 1usize..9,
        num_workers in 1usize..9,
        prefetch_factor in 1usize..5,
        (height, width) in (1usize..90, 1usize..90),
        seed: u64,
    ) {
        let images = numbered(items, 90 * 100 * 3).reshape(&[items as isize, 90, 100, 3]).unwrap();
        let loader = |num_workers| {
            let transforms = vec![
                RandomCrop::new(height, width).boxed(),
                RandomHorizontalFlip { p: 0.5 }.boxed(),
                RandomVerticalFlip { p: 0.5 }.boxed(),
                ToDtype { dtype: DType::F32, scale: true }.boxed(),
                Normalize { mean: vec![0.4, 0.5, 0.6], std: vec![0.2, 0.3, 0.4] }.boxed(),
                ChannelsFirst::default().boxed(),
            ];
            let field = Field::new("image", Arc::new(images.clone())).with_transforms(transforms);
            let config = Config { batch_size, shuffle: true, seed, ..Config::default() };
            let config = Config { num_workers, prefetch_factor, ..config };
            Loader::new(vec![field], config).unwrap()
        };
        let values =
            |batch: Result<Batch, Error>| batch.unwrap().views()[0].to_vec::<f32>().unwrap();
        let (alone, threaded) = (loader(0), loader(num_workers));
        for epoch in 0..2 {
            let alone: Vec<_> = alone.epoch(epoch).unwrap().map(values).collect();
            let threaded: Vec<_> = threaded.epoch(epoch).unwrap().map(values).collect();
            prop_assert!(alone == threaded, "epoch {} differs", epoch);
        }
    }
}

#[test]
fn items_that_are_taken_many_at_once_are_those_made_one_by_one() {
    // More than a block of items; a source that shows no view has its items made one by one.
    let rows = numbered(3000, 96);
    let one_by_one = || scripted(3000, 96, |_| Ok(()));
    for num_workers in WORKERS {
        let fields = vec![
            Field::new("taken", Arc::new(rows.clone())),
            Field::new("made", one_by_one()),
            Field::new("turned", Arc::new(rows.flip(&[0, 1]).unwrap())),
            Field::new(
                "label",
                Arc::new(rows.index(&[ndlens_core::s(..), ndlens_core::Index::At(0)]).unwrap()),
            ),
        ];
        let loader =
            Loader::new(fields, Config { shuffle: true, ..config(1300, num_workers) }).unwrap();
        let items: Vec<usize> = loader.items_of(loader.config().shard, 0).unwrap();
        let batches: Vec<_> = loader.epoch(0).unwrap().map(Result::unwrap).collect();
        let all: Vec<Vec<Vec<u8>>> = batches.iter().map(bytes).collect();
        for (batch, items) in all.iter().zip(items.chunks(1300)) {
            assert!(batch[0] == batch[1]);
            for (row, &item) in items.iter().enumerate() {
                let expected = rows.item(item).unwrap();
                let mut bytes = vec![0; 96];
                expected.read_into(&mut bytes).unwrap();
                assert!(batch[0][row * 96..][..96] == bytes);
                assert_eq!(batch[3][row], bytes[0]);
                rows.item(2999 - item).unwrap().read_into(&mut bytes).unwrap();
                bytes.reverse();
                assert!(batch[2][row * 96..][..96] == bytes);
            }
        }
    }
}
