//! Refuses platforms that the crate does not know, in words, before anything is compiled.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    let (system, vendor) = (variable("CARGO_CFG_TARGET_OS"), variable("CARGO_CFG_TARGET_VENDOR"));
    if system != "linux" && vendor != "apple" {
        println!(
            "cargo::error=ndlens-store, and what is built on it, needs Linux or macOS, and this \
             build is for {system}: ndlens-core, ndlens-kernels, ndlens-codecs and \
             ndlens-transforms build for every target"
        );
    }
}
