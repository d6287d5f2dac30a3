//! The order in which the elements of a view are visited.
//!
//! The destination is packed in C order, but may be filled in any order. If the source is
//! interleaved, as pixels are, filling plane after plane would fetch every source byte from memory
//! once for each plane. So elements are visited in rows, along the last axis, and the rows in the
//! order in which the source stays in cache:
//!
//! ```text
//!  source (H, W, C)       seen as (C, H, W): rows have stride C, and the outer axis C has stride 1
//!   row 0  RGBRGBRGB...      visit  R of row 0, G of row 0, B of row 0,
//!   row 1  RGBRGBRGB...             R of row 1, G of row 1, B of row 1, ...
//! ```

/// The most elements of a row that are visited before the next row over the same bytes: 4 channels
/// of them are 16 KiB of one-byte elements, which stay in the first-level cache. A multiple of
/// every vector's lanes.
const CHUNK: usize = 4096;

/// Number of rows of the source to fetch ahead: crops are narrower than a page, so the processor's
/// own prefetch, which stops at pages, does not learn their pattern. Two rows of 256 pixels take
/// about as long as a line from memory.
const ROWS_AHEAD: isize = 2;

/// One axis: the number of elements, and their distance in the source, in the destination, and in
/// channels.
#[derive(Debug, Clone, Copy)]
struct Axis {
    count: usize,
    stride_bytes: isize,
    step: usize,
    is_channel: bool,
}

/// The elements of a view as rows of one stride.
///
/// # Invariants
///
/// 1. [`for_each`](ElementRows::for_each) visits each element once, and so do the groups of
///    [`for_each_group`](ElementRows::for_each_group): their rows hold `count` elements that
///    stand `stride_bytes` apart from `offset` on, relative to the view's first element, and go to
///    `at..at + count` of the packed elements.
/// 2. If `cycle` is above 1, a row starts at channel 0 and has channels `0..cycle` in turn.
#[derive(Debug)]
pub(crate) struct ElementRows {
    /// Outer axes; the last is the outermost.
    outer: Vec<Axis>,
    count: usize,
    chunk: usize,
    /// The channel of the first row.
    channel: usize,
    /// Bytes from one element of a row to the next.
    pub(crate) stride_bytes: isize,
    /// Number of elements of a row after which the channels repeat; 1 if a row is of one channel.
    pub(crate) cycle: usize,
    /// Bytes from a row to a later row with other bytes of the source. It is a hint, so it may
    /// point anywhere.
    pub(crate) ahead_bytes: isize,
}

/// A row: its place in the source, its place in the destination, and its first channel.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row {
    pub(crate) offset: isize,
    pub(crate) at: usize,
    pub(crate) channel: usize,
    pub(crate) count: usize,
}

impl ElementRows {
    /// The rows of a view that has elements. `channel_axis` is None if channels need not be
    /// distinguished.
    pub(crate) fn new(shape: &[usize], strides: &[isize], channel_axis: Option<usize>) -> Self {
        let mut axes: Vec<Axis> = Vec::with_capacity(shape.len() + 1);
        let mut step = 1;
        for (axis, (&count, &stride_bytes)) in shape.iter().zip(strides).enumerate().rev() {
            let is_channel = channel_axis == Some(axis);
            // Channels along a row cycle, and rows of whole cycles may be joined; other axes of
            // channels stay apart.
            let joinable =
                !is_channel && (axes.len() == 1 || axes.last().is_some_and(|a| !a.is_channel));
            match axes.last_mut() {
                _ if count == 1 => {}
                Some(inner)
                    if joinable
                        && inner.stride_bytes.checked_mul(inner.count as isize)
                            == Some(stride_bytes) =>
                {
                    inner.count *= count;
                }
                _ => axes.push(Axis { count, stride_bytes, step, is_channel }),
            }
            step *= count;
        }
        let mut outer = axes;
        let row = if outer.is_empty() { Axis::ONE } else { outer.remove(0) };
        let span = row.stride_bytes.unsigned_abs().saturating_mul(row.count);
        let interleaved = (0..outer.len())
            .min_by_key(|&i| outer[i].stride_bytes.unsigned_abs())
            .filter(|&i| outer[i].stride_bytes.unsigned_abs() < span);
        if let Some(i) = interleaved {
            outer[..=i].rotate_right(1);
        }
        let cycle = match channel_axis {
            Some(axis) if row.is_channel => shape[axis],
            _ => 1,
        };
        // A chunk inside a cycle would start at another channel.
        let chunk = if interleaved.is_some() && cycle == 1 { CHUNK } else { usize::MAX };
        let next = outer.get(usize::from(interleaved.is_some()));
        let ahead_bytes = next.map_or(0, |axis| axis.stride_bytes.wrapping_mul(ROWS_AHEAD));
        ElementRows {
            outer,
            count: row.count,
            chunk,
            channel: 0,
            stride_bytes: row.stride_bytes,
            cycle,
            ahead_bytes,
        }
    }

    /// A single row of packed elements: of channel `channel`, or of channels `0..cycle` in turn if
    /// `cycle` is above 1.
    pub(crate) fn single(count: usize, itemsize: usize, channel: usize, cycle: usize) -> Self {
        let stride_bytes = itemsize as isize;
        ElementRows {
            outer: Vec::new(),
            count,
            chunk: usize::MAX,
            channel,
            stride_bytes,
            cycle,
            ahead_bytes: 0,
        }
    }

    /// The number of elements of the shortest row.
    pub(crate) fn shortest(&self) -> usize {
        self.count.min(self.chunk)
    }

    /// Whether all elements are one row.
    pub(crate) fn is_single(&self) -> bool {
        self.outer.is_empty()
    }

    /// Whether the number of elements of each row is a multiple of the given number, which divides
    /// [`CHUNK`].
    pub(crate) fn are_multiples(&self, elements: usize) -> bool {
        self.count.is_multiple_of(elements)
    }

    /// Visits all rows.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Row)) {
        self.for_each_group(|group| (0..group.count()).for_each(|i| visit(group.row(i))));
    }

    /// Visits all rows, with rows over the same bytes together.
    pub(crate) fn for_each_group(&self, mut visit: impl FnMut(Group)) {
        let (fastest, outer) = match self.outer.split_first() {
            Some((&fastest, outer)) => (fastest, outer),
            None => (Axis::ONE, &[][..]),
        };
        walk(outer, Row { channel: self.channel, ..Row::default() }, &mut |start: Row| {
            let mut done = 0;
            while done < self.count {
                // The last chunk takes the rest, so that no row is shorter than `shortest`.
                let left = self.count - done;
                let count = if left / 2 < self.chunk { left } else { self.chunk };
                let first = Row {
                    offset: start.offset + done as isize * self.stride_bytes,
                    at: start.at + done,
                    count,
                    ..start
                };
                visit(Group { first, axis: fastest });
                done += count;
            }
        });
    }
}

/// Rows that are visited one after another, along the fastest axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    first: Row,
    axis: Axis,
}

impl Group {
    /// The rows of the group.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.axis.count
    }

    /// The row at place `i` of the group.
    #[inline]
    pub(crate) fn row(&self, i: usize) -> Row {
        self.first.moved(self.axis, i)
    }
}

impl Axis {
    /// The axis of a single element.
    const ONE: Axis = Axis { count: 1, stride_bytes: 1, step: 0, is_channel: false };
}

impl Row {
    #[inline]
    fn moved(self, axis: Axis, i: usize) -> Row {
        Row {
            offset: self.offset + i as isize * axis.stride_bytes,
            at: self.at + i * axis.step,
            channel: if axis.is_channel { i } else { self.channel },
            ..self
        }
    }
}

/// Visits every position of the axes, the first axis fastest.
fn walk<F: FnMut(Row)>(axes: &[Axis], from: Row, visit: &mut F) {
    match axes.split_last() {
        None => visit(from),
        Some((&outermost, rest)) => {
            (0..outermost.count).for_each(|i| walk(rest, from.moved(outermost, i), visit));
        }
    }
}
