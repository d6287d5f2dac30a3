//! Items of samplers: numbers in memory, and iterators that are read while an epoch runs.
//!
//! `ndlens/_sampling.py` looks up the rank and asks the sampler, when an epoch begins.

use std::sync::{Mutex, MutexGuard};

use ndlens::loader::{Digest, Epoch, ItemNumbers, Note, Sampled, Sampling, Selection};
use ndlens::{View, room};
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyIterator, PyList, PyRange, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::import::extract_view;
use crate::lists::{self, Asked};
use crate::loader::selection::extract_selection;
use crate::trace;
use crate::view::object::PyView;

/// Items of an iterator between two checks for Ctrl-C. An iterator in C makes no checks.
const SIGNAL_ITEMS: usize = 1 << 10;

/// Items of an iterator between two moments for other threads. An iterator in C lets none run.
const TURN_ITEMS: usize = 1 << 16;

/// The part of a state about a sampler, as a dict that Python made.
struct Kept(Py<PyAny>);

/// As a dict for Python: {"digest": ..}, or what was kept.
pub(crate) fn note_to_python(py: Python<'_>, note: Option<&Note>) -> PyResult<Option<Py<PyAny>>> {
    let Some(note) = note else { return Ok(None) };
    if let Some(Kept(object)) = note.get() {
        return Ok(Some(object.clone_ref(py)));
    }
    let Some(digest) = note.get::<Digest>() else { return Ok(None) };
    let dict = PyDict::new(py);
    dict.set_item("digest", digest.to_string())?;
    Ok(Some(dict.into_any().unbind()))
}

pub(crate) fn note_from_python(object: Option<Bound<'_, PyAny>>) -> Option<Note> {
    object.map(|object| Note::new(Kept(object.unbind())))
}

/// The number of an item that `giver` gave.
fn extract_number(giver: &str, item: &Bound<'_, PyAny>) -> PyResult<i64> {
    let refuse = || {
        let hint = if item.is_instance_of::<PyList>() || item.is_instance_of::<PyTuple>() {
            "; batches are made by batch_size=, a batch sampler gives lists"
        } else {
            ""
        };
        let text = item.repr().map_or_else(|_| "an object".to_owned(), |repr| repr.to_string());
        PyTypeError::new_err(format!("{giver} must give item numbers from 0 on, got {text}{hint}"))
    };
    let from_0_on = |number: PyResult<i64>| {
        number.if_taken(item.py())?.filter(|&number| number >= 0).ok_or_else(refuse)
    };
    if item.is_exact_instance_of::<PyInt>() {
        return from_0_on(item.extract());
    }
    let is_bool = item.is_instance_of::<PyBool>()
        || item.getattr_opt("dtype")?.is_some_and(|dtype| dtype.to_string().contains("bool"));
    if is_bool {
        return Err(PyTypeError::new_err(format!(
            "{giver} gave a bool: bools are not item numbers; a mask goes to indices=, and \
             np.flatnonzero(mask) is a list of items"
        )));
    }
    from_0_on(item.extract())
}

/// Item numbers in a range, in a list of integers, or in anything `nl.view` takes.
pub(crate) fn extract_numbers(object: &Bound<'_, PyAny>) -> PyResult<ItemNumbers> {
    if let Ok(range) = object.cast::<PyRange>() {
        let field = |name| range.getattr(name)?.extract::<i64>();
        return Ok(ItemNumbers::range(field("start")?, field("step")?, range.len()?));
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        let numbers = lists::extract_each(object, |item| extract_number("the list", item))?;
        return ItemNumbers::from_view(&View::from_vec(numbers)).or_raise();
    }
    let view = extract_view(object)?;
    // Those of a file, which may become shorter, are copied.
    let nbytes = if view.buffer().can_shrink() { view.nbytes() } else { 0 };
    trace::copying(object.py(), "array of item numbers", nbytes, || {
        ItemNumbers::from_view(&view).or_raise()
    })
}

/// `indices=`: what a slice, a range, or a list or array of integers or bools selects of `items`
/// items.
pub(crate) fn extract_indices(object: &Bound<'_, PyAny>, items: usize) -> PyResult<Selection> {
    let py = object.py();
    let extract = || {
        let Ok(range) = object.cast::<PyRange>() else { return extract_selection(object, items) };
        // Negative numbers count from the end, which only a list of them says.
        let ends =
            if range.is_empty()? { vec![] } else { vec![range.get_item(0)?, range.get_item(-1)?] };
        let Ok(ends) =
            ends.iter().map(PyAnyMethods::extract::<usize>).collect::<PyResult<Vec<_>>>()
        else {
            return extract_selection(object, items);
        };
        Selection::range(
            ends.first().copied().unwrap_or(0),
            range.getattr("step")?.extract()?,
            range.len()?,
            items,
        )
        .or_raise()
    };
    extract().map_err(|error| in_place(py, "indices", error))
}

/// Checks that an object holds item numbers that need not be read one by one.
#[pyfunction]
#[pyo3(signature = (object, /))]
pub(crate) fn check_numbers(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    extract_numbers(object).map(|numbers| numbers.len())
}

/// The digest of the numbers from one place to another, of an object that holds them; continues the
/// one given.
#[pyfunction]
#[pyo3(signature = (object, start, stop, digest, /))]
pub(crate) fn digest_numbers(
    object: &Bound<'_, PyAny>,
    start: usize,
    stop: usize,
    digest: &str,
) -> PyResult<String> {
    let numbers = extract_numbers(object)?;
    let mut digest = parse_digest(digest)?;
    numbers.digest(&mut digest, start.min(numbers.len())..stop.min(numbers.len()));
    Ok(digest.to_string())
}

fn parse_digest(text: &str) -> PyResult<Digest> {
    Digest::from_hex(text).ok_or_else(|| {
        PyValueError::new_err(format!(
            "the state's digest must be 16 hexadecimal digits, got {text:?}"
        ))
    })
}

/// Reads as many numbers from an iterator as are asked for, or all. Gives their count, their digest
/// and the first `keep` of them: int64, of shape (numbers,).
#[pyfunction]
#[pyo3(signature = (iterator, count, keep, /))]
pub(crate) fn read_numbers(
    iterator: &Bound<'_, PyIterator>,
    count: Option<usize>,
    keep: usize,
) -> PyResult<(usize, String, PyView)> {
    let (mut read, mut digest, mut kept) = (0, Digest::default(), vec![]);
    let mut iterator = iterator.clone();
    while count.is_none_or(|count| read < count) {
        let Some(number) = next_number(&mut iterator, read)? else { break };
        digest.add(number);
        if read < keep {
            room::push(&mut kept, number).or_raise()?;
        }
        read += 1;
    }
    Ok((read, digest.to_string(), PyView::new(View::from_vec(kept))))
}

fn next_number(iterator: &mut Bound<'_, PyIterator>, read: usize) -> PyResult<Option<i64>> {
    let py = iterator.py();
    if read % SIGNAL_ITEMS == SIGNAL_ITEMS - 1 {
        py.check_signals()?;
    }
    if read % TURN_ITEMS == TURN_ITEMS - 1 {
        exit::detach(py, || ());
    }
    iterator.next().map(|item| extract_number("the sampler", &item?)).transpose()
}

/// An iterator of a sampler, while it is read. `ndlens/_sampling.py` documents the attributes.
#[derive(Debug)]
pub(crate) struct SamplerReading {
    iterator: Py<PyIterator>,
    /// Gives the sampler's present state for a state of the loader; None if that keeps a digest of
    /// the items it gave.
    snapshot: Option<Py<PyAny>>,
    /// Is called with the number of items when there are no more.
    ended: Py<PyAny>,
    progress: Mutex<Progress>,
    /// Held while a thread reads and takes a batch: another thread would take the batch of this
    /// reading.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Progress {
    read: usize,
    digest: Digest,
    failure: Option<PyErr>,
}

impl SamplerReading {
    /// The reading of an epoch that begins, and the loader's half of it.
    pub(crate) fn begin(begun: &Bound<'_, PyAny>) -> PyResult<(Self, Sampled)> {
        let py = begun.py();
        let field = |name: &str| begun.getattr(name);
        let digest = field("digest")?.extract::<Option<String>>()?;
        let progress = Progress {
            read: 0,
            digest: digest.as_deref().map_or(Ok(Digest::default()), parse_digest)?,
            failure: None,
        };
        let reading = SamplerReading {
            iterator: field("iterator")?.cast_into::<PyIterator>().map_err(PyErr::from)?.unbind(),
            snapshot: field("snapshot")?.extract()?,
            ended: field("ended")?.unbind(),
            progress: Mutex::new(progress),
            turn: Mutex::new(()),
        };
        let note = field("note")?;
        let sampling = Sampling {
            expected: field("expected")?.extract()?,
            resumes: true,
            head: extract_head(&field("head")?)?,
            note: note_from_python(if note.is_none() { None } else { Some(note) }).or_else(|| {
                Some(Note::new(reading.lock(py).digest)).filter(|_| reading.snapshot.is_none())
            }),
        };
        Ok((reading, Sampled::Read(sampling)))
    }

    /// Visits the objects it holds, for the collector of cycles.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.iterator)?;
        visit.call(&self.snapshot)?;
        visit.call(&self.ended)
    }

    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Progress> {
        exit::lock(py, &self.progress)
    }

    /// Waits until no other thread reads and takes.
    pub(crate) fn turn(&self, py: Python<'_>) -> MutexGuard<'_, ()> {
        exit::lock(py, &self.turn)
    }

    /// Reads for all batches that can be begun. An error of the sampler is raised when its batch is
    /// due; an exception that ends programs, such as Ctrl-C, is raised at once.
    pub(crate) fn read<'a, F>(&self, py: Python<'_>, lock: F) -> PyResult<()>
    where
        F: Fn() -> Option<MutexGuard<'a, Option<Epoch>>> + Sync,
    {
        let _inside = exit::enter(py);
        loop {
            let wanted = || lock().and_then(|epoch| epoch.as_ref().map(Epoch::to_read));
            let count = exit::detach(py, wanted).unwrap_or(0);
            if count == 0 {
                return Ok(());
            }
            let added = self.some(py, count).and_then(|numbers| {
                let note = self.note(py)?;
                let is_all = numbers.len() < count;
                if is_all {
                    self.ended.call1(py, (self.lock(py).read,))?;
                }
                let add = || {
                    let epoch = lock();
                    let Some(Some(epoch)) = epoch.as_deref() else { return Ok(()) };
                    epoch.add(&numbers, note.clone())?;
                    if is_all { epoch.end_sampler(note) } else { Ok(()) }
                };
                exit::detach(py, add).or_raise()
            });
            let Err(error) = added else { continue };
            let fail = || lock().as_deref().map(|epoch| epoch.as_ref().map(Epoch::fail_sampler));
            exit::detach(py, || drop(fail()));
            if !error.is_instance_of::<PyException>(py) {
                return Err(error);
            }
            self.lock(py).failure = Some(error);
            return Ok(());
        }
    }

    /// The next `count` numbers, or all that are left.
    fn some(&self, py: Python<'_>, count: usize) -> PyResult<Vec<i64>> {
        let (mut numbers, mut iterator) = (vec![], self.iterator.bind(py).clone());
        while numbers.len() < count {
            let Some(number) = next_number(&mut iterator, numbers.len())? else { break };
            room::push(&mut numbers, number).or_raise()?;
        }
        let mut progress = self.lock(py);
        progress.read += numbers.len();
        for &number in &numbers {
            progress.digest.add(number);
        }
        drop(progress);
        Ok(numbers)
    }

    /// The part of a state about the sampler, as it is now.
    fn note(&self, py: Python<'_>) -> PyResult<Option<Note>> {
        match &self.snapshot {
            Some(snapshot) => Ok(note_from_python(Some(snapshot.bind(py).call0()?))),
            None => Ok(Some(Note::new(self.lock(py).digest))),
        }
    }

    /// The error of the sampler, once all batches before it were taken.
    pub(crate) fn take_failure(&self, py: Python<'_>) -> Option<PyErr> {
        self.lock(py).failure.take()
    }
}

fn extract_head(head: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    if head.is_none() { Ok(vec![]) } else { extract_view(head)?.to_vec().or_raise() }
}
