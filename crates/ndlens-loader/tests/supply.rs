//! Batches in memory that the taker supplies: which memory, when, and what happens where there is
//! none.

#![expect(unsafe_code, reason = "supplies memory; see UNSAFE.md")]

use std::sync::Arc;
use std::time::Duration;

use ndlens_core::{Buffer, View};
use ndlens_loader::{BatchMemory, Config, Epoch, Error, Field, Loader, Progress};

const PATIENCE: Duration = Duration::from_secs(10);

/// Ten rows of two bytes, in batches of three; and their numbers.
fn loader(num_workers: usize, memory: BatchMemory) -> Loader {
    let rows = View::from_vec((0..20u8).collect()).reshape(&[10, 2]).unwrap();
    let numbers = View::from_vec((0..10i64).collect());
    let config = Config { batch_size: 3, num_workers, memory, ..Config::default() };
    Loader::new(
        vec![Field::new("rows", Arc::new(rows)), Field::new("numbers", Arc::new(numbers))],
        config,
    )
    .unwrap()
}

fn bytes(view: &View) -> Vec<u8> {
    let mut bytes = vec![0; view.nbytes()];
    view.read_into(&mut bytes).unwrap();
    bytes
}

/// Supplies memory for one batch and returns its address.
fn supply(epoch: &Epoch) -> Vec<*mut u8> {
    let buffers: Vec<_> = epoch.batch_bytes().map(|len| Buffer::zeroed(len).unwrap()).collect();
    let places = buffers.iter().map(|buffer| buffer.as_ptr().as_ptr()).collect();
    // SAFETY: zeroed, and not touched here again.
    unsafe { epoch.supply(buffers) }.unwrap();
    places
}

#[test]
fn batches_come_on_the_memory_that_was_supplied_in_its_order() {
    for workers in [0, 1, 3] {
        let pooled = loader(workers, BatchMemory::Pooled);
        let loader = loader(workers, BatchMemory::Supplied);
        let mut epoch = loader.epoch(0).unwrap();
        assert_eq!(epoch.batch_bytes().collect::<Vec<_>>(), [6, 24]);
        assert_eq!(epoch.unsupplied(), if workers == 0 { 1 } else { 2 });
        let mut places = vec![];
        for expected in pooled.epoch(0).unwrap() {
            (0..epoch.unsupplied()).for_each(|_| places.push(supply(&epoch)));
            assert_eq!(epoch.unsupplied(), 0);
            let Progress::Batch(batch) = epoch.next_within(PATIENCE) else {
                panic!("a batch is due")
            };
            let (batch, expected) = (batch.unwrap(), expected.unwrap());
            let at: Vec<_> = batch.views().iter().map(View::as_ptr).collect();
            assert_eq!(at, places.remove(0));
            for (view, expected) in batch.views().iter().zip(expected.views()) {
                assert_eq!(bytes(view), bytes(expected));
            }
        }
        assert_eq!((epoch.unsupplied(), places.len()), (0, 0));
        assert!(matches!(epoch.next_within(PATIENCE), Progress::Finished));
        assert_eq!(loader.pool_use().slabs, 0);
        assert_eq!(pooled.epoch(0).unwrap().unsupplied(), 0);
    }
}

#[test]
fn a_batch_without_memory_is_an_error_and_not_a_wait() {
    for workers in [0, 2] {
        let mut epoch = loader(workers, BatchMemory::Supplied).epoch(0).unwrap();
        supply(&epoch);
        assert!(epoch.next().unwrap().is_ok());
        let error = epoch.next().unwrap().unwrap_err();
        assert!(matches!(error, Error::NotSupplied { batch: 1 }));
        assert_eq!(
            error.to_string(),
            "batch 1 has no memory: supply memory before the batch is asked for"
        );
        assert!(epoch.next().is_none());
        assert_eq!(epoch.unsupplied(), 0);
    }
}

#[test]
fn workers_that_wait_for_memory_stop_with_their_epoch() {
    let loader = loader(2, BatchMemory::Supplied);
    drop(loader.epoch(0).unwrap());
    let epoch = loader.epoch(0).unwrap();
    supply(&epoch);
    drop(epoch);
}

#[test]
fn memory_that_does_not_fit_is_refused() {
    let epoch = loader(0, BatchMemory::Supplied).epoch(0).unwrap();
    let (six, other) = (Buffer::zeroed(6).unwrap(), Buffer::zeroed(23).unwrap());
    // SAFETY: zeroed, and not touched here again.
    let error = unsafe { epoch.supply(vec![six.clone(), other]) }.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot make a batch in buffers of (bytes, access) [(6, ReadWrite), (23, ReadWrite)], \
         expected [(6, ReadWrite), (24, \
         ReadWrite)]"
    );
    let read_only = View::from_vec(vec![0u8; 24]).to_read_only().buffer().clone();
    // SAFETY: as above.
    assert!(unsafe { epoch.supply(vec![six, read_only]) }.is_err());
    // SAFETY: as above.
    assert!(unsafe { epoch.supply(vec![]) }.is_err());
}

#[test]
fn only_batches_that_are_handed_out_count() {
    for workers in [0, 2] {
        let loader = loader(workers, BatchMemory::Pooled);
        let mut epoch = loader.start_epoch().unwrap();
        let mut receipts = vec![];
        for _ in 0..2 {
            let Progress::Batch(Ok(batch)) = epoch.take_within(PATIENCE) else {
                panic!("a batch is due")
            };
            receipts.push(batch.receipt().unwrap().clone());
        }
        assert_eq!(loader.state().start, 0);
        receipts[0].hand_out();
        assert_eq!(loader.state().start, 3);
        // Also when the epoch is gone.
        drop(epoch);
        receipts[1].hand_out();
        assert_eq!(loader.state().start, 6);
        // And not when another has begun.
        let _other = loader.start_epoch().unwrap();
        receipts[1].hand_out();
        assert_eq!((loader.state().epoch, loader.state().start), (1, 0));
    }
}
