//! Objects of other modules: looked up in a module that is loaded, before it is imported.
//!
//! An import holds locks that belong to the thread. A child that is forked meanwhile cannot import
//! that module: it waits for a thread that it does not have. So this module imports nothing that is
//! imported already, our own modules come with `import ndlens`, and what is looked up once is not
//! looked up under a lock.

#![expect(clippy::disallowed_methods, reason = "what they are disallowed for is done here")]

use std::sync::OnceLock;

use pyo3::PyTypeInfo;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyRange, PyRangeMethods, PySequence, PyString, PyType};

use crate::exit;

/// A module that is imported already; None if it is not, or if None hides it in `sys.modules`.
pub(crate) fn loaded<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    static SYS: OnceLock<Py<PyModule>> = OnceLock::new();
    let sys = if let Some(sys) = SYS.get() {
        sys.bind(py)
    } else {
        // Not while others wait: a fork could copy that.
        let sys = py.import("sys")?.unbind();
        SYS.get_or_init(|| sys).bind(py)
    };
    let modules = sys.getattr(interned!(py, "modules"))?;
    let found = match modules.cast::<PyDict>() {
        Ok(modules) => modules.get_item(name)?,
        Err(_) => modules.get_item(name).ok(),
    };
    Ok(found.filter(|module| !module.is_none()))
}

/// An object of a module, which is imported if it is not loaded.
pub(crate) fn get<'py>(py: Python<'py>, module: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
    // Another thread may be half-way through importing it: then it is waited for.
    if let Some(found) = loaded(py, module)?
        && let Some(object) = found.getattr_opt(name)?
    {
        return Ok(object);
    }
    let _inside = exit::enter(py);
    py.import(module)?.getattr(name)
}

/// As [`get`], of a module that is optional.
pub(crate) fn needs<'py>(
    py: Python<'py>,
    module: &str,
    name: &str,
    why: &'static str,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(found) = loaded(py, module)?
        && let Some(object) = found.getattr_opt(name)?
    {
        return Ok(object);
    }
    let _inside = exit::enter(py);
    let imported = py.import(module).map_err(|cause| {
        // Ctrl-C, or no memory, says nothing of what is installed.
        if !cause.is_instance_of::<PyImportError>(py) {
            return cause;
        }
        let error = PyImportError::new_err(why);
        error.set_cause(py, Some(cause));
        error
    });
    imported?.getattr(name)
}

/// An object of a module, looked up once.
pub(crate) struct Once {
    module: &'static str,
    name: &'static str,
    object: OnceLock<Py<PyAny>>,
}

impl Once {
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Self {
        Once { module, name, object: OnceLock::new() }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        if let Some(object) = self.object.get() {
            return Ok(object.bind(py));
        }
        let found = get(py, self.module, self.name)?;
        Ok(self.keep(&found))
    }

    /// As [`get`](Self::get), of a module that is optional.
    pub(crate) fn needs<'py>(
        &self,
        py: Python<'py>,
        why: &'static str,
    ) -> PyResult<&Bound<'py, PyAny>> {
        if let Some(object) = self.object.get() {
            return Ok(object.bind(py));
        }
        Ok(self.keep(&needs(py, self.module, self.name, why)?))
    }

    fn keep<'py>(&self, object: &Bound<'py, PyAny>) -> &Bound<'py, PyAny> {
        // Not while others wait: a fork could copy that.
        let kept = object.clone().unbind();
        self.object.get_or_init(|| kept).bind(object.py())
    }
}

/// An object of a module, looked up once for each place in the code.
macro_rules! once {
    ($py:expr, $module:literal, $name:literal) => {{
        static OBJECT: $crate::optional::Once = $crate::optional::Once::new($module, $name);
        OBJECT.get($py)
    }};
}
pub(crate) use once;

/// A string that is made once, for [`interned`].
pub(crate) struct Interned {
    text: &'static str,
    string: OnceLock<Py<PyString>>,
}

impl Interned {
    pub(crate) const fn new(text: &'static str) -> Self {
        Interned { text, string: OnceLock::new() }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        if let Some(string) = self.string.get() {
            return string.bind(py);
        }
        // Not while others wait: a fork could copy that.
        let string = PyString::intern(py, self.text).unbind();
        self.string.get_or_init(|| string).bind(py)
    }
}

/// A name as Python's string, made once. `pyo3::intern` lets other threads run while it holds a
/// lock, and a child that one of them forks then waits for the lock forever.
macro_rules! interned {
    ($py:expr, $text:expr) => {{
        static NAME: $crate::optional::Interned = $crate::optional::Interned::new($text);
        NAME.get($py)
    }};
}
pub(crate) use interned;

/// Has `PyO3` make, during the import, what it otherwise makes under such a lock when it is first
/// asked.
pub(crate) fn prepare(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    class.name()?;
    class.module()?;
    class.fully_qualified_name()?;
    PySequence::type_object(py);
    PyMapping::type_object(py);
    let range = PyRange::new(py, 0, 1)?;
    range.start()?;
    range.stop()?;
    range.step()?;
    Ok(())
}

/// Whether a module could be imported. A yes is remembered.
pub(crate) fn is_installed(py: Python<'_>, module: Optional) -> PyResult<bool> {
    static KNOWN: [OnceLock<()>; 3] = [const { OnceLock::new() }; 3];
    let name = module.name();
    if loaded(py, name)?.is_some() {
        return Ok(true);
    }
    let known = &KNOWN[module as usize];
    if known.get().is_some() {
        return Ok(true);
    }
    let _inside = exit::enter(py);
    let found = !get(py, "importlib.util", "find_spec")?.call1((name,))?.is_none();
    if found {
        known.get_or_init(|| ());
    }
    Ok(found)
}

/// Packages that need not be installed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Optional {
    Torch,
    Numpy,
    /// The package that brings bfloat16 and the 8-bit floats to NumPy, under the names we have for
    /// them.
    MlDtypes,
}

impl Optional {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Optional::Torch => "torch",
            Optional::Numpy => "numpy",
            Optional::MlDtypes => "ml_dtypes",
        }
    }
}
