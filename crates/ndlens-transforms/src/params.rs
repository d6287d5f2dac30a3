//! Drawn parameters as text, to be told to users and taken back: one JSON object for each item.
//!
//! ```text
//!  {"RandomCrop": {"top": 3, "left": 0, "height": 8, "width": 8}, "RandomHorizontalFlip": true, "RandomCrop.1": {..}}
//! ```

use serde_json::{Map, Value};

use super::drawn::{Drawn, DrawnList};
use super::program::Program;
use crate::error::{Error, Result};

impl Program {
    /// The names of the random transforms; those of a kind after its first are numbered.
    fn random_names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for name in self.random() {
            let before = names.iter().filter(|other| other.split('.').next() == Some(name)).count();
            names.push(if before == 0 { name.to_owned() } else { format!("{name}.{before}") });
        }
        names
    }

    /// The parameters of an item by the names of their transforms.
    pub fn params_to_json(&self, drawn: &[Drawn]) -> Value {
        let values = drawn.iter().map(|drawn| serde_json::to_value(drawn).unwrap_or(Value::Null));
        Value::Object(self.random_names().into_iter().zip(values).collect())
    }

    /// What [`params_to_json`](Self::params_to_json) gave for a program of the same random
    /// transforms.
    ///
    /// # Errors
    ///
    /// [`Error::Params`] where a transform has none, or others than it draws.
    pub fn params_from_json(&self, params: &Map<String, Value>) -> Result<DrawnList> {
        let names = self.random_names();
        if let Some(other) = params.keys().find(|key| !names.contains(key)) {
            return Err(Error::Params {
                transform: other.clone(),
                reason: "there is no such random transform",
            });
        }
        let drawn = |name: String| {
            let reason = "there are none";
            let value = params
                .get(&name)
                .ok_or_else(|| Error::Params { transform: name.clone(), reason })?;
            let reason = "they are not as it draws them";
            serde_json::from_value(value.clone())
                .map_err(|_| Error::Params { transform: name, reason })
        };
        names.into_iter().map(drawn).collect()
    }
}
