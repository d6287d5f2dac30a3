//! What processes say to each other, as bytes: handles, manifests, dtypes.

use ndlens_core::{DType, room};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A dtype, by its name or its format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DTypeName {
    Named(String),
    Opaque { format: String, itemsize: usize },
}

impl DTypeName {
    pub(crate) fn of(dtype: &DType) -> Self {
        match (dtype, dtype.format()) {
            (DType::Opaque(_), Some(format)) => DTypeName::Opaque {
                format: format.to_string_lossy().into_owned(),
                itemsize: dtype.itemsize(),
            },
            _ => DTypeName::Named(dtype.name().to_owned()),
        }
    }

    pub(crate) fn dtype(&self) -> Result<DType> {
        match self {
            DTypeName::Named(name) => DType::from_name(name).ok_or_else(|| Error::DamagedHandle {
                problem: format!("it has the dtype {name:?}"),
            }),
            DTypeName::Opaque { format, itemsize } => Ok(DType::from_format(format, *itemsize)?),
        }
    }
}

pub(crate) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    // It fails for sequences of unknown length and maps, which nothing here has.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// As [`to_bytes`], of what has an entry for each array.
///
/// # Errors
///
/// [`ndlens_core::Error::OutOfMemory`].
pub(crate) fn try_to_bytes(value: &impl Serialize) -> ndlens_core::Result<Vec<u8>> {
    struct Growing<'a>(&'a mut Vec<u8>, &'a mut ndlens_core::Result<()>);

    impl Flavor for Growing<'_> {
        type Output = ();

        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            *self.1 = room::push(self.0, byte);
            self.1.as_ref().map_err(|_| postcard::Error::SerializeBufferFull)?;
            Ok(())
        }

        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }

    let (mut bytes, mut pushed) = (vec![], Ok(()));
    // Otherwise it fails as `to_bytes` does: never.
    let _ = postcard::serialize_with_flavor(value, Growing(&mut bytes, &mut pushed));
    pushed.map(|()| bytes)
}

pub(crate) fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    let damaged = |problem: String| Error::DamagedHandle { problem };
    let (value, rest) =
        postcard::take_from_bytes(bytes).map_err(|error| damaged(error.to_string()))?;
    if !rest.is_empty() {
        return Err(damaged(format!("{} bytes after its end", rest.len())));
    }
    Ok(value)
}
