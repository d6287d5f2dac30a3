//! Opens a `.npy` file of images, (N, H, W, C) bytes, and says what the first batch of random crops
//! looks like.
//!
//! `cargo run --release -p ndlens --example first_batch -- images.npy 256`

use std::path::Path;
use std::sync::Arc;

use ndlens::DType;
use ndlens::loader::{Config, Field, Loader};
use ndlens::store::{self, MapMode};
use ndlens::transforms::Transform;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, size] = &arguments[..] else {
        return Err("usage: first_batch FILE.npy CROP".into());
    };
    let size = size.parse()?;

    let images = store::open(Path::new(path), MapMode::CopyOnWrite)?;
    println!("{path}: shape {:?}, dtype {}", images.shape(), images.dtype());
    let field = Field::new("image", Arc::new(images)).with_transforms(vec![
        Transform::random_crop(size, size),
        Transform::RandomHorizontalFlip { p: 0.5 },
        Transform::ToDtype { dtype: DType::F32, scale: true },
        Transform::ChannelsFirst,
    ]);
    let loader = Loader::new(
        vec![field],
        Config { batch_size: 8, shuffle: true, num_workers: 2, ..Config::default() },
    )?;

    let Some(batch) = loader.epoch(0)?.next() else { return Err("no batch".into()) };
    let batch = batch?;
    let batch = &batch.views()[0];
    let values = batch.to_vec::<f32>()?;
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    println!("first batch: shape {:?}, dtype {}, mean {mean:.3}", batch.shape(), batch.dtype());
    Ok(())
}
