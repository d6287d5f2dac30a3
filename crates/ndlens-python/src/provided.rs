//! Functions and classes that the package's Python code hands to this crate when `ndlens` is
//! imported.
//!
//! Python imports `_ndlens` and never the other way round: this crate knows no module of the
//! package by name, except that of the exceptions. `ndlens/_provided.py` hands over what is listed
//! here.

use std::sync::OnceLock;

use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A place for a function or a class.
pub(crate) struct Provided {
    name: &'static str,
    object: OnceLock<Py<PyAny>>,
}

impl Provided {
    const fn new(name: &'static str) -> Self {
        Provided { name, object: OnceLock::new() }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let missing = || PyImportError::new_err(format!("ndlens has not provided {}", self.name));
        self.object.get().map(|object| object.bind(py)).ok_or_else(missing)
    }
}

macro_rules! provided {
    ($($(#[$doc:meta])* $place:ident = $name:literal;)*) => {
        $($(#[$doc])* pub(crate) static $place: Provided = Provided::new($name);)*
        static ALL: &[&Provided] = &[$(&$place),*];
    };
}

provided! {
    /// The class `nl.Arrays`.
    ARRAYS = "Arrays";
    /// Makes an `nl.Samples` of its compiled half.
    SAMPLES = "samples";
    /// Makes an `nl.Holders` of the facts about a view's memory.
    HOLDERS = "holders";
    /// Objects in HTML, for notebooks.
    FACE = "face";
    /// Registers views with the picklers of messages.
    REGISTER_SENDERS = "register_senders";
    /// Refuses the buffer of an object whose memory is only a part of what it means.
    CHECK_WHOLE = "check_whole";
    /// The object to ask for a DLPack capsule in place of a tensor.
    STRIDED = "strided";
    /// The storage of a tensor.
    STORAGE = "storage";
    /// Why an array exports no buffer.
    UNEXPORTED = "unexported";
    /// The function that names the call for an object that is not an array.
    SUGGESTION = "suggestion";
    /// torchvision's transforms as ours.
    LOWERED = "lowered";
    /// torchvision's mixing of batches as ours.
    LOWERED_MIX = "lowered_mix";
    /// Whether transforms are of one field.
    IS_ONE_LIST = "is_one_list";
}

/// Takes what Python provides, once.
#[pyfunction]
#[pyo3(name = "_provide", signature = (**objects))]
pub(crate) fn provide(objects: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    let mut given = 0;
    for place in ALL {
        let object = objects.map(|objects| objects.get_item(place.name)).transpose()?.flatten();
        let missing = || PyTypeError::new_err(format!("_provide misses {}", place.name));
        // A module that is reloaded provides the same again.
        let _ = place.object.set(object.ok_or_else(missing)?.unbind());
        given += 1;
    }
    match objects.map_or(0, PyDictMethods::len) {
        all if all == given => Ok(()),
        all => Err(PyTypeError::new_err(format!("_provide takes {given} objects, got {all}"))),
    }
}
