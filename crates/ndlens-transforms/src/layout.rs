//! The order of an image's axes.

use crate::arguments::{Argument, Arguments, Constructor, FromArgument, FromArguments};
use crate::channels::Convention;
use crate::error::Result;
use crate::input::Input;
use crate::item_shape::ItemShape;
use crate::step::{Axes, Effect, MemoryFormat, Step, is_fused};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] = &[Constructor::of::<ChannelsFirst>()];

impl FromArgument for MemoryFormat {
    const EXPECTED: &'static str = "\"contiguous\" or \"channels_last\"";

    fn from_argument(argument: &Argument) -> Option<Self> {
        match argument {
            Argument::Text(name) if name == "contiguous" => Some(MemoryFormat::Contiguous),
            Argument::Text(name) if name == "channels_last" => Some(MemoryFormat::ChannelsLast),
            _ => None,
        }
    }
}

/// (height, width, channels) to (channels, height, width), in memory or in shape alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChannelsFirst {
    /// Order of the result in memory.
    pub memory_format: MemoryFormat,
}

impl FromArguments for ChannelsFirst {
    const NAME: &'static str = "ChannelsFirst";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(ChannelsFirst { memory_format: arguments.take("memory_format")? })
    }
}

impl Step for ChannelsFirst {
    is_fused!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Turned
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.check_not_turned()?;
        input.has_channels(Self::NAME)?;
        Ok(Effect::Turn(self.memory_format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{image, message, run};

    #[test]
    fn channels_first_turns_the_shape_and_in_one_format_the_memory() {
        let turn = |memory_format| ChannelsFirst { memory_format }.boxed();
        let (shape, out) = run(&[turn(MemoryFormat::Contiguous)], &image(1, 2, 3), 0);
        assert_eq!((shape, out), (vec![3, 1, 2], vec![0, 3, 1, 4, 2, 5]));
        let (shape, out) = run(&[turn(MemoryFormat::ChannelsLast)], &image(1, 2, 3), 0);
        assert_eq!((shape, out), (vec![1, 2, 3], vec![0, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn channels_come_first_once_and_of_items_that_have_them() {
        let turn = ChannelsFirst::default().boxed();
        assert_eq!(
            message(std::slice::from_ref(&turn), &[8, 8]),
            "ChannelsFirst needs items of shape (height, width, channels), got [8, 8]; add a \
             channel axis with view[..., None]"
        );
        assert_eq!(
            message(&[turn.clone(), turn], &[8, 8, 3]),
            "ChannelsFirst comes twice: the channels are first already"
        );
    }
}
