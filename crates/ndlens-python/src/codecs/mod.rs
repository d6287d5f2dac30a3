//! Encoded images.
//!
//! | file | contents |
//! |---|---|
//! | `source.rs` | encoded bytes, extracted: of a file, or of an object in memory |
//! | `decode.rs` | `nl.decode_image`, the compiled half of `nl.image_info` |

pub(crate) mod decode;
mod source;
