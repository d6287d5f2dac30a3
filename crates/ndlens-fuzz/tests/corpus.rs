//! Every input of the corpora, and every one that once failed, on stable Rust without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use ndlens_fuzz::{FuzzTarget, TARGETS};

/// Bytes of all corpora together: they are in git.
const MOST_BYTES: u64 = 200_000;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn inputs(kind: &str, target: &FuzzTarget) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home().join(kind).join(target.name)) else { return vec![] };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn run(kind: &str) {
    for target in TARGETS {
        for path in inputs(kind, target) {
            println!("{}", path.display());
            (target.run)(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn every_promise_is_kept_for_the_corpora() {
    run("corpus");
}

#[test]
fn inputs_that_once_failed_fail_no_more() {
    run("regressions");
}

#[test]
fn every_promise_is_kept_for_random_bytes() {
    // The corpora's inputs with other bytes here and there, and bytes of no input.
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for target in TARGETS {
        let inputs: Vec<_> =
            inputs("corpus", target).iter().map(|path| fs::read(path).unwrap()).collect();
        for _ in 0..200 {
            let mut bytes: Vec<u8> = match random() % 4 {
                0 => (0..random() % target.max_len).map(|_| random() as u8).collect(),
                _ => inputs[random() % inputs.len()].clone(),
            };
            for _ in 0..random() % 4 {
                let (at, byte) = (random() % bytes.len().max(1), random() as u8);
                bytes.get_mut(at).into_iter().for_each(|own| *own = byte);
            }
            println!("{}: {bytes:?}", target.name);
            (target.run)(&bytes);
        }
    }
}

#[test]
fn every_target_has_a_small_corpus_and_every_folder_a_target() {
    let mut total = 0;
    for target in TARGETS {
        let inputs = inputs("corpus", target);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        total += inputs.iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    }
    assert!(total <= MOST_BYTES, "the corpora have {total} bytes");
    for kind in ["corpus", "regressions"] {
        for entry in fs::read_dir(home().join(kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(ndlens_fuzz::find(&name).is_some(), "{kind}/{name}");
        }
    }
}
