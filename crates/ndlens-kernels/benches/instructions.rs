//! Runs of one kernel on the same image, whose instructions `benches/instructions.py` counts.
//!
//! Without an argument it lists the kernels. With a name it runs that one inside [`measured`],
//! which is all that callgrind collects, after a first run that does the work of a first run: it
//! allocates memory, computes tables of weights and detects the CPU's features. Prints how many
//! elements it wrote. A number after the name says how often [`measured`] runs, for a counter that
//! counts whole programs.
//!
//! ```text
//! NDLENS_ISA=avx2 valgrind --tool=callgrind --toggle-collect='*measured*' \
//!     target/release/deps/instructions-<hash> "u8 to float32, CHW"
//! ```

use ndlens_core::{DType, View, s};
use ndlens_kernels::Adjustment::{self, Brightness, Contrast, Grayscale, Hue, Saturation};
use ndlens_kernels::{
    Filter, Interpolation, MapStep, ResizeOutput, ResizeScratch, Resizer, Stores, Take, ValueMap,
};

/// The image is SOURCE x SOURCE pixels of three channels, what is made of it SIZE x SIZE.
const SOURCE: usize = 320;
const SIZE: usize = 224;
const ELEMENTS: usize = SIZE * SIZE * 3;

type Failure = Box<dyn std::error::Error>;
type Outcome = Result<(), ndlens_kernels::Error>;

/// A function to count, and the number of elements that it writes.
struct Kernel {
    elements: usize,
    run: Box<dyn FnMut() -> Outcome>,
}

type Make = Box<dyn Fn() -> Result<Kernel, Failure>>;

fn main() -> Result<(), Failure> {
    let mut kernels = kernels();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(wanted) = arguments.next() else {
        for (name, _) in &kernels {
            println!("{name}");
        }
        return Ok(());
    };
    let at =
        kernels.iter().position(|(name, _)| *name == wanted).ok_or("there is no such kernel")?;
    let mut kernel = kernels.swap_remove(at).1()?;
    (kernel.run)()?;
    let runs = arguments.next().map_or(Ok(1), |runs| runs.parse())?;
    for _ in 0..runs {
        measured(&mut *kernel.run)?;
    }
    println!("{}", kernel.elements);
    Ok(())
}

/// The counted part. It is never inlined, so that it has a symbol.
#[inline(never)]
fn measured(run: &mut dyn FnMut() -> Outcome) -> Outcome {
    run()
}

fn kernels() -> Vec<(&'static str, Make)> {
    let to = |dtype| vec![MapStep::ToDtype { dtype, scale: true }];
    let normalized = |dtype| vec![MapStep::ToDtype { dtype, scale: true }, normalize()];
    let filter = |interpolation, antialias| Filter { interpolation, antialias };
    let bilinear = filter(Interpolation::Bilinear, true);
    vec![
        ("u8 to float32, HWC", map(DType::U8, to(DType::F32), Turn::Hwc)),
        ("u8 to float32, CHW", map(DType::U8, to(DType::F32), Turn::Chw)),
        ("u8 to float32, CHW, mirrored", map(DType::U8, to(DType::F32), Turn::MirroredChw)),
        ("u8 to float32, CHW, normalised", map(DType::U8, normalized(DType::F32), Turn::Chw)),
        ("u8 to float16, CHW", map(DType::U8, to(DType::F16), Turn::Chw)),
        ("u8 to float16, CHW, normalised", map(DType::U8, normalized(DType::F16), Turn::Chw)),
        ("u8 to bfloat16, CHW", map(DType::U8, to(DType::Bf16), Turn::Chw)),
        ("u8 to u8, CHW", map(DType::U8, vec![], Turn::Chw)),
        ("float32 to float32, CHW", map(DType::F32, vec![], Turn::Chw)),
        ("float32, CHW, normalised", map(DType::F32, vec![normalize()], Turn::Chw)),
        ("bilinear u8 to float32, CHW", resize(DType::U8, to(DType::F32), bilinear)),
        ("bilinear u8 to u8, CHW", resize(DType::U8, vec![], bilinear)),
        (
            "bilinear, no antialias, u8 to float32, CHW",
            resize(DType::U8, to(DType::F32), filter(Interpolation::Bilinear, false)),
        ),
        (
            "bicubic u8 to float32, CHW",
            resize(DType::U8, to(DType::F32), filter(Interpolation::Bicubic, true)),
        ),
        (
            "nearest u8 to float32, CHW",
            resize(DType::U8, to(DType::F32), filter(Interpolation::Nearest, false)),
        ),
        ("bilinear float32, CHW", resize(DType::F32, vec![], bilinear)),
        ("brightness, u8", colour(DType::U8, vec![Brightness(1.1)])),
        ("contrast, u8", colour(DType::U8, vec![Contrast(0.9)])),
        ("saturation, u8", colour(DType::U8, vec![Saturation(0.9)])),
        ("hue, u8", colour(DType::U8, vec![Hue(0.05)])),
        ("grayscale, u8", colour(DType::U8, vec![Grayscale])),
        ("all four, u8", colour(DType::U8, all_four())),
        ("all four, float32", colour(DType::F32, all_four())),
        ("rows of 64 bytes", take(64, Stores::Cached)),
        ("rows of 256 bytes", take(256, Stores::Cached)),
        ("rows of 32 KiB, streamed", take(32 << 10, Stores::Stream)),
    ]
}

fn normalize() -> MapStep {
    MapStep::Normalize { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
}

fn all_four() -> Vec<Adjustment> {
    vec![Brightness(1.1), Contrast(0.9), Saturation(0.9), Hue(0.05)]
}

/// The order in which an image is written.
#[derive(Clone, Copy)]
enum Turn {
    Hwc,
    Chw,
    MirroredChw,
}

fn map(dtype: DType, steps: Vec<MapStep>, turn: Turn) -> Make {
    Box::new(move || {
        let map = ValueMap::new(&dtype, 3, &steps)?;
        let range = || s(5..5 + SIZE as isize);
        let crop = image(&dtype)?.index(&[range(), range()])?;
        let (crop, channel_axis) = match turn {
            Turn::Hwc => (crop, 2),
            Turn::Chw => (crop.permute(&[2, 0, 1])?, 0),
            Turn::MirroredChw => (crop.flip(&[1])?.permute(&[2, 0, 1])?, 0),
        };
        let mut out = Lines::new(ELEMENTS * map.dtype().itemsize());
        let run =
            move || map.apply(&crop.as_ref(), Some(channel_axis), out.bytes(), Stores::Stream);
        Ok(Kernel { elements: ELEMENTS, run: Box::new(run) })
    })
}

fn resize(dtype: DType, steps: Vec<MapStep>, filter: Filter) -> Make {
    Box::new(move || {
        let map = ValueMap::new(&dtype, 3, &steps)?;
        let image = image(&dtype)?;
        let resize = Resizer::new(SIZE, SIZE, 3, &dtype, filter)?;
        let mut out = Lines::new(ELEMENTS * map.dtype().itemsize());
        let mut scratch = ResizeScratch::default();
        let run = move || {
            let window = resize.whole();
            let output =
                ResizeOutput { window, map: &map, channels_first: true, stores: Stores::Stream };
            resize.apply(&image.as_ref(), &output, out.bytes(), &mut scratch)
        };
        Ok(Kernel { elements: ELEMENTS, run: Box::new(run) })
    })
}

fn colour(dtype: DType, adjustments: Vec<Adjustment>) -> Make {
    Box::new(move || {
        let mut pixels = bytes(&dtype, ELEMENTS);
        let dtype = dtype.clone();
        let adjustments = adjustments.clone();
        let run = move || Adjustment::apply(&adjustments, &mut pixels, &dtype, 3);
        Ok(Kernel { elements: ELEMENTS, run: Box::new(run) })
    })
}

/// Rows out of 1 MiB, as many as make as much; elements of four bytes.
fn take(row_bytes: usize, stores: Stores) -> Make {
    const BYTES: usize = 1 << 20;
    Box::new(move || {
        let rows = View::from_vec(bytes(&DType::U8, BYTES)).reshape(&[-1, row_bytes as isize])?;
        let count = BYTES / row_bytes;
        let items: Vec<usize> = (0..count).map(|k| k * 7919 % count).collect();
        let take = Take::new(&rows).ok_or("rows are packed")?;
        let mut out = Lines::new(BYTES);
        let run = move || take.rows(&items, out.bytes(), stores);
        Ok(Kernel { elements: BYTES / 4, run: Box::new(run) })
    })
}

fn image(dtype: &DType) -> Result<View, Failure> {
    let image = View::from_vec(bytes(dtype, SOURCE * SOURCE * 3)).reinterpret(dtype.clone())?;
    Ok(image.reshape(&[SOURCE as isize, SOURCE as isize, 3])?)
}

/// Elements of any bytes, or floats from 0 to 1.
fn bytes(dtype: &DType, elements: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    match dtype {
        DType::F32 => {
            (0..elements).flat_map(|_| (f32::from(next()) / 255.0).to_le_bytes()).collect()
        }
        _ => (0..elements).map(|_| next()).collect(),
    }
}

/// Bytes that start with a line of the cache, as a loader's do, so that the count does not depend
/// on the address of memory.
struct Lines {
    memory: Vec<u8>,
    len: usize,
}

impl Lines {
    fn new(len: usize) -> Self {
        Lines { memory: vec![0; len + ndlens_core::ALIGNMENT], len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        let start = self.memory.as_ptr().align_offset(ndlens_core::ALIGNMENT);
        &mut self.memory[start..start + self.len]
    }
}
