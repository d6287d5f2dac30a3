//! The types of elements, and their names in other libraries.
//!
//! `table.rs` is the one place with the names: those of ndlens (which are NumPy's), the buffer
//! protocol's ([PEP 3118](https://peps.python.org/pep-3118/) and `struct`), the array interface's
//! and `.npy`'s typestr, and [DLPack](https://dmlc.github.io/dlpack/latest/c_api.html)'s codes. A
//! format that is not in the table, such as a record or a big-endian number, becomes
//! [`DType::Opaque`]. Views of it can be sliced and handed back, but not computed with.

mod element;
mod name;
pub(crate) mod table;

use std::ffi::CString;
use std::sync::Arc;

pub use crate::dtype::element::Element;
pub use crate::dtype::table::{DType, DTypeRow, OpaqueFormat};
use crate::dtype::table::{LONG_IS_64, TABLE};
use crate::error::{Error, Result};
use crate::room;

impl DType {
    /// The dtype of a PEP 3118 format with elements of `itemsize` bytes.
    ///
    /// One native or little-endian letter that is in the table gives its dtype; every other format
    /// becomes opaque.
    ///
    /// # Errors
    ///
    /// [`Error::BadFormat`] if the itemsize contradicts the letter, or the format is empty or holds
    /// a NUL; [`Error::PythonObjects`] for references to Python objects, alone or in a record: a
    /// copy of their bytes would not count as references.
    pub fn from_format(format: &str, itemsize: usize) -> Result<DType> {
        let bad = || Error::BadFormat { format: format.to_owned(), itemsize };
        // Names of a record's fields are between colons; the rest are the letters.
        if format.split(':').step_by(2).any(|letters| letters.contains('O')) {
            return Err(Error::PythonObjects { format: format.to_owned() });
        }
        // '@' and no prefix mean native sizes; '<' and '=' mean standard sizes, which differ for C
        // long alone.
        let (native, code) = match format.as_bytes().first() {
            Some(b'@') => (true, &format[1..]),
            Some(b'<' | b'=' | b'|') => (false, &format[1..]),
            _ => (true, format),
        };
        // A single byte has no order, so a mark of the other order does not count.
        let code = match code {
            ">?" | ">b" | ">B" | ">c" | "!?" | "!b" | "!B" | "!c" => &code[1..],
            // Numbers of a named byte order have standard sizes, and one letter for each.
            ">l" | "!l" => ">i",
            ">L" | "!L" => ">I",
            ">P" | "!P" if LONG_IS_64 => ">Q",
            ">F" | "!F" => ">Zf",
            ">D" | "!D" => ">Zd",
            other => other,
        };
        let code = match code {
            "l" | "L" if !native => {
                if code == "l" {
                    "i"
                } else {
                    "I"
                }
            }
            "q" | "n" if native && LONG_IS_64 => "l",
            "Q" | "N" | "P" if native && LONG_IS_64 => "L",
            "q" if LONG_IS_64 => "l",
            // ctypes marks pointers with a byte order.
            "Q" | "P" if LONG_IS_64 => "L",
            "F" => "Zf",
            "D" => "Zd",
            other => other,
        };
        let known = TABLE
            .iter()
            .find(|row| row.format.is_some_and(|own| own.to_bytes() == code.as_bytes()));
        match known {
            Some(row) if row.itemsize == itemsize => Ok(row.dtype.clone()),
            Some(_) => Err(bad()),
            None if format.is_empty() => Err(bad()),
            None => {
                // Characters are the same in every byte order.
                let format = if code == "c" || code.starts_with('>') { code } else { format };
                // A byte more, for the NUL that ends it.
                let mut text = room::with_room_for(format.len() + 1)?;
                text.extend_from_slice(format.as_bytes());
                let format = CString::new(text).map_err(|_| bad())?;
                Ok(DType::Opaque(Arc::new(OpaqueFormat { format, itemsize })))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_comes_back_by_each_of_its_names() {
        for row in DType::table() {
            assert_eq!(row.dtype.row().unwrap().name, row.name);
            assert_eq!(DType::from_name(row.name).as_ref(), Some(&row.dtype));
            assert_eq!(DType::from_dlpack(row.dlpack).as_ref(), Some(&row.dtype));
            if let Some(format) = row.format {
                assert_eq!(
                    DType::from_format(format.to_str().unwrap(), row.itemsize).unwrap(),
                    row.dtype
                );
            }
            if let Some(typestr) = row.typestr {
                assert_eq!(DType::from_typestr(typestr).as_ref(), Ok(&row.dtype));
            }
        }
    }

    #[test]
    fn rust_numbers_are_as_long_as_their_dtypes() {
        fn fits<T: Element>() -> bool {
            size_of::<T>() == T::DTYPE.itemsize()
        }
        assert!(fits::<u8>() && fits::<u16>() && fits::<u32>() && fits::<u64>() && fits::<f32>());
        assert!(fits::<i8>() && fits::<i16>() && fits::<i32>() && fits::<i64>() && fits::<f64>());
    }

    #[test]
    fn letters_mean_what_struct_says() {
        let dtype = |format, itemsize| DType::from_format(format, itemsize).unwrap();
        assert_eq!(dtype("q", 8), DType::I64);
        assert_eq!(dtype("<l", 4), DType::I32);
        assert_eq!(dtype("=L", 4), DType::U32);
        assert_eq!(dtype("<q", 8), DType::I64);
        assert_eq!(dtype("@n", 8), DType::I64);
        assert_eq!(dtype("<f", 4), DType::F32);
        assert_eq!(dtype("F", 8), DType::C64);
    }

    #[test]
    fn one_byte_has_no_order() {
        let dtype = |format: &str| DType::from_format(format, 1).unwrap();
        for order in ["", "@", "<", ">", "=", "!"] {
            assert_eq!(dtype(&format!("{order}B")), DType::U8, "{order}");
            assert_eq!(dtype(&format!("{order}?")), DType::Bool, "{order}");
            assert_eq!(dtype(&format!("{order}c")).name(), "c", "{order}");
        }
    }

    #[test]
    fn numbers_in_the_other_byte_order_have_one_letter() {
        for (format, itemsize, letters) in
            [(">l", 4, ">i"), ("!L", 4, ">I"), (">P", 8, ">Q"), ("!F", 8, ">Zf"), (">D", 16, ">Zd")]
        {
            let dtype = DType::from_format(format, itemsize).unwrap();
            assert_eq!(dtype.format().unwrap().to_str(), Ok(letters));
            assert_eq!(DType::from_typestr(&dtype.to_typestr().unwrap()), Ok(dtype));
        }
    }

    #[test]
    fn formats_that_are_not_in_the_table_become_opaque() {
        for (format, itemsize) in
            [(">f", 4), ("T{<f:x:<i:y:}", 8), ("5w", 20), ("g", 16), ("c", 1), ("8x", 8)]
        {
            let dtype = DType::from_format(format, itemsize).unwrap();
            assert!(matches!(dtype, DType::Opaque(_)));
            assert_eq!(
                (dtype.format().unwrap().to_str(), dtype.itemsize()),
                (Ok(format), itemsize)
            );
            assert_eq!(dtype.dlpack(), None);
        }
    }

    #[test]
    fn formats_of_the_same_elements_are_equal() {
        let dtype = |format| DType::from_format(format, 12).unwrap();
        assert_eq!(dtype("=3w"), dtype("3w"));
        assert_ne!(dtype(">3w"), dtype("3w"));
        assert_eq!(dtype("T{=d:x:@i:y:}"), dtype("T{d:x:i:y:}"));
        assert_ne!(dtype("T{d:x:i:y=:}"), dtype("T{d:x:i:y:}"));
        assert_eq!(dtype("!3w"), dtype(">3w"));
        assert_ne!(dtype("T{d:x!:}"), dtype("T{d:x>:}"));
    }

    #[test]
    fn a_format_that_contradicts_its_itemsize_is_refused() {
        let error = DType::from_format("f", 8).unwrap_err();
        assert_eq!(
            error.to_string(),
            "format \"f\" with itemsize 8 is not one ndlens can pass through"
        );
        for objects in ["O", "T{B:a:O:b:}"] {
            assert!(matches!(DType::from_format(objects, 8), Err(Error::PythonObjects { .. })));
        }
        assert!(DType::from_format("T{B:O:}", 1).is_ok());
        assert!(DType::from_format("", 1).is_err());
        assert!(DType::from_format("T{B\0}", 1).is_err());
    }
}
