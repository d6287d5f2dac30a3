//! Views as DLPack tensors and back: the in-memory structs of
//! [DLPack](https://dmlc.github.io/dlpack/latest/c_api.html) 1.x and of the unversioned protocol
//! before it.
//!
//! An exported tensor is one heap block: the C struct first, then the shape and strides it points
//! to, then the view that keeps the memory alive. Its deleter frees the block and touches nothing
//! else. The view's owner may be dropped on any thread, so the deleter may run on any thread.

#![expect(unsafe_code, reason = "speaks a C ABI; see UNSAFE.md")]

use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use crate::buffer::{Access, Buffer, Owner};
use crate::dlpack::abi::{
    DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPACK_FLAG_READ_ONLY,
    DLPACK_VERSION, DLTensor,
};
use crate::dtype::DType;
use crate::error::{CopyReason, Error, Result};
use crate::layout::dims::{Dims, MAX_NDIM};
use crate::layout::{Layout, Order, contiguous_strides};
use crate::view::View;

/// The parts of the two managed structs that an exporter and an importer need.
trait Managed: Sized + 'static {
    fn wrap(tensor: DLTensor, read_only: bool) -> Self;
    fn tensor(&mut self) -> &mut DLTensor;
    fn access(&self) -> Access;
    fn deleter(&self) -> Option<unsafe extern "C" fn(*mut Self)>;
}

impl Managed for DLManagedTensorVersioned {
    fn wrap(dl_tensor: DLTensor, read_only: bool) -> Self {
        let flags = if read_only { DLPACK_FLAG_READ_ONLY } else { 0 };
        let deleter = Some(delete::<Self> as unsafe extern "C" fn(*mut Self));
        DLManagedTensorVersioned {
            version: DLPACK_VERSION,
            manager_ctx: ptr::null_mut(),
            deleter,
            flags,
            dl_tensor,
        }
    }

    fn tensor(&mut self) -> &mut DLTensor {
        &mut self.dl_tensor
    }

    fn access(&self) -> Access {
        if self.flags & DLPACK_FLAG_READ_ONLY == 0 { Access::ReadWrite } else { Access::ReadOnly }
    }

    fn deleter(&self) -> Option<unsafe extern "C" fn(*mut Self)> {
        self.deleter
    }
}

impl Managed for DLManagedTensor {
    fn wrap(dl_tensor: DLTensor, _read_only: bool) -> Self {
        let deleter = Some(delete::<Self> as unsafe extern "C" fn(*mut Self));
        DLManagedTensor { dl_tensor, manager_ctx: ptr::null_mut(), deleter }
    }

    fn tensor(&mut self) -> &mut DLTensor {
        &mut self.dl_tensor
    }

    fn access(&self) -> Access {
        Access::ReadWrite
    }

    fn deleter(&self) -> Option<unsafe extern "C" fn(*mut Self)> {
        self.deleter
    }
}

/// An exported tensor. `managed` comes first, so a pointer to it is a pointer to the block.
#[repr(C)]
struct Export<M> {
    managed: M,
    shape: Dims<i64>,
    strides: Dims<i64>,
    _view: View,
}

/// The deleter of every exported tensor.
///
/// # Safety
///
/// `managed` must come from [`export`] with the same `M`, and not be used again.
unsafe extern "C" fn delete<M>(managed: *mut M) {
    // SAFETY: `export` leaked a Box<Export<M>> whose first field this is; the consumer calls the
    // deleter once.
    drop(unsafe { Box::from_raw(managed.cast::<Export<M>>()) });
}

/// Strides in elements, as DLPack counts them.
fn element_strides(view: &View) -> Result<Dims<i64>> {
    let itemsize = view.itemsize() as isize;
    // A stride that is never walked may be anything; consumers like that of packed memory best.
    let packed = contiguous_strides(view.shape(), view.itemsize(), Order::C);
    let mut strides = Dims::<i64>::new();
    for (axis, (&n, &stride_bytes)) in view.shape().iter().zip(view.strides()).enumerate() {
        let stride_bytes = if n > 1 && !view.is_empty() { stride_bytes } else { packed[axis] };
        if stride_bytes % itemsize != 0 {
            let reason =
                CopyReason::FractionalStride { axis, stride_bytes, itemsize: view.itemsize() };
            return Err(Error::CopyRequired { operation: "DLPack export", reason });
        }
        strides.push((stride_bytes / itemsize) as i64);
    }
    Ok(strides)
}

fn export<M: Managed>(view: &View) -> Result<NonNull<M>> {
    let dtype = view.dtype().dlpack().ok_or_else(|| view.dtype().unsupported_by("DLPack"))?;
    let strides = element_strides(view)?;
    let tensor = DLTensor {
        data: view.as_ptr().cast(),
        device: DLDevice::CPU,
        ndim: view.ndim() as i32,
        dtype,
        shape: ptr::null_mut(),
        strides: ptr::null_mut(),
        byte_offset: 0,
    };
    let block = Box::into_raw(Box::new(Export {
        managed: M::wrap(tensor, view.is_read_only()),
        shape: view.shape().iter().map(|&n| n as i64).collect(),
        strides,
        _view: view.clone(),
    }));
    // SAFETY: the block is fresh and ours. Each reference is to one field, so the pointers into the
    // others stay valid.
    unsafe {
        let (shape, strides) = ((*block).shape.as_mut_ptr(), (*block).strides.as_mut_ptr());
        let tensor = (*block).managed.tensor();
        (tensor.shape, tensor.strides) = (shape, strides);
        Ok(NonNull::new_unchecked(block.cast()))
    }
}

/// The owner of a tensor that another library made.
struct Import<M: Managed>(NonNull<M>);

impl<M: Managed> Owner for Import<M> {
    fn description(&self) -> String {
        "a DLPack tensor".to_owned()
    }
}

// SAFETY: the struct is used again only by its deleter, which DLPack lets any thread call, once.
unsafe impl<M: Managed> Send for Import<M> {}
// SAFETY: `&Import` gives no access to the struct.
unsafe impl<M: Managed> Sync for Import<M> {}

impl<M: Managed> Drop for Import<M> {
    fn drop(&mut self) {
        // SAFETY: the pointer is the live tensor `import` was given, and this is the one place that
        // frees it.
        unsafe {
            if let Some(deleter) = self.0.as_ref().deleter() {
                deleter(self.0.as_ptr());
            }
        }
    }
}

/// The dtype of a tensor's elements, and the size of each axis.
///
/// # Safety
///
/// The shape must be null or point to `ndim` sizes.
unsafe fn prototype(tensor: &DLTensor) -> Result<(DType, Dims<usize>)> {
    let invalid = |what| Error::InvalidDLPack { what };
    if !tensor.device.is_host() {
        return Err(invalid("memory is not on the CPU"));
    }
    let dtype = DType::from_dlpack(tensor.dtype).ok_or_else(|| {
        let DLDataType { code, bits, lanes } = tensor.dtype;
        let dtype = format!("DLPack code {code} with {bits} bits and {lanes} lanes");
        Error::UnsupportedDType { target: "ndlens", dtype }
    })?;
    let ndim = usize::try_from(tensor.ndim).map_err(|_| invalid("ndim is negative"))?;
    if ndim > MAX_NDIM {
        return Err(Error::TooManyDimensions { got: ndim });
    }
    if ndim == 0 {
        return Ok((dtype, Dims::new()));
    }
    if tensor.shape.is_null() {
        return Err(invalid("shape is null"));
    }
    // SAFETY: not null, and the caller guarantees `ndim` sizes.
    let sizes = unsafe { slice::from_raw_parts(tensor.shape, ndim) };
    let shape = sizes.iter().map(|&n| usize::try_from(n).map_err(|_| invalid("shape is negative")));
    Ok((dtype, shape.collect::<Result<_>>()?))
}

/// # Safety
///
/// As [`View::from_dlpack`].
unsafe fn import<M: Managed>(managed: NonNull<M>) -> Result<View> {
    let invalid = |what| Error::InvalidDLPack { what };
    // From here on every return frees the tensor, as a consumer must.
    let mut owner = Import(managed);
    // SAFETY: the caller hands over a live tensor that no other code uses.
    let managed = unsafe { owner.0.as_mut() };
    let access = managed.access();
    let tensor = managed.tensor();
    // SAFETY: the producer promises what `prototype` asks for.
    let (dtype, shape) = unsafe { prototype(tensor) }?;
    let mut strides = Dims::<isize>::new();
    if !shape.is_empty() && !tensor.strides.is_null() {
        // SAFETY: not null, and DLPack promises a stride for each axis.
        for &n in unsafe { slice::from_raw_parts(tensor.strides, shape.len()) } {
            let bytes = (n as isize).checked_mul(dtype.itemsize() as isize);
            strides.push(bytes.ok_or(invalid("a stride overflows"))?);
        }
    }
    if strides.is_empty() {
        strides = contiguous_strides(&shape, dtype.itemsize(), Order::C);
    }
    let (below, above) = Layout::reach(&shape, &strides, dtype.itemsize())?;
    let first = (tensor.data as usize)
        .checked_add(tensor.byte_offset as usize)
        .ok_or(invalid("byte_offset overflows"))?;
    let base = if above + below == 0 {
        NonNull::dangling()
    } else if tensor.data.is_null() || first < below || first.checked_add(above).is_none() {
        return Err(invalid("data is null or its elements leave the address space"));
    } else {
        let start =
            tensor.data.cast::<u8>().wrapping_add(tensor.byte_offset as usize).wrapping_sub(below);
        NonNull::new(start)
            .ok_or(invalid("data is null or its elements leave the address space"))?
    };
    // SAFETY: the producer guarantees the elements, which span exactly these bytes, until its
    // deleter runs, which is when `owner` drops.
    let buffer = unsafe { Buffer::from_raw(base, below + above, access, Arc::new(owner)) };
    View::new(buffer, Layout { shape, strides, offset: below }, dtype)
}

impl View {
    /// Whether every stride is a multiple of the itemsize.
    pub(crate) fn check_dlpack_strides(&self) -> Result<()> {
        element_strides(self).map(drop)
    }

    /// This view as a DLPack tensor on the same memory. The receiver calls its deleter once, on
    /// any thread.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedDType`] for an opaque format; [`Error::CopyRequired`] if a stride is
    /// not a whole number of elements.
    pub fn to_dlpack(&self) -> Result<NonNull<DLManagedTensorVersioned>> {
        export(self)
    }

    /// The same for consumers from before DLPack 1.0, which have no read-only tensors. Few of them
    /// accept negative strides, and PyTorch 2.12 ends the process at one.
    ///
    /// # Errors
    ///
    /// As [`View::to_dlpack`], and [`Error::ReadOnly`]; [`Error::CopyRequired`] also for a negative
    /// stride.
    pub fn to_dlpack_unversioned(&self) -> Result<NonNull<DLManagedTensor>> {
        let operation = "DLPack export without a version";
        if self.is_read_only() {
            let hint = "ask for max_version=(1, 0) or later, or call .copy() first";
            return Err(Error::ReadOnly { operation, hint });
        }
        self.check_forwards(operation)?;
        export(self)
    }

    /// New memory of zeros with the dtype, shape and device of `tensor`, whose other fields do not
    /// matter.
    ///
    /// # Errors
    ///
    /// As [`View::from_dlpack`]; [`Error::OutOfMemory`].
    ///
    /// # Safety
    ///
    /// The shape must be null or point to `ndim` sizes.
    pub unsafe fn zeros_for_dlpack(tensor: &DLTensor) -> Result<View> {
        // SAFETY: passed on.
        let (dtype, shape) = unsafe { prototype(tensor) }?;
        View::zeros(&shape, dtype, Order::C)
    }

    /// A view of a tensor that another library made. The function takes over the tensor, also if it
    /// fails.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidDLPack`], [`Error::UnsupportedDType`], [`Error::TooManyDimensions`],
    /// [`Error::SizeOverflow`].
    ///
    /// # Safety
    ///
    /// `managed` must be a live tensor of major version 1 whose pointers are null or as DLPack
    /// says, that no other code will free, and whose deleter may run on any thread.
    pub unsafe fn from_dlpack(managed: NonNull<DLManagedTensorVersioned>) -> Result<View> {
        // SAFETY: passed on.
        unsafe { import(managed) }
    }

    /// The same for a tensor from before DLPack 1.0.
    ///
    /// # Errors
    ///
    /// As [`View::from_dlpack`].
    ///
    /// # Safety
    ///
    /// As [`View::from_dlpack`], but for the version.
    pub unsafe fn from_dlpack_unversioned(managed: NonNull<DLManagedTensor>) -> Result<View> {
        // SAFETY: passed on.
        unsafe { import(managed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::index::s;

    #[test]
    fn a_view_goes_out_and_comes_back_on_the_same_memory() {
        let view = View::from_vec((0..60u32).collect()).reshape(&[3, 4, 5]).unwrap();
        let crop = view.index(&[s(1..), s(..), s(3)]).unwrap();
        let flipped = crop.flip(&[1]).unwrap();
        // SAFETY: fresh exports, taken over once.
        let back = unsafe {
            [
                View::from_dlpack(crop.to_dlpack().unwrap()).unwrap(),
                View::from_dlpack(flipped.to_dlpack().unwrap()).unwrap(),
                View::from_dlpack_unversioned(crop.to_dlpack_unversioned().unwrap()).unwrap(),
            ]
        };
        let seen = |view: &View| (view.as_ptr(), view.to_vec::<u32>().unwrap());
        let expected = [seen(&crop), seen(&flipped), seen(&crop)];
        drop((view, crop, flipped));
        assert_eq!(back.each_ref().map(seen), expected);
    }

    #[test]
    fn a_negative_stride_needs_a_version() {
        let flipped = View::from_vec(vec![1u8, 2]).flip(&[0]).unwrap();
        assert_eq!(
            flipped.to_dlpack_unversioned().unwrap_err().to_string(),
            "DLPack export without a version would need a copy: axis 0 has the negative stride -1; \
             call .copy() first"
        );
    }

    #[test]
    fn read_only_travels_with_the_versioned_tensor_and_stops_the_other() {
        let view = View::from_vec(vec![1u8, 2]).to_read_only();
        // SAFETY: a fresh export, taken over once.
        let back = unsafe { View::from_dlpack(view.to_dlpack().unwrap()) }.unwrap();
        assert!(back.is_read_only());
        let error = view.to_dlpack_unversioned().unwrap_err();
        assert!(
            error.to_string().starts_with("DLPack export without a version needs writable memory")
        );
    }

    #[test]
    fn every_dtype_of_the_table_goes_out_and_comes_back() {
        for row in DType::table() {
            let view = View::zeros(&[2, 0, 3], row.dtype.clone(), Order::C).unwrap();
            // SAFETY: a fresh export, taken over once.
            let back = unsafe { View::from_dlpack(view.to_dlpack().unwrap()) }.unwrap();
            assert_eq!((back.dtype(), back.shape()), (&row.dtype, view.shape()));
        }
    }

    #[test]
    fn views_beyond_dlpack_are_refused() {
        let layout = Layout::new(&[2], &[3], 0, 2, 5).unwrap();
        let odd = View::new(Buffer::from_vec(vec![0u8; 5]), layout, DType::U16).unwrap();
        assert_eq!(
            odd.to_dlpack().unwrap_err().to_string(),
            "DLPack export would need a copy: axis 0 has a stride of 3 bytes, not a multiple of \
             the itemsize 2; call .copy() first"
        );
        let record =
            View::zeros(&[2], DType::from_format("T{B:a:B:b:}", 2).unwrap(), Order::C).unwrap();
        assert_eq!(
            record.to_dlpack().unwrap_err().to_string(),
            "DLPack has no dtype for T{B:a:B:b:}"
        );
    }

    /// An owner that records when it is dropped.
    struct Flag(Arc<std::sync::atomic::AtomicBool>);
    impl Owner for Flag {}
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn pinned_memory_is_viewed_as_any_other() {
        let [cuda_host, rocm_host, cuda, managed] = [3, 11, 2, 13].map(|device_type| {
            let mut tensor = View::from_vec(vec![1u8, 2]).to_dlpack().unwrap();
            // SAFETY: a fresh export; then taken over once.
            unsafe {
                tensor.as_mut().dl_tensor.device = DLDevice { device_type, device_id: 0 };
                View::from_dlpack(tensor)
            }
        });
        assert_eq!(cuda_host.unwrap().to_vec::<u8>().unwrap(), [1, 2]);
        assert!(rocm_host.is_ok() && cuda.is_err() && managed.is_err());
    }

    #[test]
    fn an_inconsistent_tensor_is_refused_and_freed() {
        type Lie = fn(&mut DLTensor);
        let lies: [(Lie, &str); 7] = [
            (|t| t.ndim = -1, "invalid DLPack tensor: ndim is negative"),
            (|t| t.ndim = 65, "a view has at most 64 dimensions, got 65"),
            (|t| t.shape = ptr::null_mut(), "invalid DLPack tensor: shape is null"),
            (
                |t| t.data = ptr::null_mut(),
                "invalid DLPack tensor: data is null or its elements leave the address space",
            ),
            (|t| t.byte_offset = u64::MAX, "invalid DLPack tensor: byte_offset overflows"),
            (|t| t.device.device_type = 2, "invalid DLPack tensor: memory is not on the CPU"),
            (
                |t| t.dtype.lanes = 4,
                "ndlens has no dtype for DLPack code 1 with 8 bits and 4 lanes",
            ),
        ];
        for (lie, message) in lies {
            let freed = Arc::default();
            let mut bytes = [0u8; 4];
            // SAFETY: the array outlives the view, which this block drops.
            let buffer = unsafe {
                Buffer::from_raw(
                    NonNull::from(&mut bytes).cast(),
                    4,
                    Access::ReadWrite,
                    Arc::new(Flag(Arc::clone(&freed))),
                )
            };
            let view = View::new(buffer, Layout::contiguous(&[4], 1, Order::C).unwrap(), DType::U8)
                .unwrap();
            let mut managed = view.to_dlpack().unwrap();
            drop(view);
            // SAFETY: a fresh export, ours to spoil; then taken over once.
            let error = unsafe {
                lie(&mut managed.as_mut().dl_tensor);
                View::from_dlpack(managed)
            };
            assert_eq!(error.unwrap_err().to_string(), message);
            assert!(freed.load(std::sync::atomic::Ordering::SeqCst), "{message}");
        }
    }
}
