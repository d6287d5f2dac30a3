//! The parameters of one random transform for one item.
//!
//! Drawing and applying are separate, so that a user can read the parameters of a batch, and can
//! apply them again to other items. A parameter is a variant of [`Drawn`]. Its JSON has no tag: its
//! key is the name of its transform, and the [`Kind`]s of the transform say how it is read:
//!
//! ```text
//!  RandomCrop            [Rectangle]           {"top": 3, "left": 0, "height": 8, "width": 8}
//!  RandomErasing         [Applied, Erased]     false, or {"top": .., "noise": {..}}
//!  RandomScale           [Factor]              1.25, or 2
//! ```

use ndlens_kernels::Adjustment;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smallvec::SmallVec;

use crate::random::Noise;

/// A rectangle of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rectangle {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// A rectangle of an image that is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The rectangle.
    #[serde(flatten)]
    pub rectangle: Rectangle,
    /// The numbers that overwrite it, if they are random.
    pub noise: Noise,
}

/// The parameters of one random transform for one item.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Drawn {
    /// Whether the transform is applied.
    Applied(bool),
    /// The rectangle that a crop keeps, of the image with its padding.
    Rectangle(Rectangle),
    /// A rectangle that is overwritten.
    Erased(Erased),
    /// Changes of colour, in their order.
    Adjusted([Option<Adjustment>; 4]),
    /// The number of counter-clockwise turns by 90 degrees.
    QuarterTurns(u8),
    /// The factor of all elements.
    Factor(f64),
    /// A random number for each element or feature.
    Noise(Noise),
    /// The parameters of a transform that the user defines.
    Custom(Box<Value>),
}

/// The kinds of parameters, one for each variant of [`Drawn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are those of `Drawn`")]
pub enum Kind {
    Applied,
    Rectangle,
    Erased,
    Adjusted,
    QuarterTurns,
    Factor,
    Noise,
    Custom,
}

impl Kind {
    /// All kinds but [`Custom`](Kind::Custom), which accepts any JSON.
    const BUILT_IN: [Kind; 7] = [
        Kind::Applied,
        Kind::Rectangle,
        Kind::Erased,
        Kind::Adjusted,
        Kind::QuarterTurns,
        Kind::Factor,
        Kind::Noise,
    ];

    /// A parameter of this kind; None if the JSON is not of this kind.
    fn read(self, json: &Value) -> Option<Drawn> {
        match self {
            Kind::Applied => json.as_bool().map(Drawn::Applied),
            Kind::Rectangle => Rectangle::deserialize(json).ok().map(Drawn::Rectangle),
            Kind::Erased => Erased::deserialize(json).ok().map(Drawn::Erased),
            Kind::Adjusted => Deserialize::deserialize(json).ok().map(Drawn::Adjusted),
            Kind::QuarterTurns => Deserialize::deserialize(json).ok().map(Drawn::QuarterTurns),
            Kind::Factor => json.as_f64().map(Drawn::Factor),
            Kind::Noise => Noise::deserialize(json).ok().map(Drawn::Noise),
            Kind::Custom => Some(Drawn::Custom(Box::new(json.clone()))),
        }
    }
}

/// The reason why a JSON value is not a parameter of a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is the parameter of another transform.
    OfAnother,
    /// It is the parameter of no transform.
    OfNone,
}

impl Drawn {
    /// The parameter as JSON.
    pub fn to_json(&self) -> Value {
        let json = match self {
            Drawn::Applied(applied) => return Value::Bool(*applied),
            Drawn::Rectangle(rectangle) => serde_json::to_value(rectangle),
            Drawn::Erased(erased) => serde_json::to_value(erased),
            Drawn::Adjusted(adjustments) => serde_json::to_value(adjustments),
            Drawn::QuarterTurns(turns) => serde_json::to_value(turns),
            Drawn::Factor(factor) => serde_json::to_value(factor),
            Drawn::Noise(noise) => serde_json::to_value(noise),
            Drawn::Custom(value) => return Value::clone(value),
        };
        json.unwrap_or(Value::Null)
    }

    /// A parameter of the first of these kinds that fits the JSON.
    pub(crate) fn from_json(json: &Value, kinds: &[Kind]) -> Result<Drawn, Unreadable> {
        let read = kinds.iter().find_map(|kind| kind.read(json));
        read.ok_or_else(|| {
            let of_another = Kind::BUILT_IN.iter().any(|kind| kind.read(json).is_some());
            if of_another { Unreadable::OfAnother } else { Unreadable::OfNone }
        })
    }
}

/// One entry for each random transform, in their order.
pub type DrawnList = SmallVec<[Drawn; 4]>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::Interval;
    use crate::random::Stream;
    use serde_json::json;

    #[test]
    fn every_kind_of_parameter_is_read_as_it_was_written() {
        let rectangle = Rectangle { top: 1, left: 2, height: 3, width: 4 };
        let noise = Stream::new(3, "noise").noise(1, 2);
        let adjustments =
            [Some(Adjustment::Hue(0.25)), None, Some(Adjustment::Contrast(1.5)), None];
        let parameters = [
            (Kind::Applied, Drawn::Applied(true)),
            (Kind::Rectangle, Drawn::Rectangle(rectangle)),
            (Kind::Erased, Drawn::Erased(Erased { rectangle, noise })),
            (Kind::Adjusted, Drawn::Adjusted(adjustments)),
            (Kind::QuarterTurns, Drawn::QuarterTurns(3)),
            (Kind::Factor, Drawn::Factor(2.0)),
            (Kind::Noise, Drawn::Noise(noise)),
            (Kind::Custom, Drawn::Custom(Box::new(json!({"angle": 12})))),
        ];
        for (kind, drawn) in parameters {
            assert_eq!(Drawn::from_json(&drawn.to_json(), &[kind]), Ok(drawn));
        }
        assert_eq!(Drawn::from_json(&json!(2), &[Kind::Factor]), Ok(Drawn::Factor(2.0)));
        assert_eq!(Drawn::from_json(&json!(2), &[Kind::QuarterTurns]), Ok(Drawn::QuarterTurns(2)));
        let expected = json!({"top": 1, "left": 2, "height": 3, "width": 4});
        assert_eq!(Drawn::Rectangle(rectangle).to_json().to_string(), expected.to_string());
    }

    #[test]
    fn a_factor_is_read_from_text_to_the_last_bit() {
        let stream = Stream::new(3, "factors");
        for item in 0..1000 {
            let drawn =
                Drawn::Factor(Interval { low: 0.5, high: 1.5 }.draw(&mut stream.draws(0, item)));
            let text = drawn.to_json().to_string();
            let json = serde_json::from_str(&text).unwrap();
            assert_eq!(Drawn::from_json(&json, &[Kind::Factor]), Ok(drawn), "{text}");
        }
    }

    #[test]
    fn a_parameter_of_another_kind_is_not_taken_for_one() {
        let read = |json| Drawn::from_json(&json, &[Kind::Rectangle]);
        assert_eq!(read(json!(true)), Err(Unreadable::OfAnother));
        assert_eq!(read(json!("left")), Err(Unreadable::OfNone));
    }
}
