//! JSON objects of strings, pair by pair, in their order.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

/// Takes each pair of an object whose values are all strings.
pub(crate) struct StringPairs<F> {
    /// Name of the object, for the error of another value.
    pub(crate) expected: &'static str,
    pub(crate) take: F,
}

impl<'de, F: FnMut(String, String)> DeserializeSeed<'de> for StringPairs<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(String, String)> Visitor<'de> for StringPairs<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry()? {
            (self.take)(key, value);
        }
        Ok(())
    }
}

/// Calls `take` with each pair of a text that is such an object, with nothing after it.
pub(crate) fn each_pair(text: &str, take: impl FnMut(String, String)) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    StringPairs { expected: "an object of strings", take }.deserialize(&mut json)?;
    json.end()
}
