//! The trait of transforms.
//!
//! ```text
//!  check   once, for all items:  its input        -> its effect, or an error
//!  draw    once for each item:   random numbers   -> its parameters
//!  apply   once for each item:   its parameters   -> the changed image
//! ```
//!
//! A step is a pure function of the item and of its drawn parameters. It keeps no state from item
//! to item, so any thread may make any item.

use std::fmt;

use ndlens_kernels as kernels;

use crate::channels::Convention;
use crate::error::Result;
use crate::frame::Frame;
use crate::input::Input;
use crate::item_shape::ItemShape;
use crate::params::{Drawn, Kind};
use crate::random::ItemStream;
use crate::scratch::Scratch;
use crate::size::{Size, Sizes};

/// A transform of items.
///
/// All methods but [`boxed`](Step::boxed) are required.
///
/// ```
/// use ndlens_core::{DType, View};
/// use ndlens_kernels::Stores;
/// use ndlens_transforms::*;
///
/// /// Each element negated, with probability 1/2.
/// #[derive(Debug, Clone)]
/// struct RandomNegative;
///
/// impl Step for RandomNegative {
///     fn name(&self) -> &'static str {
///         "RandomNegative"
///     }
///     fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
///         Axes::Alike
///     }
///     fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
///         input.is_float(self.name())?;
///         Ok(Effect::InPlace { channels_first: true })
///     }
///     fn choice(&self, _size: Option<Size>) -> Option<Choice> {
///         let text = "p = 0.5".to_owned();
///         Some(Choice { text, of: ChoiceOf::Values, kinds: &[Kind::Applied] })
///     }
///     fn draw(&self, item: ItemStream, _size: Size) -> Result<Option<Drawn>> {
///         Ok(Some(Drawn::Applied(item.draws().chance(0.5))))
///     }
///     fn size_after(&self, size: Size, _drawn: Option<&Drawn>) -> Size {
///         size
///     }
///     fn apply<'a>(
///         &'a self,
///         drawn: Option<&Drawn>,
///         frame: &mut Frame<'a>,
///         scratch: &mut Scratch,
///     ) -> Result<()> {
///         match drawn {
///             Some(Drawn::Applied(true)) => frame.change(scratch, |mut elements| {
///                 elements.each(|x| -x);
///                 Ok(())
///             }),
///             Some(Drawn::Applied(false)) => Ok(()),
///             _ => Err(Error::Drawn { transform: self.name() }),
///         }
///     }
/// }
///
/// let row = View::from_vec(vec![1.0f32, 2.0]);
/// let pipeline = Pipeline::compile(&[RandomNegative.boxed()], row.shape(), row.dtype())?;
/// let mut signs = [0, 0];
/// for item in 0..100 {
///     let drawn = pipeline.draw(Stream::new(7, "rows"), 0, item, row.shape())?;
///     let mut made = [0; 8];
///     pipeline.run(row.as_ref(), &drawn, &mut made, Stores::Cached, &mut Scratch::default())?;
///     let negated = made == [(-1.0f32).to_le_bytes(), (-2.0f32).to_le_bytes()].concat()[..];
///     assert_eq!(drawn[..], [Drawn::Applied(negated)]);
///     signs[usize::from(negated)] += 1;
/// }
/// assert!(signs[0] > 30 && signs[1] > 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Step: CloneStep + fmt::Debug + Send + Sync {
    /// The name in errors and parameters.
    fn name(&self) -> &'static str;

    /// The knowledge of the axes that the transform needs, for items of this shape.
    fn axes(&self, items: ItemShape<'_>, convention: Convention) -> Axes;

    /// Checks the transform for its input, prepares it, and returns its effect.
    ///
    /// # Errors
    ///
    /// An error if the transform cannot be applied to these items.
    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect>;

    /// The choice that the transform draws from, for images of this size, or of different sizes if
    /// the size is None; None if it draws nothing.
    fn choice(&self, size: Option<Size>) -> Option<Choice>;

    /// Draws the parameters for an item, whose image has this size at this point; None if the
    /// transform draws nothing.
    ///
    /// # Errors
    ///
    /// [`Error::CropTooLarge`](crate::Error::CropTooLarge) if the image is too small.
    fn draw(&self, item: ItemStream, size: Size) -> Result<Option<Drawn>>;

    /// The size of an image of this size after the transform.
    fn size_after(&self, size: Size, drawn: Option<&Drawn>) -> Size;

    /// Applies the transform to an image.
    ///
    /// # Errors
    ///
    /// [`Error::Drawn`](crate::Error::Drawn) if `drawn` has other parameters than
    /// [`draw`](Self::draw) gives; other errors if the image cannot be made.
    fn apply<'a>(
        &'a self,
        drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        scratch: &mut Scratch,
    ) -> Result<()>;

    /// The transform in a box, as an item of a list.
    fn boxed(self) -> Box<dyn Step>
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }
}

/// Clones a boxed transform. Every [`Step`] that is `Clone` implements it.
pub trait CloneStep {
    /// A boxed clone.
    fn clone_step(&self) -> Box<dyn Step>;
}

impl<T: Step + Clone + 'static> CloneStep for T {
    fn clone_step(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Step> {
    fn clone(&self) -> Self {
        self.as_ref().clone_step()
    }
}

/// The knowledge that a transform needs of the axes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// Nothing: it treats all axes alike.
    Alike,
    /// The axes of height, width and channels.
    Known,
    /// The same, and the channels come first after it.
    Turned,
}

/// The effect of a checked transform.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Maps each value by itself, so that it can be fused with the transforms around it. It is
    /// never applied.
    Values(kernels::MapStep, Along),
    /// Turns (height, width, channels) to (channels, height, width). It is never applied.
    Turn(MemoryFormat),
    /// Shows other pixels, or the same pixels elsewhere, in images of these sizes.
    Image(Sizes),
    /// Changes elements in place, by [`Frame::change`] alone.
    InPlace {
        /// Whether it accepts elements with the channels first in memory.
        channels_first: bool,
    },
}

/// The axis along which a map of values distinguishes elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// None: all elements are mapped alike.
    Nothing,
    /// The channels of items of three axes.
    Channels,
    /// The last axis.
    Features,
}

/// The order in memory of an image that is shown as (channels, height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryFormat {
    /// In this order.
    #[default]
    Contiguous,
    /// As (height, width, channels): torch's `channels_last`.
    ChannelsLast,
}

/// The choice that a random transform draws from. Transforms of two fields that draw together must
/// draw from the same choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The choice in words, such as "p = 0.5"; the same words mean the same choice.
    pub text: String,
    /// The kind of the choice.
    pub of: ChoiceOf,
    /// The kinds of the parameters. A JSON value is read as the first kind that fits.
    pub kinds: &'static [Kind],
}

/// The kind of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChoiceOf {
    /// Values of elements: its order among others does not matter.
    Values,
    /// A movement of pixels.
    Moves,
    /// A rectangle of the image, whose size matters.
    Rectangle,
}

/// " of images of 3 x 4": a part of the text of a [`Choice`].
pub(crate) fn of_images(size: Option<Size>) -> String {
    size.map_or_else(String::new, |Size { height, width }| {
        format!(" of images of {height} x {width}")
    })
}

/// The methods of a [`Step`] that draws nothing.
macro_rules! draws_nothing {
    () => {
        fn choice(&self, _size: Option<crate::size::Size>) -> Option<crate::step::Choice> {
            None
        }

        fn draw(
            &self,
            _item: crate::random::ItemStream,
            _size: crate::size::Size,
        ) -> crate::error::Result<Option<crate::params::Drawn>> {
            Ok(None)
        }
    };
}

/// The methods of a [`Step`] that the pipeline fuses with others, by [`Effect::Values`] or
/// [`Effect::Turn`].
macro_rules! is_fused {
    () => {
        crate::step::draws_nothing!();

        fn size_after(
            &self,
            size: crate::size::Size,
            _drawn: Option<&crate::params::Drawn>,
        ) -> crate::size::Size {
            size
        }

        fn apply<'a>(
            &'a self,
            _drawn: Option<&crate::params::Drawn>,
            _frame: &mut crate::frame::Frame<'a>,
            _scratch: &mut crate::scratch::Scratch,
        ) -> crate::error::Result<()> {
            Err(crate::error::Error::Fused { transform: self.name() })
        }
    };
}

pub(crate) use {draws_nothing, is_fused};
