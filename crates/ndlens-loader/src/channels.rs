//! The axes of a field's items in the order in which its transforms take them.
//!
//! The user says which axis holds the channels, or the shape of the items shows it: [`Channels`]
//! has the table.

use ndlens_transforms::{
    Axes, Channels, ChannelsFirst, Convention, Error as TransformsError, Step,
};

use crate::error::{Error, Result};
use crate::field::Field;
use crate::source::{Rearrangement, rearranged};

impl Field {
    /// The same field, of images with their channels on this axis.
    ///
    /// # Errors
    ///
    /// [`Error::NoChannelAxis`] if its items do not have three axes.
    pub fn with_channels(mut self, channels: Channels) -> Result<Self> {
        if channels == Channels::First && self.source.encoded().is_some() {
            return Err(Error::ChannelsOfImages);
        }
        match self.source.item_shape() {
            Some(shape) if shape.most().len() != 3 => {
                let channels = if channels == Channels::First { "first" } else { "last" };
                Err(Error::NoChannelAxis { channels, got: shape.to_string() })
            }
            _ => {
                self.channels = Some(channels);
                Ok(self)
            }
        }
    }

    /// The same field with the axes of its items in the order in which its transforms take them,
    /// and the results in the order of the items: with `channels` first, the axes are reordered
    /// twice. With torchvision's convention, the results have the channels first.
    ///
    /// # Errors
    ///
    /// [`TransformsError::UnclearChannels`] if a transform depends on the axes and it is unknown
    /// which is which.
    pub fn arranged(mut self, channels: Option<Channels>, convention: Convention) -> Result<Self> {
        let channels = if self.source.encoded().is_some() {
            if channels == Some(Channels::First) {
                return Err(Error::ChannelsOfImages);
            }
            Some(Channels::Last)
        } else {
            channels
        };
        let to_image = convention == Convention::Torchvision { to_image: true };
        let Some(shape) = self.source.item_shape() else { return Ok(self) };
        match shape.most().len() {
            2 if to_image => return self.turned(Rearrangement::NewChannel),
            3 => {}
            _ => return Ok(self),
        }
        let mut transforms = self.transforms.iter();
        let needing = transforms.find(|step| step.axes(shape, convention) != Axes::Alike);
        let needing = needing.map(|step| step.name()).or(to_image.then_some("ToImage"));
        let is_torchvisions = convention != Convention::Ndlens;
        let channels = match (channels, needing) {
            (Some(said), _) => said,
            (None, None) => return Ok(self),
            (None, Some(transform)) => {
                let told_first = Channels::told_by(shape) == Some(Channels::First);
                // A list that reorders axes says how they were. Images without pixels cannot be
                // reordered wrongly.
                let said = || {
                    let is_last = self.turns() && !told_first || shape.most().contains(&0);
                    is_last.then_some(Channels::Last)
                };
                let got = || shape.to_string();
                let unclear = || TransformsError::UnclearChannels { transform, got: got() };
                Channels::likely(shape, convention).or_else(said).ok_or_else(unclear)?
            }
        };
        self.channels = Some(channels);
        if self.transforms.is_empty() && !to_image {
            return Ok(self);
        }
        if channels == Channels::First {
            return self.turned(Rearrangement::ChannelsLast);
        }
        if is_torchvisions && needing.is_some() {
            self.turn_back();
        }
        Ok(self)
    }

    /// The same field with the axes of its items in another order, and with channels-first results.
    fn turned(mut self, rearrangement: Rearrangement) -> Result<Self> {
        self.source = rearranged(self.source, rearrangement)?;
        self.turn_back();
        Ok(self)
    }

    /// Whether a transform reorders (height, width, channels) to (channels, height, width).
    fn turns(&self) -> bool {
        self.source.item_shape().is_some_and(|items| {
            let mut transforms = self.transforms.iter();
            transforms.any(|step| step.axes(items, Convention::Ndlens) == Axes::Turned)
        })
    }

    fn turn_back(&mut self) {
        if !self.turns() {
            self.transforms.push(ChannelsFirst::default().boxed());
        }
    }
}
