//! Transforms done again with parameters that were drawn before.

use std::fmt;

use ndlens_core::{Buffer, View, room};
use ndlens_kernels::Stores;
use serde::Deserializer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::loader::Field;
use crate::room::with_room_for;
use crate::scratch::Scratch;
use crate::transform::Program;

/// The parts of a JSON array of objects, as text: what is made of one is dropped before the next is
/// read.
fn parts_of(text: &str) -> Result<Vec<&RawValue>> {
    struct Parts;

    impl<'de> Visitor<'de> for Parts {
        type Value = ndlens_core::Result<Vec<&'de RawValue>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
            let mut list = vec![];
            while let Some(part) = parts.next_element()? {
                if let Err(error) = room::push(&mut list, part) {
                    // The rest is read all the same, since a parser that stops says that the text
                    // is wrong.
                    while parts.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Err(error));
                }
            }
            Ok(Ok(list))
        }
    }

    let mut json = serde_json::Deserializer::from_str(text);
    let parts = json.deserialize_seq(Parts).and_then(|parts| json.end().map(|()| parts));
    Ok(parts.map_err(|error| Error::ParamsText { message: error.to_string() })??)
}

/// One of them, read.
fn object_of(text: &RawValue) -> Result<Map<String, Value>> {
    serde_json::from_str(text.get())
        .map_err(|error| Error::ParamsText { message: error.to_string() })
}

/// Makes all items of a field, in turn, with the parameters of one JSON array of
/// [`params_to_json`](Program::params_to_json)'s objects.
///
/// # Errors
///
/// [`Error::ParamsLength`], [`Error::Params`]; [`Error::NoItems`]; [`Error::Item`]; what
/// [`Program::compile`] says.
pub fn replay(field: &Field, params: &str) -> Result<View> {
    let (name, source) = (field.name(), field.source());
    let Some(shape) = source.item_shape() else {
        return Err(Error::NoItems { field: name.to_owned() });
    };
    let program = Program::compile(field.transforms(), shape, source.dtype())?;
    let params = parts_of(params)?;
    if params.len() != source.len() {
        return Err(Error::ParamsLength { got: params.len(), items: source.len() });
    }
    let layout = program.batch_layout(params.len())?;
    let len_bytes = layout.len() * program.dtype().itemsize();
    let mut bytes = with_room_for::<u8>(len_bytes)?;
    bytes.resize(len_bytes, 0);
    let mut scratch = Scratch::default();
    let rows = bytes.chunks_mut(program.nbytes().max(1));
    for (item, (text, row)) in params.iter().zip(rows).enumerate() {
        let made = object_of(text).and_then(|params| program.params_from_json(&params)).and_then(
            |drawn| {
                let image = source.item(item)?;
                program.run(image, &drawn, row, Stores::Cached, &mut scratch)
            },
        );
        made.map_err(|error| Error::Item {
            field: name.to_owned(),
            item,
            source: Box::new(error),
        })?;
    }
    Ok(View::new(Buffer::from_vec(bytes), layout, program.dtype().clone())?)
}
