//! What must hold for hostile input, as functions of bytes.
//!
//! A fuzzer makes bytes, runs a function on them, and keeps those that reach new code. Each
//! [`FuzzTarget`] is such a function. It makes a request of the bytes (a file, a chain of indices,
//! a DLPack tensor, a list of transforms), gives it to ndlens, and asserts what ndlens promises:
//!
//! - no panic: every failure is a typed error, which names the file if there is one;
//! - the result is that of a slow, obvious oracle;
//! - no element is outside its memory;
//! - the memory that a hostile input claims is bounded by the input's own size.
//!
//! ```text
//!  fuzz/src/main.rs     libFuzzer, with AddressSanitizer      make fuzz SECONDS=20
//!  tests/corpus.rs      corpus and regressions, no fuzzer     cargo test -p ndlens-fuzz
//!  src/main.rs          one input                             cargo run -p ndlens-fuzz TARGET FILE
//!        \__________________|__________________/
//!                       TARGETS
//! ```
//!
//! A new target is a file in `targets/` and its line in [`TARGETS`]. Its corpus is in
//! `fuzz/corpus/<name>/`. Inputs that once failed are in `fuzz/regressions/<name>/`.

mod files;
mod grid;
mod images;
mod memory;
mod numbers;
mod target;
mod targets;

pub use crate::target::FuzzTarget;
use crate::targets::{
    checkpoint, copies, dlpack, exif, formats, handles, index, jpeg, layout, npy, npz, params, png,
    raw, safetensors, tar, transforms, webp,
};

/// All targets.
pub const TARGETS: &[FuzzTarget] = &[
    npy::TARGET,
    npz::TARGET,
    safetensors::TARGET,
    tar::TARGET,
    checkpoint::TARGET,
    raw::TARGET,
    handles::TARGET,
    index::TARGET,
    layout::TARGET,
    copies::TARGET,
    dlpack::TARGET,
    formats::TARGET,
    transforms::TARGET,
    params::TARGET,
    jpeg::TARGET,
    png::TARGET,
    webp::TARGET,
    exif::TARGET,
];

/// The target of a name.
pub fn find(name: &str) -> Option<&'static FuzzTarget> {
    TARGETS.iter().find(|target| target.name == name)
}
