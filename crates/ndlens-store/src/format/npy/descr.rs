//! From `descr`, NumPy's way to write a dtype into a header, to [`DType`].
//!
//! What the core has a name for becomes that. The rest becomes an opaque [PEP
//! 3118](https://peps.python.org/pep-3118/) format: big-endian numbers (`>f`), strings (`5s`,
//! `7w`), raw bytes (`8x`) and records.
//!
//! # Rationale
//!
//! In a record every field has its byte order written before it: `T{<B:a:7x<d:b:}`. A format
//! without one means native alignment, and a reader would add padding; with it, the bytes lie
//! exactly as said, and `numpy.asarray` on an exporter gives back the dtype that was saved, holes
//! included. Titles are dropped: the buffer protocol has no place for them, and NumPy drops them
//! too.

use std::collections::HashSet;

use ndlens_core::room::{self, Text};
use ndlens_core::{DType, MAX_NDIM};

use crate::error::{DTypeProblem, Flaw, HeaderProblem};
use crate::format::npy::literal::{Node, Value};

/// Typestr codes without their byte order, and PEP 3118's letters of the same size in every byte
/// order but native.
const STANDARD: [(&str, &str, usize); 14] = [
    ("b1", "?", 1),
    ("u1", "B", 1),
    ("i1", "b", 1),
    ("u2", "H", 2),
    ("i2", "h", 2),
    ("u4", "I", 4),
    ("i4", "i", 4),
    ("u8", "Q", 8),
    ("i8", "q", 8),
    ("f2", "e", 2),
    ("f4", "f", 4),
    ("f8", "d", 8),
    ("c8", "Zf", 8),
    ("c16", "Zd", 16),
];

/// The dtype a `descr` means.
pub(crate) fn dtype(descr: &Node) -> Result<DType, Flaw> {
    let flaw = |problem| Flaw::DType { field: None, problem };
    let (format, itemsize) = match &descr.value {
        Value::Str(typestr) => {
            let scalar = scalar(typestr).map_err(flaw)?;
            // Alone, a native element is said as NumPy's memoryview says it, without a byte order.
            let order = if scalar.order == ">" { ">" } else { "" };
            (format!("{order}{}", scalar.code), scalar.itemsize)
        }
        Value::List(fields) => {
            let mut format = Text::default();
            let itemsize = record(fields, None, &mut format)?;
            (format.into_string(), itemsize)
        }
        _ => return Err(descr.unexpected("a typestr or a list of fields")),
    };
    if itemsize == 0 {
        return Err(flaw(DTypeProblem::ZeroSize));
    }
    DType::from_format(&format, itemsize).map_err(|error| match error {
        ndlens_core::Error::OutOfMemory { .. } => error.into(),
        _ => flaw(DTypeProblem::Unknown { descr: format }),
    })
}

struct Scalar {
    /// `<` or `>`.
    order: &'static str,
    code: String,
    itemsize: usize,
    is_void: bool,
}

fn scalar(typestr: &str) -> Result<Scalar, DTypeProblem> {
    let descr = || typestr.to_owned();
    let Some(code) = typestr.strip_prefix(['<', '>', '=', '|']) else {
        return Err(DTypeProblem::Unknown { descr: descr() });
    };
    let order = if typestr.starts_with('>') { ">" } else { "<" };
    if let Some((_, letter, itemsize)) = STANDARD.iter().find(|(own, ..)| *own == code) {
        // One byte has no order.
        let order = if *itemsize == 1 { "<" } else { order };
        return Ok(Scalar {
            order,
            code: (*letter).to_owned(),
            itemsize: *itemsize,
            is_void: false,
        });
    }
    let (letter, unit) = match code.as_bytes().first() {
        Some(b'S') => ('s', 1),
        // NumPy stores text as UCS-4.
        Some(b'U') => ('w', 4),
        Some(b'V') => ('x', 1),
        Some(b'O') => return Err(DTypeProblem::PythonObjects { descr: descr() }),
        Some(b'M' | b'm') => return Err(DTypeProblem::DateTime { descr: descr() }),
        _ => return Err(DTypeProblem::Unknown { descr: descr() }),
    };
    let digits = &code[1..];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DTypeProblem::Unknown { descr: descr() });
    }
    let count: usize = digits.parse().map_err(|_| DTypeProblem::TooLarge)?;
    let itemsize = count.checked_mul(unit).ok_or(DTypeProblem::TooLarge)?;
    let order = if unit == 1 { "<" } else { order };
    Ok(Scalar { order, code: format!("{count}{letter}"), itemsize, is_void: letter == 'x' })
}

/// Writes the fields as `T{..}`; the bytes of one record. `parent` is the record's own name, for
/// errors.
fn record(fields: &[Node], parent: Option<&str>, format: &mut Text) -> Result<usize, Flaw> {
    format.push("T{")?;
    let mut itemsize = 0usize;
    let mut names = HashSet::new();
    for field in fields {
        let Value::Tuple(parts) = &field.value else {
            return Err(field.unexpected("a field tuple"));
        };
        let (name, descr, shape) = match parts.as_slice() {
            [name, descr] => (name, descr, None),
            [name, descr, shape] => (name, descr, Some(shape)),
            _ => return Err(field.unexpected("a field of two or three parts")),
        };
        let name = field_name(name)?;
        let full_name =
            || parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}.{name}"));
        let flaw = |problem| Flaw::DType { field: Some(full_name()), problem };
        if name.contains([':', '\0']) {
            return Err(flaw(DTypeProblem::FieldName));
        }
        if !name.is_empty() && !room::insert(&mut names, name)? {
            return Err(flaw(DTypeProblem::DuplicateField));
        }
        let shape = shape.map_or_else(|| Ok(Vec::new()), dimensions)?;
        let count = shape.iter().try_fold(1usize, |count, n| count.checked_mul(*n));
        let count = count.ok_or_else(|| flaw(DTypeProblem::TooLarge))?;

        let before = format.len();
        if !shape.is_empty() {
            let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
            format.push(&format!("({})", shape.join(",")))?;
        }
        let (each, is_void) = match &descr.value {
            Value::Str(typestr) => {
                let scalar = scalar(typestr).map_err(flaw)?;
                format.push(scalar.order)?;
                format.push(&scalar.code)?;
                (scalar.itemsize, scalar.is_void)
            }
            Value::List(fields) => (record(fields, Some(&full_name()), format)?, false),
            _ => return Err(descr.unexpected("a typestr or a list of fields")),
        };
        let bytes = each.checked_mul(count).ok_or_else(|| flaw(DTypeProblem::TooLarge))?;
        itemsize = itemsize.checked_add(bytes).ok_or_else(|| flaw(DTypeProblem::TooLarge))?;
        if !name.is_empty() {
            for part in [":", name, ":"] {
                format.push(part)?;
            }
        } else if is_void {
            // A hole that alignment left, which NumPy writes as a field without a name.
            format.truncate(before);
            format.push(&format!("{bytes}x"))?;
        } else {
            return Err(flaw(DTypeProblem::UnnamedField));
        }
    }
    format.push("}")?;
    Ok(itemsize)
}

/// A field's name, without its title.
fn field_name(node: &Node) -> Result<&str, Flaw> {
    let name = match &node.value {
        Value::Tuple(parts) => match parts.as_slice() {
            [_title, name] => name,
            _ => return Err(node.unexpected("a name or (title, name)")),
        },
        _ => node,
    };
    match &name.value {
        Value::Str(name) => Ok(name),
        _ => Err(node.unexpected("a name or (title, name)")),
    }
}

/// A tuple of sizes: a file's shape, or a field's.
pub(crate) fn dimensions(node: &Node) -> Result<Vec<usize>, Flaw> {
    let Value::Tuple(items) = &node.value else {
        return Err(node.unexpected("a tuple of dimensions"));
    };
    if items.len() > MAX_NDIM {
        let problem = HeaderProblem::Unexpected {
            expected: "at most 64 dimensions",
            got: items.len().to_string(),
        };
        return Err(Flaw::Header { at: node.at, problem });
    }
    let dimension = |item: &Node| {
        let Value::Int(got) = item.value else { return Err(item.unexpected("a dimension")) };
        let problem = HeaderProblem::NegativeDimension { got };
        usize::try_from(got).map_err(|_| Flaw::Header { at: item.at, problem })
    };
    items.iter().map(dimension).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::npy::literal::{Encoding, parse};

    fn from(descr: &str) -> Result<DType, Flaw> {
        dtype(&parse(descr.as_bytes(), Encoding::Utf8).unwrap())
    }

    #[test]
    fn every_typestr_of_the_core_gives_its_dtype() {
        for row in DType::table() {
            if let Some(typestr) = row.typestr {
                assert_eq!(from(&format!("'{typestr}'")).unwrap(), row.dtype);
            }
        }
        for typestr in ["'|u1'", "'<u1'", "'>u1'", "'=u1'"] {
            assert_eq!(from(typestr).unwrap(), DType::U8);
        }
    }

    #[test]
    fn what_the_core_cannot_name_passes_through_as_numpy_says_it() {
        for (descr, format, itemsize) in [
            ("'>f4'", ">f", 4),
            ("'>i8'", ">q", 8),
            ("'>c16'", ">Zd", 16),
            ("'|S5'", "5s", 5),
            ("'<U7'", "7w", 28),
            ("'>U7'", ">7w", 28),
            ("'|V8'", "8x", 8),
            ("'<V2'", "2x", 2),
            ("[('x', '<f4'), ('y', '<i8')]", "T{<f:x:<q:y:}", 12),
            ("[('a', '|u1'), ('', '|V7'), ('b', '<f8'), ('', '|V8')]", "T{<B:a:7x<d:b:8x}", 24),
            ("[('x', '>f4', (3, 2)), ('y', '>U3')]", "T{(3,2)>f:x:>3w:y:}", 36),
            (
                "[('h', '|b1'), ('n', [('p', '>i2'), ('', '|V1')], (2,))]",
                "T{<?:h:(2)T{>h:p:1x}:n:}",
                7,
            ),
            ("[(('title', 'n'), '<c8'), ('v', '|V3')]", "T{<Zf:n:<3x:v:}", 11),
            ("[('x', '<f4', ()), ('e', '|S0')]", "T{<f:x:<0s:e:}", 4),
        ] {
            let dtype = from(descr).unwrap();
            assert_eq!(dtype.format().unwrap().to_str(), Ok(format));
            assert_eq!(dtype.itemsize(), itemsize, "{descr}");
        }
    }

    #[test]
    fn what_no_view_can_have_is_refused_by_name() {
        let descr = |descr: &str| descr.to_owned();
        for (text, field, problem) in [
            ("'|O'", None, DTypeProblem::PythonObjects { descr: descr("|O") }),
            ("'<M8[ns]'", None, DTypeProblem::DateTime { descr: descr("<M8[ns]") }),
            ("'<m8'", None, DTypeProblem::DateTime { descr: descr("<m8") }),
            ("'<f16'", None, DTypeProblem::Unknown { descr: descr("<f16") }),
            ("'f4'", None, DTypeProblem::Unknown { descr: descr("f4") }),
            ("'<é'", None, DTypeProblem::Unknown { descr: descr("<é") }),
            ("'|S+5'", None, DTypeProblem::Unknown { descr: descr("|S+5") }),
            ("'|S'", None, DTypeProblem::Unknown { descr: descr("|S") }),
            ("''", None, DTypeProblem::Unknown { descr: descr("") }),
            ("'|V0'", None, DTypeProblem::ZeroSize),
            ("[]", None, DTypeProblem::ZeroSize),
            ("'<U9223372036854775807'", None, DTypeProblem::TooLarge),
            ("'|S99999999999999999999'", None, DTypeProblem::TooLarge),
            (
                "[('a', [('b', '|O')])]",
                Some("a.b"),
                DTypeProblem::PythonObjects { descr: descr("|O") },
            ),
            ("[('a', '<f4', (4294967296, 4294967296))]", Some("a"), DTypeProblem::TooLarge),
            (
                "[('a', '|S9223372036854775807', (2,)), ('b', '<i2')]",
                Some("b"),
                DTypeProblem::TooLarge,
            ),
            ("[('a:b', '<f4')]", Some("a:b"), DTypeProblem::FieldName),
            ("[('a', '<f4'), ('a', '<f4')]", Some("a"), DTypeProblem::DuplicateField),
            ("[('', '<f4')]", Some(""), DTypeProblem::UnnamedField),
        ] {
            let expected = Flaw::DType { field: field.map(str::to_owned), problem };
            assert_eq!(from(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_descr_of_the_wrong_form_is_refused_with_its_place() {
        for (text, at, expected, got) in [
            ("3", 0, "a typestr or a list of fields", "an integer"),
            ("('<f4', (2,))", 0, "a typestr or a list of fields", "a tuple"),
            ("['<f4']", 1, "a field tuple", "a string"),
            ("[('a',)]", 1, "a field of two or three parts", "a tuple"),
            ("[(1, '<f4')]", 2, "a name or (title, name)", "an integer"),
            ("[('a', True)]", 7, "a typestr or a list of fields", "a bool"),
            ("[('a', '<f4', 2)]", 14, "a tuple of dimensions", "an integer"),
            ("[('a', '<f4', (True,))]", 15, "a dimension", "a bool"),
        ] {
            let problem = HeaderProblem::Unexpected { expected, got: got.to_owned() };
            assert_eq!(from(text).unwrap_err(), Flaw::Header { at, problem }, "{text}");
        }
    }
}
