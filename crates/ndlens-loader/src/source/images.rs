//! Encoded images as items: how they are decoded, and one that is being made.
//!
//! ```text
//!  EncodedImages::read -> bytes of a thread's own
//!  codecs::open        -> OpenImage        the size of the image, from its header
//!  Pipeline::draw         (its shape)      parameters
//!  Pipeline::run_lazy     (it)             reads the rectangle that is visible
//! ```

use std::fmt;
use std::sync::Arc;

use ndlens_codecs::{
    DecodeRegion, DecodeScratch, Decoder, Depth, ImageMut, Limits, Mode, Orientation, Scale, open,
};
use ndlens_core::{Buffer, DType, Layout, Order, View, room};
use ndlens_kernels::Stores;
use ndlens_transforms::{ItemShape, LazyImage, Pipeline, Rectangle, Scratch};

use crate::error::{Error, Result};
use crate::source::encoded::EncodedImages;

/// The way in which encoded images are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageOptions {
    /// The channels and the depth.
    pub mode: Mode,
    /// The largest image.
    pub limits: Limits,
    /// Whether images are turned as their EXIF orientation says.
    pub orient: bool,
}

/// The channels and the depth that all images of a field have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelFormat {
    /// Channels of a pixel.
    pub channels: usize,
    /// The type of a channel.
    pub depth: Depth,
}

impl PixelFormat {
    /// The format of images in a mode; None if each has its own.
    fn of(mode: Mode) -> Option<Self> {
        let channels = match mode {
            Mode::L => 1,
            Mode::Rgb => 3,
            Mode::Rgba => 4,
            Mode::Unchanged => return None,
        };
        Some(PixelFormat { channels, depth: Depth::Eight })
    }

    /// The dtype of a channel.
    pub fn dtype(self) -> &'static DType {
        match self.depth {
            Depth::Eight => &DType::U8,
            Depth::Sixteen => &DType::U16,
        }
    }
}

/// For example "3 channels of uint8".
impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.channels == 1 { "" } else { "s" };
        write!(f, "{} channel{s} of {}", self.channels, self.dtype())
    }
}

/// Encoded images as items of shape (height, width, channels).
pub struct Images {
    source: Arc<dyn EncodedImages>,
    options: ImageOptions,
    format: PixelFormat,
    least: [usize; 3],
    most: [usize; 3],
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("len", &self.source.len())
            .field("options", &self.options)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Images {
    /// The images of a source. With [`Mode::Unchanged`] the header of the first one is read: all
    /// have its channels and depth.
    ///
    /// # Errors
    ///
    /// [`Error::NoImages`]; with [`Mode::Unchanged`], those of reading the first image.
    pub fn new(source: Arc<dyn EncodedImages>, options: ImageOptions) -> Result<Self> {
        if source.is_empty() {
            return Err(Error::NoImages);
        }
        let format = match PixelFormat::of(options.mode) {
            Some(format) => format,
            None => first_format(&*source, &options)?,
        };
        Ok(Images::of_format(source, options, format))
    }

    /// The images of a source whose channels and depth are known.
    pub fn of_format(
        source: Arc<dyn EncodedImages>,
        options: ImageOptions,
        format: PixelFormat,
    ) -> Self {
        let format = PixelFormat::of(options.mode).unwrap_or(format);
        let PixelFormat { channels, .. } = format;
        let most = [usize::MAX, usize::MAX, channels];
        Images { source, options, format, least: [1, 1, channels], most }
    }

    /// The encoded images.
    pub fn source(&self) -> &Arc<dyn EncodedImages> {
        &self.source
    }

    /// The way in which they are decoded.
    pub fn options(&self) -> ImageOptions {
        self.options
    }

    /// Their channels and depth.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// The shape of an item: height and width are unknown until it is read.
    pub fn item_shape(&self) -> ItemShape<'_> {
        ItemShape::open(&self.least, &self.most)
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        self.format.dtype()
    }

    /// An error of an image, with its name.
    pub(crate) fn fail(&self, index: usize, source: Error) -> Error {
        match self.source.name(index) {
            Some(name) => Error::Image { name, source: Box::new(source) },
            None => source,
        }
    }

    /// Reads the header of encoded bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Codecs`]; [`Error::OtherFormat`] for other channels or another depth than the first
    /// image has, with [`Mode::Unchanged`].
    pub(crate) fn open<'a>(
        &'a self,
        bytes: &'a [u8],
        scratch: &'a mut DecodeScratch,
    ) -> Result<OpenImage<'a>> {
        let decoder = open(bytes, &self.options.limits)?;
        let (header, mode) = (decoder.header(), self.options.mode);
        let got = PixelFormat { channels: mode.channels(header), depth: mode.depth(header) };
        if got != self.format {
            return Err(Error::OtherFormat {
                got: got.to_string(),
                expected: self.format.to_string(),
            });
        }
        let orientation =
            if self.options.orient { header.orientation } else { Orientation::Upright };
        Ok(OpenImage { decoder, orientation, images: self, scratch })
    }

    /// Reads image `index` and its header, and gives it to `f`. An error names the image.
    pub(crate) fn with_image<T>(
        &self,
        index: usize,
        f: impl FnOnce(&mut dyn LazyImage) -> Result<T>,
    ) -> Result<T> {
        let mut bytes = vec![];
        self.source.read(index, &mut bytes)?;
        let mut scratch = DecodeScratch::default();
        let made = self.open(&bytes, &mut scratch).and_then(|mut image| f(&mut image));
        made.map_err(|error| self.fail(index, error))
    }

    /// Image `index`, decoded, in new memory.
    ///
    /// # Errors
    ///
    /// Those of reading and decoding it, with its name.
    ///
    /// # Panics
    ///
    /// If `index` is not below the number of images.
    pub fn decode(&self, index: usize) -> Result<View> {
        self.with_image(index, |image| {
            let shape = image.shape();
            let pipeline = Pipeline::compile(&[], &shape[..], self.dtype())?;
            let mut pixels = room::repeated(0, pipeline.nbytes())?;
            let mut scratch = Scratch::default();
            pipeline.run_lazy(image, &[], &mut pixels, Stores::Cached, &mut scratch)?;
            let layout = Layout::contiguous(&shape, self.dtype().itemsize(), Order::C)?;
            Ok(View::new(Buffer::from_vec(pixels), layout, self.dtype().clone())?)
        })
    }
}

/// The format of the first image.
fn first_format(source: &dyn EncodedImages, options: &ImageOptions) -> Result<PixelFormat> {
    let mut bytes = vec![];
    source.read(0, &mut bytes)?;
    let opened = open(&bytes, &options.limits);
    let decoder = opened.map_err(|error| match source.name(0) {
        Some(name) => Error::Image { name, source: Box::new(error.into()) },
        None => error.into(),
    })?;
    let header = decoder.header();
    let (channels, depth) = (options.mode.channels(header), options.mode.depth(header));
    Ok(PixelFormat { channels, depth })
}

/// An encoded image whose header was read.
pub(crate) struct OpenImage<'a> {
    decoder: Box<dyn Decoder + 'a>,
    orientation: Orientation,
    images: &'a Images,
    scratch: &'a mut DecodeScratch,
}

impl LazyImage for OpenImage<'_> {
    fn stored_shape(&self) -> [usize; 3] {
        let header = self.decoder.header();
        [header.height, header.width, self.images.format.channels]
    }

    fn dtype(&self) -> &DType {
        self.images.dtype()
    }

    fn orientation(&self) -> Orientation {
        self.orientation
    }

    fn read(&mut self, rectangle: Rectangle, out: &mut [u8]) -> ndlens_transforms::Result<()> {
        let Rectangle { top, left, height, width } = rectangle;
        let mode = self.images.options.mode;
        let row_stride_bytes = width * mode.pixel_bytes(self.decoder.header());
        let region = DecodeRegion { top, left, height, width };
        let out = ImageMut { bytes: out, row_stride_bytes };
        Ok(self.decoder.decode(region, Scale::Full, mode, out, self.scratch)?)
    }

    fn read_strips(
        &mut self,
        rectangle: Rectangle,
        take: &mut dyn FnMut(&[u8]),
    ) -> ndlens_transforms::Result<()> {
        let Rectangle { top, left, height, width } = rectangle;
        let (mode, region) = (self.images.options.mode, DecodeRegion { top, left, height, width });
        Ok(self.decoder.decode_strips(region, Scale::Full, mode, self.scratch, take)?)
    }
}
