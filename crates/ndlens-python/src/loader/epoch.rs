//! The iterator of a loader's batches.

use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, TryLockResult};
use std::time::Duration;

use ndlens::View;
use ndlens::loader::{Batch, Epoch, Error, Progress, Receipt, SkipRecord};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::error::OrRaise;
use crate::exit;
use crate::loader::batch::{BATCH, drawn_for, wrapped};
use crate::loader::core::{BegunEpoch, PyLoader};
use crate::loader::output::Output;
use crate::loader::pinned::{Fresh, Pinned};
use crate::loader::sampling::SamplerReading;
use crate::loader::skipped::{self, PySkipped};
use crate::structure::Structure;
use crate::trace;

thread_local! {
    /// The epochs that this thread takes a batch of, one inside the other.
    static TAKING: RefCell<Vec<usize>> = const { RefCell::new(vec![]) };
}

/// Guard: this thread takes a batch of an epoch until it is dropped.
///
/// Taking one runs the sampler's code. If that asked the same epoch for a batch, it would wait for
/// locks that its own thread holds.
struct Taking;

impl Taking {
    fn begin(epoch: &PyEpoch) -> PyResult<Self> {
        let place = ptr::from_ref(epoch).addr();
        TAKING.with_borrow_mut(|taking| {
            if taking.contains(&place) {
                return Err(PyRuntimeError::new_err(
                    "the sampler of this epoch asked the epoch itself for a batch or for its \
                     length: give it an iterator of its own, iter(loader)",
                ));
            }
            taking.push(place);
            Ok(Taking)
        })
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        TAKING.with_borrow_mut(Vec::pop);
    }
}

/// Time to wait for a batch between two checks for Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// The batches of one epoch: the iterator that `iter(loader)` gives.
///
/// The epoch begins when its first batch is asked for.
#[pyclass(frozen, name = "Epoch", module = "ndlens")]
pub(crate) struct PyEpoch {
    /// The loader, which begins the epoch; None once it has begun.
    loader: Mutex<Option<Py<PyLoader>>>,
    /// None before it begins, and once it is over: its threads are gone by then.
    epoch: Mutex<Option<Epoch>>,
    process: u32,
    structure: Arc<Structure>,
    output: Output,
    /// The tensors that batches are made on, if they are made in pinned memory.
    pinned: Option<Pinned>,
    /// The sampler that is read, once the epoch has begun.
    reading: OnceLock<SamplerReading>,
    /// A function that raises if the rank has changed since the epoch began; unset if the rank was
    /// given.
    watch: OnceLock<Py<PyAny>>,
    taken: AtomicU64,
    /// The items that it leaves out, once it has begun.
    skipped: OnceLock<Arc<SkipRecord>>,
    /// The number of items in the batches taken so far.
    kept: AtomicUsize,
    /// Whether the end looked at how many items were left out.
    warned: AtomicBool,
    /// Receipt that counts the end, set after the last batch.
    end: OnceLock<Receipt>,
}

/// A batch's parts, one for each field; the parameters drawn for it, if the loader returns them;
/// and its receipt.
type Taken<'py> = (Vec<Bound<'py, PyAny>>, Vec<Bound<'py, PyAny>>, PyReceipt);

/// Counts a batch as handed out.
#[pyclass(frozen, name = "_Receipt", module = "ndlens")]
pub(crate) struct PyReceipt(Option<Receipt>);

#[pymethods]
impl PyReceipt {
    fn hand_out(&self, py: Python<'_>) {
        exit::detach(py, || self.0.as_ref().inspect(|receipt| receipt.hand_out()));
    }
}

#[pymethods]
impl PyEpoch {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let _inside = exit::enter(py);
        trace::before_any(py, BATCH)?;
        loop {
            match self.take_within(py, SIGNAL_INTERVAL)? {
                Progress::Batch(batch) => {
                    let (parts, drawn, receipt) = self.parts_or_end(py, batch.or_raise()?)?;
                    receipt.hand_out(py);
                    return self.wrap(py, parts, drawn).map(Some);
                }
                Progress::Finished => {
                    self.count_end(py)?;
                    return Ok(None);
                }
                Progress::Pending => py.check_signals()?,
            }
        }
    }

    /// The parts of the next batch, the parameters drawn for it and its receipt, for a caller that
    /// hands it on; None if it is not made yet and `wait` is false.
    #[pyo3(name = "_take", signature = (*, wait))]
    fn take<'py>(&self, py: Python<'py>, wait: bool) -> PyResult<Option<Taken<'py>>> {
        let _inside = exit::enter(py);
        trace::before_any(py, BATCH)?;
        loop {
            let patience = if wait { SIGNAL_INTERVAL } else { Duration::ZERO };
            match self.take_within(py, patience)? {
                Progress::Batch(batch) => {
                    return self.parts_or_end(py, batch.or_raise()?).map(Some);
                }
                Progress::Finished => {
                    // A caller that only looks ahead has batches that are not handed out.
                    if wait {
                        self.count_end(py)?;
                    }
                    return Err(PyStopIteration::new_err(()));
                }
                Progress::Pending if wait => py.check_signals()?,
                Progress::Pending => return Ok(None),
            }
        }
    }

    /// Passes over the next batch, counts it as handed out and gives its items; None if the epoch
    /// is over. For an epoch that `_Loader._plan` gave.
    #[pyo3(name = "_pass_over")]
    fn pass_over(&self, py: Python<'_>) -> PyResult<Option<Vec<usize>>> {
        let _inside = exit::enter(py);
        let _taking = Taking::begin(self)?;
        self.begin(py)?;
        self.look_at_rank(py)?;
        let reading = self.reading.get().filter(|_| self.process == std::process::id());
        let _reads = reading.map(|reading| reading.turn(py));
        if let Some(reading) = reading {
            reading.read(py, || self.lock())?;
        }
        let passed = exit::detach(py, || {
            let Some(mut epoch) = self.lock() else { return Err(Error::Forked) };
            let Some(running) = epoch.as_mut() else { return Ok(None) };
            let passed = running.pass_over();
            if let (Ok(None), Some(end)) = (&passed, running.end()) {
                let _ = self.end.set(end);
            }
            if !matches!(passed, Ok(Some(_))) {
                drop(epoch.take());
            }
            passed
        });
        let passed = passed.or_raise()?;
        if passed.is_none() {
            self.count_end(py)?;
            if let Some(Err(failure)) =
                reading.map(|reading| reading.take_failure(py).map_or(Ok(()), Err))
            {
                return Err(failure);
            }
        }
        Ok(passed)
    }

    /// The number of the epoch, its first place, its rank and the world size, once it has begun.
    #[pyo3(name = "_course")]
    fn course(&self, py: Python<'_>) -> Option<(u32, usize, usize, usize)> {
        self.with_epoch(py, |epoch| {
            let shard = epoch.shard();
            (epoch.number(), epoch.first_place(), shard.rank, shard.world_size)
        })
    }

    /// A batch of these parts, in the structure of the fields, and the parameters drawn for it.
    #[pyo3(name = "_wrap")]
    fn wrap<'py>(
        &self,
        py: Python<'py>,
        parts: Vec<Bound<'py, PyAny>>,
        drawn: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        wrapped(py, &self.structure, parts, drawn)
    }

    /// A sampler may hold an iterator of its loader.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The holder of the lock has a reference to this iterator, so nothing is collected.
        if let Ok(loader) = self.loader.try_lock() {
            visit.call(&*loader)?;
        }
        if let Some(reading) = self.reading.get() {
            reading.visit(&visit)?;
        }
        self.watch.get().map_or(Ok(()), |watch| visit.call(watch))
    }

    /// The items that were left out of the batches taken so far.
    #[getter]
    fn skipped(&self, py: Python<'_>) -> PySkipped {
        let items = || self.skipped.get().map(|record| record.items()).unwrap_or_default();
        PySkipped(exit::detach(py, items))
    }

    /// Batches not yet taken.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let _inside = exit::enter(py);
        let _taking = Taking::begin(self)?;
        if let Some(Some(loader)) = self.lock_loader(py).as_deref() {
            return loader.get().next_batches(py);
        }
        // Detached: a thread that holds the epoch may need the interpreter before it releases it.
        let left = || {
            self.lock().and_then(|epoch| epoch.as_ref().map(Epoch::remaining)).unwrap_or(Some(0))
        };
        exit::detach(py, left)
            .ok_or_else(|| PyTypeError::new_err("the sampler does not say how many items it has"))
    }
}

impl PyEpoch {
    pub(crate) fn new(
        loader: Py<PyLoader>,
        structure: Arc<Structure>,
        output: Output,
        pins: bool,
    ) -> Self {
        PyEpoch {
            loader: Mutex::new(Some(loader)),
            epoch: Mutex::new(None),
            process: std::process::id(),
            structure,
            output,
            pinned: pins.then(Pinned::default),
            reading: OnceLock::new(),
            watch: OnceLock::new(),
            taken: AtomicU64::new(0),
            skipped: OnceLock::new(),
            kept: AtomicUsize::new(0),
            warned: AtomicBool::new(false),
            end: OnceLock::new(),
        }
    }

    /// A fact about the epoch, if it has begun and is not over.
    pub(crate) fn with_epoch<T: Send>(
        &self,
        py: Python<'_>,
        fact: impl FnOnce(&Epoch) -> T + Send,
    ) -> Option<T> {
        // Detached: a thread that holds the epoch may need the interpreter before it releases it.
        exit::detach(py, || self.lock().and_then(|epoch| epoch.as_ref().map(fact)))
    }

    /// A fact about the loader, if the epoch has not begun.
    pub(crate) fn with_loader<T>(
        &self,
        py: Python<'_>,
        fact: impl FnOnce(&PyLoader) -> T,
    ) -> Option<T> {
        let loader = self.lock_loader(py)?;
        loader.as_ref().map(|loader| fact(loader.get()))
    }

    /// Begins the epoch, once.
    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        let mut loader = self.lock_loader(py).ok_or(Error::Forked).or_raise()?;
        let Some(begins) = loader.take() else { return Ok(()) };
        let BegunEpoch { epoch, reading, watch } = begins.get().begin_epoch(py)?;
        drop(self.skipped.set(epoch.skip_record()));
        exit::detach(py, || self.lock().map(|mut own| *own = Some(epoch)));
        // Set once: the iterator no longer has the loader.
        if let Some(reading) = reading {
            drop(self.reading.set(reading));
        }
        if let Some(watch) = watch {
            drop(self.watch.set(watch));
        }
        Ok(())
    }

    /// Counts the end of the epoch, if all its batches came, and warns once of many items that
    /// were left out.
    fn count_end(&self, py: Python<'_>) -> PyResult<()> {
        exit::detach(py, || self.end.get().inspect(|end| end.hand_out()));
        // Relaxed: it does not matter which thread warns.
        if self.end.get().is_none() || self.warned.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let items = || self.skipped.get().map(|record| record.items()).unwrap_or_default();
        let left_out = exit::detach(py, items);
        // Relaxed: all batches were taken before.
        let kept = self.kept.load(Ordering::Relaxed);
        skipped::warn_of_many(py, &left_out, kept)
    }

    /// Checks, ever more rarely, that the rank is still the one that the epoch began with.
    fn look_at_rank(&self, py: Python<'_>) -> PyResult<()> {
        let Some(watch) = self.watch.get() else { return Ok(()) };
        // Relaxed: it does not matter which thread asks.
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        if taken.is_power_of_two() { watch.call0(py).map(drop) } else { Ok(()) }
    }

    /// The next batch, if it comes in this time.
    fn take_within(&self, py: Python<'_>, patience: Duration) -> PyResult<Progress> {
        let _taking = Taking::begin(self)?;
        self.begin(py)?;
        self.look_at_rank(py)?;
        // Threads that share an epoch take turns: what one supplied, another would take.
        let own = self.process == std::process::id();
        let _turn = self.pinned.as_ref().filter(|_| own).map(|pinned| pinned.turn(py));
        if let Some(pinned) = &self.pinned {
            self.supply(py, pinned)?;
        }
        let reading = self.reading.get().filter(|_| own);
        let _reads = reading.map(|reading| reading.turn(py));
        if let Some(reading) = reading {
            reading.read(py, || self.lock())?;
        }
        let progress = exit::detach(py, || {
            let Some(mut epoch) = self.lock() else { return Progress::Batch(Err(Error::Forked)) };
            let progress =
                epoch.as_mut().map_or(Progress::Finished, |epoch| epoch.take_within(patience));
            let over = matches!(progress, Progress::Finished | Progress::Batch(Err(_)));
            let ended = if over { epoch.take() } else { None };
            if let (Progress::Finished, Some(end)) =
                (&progress, ended.as_ref().and_then(Epoch::end))
            {
                let _ = self.end.set(end);
            }
            // In this order: an epoch that is freed may need the interpreter, and the thread that
            // has the interpreter may wait for this lock.
            drop(epoch);
            drop(ended);
            progress
        });
        match (&progress, reading) {
            (Progress::Finished, Some(reading)) => {
                reading.take_failure(py).map_or(Ok(progress), Err)
            }
            _ => Ok(progress),
        }
    }

    /// Supplies memory for the batches that can be begun.
    fn supply(&self, py: Python<'_>, pinned: &Pinned) -> PyResult<()> {
        let needs = |epoch: &Epoch| (epoch.unsupplied(), epoch.batch_bytes().collect::<Vec<_>>());
        let (batches, sizes) =
            exit::detach(py, || self.lock().and_then(|epoch| epoch.as_ref().map(needs)))
                .unwrap_or_default();
        for _ in 0..batches {
            // Kept before a batch can be made on it.
            let fresh = pinned.keep(Fresh::allocate(py, &sizes)?);
            exit::detach(py, || match self.lock().as_deref() {
                Some(Some(epoch)) => fresh.give(epoch),
                _ => Ok(()),
            })
            .or_raise()?;
        }
        Ok(())
    }

    /// As [`parts`](Self::parts). An error ends the epoch, since the batch is lost.
    fn parts_or_end<'py>(&self, py: Python<'py>, batch: Batch) -> PyResult<Taken<'py>> {
        let parts = self.parts(py, batch);
        if parts.is_err() {
            exit::detach(py, || drop(self.lock().and_then(|mut epoch| epoch.take())));
        }
        parts
    }

    /// The parts of a batch, the parameters drawn for it, and its receipt.
    fn parts<'py>(&self, py: Python<'py>, batch: Batch) -> PyResult<Taken<'py>> {
        let receipt = PyReceipt(batch.receipt().cloned());
        let drawn = drawn_for(py, &self.structure, &batch)?;
        let views = batch.into_views();
        let rows = views.first().and_then(|view| view.shape().first().copied()).unwrap_or(0);
        // Relaxed: a sum.
        self.kept.fetch_add(rows, Ordering::Relaxed);
        if trace::is_open() {
            trace::copied(py, BATCH, views.iter().map(View::nbytes).sum())?;
        }
        let parts = match &self.pinned {
            Some(pinned) => pinned.take(py, &views)?,
            None => {
                views.into_iter().map(|view| self.output.wrap(py, view)).collect::<PyResult<_>>()?
            }
        };
        Ok((parts, drawn, receipt))
    }

    /// The loader, which begins the epoch, or None if a thread that held it at a fork stayed in the
    /// parent.
    fn lock_loader(&self, py: Python<'_>) -> Option<MutexGuard<'_, Option<Py<PyLoader>>>> {
        if self.process == std::process::id() {
            // Waits detached: the thread that begins the epoch runs Python.
            return Some(exit::lock(py, &self.loader));
        }
        unless_held(self.loader.try_lock())
    }

    /// The epoch, or None if a thread that held it at a fork stayed in the parent, and will never
    /// release it.
    fn lock(&self) -> Option<MutexGuard<'_, Option<Epoch>>> {
        if self.process == std::process::id() {
            return Some(self.epoch.lock().unwrap_or_else(PoisonError::into_inner));
        }
        unless_held(self.epoch.try_lock())
    }
}

fn unless_held<T>(lock: TryLockResult<MutexGuard<'_, T>>) -> Option<MutexGuard<'_, T>> {
    match lock {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Drop for PyEpoch {
    fn drop(&mut self) {
        let epoch = self.epoch.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Joining waits for the chunks in hand; let others run Python meanwhile.
        Python::attach(|py| exit::detach(py, || drop(epoch)));
    }
}
