//! From a name to a dtype: every spelling that NumPy and torch agree on.
//! | spelling | examples | used by |
//! |---|---|---|
//! | a name | `float32`, `bfloat16`, `torch.float32` | NumPy, `ml_dtypes`, torch |
//! | another name of the same | `half`, `double`, `long`, `bool_` | NumPy, torch |
//! | a typestr | `<f4`, `\|u1`, `u2`, `>i8`, `S5` | the array interface, `.npy` |
//! | a letter | `f`, `B`, `>h` | NumPy, the `struct` module |
//!
//! A name with two meanings is refused: `float` is 64 bits to NumPy and 32 to torch. Numbers in
//! the other byte order, strings and raw bytes become opaque PEP 3118 formats, as in `.npy` files.

use crate::dtype::DType;
use crate::error::{Error, Result};

/// Names that NumPy or torch has for a dtype of another name.
const SYNONYMS: [(&str, DType); 14] = [
    ("bool_", DType::Bool),
    ("ubyte", DType::U8),
    ("short", DType::I16),
    ("ushort", DType::U16),
    ("intc", DType::I32),
    ("uintc", DType::U32),
    ("long", DType::I64),
    ("ulong", DType::U64),
    ("longlong", DType::I64),
    ("ulonglong", DType::U64),
    ("half", DType::F16),
    ("single", DType::F32),
    ("double", DType::F64),
    ("cdouble", DType::C128),
];

/// Names with two meanings.
const AMBIGUOUS: [(&str, &str, &str); 7] = [
    ("float", "float64 to NumPy and float32 to torch", "\"float64\" or \"float32\""),
    ("int", "int64 to NumPy and int32 to torch", "\"int64\" or \"int32\""),
    ("byte", "int8 to NumPy and uint8 to torch", "\"int8\" or \"uint8\""),
    ("<l", "8 bytes to NumPy and 4 to the struct module", "\"<i8\" or \"<i4\""),
    (">l", "8 bytes to NumPy and 4 to the struct module", "\">i8\" or \">i4\""),
    ("<L", "8 bytes to NumPy and 4 to the struct module", "\"<u8\" or \"<u4\""),
    (">L", "8 bytes to NumPy and 4 to the struct module", "\">u8\" or \">u4\""),
];

impl DType {
    /// The dtype of a name, a typestr or a letter.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDType`]; [`Error::AmbiguousDType`] for a name with two meanings;
    /// [`Error::DateTime`] and [`Error::PythonObjects`] for elements that no view can have.
    ///
    /// ```
    /// use ndlens_core::DType;
    ///
    /// for name in ["float32", "torch.float32", "single", "<f4", "f4", "f"] {
    ///     assert_eq!(DType::parse(name)?, DType::F32);
    /// }
    /// # Ok::<(), ndlens_core::Error>(())
    /// ```
    pub fn parse(name: &str) -> Result<DType> {
        if let Some(dtype) = DType::from_name(name) {
            return Ok(dtype);
        }
        let bare = name.strip_prefix("torch.").unwrap_or(name);
        if let Some((_, dtype)) = SYNONYMS.iter().find(|(own, _)| *own == bare) {
            return Ok(dtype.clone());
        }
        if let Some(&(_, meanings, instead)) = AMBIGUOUS.iter().find(|(own, ..)| *own == bare) {
            return Err(Error::AmbiguousDType { got: name.to_owned(), meanings, instead });
        }
        if let Some(dtype) = DType::from_letter(name) {
            return Ok(dtype);
        }
        DType::from_typestr(name)
    }

    /// The dtype of one of the `struct` module's letters, in any byte order. NumPy has the same.
    fn from_letter(code: &str) -> Option<DType> {
        let letter = code.strip_prefix(['<', '>', '=', '|']).unwrap_or(code);
        let letter = match letter {
            // 'c' is one byte to both; to NumPy it is a string.
            "?" | "b" | "B" | "h" | "H" | "i" | "I" | "l" | "L" | "q" | "Q" | "e" | "f" | "d"
            | "c" => letter,
            "F" => "Zf",
            "D" => "Zd",
            _ => return None,
        };
        let itemsize = match letter {
            "?" | "b" | "B" | "c" => 1,
            "h" | "H" | "e" => 2,
            "i" | "I" | "f" => 4,
            "Zd" => 16,
            _ => 8,
        };
        let order = if code.starts_with('>') { ">" } else { "" };
        DType::from_format(&format!("{order}{letter}"), itemsize).ok()
    }

    /// The dtype of a typestr of the array interface, such as `<f4`, `|S5` or `>i8`. Without a
    /// byte order it is this machine's.
    ///
    /// # Errors
    ///
    /// As [`DType::parse`].
    pub fn from_typestr(typestr: &str) -> Result<DType> {
        let unknown = || Error::UnknownDType { got: typestr.to_owned() };
        let code = typestr.strip_prefix(['<', '>', '=', '|']).unwrap_or(typestr);
        let order = if typestr.starts_with('>') { ">" } else { "" };
        let known = |own: Option<&str>| own.is_some_and(|own| &own[1..] == code);
        if let Some(row) = DType::table().iter().find(|row| known(row.typestr)) {
            if order.is_empty() {
                return Ok(row.dtype.clone());
            }
            let letters =
                row.format.and_then(|letters| letters.to_str().ok()).ok_or_else(unknown)?;
            // In a byte order that is named, 8 bytes have letters of their own.
            let letters = match letters {
                "l" => "q",
                "L" => "Q",
                other => other,
            };
            return DType::from_format(&format!(">{letters}"), row.itemsize);
        }
        let kind = code.chars().next().ok_or_else(unknown)?;
        let count = &code[kind.len_utf8()..];
        let (letter, unit) = match kind {
            'S' => ('s', 1),
            // NumPy stores text as UCS-4.
            'U' => ('w', 4),
            'V' => ('x', 1),
            'M' | 'm' if count.is_empty() || count.starts_with('8') => {
                return Err(Error::DateTime { dtype: typestr.to_owned() });
            }
            'O' => return Err(Error::PythonObjects { format: typestr.to_owned() }),
            _ => return Err(unknown()),
        };
        let is_number = !count.is_empty() && count.bytes().all(|digit| digit.is_ascii_digit());
        let count = if is_number { count.parse::<usize>().ok() } else { None };
        let itemsize = count.and_then(|count| count.checked_mul(unit)).filter(|&size| size > 0);
        let (count, itemsize) = (count.ok_or_else(unknown)?, itemsize.ok_or_else(unknown)?);
        let order = if unit == 1 { "" } else { order };
        DType::from_format(&format!("{order}{count}{letter}"), itemsize)
    }

    /// The typestr of the array interface, in the byte order of the elements, if there is one.
    pub fn to_typestr(&self) -> Option<String> {
        match self.swapped() {
            Some(native) => native.typestr().map(|typestr| format!(">{}", &typestr[1..])),
            None => self.typestr().map(str::to_owned),
        }
    }

    /// The dtype of the same numbers in this machine's byte order, for numbers in the other order;
    /// None for other dtypes.
    pub fn swapped(&self) -> Option<DType> {
        let DType::Opaque(_) = self else { return None };
        let letters = self.name().strip_prefix(['>', '!'])?;
        // Two marks are no number's: the second would be read as if it were alone.
        if letters.starts_with(['@', '=', '<', '>', '|', '!', '^']) {
            return None;
        }
        match DType::from_format(&format!("={letters}"), self.itemsize()) {
            Ok(DType::Opaque(_)) | Err(_) => None,
            Ok(number) => Some(number),
        }
    }

    /// Reverses the bytes of each number of this dtype: the two parts of a complex number are two.
    pub fn swap_bytes(&self, elements: &mut [u8]) {
        let parts = if matches!(self, DType::C64 | DType::C128) { 2 } else { 1 };
        elements.chunks_exact_mut(self.itemsize() / parts).for_each(<[u8]>::reverse);
    }

    /// The error for a `target` that has no dtype for this one, with its remedy.
    pub fn unsupported_by(&self, target: &'static str) -> Error {
        match self.swapped() {
            Some(native) => {
                Error::ByteOrder { target, dtype: self.to_string(), native: native.to_string() }
            }
            None => Error::UnsupportedDType { target, dtype: self.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_dtype_gives_it() {
        for row in DType::table() {
            let mut spellings = vec![row.name.to_owned(), format!("torch.{}", row.name)];
            spellings.extend(row.typestr.map(str::to_owned));
            spellings.extend(row.typestr.map(|typestr| typestr[1..].to_owned()));
            spellings.extend(row.typestr.map(|typestr| format!("={}", &typestr[1..])));
            spellings.extend(
                row.format
                    .and_then(|f| f.to_str().ok())
                    .filter(|f| f.len() == 1)
                    .map(str::to_owned),
            );
            for spelling in spellings {
                assert_eq!(DType::parse(&spelling).as_ref(), Ok(&row.dtype), "{spelling}");
            }
        }
        for (spelling, dtype) in [
            ("half", DType::F16),
            ("torch.double", DType::F64),
            ("D", DType::C128),
            ("q", DType::I64),
        ] {
            assert_eq!(DType::parse(spelling), Ok(dtype));
        }
    }

    #[test]
    fn dtypes_without_a_name_become_formats() {
        for (spelling, format, itemsize) in [
            (">f4", ">f", 4),
            (">f", ">f", 4),
            (">i8", ">q", 8),
            (">c16", ">Zd", 16),
            ("S5", "5s", 5),
            ("|S5", "5s", 5),
            ("<U3", "3w", 12),
            (">U3", ">3w", 12),
            ("|V8", "8x", 8),
            ("c", "c", 1),
        ] {
            let dtype = DType::parse(spelling).unwrap();
            assert_eq!((dtype.name(), dtype.itemsize()), (format, itemsize), "{spelling}");
        }
        // One byte has no order.
        assert_eq!(DType::parse(">u1"), Ok(DType::U8));
        assert_eq!(DType::parse(">B"), Ok(DType::U8));
    }

    #[test]
    fn unknown_names_are_refused_with_a_replacement() {
        for (spelling, message) in [
            (
                "float",
                "dtype \"float\" is float64 to NumPy and float32 to torch; say \"float64\" or \
                 \"float32\"",
            ),
            (
                "torch.int",
                "dtype \"torch.int\" is int64 to NumPy and int32 to torch; say \"int64\" or \
                 \"int32\"",
            ),
            (
                "<l",
                "dtype \"<l\" is 8 bytes to NumPy and 4 to the struct module; say \"<i8\" or \
                 \"<i4\"",
            ),
            (
                "<M8[ns]",
                "<M8[ns] counts time, which no buffer has a format for; view the integers that \
                 count it: array.view(\"i8\")",
            ),
        ] {
            assert_eq!(DType::parse(spelling).unwrap_err().to_string(), message);
        }
        for objects in ["O", "|O", "|O8"] {
            assert!(matches!(DType::parse(objects), Err(Error::PythonObjects { .. })), "{objects}");
        }
        for unknown in
            ["", "<", "f3", "float33", "<q9", "S", "V0", "S+5", "é", "m3", "U9223372036854775807"]
        {
            assert!(matches!(DType::parse(unknown), Err(Error::UnknownDType { .. })), "{unknown}");
        }
    }

    #[test]
    fn numbers_in_the_other_byte_order_are_the_native_ones_with_bytes_reversed() {
        for row in DType::table() {
            let Some(format) = row.format.filter(|_| row.itemsize > 1) else { continue };
            let format = format.to_str().unwrap().replace('l', "q").replace('L', "Q");
            for order in ['>', '!'] {
                let foreign =
                    DType::from_format(&format!("{order}{format}"), row.itemsize).unwrap();
                assert_eq!(foreign.swapped().as_ref(), Some(&row.dtype));
                let typestr = row.typestr.unwrap().replace('<', ">");
                assert_eq!(foreign.to_typestr(), Some(typestr.clone()));
                assert_eq!(DType::from_typestr(&typestr), Ok(foreign));
            }
            assert_eq!(row.dtype.swapped(), None);
        }
        for other in [">3w", "T{>f:x:}", ">g", "5s"] {
            assert_eq!(DType::from_format(other, 12).unwrap().swapped(), None);
        }
        for twice in ["!!B", ">!b", ">>?"] {
            assert_eq!(DType::from_format(twice, 1).unwrap().to_typestr(), None);
        }
        let mut bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        DType::C64.swap_bytes(&mut bytes);
        assert_eq!(bytes, [4, 3, 2, 1, 8, 7, 6, 5]);
    }
}
