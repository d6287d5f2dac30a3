//! Messages between processes as bytes: handles, manifests, dtypes.

use std::fmt;
use std::marker::PhantomData;

use ndlens_core::{DType, room};
use postcard::ser_flavors::Flavor;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
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

/// A list with an entry for each array. If there is no memory to read it, it holds that error:
/// serde's own lists end the process then, and serde's errors cannot carry the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List<T>(ndlens_core::Result<Vec<T>>);

impl<T> List<T> {
    pub(crate) fn new(list: Vec<T>) -> Self {
        List(Ok(list))
    }

    /// # Errors
    ///
    /// [`ndlens_core::Error::OutOfMemory`] if there is no memory for the list.
    pub(crate) fn into_vec(self) -> ndlens_core::Result<Vec<T>> {
        self.0
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A list that failed is never sent.
        self.0.as_deref().unwrap_or_default().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sequence<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Sequence<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List<T>, A::Error> {
                let mut list = Ok(vec![]);
                // Also after a failure, since other values follow the list.
                while let Some(element) = sequence.next_element()? {
                    list = list.and_then(|mut list| {
                        room::push(&mut list, element)?;
                        Ok(list)
                    });
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_seq(Sequence(PhantomData))
    }
}

/// A value as bytes to send. Values with an entry for each array use [`try_to_bytes`].
pub(crate) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    // It fails for maps and for sequences of unknown length, which no value here has.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// As [`to_bytes`], for values with an entry for each array.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_memory_says_so_and_leaves_what_follows_it() {
        let failed = List::<u8>(Err(ndlens_core::Error::OutOfMemory { len_bytes: 3 }));
        assert_eq!(failed.into_vec(), Err(ndlens_core::Error::OutOfMemory { len_bytes: 3 }));
        let names = ["a", "", "b"].map(str::to_owned).to_vec();
        let bytes = try_to_bytes(&(List::new(names.clone()), 7u64)).unwrap();
        assert_eq!(bytes, to_bytes(&(&names, 7u64)));
        let (list, after): (List<String>, u64) = from_bytes(&bytes).unwrap();
        assert_eq!((list.into_vec().unwrap(), after), (names, 7));
    }
}
