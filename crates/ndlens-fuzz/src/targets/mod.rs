//! The targets, one in a file.

pub(crate) mod checkpoint;
pub(crate) mod copies;
pub(crate) mod dlpack;
pub(crate) mod exif;
pub(crate) mod formats;
pub(crate) mod handles;
pub(crate) mod index;
pub(crate) mod jpeg;
pub(crate) mod layout;
pub(crate) mod npy;
pub(crate) mod npz;
pub(crate) mod params;
pub(crate) mod png;
pub(crate) mod raw;
pub(crate) mod safetensors;
pub(crate) mod tar;
pub(crate) mod transforms;
pub(crate) mod webp;
