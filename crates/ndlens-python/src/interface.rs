//! Objects in through the array interface, version 3: a dict that says where an array is.
//!
//! The dict is taken at its word for the memory, as everyone must who reads it; everything else in it is checked.

#![expect(unsafe_code, reason = "claims memory at an address it is told; see UNSAFE.md")]

use std::ptr::NonNull;
use std::sync::Arc;

use ndlens::{Access, Buffer, DType, Layout, Order, Owner, View};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::OrRaise;

/// A Python object that keeps memory alive by being alive.
struct Kept(Option<Py<PyAny>>);

impl Owner for Kept {}

impl Drop for Kept {
    fn drop(&mut self) {
        let object = self.0.take();
        // Any thread may come here. Once the interpreter is gone, so is all it could free: leak.
        let mut object = std::mem::ManuallyDrop::new(object);
        crate::import::attached(|_| drop(object.take()));
    }
}

fn bad(what: &str) -> PyErr {
    PyTypeError::new_err(format!("invalid __array_interface__: {what}"))
}

/// A view of what the object's `__array_interface__` describes.
pub(crate) fn import(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    let interface = obj.getattr("__array_interface__")?;
    let interface = interface.cast::<PyDict>().map_err(|_| bad("it is not a dict"))?;
    let entry = |name: &str| PyResult::Ok(interface.get_item(name)?.filter(|value| !value.is_none()));
    let needed = |name: &str| entry(name)?.ok_or_else(|| bad(&format!("it has no {name:?}")));

    let typestr: String = needed("typestr")?.extract().map_err(|_| bad("\"typestr\" is not a string"))?;
    let dtype = DType::from_typestr(&typestr).map_err(|_| {
        let dtype = format!("typestr {typestr:?}");
        ndlens::Error::UnsupportedDType { target: "ndlens", dtype }
    });
    let dtype = dtype.or_raise()?;
    let sizes: Vec<isize> =
        needed("shape")?.extract().map_err(|_| bad("\"shape\" is not a tuple of integers"))?;
    let shape: Result<Vec<usize>, _> = sizes.into_iter().map(usize::try_from).collect();
    let shape = shape.map_err(|_| bad("\"shape\" is negative"))?;
    let strides: Option<Vec<isize>> = match entry("strides")? {
        Some(strides) => Some(strides.extract().map_err(|_| bad("\"strides\" is not a tuple of integers"))?),
        None => None,
    };
    let data = needed("data").map_err(|_| bad("\"data\" must be a tuple (address, read-only)"))?;
    let data = data.cast::<PyTuple>().map_err(|_| bad("\"data\" must be a tuple (address, read-only)"))?;
    let (address, read_only): (usize, Bound<'_, PyAny>) =
        data.extract().map_err(|_| bad("\"data\" must be a tuple (address, read-only)"))?;
    let read_only = read_only.is_truthy()?;
    if entry("mask")?.is_some() {
        return Err(bad("masked arrays have no elements where they are masked"));
    }

    let itemsize = dtype.itemsize();
    let strides = match strides {
        Some(strides) => strides,
        None => Layout::contiguous(&shape, itemsize, Order::C).or_raise()?.strides().to_vec(),
    };
    let (below, above) = Layout::reach(&shape, &strides, itemsize).or_raise()?;
    let base = if below + above == 0 {
        NonNull::dangling()
    } else {
        let start = address.checked_sub(below).filter(|_| address.checked_add(above).is_some());
        let start = start.and_then(|start| NonNull::new(std::ptr::with_exposed_provenance_mut(start)));
        start.ok_or_else(|| bad("\"data\" is null or its elements leave the address space"))?
    };
    let access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
    let owner = Kept(Some(obj.clone().unbind()));
    // SAFETY: the object vouches for the elements, which span exactly these bytes, as long as it lives, which is as long
    // as the owner does.
    let buffer = unsafe { Buffer::from_raw(base, below + above, access, Arc::new(owner)) };
    let layout = Layout::new(&shape, &strides, below, itemsize, below + above).or_raise()?;
    View::new(buffer, layout, dtype).or_raise()
}
