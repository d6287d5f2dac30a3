//! The input of a transform at its check: the sizes, axes and dtype of all items.

use std::ops::RangeInclusive;

use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::fill::{Fill, pixel_of};
use crate::item_shape::ItemShape;
use crate::size::{CHANNEL, Size, Sizes};

/// The properties of all items that a transform gets.
#[derive(Debug)]
pub struct Input<'a> {
    /// The shape of the items, of which only height and width change from transform to transform.
    pub(crate) items: ItemShape<'a>,
    pub(crate) sizes: Sizes,
    /// The dtype before values that are still to be mapped.
    pub(crate) stored: DType,
    /// The dtype after them.
    pub(crate) dtype: DType,
    /// Whether an earlier transform moved the channels to the front.
    pub(crate) turned: bool,
    /// Whether the transform needs the elements themselves, so that values are mapped before it.
    pub(crate) needs_elements: bool,
}

impl Input<'_> {
    /// The sizes of the images.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The number of axes of an item.
    pub fn ndim(&self) -> usize {
        self.items.most().len()
    }

    /// The number of channels of items that have three axes; None for others.
    pub fn channels(&self) -> Option<usize> {
        self.items.most().get(CHANNEL).copied().filter(|_| self.ndim() == 3)
    }

    /// The dtype of the elements, for a transform that reads or writes them. Earlier maps of values
    /// are applied before the transform, and not fused with later ones.
    pub fn elements(&mut self) -> &DType {
        self.needs_elements = true;
        &self.dtype
    }

    /// Checks that items are images: (height, width) or (height, width, channels).
    ///
    /// # Errors
    ///
    /// [`Error::ItemShape`].
    pub fn is_image(&self, transform: &'static str) -> Result<()> {
        self.has_axes(transform, 2..=3)
    }

    /// Checks that items are images with channels: (height, width, channels).
    ///
    /// # Errors
    ///
    /// [`Error::ItemShape`].
    pub fn has_channels(&self, transform: &'static str) -> Result<()> {
        self.has_axes(transform, 3..=3)
    }

    /// Checks that no earlier transform moved the channels to the front.
    pub(crate) fn check_not_turned(&self) -> Result<()> {
        if self.turned { Err(Error::ChannelsFirstTwice) } else { Ok(()) }
    }

    fn has_axes(&self, transform: &'static str, ranks: RangeInclusive<usize>) -> Result<()> {
        if ranks.contains(&self.ndim()) {
            return Ok(());
        }
        let (expected, hint) = if ranks.contains(&2) {
            (
                "(height, width) or (height, width, channels)",
                "bring the axes into this order with permute or reshape",
            )
        } else {
            ("(height, width, channels)", "add a channel axis with view[..., None]")
        };
        let are_bytes = self.ndim() == 1 && self.stored == DType::U8;
        let hint = if are_bytes {
            "bring the axes into this order with reshape; if these are encoded images, give \
             nl.images(items)"
        } else {
            hint
        };
        let got = self.items.most().to_vec();
        Err(Error::ItemShape { transform, expected, got, hint })
    }

    /// Checks that the elements, which the transform reads, are floats.
    ///
    /// # Errors
    ///
    /// [`Error::NotFloat`].
    pub fn is_float(&mut self, transform: &'static str) -> Result<()> {
        match self.elements() {
            DType::F16 | DType::Bf16 | DType::F32 | DType::F64 => Ok(()),
            other => Err(Error::NotFloat { transform, got: other.to_string() }),
        }
    }

    /// Checks that places in an image of this size can be counted.
    ///
    /// # Errors
    ///
    /// [`Error::Core`].
    pub fn is_addressable(&self, size: Size) -> Result<()> {
        size.addressable(&self.stored).map(drop)
    }

    /// A pixel of one value for all channels, or one for each, in the dtype that the transform
    /// writes.
    ///
    /// # Errors
    ///
    /// [`Error::FillLength`], [`Error::FillValue`].
    pub fn pixel(&mut self, transform: &'static str, values: &[f64]) -> Result<Vec<u8>> {
        let channels = self.channels().unwrap_or(1);
        pixel_of(transform, values, channels, self.elements())
    }

    /// Prepares the fill of images that are padded by `padding`.
    ///
    /// # Errors
    ///
    /// [`Error::PaddingTooLarge`], [`Error::CropTooLarge`] for images that cannot be mirrored;
    /// [`Error::FillLength`], [`Error::FillValue`].
    pub fn prepare(
        &mut self,
        transform: &'static str,
        fill: &mut Fill,
        padding: [usize; 4],
    ) -> Result<()> {
        self.is_addressable(self.sizes.least.padded(padding))?;
        if fill.is_constant() {
            fill.pixel = self.pixel(transform, &fill.values)?;
            return Ok(());
        }
        // Other paddings show pixels of the image, whose values can be mapped later.
        if self.sizes.is_open {
            return Ok(());
        }
        fill.check_size(transform, self.sizes.least, padding)
    }
}
