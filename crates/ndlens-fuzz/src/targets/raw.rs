//! Raw bytes that the caller describes: dtype, shape, strides and offset.

use arbitrary::{Arbitrary, Result, Unstructured};
use ndlens_core::DType;
use ndlens_store::{MapMode, Opened, Options, Raw};

use crate::files::{self, names_its_file};
use crate::grid::{self, Grid};
use crate::numbers::{self, Extent, integers, list};
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "raw",
    promise: "a description is accepted if and only if every element is in the file",
    run: |data| numbers::read(data, run),
    max_len: 128,
};

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let len = usize::from(u8::arbitrary(u)?);
    let dtype = u.choose(DType::table())?.dtype.clone();
    let shape = integers(&list(u, 5)?);
    let strides: Option<Vec<isize>> =
        if bool::arbitrary(u)? { Some(integers(&list(u, 5)?)) } else { None };
    let offset = Extent::arbitrary(u)?.0;
    let (mode, copy) = *u.choose(&[
        (MapMode::Read, false),
        (MapMode::CopyOnWrite, false),
        (MapMode::ReadWrite, false),
        (MapMode::ReadWrite, true),
        (MapMode::CopyOnWrite, true),
    ])?;
    let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
    let directory = files::directory();
    let path = files::file(&directory, "x.bin", &bytes);
    let expected = described(&shape, strides.as_deref(), offset, dtype.itemsize(), len);
    let raw = Some(Raw { shape, dtype, offset, strides });
    match (Options { mode, copy, raw }).open(&path) {
        Ok(Opened::Array(view)) => match expected {
            Expected::Elements(grid) => {
                assert_eq!(view.shape(), grid.shape);
                let elements = files::walk(&view).expect("few elements");
                let of = |&place: &i128| &bytes[place as usize..][..view.itemsize()];
                assert_eq!(elements, grid.places.iter().flat_map(of).copied().collect::<Vec<_>>());
            }
            Expected::Many => drop(files::walk(&view)),
            Expected::Refused => panic!("{view:?}"),
        },
        Ok(_) => panic!("one array"),
        Err(ndlens_store::Error::CopyOfFile) => assert!(copy && mode == MapMode::ReadWrite),
        Err(error) => {
            assert!(!matches!(expected, Expected::Elements(_)), "{error}");
            names_its_file(&error, &path, len + 1024);
        }
    }
    Ok(())
}

enum Expected {
    Elements(Grid),
    /// More elements than are enumerated.
    Many,
    Refused,
}

fn described(
    shape: &[isize],
    strides: Option<&[isize]>,
    offset: usize,
    itemsize: usize,
    len: usize,
) -> Expected {
    let unknowns = shape.iter().filter(|&&n| n == -1).count();
    if shape.iter().any(|&n| n < -1) || unknowns > 1 || (unknowns == 1 && strides.is_some()) {
        return Expected::Refused;
    }
    let known = shape.iter().filter(|&&n| n >= 0).try_fold(itemsize, |bytes, &n| {
        bytes.checked_mul(n as usize).filter(|&bytes| isize::try_from(bytes).is_ok())
    });
    let sizes: Vec<usize> = match (unknowns, known) {
        (0, _) => shape.iter().map(|&n| n as usize).collect(),
        (_, None | Some(0)) => return Expected::Refused,
        (_, Some(row)) => {
            let Some(rest) = len.checked_sub(offset).filter(|rest| rest % row == 0) else {
                return Expected::Refused;
            };
            shape.iter().map(|&n| if n == -1 { rest / row } else { n as usize }).collect()
        }
    };
    if strides.is_some_and(|strides| strides.len() != sizes.len()) || !grid::fits(&sizes, itemsize)
    {
        return Expected::Refused;
    }
    let packed: Vec<isize> = (0..sizes.len())
        .map(|axis| sizes[axis + 1..].iter().fold(itemsize, |s, &n| s.wrapping_mul(n)) as isize)
        .collect();
    let Some(grid) = Grid::strided(&sizes, strides.unwrap_or(&packed), offset) else {
        return Expected::Many;
    };
    let inside = |&place: &i128| place >= 0 && place + itemsize as i128 <= len as i128;
    // Without elements nothing is outside, whatever the offset.
    if grid.places.iter().all(inside) { Expected::Elements(grid) } else { Expected::Refused }
}
