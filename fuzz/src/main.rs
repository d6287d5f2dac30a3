//! libFuzzer with the targets of `ndlens-fuzz`. The environment variable `NDLENS_FUZZ` names the
//! target; without it the program lists them. `run.py` builds and runs this program.

#![no_main]

use std::sync::OnceLock;
use std::{env, process};

use libfuzzer_sys::fuzz_target;
use ndlens_fuzz::{TARGETS, FuzzTarget};

/// The chosen target. The process ends if there is none.
fn target() -> &'static FuzzTarget {
    static TARGET: OnceLock<&FuzzTarget> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = env::var("NDLENS_FUZZ").unwrap_or_default();
        if name.is_empty() {
            for target in TARGETS {
                println!("{}\t{}", target.name, target.max_len);
            }
            process::exit(0)
        }
        ndlens_fuzz::find(&name).unwrap_or_else(|| {
            eprintln!("there is no target {name:?}");
            process::exit(2)
        })
    })
}

fuzz_target!(
    init: {
        target();
    },
    |data: &[u8]| (target().run)(data)
);
