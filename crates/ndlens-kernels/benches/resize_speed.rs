//! The speed of random resized crops: boxes of 8 to 100 % of the area and 3/4 to 4/3 in shape
//! out of 512x512x3 `uint8` images, to 224x224 by an antialiased bilinear filter, mirrored every
//! other time, times 1/255, normalised, as planes of `float32`; out of an array larger than the
//! cache into a ring of eight batch buffers of 32, on one thread.
//!
//! Beside it, in the same run and on the same boxes, runs `fast_image_resize`, which does the crop
//! and the resize alone: no flip, no floats, and its result stays in the cache. Then the same of 64
//! images of `float32`, whole, normalised. Each instruction set runs in a process of its own, since
//! `NDLENS_ISA` is read once. All instruction sets must agree before anything is timed. Figures are
//! medians of five windows, of the time that the thread ran (Linux's schedstat), so that a busy
//! machine shows little in them.
//!
//! ```text
//! cargo bench -p ndlens-kernels --bench resize_speed
//! ```

use std::fmt::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use fast_image_resize as fir;
use ndlens_core::{DType, Layout, Order, View, ViewRef, s};
use ndlens_kernels::{
    Filter, Interpolation, Isa, MapStep, ResizeOutput, ResizeScratch, ResizeWindow, Resizer,
    Stores, ValueMap,
};

const IMAGES: usize = 500;
const SIZE: usize = 512;
const OUT: usize = 224;
const ITEM: usize = OUT * OUT * 3 * 4;
const BATCH: usize = 32;
const RING: usize = 8;
const WINDOW: Duration = Duration::from_millis(400);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    if std::env::args().nth(1).as_deref() == Some("one") {
        return measure();
    }
    println!("{:<18} {:<9} {:<9} {:>7} {:>9}", "who", "isa", "filter", "img/s", "us/img");
    let mut checks = Vec::new();
    for isa in Isa::ALL.iter().map(|isa| isa.name()) {
        let output =
            Command::new(std::env::current_exe()?).arg("one").env("NDLENS_ISA", isa).output()?;
        let text = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(format!("{isa}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let (check, table) = text.split_once('\n').ok_or("no output")?;
        checks.push(check.to_owned());
        print!("{table}");
    }
    if checks.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(format!("instruction sets disagree: {checks:?}").into());
    }
    Ok(())
}

/// A box of an image, and whether it is mirrored.
#[derive(Clone, Copy)]
struct Crop {
    image: usize,
    top: usize,
    left: usize,
    height: usize,
    width: usize,
    flip: bool,
}

fn measure() -> Result<(), Failure> {
    let isa = std::env::var("NDLENS_ISA")?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words: Vec<u64> = (0..IMAGES * SIZE * SIZE * 3 / 8).map(|_| random.next()).collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let view = View::from_vec(words);
    let layout = Layout::contiguous(&[IMAGES, SIZE, SIZE, 3], 1, Order::C)?;
    let images = View::new(view.buffer().clone(), layout, DType::U8)?;
    let images = images.as_ref();
    let steps = [
        MapStep::ToDtype { dtype: DType::F32, scale: true },
        MapStep::Normalize { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] },
    ];
    let map = ValueMap::new(&DType::U8, 3, &steps)?;
    let filters = [
        ("bilinear", Interpolation::Bilinear, true),
        ("no alias", Interpolation::Bilinear, false),
        ("bicubic", Interpolation::Bicubic, true),
        ("nearest", Interpolation::Nearest, false),
    ];
    let mut rows = String::new();
    let mut check = 0u64;
    for (name, interpolation, antialias) in filters {
        let resize = Resizer::new(OUT, OUT, 3, &DType::U8, Filter { interpolation, antialias })?;
        let mut scratch = ResizeScratch::default();
        let mut one = |at: Crop, dst: &mut [u8], stores| -> Result<(), Failure> {
            let window = ResizeWindow { flip_horizontal: at.flip, ..resize.whole() };
            let output = ResizeOutput { window, map: &map, channels_first: true, stores };
            Ok(resize.apply(&crop(&images, at)?, &output, dst, &mut scratch)?)
        };
        let mut same = Random(1);
        let mut got = vec![0; ITEM];
        for _ in 0..8 {
            one(next_box(&mut same), &mut got, Stores::Cached)?;
            check = fold(check, &got);
        }
        let rate = median_rate(&mut random, |at, slot| one(at, slot, Stores::Stream))?;
        writeln!(rows, "{:<18} {isa:<9} {name:<9} {rate:>7.0} {:>9.1}", "ndlens", 1e6 / rate)?;
        if let Some(theirs) = their_filter(interpolation, antialias) {
            let mut resizer = fir::Resizer::new();
            let mut out = fir::images::Image::new(OUT as u32, OUT as u32, fir::PixelType::U8x3);
            let options = fir::ResizeOptions::new().resize_alg(theirs);
            let rate = median_rate(&mut random, |at, _| {
                let image = &bytes[at.image * SIZE * SIZE * 3..][..SIZE * SIZE * 3];
                let image = fir::images::ImageRef::new(
                    SIZE as u32,
                    SIZE as u32,
                    image,
                    fir::PixelType::U8x3,
                )?;
                let options =
                    options.crop(at.left as f64, at.top as f64, at.width as f64, at.height as f64);
                Ok(resizer.resize(&image, &mut out, &options)?)
            })?;
            writeln!(
                rows,
                "{:<18} {isa:<9} {name:<9} {rate:>7.0} {:>9.1}",
                "fast_image_resize",
                1e6 / rate
            )?;
        }
    }
    check = measure_floats(&isa, check, &mut rows)?;
    print!("{check}\n{rows}");
    Ok(())
}

/// Whole images of `float32`, antialiased.
fn measure_floats(isa: &str, mut check: u64, rows: &mut String) -> Result<u64, Failure> {
    const FLOATS: usize = 64;
    let mut random = Random(3);
    let floats: Vec<f32> = (0..FLOATS * SIZE * SIZE * 3).map(|_| random.unit() as f32).collect();
    let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    let images =
        View::from_vec(floats).reshape(&[FLOATS as isize, SIZE as isize, SIZE as isize, 3])?;
    let images = images.as_ref();
    let steps =
        [MapStep::Normalize { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }];
    let map = ValueMap::new(&DType::F32, 3, &steps)?;
    let filters = [("bilinear", Interpolation::Bilinear), ("bicubic", Interpolation::Bicubic)];
    for (name, interpolation) in filters {
        let resize =
            Resizer::new(OUT, OUT, 3, &DType::F32, Filter { interpolation, antialias: true })?;
        let mut scratch = ResizeScratch::default();
        let mut one = |at: Crop, dst: &mut [u8], stores| -> Result<(), Failure> {
            let window = ResizeWindow { flip_horizontal: at.flip, ..resize.whole() };
            let output = ResizeOutput { window, map: &map, channels_first: true, stores };
            let image = images.index(&[s((at.image % FLOATS) as isize)])?;
            Ok(resize.apply(&image, &output, dst, &mut scratch)?)
        };
        let mut got = vec![0; ITEM];
        one(next_box(&mut Random(1)), &mut got, Stores::Cached)?;
        check = fold(check, &got);
        let rate = median_rate(&mut random, |at, slot| one(at, slot, Stores::Stream))?;
        writeln!(
            rows,
            "{:<18} {isa:<9} {:<9} {rate:>7.0} {:>9.1}",
            "ndlens float32",
            name,
            1e6 / rate
        )?;
        let Some(theirs) = their_filter(interpolation, true) else { continue };
        let mut resizer = fir::Resizer::new();
        let mut out = fir::images::Image::new(OUT as u32, OUT as u32, fir::PixelType::F32x3);
        let options = fir::ResizeOptions::new().resize_alg(theirs);
        let rate = median_rate(&mut random, |at, _| {
            let image = &bytes[at.image % FLOATS * SIZE * SIZE * 12..][..SIZE * SIZE * 12];
            let image =
                fir::images::ImageRef::new(SIZE as u32, SIZE as u32, image, fir::PixelType::F32x3)?;
            Ok(resizer.resize(&image, &mut out, &options)?)
        })?;
        writeln!(rows, "{:<18} {isa:<9} {name:<9} {rate:>7.0} {:>9.1}", "fir float32", 1e6 / rate)?;
    }
    Ok(check)
}

/// FNV-1a.
fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn their_filter(interpolation: Interpolation, antialias: bool) -> Option<fir::ResizeAlg> {
    match (interpolation, antialias) {
        (Interpolation::Bilinear, true) => {
            Some(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear))
        }
        (Interpolation::Bicubic, true) => {
            Some(fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom))
        }
        (Interpolation::Nearest, _) => Some(fir::ResizeAlg::Nearest),
        _ => None,
    }
}

/// A box as torchvision's `RandomResizedCrop` draws it.
fn next_box(random: &mut Random) -> Crop {
    loop {
        let area = (SIZE * SIZE) as f64 * (0.08 + 0.92 * random.unit());
        let ratio = ((0.75f64).ln() * (1.0 - 2.0 * random.unit())).exp();
        let (width, height) =
            ((area * ratio).sqrt().round() as usize, (area / ratio).sqrt().round() as usize);
        if (1..=SIZE).contains(&width) && (1..=SIZE).contains(&height) {
            let mut below = |n: usize| (random.next() % n as u64) as usize;
            let (top, left) = (below(SIZE - height + 1), below(SIZE - width + 1));
            return Crop { image: below(IMAGES), top, left, height, width, flip: below(2) == 1 };
        }
    }
}

fn crop<'a>(images: &ViewRef<'a>, at: Crop) -> Result<ViewRef<'a>, Failure> {
    let range = |start: usize, len: usize| s(start as isize..(start + len) as isize);
    Ok(images.index(&[s(at.image as isize), range(at.top, at.height), range(at.left, at.width)])?)
}

fn median_rate(
    random: &mut Random,
    mut one: impl FnMut(Crop, &mut [u8]) -> Result<(), Failure>,
) -> Result<f64, Failure> {
    // A batch starts at a cache line, as the loader's do.
    let mut ring: Vec<Vec<u8>> = (0..RING).map(|_| vec![1; BATCH * ITEM + 64]).collect();
    let mut rates = Vec::new();
    for window in 0..6 {
        let (clock, start, mut done) = (Instant::now(), time_run()?, 0usize);
        while clock.elapsed() < WINDOW {
            let batch = &mut ring[(done / BATCH) % RING];
            let aligned = batch.as_ptr().align_offset(ndlens_core::ALIGNMENT);
            for slot in batch[aligned..][..BATCH * ITEM].chunks_exact_mut(ITEM) {
                one(next_box(random), slot)?;
            }
            done += BATCH;
        }
        // The first window warms up.
        if window > 0 {
            rates.push(done as f64 * 1e9 / (time_run()? - start));
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

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
