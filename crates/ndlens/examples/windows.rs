//! Windows of time series for a forecast: 96 steps of the past, 24 steps of the future.
//!
//! ```text
//!  steps     0 .......... 95 | 96 .... 119 | 120
//!  item 0    [    past      ] [  future   ]
//!  item 1      [    past      ] [  future   ]
//! ```
//!
//! The series stay where they are: a loader copies each window once, into its place in a batch. No
//! window crosses from one series to the next.
//!
//! `cargo run --release -p ndlens --example windows`

use std::sync::Arc;

use ndlens::loader::{Config, Field, Loader, Source, Span, Windows};
use ndlens::{View, s};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const FEATURES: usize = 3;

/// A series of shape (steps, features): a day of 24 steps, a trend, and a number for each step.
fn series(steps: usize, phase: f32) -> Result<View> {
    let values = (0..steps).flat_map(|step| {
        let hours = step as f32;
        [(hours / 24.0 * std::f32::consts::TAU + phase).sin(), hours * 0.01, hours]
    });
    Ok(View::from_vec(values.collect::<Vec<f32>>())
        .reshape(&[steps as isize, FEATURES as isize])?)
}

fn main() -> Result<()> {
    let meters = vec![series(1000, 0.0)?, series(400, 0.5)?, series(130, 1.0)?];
    let targets = meters
        .iter()
        .map(|meter| meter.index(&[s(..), s(..1)]))
        .collect::<std::result::Result<Vec<View>, _>>()?;

    let span = Span { size: 96, step: 1, gap: 0, horizon: 24 };
    let past = Windows::new(meters, None, span)?;
    // Of the future, the first feature is to be forecast.
    let future = past.following(Some(targets))?;
    println!("{} windows of three series", past.len());
    assert_eq!(past.len(), (1000 - 119) + (400 - 119) + (130 - 119));

    let loader = Loader::new(
        vec![Field::new("past", Arc::new(past)), Field::new("future", Arc::new(future))],
        Config { batch_size: 64, shuffle: true, num_workers: 2, ..Config::default() },
    )?;
    let mut items = 0;
    for batch in loader.epoch(0)? {
        let batch = batch?;
        let [past, future] = batch.views() else { unreachable!("there are two fields") };
        items += past.shape()[0];
        if items == past.shape()[0] {
            println!("first batch: past {:?}, future {:?}", past.shape(), future.shape());
        }
        check(past, future)?;
    }
    assert_eq!(items, loader.items());
    Ok(())
}

/// The future of each window starts at the step after its last one.
fn check(past: &View, future: &View) -> Result<()> {
    assert_eq!(past.shape()[1..], [96, FEATURES]);
    assert_eq!(future.shape()[1..], [24, 1]);
    let last = past.index(&[s(..), s(-1)])?.to_vec::<f32>()?;
    let first = past.index(&[s(..), s(0)])?.to_vec::<f32>()?;
    for (first, last) in first.chunks(FEATURES).zip(last.chunks(FEATURES)) {
        assert!((last[2] - first[2] - 95.0).abs() < 1e-3);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> super::Result<()> {
        super::main()
    }
}
