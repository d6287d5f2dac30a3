//! Chains of all operations from layout to layout, against an enumeration of all elements, from
//! strides as a foreign exporter may give them.

use arbitrary::{Arbitrary, Result, Unstructured};
use ndlens_core::{Error, Index, Layout, MAX_NDIM};

use crate::grid::{self, Grid};
use crate::numbers::{self, Extent, Small, integers, list};
use crate::target::FuzzTarget;
use crate::targets::index::indices;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "layout",
    promise: "a chain of operations shows the elements that NumPy's would, or is refused",
    run: |data| numbers::read(data, run),
    max_len: 256,
};

/// An operation with its arguments, which may make no sense.
#[derive(Debug)]
pub(crate) enum Operation {
    Index(Vec<Index>),
    Permute(Vec<isize>),
    Flip(Vec<isize>),
    Swap(isize, isize),
    Move(Vec<isize>, Vec<isize>),
    Squeeze(Option<Vec<isize>>),
    Expand(Vec<isize>),
    Diagonal(isize, isize, isize),
    Broadcast(Vec<usize>),
    Reshape(Vec<isize>),
    Windows(usize, usize, isize),
    Narrow(usize, usize, usize),
    SplitAt(Vec<isize>, isize, usize),
    Split(usize, isize, usize),
}

impl<'a> Arbitrary<'a> for Operation {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let axes = |u: &mut Unstructured<'a>| Ok::<_, arbitrary::Error>(integers(&list(u, 5)?));
        let number = |u: &mut Unstructured<'a>| Ok::<_, arbitrary::Error>(Small::arbitrary(u)?.0);
        let size = |u: &mut Unstructured<'a>| Ok::<_, arbitrary::Error>(Extent::arbitrary(u)?.0);
        Ok(match u8::arbitrary(u)? % 14 {
            0 => Operation::Index(indices(u, 5)?),
            1 => Operation::Permute(axes(u)?),
            2 => Operation::Flip(axes(u)?),
            3 => Operation::Swap(number(u)?, number(u)?),
            4 => Operation::Move(axes(u)?, axes(u)?),
            5 => Operation::Squeeze(bool::arbitrary(u)?.then(|| axes(u)).transpose()?),
            6 => Operation::Expand(axes(u)?),
            7 => Operation::Diagonal(number(u)?, number(u)?, number(u)?),
            8 => {
                let sizes: Vec<Extent> = list(u, 6)?;
                Operation::Broadcast(sizes.iter().map(|n| n.0).collect())
            }
            9 => Operation::Reshape(axes(u)?),
            10 => Operation::Windows(size(u)?, size(u)?, number(u)?),
            11 => Operation::Narrow(size(u)?, size(u)?, size(u)?),
            12 => Operation::SplitAt(axes(u)?, number(u)?, size(u)? % 8),
            _ => Operation::Split(size(u)?, number(u)?, size(u)? % 8),
        })
    }
}

/// What the oracle says about an operation.
#[derive(Debug)]
enum Expected {
    Elements(Grid),
    /// A result of more elements than are enumerated.
    Many,
    Refused,
    /// No strides show these elements in this shape.
    NeedsCopy,
}

impl Expected {
    fn of(grid: Option<Grid>) -> Self {
        grid.map_or(Expected::Many, Expected::Elements)
    }
}

impl Operation {
    pub(crate) fn apply(&self, layout: &Layout, itemsize: usize) -> ndlens_core::Result<Layout> {
        match self {
            Operation::Index(indices) => layout.index(indices),
            Operation::Permute(axes) => layout.permute(axes),
            Operation::Flip(axes) => layout.flip(axes),
            Operation::Swap(a, b) => layout.swapaxes(*a, *b),
            Operation::Move(from, to) => layout.moveaxis(from, to),
            Operation::Squeeze(axes) => layout.squeeze(axes.as_deref()),
            Operation::Expand(axes) => layout.expand_dims(axes),
            Operation::Diagonal(offset, a, b) => layout.diagonal(*offset, *a, *b),
            Operation::Broadcast(shape) => layout.broadcast_to(shape, itemsize),
            Operation::Reshape(shape) => layout.reshape(shape, itemsize),
            Operation::Windows(size, step, axis) => layout.windows(*size, *step, *axis, itemsize),
            Operation::Narrow(axis, start, count) => layout.narrow(*axis, *start, *count),
            Operation::SplitAt(places, axis, which) => {
                let mut pieces = layout.split_at(places, *axis)?;
                let which = which % pieces.len();
                pieces.nth(which).expect("a piece")
            }
            Operation::Split(sections, axis, which) => {
                let mut pieces = layout.split(*sections, *axis)?;
                let which = which % pieces.len();
                pieces.nth(which).expect("a piece")
            }
        }
    }

    /// The same, by the definition of each operation.
    fn expected(&self, grid: &Grid, itemsize: usize) -> Expected {
        self.selected(grid, itemsize).unwrap_or(Expected::Refused)
    }

    fn selected(&self, grid: &Grid, itemsize: usize) -> Option<Expected> {
        let (ndim, shape) = (grid.ndim(), &grid.shape);
        Some(match self {
            Operation::Index(indices) => Expected::of(grid.index(indices).ok()?),
            Operation::Permute(axes) => {
                let axes = grid::axes(axes, ndim).filter(|axes| axes.len() == ndim)?;
                permuted(grid, &axes)
            }
            Operation::Flip(axes) => {
                let axes = grid::axes(axes, ndim)?;
                Expected::of(grid.select(shape.clone(), |index| {
                    let turned = |(axis, &i): (usize, &usize)| {
                        if axes.contains(&axis) { shape[axis] - 1 - i } else { i }
                    };
                    index.iter().enumerate().map(turned).collect()
                }))
            }
            Operation::Swap(a, b) => {
                let (a, b) = (grid::axis(*a, ndim)?, grid::axis(*b, ndim)?);
                let mut axes: Vec<usize> = (0..ndim).collect();
                axes.swap(a, b);
                permuted(grid, &axes)
            }
            Operation::Move(from, to) => moved(grid, from, to)?,
            Operation::Squeeze(axes) => {
                let dropped = match axes {
                    Some(axes) => grid::axes(axes, ndim)?,
                    None => (0..ndim).filter(|&axis| shape[axis] == 1).collect(),
                };
                if dropped.iter().any(|&axis| shape[axis] != 1) {
                    return None;
                }
                let kept = (0..ndim).filter(|axis| !dropped.contains(axis));
                Expected::Elements(grid.reshaped(kept.map(|axis| shape[axis]).collect()))
            }
            Operation::Expand(axes) => {
                let all = ndim + axes.len();
                let mut places = grid::axes(axes, all).filter(|_| all <= MAX_NDIM)?;
                places.sort_unstable();
                let mut out = shape.clone();
                for place in places {
                    out.insert(place, 1);
                }
                Expected::Elements(grid.reshaped(out))
            }
            Operation::Diagonal(offset, a, b) => diagonal(grid, *offset, *a, *b)?,
            Operation::Broadcast(target) => {
                let new = target.len().checked_sub(ndim)?;
                let fits = |(&n, &to): (&usize, &usize)| n == to || n == 1;
                if !shape.iter().zip(&target[new..]).all(fits) || !grid::fits(target, itemsize) {
                    return None;
                }
                let own = |(&i, &n): (&usize, &usize)| if n == 1 { 0 } else { i };
                let source = |index: &[usize]| index[new..].iter().zip(shape).map(own).collect();
                Expected::of(grid.select(target.clone(), source))
            }
            Operation::Reshape(target) => reshaped(grid, target, itemsize)?,
            Operation::Windows(size, step, axis) => windows(grid, *size, *step, *axis, itemsize)?,
            Operation::Narrow(axis, start, count) => {
                let axis = Some(*axis).filter(|&axis| axis < ndim)?;
                start.checked_add(*count).filter(|&end| end <= shape[axis])?;
                ranged(grid, axis, *start..start + count)
            }
            Operation::SplitAt(places, axis, which) => {
                let axis = grid::axis(*axis, ndim)?;
                let which = which % (places.len() + 1);
                let place = |k: usize| places.get(k).copied();
                let mut key = vec![Index::from(..); axis + 1];
                let start = which.checked_sub(1).and_then(place);
                key[axis] = Index::Slice { start, stop: place(which), step: 1 };
                Expected::of(grid.index(&key).ok()?)
            }
            Operation::Split(sections, axis, which) => {
                let axis = grid::axis(*axis, ndim)?;
                if *sections == 0 || shape[axis] % sections != 0 {
                    return None;
                }
                let (size, which) = (shape[axis] / sections, which % sections);
                ranged(grid, axis, which * size..(which + 1) * size)
            }
        })
    }
}

fn permuted(grid: &Grid, axes: &[usize]) -> Expected {
    let shape = axes.iter().map(|&axis| grid.shape[axis]).collect();
    Expected::of(grid.select(shape, |index| {
        let mut source = vec![0; axes.len()];
        axes.iter().zip(index).for_each(|(&axis, &i)| source[axis] = i);
        source
    }))
}

/// As `numpy.moveaxis` does it.
fn moved(grid: &Grid, from: &[isize], to: &[isize]) -> Option<Expected> {
    let ndim = grid.ndim();
    let (from, to) = (grid::axes(from, ndim)?, grid::axes(to, ndim)?);
    if from.len() != to.len() {
        return None;
    }
    let mut order: Vec<usize> = (0..ndim).filter(|axis| !from.contains(axis)).collect();
    let mut pairs: Vec<_> = to.into_iter().zip(from).collect();
    pairs.sort_unstable();
    for (place, axis) in pairs {
        order.insert(place, axis);
    }
    Some(permuted(grid, &order))
}

fn windows(
    grid: &Grid,
    size: usize,
    step: usize,
    axis: isize,
    itemsize: usize,
) -> Option<Expected> {
    let axis = grid::axis(axis, grid.ndim())?;
    if size == 0 || step == 0 || size > grid.shape[axis] || grid.ndim() == MAX_NDIM {
        return None;
    }
    let mut out = grid.shape.clone();
    out[axis] = 1 + (grid.shape[axis] - size) / step;
    out.insert(axis + 1, size);
    if !grid::fits(&out, itemsize) {
        return None;
    }
    Some(Expected::of(grid.select(out, |index| {
        let mut index = index.to_vec();
        let within = index.remove(axis + 1);
        index[axis] = index[axis] * step + within;
        index
    })))
}

fn ranged(grid: &Grid, axis: usize, range: std::ops::Range<usize>) -> Expected {
    let mut shape = grid.shape.clone();
    shape[axis] = range.len();
    Expected::of(grid.select(shape, |index| {
        let mut index = index.to_vec();
        index[axis] += range.start;
        index
    }))
}

fn diagonal(grid: &Grid, offset: isize, a: isize, b: isize) -> Option<Expected> {
    let axes = grid::axes(&[a, b], grid.ndim())?;
    let (row, column) = (axes[0], axes[1]);
    let on = |&(i, j): &(usize, usize)| j as i128 - i as i128 == offset as i128;
    let pairs = (0..grid.shape[row]).flat_map(|i| (0..grid.shape[column]).map(move |j| (i, j)));
    // An axis of an empty grid may be longer than can be walked.
    if grid.places.is_empty() {
        return Some(Expected::Many);
    }
    let pairs: Vec<_> = pairs.filter(on).collect();
    let rest: Vec<usize> = (0..grid.ndim()).filter(|axis| !axes.contains(axis)).collect();
    let mut shape: Vec<usize> = rest.iter().map(|&axis| grid.shape[axis]).collect();
    shape.push(pairs.len());
    Some(Expected::of(grid.select(shape, |index| {
        let mut source = vec![0; grid.ndim()];
        rest.iter().zip(index).for_each(|(&axis, &i)| source[axis] = i);
        (source[row], source[column]) = pairs[index[rest.len()]];
        source
    })))
}

fn reshaped(grid: &Grid, target: &[isize], itemsize: usize) -> Option<Expected> {
    let unknowns = target.iter().filter(|&&n| n == -1).count();
    if unknowns > 1 || target.iter().any(|&n| n < -1) {
        return None;
    }
    let known = target.iter().filter(|&&n| n >= 0).try_fold(1i128, |product, &n| {
        product.checked_mul(n as i128).filter(|&product| product <= usize::MAX as i128)
    })?;
    let all = grid.places.len() as i128;
    let unknown = match unknowns {
        0 if known == all => 0,
        1 if known > 0 && all % known == 0 => all / known,
        _ => return None,
    };
    let shape: Vec<usize> =
        target.iter().map(|&n| if n == -1 { unknown as usize } else { n as usize }).collect();
    if !grid::fits(&shape, itemsize) {
        return None;
    }
    let out = grid.reshaped(shape);
    Some(if out.is_strided() { Expected::Elements(out) } else { Expected::NeedsCopy })
}

/// A layout of a buffer of `len` bytes, checked as a foreign one is; None if it was refused.
pub(crate) fn foreign(
    u: &mut Unstructured<'_>,
    itemsize: usize,
    len: usize,
) -> Result<Option<Layout>> {
    let shape: Vec<Extent> = list(u, 4)?;
    let shape: Vec<usize> = shape.iter().map(|n| n.0).collect();
    let strides: Vec<isize> = shape
        .iter()
        .map(|_| {
            Ok(if bool::arbitrary(u)? { itemsize as isize } else { 1 }
                * Small::arbitrary(u)?.0.clamp(-1 << 58, 1 << 58))
        })
        .collect::<Result<_>>()?;
    let offset = match u8::arbitrary(u)? {
        255 => usize::MAX,
        byte => usize::from(byte),
    };
    let layout = Layout::new(&shape, &strides, offset, itemsize, len);
    if let Some(grid) = Grid::strided(&shape, &strides, offset) {
        let inside = |&place: &i128| place >= 0 && place + itemsize as i128 <= len as i128;
        let empty = grid.places.is_empty();
        let valid = if empty { offset <= len } else { grid.places.iter().all(inside) };
        assert_eq!(layout.is_ok(), valid && grid::fits(&shape, itemsize), "{layout:?}");
    }
    Ok(layout.ok())
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let itemsize = *u.choose(&[1, 2, 3, 8])?;
    let len = usize::from(u8::arbitrary(u)?);
    let Some(mut layout) = foreign(u, itemsize, len)? else { return Ok(()) };
    let Some(mut grid) = Grid::of(&layout) else { return Ok(()) };
    for _ in 0..8 {
        grid.is_that_of(&layout);
        coalesces(&layout, &grid);
        reinterprets(&layout, &grid, itemsize, *u.choose(&[0, 1, 2, 4, 6])?);
        let operation = Operation::arbitrary(u)?;
        let got = operation.apply(&layout, itemsize);
        if let Ok(got) = &got {
            got.check(itemsize, len).expect("elements inside the buffer");
        }
        match (got, operation.expected(&grid, itemsize)) {
            (Ok(got), Expected::Elements(expected)) => {
                expected.is_that_of(&got);
                (layout, grid) = (got, expected);
            }
            (_, Expected::Many) => return Ok(()),
            (Err(Error::CopyRequired { .. }), Expected::NeedsCopy) => {}
            (Err(error), Expected::Refused) => {
                assert!(!matches!(error, Error::CopyRequired { .. }), "{operation:?}: {error}");
            }
            (got, expected) => {
                panic!("{operation:?} of {layout:?}: {got:?}, expected {expected:?}");
            }
        }
    }
    Ok(())
}

/// The layout that kernels loop over has the same places in the same order.
fn coalesces(layout: &Layout, grid: &Grid) {
    let places = layout.coalesced().offsets().map(|place| place as i128).collect::<Vec<_>>();
    assert_eq!(places, grid.places);
}

/// Elements of another size are the same bytes in the same order.
fn reinterprets(layout: &Layout, grid: &Grid, itemsize: usize, new_itemsize: usize) {
    let Ok(out) = layout.reinterpret(itemsize, new_itemsize) else { return };
    let bytes = |places: &[i128], size: usize| -> Vec<i128> {
        places.iter().flat_map(|&place| (0..size as i128).map(move |byte| place + byte)).collect()
    };
    if let Some(out) = Grid::of(&out) {
        assert_eq!(bytes(&out.places, new_itemsize), bytes(&grid.places, itemsize));
    }
}
