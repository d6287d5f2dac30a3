//! The rate at which this machine's memory takes batches that cost nothing to make: the limit of
//! every loader.
//!
//! Each thread writes its part of one batch after another, past the cache, as the loader's kernels
//! do; what it writes comes from one row that stays in the first-level cache. The batches are in
//! huge pages if the system gives them, as those of the loader, and are used in turn. Prints bytes
//! a second.
//!
//! The row has no zeros: some processors write lines of zeros several times as fast.
//!
//! ```text
//! cargo bench -p ndlens-kernels --bench memory_limit -- THREADS SLABS BATCH_BYTES SECONDS
//! ```

use std::thread;
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapMut};
use ndlens_core::View;
use ndlens_kernels::{Stores, Take};

/// Bytes of a piece of work between two looks at the clock: a few rows, as in a loader.
const ROW_BYTES: usize = 4096;
const ROWS: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    // `cargo bench` adds an argument of its own.
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut arguments: Vec<String> = arguments.collect();
    if arguments.is_empty() {
        arguments = ["1", "8", "6291456", "1"].map(str::to_owned).to_vec();
    }
    let [threads, slabs, batch_bytes, seconds] = &arguments[..] else {
        return Err("usage: memory_limit THREADS SLABS BATCH_BYTES SECONDS".into());
    };
    let (threads, slabs, batch_bytes): (usize, usize, usize) =
        (threads.parse()?, slabs.parse()?, batch_bytes.parse()?);
    let patience = Duration::from_secs_f64(seconds.parse()?);
    let piece_bytes = ROWS * ROW_BYTES;
    if threads == 0 || slabs == 0 || batch_bytes < threads * piece_bytes {
        return Err(
            format!("expected a slab, a thread and {piece_bytes} bytes for each thread").into()
        );
    }

    let row = (0..ROW_BYTES).map(|i| (i % 255) as u8 + 1).collect();
    let take = Take::new(&View::from_vec::<u8>(row).reshape(&[1, ROW_BYTES as isize])?)
        .ok_or("no rows")?;
    let mut maps = (0..slabs).map(|_| map(batch_bytes)).collect::<Result<Vec<_>, _>>()?;
    let part_bytes = batch_bytes / threads / piece_bytes * piece_bytes;
    let mut parts: Vec<Vec<&mut [u8]>> = (0..threads).map(|_| vec![]).collect();
    for map in &mut maps {
        let start = map.as_ptr().align_offset(HUGE_PAGE);
        for (part, parts) in
            map[start..start + batch_bytes].chunks_exact_mut(part_bytes).zip(&mut parts)
        {
            part.fill(1);
            parts.push(part);
        }
    }

    let start = Instant::now();
    let write = |mut parts: Vec<&mut [u8]>| -> Result<usize, Failure> {
        let mut written = 0;
        loop {
            for part in &mut parts {
                for piece in part.chunks_exact_mut(piece_bytes) {
                    take.rows(&[0; ROWS], piece, Stores::Stream)?;
                    written += piece.len();
                    if start.elapsed() >= patience {
                        return Ok(written);
                    }
                }
            }
        }
    };
    let written: usize = thread::scope(|scope| {
        let writers: Vec<_> = parts.into_iter().map(|parts| scope.spawn(|| write(parts))).collect();
        writers
            .into_iter()
            .map(|writer| writer.join().map_err(|_| "a thread panicked")?)
            .sum::<Result<_, _>>()
    })?;
    println!("{}", written as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

/// Memory for a batch that starts at a huge page.
fn map(batch_bytes: usize) -> std::io::Result<MmapMut> {
    let map = MmapMut::map_anon(batch_bytes + HUGE_PAGE)?;
    #[cfg(target_os = "linux")]
    map.advise(Advice::HugePage)?;
    Ok(map)
}
