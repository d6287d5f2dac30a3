//! Every order of events, as far as loom can tell them apart: `make loom`.
//!
//! Each model runs a whole loader: the window and its condition variables, the pool and its leases,
//! threads that start, are stopped and joined. A schedule is cut off from one thread in favour of
//! another at most so often as [`PREEMPTIONS`] says, which finds most of what there is (Musuvathi
//! and Qadeer, "Iterative context bounding for systematic testing of multithreaded programs", 2007)
//! in seconds. A deadlock fails the model.
#![cfg(loom)]
#![expect(unsafe_code, reason = "supplies memory; see UNSAFE.md")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndlens_core::{Buffer, DType, View, ViewRef};
use ndlens_loader::{BatchMemory, Config, Field, Loader, Source};
use ndlens_transforms::{ItemShape, Mix, Mixing};

const PREEMPTIONS: usize = 2;

fn in_every_order(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(run);
}

fn loader(num_workers: usize, prefetch_factor: usize) -> Loader {
    loader_in(BatchMemory::Pooled, num_workers, prefetch_factor)
}

fn loader_in(memory: BatchMemory, num_workers: usize, prefetch_factor: usize) -> Loader {
    let rows = View::from_vec((0..4u8).collect());
    let config =
        Config { batch_size: 1, num_workers, prefetch_factor, memory, ..Config::default() };
    Loader::new(vec![Field::new("rows", Arc::new(rows))], config).unwrap()
}

fn items(views: &[View]) -> Vec<u8> {
    views[0].to_vec().unwrap()
}

#[test]
fn batches_come_in_order_and_all_memory_comes_back() {
    in_every_order(|| {
        let loader = loader(1, 2);
        for (number, batch) in loader.epoch(0).unwrap().enumerate() {
            assert_eq!(items(batch.unwrap().views()), [number as u8]);
        }
        assert_eq!(loader.pool_use().leased, 0);
        assert!(loader.pool_use().slabs <= 4);
    });
}

#[test]
fn two_workers_make_each_batch_once() {
    in_every_order(|| {
        let loader = loader(2, 2);
        let mut epoch = loader.epoch(0).unwrap();
        for number in 0..2 {
            assert_eq!(items(epoch.next().unwrap().unwrap().views()), [number]);
        }
    });
}

#[test]
fn an_epoch_that_is_dropped_stops_and_joins_its_workers() {
    in_every_order(|| {
        let loader = loader(2, 2);
        drop(loader.epoch(0).unwrap());
        assert_eq!(loader.pool_use().leased, 0);
    });
}

#[test]
fn a_batch_that_is_dropped_by_another_thread_is_never_written_while_it_is_kept() {
    in_every_order(|| {
        let loader = loader(1, 1);
        let mut epoch = loader.epoch(0).unwrap();
        let kept = epoch.next().unwrap().unwrap();
        let other = loom::thread::spawn(move || {
            assert_eq!(items(kept.views()), [0]);
            drop(kept);
        });
        assert_eq!(items(epoch.next().unwrap().unwrap().views()), [1]);
        other.join().unwrap();
        drop(epoch);
        assert_eq!(loader.pool_use().leased, 0);
    });
}

/// A source whose second item cannot be read.
struct Broken(View);

impl Source for Broken {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        self.0.item_shape()
    }

    fn dtype(&self) -> &DType {
        self.0.dtype()
    }

    fn is_complete(&self) -> bool {
        true
    }

    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        if index == 1 {
            let (path, message) = ("item".to_owned(), "gone".to_owned());
            return Err(ndlens_core::Error::Unavailable { path, message });
        }
        self.0.item(index)
    }
}

#[test]
fn an_error_comes_in_its_place_and_ends_the_epoch() {
    in_every_order(|| {
        let rows = Broken(View::from_vec((0..3u8).collect()));
        let config =
            Config { batch_size: 1, num_workers: 1, prefetch_factor: 2, ..Config::default() };
        let loader = Loader::new(vec![Field::new("rows", Arc::new(rows))], config).unwrap();
        let mut epoch = loader.epoch(0).unwrap();
        assert_eq!(items(epoch.next().unwrap().unwrap().views()), [0]);
        assert!(epoch.next().unwrap().is_err());
        assert!(epoch.next().is_none());
        drop(epoch);
        assert_eq!(loader.pool_use().leased, 0);
    });
}

#[test]
fn two_workers_mix_a_batch_once_all_of_it_is_made() {
    in_every_order(|| {
        let rows = View::from_vec(vec![1.0f32, 3.0]);
        let labels = View::from_vec(vec![0u8, 1]);
        let fields =
            vec![Field::new("rows", Arc::new(rows)), Field::new("label", Arc::new(labels))];
        let config =
            Config { batch_size: 2, num_workers: 2, return_params: true, ..Config::default() };
        let mixing =
            Mixing::new(Mix::MixUp { num_classes: Some(2), alpha: 1.0 }).of_images(vec![0]);
        let loader = Loader::builder(fields, config).unwrap().mixing(mixing).build().unwrap();
        let mut epoch = loader.epoch(0).unwrap();
        let batch = epoch.next().unwrap().unwrap();
        let labels = batch.views()[1].to_vec::<f32>().unwrap();
        let rows = batch.views()[0].to_vec::<f32>().unwrap();
        // Mixed once: each row is what its own label says.
        for (row, label) in rows.iter().zip(labels.chunks(2)) {
            assert!((row - (label[0] + 3.0 * label[1])).abs() < 1e-6);
        }
        assert!(epoch.next().is_none());
    });
}

#[test]
fn the_models_see_more_than_one_order() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    in_every_order(|| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        assert!(loader(1, 1).epoch(0).unwrap().next().unwrap().is_ok());
    });
    assert!(RUNS.load(Ordering::Relaxed) > 20, "{RUNS:?}");
}

#[test]
fn a_worker_that_waits_for_memory_begins_when_it_comes() {
    in_every_order(|| {
        let loader = loader_in(BatchMemory::Supplied, 1, 1);
        let mut epoch = loader.epoch(0).unwrap();
        for number in 0..2 {
            // SAFETY: zeroed, and not touched here again.
            unsafe { epoch.supply(vec![Buffer::zeroed(1).unwrap()]) }.unwrap();
            assert_eq!(items(epoch.next().unwrap().unwrap().views()), [number]);
        }
        // Dropped while the worker waits.
    });
}
