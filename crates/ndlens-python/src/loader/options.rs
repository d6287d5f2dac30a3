//! The keywords of `ndlens.Loader` and `ndlens.torch.Dataset`, as `ndlens/_options.py` groups them.
//!
//! ```text
//!  LoaderOptions    fields: FieldOptions     the fields and what is done to each
//!                   order: OrderOptions      which items an epoch has, in which order
//!                   ranks: RankOptions       the processes that share the data
//!                   batches: BatchOptions    how large batches are and who makes them
//!                   output: OutputOptions    what batches are, and in which memory
//!                   mixing: MixingOptions    what is mixed of a whole batch
//!  DatasetOptions   fields: FieldOptions, seed
//! ```
//!
//! A group is any object with an attribute for each of its options. An error names the option.
//!
//! A new keyword is a parameter of `Loader.__init__`, an attribute of a group in `_options.py`, and
//! a field of the same group here.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::lists::{Asked, is_refusal};
use crate::optional::interned;

/// Type that an option's value is extracted as.
trait FromOption<'py>: Sized {
    fn from_option(name: &'static str, value: &Bound<'py, PyAny>) -> PyResult<Self>;
}

/// Any object, which the code for the option extracts.
impl<'py> FromOption<'py> for Bound<'py, PyAny> {
    fn from_option(_name: &'static str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(value.clone())
    }
}

/// None, or a value.
impl<'py, T: FromOption<'py>> FromOption<'py> for Option<T> {
    fn from_option(name: &'static str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        if value.is_none() { Ok(None) } else { T::from_option(name, value).map(Some) }
    }
}

impl<'py> FromOption<'py> for bool {
    fn from_option(name: &'static str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        value.extract().if_taken(value.py())?.ok_or_else(|| {
            PyTypeError::new_err(format!("{name} must be True or False, got {value:?}"))
        })
    }
}

impl<'py> FromOption<'py> for String {
    fn from_option(name: &'static str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        value
            .extract()
            .map_err(|_| PyTypeError::new_err(format!("{name} must be a string, got {value:?}")))
    }
}

/// A number of things, of which there are at least `LEAST`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count<const LEAST: usize>(pub(crate) usize);

impl<'py, const LEAST: usize> FromOption<'py> for Count<LEAST> {
    fn from_option(name: &'static str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        count(name, value, LEAST).map(Count)
    }
}

/// A setting that counts things, of which there are at least `least`.
pub(crate) fn count(name: &'static str, value: &Bound<'_, PyAny>, least: usize) -> PyResult<usize> {
    let number = match value.extract::<isize>() {
        Ok(number) => usize::try_from(number).ok().filter(|&number| number >= least),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            let most = isize::MAX;
            if value.lt(0)? {
                None
            } else {
                return Err(PyValueError::new_err(format!(
                    "{name} must be at most {most}, got {value}"
                )));
            }
        }
        Err(error) if !is_refusal(value.py(), &error) => return Err(error),
        Err(_) => {
            let hint = if name == "batch_size" && value.is_none() {
                "; a Loader always gives batches: with 1, batch[0] is the item"
            } else {
                ""
            };
            return Err(PyTypeError::new_err(format!(
                "{name} must be an integer, got {value:?}{hint}"
            )));
        }
    };
    number.ok_or_else(|| {
        PyValueError::new_err(format!("{name} must be at least {least}, got {value}"))
    })
}

/// The source of all randomness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(pub(crate) u64);

impl<'py> FromOption<'py> for Seed {
    fn from_option(name: &'static str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        value.extract().map(Seed).map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(value.py()) {
                PyValueError::new_err(format!(
                    "{name} must be between 0 and 2**64 - 1, got {value}"
                ))
            } else if is_refusal(value.py(), &error) {
                PyTypeError::new_err(format!("{name} must be an integer, got {value:?}"))
            } else {
                error
            }
        })
    }
}

/// Groups of options: a struct whose fields are read of an object's attributes of the same names.
macro_rules! groups {
    ($($(#[$meta:meta])* struct $group:ident $(<$life:lifetime>)? {
        $($(#[$doc:meta])* $option:ident: $type:ty,)*
    })*) => {$(
        $(#[$meta])*
        pub(crate) struct $group $(<$life>)? {
            $($(#[$doc])* pub(crate) $option: $type,)*
        }

        impl<'py> FromOption<'py> for $group $(<$life>)? {
            fn from_option(_name: &'static str, group: &Bound<'py, PyAny>) -> PyResult<Self> {
                $(let $option = FromOption::from_option(
                    stringify!($option),
                    &group.getattr(interned!(group.py(), stringify!($option)))?,
                )?;)*
                Ok($group { $($option),* })
            }
        }

        impl<'py> FromPyObject<'_, 'py> for $group $(<$life>)? {
            type Error = PyErr;

            fn extract(group: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
                Self::from_option("options", &group)
            }
        }
    )*};
}

groups! {
    /// The fields and what is done to each.
    struct FieldOptions<'py> {
        /// One field, a tuple or a mapping of them.
        fields: Bound<'py, PyAny>,
        /// Lists of transforms, in the structure of the fields.
        transforms: Option<Bound<'py, PyAny>>,
        /// Groups of fields that draw the same.
        joint: Option<Bound<'py, PyAny>>,
        /// The place of the channels of images.
        channels: Option<Bound<'py, PyAny>>,
    }

    /// The items of an epoch, and their order.
    struct OrderOptions<'py> {
        /// Whether each epoch has an order of its own.
        shuffle: bool,
        /// The source of all randomness.
        seed: Seed,
        /// The name of the algorithm that shuffles.
        order: String,
        /// Whether a sampler gives the items.
        sampled: bool,
        /// Probabilities in proportion.
        weights: Option<Bound<'py, PyAny>>,
        /// Whether draws by weights may give an item several times.
        replacement: bool,
        /// Items in an epoch.
        num_samples: Option<Count<1>>,
        /// The items to choose from.
        indices: Option<Bound<'py, PyAny>>,
    }

    /// The processes that share the data.
    struct RankOptions<'py> {
        /// An `ndlens._sampling.Source`: the rank of this process, and the items that its sampler
        /// gives.
        source: Bound<'py, PyAny>,
        /// Treatment of items that the ranks do not divide.
        remainder: String,
    }

    /// Size of batches, and the threads that make them.
    struct BatchOptions {
        /// Items in a batch.
        batch_size: Count<1>,
        /// Whether a last batch of fewer items is left out.
        drop_last: bool,
        /// Threads that make batches.
        num_workers: Count<0>,
        /// Batches made ahead at most.
        prefetch_factor: Count<1>,
        /// Way in which batches are written to memory.
        stores: String,
        /// Whether batches come with the parameters drawn for them.
        return_params: bool,
        /// Treatment of items that cannot be made.
        on_error: String,
    }

    /// Type of the batches, and their memory.
    struct OutputOptions<'py> {
        /// Type of the parts of a batch.
        output: Option<String>,
        /// Whether pinned memory is asked for.
        pin_memory: bool,
        /// The device that batches go to.
        device: Option<Bound<'py, PyAny>>,
        /// A function of `pin_memory` and `device` that gives an
        /// `ndlens.torch._device.Destination`.
        destination: Bound<'py, PyAny>,
    }

    /// Mixing of whole batches.
    struct MixingOptions<'py> {
        /// `MixUp`, `CutMix` or a choice of them.
        mix: Option<Bound<'py, PyAny>>,
        /// The field or fields that hold the images.
        mix_images: Option<Bound<'py, PyAny>>,
        /// The field that holds the labels.
        mix_labels: Option<Bound<'py, PyAny>>,
    }

    /// Options of a loader.
    struct LoaderOptions<'py> {
        fields: FieldOptions<'py>,
        order: OrderOptions<'py>,
        ranks: RankOptions<'py>,
        batches: BatchOptions,
        output: OutputOptions<'py>,
        mixing: MixingOptions<'py>,
    }

    /// Options of an `ndlens.torch.Dataset`.
    struct DatasetOptions<'py> {
        fields: FieldOptions<'py>,
        /// The source of all randomness.
        seed: Seed,
    }
}
