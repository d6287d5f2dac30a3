//! A loader without Python: images of a `.npy` file in augmented batches, in a run that is
//! interrupted and resumed.
//!
//! `cargo run --release -p ndlens --example loader -- images.npy` takes images of shape (N, H, W,
//! C), bytes. Without a file it makes one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndlens::loader::{Batch, Config, Field, Loader};
use ndlens::store::{self, MapMode};
use ndlens::transforms::{
    ChannelsFirst, Normalize, RandomCrop, RandomHorizontalFlip, Step, ToDtype,
};
use ndlens::{DType, View};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// Batches of 16 random crops of a file that is mapped, not read.
fn loader_of(path: &Path) -> Result<Loader> {
    let images = store::open(path, MapMode::Read)?;
    let field = Field::new("image", Arc::new(images)).with_transforms(vec![
        RandomCrop::new(32, 32).boxed(),
        RandomHorizontalFlip { p: 0.5 }.boxed(),
        ToDtype { dtype: DType::F32, scale: true }.boxed(),
        Normalize { mean: MEAN.to_vec(), std: STD.to_vec() }.boxed(),
        ChannelsFirst::default().boxed(),
    ]);
    let config =
        Config { batch_size: 16, shuffle: true, seed: 7, num_workers: 2, ..Config::default() };
    Ok(Loader::new(vec![field], config)?)
}

/// The mean of a batch, in place of a step of training.
fn train(batch: &Batch) -> Result<f32> {
    let values = batch.views()[0].to_vec::<f32>()?;
    Ok(values.iter().sum::<f32>() / values.len() as f32)
}

fn run(path: &Path) -> Result<()> {
    let loader = loader_of(path)?;
    println!("{}: {} images in {} batches", path.display(), loader.items(), loader.len());

    let whole = loader.epoch(0)?.map(|batch| train(&batch?)).collect::<Result<Vec<f32>>>()?;

    // A run that stops after half of its batches keeps the state of its loader.
    let half = loader.len() / 2;
    let first = loader
        .start_epoch()?
        .take(half)
        .map(|batch| train(&batch?))
        .collect::<Result<Vec<f32>>>()?;
    let state = loader.state();
    println!("stopped in epoch {} at image {}", state.epoch, state.start);

    // Another process goes on from there with the same batches, to the bit.
    let resumed = loader_of(path)?;
    resumed.load_state(&state)?;
    let rest = resumed.start_epoch()?.map(|batch| train(&batch?)).collect::<Result<Vec<f32>>>()?;
    assert_eq!([first, rest].concat(), whole);

    let mean = whole.iter().sum::<f32>() / whole.len() as f32;
    println!("resumed: the same {} batches, mean {mean:.3}", whole.len());
    Ok(())
}

fn main() -> Result<()> {
    if let Some(path) = std::env::args_os().nth(1) {
        return run(&PathBuf::from(path));
    }
    run_with_a_file_of_its_own()
}

fn run_with_a_file_of_its_own() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("images.npy");
    let pixels = (0..100 * 48 * 48 * 3).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    let images = View::from_vec(pixels.collect::<Vec<u8>>()).reshape(&[100, 48, 48, 3])?;
    store::save_npy(&path, &[images])?;
    run(&path)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> super::Result<()> {
        // The arguments of this process are those of the test runner.
        super::run_with_a_file_of_its_own()
    }
}
