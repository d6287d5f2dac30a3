//! The mixing of a batch, in pieces that threads can do in any order.
//!
//! A piece is a range of an item's bytes, the same in all items. It is mixed from the last item
//! down to the first, so that each item is mixed with its unmixed neighbour. The thread keeps a
//! copy of the last item, for the first one:
//!
//! ```text
//!            range
//!  item 0  ..|####|..   <- mixed last, with what item 3 was
//!  item 1  ..|####|..   <- with item 0
//!  item 2  ..|####|..   <- with item 1
//!  item 3  ..|####|..   <- remembered, then mixed with item 2
//! ```
//!
//! So a batch is mixed in place, and no two pieces share a byte. Each byte is read once and written
//! once if a range of two items stays in the cache. Labels that are numbers of classes become
//! probabilities in memory of their own: a piece of them is a range of items.

#![expect(unsafe_code, reason = "cuts batch memory into disjoint pieces; see UNSAFE.md")]

use std::ops::Range;

use ndlens_core::{DType, Layout, Order, View, room};
use ndlens_kernels::Blend;
use ndlens_transforms::mixing::{DrawnMix, Mixer, Region, soften};
use ndlens_transforms::{Pipeline, Scratch};

use crate::compiled::CompiledField;
use crate::error::Result;
use crate::memory::pool::Slab;
use crate::summary::FieldSummary;

/// Bytes of a range that are mixed at a time: those of two items stay in the cache.
const BLOCK_BYTES: usize = 16 << 10;

/// Minimum bytes that a piece reads. Its claim is then a negligible part of its time.
const MIN_PIECE_BYTES: usize = 256 << 10;

/// The mixing of one field.
#[derive(Debug)]
enum Act {
    /// Each element becomes a weighted sum of itself and its neighbour.
    Blend(Region, Blend),
    /// Each element becomes its neighbour.
    Copy(Region),
    /// Numbers of `classes` classes become probabilities.
    Soften { classes: usize },
}

#[derive(Debug)]
struct Task {
    /// The field's place.
    field: usize,
    /// Bytes of one of its items.
    nbytes: usize,
    act: Act,
    /// The part of `extent` in a piece.
    step: usize,
    /// The bytes of a region, or the number of items.
    extent: usize,
}

impl Task {
    fn of_region(field: usize, nbytes: usize, items: usize, region: Region, act: Act) -> Self {
        let step = (MIN_PIECE_BYTES / items.max(1)).next_multiple_of(BLOCK_BYTES).max(BLOCK_BYTES);
        Task { field, nbytes, act, step, extent: region.nbytes() }
    }

    fn pieces(&self) -> usize {
        self.extent.div_ceil(self.step)
    }
}

/// The place of the field with labels, if its labels are numbers of classes, which become
/// probabilities.
pub(crate) fn softened(mixer: &Mixer) -> Option<usize> {
    mixer.classes().map(|_| mixer.labels())
}

/// Fields in words and numbers, of batches that are mixed so.
pub(crate) fn summary_of(
    fields: &[CompiledField],
    mixer: Option<&Mixer>,
) -> Result<Vec<FieldSummary>> {
    let classes = |place| {
        let mixer = mixer.filter(|&mixer| softened(mixer) == Some(place))?;
        mixer.classes()
    };
    let summaries = fields.iter().enumerate().map(|(place, field)| field.summary(classes(place)));
    room::try_list_of(summaries)
}

/// The mixing of one batch.
#[derive(Debug)]
pub(crate) struct Mixture {
    drawn: DrawnMix,
    items: usize,
    tasks: Vec<Task>,
    /// The memory of the probabilities, if labels become such.
    probabilities: Option<Slab>,
}

impl Mixture {
    /// The mixing of a batch of `items` items with these draws. If labels become probabilities,
    /// these are written on `probabilities`.
    pub(crate) fn new(
        mixer: &Mixer,
        fields: &[CompiledField],
        drawn: DrawnMix,
        items: usize,
        probabilities: Option<Slab>,
    ) -> Result<Self> {
        let mut tasks = vec![];
        for &place in mixer.images() {
            let pipeline = &fields[place].pipeline;
            let nbytes = pipeline.nbytes();
            let (region, act) = if let (Some(cut), Some(image)) = (drawn.cut, fields[place].image())
            {
                let region = Region::of_cut(cut, image);
                (region, Act::Copy(region))
            } else {
                blend_all(pipeline, drawn)?
            };
            tasks.push(Task::of_region(place, nbytes, items, region, act));
        }
        let (field, pipeline) = (mixer.labels(), &fields[mixer.labels()].pipeline);
        let nbytes = pipeline.nbytes();
        if let Some(classes) = mixer.classes() {
            let step = (MIN_PIECE_BYTES / (classes * size_of::<f32>())).max(1);
            tasks.push(Task { field, nbytes, act: Act::Soften { classes }, step, extent: items });
        } else {
            let (region, act) = blend_all(pipeline, drawn)?;
            tasks.push(Task::of_region(field, nbytes, items, region, act));
        }
        Ok(Mixture { drawn, items, tasks, probabilities })
    }
}

/// The region that is all of an item, and its blending.
fn blend_all(pipeline: &Pipeline, drawn: DrawnMix) -> Result<(Region, Act)> {
    let region = Region::whole(pipeline.nbytes());
    Ok((region, Act::Blend(region, Blend::new(pipeline.dtype(), drawn.share)?)))
}

impl Mixture {
    /// Does some of the pieces.
    ///
    /// # Safety
    ///
    /// The items of the batch are made, nothing else reads or writes them, and no other thread does
    /// any of these pieces.
    pub(crate) unsafe fn mix(
        &self,
        fields: &[CompiledField],
        slabs: &[Slab],
        pieces: Range<usize>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let mut before = 0;
        for task in &self.tasks {
            let here = pieces.start.saturating_sub(before)
                ..pieces.end.saturating_sub(before).min(task.pieces());
            before += task.pieces();
            if here.is_empty() {
                continue;
            }
            let range = here.start * task.step..(here.end * task.step).min(task.extent);
            let slab = &slabs[task.field];
            match &task.act {
                // SAFETY: passed on; pieces of a task are ranges apart.
                Act::Blend(region, blend) => unsafe {
                    let mix = |own: &mut [u8], other: &[u8]| blend.apply(own, other);
                    roll(slab, task.nbytes, self.items, region, range, scratch, mix)?;
                },
                // SAFETY: as above.
                Act::Copy(region) => unsafe {
                    roll(
                        slab,
                        task.nbytes,
                        self.items,
                        region,
                        range,
                        scratch,
                        <[u8]>::copy_from_slice,
                    )?;
                },
                &Act::Soften { classes } => {
                    let Some(probabilities) = &self.probabilities else { continue };
                    let row_bytes = classes * size_of::<f32>();
                    // SAFETY: the labels are made, and are no longer written; this thread
                    // alone has these rows of probabilities.
                    let (labels, rows) = unsafe {
                        (
                            slab.written(0, task.nbytes * self.items),
                            probabilities.piece(range.start * row_bytes, range.len() * row_bytes),
                        )
                    };
                    let dtype = fields[task.field].pipeline.dtype();
                    soften(labels, dtype, range, self.drawn.share, rows, row_bytes);
                }
            }
        }
        Ok(())
    }

    /// The same mixing of a batch of which `items` items are left.
    pub(crate) fn of_fewer(
        self,
        mixer: &Mixer,
        fields: &[CompiledField],
        items: usize,
    ) -> Result<Self> {
        Mixture::new(mixer, fields, self.drawn, items, self.probabilities)
    }

    /// The number of pieces.
    pub(crate) fn pieces(&self) -> usize {
        self.tasks.iter().map(Task::pieces).sum()
    }

    /// The draws.
    pub(crate) fn drawn(&self) -> &DrawnMix {
        &self.drawn
    }

    /// The batch of probabilities, if labels become such.
    pub(crate) fn into_probabilities(self, mixer: &Mixer) -> Result<Option<View>> {
        let (Some(slab), Some(classes)) = (self.probabilities, mixer.classes()) else {
            return Ok(None);
        };
        let layout = Layout::contiguous(&[self.items, classes], size_of::<f32>(), Order::C)?;
        Ok(Some(View::new(slab.freeze(), layout, DType::F32)?))
    }
}

/// Mixes a range of a region's bytes in all items, each with the item before it.
///
/// # Safety
///
/// The slab has `items` items of `nbytes` bytes, which contain the region; nothing else reads or
/// writes the range.
unsafe fn roll(
    slab: &Slab,
    nbytes: usize,
    items: usize,
    region: &Region,
    range: Range<usize>,
    scratch: &mut Scratch,
    mix: impl Fn(&mut [u8], &[u8]),
) -> Result<()> {
    for start in range.clone().step_by(BLOCK_BYTES) {
        let block = start..(start + BLOCK_BYTES).min(range.end);
        let last = scratch.bytes_mut(block.len())?;
        let mut at = 0;
        for run in region.runs(block.clone()) {
            // SAFETY: a run of the last item, which is not written now.
            let bytes = unsafe { slab.written((items - 1) * nbytes + run.start, run.len()) };
            last[at..at + run.len()].copy_from_slice(bytes);
            at += run.len();
        }
        for item in (1..items).rev() {
            for run in region.runs(block.clone()) {
                // SAFETY: the same run of two items, which do not overlap; this thread alone has it
                // in all items.
                let (own, other) = unsafe {
                    let start = item * nbytes + run.start;
                    (slab.piece(start, run.len()), slab.written(start - nbytes, run.len()))
                };
                mix(own, other);
            }
        }
        let mut at = 0;
        for run in region.runs(block) {
            // SAFETY: a run of the first item, which this thread alone has.
            let own = unsafe { slab.piece(run.start, run.len()) };
            mix(own, &last[at..at + run.len()]);
            at += run.len();
        }
    }
    Ok(())
}
