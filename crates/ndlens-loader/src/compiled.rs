//! A field with its transforms compiled to a pipeline, which makes its items.

use std::fmt;
use std::sync::Arc;

use ndlens_core::room;
use ndlens_kernels::{Stores, Take};
use ndlens_transforms::mixing::{Image, MixField};
use ndlens_transforms::{Channels, Convention, Deferred, Drawn, LazyImage, Pair, Pipeline, Stream};

use crate::config::Values;
use crate::error::{Error, Result};
use crate::field::Field;
use crate::scratch::{ItemScratch, Seen};
use crate::source::images::Images;
use crate::source::{Source, encoded_item};

/// Items that are looked up and copied at a time: their numbers stay in the first-level cache.
const MAX_TAKEN_ITEMS: usize = 1024;

/// A field with its pipeline.
pub(crate) struct CompiledField {
    pub(crate) name: String,
    /// Its place among the fields.
    place: usize,
    draws_as: String,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) pipeline: Pipeline,
    /// The place of the channels in an item of the source, before a transform moves them, if it is
    /// known.
    pub(crate) channels: Option<Channels>,
    /// The field that this one draws together with, if an item may have another size in it.
    joint: Option<Arc<Leader>>,
    /// The steps that the pipeline leaves to the device, and the pipeline that leaves none.
    deferred: Option<(Deferred, Pipeline)>,
    /// The rows of the source, if they are packed and not transformed: many are copied at once.
    pub(crate) take: Option<Take>,
    /// The stream of random draws of the loader's seed.
    pub(crate) stream: Stream,
}

impl fmt::Debug for CompiledField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledField")
            .field("name", &self.name)
            .field("pipeline", &self.pipeline)
            .finish_non_exhaustive()
    }
}

/// The first of several fields that draw together.
struct Leader {
    name: String,
    place: usize,
    source: Arc<dyn Source>,
    pipeline: Pipeline,
}

/// The arguments that the random draws for an item are a function of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrawKey {
    pub(crate) stream: Stream,
    pub(crate) epoch: u32,
    /// The number of the item, or a number that stands for it.
    pub(crate) item: u64,
}

impl CompiledField {
    /// Makes one item at `destination`. `complete` means that the source had all its bytes just
    /// before.
    pub(crate) fn make(
        &self,
        item: usize,
        complete: bool,
        key: DrawKey,
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut ItemScratch,
    ) -> Result<()> {
        if let Some((images, index)) = encoded_item(&*self.source, item) {
            images.source().read(index, &mut scratch.encoded)?;
            return self
                .decode(images, item, key, destination, stores, scratch)
                .map_err(|error| images.fail(index, error));
        }
        let source = self.source.item(item)?;
        if !complete {
            source.verify()?;
        }
        let buffer = source.buffer();
        let drawn = self.pipeline.draw(key.stream, key.epoch, key.item, source.shape())?;
        self.check_size(item, key, source.shape(), &drawn, &scratch.seen)?;
        self.pipeline.run(source, &drawn, destination, stores, &mut scratch.pixels)?;
        if buffer.is_damaged() {
            self.source.item(item)?.verify()?;
        }
        Ok(())
    }

    /// Makes one item of the encoded image that was read.
    fn decode(
        &self,
        images: &Images,
        item: usize,
        key: DrawKey,
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut ItemScratch,
    ) -> Result<()> {
        let ItemScratch { pixels, encoded, decode, seen } = scratch;
        let mut image = images.open(encoded, decode)?;
        let shape = image.shape();
        seen.note(self.place, item, shape);
        let drawn = self.pipeline.draw(key.stream, key.epoch, key.item, &shape)?;
        self.check_size(item, key, &shape, &drawn, seen)?;
        Ok(self.pipeline.run_lazy(&mut image, &drawn, destination, stores, pixels)?)
    }

    /// Checks that an item has the size that it has in the field that this one draws together with.
    fn check_size(
        &self,
        item: usize,
        DrawKey { stream, epoch, item: draws_as }: DrawKey,
        shape: &[usize],
        drawn: &[Drawn],
        seen: &Seen,
    ) -> Result<()> {
        let Some(leader) = &self.joint else { return Ok(()) };
        let check = |first: &[usize]| -> Result<()> {
            let first_drawn = leader.pipeline.draw(stream, epoch, draws_as, first)?;
            let names = Pair { first: &leader.name, field: &self.name };
            let (own, first) = ((shape, drawn), (first, &first_drawn[..]));
            Ok(self.pipeline.check_sizes(own, &leader.pipeline, first, names)?)
        };
        match encoded_item(&*leader.source, item) {
            Some((images, index)) => {
                // It was made just before, unless it failed.
                let first = seen.shape_of(leader.place, item);
                let read = || images.with_image(index, |image| Ok(image.shape()));
                check(&first.map_or_else(read, Ok)?)
            }
            None => check(leader.source.item(item)?.shape()),
        }
    }

    /// The shape of an item that was decoded last.
    pub(crate) fn decoded_shape(&self, item: usize, seen: &Seen) -> Option<[usize; 3]> {
        seen.shape_of(self.place, item)
    }

    /// Whether its items are decoded when they are made.
    pub(crate) fn is_encoded(&self) -> bool {
        self.source.encoded().is_some()
    }

    /// Whether its items are images in files of their own.
    pub(crate) fn is_in_files(&self) -> bool {
        self.source.encoded().is_some_and(|images| images.source().is_in_files())
    }

    /// The name of an item, if it is an encoded image that has one.
    pub(crate) fn item_name(&self, item: usize) -> Option<String> {
        let (images, index) = encoded_item(&*self.source, item)?;
        images.source().name(index)
    }

    /// Computes all values here, also those that would be deferred.
    pub(crate) fn compute_values(&mut self) {
        if let Some((_, whole)) = self.deferred.take() {
            self.pipeline = whole;
        }
    }

    /// The steps that the pipeline leaves to the device.
    pub(crate) fn deferred(&self) -> Option<&Deferred> {
        self.deferred.as_ref().map(|(deferred, _)| deferred)
    }

    /// The bytes of `items` of its items in a batch.
    pub(crate) fn batch_bytes(&self, items: usize) -> Result<usize> {
        let layout = self.pipeline.batch_layout(items).map_err(|source| Error::Field {
            field: self.name.clone(),
            source: Box::new(source.into()),
        })?;
        Ok(layout.len() * self.pipeline.dtype().itemsize())
    }

    /// The layout of an image in an item of a batch; None if the item is not an image.
    pub(crate) fn image(&self) -> Option<Image> {
        self.pipeline.image(self.channels)
    }

    /// Whether an item of a batch has three axes, and it is unknown which of them are height and
    /// width.
    pub(crate) fn channels_unclear(&self) -> bool {
        let known = self.channels.is_some() || self.pipeline.turns_channels();
        let likely = |shape| Channels::likely(shape, Convention::Ndlens);
        let has_pixels = !self.pipeline.shape().contains(&0);
        !known
            && has_pixels
            && self.pipeline.shape().len() == 3
            && self.source.item_shape().and_then(likely).is_none()
    }

    /// The facts about the field that the mixing of batches needs.
    pub(crate) fn to_mix(&self) -> MixField<'_> {
        MixField {
            name: &self.name,
            shape: self.pipeline.shape(),
            dtype: self.pipeline.dtype(),
            image: self.image(),
            channels_unclear: self.channels_unclear(),
        }
    }

    /// The stream of the field's draws for another seed.
    pub(crate) fn stream_of(&self, seed: u64) -> Stream {
        Stream::new(seed, &self.draws_as)
    }

    /// The places, among items that were just made, of those with missing bytes, and their errors.
    /// `complete` means that the source had all bytes before the items were read.
    ///
    /// A file that ends inside a page reads as zeros from there to the end of the page, and no
    /// signal reports that. So the check follows the reads.
    pub(crate) fn lost(
        &self,
        complete: bool,
        items: &[usize],
    ) -> impl Iterator<Item = (usize, Error)> {
        let items = if complete && self.source.is_complete() { &[] } else { items };
        let error = |item| self.source.item(item).and_then(|source| source.verify()).err();
        let lost = move |(place, &item): (usize, &usize)| {
            Some((place, self.fail(item, error(item)?.into())))
        };
        items.iter().enumerate().filter_map(lost)
    }

    /// Copies many items to `destination`, with the field's [`take`](Self::take).
    pub(crate) fn take_items(
        &self,
        take: &Take,
        items: &[usize],
        destination: &mut [u8],
        stores: Stores,
    ) -> Result<()> {
        let nbytes = take.row_bytes();
        let mut rows = [0; MAX_TAKEN_ITEMS];
        for (place, some) in items.chunks(MAX_TAKEN_ITEMS).enumerate() {
            let rows = &mut rows[..some.len()];
            rows.copy_from_slice(some);
            self.source.to_rows(rows);
            let start = place * MAX_TAKEN_ITEMS * nbytes;
            take.rows(rows, &mut destination[start..start + some.len() * nbytes], stores)?;
        }
        Ok(())
    }

    /// An error of an item of this field.
    pub(crate) fn fail(&self, item: usize, source: Error) -> Error {
        Error::Item { field: self.name.clone(), item, source: Box::new(source) }
    }
}

/// Fields of one length, compiled, and that length.
pub(crate) fn compile(
    fields: Vec<Field>,
    seed: u64,
    values: Values,
) -> Result<(Vec<CompiledField>, usize)> {
    let first = fields.first().ok_or(Error::NoFields)?;
    let (first_name, items) = (first.name.clone(), first.source.len());
    let compile = |(place, field): (usize, Field)| {
        let Field { name, draws_as, source, transforms, channels } = field;
        let Some(shape) = source.item_shape() else { return Err(Error::NoItems { field: name }) };
        if source.len() != items {
            let (first, first_len, len) = (first_name.clone(), items, source.len());
            return Err(Error::UnequalLengths { first, first_len, field: name, len });
        }
        if items == 0 {
            return Err(Error::EmptyDataset { field: name });
        }
        let in_field =
            |source: Error| Error::Field { field: name.clone(), source: Box::new(source) };
        let pipeline = Pipeline::compile(&transforms, shape, source.dtype())
            .map_err(|error| in_field(error.into()))?;
        let deferred = match values {
            Values::Deferred => pipeline.defer_values().map_err(|error| in_field(error.into()))?,
            Values::Computed => None,
        };
        let (pipeline, deferred) = match deferred {
            Some((sent, deferred)) => (sent, Some((deferred, pipeline))),
            None => (pipeline, None),
        };
        let take = source.rows().filter(|_| transforms.is_empty()).and_then(Take::new);
        let stream = Stream::new(seed, &draws_as);
        let joint = None;
        Ok(CompiledField {
            name,
            place,
            draws_as,
            source,
            pipeline,
            channels,
            joint,
            deferred,
            take,
            stream,
        })
    };
    let mut fields = room::try_list_of(fields.into_iter().enumerate().map(compile))?;
    join(&mut fields)?;
    Ok((fields, items))
}

/// Checks that fields which draw together draw the same numbers.
fn join(fields: &mut [CompiledField]) -> Result<()> {
    for place in 1..fields.len() {
        let (before, rest) = fields.split_at_mut(place);
        let field = &mut rest[0];
        let Some(first) = before.iter().find(|first| first.draws_as == field.draws_as) else {
            continue;
        };
        field
            .pipeline
            .check_joint(&first.pipeline, Pair { first: &first.name, field: &field.name })?;
        if field.pipeline.sizes_may_part(&first.pipeline) {
            let (name, source) = (first.name.clone(), Arc::clone(&first.source));
            let (place, pipeline) = (first.place, first.pipeline.clone());
            field.joint = Some(Arc::new(Leader { name, place, source, pipeline }));
        }
    }
    Ok(())
}
