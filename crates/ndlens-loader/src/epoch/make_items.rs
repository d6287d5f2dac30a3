//! The items of a batch, made in its memory: the one loop for the batches of a loader and of a data
//! set.
//!
//! Fields whose items are packed rows are copied many at a time; all others are made item by item,
//! by their pipelines.

#![expect(unsafe_code, reason = "writes rows of batch memory; see UNSAFE.md")]

use std::ops::Range;

use ndlens_kernels::Stores;
use ndlens_store::Reading;
use ndlens_transforms::Stream;

use crate::compiled::{CompiledField, DrawKey};
use crate::error::{Error, Result};
use crate::scratch::ItemScratch;
use crate::skipped::is_of_item;

/// Number of items whose numbers are computed at a time: these stay in the first-level cache, and
/// are enough to look ahead.
const MAX_BLOCK_ITEMS: usize = 1024;

/// The error of a batch, and the row that it happened in.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) row: usize,
    pub(crate) error: Error,
}

/// A batch whose items are to be made.
///
/// # Safety
///
/// [`bytes`](Self::bytes) gives the range of the batch's memory that it is asked for.
pub(crate) unsafe trait ItemBatch {
    /// Puts the items from a row on into `items`. If one of them is not an item, gives its place in
    /// `items` and its error; those after it do not matter.
    fn items(&self, row: usize, items: &mut [usize]) -> Option<(usize, Error)>;

    /// The stream of random draws of a field.
    fn stream(&self, field: usize) -> Stream;

    /// The epoch and the number that seed the random draws for the item in a row.
    fn draws_as(&self, row: usize, item: usize) -> (u32, u64);

    /// The way to write the rows of a field.
    fn stores(&self, field: usize) -> Stores;

    /// The place, among items of a field that were just made, of the first one that the batch
    /// cannot use, and its error.
    fn check(&self, field: usize, made: &[u8], items: &[usize]) -> Option<(usize, Error)>;

    /// Notes the shape of an item that was decoded for a field.
    fn note_shape(&self, field: usize, row: usize, shape: [usize; 3]) {
        let _ = (field, row, shape);
    }

    /// Leaves an item out of the batch, because of an error that is its own; gives the error back
    /// if the batch leaves none out.
    fn skip(&self, field: usize, row: usize, item: usize, error: Error) -> Result<()> {
        let _ = (field, row, item);
        Err(error)
    }

    /// `len` bytes of a field of the batch from byte `start` on.
    ///
    /// # Safety
    ///
    /// The range lies within the rows of the batch. No two slices that live at the same time
    /// overlap.
    #[expect(clippy::mut_from_ref, reason = "disjoint rows go to different threads")]
    unsafe fn bytes(&self, field: usize, start: usize, len: usize) -> &mut [u8];
}

/// Guards this thread while it reads items, if bytes of some may go missing meanwhile.
fn guard(fields: &[CompiledField]) -> Option<Reading> {
    fields.iter().any(|field| field.source.can_shrink()).then(Reading::begin)
}

/// Makes the items at `rows` of a batch. The error is that of the first item that has one.
///
/// The scratch memory grows to the largest image that was on its way. A worker frees it when it
/// ends, an epoch or a data set when it is dropped.
///
/// # Safety
///
/// The rows are rows of the batch, and no other thread reads or writes them meanwhile.
pub(crate) unsafe fn make_items(
    fields: &[CompiledField],
    batch: &impl ItemBatch,
    rows: Range<usize>,
    scratch: &mut ItemScratch,
) -> Result<(), Box<Failure>> {
    let _reading = guard(fields);
    // One check of each source for all rows; only if bytes are missing, one check for each item.
    let complete: Vec<bool> = fields.iter().map(|field| field.source.is_complete()).collect();
    let mut items = [0; MAX_BLOCK_ITEMS];
    for start in rows.clone().step_by(MAX_BLOCK_ITEMS) {
        let mut block = start..(start + MAX_BLOCK_ITEMS).min(rows.end);
        let none = batch.items(start, &mut items[..block.len()]);
        // Items from that place on no longer matter.
        block.end = none.as_ref().map_or(block.end, |(place, _)| start + place);
        let items = &items[..block.len()];
        // SAFETY: the rows of a block are some of `rows`, for which the caller guarantees the rest.
        unsafe { make_block(fields, batch, block, items, &complete, scratch) }?;
        if let Some((place, error)) = none {
            return Err(Box::new(Failure { row: start + place, error }));
        }
    }
    Ok(())
}

/// Makes these items at the rows of a block.
///
/// # Safety
///
/// As [`make_items`].
unsafe fn make_block(
    fields: &[CompiledField],
    batch: &impl ItemBatch,
    block: Range<usize>,
    items: &[usize],
    complete: &[bool],
    scratch: &mut ItemScratch,
) -> Result<(), Box<Failure>> {
    let mut one_by_one = false;
    // The first item that the batch cannot use, of those copied many at a time.
    let mut unusable: Option<(usize, Error)> = None;
    for (at, (field, &complete)) in fields.iter().zip(complete).enumerate() {
        let Some(take) = field.take.as_ref().filter(|_| complete) else {
            one_by_one = true;
            continue;
        };
        let nbytes = take.row_bytes();
        // SAFETY: the rows of a block are one piece, and this thread alone makes them.
        let destination = unsafe { batch.bytes(at, block.start * nbytes, block.len() * nbytes) };
        field
            .take_items(take, items, destination, batch.stores(at))
            .map_err(|error| Box::new(Failure { row: block.start, error }))?;
        unusable = unusable.or(batch.check(at, destination, items));
    }
    let mut failed = None;
    if one_by_one {
        // Items from the first unusable one on no longer matter.
        let end = unusable.as_ref().map_or(block.end, |(place, _)| block.start + place);
        let rows = block.start..end;
        // SAFETY: some of the rows, for which the caller guarantees the rest.
        failed = unsafe { make_each(fields, batch, rows, items, complete, scratch) }.err();
    }
    let lost = fields.iter().zip(complete).enumerate().filter_map(|(at, (field, &complete))| {
        field.lost(complete, items).find_map(|(place, error)| {
            let skipped = batch.skip(at, block.start + place, items[place], error);
            skipped.err().map(|error| (place, error))
        })
    });
    let first = lost.chain(unusable).min_by_key(|&(place, _)| place);
    let first = first.map(|(place, error)| Box::new(Failure { row: block.start + place, error }));
    match failed.into_iter().chain(first).min_by_key(|failure| failure.row) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Makes, one after another, the items of the fields that cannot be copied many at a time.
///
/// # Safety
///
/// As [`make_items`].
unsafe fn make_each(
    fields: &[CompiledField],
    batch: &impl ItemBatch,
    rows: Range<usize>,
    items: &[usize],
    complete: &[bool],
    scratch: &mut ItemScratch,
) -> Result<(), Box<Failure>> {
    'rows: for (row, &item) in rows.zip(items) {
        let (epoch, draws_as) = batch.draws_as(row, item);
        for (at, (field, &complete)) in fields.iter().zip(complete).enumerate() {
            if field.take.is_some() && complete {
                continue;
            }
            let nbytes = field.pipeline.nbytes();
            let key = DrawKey { stream: batch.stream(at), epoch, item: draws_as };
            // SAFETY: each row is a piece of its own, and this thread alone makes it.
            let destination = unsafe { batch.bytes(at, row * nbytes, nbytes) };
            let made = field.make(item, complete, key, destination, batch.stores(at), scratch);
            if let Err(error) = made {
                let may_skip = is_of_item(&error);
                let error = field.fail(item, error);
                let skipped = if may_skip { batch.skip(at, row, item, error) } else { Err(error) };
                skipped.map_err(|error| Box::new(Failure { row, error }))?;
                continue 'rows;
            }
            if let Some(shape) = field.decoded_shape(item, &scratch.seen) {
                batch.note_shape(at, row, shape);
            }
            if let Some((_, error)) = batch.check(at, destination, &[item]) {
                return Err(Box::new(Failure { row, error }));
            }
        }
    }
    Ok(())
}
