//! Resizing of an image, or of a random part of it, to another size.

use ndlens_kernels::{self as kernels, Filter, ValueMap};

use crate::arguments::{Arguments, Constructor, FromArguments};
use crate::channels::Convention;
use crate::crop::has;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::input::Input;
use crate::interval::Interval;
use crate::item_shape::ItemShape;
use crate::params::{Drawn, Kind, Rectangle};
use crate::random::{Draws, ItemStream};
use crate::scratch::Scratch;
use crate::size::{Size, Sizes};
use crate::step::{Axes, Choice, ChoiceOf, Effect, Step, draws_nothing, of_images};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] =
    &[Constructor::of::<Resize>(), Constructor::of::<RandomResizedCrop>()];

/// The size that an image is resized to, with the meaning of torchvision's `Resize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSize {
    /// This height and width.
    Exactly {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The shorter side becomes this long, and the longer one keeps its ratio to it; unless it
    /// would be longer than `max_size`: then that is its length, and the shorter one keeps its
    /// ratio to it.
    Shorter {
        /// Pixels of the shorter side.
        size: usize,
        /// The most pixels of the longer side.
        max_size: Option<usize>,
    },
    /// The longer side becomes this long, and the shorter one keeps its ratio to it.
    Longer {
        /// Pixels of the longer side.
        size: usize,
    },
}

impl TargetSize {
    /// A target from torchvision's parameters: `size` is None, the shorter side, or height and
    /// width.
    ///
    /// # Errors
    ///
    /// [`Error::ResizeTarget`] for anything else.
    pub fn new(size: Option<&[usize]>, max_size: Option<usize>) -> Result<Self> {
        match (size, max_size) {
            (Some(&[height, width]), None) => Ok(TargetSize::Exactly { height, width }),
            (Some(&[size]), None) => Ok(TargetSize::Shorter { size, max_size }),
            (Some(&[size]), Some(most)) if most > size => {
                Ok(TargetSize::Shorter { size, max_size })
            }
            (None, Some(size)) => Ok(TargetSize::Longer { size }),
            (size, max_size) => {
                let none = || "None".to_owned();
                let size = size.map_or_else(none, |size| {
                    let sides: Vec<_> = size.iter().map(ToString::to_string).collect();
                    format!("({})", sides.join(", "))
                });
                let max_size = max_size.map_or_else(none, |most| most.to_string());
                Err(Error::ResizeTarget { size, max_size })
            }
        }
    }

    /// The least and the largest size of resized images. `is_open` says whether the sizes before
    /// are unknown.
    fn range(self, is_open: bool) -> Sizes {
        let square = |side| Size { height: side, width: side };
        match self {
            TargetSize::Exactly { height, width } => Sizes::one(Size { height, width }),
            TargetSize::Longer { size } => Sizes { least: square(1), most: square(size), is_open },
            TargetSize::Shorter { size, max_size: None } => {
                Sizes { least: square(size), most: square(usize::MAX), is_open }
            }
            TargetSize::Shorter { max_size: Some(most), .. } => {
                Sizes { least: square(1), most: square(most), is_open }
            }
        }
    }

    /// The resized size of an image of this size, rounded as in torchvision's
    /// `_compute_resized_output_size`.
    fn of(self, Size { height, width }: Size) -> Size {
        let (short, long) = (height.min(width), height.max(width));
        let of_sides = |short: usize, long: usize| {
            let (short, long) = (short.max(1), long.max(1));
            if width <= height {
                Size { height: long, width: short }
            } else {
                Size { height: short, width: long }
            }
        };
        let scaled =
            |size: usize, by: usize, over: usize| (size as f64 * by as f64 / over as f64) as usize;
        match self {
            TargetSize::Exactly { height, width } => Size { height, width },
            TargetSize::Longer { size } => of_sides(scaled(size, short, long), size),
            TargetSize::Shorter { size, max_size } => {
                let longer = scaled(size, long, short);
                match max_size.filter(|&most| longer > most) {
                    Some(most) => of_sides(scaled(most, size, longer), most),
                    None => of_sides(size, longer),
                }
            }
        }
    }
}

/// Resizes an image to another size.
#[derive(Debug, Clone)]
pub struct Resize {
    /// Target size.
    pub target: TargetSize,
    /// Filter that computes values between pixels.
    pub filter: Filter,
    /// Map of each value to itself; known when the dtype is.
    unchanged: Option<ValueMap>,
}

impl Resize {
    /// A resize to this size.
    pub fn new(target: TargetSize, filter: Filter) -> Self {
        Resize { target, filter, unchanged: None }
    }
}

impl FromArguments for Resize {
    const NAME: &'static str = "Resize";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        let size: Option<Vec<usize>> = arguments.take("size")?;
        let target = TargetSize::new(size.as_deref(), arguments.take("max_size")?)?;
        Ok(Resize::new(target, arguments.take_filter()?))
    }
}

impl Step for Resize {
    draws_nothing!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        let least = self.target.of(input.sizes().least);
        self.unchanged = Some(unchanged(Self::NAME, input, least, self.filter)?);
        Ok(Effect::Image(match input.sizes().as_one() {
            Some(size) => Sizes::one(self.target.of(size)),
            None => self.target.range(input.sizes().is_open),
        }))
    }

    fn size_after(&self, size: Size, _drawn: Option<&Drawn>) -> Size {
        self.target.of(size)
    }

    fn apply<'a>(
        &'a self,
        _drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let to = self.target.of(frame.size());
        resize(Self::NAME, self.unchanged.as_ref(), to, self.filter, frame, scratch)
    }
}

/// Resizes a random part of the image, of random area and ratio.
#[derive(Debug, Clone)]
pub struct RandomResizedCrop {
    /// Rows and columns to resize to.
    pub size: Size,
    /// The part's area as a part of the image's.
    pub scale: Interval,
    /// The part's width over its height.
    pub ratio: Interval,
    /// Filter that computes values between pixels.
    pub filter: Filter,
    /// Map of each value to itself; known when the dtype is.
    unchanged: Option<ValueMap>,
}

impl RandomResizedCrop {
    /// A part of the image, of an area and a ratio in these intervals, resized to this size.
    pub fn new(size: Size, scale: Interval, ratio: Interval, filter: Filter) -> Self {
        RandomResizedCrop { size, scale, ratio, filter, unchanged: None }
    }

    /// The rectangle that torchvision draws: an area, uniform, and a ratio, uniform in its
    /// logarithm; after ten tries, the middle.
    fn rectangle(&self, draws: &mut Draws, Size { height, width }: Size) -> Rectangle {
        /// The number of tries, torchvision's.
        const TRIES: usize = 10;
        let Interval { low, high } = self.ratio;
        let area = height as f64 * width as f64;
        for _ in 0..TRIES {
            let target = area * self.scale.draw(draws);
            let ratio = self.ratio.draw_log(draws);
            let w = (target * ratio).sqrt().round_ties_even() as usize;
            let h = (target / ratio).sqrt().round_ties_even() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = draws.below((height - h) as u64 + 1) as usize;
                let left = draws.below((width - w) as u64 + 1) as usize;
                return Rectangle { top, left, height: h, width: w };
            }
        }
        let own = width as f64 / height as f64;
        let (h, w) = if own < low {
            ((width as f64 / low).round_ties_even() as usize, width)
        } else if own > high {
            (height, (height as f64 * high).round_ties_even() as usize)
        } else {
            (height, width)
        };
        let (h, w) = (h.clamp(1, height), w.clamp(1, width));
        Rectangle { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}

impl FromArguments for RandomResizedCrop {
    const NAME: &'static str = "RandomResizedCrop";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        let (size, scale) = (arguments.take("size")?, arguments.take("scale")?);
        let ratio = arguments.take("ratio")?;
        Ok(RandomResizedCrop::new(size, scale, ratio, arguments.take_filter()?))
    }
}

impl Step for RandomResizedCrop {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        input.sizes().least.fits(Self::NAME, 1, 1)?;
        for (parameter, Interval { low, high }) in [("scale", self.scale), ("ratio", self.ratio)] {
            // NaN is outside of every range too.
            if !(low > 0.0 && low <= high && high.is_finite()) {
                return Err(Error::Range { transform: Self::NAME, parameter, low, high });
            }
        }
        self.unchanged = Some(unchanged(Self::NAME, input, self.size, self.filter)?);
        Ok(Effect::Image(Sizes::one(self.size)))
    }

    fn choice(&self, size: Option<Size>) -> Option<Choice> {
        Some(Choice {
            text: format!("scale {}, ratio {}{}", self.scale, self.ratio, of_images(size)),
            of: ChoiceOf::Rectangle,
            kinds: &[Kind::Rectangle],
        })
    }

    fn draw(&self, item: ItemStream, size: Size) -> Result<Option<Drawn>> {
        size.fits(Self::NAME, 1, 1)?;
        Ok(Some(Drawn::Rectangle(self.rectangle(&mut item.draws(), size))))
    }

    fn size_after(&self, _size: Size, _drawn: Option<&Drawn>) -> Size {
        self.size
    }

    fn apply<'a>(
        &'a self,
        drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(Drawn::Rectangle(rectangle)) = drawn else {
            return Err(Error::Drawn { transform: Self::NAME });
        };
        has(Self::NAME, frame.size(), rectangle)?;
        frame.crop(*rectangle)?;
        resize(Self::NAME, self.unchanged.as_ref(), self.size, self.filter, frame, scratch)
    }
}

/// Checks that input images can be resized to this size, and returns the map of each value to
/// itself.
fn unchanged(
    transform: &'static str,
    input: &mut Input<'_>,
    to: Size,
    filter: Filter,
) -> Result<ValueMap> {
    input.is_image(transform)?;
    input.sizes().least.fits(transform, 1, 1)?;
    let unchanged = ValueMap::new(input.elements(), 1, &[])?;
    prepare(transform, to, &unchanged, input.channels().unwrap_or(1), filter)?;
    Ok(unchanged)
}

/// Resizes an image to this size.
fn resize<'a>(
    transform: &'static str,
    unchanged: Option<&'a ValueMap>,
    to: Size,
    filter: Filter,
    frame: &mut Frame<'a>,
    scratch: &mut Scratch,
) -> Result<()> {
    let unchanged = unchanged.ok_or(Error::NotChecked { transform })?;
    let resize = prepare(transform, to, unchanged, frame.channels(), filter)?;
    frame.resize(resize, unchanged, scratch)
}

/// The kernel that resizes images of the dtype of `unchanged`.
fn prepare(
    transform: &'static str,
    Size { height, width }: Size,
    unchanged: &ValueMap,
    channels: usize,
    filter: Filter,
) -> Result<kernels::Resizer> {
    kernels::Resizer::new(height, width, channels, unchanged.source(), filter)
        .map_err(|source| Error::InTransform { transform, source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{image, message, run};
    use ndlens_kernels::Interpolation;

    const NEAREST: Filter = Filter { interpolation: Interpolation::Nearest, antialias: true };

    #[test]
    fn the_shorter_side_is_resized_and_the_longer_one_keeps_its_ratio() {
        let shape = |size: Option<&[usize]>, max_size| {
            let target = TargetSize::new(size, max_size).unwrap();
            run(&[Resize::new(target, NEAREST).boxed()], &image(4, 10, 1), 0).0
        };
        assert_eq!(shape(Some(&[3, 5]), None), [3, 5, 1]);
        assert_eq!(shape(Some(&[2]), None), [2, 5, 1]);
        assert_eq!(shape(Some(&[2]), Some(4)), [1, 4, 1]);
        assert_eq!(shape(None, Some(5)), [2, 5, 1]);
        assert_eq!(
            TargetSize::new(Some(&[4]), Some(3)).unwrap_err().to_string(),
            "Resize: size must be the shorter side, (height, width), or None with a max_size, and \
             max_size, which goes with the shorter side, above it; got size (4) and max_size 3"
        );
    }

    #[test]
    fn a_random_part_is_resized_to_one_size() {
        let size = Size { height: 2, width: 3 };
        let one = Interval { low: 1.0, high: 1.0 };
        let whole = RandomResizedCrop::new(size, one, Interval { low: 1.5, high: 1.5 }, NEAREST);
        let (shape, out) = run(&[whole.boxed()], &image(4, 6, 1), 0);
        assert_eq!((shape, out), (vec![2, 3, 1], vec![0, 2, 4, 12, 14, 16]));
        let none = Interval { low: 0.0, high: 1.0 };
        assert_eq!(
            message(&[RandomResizedCrop::new(size, none, one, NEAREST).boxed()], &[4, 6]),
            "RandomResizedCrop: scale must be two positive numbers, the first no more than the \
             second, got (0, 1)"
        );
    }
}
