//! `nl.share`, `nl.empty_shared` and `nl.attach`.

use std::time::{Duration, Instant};

use ndlens::View;
use ndlens::store;
use ndlens::store::named::{self, Name, Structure, Turn};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::import::{extract_view, pairs};
use crate::lists;
use crate::pickle::register_senders;
use crate::shape;
use crate::view::PyView;

/// The first and the longest pause between two looks for a name, during which Ctrl-C waits.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Copies arrays to shared memory, once, and gives views of it. Sent to other processes, by pickle in any form, such a view is some
/// hundred bytes, and shows the same memory there.
///
/// `obj` is anything `nl.view` takes, or a dict, tuple or list of such, which comes back as it came, all in one block of memory
/// (one descriptor). The copies are writable, C-contiguous and start at multiples of 64 bytes. The memory is freed with the last
/// view on it, in whatever process, however that ends; nothing can be left behind. It does not need /dev/shm.
///
/// With a `name`, all processes of one user on one machine that share it see one copy: the first creates it, the others wait until
/// it is filled (at most `timeout` seconds; None: as long as it takes) and give the same memory, whatever they would have shared.
/// `obj` may then also be a function without arguments that returns the arrays; only the process that creates calls it. Keys of a
/// dict must be strings.
///
/// Raises `MemoryError` where there is not as much memory, and what `nl.view` raises; with a name also `ValueError` for a bad
/// one and where it is taken for arrays of another structure, shape or dtype, and `TimeoutError`.
///
/// >>> import ndlens as nl
/// >>> shared = nl.share({"x": bytearray(6), "y": b"ab"})
/// >>> shared["x"][0] = 7
/// >>> shared["x"].tolist(), shared["y"].tolist()
/// ([7, 0, 0, 0, 0, 0], [97, 98])
#[pyfunction]
#[pyo3(signature = (obj, /, *, name = None, timeout = None))]
pub(crate) fn share<'py>(
    obj: &Bound<'py, PyAny>,
    name: Option<&str>,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = obj.py();
    register_senders(py, false)?;
    let Some(name) = name else {
        let arrays = Arrays::extract(obj)?;
        let views = py.detach(|| store::share(&arrays.views)).or_raise()?;
        return arrays.keys.wrap(py, views);
    };
    let name = Name::new(name).or_raise()?;
    let made = if obj.is_callable() { None } else { Some(Arrays::extract(obj)?) };
    let structure = made.as_ref().map(|arrays| arrays.keys.structure(py)).transpose()?;
    let turn = wait(py, timeout, &mut || match named::take_turn(&name) {
        Ok(Turn::Wait) => Ok(None),
        turn => turn.map(Some),
    })?;
    match turn {
        Some(Turn::Attached(contents)) => {
            if let (Some(arrays), Some(structure)) = (&made, &structure) {
                contents.check(&name, structure, &arrays.views).or_raise()?;
            }
            Keys::of(py, contents.structure).wrap(py, contents.views)
        }
        Some(Turn::Create(creation)) => {
            let arrays = match made {
                Some(arrays) => arrays,
                None => Arrays::extract(&obj.call0()?)?,
            };
            let structure = arrays.keys.structure(py)?;
            let views = py.detach(|| creation.share(structure, &arrays.views)).or_raise()?;
            arrays.keys.wrap(py, views)
        }
        Some(Turn::Wait) | None => Err(PyTimeoutError::new_err(format!(
            "another process is still creating the shared memory {name} after {} seconds",
            timeout.unwrap_or_default()
        ))),
    }
}

/// What another process of this user shares under a name, as it was shared there; waits until somebody does, at most `timeout`
/// seconds (None: as long as it takes).
///
/// The memory lives as long as anyone holds it, also where the process that created it is gone. Changes are seen by all.
///
/// Raises `TimeoutError` where nobody shares it, `ValueError` for a bad name.
///
/// >>> import ndlens as nl
/// >>> mine = nl.share(bytearray(4), name="attach-example")
/// >>> yours = nl.attach("attach-example")
/// >>> yours[0] = 7
/// >>> mine[0]
/// 7
#[pyfunction]
#[pyo3(signature = (name, /, *, timeout = Some(60.0)), text_signature = "(name, /, *, timeout=60.0)")]
pub(crate) fn attach<'py>(py: Python<'py>, name: &str, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
    register_senders(py, false)?;
    let name = Name::new(name).or_raise()?;
    match wait(py, timeout, &mut || named::find(&name))? {
        Some(contents) => Keys::of(py, contents.structure).wrap(py, contents.views),
        None => Err(PyTimeoutError::new_err(format!(
            "no process of this user shares {name} after {} seconds",
            timeout.unwrap_or_default()
        ))),
    }
}

/// A zeroed array on shared memory, to fill in place; as `nl.share` gives it otherwise.
///
/// Raises `MemoryError` where there is not as much memory, `TypeError` for a dtype ndlens has no name for.
///
/// >>> import ndlens as nl
/// >>> nl.empty_shared((2, 3), "float32")
/// <ndlens.View shape=(2, 3) dtype=float32 strides=(12, 4)>
#[pyfunction]
#[pyo3(signature = (shape, dtype, /))]
pub(crate) fn empty_shared(
    py: Python<'_>,
    shape: &Bound<'_, PyAny>,
    dtype: &Bound<'_, PyAny>,
) -> PyResult<PyView> {
    register_senders(py, false)?;
    let dtype = shape::extract_dtype(dtype)?;
    let shape: Vec<isize> = match shape.extract() {
        Ok(size) => vec![size],
        Err(_) => lists::extract_axes(shape)?,
    };
    let negative = |_| PyValueError::new_err(format!("shape must not be negative, got {shape:?}"));
    let sizes = shape.iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>();
    let sizes = sizes.map_err(negative)?;
    let views = py.detach(|| store::empty_shared(&[(&sizes, dtype)])).or_raise()?;
    one(views).map(PyView::new)
}

/// Seconds as a duration; more than it can hold, infinity too, is the longest there is.
pub(crate) fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("{name} must be at least 0, got {seconds}")));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Asks again and again, detached, until there is an answer; None where there is none in time.
fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    ask: &mut (dyn FnMut() -> store::Result<Option<T>> + Send),
) -> PyResult<Option<T>> {
    let timeout = timeout.map(|seconds| duration("timeout", seconds)).transpose()?;
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut pause = PAUSES.0;
    loop {
        if let Some(answer) = py.detach(&mut *ask).or_raise()? {
            return Ok(Some(answer));
        }
        py.check_signals()?;
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        py.detach(|| std::thread::sleep(left.map_or(pause, |left| left.min(pause))));
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Arrays, and how they came.
struct Arrays {
    keys: Keys,
    views: Vec<View>,
}

/// How arrays came and go.
enum Keys {
    Single,
    Tuple,
    List,
    Dict(Vec<Py<PyAny>>),
}

impl Arrays {
    fn extract(obj: &Bound<'_, PyAny>) -> PyResult<Self> {
        let named = |name: &Bound<'_, PyAny>, array: &Bound<'_, PyAny>| {
            let name = format!("array {}", name.repr()?);
            extract_view(array).map_err(|error| in_place(obj.py(), &name, error))
        };
        if obj.is_instance_of::<PyTuple>() || obj.is_instance_of::<PyList>() {
            let arrays = obj.try_iter()?.enumerate();
            let views = arrays.map(|(at, array)| named(&at.into_bound_py_any(obj.py())?, &array?));
            let keys = if obj.is_instance_of::<PyTuple>() { Keys::Tuple } else { Keys::List };
            return Ok(Arrays { keys, views: lists::collect(views)? });
        }
        let Ok(mapping) = obj.cast::<PyMapping>() else {
            return Ok(Arrays { keys: Keys::Single, views: vec![extract_view(obj)?] });
        };
        let pairs = pairs(mapping)?;
        let views = lists::collect(pairs.iter().map(|(key, array)| named(key, array)))?;
        let keys = lists::collect(pairs.into_iter().map(|(key, _)| Ok(key.unbind())))?;
        Ok(Arrays { keys: Keys::Dict(keys), views })
    }
}

impl Keys {
    fn of(py: Python<'_>, structure: Structure) -> Self {
        match structure {
            Structure::Single => Keys::Single,
            Structure::Tuple => Keys::Tuple,
            Structure::List => Keys::List,
            Structure::Dict(names) => {
                let key = |name: String| PyString::new(py, &name).into_any().unbind();
                Keys::Dict(names.into_iter().map(key).collect())
            }
        }
    }

    /// As other processes can read it.
    fn structure(&self, py: Python<'_>) -> PyResult<Structure> {
        Ok(match self {
            Keys::Single => Structure::Single,
            Keys::Tuple => Structure::Tuple,
            Keys::List => Structure::List,
            Keys::Dict(keys) => {
                let text = |key: &Py<PyAny>| {
                    key.bind(py).extract::<String>().map_err(|_| {
                        PyTypeError::new_err(format!(
                            "keys of arrays shared under a name must be strings, got {}",
                            key.bind(py)
                        ))
                    })
                };
                Structure::Dict(lists::collect(keys.iter().map(text))?)
            }
        })
    }

    fn wrap(self, py: Python<'_>, views: Vec<View>) -> PyResult<Bound<'_, PyAny>> {
        let mut objects = views.into_iter().map(PyView::new);
        match self {
            Keys::Single => match objects.next() {
                Some(object) => object.into_bound_py_any(py),
                None => Err(no_array()),
            },
            Keys::Tuple => {
                let objects = objects.map(|object| Ok(Bound::new(py, object)?.into_any()));
                Ok(lists::tuple_of(py, objects)?.into_any())
            }
            Keys::List => {
                let objects = objects.map(|object| Ok(Bound::new(py, object)?.into_any()));
                Ok(lists::list_of(py, objects)?.into_any())
            }
            Keys::Dict(keys) => {
                let dict = PyDict::new(py);
                for (key, object) in keys.into_iter().zip(objects) {
                    dict.set_item(key, Bound::new(py, object)?)?;
                }
                Ok(dict.into_any())
            }
        }
    }
}

/// The one array of one.
fn one(views: Vec<View>) -> PyResult<View> {
    views.into_iter().next().ok_or_else(no_array)
}

fn no_array() -> PyErr {
    PyValueError::new_err("no array came back")
}
