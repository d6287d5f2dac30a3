//! Objects in through the array interface, version 3: a dict (`__array_interface__`) or a C struct
//! in a capsule (`__array_struct__`) that describes an array.
//!
//! No consumer can check that there is memory at the address they name. All else is checked, and
//! elements in a buffer must be inside it.

#![expect(unsafe_code, reason = "claims memory at an address from an object; see UNSAFE.md")]

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use ndlens::{Access, Buffer, DType, Error, Layout, MAX_NDIM, Order, Owner, View};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyTuple};

use crate::error::OrRaise;
use crate::interop::buffer::attached;
use crate::interop::dtype::extract_dtype;
use crate::interop::exporter::extract_buffer;
use crate::lists;
use crate::optional;

/// A Python object that keeps memory alive by being alive.
pub(crate) struct Kept(Option<Py<PyAny>>);

impl Kept {
    /// The object.
    pub(crate) fn object(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.0.as_ref().map(|object| object.clone_ref(py))
    }
}

impl Owner for Kept {
    fn description(&self) -> String {
        "an object with an array interface".to_owned()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let object = self.0.take();
        // Any thread may drop the owner. Once the interpreter is gone, so is all it could free:
        // leak.
        let mut object = std::mem::ManuallyDrop::new(object);
        attached(|_| drop(object.take()));
    }
}

/// Description of the elements, the same for both forms.
struct Elements {
    dtype: DType,
    shape: Vec<usize>,
    strides: Option<Vec<isize>>,
}

fn bad(what: &str) -> PyErr {
    PyTypeError::new_err(format!("invalid __array_interface__: {what}"))
}

fn bad_struct(what: &str) -> PyErr {
    PyTypeError::new_err(format!("invalid __array_struct__: {what}"))
}

/// An entry that exists and is not None.
fn entry<'py>(interface: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(interface.get_item(name)?.filter(|value| !value.is_none()))
}

/// Whether the elements are in the buffer that the object itself exports.
pub(crate) fn is_of_own_buffer(interface: &Bound<'_, PyAny>) -> PyResult<bool> {
    match interface.cast::<PyDict>() {
        Ok(interface) => Ok(interface.contains("typestr")? && entry(interface, "data")?.is_none()),
        Err(_) => Ok(false),
    }
}

/// A view of what `interface`, the object's `__array_interface__`, describes.
pub(crate) fn import(obj: &Bound<'_, PyAny>, interface: &Bound<'_, PyAny>) -> PyResult<View> {
    let interface = interface.cast::<PyDict>().map_err(|_| bad("it is not a dict"))?;
    let elements = elements(interface)?;
    if entry(interface, "mask")?.is_some() {
        return Err(bad(
            "masked arrays have no elements where they are masked; call .filled(value)",
        ));
    }
    let offset = entry(interface, "offset")?;
    let offset = offset.map_or(Ok(0), |offset| offset.extract::<usize>());
    let offset = offset.map_err(|_| bad("\"offset\" is not a number of bytes"))?;
    let Some(data) = entry(interface, "data")? else {
        // SAFETY: the check reads the object's type and nothing else.
        if unsafe { ffi::PyObject_CheckBuffer(obj.as_ptr()) } == 0 {
            return Err(bad("it has no \"data\", and the object exports no buffer"));
        }
        return elements.in_buffer(obj, offset);
    };
    let pair = "\"data\" must be a tuple (address, read-only) or an object that exports a buffer";
    if let Ok(data) = data.cast::<PyTuple>() {
        let (address, read_only): (usize, Bound<'_, PyAny>) =
            data.extract().map_err(|_| bad(pair))?;
        if offset != 0 {
            return Err(bad("\"offset\" is of a buffer, and \"data\" is an address"));
        }
        let access = if read_only.is_truthy()? { Access::ReadOnly } else { Access::ReadWrite };
        let nowhere = || bad("\"data\" is null or its elements leave the address space");
        return elements.at_address(obj.clone(), address, access, nowhere);
    }
    // SAFETY: as above.
    if unsafe { ffi::PyObject_CheckBuffer(data.as_ptr()) } == 0 {
        return Err(bad(pair));
    }
    elements.in_buffer(&data, offset)
}

/// The dtype, shape and strides in an interface's dict.
fn elements(interface: &Bound<'_, PyDict>) -> PyResult<Elements> {
    let needed =
        |name: &str| entry(interface, name)?.ok_or_else(|| bad(&format!("it has no {name:?}")));
    let typestr: String =
        needed("typestr")?.extract().map_err(|_| bad("\"typestr\" is not a string"))?;
    let dtype = dtype_of_typestr(&typestr)?;
    let dtype = match entry(interface, "descr")? {
        // Raw bytes may be records, which only NumPy has a class for.
        Some(descr) if typestr.get(1..2) == Some("V") => {
            let record = optional::get(interface.py(), "numpy", "dtype")?.call1((descr,))?;
            let record = extract_dtype(&record)?;
            if record.itemsize() != dtype.itemsize() {
                return Err(bad("\"descr\" and \"typestr\" differ in size"));
            }
            record
        }
        _ => dtype,
    };
    let sizes = extract_sizes(&needed("shape")?, "shape")?;
    let shape: Result<Vec<usize>, _> = sizes.into_iter().map(usize::try_from).collect();
    let shape = shape.map_err(|_| bad("\"shape\" is negative"))?;
    let strides = entry(interface, "strides")?;
    let strides = strides.map(|strides| extract_sizes(&strides, "strides")).transpose()?;
    Ok(Elements { dtype, shape, strides })
}

/// A number for each axis, under this name in the interface.
fn extract_sizes(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<isize>> {
    let py = object.py();
    let refuse = || bad(&format!("{name:?} is not a tuple of integers"));
    if !object.is_instance_of::<PyTuple>() && !object.is_instance_of::<PyList>() {
        return Err(refuse());
    }
    lists::extract_axes(object).map_err(|error| {
        // More than any view has axes.
        let too_many = error.is_instance_of::<PyValueError>(py);
        if lists::is_refusal(py, &error) && !too_many { refuse() } else { error }
    })
}

fn dtype_of_typestr(typestr: &str) -> PyResult<DType> {
    let known = DType::from_typestr(typestr).map_err(|error| match error {
        Error::UnknownDType { .. } => {
            Error::UnsupportedDType { target: "ndlens", dtype: format!("typestr {typestr:?}") }
        }
        other => other,
    });
    known.or_raise()
}

impl Elements {
    /// The strides in bytes, those of packed elements if the interface has none.
    fn strides(&self) -> PyResult<Vec<isize>> {
        if let Some(strides) = &self.strides {
            return Ok(strides.clone());
        }
        let packed = Layout::contiguous(&self.shape, self.dtype.itemsize(), Order::C).or_raise()?;
        Ok(packed.strides().to_vec())
    }

    /// A view of elements `offset` bytes into the buffer that an object exports.
    fn in_buffer(self, exporter: &Bound<'_, PyAny>, offset: usize) -> PyResult<View> {
        let bytes = extract_buffer(exporter)?;
        if !bytes.is_contiguous(Order::C) && !bytes.is_contiguous(Order::F) {
            return Err(bad("the buffer is not contiguous"));
        }
        let (itemsize, len) = (self.dtype.itemsize(), bytes.nbytes());
        // Packed elements begin where the buffer does.
        let layout =
            Layout::new(&self.shape, &self.strides()?, offset, itemsize, len).or_raise()?;
        View::new(bytes.buffer().clone(), layout, self.dtype).or_raise()
    }

    /// A view of elements from `address` on, which exist as long as `owner` lives.
    fn at_address(
        self,
        owner: Bound<'_, PyAny>,
        address: usize,
        access: Access,
        nowhere: impl Fn() -> PyErr,
    ) -> PyResult<View> {
        let (itemsize, strides) = (self.dtype.itemsize(), self.strides()?);
        let (below, above) = Layout::reach(&self.shape, &strides, itemsize).or_raise()?;
        let base = if below + above == 0 {
            NonNull::dangling()
        } else {
            let start = address.checked_sub(below).filter(|_| address.checked_add(above).is_some());
            let start =
                start.and_then(|start| NonNull::new(std::ptr::with_exposed_provenance_mut(start)));
            start.ok_or_else(nowhere)?
        };
        let owner = Kept(Some(owner.unbind()));
        // SAFETY: the object guarantees the elements, which span exactly these bytes, as long as
        // it lives, which is as long as the owner does.
        let buffer = unsafe { Buffer::from_raw(base, below + above, access, Arc::new(owner)) };
        let layout =
            Layout::new(&self.shape, &strides, below, itemsize, below + above).or_raise()?;
        View::new(buffer, layout, self.dtype).or_raise()
    }
}

/// NumPy's `PyArrayInterface`.
#[repr(C)]
struct ArrayStruct {
    /// The number 2, by which a consumer recognises the struct.
    two: c_int,
    nd: c_int,
    typekind: c_char,
    itemsize: c_int,
    flags: c_int,
    shape: *const isize,
    strides: *const isize,
    data: *mut c_void,
    /// The dict's `descr`, if the flag for it is set.
    descr: *mut ffi::PyObject,
}

/// Flags of the struct: the byte order is this machine's; the memory may be written; the struct has
/// a `descr`.
const NATIVE: c_int = 0x200;
const WRITABLE: c_int = 0x400;
const HAS_DESCR: c_int = 0x800;

/// A view of what `capsule`, the object's `__array_struct__`, describes.
pub(crate) fn import_struct(obj: &Bound<'_, PyAny>, capsule: &Bound<'_, PyAny>) -> PyResult<View> {
    let py = obj.py();
    let capsule = capsule.cast::<PyCapsule>().map_err(|_| bad_struct("it is not a capsule"))?;
    let told = capsule.pointer_checked(None).map_err(|_| bad_struct("its capsule has a name"))?;
    // SAFETY: a capsule without a name, given as `__array_struct__`, holds this struct, which lives
    // as long as it.
    let told = unsafe { told.cast::<ArrayStruct>().as_ref() };
    if told.two != 2 {
        return Err(bad_struct("it does not begin with 2"));
    }
    let ndim = usize::try_from(told.nd).map_err(|_| bad_struct("nd is negative"))?;
    if ndim > MAX_NDIM {
        return Err(Error::TooManyDimensions { got: ndim }).or_raise();
    }
    let itemsize =
        usize::try_from(told.itemsize).map_err(|_| bad_struct("itemsize is negative"))?;
    // NumPy counts text in characters of 4 bytes.
    let kind = char::from(u8::from_ne_bytes(told.typekind.to_ne_bytes()));
    let count = if kind == 'U' { itemsize / 4 } else { itemsize };
    let order = if told.flags & NATIVE == 0 { '>' } else { '<' };
    let mut dtype = dtype_of_typestr(&format!("{order}{kind}{count}"))?;
    if kind == 'V' && told.flags & HAS_DESCR != 0 && !told.descr.is_null() {
        // SAFETY: not null, so an object that the struct holds.
        let descr = unsafe { Bound::from_borrowed_ptr(py, told.descr) };
        dtype = extract_dtype(&optional::get(py, "numpy", "dtype")?.call1((descr,))?)?;
    }
    if dtype.itemsize() != itemsize {
        return Err(bad_struct("itemsize is not that of its dtype"));
    }
    if ndim > 0 && told.shape.is_null() {
        return Err(bad_struct("shape is null"));
    }
    let (mut shape, mut strides) = (vec![], None);
    if ndim > 0 {
        // SAFETY: not null, and the struct has `nd` sizes.
        let sizes = unsafe { slice::from_raw_parts(told.shape, ndim) };
        let sizes: Result<_, _> = sizes.iter().map(|&n| usize::try_from(n)).collect();
        shape = sizes.map_err(|_| bad_struct("shape is negative"))?;
        // SAFETY: if it is not null, it has `nd` strides.
        strides = (!told.strides.is_null())
            .then(|| unsafe { slice::from_raw_parts(told.strides, ndim) }.to_vec());
    }
    let access = if told.flags & WRITABLE == 0 { Access::ReadOnly } else { Access::ReadWrite };
    let address = told.data.expose_provenance();
    // The memory is the object's; the capsule may hold what the struct points to.
    let owner = (obj, capsule).into_pyobject(py)?.into_any();
    let nowhere = || bad_struct("data is null or its elements leave the address space");
    Elements { dtype, shape, strides }.at_address(owner, address, access, nowhere)
}
