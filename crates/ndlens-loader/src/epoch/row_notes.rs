//! Notes of the threads about the rows of a batch: the items that are left out, and the sizes of
//! images, which are known once they are decoded.

use std::mem;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ndlens_core::room::{self, with_room_for};

use crate::compiled::CompiledField;
use crate::error::{Error, Result};
use crate::skipped::{OnError, Skipped, SkippedItem, SkippedItems};
use crate::sync::Mutex;

/// The notes about the rows of one batch.
#[derive(Debug, Default)]
pub(crate) struct RowNotes {
    on_error: OnError,
    /// In the order in which threads found them.
    skipped: Mutex<Vec<Skipped>>,
    has_skipped: AtomicBool,
    /// For each field the height and the width of the image in each row, packed; empty if they are
    /// not needed.
    sizes: Vec<Vec<AtomicU64>>,
}

impl RowNotes {
    /// Notes about the rows of a batch of these fields. `keeps_sizes` says whether the sizes of
    /// decoded images are needed later.
    pub(crate) fn new(
        fields: &[CompiledField],
        rows: usize,
        on_error: OnError,
        keeps_sizes: bool,
    ) -> Result<Self> {
        let mut sizes = vec![];
        if keeps_sizes && fields.iter().any(CompiledField::is_encoded) {
            for field in fields {
                let rows = if field.is_encoded() { rows } else { 0 };
                let mut of_field = with_room_for(rows)?;
                of_field.extend((0..rows).map(|_| AtomicU64::new(0)));
                sizes.push(of_field);
            }
        }
        Ok(RowNotes { on_error, sizes, ..RowNotes::default() })
    }

    /// Notes the size of the image in a row.
    pub(crate) fn note_shape(&self, field: usize, row: usize, [height, width, _]: [usize; 3]) {
        if let Some(size) = self.sizes.get(field).and_then(|sizes| sizes.get(row)) {
            // Relaxed: it is read once all rows are made, which is seen under a lock.
            size.store((height as u64) << 32 | width as u64, Ordering::Relaxed);
        }
    }

    /// The shape, without channels, of the image in a row, if it was noted.
    pub(crate) fn shape(&self, field: usize, row: usize) -> Option<[usize; 2]> {
        let size = self.sizes.get(field)?.get(row)?.load(Ordering::Relaxed);
        Some([(size >> 32) as usize, size as u32 as usize])
    }

    /// Leaves a row out, or gives the error back if none is left out.
    pub(crate) fn skip(&self, skipped: Skipped) -> Result<()> {
        match self.on_error {
            OnError::Raise => Err(skipped.error),
            OnError::Skip => {
                let mut all = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
                room::push(&mut all, skipped)?;
                // Relaxed: as above.
                self.has_skipped.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Whether rows are left out.
    pub(crate) fn has_skipped(&self) -> bool {
        self.has_skipped.load(Ordering::Relaxed)
    }

    /// Those of `rows` rows that are kept, in order.
    pub(crate) fn kept(&self, rows: usize) -> Result<Vec<usize>> {
        if !self.has_skipped() {
            return Ok(room::list_of(0..rows)?);
        }
        let mut is_kept = room::repeated(true, rows)?;
        let skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.iter().for_each(|Skipped { row, .. }| is_kept[*row] = false);
        let mut kept = with_room_for(rows)?;
        kept.extend((0..rows).filter(|&row| is_kept[row]));
        Ok(kept)
    }

    /// The items that are left out, in the order of their rows, each once with the error of its
    /// first field.
    pub(crate) fn skipped(&self) -> SkippedItems {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        put_in_order(&mut skipped);
        let first = skipped.iter().take(SkippedItems::NAMED);
        let first = first.map(|Skipped { item, name, error, .. }| SkippedItem {
            item: *item,
            name: name.clone(),
            error: error.to_string(),
        });
        SkippedItems { count: skipped.len(), first: first.collect() }
    }

    /// The error of a batch of which no row is left.
    pub(crate) fn nothing_left(&self, batch: usize, items: usize) -> Error {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        put_in_order(&mut skipped);
        let first = mem::take(&mut *skipped).into_iter().next();
        first.map_or(Error::NoIndices, |Skipped { error, .. }| Error::NoItemLeft {
            batch,
            items,
            first: Box::new(error),
        })
    }
}

fn put_in_order(skipped: &mut Vec<Skipped>) {
    // Not a stable sort, which takes memory.
    skipped.sort_unstable_by_key(|Skipped { row, field, .. }| (*row, *field));
    skipped.dedup_by_key(|Skipped { row, .. }| *row);
}
