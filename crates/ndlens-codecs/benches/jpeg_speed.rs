//! The speed of decoding JPEG photographs to RGB on one thread, bytes in memory: whole images, at
//! 1/2, regions as torchvision's `RandomResizedCrop` draws them (8 to 100 % of the area, 3/4 to 4/3
//! in shape), and luma alone.
//!
//! Beside it, in the same run and on the same photographs, runs `zune-jpeg`, which decodes whole
//! images alone. Each instruction set runs in a process of its own, since `NDLENS_ISA` is read
//! once. All instruction sets must agree, and the two decoders nearly, before anything is timed.
//! Figures are the best of seven rounds over all photographs, in turns, of the time that the thread
//! ran (Linux's schedstat), so that a busy machine shows little in them.
//!
//! ```text
//! cargo bench -p ndlens-codecs --bench jpeg_speed -- FOLDER_OF_JPEGS
//! ```

use std::process::Command;

use ndlens_codecs::{DecodeRegion, DecodeScratch, ImageMut, Limits, Mode, Scale, open};
use ndlens_kernels::Isa;
use zune_jpeg::zune_core::bytestream::ZCursor;

const ROUNDS: usize = 7;
/// Between pixels of two decoders whose inverse DCT and upsampling round differently: the mean of
/// the differences of an image.
const TOLERANCE: f64 = 1.0;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments[..] {
        [folder] => run_all(folder),
        [folder, one] if one == "one" => measure(folder),
        _ => Err("usage: cargo bench -p ndlens-codecs --bench jpeg_speed -- FOLDER".into()),
    }
}

fn run_all(folder: &str) -> Result<(), Failure> {
    println!("{:<10} {:<9} {:>8} {:>9} {:>10}", "what", "isa", "img/s", "us/img", "x zune");
    let mut checks = Vec::new();
    for isa in Isa::ALL.iter().map(|isa| isa.name()) {
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.args([folder, "one"]).env("NDLENS_ISA", isa).output()?;
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

/// What is decoded of each photograph.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Whole,
    Half,
    Crop,
    Luma,
    Zune,
}

fn measure(folder: &str) -> Result<(), Failure> {
    let isa = std::env::var("NDLENS_ISA")?;
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let photographs: Vec<Vec<u8>> = files.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let mut decoding = Decoding::default();
    let mut check = 0;
    for photograph in &photographs {
        let theirs = zune(photograph)?;
        decoding.decode(photograph, What::Whole)?;
        let ours = &decoding.pixels[..theirs.len()];
        let sum: u64 = ours.iter().zip(&theirs).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / theirs.len() as f64;
        if mean > TOLERANCE {
            return Err(format!("the decoders differ by {mean} in the mean").into());
        }
        check = fold(check, ours);
    }
    println!("{check}");
    let cases = [
        ("zune-jpeg", What::Zune),
        ("whole", What::Whole),
        ("half", What::Half),
        ("crop", What::Crop),
        ("luma", What::Luma),
    ];
    let mut best = [f64::INFINITY; 5];
    for _ in 0..ROUNDS {
        for (best, (_, what)) in best.iter_mut().zip(cases) {
            decoding.random = Random(1);
            let start = time_run()?;
            for photograph in &photographs {
                decoding.decode(photograph, what)?;
            }
            *best = best.min((time_run()? - start) / photographs.len() as f64);
        }
    }
    for (time, (name, _)) in best.iter().zip(cases) {
        let (rate, micros, ratio) = (1e9 / time, time / 1e3, best[0] / time);
        println!("{name:<10} {isa:<9} {rate:>8.0} {micros:>9.1} {ratio:>10.2}");
    }
    Ok(())
}

#[derive(Default)]
struct Decoding {
    pixels: Vec<u8>,
    scratch: DecodeScratch,
    random: Random,
}

impl Decoding {
    fn decode(&mut self, photograph: &[u8], what: What) -> Result<(), Failure> {
        if what == What::Zune {
            self.pixels = zune(photograph)?;
            return Ok(());
        }
        let mut decoder = open(photograph, &Limits::default())?;
        let (height, width) = (decoder.header().height, decoder.header().width);
        let mut region = DecodeRegion { top: 0, left: 0, height, width };
        if what == What::Crop {
            region = self.random.crop(height, width);
        }
        let scale = if what == What::Half { Scale::Half } else { Scale::Full };
        let mode = if what == What::Luma { Mode::L } else { Mode::Rgb };
        let (rows, columns) = region.size_at(scale);
        let row_stride_bytes = columns * mode.pixel_bytes(decoder.header());
        if self.pixels.len() < rows * row_stride_bytes {
            self.pixels.resize(rows * row_stride_bytes, 0);
        }
        let out = ImageMut { bytes: &mut self.pixels, row_stride_bytes };
        Ok(decoder.decode(region, scale, mode, out, &mut self.scratch)?)
    }
}

fn zune(photograph: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut decoder = zune_jpeg::JpegDecoder::new(ZCursor::new(photograph));
    decoder.decode().map_err(|error| format!("zune-jpeg: {error:?}").into())
}

/// FNV-1a.
fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Nanoseconds that this thread has run.
fn time_run() -> Result<f64, Failure> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(line.split(' ').next().ok_or("no schedstat")?.parse()?)
}

/// xorshift64*.
struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Random(1)
    }
}

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

    /// A region as torchvision's `RandomResizedCrop` draws it.
    fn crop(&mut self, rows: usize, columns: usize) -> DecodeRegion {
        loop {
            let area = (rows * columns) as f64 * (0.08 + 0.92 * self.unit());
            let ratio = (0.75_f64.ln() * (1.0 - 2.0 * self.unit())).exp();
            let (width, height) =
                ((area * ratio).sqrt().round() as usize, (area / ratio).sqrt().round() as usize);
            if (1..=columns).contains(&width) && (1..=rows).contains(&height) {
                let mut below = |n: usize| (self.next() % n as u64) as usize;
                let (top, left) = (below(rows - height + 1), below(columns - width + 1));
                return DecodeRegion { top, left, height, width };
            }
        }
    }
}
