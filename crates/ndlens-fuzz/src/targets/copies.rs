//! Copies between layouts: reads, writes, fills and gathers, against single bytes.
//!
//! The kernels behind them choose loops by strides, so the layouts are as odd as a foreign exporter
//! can make them, and the two sides of an assignment may be the same memory.

use arbitrary::{Arbitrary, Result, Unstructured};
use ndlens_core::{Buffer, DType, Error, Layout, Order, View};

use crate::grid::{self, Grid};
use crate::numbers::{self, Small, integers, list};
use crate::target::FuzzTarget;
use crate::targets::layout::{Operation, foreign};

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "copies",
    promise: "a copy has the elements and no other byte, also where the two sides overlap",
    run: |data| numbers::read(data, run),
    max_len: 256,
};

const DTYPES: [DType; 5] = [DType::U8, DType::U16, DType::F32, DType::F64, DType::C128];

/// A view of the buffer, after some operations.
fn view(u: &mut Unstructured<'_>, buffer: &Buffer, dtype: &DType) -> Result<Option<(View, Grid)>> {
    let itemsize = dtype.itemsize();
    let Some(mut layout) = foreign(u, itemsize, buffer.len())? else { return Ok(None) };
    for _ in 0..u.int_in_range(0..=3)? {
        if let Ok(next) = Operation::arbitrary(u)?.apply(&layout, itemsize) {
            layout = next;
        }
    }
    let Some(grid) = Grid::of(&layout) else { return Ok(None) };
    let view = View::new(buffer.clone(), layout, dtype.clone()).expect("a checked layout");
    Ok(Some((view, grid)))
}

/// The bytes of a buffer, by its own views.
fn bytes_of(buffer: &Buffer) -> Vec<u8> {
    let layout = Layout::contiguous(&[buffer.len()], 1, Order::C).expect("one axis");
    let all = View::new(buffer.clone(), layout, DType::U8).expect("all bytes");
    all.to_vec::<u8>().expect("bytes")
}

fn elements(bytes: &[u8], grid: &Grid, itemsize: usize) -> Vec<u8> {
    grid.places.iter().flat_map(|&place| &bytes[place as usize..][..itemsize]).copied().collect()
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let len = usize::from(u16::arbitrary(u)? % 1024);
    let memory = || Buffer::from_vec((0..len).map(|i| (i % 251) as u8).collect());
    let (target, other) = (memory(), memory());
    let dtype = u.choose(&DTYPES)?;
    let size = dtype.itemsize();
    let Some((to, to_grid)) = view(u, &target, dtype)? else { return Ok(()) };
    let mut bytes = bytes_of(&target);

    let packed = elements(&bytes, &to_grid, size);
    let mut read = vec![0xAA; to.nbytes() + 16];
    to.read_into(&mut read[..packed.len()]).expect("as many bytes");
    assert_eq!(read[..packed.len()], packed);
    assert!(read[packed.len()..].iter().all(|&byte| byte == 0xAA));
    for order in [Order::C, Order::F] {
        let copy = to.copy(order).expect("a small copy");
        assert!(copy.is_contiguous(order) && !copy.may_share_memory(&to));
        assert_eq!(copy.packed_bytes().as_deref(), Ok(&packed[..]));
        assert_eq!(copy.shape(), to.shape());
    }

    let places = integers(&list::<Small>(u, 4)?);
    let axis = Small::arbitrary(u)?.0;
    takes(&to, &to_grid, &bytes, &places, axis);

    let overlaps = bool::arbitrary(u)?;
    let source = if overlaps { &target } else { &other };
    let Some((from, from_grid)) = view(u, source, dtype)? else { return Ok(()) };
    assert_eq!(to.shares_memory(&from), overlaps && shares(&to_grid, &from_grid, size));
    let new = from_grid.shape.len() as isize - to_grid.shape.len() as isize;
    let stretched = (new <= 0).then(|| from.broadcast_to(to.shape()).ok()).flatten();
    match to.assign(&from) {
        Ok(()) => {
            // NumPy refuses axes in front of the target's, unless they have one element.
            let source = stretched.expect("a source that broadcasts");
            let grid = Grid::of(source.layout()).expect("as many elements as the target");
            let written = elements(&bytes, &grid, size);
            // Which of several elements at one place is last is not promised.
            if is_injective(&to_grid, size) {
                for (&place, element) in to_grid.places.iter().zip(written.chunks(size)) {
                    bytes[place as usize..][..size].copy_from_slice(element);
                }
                assert_eq!(bytes_of(&target), bytes);
            }
            bytes = bytes_of(&target);
        }
        Err(Error::Broadcast { .. }) => assert!(stretched.is_none()),
        Err(error) => panic!("{error}"),
    }

    let element: Vec<u8> = (0..size as u8).map(|byte| byte ^ 0x5A).collect();
    to.fill(&element).expect("writable memory");
    let filled = bytes_of(&target);
    if is_injective(&to_grid, size) {
        for &place in &to_grid.places {
            bytes[place as usize..][..size].copy_from_slice(&element);
        }
        assert_eq!(filled, bytes);
    }
    assert!(matches!(to.to_read_only().fill(&element), Err(Error::ReadOnly { .. })));
    Ok(())
}

/// Whether no byte is of two elements.
fn is_injective(grid: &Grid, itemsize: usize) -> bool {
    let mut places = grid.places.clone();
    places.sort_unstable();
    places.windows(2).all(|pair| pair[1] - pair[0] >= itemsize as i128)
}

fn shares(a: &Grid, b: &Grid, itemsize: usize) -> bool {
    let size = itemsize as i128;
    a.places.iter().any(|&i| b.places.iter().any(|&j| (i - j).abs() < size))
}

fn takes(view: &View, grid: &Grid, bytes: &[u8], places: &[isize], axis: isize) {
    let expected = grid::axis(axis, grid.ndim()).and_then(|axis| {
        let size = grid.shape[axis];
        let rows: Vec<_> = places.iter().map(|&at| grid::axis(at, size)).collect::<Option<_>>()?;
        let mut shape = grid.shape.clone();
        shape[axis] = rows.len();
        grid.select(shape, |index| {
            let mut index = index.to_vec();
            index[axis] = rows[index[axis]];
            index
        })
    });
    match (view.take(places, axis), expected) {
        (Ok(got), Some(expected)) => {
            assert_eq!(got.shape(), expected.shape);
            let expected = elements(bytes, &expected, view.itemsize());
            assert_eq!(got.packed_bytes().as_deref(), Ok(&expected[..]));
        }
        (Ok(got), None) => assert!(got.len() > grid::MOST, "{got:?}"),
        (Err(error), expected) => assert!(expected.is_none(), "{error}"),
    }
}
