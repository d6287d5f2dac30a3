//! Runs one input of a target: `cargo run -p ndlens-fuzz TARGET FILE`. Without arguments it lists
//! the targets.

use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => {
            for target in ndlens_fuzz::TARGETS {
                println!("{}\t{}\t{}", target.name, target.max_len, target.promise);
            }
            ExitCode::SUCCESS
        }
        [name, files @ ..] if ndlens_fuzz::find(name).is_some() => {
            for file in files {
                match (fs::read(file), ndlens_fuzz::find(name)) {
                    (Ok(bytes), Some(target)) => (target.run)(&bytes),
                    (Err(error), _) => {
                        eprintln!("{file}: {error}");
                        return ExitCode::FAILURE;
                    }
                    (Ok(_), None) => {}
                }
                println!("{file}: every promise is kept");
            }
            ExitCode::SUCCESS
        }
        [name, ..] => {
            eprintln!("there is no target {name:?}; without arguments they are listed");
            ExitCode::FAILURE
        }
    }
}
