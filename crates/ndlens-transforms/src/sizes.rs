//! How large images are, and become.

use ndlens_core::DType;

use crate::drawn::Drawn;
use crate::error::{Error, Result};
use crate::random::Draws;
use crate::transform::{HEIGHT, Interval, WIDTH};

/// The height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Size {
    /// With so much more to the left, top, right and bottom.
    pub(crate) fn padded(self, [left, top, right, bottom]: [usize; 4]) -> Self {
        let sum = |size: usize, a: usize, b: usize| size.saturating_add(a).saturating_add(b);
        Size { height: sum(self.height, top, bottom), width: sum(self.width, left, right) }
    }

    /// How many pixels there are.
    pub(crate) fn pixels(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Itself, if places around it can be counted.
    pub(crate) fn addressable(self, dtype: &DType) -> Result<Self> {
        let Size { height, width } = self;
        // Places on both sides of the edges are counted in an isize.
        if height.max(width) > isize::MAX as usize / 2 {
            let (shape, itemsize) = (vec![height, width], dtype.itemsize());
            return Err(ndlens_core::Error::SizeOverflow { shape, itemsize }.into());
        }
        Ok(self)
    }

    /// What `padding` becomes where a smaller image than this is padded on both sides by what is
    /// missing, which leaves a crop a choice, as torchvision has it.
    pub(crate) fn needed_padding(
        self,
        padding: [usize; 4],
        height: usize,
        width: usize,
    ) -> [usize; 4] {
        let padded = self.padded(padding);
        let (rows, columns) =
            (height.saturating_sub(padded.height), width.saturating_sub(padded.width));
        let [left, top, right, bottom] = padding;
        let sum = usize::saturating_add;
        [sum(left, columns), sum(top, rows), sum(right, columns), sum(bottom, rows)]
    }

    /// Whether a crop of this size can be made.
    pub(crate) fn fits(self, transform: &'static str, height: usize, width: usize) -> Result<()> {
        if height > self.height || width > self.width {
            let (image_height, image_width) = (self.height, self.width);
            return Err(Error::CropTooLarge {
                transform,
                height,
                width,
                image_height,
                image_width,
            });
        }
        Ok(())
    }

    /// Of an item's shape; what is no image has none.
    pub(crate) fn of(shape: &[usize]) -> Self {
        let axis = |axis| shape.get(axis).copied().unwrap_or(1);
        Size { height: axis(HEIGHT), width: axis(WIDTH) }
    }
}

/// What an image is resized to, as torchvision's `Resize` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
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

impl Target {
    /// As torchvision's parameters say it: `size` is None, the shorter side, or height and width.
    ///
    /// # Errors
    ///
    /// [`Error::ResizeTarget`] for anything else.
    pub fn new(size: Option<&[usize]>, max_size: Option<usize>) -> Result<Self> {
        match (size, max_size) {
            (Some(&[height, width]), None) => Ok(Target::Exactly { height, width }),
            (Some(&[size]), None) => Ok(Target::Shorter { size, max_size }),
            (Some(&[size]), Some(most)) if most > size => Ok(Target::Shorter { size, max_size }),
            (None, Some(size)) => Ok(Target::Longer { size }),
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

    /// The least and the most that images of any sizes become.
    pub(crate) fn range(self) -> (Size, Size) {
        let square = |side| Size { height: side, width: side };
        match self {
            Target::Exactly { height, width } => (Size { height, width }, Size { height, width }),
            Target::Longer { size } => (square(1), square(size)),
            Target::Shorter { size, max_size: None } => (square(size), square(usize::MAX)),
            Target::Shorter { max_size: Some(most), .. } => (square(1), square(most)),
        }
    }

    /// The size that an image of this size becomes. Rounds as torchvision's
    /// `_compute_resized_output_size`.
    pub(crate) fn of(self, Size { height, width }: Size) -> Size {
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
            Target::Exactly { height, width } => Size { height, width },
            Target::Longer { size } => of_sides(scaled(size, short, long), size),
            Target::Shorter { size, max_size } => {
                let longer = scaled(size, long, short);
                match max_size.filter(|&most| longer > most) {
                    Some(most) => of_sides(scaled(most, size, longer), most),
                    None => of_sides(size, longer),
                }
            }
        }
    }
}

/// What part of an image `RandomResizedCrop` takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    /// The least and the most of the image's area.
    pub(crate) scale: Interval,
    /// The least and the most of width over height.
    pub(crate) ratio: Interval,
}

impl Area {
    /// As torchvision draws it: an area, uniform, and a ratio, uniform in its logarithm; ten tries,
    /// then the middle.
    pub(crate) fn draw(self, draws: &mut Draws, Size { height, width }: Size) -> Drawn {
        /// Tries before giving up, torchvision's.
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
                return Drawn::Rectangle { top, left, height: h, width: w };
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
        Drawn::Rectangle { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}

/// `round(n / 2)` as Python rounds, which is how torchvision finds the middle: .5 goes to the even
/// neighbour.
pub(crate) fn half_to_even(n: usize) -> usize {
    n / 2 + usize::from(n % 4 == 3)
}
