//! The speed of crops that become numbers: a 256x256x3 crop, or of another size, of a 512x512x3
//! `uint8` image, HWC to CHW, times 1/255 and, on request, normalised, as `float32` or a float of
//! half its width, or as another integer; out of an array larger than the cache into a ring of
//! eight batch buffers of 32, on one thread.
//!
//! `scalar` is the reference: a look-up in a table of 256 results for each channel. Each
//! instruction set runs in a process of its own, since `NDLENS_ISA` is read once. `float32` crops
//! are checked against a simple loop, all others against the same steps on one element at a
//! time, before anything is timed. Figures are medians of five windows of the time that the thread
//! ran (Linux's schedstat), so that a busy machine shows little in them.
//!
//! ```text
//! cargo bench -p ndlens-kernels --bench crop_speed [-- 224]
//! ```

use std::process::Command;
use std::time::{Duration, Instant};

use ndlens_core::{DType, Layout, Order, View, ViewRef, s};
use ndlens_kernels::{Isa, MapStep, Stores, ValueMap};

const IMAGES: usize = 1000;
const SIZE: usize = 512;
const BATCH: usize = 32;
const RING: usize = 8;
const WINDOW: Duration = Duration::from_millis(400);
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // `cargo bench` adds an argument of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some("one") {
        return measure(arguments.next().ok_or("no size")?.parse()?);
    }
    let size = first.unwrap_or_else(|| "256".to_owned());
    println!("{:<8} {:<26} {:<8} {:>9}", "isa", "values", "stores", "img/s");
    for isa in Isa::ALL.iter().map(|isa| isa.name()) {
        let status = Command::new(std::env::current_exe()?)
            .args(["one", &size])
            .env("NDLENS_ISA", isa)
            .status()?;
        if !status.success() {
            return Err(format!("{isa}: {status}").into());
        }
    }
    Ok(())
}

fn measure(size: usize) -> Result<(), Failure> {
    let isa = std::env::var("NDLENS_ISA")?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words = (0..IMAGES * SIZE * SIZE * 3 / 8).map(|_| random.next()).collect();
    let bytes = View::from_vec::<u64>(words);
    let dtype = DType::U8;
    let images = View::new(
        bytes.buffer().clone(),
        Layout::contiguous(&[IMAGES, SIZE, SIZE, 3], 1, Order::C)?,
        dtype,
    )?;
    let images = images.as_ref();
    let to = |dtype, scale| MapStep::ToDtype { dtype, scale };
    let normalize = MapStep::Normalize { mean: MEAN.to_vec(), std: STD.to_vec() };
    let cases = [
        ("float32", vec![to(DType::F32, true)]),
        ("float32 normalised", vec![to(DType::F32, true), normalize.clone()]),
        ("float16", vec![to(DType::F16, true)]),
        ("float16 normalised", vec![to(DType::F16, true), normalize.clone()]),
        (
            "float32 normalised float16",
            vec![to(DType::F32, true), normalize.clone(), to(DType::F16, false)],
        ),
        ("bfloat16", vec![to(DType::Bf16, true)]),
        ("bfloat16 normalised", vec![to(DType::Bf16, true), normalize.clone()]),
        (
            "float32 normalised bfloat16",
            vec![to(DType::F32, true), normalize.clone(), to(DType::Bf16, false)],
        ),
        ("int16", vec![to(DType::I16, true)]),
        ("int8", vec![to(DType::I8, true)]),
    ];
    for (name, steps) in cases {
        let map = ValueMap::new(&DType::U8, 3, &steps)?;
        check(&map, &images, size, &steps, &mut random)?;
        for stores in [Stores::Cached, Stores::Stream] {
            let rate = median_rate(&map, &images, size, stores, &mut random)?;
            println!("{isa:<8} {name:<26} {:<8} {rate:>9.0}", format!("{stores:?}"));
        }
    }
    Ok(())
}

/// A random crop, mirrored every other time, as (C, H, W).
fn crop<'a>(
    images: &ViewRef<'a>,
    size: usize,
    random: &mut Random,
) -> Result<ViewRef<'a>, Failure> {
    let below = |random: &mut Random, n: usize| (random.next() % n as u64) as isize;
    let (image, y, x) =
        (below(random, IMAGES), below(random, SIZE - size + 1), below(random, SIZE - size + 1));
    let crop = images.index(&[s(image), s(y..y + size as isize), s(x..x + size as isize)])?;
    let crop = if random.next().is_multiple_of(2) { crop } else { crop.flip(&[1])? };
    Ok(crop.permute(&[2, 0, 1])?)
}

/// Compares crops with the map of each element by itself, and `float32` with a simple loop.
fn check(
    map: &ValueMap,
    images: &ViewRef<'_>,
    crop_size: usize,
    steps: &[MapStep],
    random: &mut Random,
) -> Result<(), Failure> {
    /// A stride that no vector body supports, so that a table or a block computes the elements.
    const APART: usize = 8;
    let size = map.dtype().itemsize();
    let every_byte = View::from_vec((0u8..=255).flat_map(|byte| [byte; 3 * APART]).collect());
    let every_byte = every_byte.reshape(&[256, 3, APART as isize])?;
    let mut known = vec![0; 256 * 3 * size];
    for (byte, known) in (0isize..).zip(known.chunks_exact_mut(3 * size)) {
        let pixel = every_byte.index(&[s(byte), s(..), s(0)])?;
        map.apply(&pixel.as_ref(), Some(0), known, Stores::Cached)?;
    }
    let mut got = vec![0; crop_size * crop_size * 3 * size];
    let mut bytes = vec![0; crop_size * crop_size * 3];
    for stores in [Stores::Cached, Stores::Stream] {
        for _ in 0..8 {
            let crop = crop(images, crop_size, random)?;
            map.apply(&crop, Some(0), &mut got, stores)?;
            crop.read_into(&mut bytes)?;
            for (i, (&byte, got)) in bytes.iter().zip(got.chunks_exact(size)).enumerate() {
                let channel = i / (crop_size * crop_size);
                let expected = &known[(usize::from(byte) * 3 + channel) * size..][..size];
                let scaled = f32::from(byte) * (1.0f64 / 255.0) as f32;
                let single = if steps.len() > 1 {
                    (scaled - MEAN[channel] as f32) / STD[channel] as f32
                } else {
                    scaled
                };
                if expected != got || *map.dtype() == DType::F32 && got != single.to_le_bytes() {
                    return Err(format!("element {i}: got {got:?}, expected {expected:?}").into());
                }
            }
        }
    }
    Ok(())
}

fn median_rate(
    map: &ValueMap,
    images: &ViewRef<'_>,
    size: usize,
    stores: Stores,
    random: &mut Random,
) -> Result<f64, Failure> {
    let item = size * size * 3 * map.dtype().itemsize();
    // A batch starts at a cache line, as the loader's do.
    let mut ring: Vec<Vec<u8>> = (0..RING).map(|_| vec![1; BATCH * item + 64]).collect();
    let mut rates = Vec::new();
    for window in 0..6 {
        let (start, ran, mut done) = (Instant::now(), time_run()?, 0usize);
        while start.elapsed() < WINDOW {
            let batch = &mut ring[(done / BATCH) % RING];
            let aligned = batch.as_ptr().align_offset(ndlens_core::ALIGNMENT);
            for slot in batch[aligned..][..BATCH * item].chunks_exact_mut(item) {
                map.apply(&crop(images, size, random)?, Some(0), slot, stores)?;
            }
            done += BATCH;
        }
        // The first window warms up.
        if window > 0 {
            rates.push(done as f64 / (time_run()? - ran) * 1e9);
        }
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}

/// Nanoseconds that this thread has run.
fn time_run() -> Result<f64, Failure> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(line.split(' ').next().ok_or("no schedstat")?.parse()?)
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
