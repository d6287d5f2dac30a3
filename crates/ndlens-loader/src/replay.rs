//! Transforms applied again with parameters that were drawn before.

use ndlens_core::room::with_room_for;
use ndlens_core::{Buffer, View};
use ndlens_kernels::Stores;
use ndlens_transforms::{LazyImage, Pipeline, Scratch, split_params};

use crate::error::{Error, Result};
use crate::field::Field;
use crate::source::encoded_item;

/// Makes all items of a field, in turn, with the parameters of one JSON array of
/// [`params_to_json`](Pipeline::params_to_json)'s objects.
///
/// # Errors
///
/// [`Error::ParamsLength`]; [`Error::Transforms`] for parameters of other transforms;
/// [`Error::NoItems`]; [`Error::Item`]; the errors of [`Pipeline::compile`].
pub fn replay(field: &Field, params: &str) -> Result<View> {
    let (name, source) = (field.name(), field.source());
    let Some(shape) = source.item_shape() else {
        return Err(Error::NoItems { field: name.to_owned() });
    };
    let pipeline = Pipeline::compile(field.transforms(), shape, source.dtype())?;
    let params = split_params(params)?;
    if params.len() != source.len() {
        return Err(Error::ParamsLength { got: params.len(), items: source.len() });
    }
    let layout = pipeline.batch_layout(params.len())?;
    let len_bytes = layout.len() * pipeline.dtype().itemsize();
    let mut bytes = with_room_for::<u8>(len_bytes)?;
    bytes.resize(len_bytes, 0);
    let mut scratch = Scratch::default();
    let rows = bytes.chunks_mut(pipeline.nbytes().max(1));
    for (item, (text, row)) in params.iter().zip(rows).enumerate() {
        let made = pipeline.params_from_text(text).map_err(Error::from).and_then(|drawn| {
            if let Some((images, index)) = encoded_item(source, item) {
                let run = |image: &mut dyn LazyImage| {
                    Ok(pipeline.run_lazy(image, &drawn, row, Stores::Cached, &mut scratch)?)
                };
                return images.with_image(index, run);
            }
            let image = source.item(item)?;
            Ok(pipeline.run(image, &drawn, row, Stores::Cached, &mut scratch)?)
        });
        made.map_err(|error| Error::Item {
            field: name.to_owned(),
            item,
            source: Box::new(error),
        })?;
    }
    Ok(View::new(Buffer::from_vec(bytes), layout, pipeline.dtype().clone())?)
}
