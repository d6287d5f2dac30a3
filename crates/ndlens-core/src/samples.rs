//! Layouts for property tests, and a slow, simple enumeration of their elements.

use proptest::prelude::*;

use crate::layout::Layout;

/// Every element of a layout by enumeration: its multi-index, and its byte offset.
pub(crate) fn elements(layout: &Layout) -> Vec<(Vec<usize>, usize)> {
    let mut indices = vec![vec![]];
    for &n in layout.shape() {
        indices = indices
            .iter()
            .flat_map(|i| (0..n).map(move |k| [i.clone(), vec![k]].concat()))
            .collect();
    }
    let place = |index: &Vec<usize>| {
        let steps = index.iter().zip(layout.strides()).map(|(&i, &stride)| i as isize * stride);
        (layout.offset() as isize + steps.sum::<isize>()) as usize
    };
    indices.iter().map(|index| (index.clone(), place(index))).collect()
}

/// More bytes than any layout of `any_layout` spans: four axes of four elements with gaps of one.
pub(crate) const LARGEST: usize = 2 * 8usize.pow(4) + 2;

/// A layout of up to four axes with gaps, flips and transpositions, in a buffer it just fits.
pub(crate) fn any_layout() -> impl Strategy<Value = Layout> {
    let axis = (0usize..5, 1usize..3, any::<bool>());
    (prop::collection::vec(axis, 0..5), any::<prop::sample::Index>()).prop_map(|(axes, turn)| {
        let mut shape = vec![];
        let mut strides = vec![];
        let (mut stride, mut offset) = (2isize, 0isize);
        for &(n, gap, backwards) in axes.iter().rev() {
            let step = stride * gap as isize;
            shape.insert(0, n);
            strides.insert(0, if backwards { -step } else { step });
            if backwards && n > 0 {
                offset += (n as isize - 1) * step;
            }
            stride = step * n.max(1) as isize;
        }
        if !shape.is_empty() {
            let turn = turn.index(shape.len());
            shape.rotate_left(turn);
            strides.rotate_left(turn);
        }
        Layout::new(&shape, &strides, offset as usize, 2, stride as usize + 2).unwrap()
    })
}
