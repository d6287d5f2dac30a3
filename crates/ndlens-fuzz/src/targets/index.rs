//! Chains of NumPy's basic indexing, `v[..][..]`, against an enumeration of all indices.

use arbitrary::{Arbitrary, Result, Unstructured};
use ndlens_core::{Index, Layout, Order};

use crate::grid::Grid;
use crate::numbers::{self, Small, list};
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "index",
    promise: "a chain of indices selects what Python's reference says, or is refused",
    run: |data| numbers::read(data, run),
    max_len: 256,
};

/// An index as a hostile caller writes it.
pub(crate) fn index(u: &mut Unstructured<'_>) -> Result<Index> {
    let number = |u: &mut Unstructured<'_>| Ok(Small::arbitrary(u)?.0);
    Ok(match u8::arbitrary(u)? % 8 {
        0 | 1 => Index::At(number(u)?),
        2 => Index::Ellipsis,
        3 => Index::NewAxis,
        _ => {
            let present = u8::arbitrary(u)?;
            let bound = |u: &mut Unstructured<'_>, bit: u8| {
                (present & bit != 0).then(|| number(u)).transpose()
            };
            let (start, stop) = (bound(u, 1)?, bound(u, 2)?);
            Index::Slice { start, stop, step: bound(u, 4)?.unwrap_or(1) }
        }
    })
}

/// A list of at most `most` indices.
pub(crate) fn indices(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<Index>> {
    let len = u.int_in_range(0..=most)?;
    (0..len).map(|_| index(u)).collect()
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let shape: Vec<usize> = list::<u8>(u, 5)?.iter().map(|&n| usize::from(n) % 7).collect();
    let itemsize = *u.choose(&[1, 2, 4, 16])?;
    let mut layout = Layout::contiguous(&shape, itemsize, Order::C).expect("a small shape");
    let Some(mut grid) = Grid::of(&layout) else { return Ok(()) };
    let len = shape.iter().product::<usize>() * itemsize;
    for _ in 0..6 {
        let indices = indices(u, 6)?;
        match (layout.index(&indices), grid.index(&indices)) {
            (Ok(got), Ok(Some(expected))) => {
                got.check(itemsize, len).expect("elements inside the buffer");
                expected.is_that_of(&got);
                (layout, grid) = (got, expected);
            }
            (Ok(got), Ok(None)) => {
                got.check(itemsize, len).expect("elements inside the buffer");
                return Ok(());
            }
            (Err(_), Err(())) => {}
            (got, expected) => panic!("{indices:?} of {layout:?}: {got:?}, expected {expected:?}"),
        }
    }
    Ok(())
}
