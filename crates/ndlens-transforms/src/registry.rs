//! All transforms by name.

use crate::arguments::{Argument, Constructor};
use crate::error::{Error, Result};
use crate::step::Step;
use crate::{colour, crop, erase, flip, layout, noise, pad, resize, values};

/// The families of transforms.
const FAMILIES: &[&[Constructor]] = &[
    crop::CONSTRUCTORS,
    pad::CONSTRUCTORS,
    flip::CONSTRUCTORS,
    resize::CONSTRUCTORS,
    colour::CONSTRUCTORS,
    erase::CONSTRUCTORS,
    noise::CONSTRUCTORS,
    values::CONSTRUCTORS,
    layout::CONSTRUCTORS,
];

/// The names of all transforms.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().copied().flatten().map(|constructor| constructor.name)
}

/// The transform with this name and these arguments, which are the fields of its Python class.
///
/// # Errors
///
/// [`Error::UnknownTransform`]; [`Error::Argument`], [`Error::MissingArgument`],
/// [`Error::UnknownArgument`]; [`Error::ResizeTarget`].
pub fn by_name(name: &str, arguments: Vec<(String, Argument)>) -> Result<Box<dyn Step>> {
    let mut all = FAMILIES.iter().copied().flatten();
    let constructor = all.find(|constructor| constructor.name == name);
    constructor.ok_or_else(|| Error::UnknownTransform { name: name.to_owned() })?.make(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_is_made_by_its_name_and_takes_all_of_its_arguments() {
        let message = |name, arguments: &[(&str, Argument)]| {
            let arguments =
                arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            by_name(name, arguments.collect()).map_err(|error| error.to_string())
        };
        let p = ("p", Argument::Float(0.25));
        let made = message("RandomGrayscale", std::slice::from_ref(&p)).unwrap();
        assert_eq!(
            (made.name(), made.choice(None).unwrap().text.as_str()),
            ("RandomGrayscale", "p = 0.25")
        );
        let refused = |name, arguments: &[_]| message(name, arguments).unwrap_err();
        assert_eq!(refused("RandomGrayscale", &[]), "RandomGrayscale needs p");
        assert_eq!(
            refused("RandomGrayscale", &[("p", Argument::Text("x".to_owned()))]),
            "RandomGrayscale: p must be a number, got Text(\"x\")"
        );
        assert_eq!(
            refused("RandomGrayscale", &[p, ("q", Argument::None)]),
            "RandomGrayscale has no argument \"q\""
        );
        assert_eq!(refused("Rotate", &[]), "there is no transform \"Rotate\"");
    }

    #[test]
    fn no_name_comes_twice() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
