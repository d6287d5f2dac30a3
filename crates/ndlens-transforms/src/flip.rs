//! Flips and quarter turns.

use crate::arguments::{Arguments, Constructor, FromArguments};
use crate::channels::Convention;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::input::Input;
use crate::interval::is_probability;
use crate::item_shape::ItemShape;
use crate::params::{Drawn, Kind};
use crate::random::ItemStream;
use crate::scratch::Scratch;
use crate::size::{HEIGHT, Size, WIDTH};
use crate::step::{Axes, Choice, ChoiceOf, Effect, Step};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] = &[
    Constructor::of::<RandomHorizontalFlip>(),
    Constructor::of::<RandomVerticalFlip>(),
    Constructor::of::<RandomQuarterTurn>(),
];

/// A flip along one axis, with probability `p`.
macro_rules! flip {
    ($(#[$doc:meta])* $type:ident, $name:literal, $axis:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $type {
            /// The probability of a flip.
            pub p: f64,
        }

        impl FromArguments for $type {
            const NAME: &'static str = $name;

            fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
                Ok($type { p: arguments.take("p")? })
            }
        }

        impl Step for $type {
            fn name(&self) -> &'static str {
                Self::NAME
            }

            fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
                Axes::Known
            }

            fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
                input.is_image(Self::NAME)?;
                is_probability(Self::NAME, self.p)?;
                Ok(Effect::Image(input.sizes()))
            }

            fn choice(&self, _size: Option<Size>) -> Option<Choice> {
                let text = format!("p = {}", self.p);
                Some(Choice { text, of: ChoiceOf::Moves, kinds: &[Kind::Applied] })
            }

            fn draw(&self, item: ItemStream, _size: Size) -> Result<Option<Drawn>> {
                Ok(Some(Drawn::Applied(item.draws().chance(self.p))))
            }

            fn size_after(&self, size: Size, _drawn: Option<&Drawn>) -> Size {
                size
            }

            fn apply<'a>(
                &'a self,
                drawn: Option<&Drawn>,
                frame: &mut Frame<'a>,
                _scratch: &mut Scratch,
            ) -> Result<()> {
                match drawn {
                    Some(Drawn::Applied(true)) => frame.flip($axis),
                    Some(Drawn::Applied(false)) => Ok(()),
                    _ => Err(Error::Drawn { transform: Self::NAME }),
                }
            }
        }
    };
}

flip! {
    /// Exchanges left and right, with probability `p`.
    RandomHorizontalFlip, "RandomHorizontalFlip", WIDTH
}

flip! {
    /// Exchanges top and bottom, with probability `p`.
    RandomVerticalFlip, "RandomVerticalFlip", HEIGHT
}

/// A counter-clockwise turn by a multiple of 90 degrees, drawn from `turns` with equal
/// probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomQuarterTurn {
    /// Numbers from 0 to 3; 1 and 3 need a square image.
    pub turns: Vec<u8>,
}

impl FromArguments for RandomQuarterTurn {
    const NAME: &'static str = "RandomQuarterTurn";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        let degrees: Vec<i128> = arguments.take("degrees")?;
        let turns = degrees.iter().map(|degrees| degrees.div_euclid(90).rem_euclid(4) as u8);
        Ok(RandomQuarterTurn { turns: turns.collect() })
    }
}

impl Step for RandomQuarterTurn {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        if self.turns.is_empty() || self.turns.iter().any(|&turns| turns > 3) {
            return Err(Error::QuarterTurns { got: self.turns.clone() });
        }
        let Size { height, width } = input.sizes().least;
        let square = input.sizes().as_one().is_some() && height == width;
        if !square && self.turns.iter().any(|turns| turns % 2 == 1) {
            if input.sizes().is_open {
                return Err(Error::SquareUnknown { transform: Self::NAME });
            }
            return Err(Error::NotSquare { transform: Self::NAME, height, width });
        }
        Ok(Effect::Image(input.sizes()))
    }

    fn choice(&self, _size: Option<Size>) -> Option<Choice> {
        let degrees: Vec<_> = self.turns.iter().map(|&turns| u32::from(turns) * 90).collect();
        Some(Choice {
            text: format!("degrees {degrees:?}"),
            of: ChoiceOf::Moves,
            kinds: &[Kind::QuarterTurns],
        })
    }

    fn draw(&self, item: ItemStream, _size: Size) -> Result<Option<Drawn>> {
        let at = item.draws().below(self.turns.len() as u64) as usize;
        Ok(Some(Drawn::QuarterTurns(self.turns[at])))
    }

    fn size_after(&self, size: Size, drawn: Option<&Drawn>) -> Size {
        match drawn {
            Some(Drawn::QuarterTurns(1 | 3)) => Size { height: size.width, width: size.height },
            _ => size,
        }
    }

    fn apply<'a>(
        &'a self,
        drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        match drawn {
            Some(Drawn::QuarterTurns(turns)) if self.turns.contains(turns) => {
                (0..*turns).try_for_each(|_| frame.turn(scratch))
            }
            _ => Err(Error::Drawn { transform: Self::NAME }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ChannelsFirst;
    use crate::testing::{image, message, run};

    #[test]
    fn flips_and_channels_first_move_elements_to_their_places() {
        let image = image(2, 2, 3);
        let (shape, out) = run(
            &[
                RandomHorizontalFlip { p: 1.0 }.boxed(),
                RandomVerticalFlip { p: 0.0 }.boxed(),
                ChannelsFirst::default().boxed(),
            ],
            &image,
            0,
        );
        assert_eq!(shape, [3, 2, 2]);
        assert_eq!(out, [3, 0, 9, 6, 4, 1, 10, 7, 5, 2, 11, 8]);
    }

    #[test]
    fn a_turn_is_counter_clockwise_and_needs_a_square() {
        let turn = |turns| RandomQuarterTurn { turns: vec![turns] }.boxed();
        assert_eq!(run(&[turn(1)], &image(2, 2, 1), 0).1, [1, 3, 0, 2]);
        assert_eq!(run(&[turn(2)], &image(2, 3, 1), 0).1, [5, 4, 3, 2, 1, 0]);
        assert_eq!(
            message(&[turn(3)], &[8, 9]),
            "RandomQuarterTurn by 90 or 270 degrees needs a square image, got height 8 and width \
             9; crop it first"
        );
        assert_eq!(
            message(&[turn(4)], &[8, 8]),
            "RandomQuarterTurn: turns must be one or more of 0, 1, 2 and 3, got [4]"
        );
    }

    #[test]
    fn a_probability_is_between_0_and_1() {
        assert_eq!(
            message(&[RandomVerticalFlip { p: 1.5 }.boxed()], &[8, 8]),
            "RandomVerticalFlip: p must be between 0 and 1, got 1.5"
        );
    }
}
