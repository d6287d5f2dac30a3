//! `nl.share`, `nl.empty_shared` and `nl.attach`.

use std::time::{Duration, Instant};

use ndlens::store;
use ndlens::store::named::{self, Member, Name, NamedArrays, NamedStructure, Outline, Turn};
use ndlens::{View, room};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::dtype::extract_dtype;
use crate::interop::import::extract_elements;
use crate::lists::{self, Asked};
use crate::loader::items::PyItems;
use crate::store::senders::register_senders;
use crate::store::shards::PyShards;
use crate::store::share_items::{self, SharedField, SharedFields};
use crate::trace;
use crate::view::object::PyView;

/// The first and the longest pause between two look-ups of a name, during which Ctrl-C waits.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Copies arrays to shared memory, once, and gives views of it.
///
/// Sent to other processes, by pickle in any form, such a view is some hundred bytes, and is a view
/// of the same memory there. Ragged items and windows come back as such, on copies of what they are
/// of; shards and subsets as one array. Windows cannot be shared by name. The copies are writable,
/// C-contiguous and start at multiples of 64 bytes, all in one block of memory (one descriptor).
/// The memory is freed with the last view on it, in any process, also if that is killed; nothing is
/// left behind. It does not need /dev/shm.
///
/// Args:
///     `obj`: Anything `nl.view` takes, or a dict, tuple or list of such, which comes back in the
///         same structure. With a `name` also a function without arguments that returns the arrays;
///         only the process that creates calls it. Keys of a dict are strings then.
///     `name`: Name under which all processes of one user on one machine see one copy: the first
///         creates it, the others wait until it is filled and give the same memory in place of
///         their own arrays.
///     `timeout`: Seconds that the others wait; None for any time.
///
/// Raises:
///     `MemoryError`: There is not enough memory.
///     `ValueError`: The name is bad, or taken for arrays of another structure, shape or dtype.
///     `TimeoutError`: The copy is not filled in time.
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
    let _inside = exit::enter(py);
    register_senders(py, false)?;
    let Some(name) = name else {
        let (keys, parts) = Keys::extract(obj, extract_part)?;
        if parts.iter().any(|part| !matches!(part, SharedField::View(_))) {
            let objects = share_items::share(py, parts)?;
            return keys.wrap_objects(py, objects);
        }
        let view = |part| if let SharedField::View(view) = part { Some(Ok(view)) } else { None };
        let views = lists::collect(parts.into_iter().filter_map(view))?;
        let views = trace::copying(py, "nl.share", bytes_of(&views), || {
            exit::detach(py, || store::share(&views)).or_raise()
        })?;
        return keys.wrap(py, views);
    };
    let name = Name::new(name).or_raise()?;
    let made = if obj.is_callable() { None } else { Some(NamedFields::extract(obj)?) };
    let turn = wait(py, timeout, &mut || match named::take_turn(&name) {
        Ok(Turn::Wait) => Ok(None),
        turn => turn.map(Some),
    })?;
    match turn {
        Some(Turn::Attached(contents)) => {
            if let Some(made) = &made {
                made.outlined(|outline| contents.check(&name, outline).or_raise())?;
            }
            wrap_named(py, contents)
        }
        Some(Turn::Create(creation)) => {
            let made = match made {
                Some(made) => made,
                None => NamedFields::extract(&obj.call0()?)?,
            };
            let views = trace::copying(py, "nl.share", made.fields.nbytes(), || {
                exit::detach(py, || {
                    made.outlined(|outline| {
                        let filling = creation.allocate(outline).or_raise()?;
                        made.fields.copy_to(filling.views())?;
                        Ok(filling.publish())
                    })
                })
            })?;
            let objects = made.fields.objects(py, &views)?;
            made.keys.wrap_objects(py, objects)
        }
        Some(Turn::Wait) | None => Err(PyTimeoutError::new_err(format!(
            "another process is still creating the shared memory {name} after {} seconds",
            timeout.unwrap_or_default()
        ))),
    }
}

/// The arrays that another process of this user shares under a name, in their structure.
///
/// The memory lives as long as any process holds it, also if the process that created it is gone.
/// All see changes.
///
/// Args:
///     `name`: Name that was given to `nl.share`.
///     `timeout`: Seconds to wait until it is shared; None for any time.
///
/// Raises:
///     `TimeoutError`: No process shares it in time.
///     `ValueError`: The name is bad.
///
/// >>> import ndlens as nl
/// >>> mine = nl.share(bytearray(4), name="attach-example")
/// >>> yours = nl.attach("attach-example")
/// >>> yours[0] = 7
/// >>> mine[0]
/// 7
#[pyfunction]
#[pyo3(
    signature = (name, /, *, timeout = Some(60.0)),
    text_signature = "(name, /, *, timeout=60.0)"
)]
pub(crate) fn attach<'py>(
    py: Python<'py>,
    name: &str,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let _inside = exit::enter(py);
    register_senders(py, false)?;
    let name = Name::new(name).or_raise()?;
    match wait(py, timeout, &mut || named::find(&name))? {
        Some(contents) => wrap_named(py, contents),
        None => Err(PyTimeoutError::new_err(format!(
            "no process of this user shares {name} after {} seconds",
            timeout.unwrap_or_default()
        ))),
    }
}

/// An array of zeros in shared memory, to fill in place; otherwise as `nl.share` gives it.
///
/// Args:
///     `shape`: Size of each axis.
///     `dtype`: A name, a NumPy or a torch dtype.
///
/// Raises:
///     `MemoryError`: There is not enough memory.
///     `TypeError`: ndlens has no such dtype.
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
    let _inside = exit::enter(py);
    register_senders(py, false)?;
    let dtype = extract_dtype(dtype)?;
    let shape: Vec<isize> = match shape.extract().if_taken(py)? {
        Some(size) => vec![size],
        None => lists::extract_axes(shape)?,
    };
    let negative = |_| PyValueError::new_err(format!("shape must not be negative, got {shape:?}"));
    let sizes = shape.iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>();
    let sizes = sizes.map_err(negative)?;
    let views = exit::detach(py, || store::empty_shared(&[(&sizes, dtype)])).or_raise()?;
    one(views).map(PyView::new)
}

/// Seconds as a duration; more than it can hold, infinity too, is the longest there is.
pub(crate) fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("{name} must be at least 0, got {seconds}")));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Asks repeatedly, detached, until there is an answer; None if there is none in time.
fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    ask: &mut (dyn FnMut() -> store::Result<Option<T>> + Send),
) -> PyResult<Option<T>> {
    let timeout = timeout.map(|seconds| duration("timeout", seconds)).transpose()?;
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut pause = PAUSES.0;
    loop {
        if let Some(answer) = exit::detach(py, &mut *ask).or_raise()? {
            return Ok(Some(answer));
        }
        py.check_signals()?;
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        exit::detach(py, || std::thread::sleep(left.map_or(pause, |left| left.min(pause))));
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Fields that are to be shared by name, and the structure they were given in.
struct NamedFields {
    keys: Keys,
    structure: NamedStructure,
    members: Vec<Member>,
    fields: SharedFields,
}

/// Structure of the arrays that are given and returned.
enum Keys {
    Single,
    Tuple,
    List,
    Dict(Vec<Py<PyAny>>),
}

impl NamedFields {
    fn extract(obj: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = obj.py();
        let (keys, parts) = Keys::extract(obj, |array| {
            let part = extract_part(array)?;
            Ok((part.member()?, part))
        })?;
        let structure = keys.structure(py)?;
        let mut members = room::with_room_for(parts.len()).or_raise()?;
        let parts = parts.into_iter().map(|(member, part)| {
            members.push(member);
            Ok(part)
        });
        let parts = lists::collect(parts)?;
        Ok(NamedFields { keys, structure, members, fields: SharedFields::new(py, parts)? })
    }

    fn outlined<T>(&self, then: impl FnOnce(Outline<'_>) -> PyResult<T>) -> PyResult<T> {
        let NamedFields { structure, members, .. } = self;
        then(Outline { structure, members, arrays: &self.fields.arrays()? })
    }
}

fn wrap_named(py: Python<'_>, contents: NamedArrays) -> PyResult<Bound<'_, PyAny>> {
    let NamedArrays { structure, members, views } = contents;
    let objects = share_items::objects_of(py, members, views)?;
    Keys::of(py, structure)?.wrap_objects(py, objects)
}

/// An array, or items or shards, of which there may be several.
fn extract_part(array: &Bound<'_, PyAny>) -> PyResult<SharedField> {
    if let Ok(items) = array.cast::<PyItems>() {
        return Ok(SharedField::of_items(array.py(), items.get()));
    }
    if let Ok(shards) = array.cast::<PyShards>() {
        return Ok(SharedField::Rows(shards.get().source()));
    }
    extract_elements(array).map(SharedField::View)
}

impl Keys {
    /// The keys, and the result of `extract_one` for each array.
    fn extract<T>(
        obj: &Bound<'_, PyAny>,
        extract_one: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> PyResult<(Self, Vec<T>)> {
        let named = |name: &Bound<'_, PyAny>, array: &Bound<'_, PyAny>| {
            let name = format!("array {}", name.repr()?);
            extract_one(array).map_err(|error| in_place(obj.py(), &name, error))
        };
        if obj.is_instance_of::<PyTuple>() || obj.is_instance_of::<PyList>() {
            let arrays = obj.try_iter()?.enumerate();
            let parts = arrays.map(|(at, array)| named(&at.into_bound_py_any(obj.py())?, &array?));
            let keys = if obj.is_instance_of::<PyTuple>() { Keys::Tuple } else { Keys::List };
            return Ok((keys, lists::collect(parts)?));
        }
        let Ok(mapping) = obj.cast::<PyMapping>() else {
            return Ok((Keys::Single, vec![extract_one(obj)?]));
        };
        let pairs = lists::pairs(mapping)?;
        let parts = lists::collect(pairs.iter().map(|(key, array)| named(key, array)))?;
        let keys = lists::collect(pairs.into_iter().map(|(key, _)| Ok(key.unbind())))?;
        Ok((Keys::Dict(keys), parts))
    }

    fn of(py: Python<'_>, structure: NamedStructure) -> PyResult<Self> {
        Ok(match structure {
            NamedStructure::Single => Keys::Single,
            NamedStructure::Tuple => Keys::Tuple,
            NamedStructure::List => Keys::List,
            NamedStructure::Dict(names) => {
                let key = |name: String| lists::string(py, &name).map(Bound::unbind);
                Keys::Dict(lists::collect(names.into_iter().map(key))?)
            }
        })
    }

    /// As other processes can read it.
    fn structure(&self, py: Python<'_>) -> PyResult<NamedStructure> {
        Ok(match self {
            Keys::Single => NamedStructure::Single,
            Keys::Tuple => NamedStructure::Tuple,
            Keys::List => NamedStructure::List,
            Keys::Dict(keys) => {
                let text = |key: &Py<PyAny>| {
                    key.bind(py).extract::<String>().map_err(|_| {
                        PyTypeError::new_err(format!(
                            "keys of arrays shared under a name must be strings, got {}",
                            key.bind(py)
                        ))
                    })
                };
                NamedStructure::Dict(lists::collect(keys.iter().map(text))?)
            }
        })
    }

    fn wrap(self, py: Python<'_>, views: Vec<View>) -> PyResult<Bound<'_, PyAny>> {
        let objects = views.into_iter().map(|view| PyView::new(view).into_bound_py_any(py));
        let objects = lists::collect(objects)?;
        self.wrap_objects(py, objects)
    }

    fn wrap_objects<'py>(
        self,
        py: Python<'py>,
        objects: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Keys::Single => objects.into_iter().next().ok_or_else(no_array),
            Keys::Tuple => Ok(lists::tuple_of(py, objects.into_iter().map(Ok))?.into_any()),
            Keys::List => Ok(lists::list_of(py, objects.into_iter().map(Ok))?.into_any()),
            Keys::Dict(keys) => {
                let dict = PyDict::new(py);
                for (key, object) in keys.into_iter().zip(objects) {
                    dict.set_item(key, object)?;
                }
                Ok(dict.into_any())
            }
        }
    }
}

/// Bytes of all elements.
fn bytes_of(views: &[View]) -> usize {
    views.iter().map(View::nbytes).sum()
}

/// The one array of one.
fn one(views: Vec<View>) -> PyResult<View> {
    views.into_iter().next().ok_or_else(no_array)
}

fn no_array() -> PyErr {
    PyValueError::new_err("no array came back")
}
