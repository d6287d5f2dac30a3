//! Images that are decoded and transformed once, by several threads, to be kept: for `nl.pack`.
//!
//! Items need not end in one size, since each keeps its own shape.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ndlens_codecs::{DecodeScratch, encode_jpeg};
use ndlens_core::{DType, room};
use ndlens_kernels::Stores;
use ndlens_transforms::{ItemShape, LazyImage, Pipeline, Scratch, Step};

use crate::error::{Error, Result};
use crate::resume::digest::Digest;
use crate::source::images::Images;

/// Number of images whose bytes are part of a fingerprint.
const SAMPLED: usize = 64;

/// An image as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedImage {
    /// The dtype of its elements.
    pub dtype: DType,
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements, in C order.
    pub bytes: Vec<u8>,
}

/// The images at these places, each after `steps`; as JPEG of a quality if one is given, and then
/// of shape (bytes,). An image that fails has its error in its place.
///
/// # Errors
///
/// [`Error::Core`] if there is no memory for the list; [`Error::RandomStep`] for a transform that
/// draws parameters.
pub fn prepare(
    images: &Images,
    places: &[usize],
    steps: &[Box<dyn Step>],
    quality: Option<u8>,
    threads: usize,
) -> Result<Vec<Result<PreparedImage>>> {
    check_steps(images, steps)?;
    let done: Vec<Mutex<Option<Result<PreparedImage>>>> =
        room::list_of((0..places.len()).map(|_| Mutex::new(None)))?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut worker = Worker::default();
        loop {
            // Relaxed: the count alone divides the work.
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&place) = places.get(at) else { return };
            let made = worker.prepare(images, place, steps, quality);
            if let Ok(mut slot) = done[at].lock() {
                *slot = Some(made);
            }
        }
    };
    thread::scope(|scope| {
        for number in 1..threads.min(places.len()) {
            let thread = thread::Builder::new().name(format!("ndlens-pack-{number}"));
            // The caller works too, so that the work is done if no thread can be had.
            if thread.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let made = done.into_iter().map(|slot| slot.into_inner().ok().flatten());
    room::try_list_of(made.map(|made| made.ok_or(Error::NotPrepared)))
}

/// Refuses random transforms: what they draw would be the same in every epoch.
fn check_steps(images: &Images, steps: &[Box<dyn Step>]) -> Result<()> {
    for step in steps {
        if step.choice(None).is_some() {
            return Err(Error::RandomStep { name: step.name() });
        }
    }
    // Wrong transforms are an error of the call, not of each image.
    let shape = images.item_shape();
    let least = [256, 256, shape.most()[2]];
    match Pipeline::compile(steps, ItemShape::fixed(&least), images.dtype()) {
        Ok(_)
        | Err(
            ndlens_transforms::Error::CropTooLarge { .. }
            | ndlens_transforms::Error::PaddingTooLarge { .. },
        ) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The memory of one thread.
#[derive(Default)]
struct Worker {
    encoded: Vec<u8>,
    decoding: DecodeScratch,
    scratch: Scratch,
}

impl Worker {
    fn prepare(
        &mut self,
        images: &Images,
        place: usize,
        steps: &[Box<dyn Step>],
        quality: Option<u8>,
    ) -> Result<PreparedImage> {
        let Worker { encoded, decoding, scratch } = self;
        images.source().read(place, encoded)?;
        let made = images.open(encoded, decoding).and_then(|mut image| {
            let shape = image.shape();
            let pipeline = Pipeline::compile(steps, ItemShape::fixed(&shape), images.dtype())?;
            let mut bytes = room::repeated(0, pipeline.nbytes())?;
            pipeline.run_lazy(&mut image, &[], &mut bytes, Stores::Cached, scratch)?;
            let (dtype, shape) = (pipeline.dtype().clone(), pipeline.shape().to_vec());
            Ok(PreparedImage { dtype, shape, bytes })
        });
        let made = match (made, quality) {
            (Ok(made), Some(quality)) => encoded_again(&made, quality),
            (made, _) => made,
        };
        made.map_err(|error| images.fail(place, error))
    }
}

fn encoded_again(image: &PreparedImage, quality: u8) -> Result<PreparedImage> {
    if image.dtype != DType::U8 {
        return Err(Error::NotBytePixels { dtype: image.dtype.to_string() });
    }
    let mut bytes = vec![];
    // A JPEG of high quality has about a third of the bytes of its pixels.
    room::reserve(&mut bytes, image.bytes.len() / 2 + 1024)?;
    encode_jpeg(&image.bytes, &image.shape, quality, &mut bytes)?;
    Ok(PreparedImage { dtype: DType::U8, shape: vec![bytes.len()], bytes })
}

/// A digest of the images at these places, by their number, the names of their files without
/// directories, and how they are decoded. Of images that are not in files of their own, it has the
/// encoded bytes of some: a file that is mended or restored is the same image, and so is one that
/// was moved.
///
/// # Errors
///
/// [`Error::Core`] if there is no memory for an image's bytes. An image that cannot be read counts
/// as empty.
pub fn fingerprint_of(images: &Images, places: &[usize]) -> Result<u64> {
    let mut digest = Digest::default();
    let mut add = |bytes: &[u8]| {
        digest.add(bytes.len() as i64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            digest.add(i64::from_le_bytes(word));
        }
    };
    add(&(places.len() as u64).to_le_bytes());
    add(&images.options().limits.max_pixels.to_le_bytes());
    let source = images.source();
    let mut bytes = vec![];
    let every = places.len().div_ceil(SAMPLED).max(1);
    for (at, &place) in places.iter().enumerate() {
        let name = source.name(place).unwrap_or_default();
        add(name.rsplit('/').next().unwrap_or_default().as_bytes());
        if at % every == 0 && !source.is_in_files() {
            bytes.clear();
            match source.read(place, &mut bytes) {
                Err(Error::Core(error)) => return Err(error.into()),
                Err(_) => add(&[]),
                Ok(()) => add(&bytes),
            }
        }
    }
    Ok(digest.value())
}
