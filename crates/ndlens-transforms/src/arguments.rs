//! The arguments of transforms that are made by name: the values of the fields of a Python class.
//!
//! Each transform reads its own arguments in its own file, and its family lists it among its
//! [`Constructor`]s.

use ndlens_core::DType;
use ndlens_kernels::{Filter, Interpolation};

use crate::error::{Error, Result};
use crate::fill::{Fill, Padding};
use crate::interval::Interval;
use crate::size::Size;
use crate::step::Step;

/// The value of an argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// No value.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Argument>),
}

/// The arguments of one transform, by name.
#[derive(Debug)]
pub(crate) struct Arguments {
    transform: &'static str,
    values: Vec<(String, Argument)>,
}

impl Arguments {
    /// Removes an argument and returns its value.
    pub(crate) fn take<T: FromArgument>(&mut self, name: &'static str) -> Result<T> {
        let transform = self.transform;
        let at = self.values.iter().position(|(own, _)| own == name);
        let (_, value) =
            self.values.swap_remove(at.ok_or(Error::MissingArgument { transform, name })?);
        T::from_argument(&value).ok_or_else(|| {
            let (expected, got) = (T::EXPECTED, format!("{value:?}"));
            Error::Argument { transform, name, expected, got }
        })
    }

    /// Takes the fill of a padding.
    pub(crate) fn take_fill(&mut self) -> Result<Fill> {
        Ok(Fill::new(self.take("padding_mode")?, self.take("fill")?))
    }

    /// Takes the filter of a resize.
    pub(crate) fn take_filter(&mut self) -> Result<Filter> {
        Ok(Filter {
            interpolation: self.take("interpolation")?,
            antialias: self.take("antialias")?,
        })
    }
}

/// A transform that is made from arguments.
pub(crate) trait FromArguments: Step + Sized + 'static {
    /// The name of its Python class.
    const NAME: &'static str;

    /// Takes all arguments of the transform.
    fn from_arguments(arguments: &mut Arguments) -> Result<Self>;
}

/// The function that makes one transform from its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Constructor {
    pub(crate) name: &'static str,
    make: fn(&mut Arguments) -> Result<Box<dyn Step>>,
}

impl Constructor {
    /// The constructor of a transform.
    pub(crate) const fn of<T: FromArguments>() -> Self {
        Constructor {
            name: T::NAME,
            make: |arguments| T::from_arguments(arguments).map(Step::boxed),
        }
    }

    /// The transform with these arguments.
    pub(crate) fn make(&self, values: Vec<(String, Argument)>) -> Result<Box<dyn Step>> {
        let mut arguments = Arguments { transform: self.name, values };
        let made = (self.make)(&mut arguments)?;
        match arguments.values.pop() {
            None => Ok(made),
            Some((name, _)) => Err(Error::UnknownArgument { transform: self.name, name }),
        }
    }
}

/// A type that arguments are converted to.
pub(crate) trait FromArgument: Sized {
    /// The accepted values in words.
    const EXPECTED: &'static str;

    /// The value; None if the argument has another type.
    fn from_argument(argument: &Argument) -> Option<Self>;
}

macro_rules! from_argument {
    ($($type:ty, $expected:literal, $pattern:pat => $value:expr;)*) => {$(
        impl FromArgument for $type {
            const EXPECTED: &'static str = $expected;

            fn from_argument(argument: &Argument) -> Option<Self> {
                match argument {
                    $pattern => $value,
                    _ => None,
                }
            }
        }
    )*};
}

from_argument! {
    bool, "a bool", Argument::Bool(value) => Some(*value);
    String, "a text", Argument::Text(text) => Some(text.clone());
    DType, "the name of a dtype", Argument::Text(name) => DType::parse(name).ok();
    Padding, "the name of a padding mode", Argument::Text(name) => Padding::from_name(name);
    Interpolation, "the name of an interpolation",
        Argument::Text(name) => Interpolation::from_name(name);
}

impl FromArgument for i128 {
    const EXPECTED: &'static str = "an integer";

    fn from_argument(argument: &Argument) -> Option<Self> {
        match argument {
            Argument::Int(value) => Some(*value),
            // As in Python.
            Argument::Bool(value) => Some((*value).into()),
            Argument::None | Argument::Float(_) | Argument::Text(_) | Argument::List(_) => None,
        }
    }
}

impl FromArgument for usize {
    const EXPECTED: &'static str = "an integer from 0 on";

    fn from_argument(argument: &Argument) -> Option<Self> {
        i128::from_argument(argument)?.try_into().ok()
    }
}

impl FromArgument for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_argument(argument: &Argument) -> Option<Self> {
        match argument {
            Argument::Float(value) => Some(*value),
            other => i128::from_argument(other).map(|value| value as f64),
        }
    }
}

impl<T: FromArgument> FromArgument for Vec<T> {
    const EXPECTED: &'static str = "a list of values of one kind";

    fn from_argument(argument: &Argument) -> Option<Self> {
        match argument {
            Argument::List(values) => values.iter().map(T::from_argument).collect(),
            _ => None,
        }
    }
}

impl<T: FromArgument, const N: usize> FromArgument for [T; N] {
    const EXPECTED: &'static str = "a list of as many values as it needs";

    fn from_argument(argument: &Argument) -> Option<Self> {
        Vec::from_argument(argument)?.try_into().ok()
    }
}

impl<T: FromArgument> FromArgument for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_argument(argument: &Argument) -> Option<Self> {
        match argument {
            Argument::None => Some(None),
            value => T::from_argument(value).map(Some),
        }
    }
}

impl FromArgument for Size {
    const EXPECTED: &'static str = "(height, width)";

    fn from_argument(argument: &Argument) -> Option<Self> {
        <[usize; 2]>::from_argument(argument).map(|[height, width]| Size { height, width })
    }
}

impl FromArgument for Interval {
    const EXPECTED: &'static str = "two numbers";

    fn from_argument(argument: &Argument) -> Option<Self> {
        <[f64; 2]>::from_argument(argument).map(|[low, high]| Interval { low, high })
    }
}
