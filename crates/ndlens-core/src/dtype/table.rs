//! The dtypes, and the one table of their names.

use std::ffi::{CStr, CString};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::dlpack::abi::DLDataType;

/// The type of one element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 16-bit integer.
    U16,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 64-bit integer.
    U64,
    /// Signed 64-bit integer.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// bfloat16: the upper half of an `F32`.
    Bf16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Two `F32`: real, imaginary.
    C64,
    /// Two `F64`: real, imaginary.
    C128,
    /// OCP 8-bit float, 4 exponent bits, finite, one NaN.
    F8E4M3FN,
    /// OCP 8-bit float, 5 exponent bits.
    F8E5M2,
    /// 8-bit float, 4 exponent bits, no negative zero.
    F8E4M3FNUZ,
    /// 8-bit float, 5 exponent bits, no negative zero.
    F8E5M2FNUZ,
    /// 8-bit scale factor of the OCP microscaling formats: a power of two.
    F8E8M0FNU,
    /// Two OCP 4-bit floats in a byte, the first in its lower half, as one element, as in torch.
    F4E2M1FNx2,
    /// A PEP 3118 format that is kept as it is.
    Opaque(Arc<OpaqueFormat>),
}

/// A format string and the size of its element.
///
/// Two are equal if they describe the same elements. Native order is little-endian order here and
/// padding has a letter of its own, so the marks of native order and alignment do not count: NumPy
/// sets them by the address of an array.
#[derive(Debug, Clone)]
pub struct OpaqueFormat {
    pub(super) format: CString,
    pub(super) itemsize: usize,
}

impl OpaqueFormat {
    /// The letters that count. In the names of a record's fields, which are between colons, all
    /// count.
    fn letters(&self) -> impl Iterator<Item = u8> + '_ {
        let mut named = false;
        self.format.to_bytes().iter().copied().filter_map(move |letter| {
            named ^= letter == b':';
            match letter {
                _ if named => Some(letter),
                b'@' | b'=' | b'^' | b'<' => None,
                // Network order is big-endian order.
                b'!' => Some(b'>'),
                _ => Some(letter),
            }
        })
    }
}

impl PartialEq for OpaqueFormat {
    fn eq(&self, other: &Self) -> bool {
        self.itemsize == other.itemsize && self.letters().eq(other.letters())
    }
}

impl Eq for OpaqueFormat {}

impl Hash for OpaqueFormat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.itemsize.hash(state);
        self.letters().for_each(|letter| letter.hash(state));
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct DTypeRow {
    /// The dtype of the row.
    pub dtype: DType,
    /// Name in NumPy, in `ml_dtypes` and in ndlens.
    pub name: &'static str,
    /// Bytes of one element.
    pub itemsize: usize,
    /// The buffer protocol's format, if it has one: the letter NumPy exports.
    pub format: Option<&'static CStr>,
    /// The typestr of the array interface and of `.npy` files, little-endian, if there is one.
    pub typestr: Option<&'static str>,
    /// DLPack's code, bits and lanes.
    pub dlpack: DLDataType,
}

const fn row(
    dtype: DType,
    name: &'static str,
    itemsize: usize,
    format: Option<&'static CStr>,
    typestr: Option<&'static str>,
    code: u8,
) -> DTypeRow {
    DTypeRow {
        dtype,
        name,
        itemsize,
        format,
        typestr,
        dlpack: DLDataType { code, bits: 8 * itemsize as u8, lanes: 1 },
    }
}

/// Every dtype that has a name. C `long` is the buffer protocol's 64-bit integer if it has 64 bits,
/// as in NumPy.
pub(crate) static TABLE: [DTypeRow; 21] = [
    row(DType::Bool, "bool", 1, Some(c"?"), Some("|b1"), DLDataType::BOOL),
    row(DType::U8, "uint8", 1, Some(c"B"), Some("|u1"), DLDataType::UINT),
    row(DType::I8, "int8", 1, Some(c"b"), Some("|i1"), DLDataType::INT),
    row(DType::U16, "uint16", 2, Some(c"H"), Some("<u2"), DLDataType::UINT),
    row(DType::I16, "int16", 2, Some(c"h"), Some("<i2"), DLDataType::INT),
    row(DType::U32, "uint32", 4, Some(c"I"), Some("<u4"), DLDataType::UINT),
    row(DType::I32, "int32", 4, Some(c"i"), Some("<i4"), DLDataType::INT),
    row(
        DType::U64,
        "uint64",
        8,
        Some(if LONG_IS_64 { c"L" } else { c"Q" }),
        Some("<u8"),
        DLDataType::UINT,
    ),
    row(
        DType::I64,
        "int64",
        8,
        Some(if LONG_IS_64 { c"l" } else { c"q" }),
        Some("<i8"),
        DLDataType::INT,
    ),
    row(DType::F16, "float16", 2, Some(c"e"), Some("<f2"), DLDataType::FLOAT),
    row(DType::Bf16, "bfloat16", 2, None, None, DLDataType::BFLOAT),
    row(DType::F32, "float32", 4, Some(c"f"), Some("<f4"), DLDataType::FLOAT),
    row(DType::F64, "float64", 8, Some(c"d"), Some("<f8"), DLDataType::FLOAT),
    row(DType::C64, "complex64", 8, Some(c"Zf"), Some("<c8"), DLDataType::COMPLEX),
    row(DType::C128, "complex128", 16, Some(c"Zd"), Some("<c16"), DLDataType::COMPLEX),
    row(DType::F8E4M3FN, "float8_e4m3fn", 1, None, None, DLDataType::FLOAT8_E4M3FN),
    row(DType::F8E5M2, "float8_e5m2", 1, None, None, DLDataType::FLOAT8_E5M2),
    row(DType::F8E4M3FNUZ, "float8_e4m3fnuz", 1, None, None, DLDataType::FLOAT8_E4M3FNUZ),
    row(DType::F8E5M2FNUZ, "float8_e5m2fnuz", 1, None, None, DLDataType::FLOAT8_E5M2FNUZ),
    row(DType::F8E8M0FNU, "float8_e8m0fnu", 1, None, None, DLDataType::FLOAT8_E8M0FNU),
    DTypeRow {
        dtype: DType::F4E2M1FNx2,
        name: "float4_e2m1fn_x2",
        itemsize: 1,
        format: None,
        typestr: None,
        dlpack: DLDataType { code: DLDataType::FLOAT4_E2M1FN, bits: 4, lanes: 2 },
    },
];

pub(crate) const LONG_IS_64: bool = size_of::<std::ffi::c_long>() == 8;

impl DType {
    /// Every dtype that has a name, with all its names.
    pub fn table() -> &'static [DTypeRow] {
        &TABLE
    }

    /// This dtype's row; an opaque format has none.
    pub(super) fn row(&self) -> Option<&'static DTypeRow> {
        // The variants are in the table's order, which a test checks; a match compiles to one load.
        let at = match self {
            DType::Bool => 0,
            DType::U8 => 1,
            DType::I8 => 2,
            DType::U16 => 3,
            DType::I16 => 4,
            DType::U32 => 5,
            DType::I32 => 6,
            DType::U64 => 7,
            DType::I64 => 8,
            DType::F16 => 9,
            DType::Bf16 => 10,
            DType::F32 => 11,
            DType::F64 => 12,
            DType::C64 => 13,
            DType::C128 => 14,
            DType::F8E4M3FN => 15,
            DType::F8E5M2 => 16,
            DType::F8E4M3FNUZ => 17,
            DType::F8E5M2FNUZ => 18,
            DType::F8E8M0FNU => 19,
            DType::F4E2M1FNx2 => 20,
            DType::Opaque(_) => return None,
        };
        Some(&TABLE[at])
    }

    /// Bytes of one element.
    pub fn itemsize(&self) -> usize {
        match self {
            DType::Opaque(opaque) => opaque.itemsize,
            _ => self.row().map_or(0, |row| row.itemsize),
        }
    }

    /// NumPy's name, such as `float32`; for an opaque format, the format.
    pub fn name(&self) -> &str {
        match self {
            DType::Opaque(opaque) => opaque.format.to_str().unwrap_or("?"),
            _ => self.row().map_or("?", |row| row.name),
        }
    }

    /// The buffer protocol's format, if it has one for this dtype: bfloat16 and the 8-bit floats
    /// have none.
    pub fn format(&self) -> Option<&CStr> {
        match self {
            DType::Opaque(opaque) => Some(&opaque.format),
            _ => self.row()?.format,
        }
    }

    /// Unsigned integers of the same bits, for a dtype that has no buffer format. NumPy has such
    /// dtypes as extensions, whose arrays (those of `ml_dtypes`) can share the memory of arrays of
    /// integers.
    pub fn carrier(&self) -> Option<DType> {
        match (self.format(), self.itemsize()) {
            // No package has a dtype of pairs.
            _ if *self == DType::F4E2M1FNx2 => None,
            (None, 1) => Some(DType::U8),
            (None, 2) => Some(DType::U16),
            _ => None,
        }
    }

    /// The array interface's typestr, if it has one for this dtype.
    pub fn typestr(&self) -> Option<&'static str> {
        self.row()?.typestr
    }

    /// DLPack's name for this dtype, if it has one.
    pub fn dlpack(&self) -> Option<DLDataType> {
        Some(self.row()?.dlpack)
    }

    /// The dtype with this name, as NumPy, `ml_dtypes` and torch write it.
    pub fn from_name(name: &str) -> Option<DType> {
        let name = name.strip_prefix("torch.").unwrap_or(name);
        TABLE.iter().find(|row| row.name == name).map(|row| row.dtype.clone())
    }

    /// The dtype of a DLPack type.
    pub fn from_dlpack(dtype: DLDataType) -> Option<DType> {
        TABLE.iter().find(|row| row.dlpack == dtype).map(|row| row.dtype.clone())
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
