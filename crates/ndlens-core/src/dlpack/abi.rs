//! The C structs of [DLPack](https://dmlc.github.io/dlpack/latest/c_api.html) 1.x and of the
//! earlier protocol without versions.

#![expect(unsafe_code, reason = "declares a C ABI; see UNSAFE.md")]

use std::ffi::{c_char, c_int, c_void};

/// The version this module writes. Readers must accept any minor version of major version 1.
pub const DLPACK_VERSION: DLPackVersion = DLPackVersion { major: 1, minor: 3 };

/// `DLPACK_FLAG_BITMASK_READ_ONLY`: the consumer must not write.
pub const DLPACK_FLAG_READ_ONLY: u64 = 1;

/// `DLPACK_FLAG_BITMASK_IS_COPIED`: the memory belongs to the consumer alone.
pub const DLPACK_FLAG_IS_COPIED: u64 = 2;

/// `DLPackVersion`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DLPackVersion {
    /// Number of breaking changes of the ABI.
    pub major: u32,
    /// Number of additions to it.
    pub minor: u32,
}

/// `DLDevice`: the device of the memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DLDevice {
    /// `DLDeviceType`.
    pub device_type: i32,
    /// Number of the device among those of its type.
    pub device_id: i32,
}

impl DLDevice {
    /// `kDLCPU`, device 0.
    pub const CPU: DLDevice = DLDevice { device_type: 1, device_id: 0 };

    /// Whether programs of the host may access the memory: `kDLCPU`, and `kDLCUDAHost` and
    /// `kDLROCMHost`, which are host memory pinned for a GPU.
    pub fn is_host(self) -> bool {
        matches!(self.device_type, 1 | 3 | 11)
    }
}

/// `DLDataType`: code, bits, and lanes of a vector type (1 for all dtypes of ndlens).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DLDataType {
    /// `DLDataTypeCode`.
    pub code: u8,
    /// Bits of one lane.
    pub bits: u8,
    /// Elements of one vector.
    pub lanes: u16,
}

#[expect(missing_docs, reason = "the names of DLDataTypeCode")]
impl DLDataType {
    pub const INT: u8 = 0;
    pub const UINT: u8 = 1;
    pub const FLOAT: u8 = 2;
    pub const BFLOAT: u8 = 4;
    pub const COMPLEX: u8 = 5;
    pub const BOOL: u8 = 6;
    pub const FLOAT8_E4M3FN: u8 = 10;
    pub const FLOAT8_E4M3FNUZ: u8 = 11;
    pub const FLOAT8_E5M2: u8 = 12;
    pub const FLOAT8_E5M2FNUZ: u8 = 13;
    pub const FLOAT8_E8M0FNU: u8 = 14;
    pub const FLOAT4_E2M1FN: u8 = 17;
}

/// `DLTensor`: the array itself. Strides count elements.
#[repr(C)]
#[derive(Debug)]
pub struct DLTensor {
    /// The memory.
    pub data: *mut c_void,
    /// The device of the memory.
    pub device: DLDevice,
    /// The number of axes.
    pub ndim: i32,
    /// The type of the elements.
    pub dtype: DLDataType,
    /// `ndim` sizes.
    pub shape: *mut i64,
    /// `ndim` strides in elements, or null for packed in C order.
    pub strides: *mut i64,
    /// Bytes from `data` to the first element.
    pub byte_offset: u64,
}

/// `DLManagedTensorVersioned`: a tensor with its deleter, since DLPack 1.0.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensorVersioned {
    /// The version that the producer wrote.
    pub version: DLPackVersion,
    /// Data of the producer.
    pub manager_ctx: *mut c_void,
    /// Frees this struct and releases the memory.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensorVersioned)>,
    /// `DLPACK_FLAG_BITMASK_*`.
    pub flags: u64,
    /// The array.
    pub dl_tensor: DLTensor,
}

/// `DLManagedTensor`: the same before DLPack 1.0; it cannot say read-only.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensor {
    /// The array.
    pub dl_tensor: DLTensor,
    /// Data of the producer.
    pub manager_ctx: *mut c_void,
    /// Frees this struct and releases the memory.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensor)>,
}

/// `DLPackExchangeAPIHeader`: the part of the table that is the same in all versions.
#[repr(C)]
#[derive(Debug)]
pub struct DLPackExchangeAPIHeader {
    /// The version of the table.
    pub version: DLPackVersion,
    /// A table of an older version, or null.
    pub prev_api: *mut DLPackExchangeAPIHeader,
}

/// `DLPackExchangeAPI`: a library's C functions to hand over tensors without a capsule, since
/// DLPack 1.2. Each returns 0, or -1 after having set an error.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "the names of DLPackExchangeAPI")]
pub struct DLPackExchangeAPI {
    pub header: DLPackExchangeAPIHeader,
    pub managed_tensor_allocator: unsafe extern "C" fn(
        prototype: *mut DLTensor,
        out: *mut *mut DLManagedTensorVersioned,
        error_ctx: *mut c_void,
        set_error: unsafe extern "C" fn(
            error_ctx: *mut c_void,
            kind: *const c_char,
            message: *const c_char,
        ),
    ) -> c_int,
    pub managed_tensor_from_py_object_no_sync: unsafe extern "C" fn(
        py_object: *mut c_void,
        out: *mut *mut DLManagedTensorVersioned,
    ) -> c_int,
    pub managed_tensor_to_py_object_no_sync:
        unsafe extern "C" fn(tensor: *mut DLManagedTensorVersioned, out: *mut *mut c_void) -> c_int,
    pub dltensor_from_py_object_no_sync:
        Option<unsafe extern "C" fn(py_object: *mut c_void, out: *mut DLTensor) -> c_int>,
    pub current_work_stream:
        unsafe extern "C" fn(device_type: i32, device_id: i32, out: *mut *mut c_void) -> c_int,
}

// SAFETY: the table is read only; its functions may be called from any thread that is attached to
// the interpreter.
unsafe impl Sync for DLPackExchangeAPI {}
