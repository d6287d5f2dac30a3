//! Tensors that another library made, with any fields, and tensors that ndlens makes.
//!
//! DLPack has no length of the memory, so a false shape cannot be seen. What can be checked is: a
//! tensor is refused or has its elements where its fields say, nothing is read before that, and the
//! deleter is called once, whatever happens.

#![expect(unsafe_code, reason = "speaks a C ABI; see UNSAFE.md")]

use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arbitrary::{Arbitrary, Result, Unstructured};
use ndlens_core::{
    DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPACK_FLAG_READ_ONLY,
    DLPackVersion, DLTensor, DType, MAX_NDIM, View,
};

use crate::files;
use crate::grid::Grid;
use crate::numbers::{self, Small, integers, list};
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "dlpack",
    promise: "a tensor's elements are where its fields say, or it is refused; it is freed once",
    run: |data| numbers::read(data, run),
    max_len: 256,
};

/// Bytes of the memory that tensors claim to be in.
const LEN: usize = 1 << 12;

/// A tensor with all that it points to. Its context counts how often it was freed.
struct Exported<M> {
    managed: M,
    /// What the tensor points to.
    _axes: [Vec<i64>; 2],
    memory: Vec<u8>,
    freed: Arc<AtomicUsize>,
}

trait Managed: Sized {
    fn context(&self) -> *mut Exported<Self>;
}

impl Managed for DLManagedTensorVersioned {
    fn context(&self) -> *mut Exported<Self> {
        self.manager_ctx.cast()
    }
}

impl Managed for DLManagedTensor {
    fn context(&self) -> *mut Exported<Self> {
        self.manager_ctx.cast()
    }
}

unsafe extern "C" fn free<M: Managed>(managed: *mut M) {
    // SAFETY: `export` leaked this block, and its tensor is freed at most once; a second time is a
    // finding that the sanitizer reports.
    let exported = unsafe { Box::from_raw((*managed).context()) };
    exported.freed.fetch_add(1, Ordering::Relaxed);
}

/// The fields as a hostile producer writes them.
#[derive(Debug)]
struct Fields {
    version: DLPackVersion,
    flags: u64,
    device: DLDevice,
    ndim: i32,
    dtype: DLDataType,
    shape: Option<Vec<i64>>,
    strides: Option<Vec<i64>>,
    /// The place of `data` in the memory; None for null.
    data: Option<u16>,
    byte_offset: u64,
    has_deleter: bool,
}

fn fields(u: &mut Unstructured<'_>) -> Result<Fields> {
    let wide = |list: Vec<isize>| -> Vec<i64> { list.into_iter().map(|n| n as i64).collect() };
    let mut shape = wide(integers(&list::<Small>(u, 6)?));
    let ndim = match u8::arbitrary(u)? {
        255 => i32::MIN,
        254 => i32::MAX,
        253 => -1,
        252 => MAX_NDIM as i32 + 1,
        251 => MAX_NDIM as i32,
        _ => shape.len() as i32,
    };
    // The producer's promise: as many sizes as axes, as far as they are read.
    shape.resize(shape.len().max(MAX_NDIM + 1), 1);
    let mut strides = wide(integers(&list::<Small>(u, 6)?));
    strides.resize(MAX_NDIM + 1, 1);
    let known = u.choose(DType::table())?.dlpack;
    let dtype = match u8::arbitrary(u)? {
        250.. => DLDataType { code: u8::arbitrary(u)?, bits: u8::arbitrary(u)?, lanes: 1 },
        249 => DLDataType { lanes: u16::arbitrary(u)?, ..known },
        _ => known,
    };
    Ok(Fields {
        version: DLPackVersion { major: 1, minor: u8::arbitrary(u)?.into() },
        flags: u8::arbitrary(u)?.into(),
        device: DLDevice {
            device_type: *u.choose(&[1, 1, 1, 1, 3, 11, 2, -1, 0])?,
            device_id: i8::arbitrary(u)?.into(),
        },
        ndim,
        dtype,
        shape: (u8::arbitrary(u)? < 250).then_some(shape),
        strides: (u8::arbitrary(u)? < 128).then_some(strides),
        data: (u8::arbitrary(u)? < 250).then_some(u16::arbitrary(u)? % LEN as u16),
        byte_offset: match u8::arbitrary(u)? {
            255 => u64::MAX,
            254 => 1 << 63,
            byte => byte.into(),
        },
        has_deleter: u8::arbitrary(u)? < 240,
    })
}

/// A tensor of these fields; what it points to is in its block.
fn export<M: Managed>(
    fields: &Fields,
    freed: &Arc<AtomicUsize>,
    wrap: impl FnOnce(DLTensor) -> M,
) -> Exported<M> {
    let mut shape = fields.shape.clone().unwrap_or_default();
    let mut strides = fields.strides.clone().unwrap_or_default();
    let mut memory: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
    let or_null = |given: bool, pointer: *mut i64| if given { pointer } else { ptr::null_mut() };
    let tensor = DLTensor {
        data: match fields.data {
            Some(at) => memory.as_mut_ptr().wrapping_add(at.into()).cast(),
            None => ptr::null_mut(),
        },
        device: fields.device,
        ndim: fields.ndim,
        dtype: fields.dtype,
        shape: or_null(fields.shape.is_some(), shape.as_mut_ptr()),
        strides: or_null(fields.strides.is_some(), strides.as_mut_ptr()),
        byte_offset: fields.byte_offset,
    };
    let freed = freed.clone();
    Exported { managed: wrap(tensor), _axes: [shape, strides], memory, freed }
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let fields = fields(u)?;
    let freed = Arc::new(AtomicUsize::new(0));
    let (base, imported) = if bool::arbitrary(u)? {
        let exported = export(&fields, &freed, |dl_tensor| DLManagedTensorVersioned {
            version: fields.version,
            manager_ctx: ptr::null_mut(),
            deleter: fields.has_deleter.then_some(free::<DLManagedTensorVersioned>),
            flags: fields.flags,
            dl_tensor,
        });
        let base = exported.memory.as_ptr();
        let block: *mut Exported<DLManagedTensorVersioned> = Box::into_raw(Box::new(exported));
        // SAFETY: the block is ours until its deleter runs.
        let managed = unsafe {
            (*block).managed.manager_ctx = block.cast();
            NonNull::from(&mut (*block).managed)
        };
        // SAFETY: the tensor is live, its pointers are null or lead to as many numbers as any rank
        // has, and no other code frees it.
        let imported = unsafe { View::from_dlpack(managed) };
        (base, Imported::of(imported, block, fields.has_deleter))
    } else {
        let exported = export(&fields, &freed, |dl_tensor| DLManagedTensor {
            dl_tensor,
            manager_ctx: ptr::null_mut(),
            deleter: fields.has_deleter.then_some(free::<DLManagedTensor>),
        });
        let base = exported.memory.as_ptr();
        let block: *mut Exported<DLManagedTensor> = Box::into_raw(Box::new(exported));
        // SAFETY: as above.
        let managed = unsafe {
            (*block).managed.manager_ctx = block.cast();
            NonNull::from(&mut (*block).managed)
        };
        // SAFETY: as above.
        let imported = unsafe { View::from_dlpack_unversioned(managed) };
        (base, Imported::of(imported, block, fields.has_deleter))
    };
    let count = || freed.load(Ordering::Relaxed);
    match imported.view {
        Err(_) => assert_eq!(count(), usize::from(fields.has_deleter), "freed at a refusal"),
        Ok(view) => {
            assert_eq!(count(), 0, "freed while a view is alive");
            is_there(&view, &fields, base);
            let part = view.flip(&[]).expect("no axes");
            drop(view);
            assert_eq!(count(), 0, "freed while a view of the view is alive");
            goes_on(&part, &fields, base, &count);
            drop(part);
            assert_eq!(count(), usize::from(fields.has_deleter), "freed with the last view");
        }
    }
    Ok(())
}

/// An import, and the block of a tensor that nothing else frees.
struct Imported {
    view: ndlens_core::Result<View>,
    _block: Option<Box<dyn std::any::Any>>,
}

impl Imported {
    fn of<M: 'static>(
        view: ndlens_core::Result<View>,
        block: *mut Exported<M>,
        has_deleter: bool,
    ) -> Self {
        // SAFETY: a tensor without a deleter is freed by no other code.
        let own = (!has_deleter).then(|| unsafe { Box::from_raw(block) as Box<dyn std::any::Any> });
        Imported { view, _block: own }
    }
}

/// The places of the elements as DLPack defines them, from the first byte of the memory; None if
/// some are not in it, so that they must not be read.
fn places(view: &View, fields: &Fields) -> Option<Grid> {
    let ndim = fields.ndim as usize;
    let shape: Vec<usize> =
        fields.shape.as_ref()?.get(..ndim)?.iter().map(|&n| n as usize).collect();
    let size = view.itemsize() as isize;
    let strides: Vec<isize> = match &fields.strides {
        Some(strides) => {
            let bytes = |&n: &i64| (n as isize).checked_mul(size);
            strides[..ndim].iter().map(bytes).collect::<Option<_>>()?
        }
        None => (0..ndim)
            .map(|axis| shape[axis + 1..].iter().fold(size, |s, &n| s.wrapping_mul(n as isize)))
            .collect(),
    };
    let first = usize::from(fields.data?).checked_add(fields.byte_offset as usize)?;
    let grid = Grid::strided(&shape, &strides, first)?;
    let inside = |&place: &i128| place >= 0 && place + size as i128 <= LEN as i128;
    grid.places.iter().all(inside).then_some(grid)
}

fn is_there(view: &View, fields: &Fields, base: *const u8) {
    view.layout().check(view.itemsize(), view.buffer().len()).expect("elements in the buffer");
    assert!(fields.device.is_host() && (0..=MAX_NDIM as i32).contains(&fields.ndim));
    assert_eq!(view.dtype().dlpack(), Some(fields.dtype));
    let Some(grid) = places(view, fields) else { return };
    assert_eq!(view.shape(), grid.shape);
    if let Some(&first) = grid.places.first() {
        let at = (view.as_ptr() as usize).wrapping_sub(base as usize);
        assert_eq!(at as i128, first);
    }
    let bytes: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
    let of = |&place: &i128| &bytes[place as usize..][..view.itemsize()];
    let expected: Vec<u8> = grid.places.iter().flat_map(of).copied().collect();
    assert_eq!(files::walk(view).as_deref(), Some(&expected[..]));
}

/// The view goes to another library, and comes back.
fn goes_on(view: &View, fields: &Fields, base: *const u8, freed: &dyn Fn() -> usize) {
    let Ok(tensor) = view.to_dlpack() else { return };
    // SAFETY: the tensor is live and ours; its pointers are as DLPack says.
    let read_only = unsafe { tensor.as_ref().flags } & DLPACK_FLAG_READ_ONLY != 0;
    assert_eq!(read_only, view.is_read_only());
    // SAFETY: as above, and no other code frees it.
    let again = unsafe { View::from_dlpack(tensor) }.expect("a tensor of ours");
    assert_eq!((again.shape(), again.dtype()), (view.shape(), view.dtype()));
    if places(view, fields).is_some() {
        is_there(&again, fields, base);
    }
    assert_eq!(freed(), 0);
}
