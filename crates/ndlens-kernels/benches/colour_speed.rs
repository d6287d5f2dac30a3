//! The speed of changes of colour: a 224x224x3 image, `uint8` and `float32`, in place, on one
//! thread.
//!
//! Each instruction set runs in a process of its own, since `NDLENS_ISA` is read once. Figures are
//! medians of nine windows. `ndlens bench colour` has the same beside torchvision.
//!
//! ```text
//! cargo bench -p ndlens-kernels --bench colour_speed
//! ```

use std::process::Command;
use std::time::{Duration, Instant};

use ndlens_core::DType;
use ndlens_kernels::Adjustment::{self, Brightness, Contrast, Grayscale, Hue, Saturation};
use ndlens_kernels::Isa;

const SIZE: usize = 224;
const WINDOW: Duration = Duration::from_millis(60);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    if std::env::args().nth(1).as_deref() == Some("one") {
        return measure();
    }
    println!("{:<8} {:<8} {:<12} {:>10}", "isa", "dtype", "adjustment", "us/image");
    for isa in Isa::ALL.iter().map(|isa| isa.name()) {
        let status =
            Command::new(std::env::current_exe()?).arg("one").env("NDLENS_ISA", isa).status()?;
        if !status.success() {
            return Err(format!("{isa}: {status}").into());
        }
    }
    Ok(())
}

fn measure() -> Result<(), Failure> {
    let isa = std::env::var("NDLENS_ISA")?;
    let adjustments: [(&str, &[Adjustment]); 6] = [
        ("brightness", &[Brightness(1.1)]),
        ("contrast", &[Contrast(0.9)]),
        ("saturation", &[Saturation(0.9)]),
        ("hue", &[Hue(0.05)]),
        ("all four", &[Brightness(1.1), Contrast(0.9), Saturation(0.9), Hue(0.05)]),
        ("grayscale", &[Grayscale]),
    ];
    for (dtype, image) in [(DType::U8, bytes()), (DType::F32, floats())] {
        for (name, adjustments) in adjustments {
            let mut times = vec![];
            for window in 0..10 {
                let mut pixels = image.clone();
                let (start, mut done) = (Instant::now(), 0);
                while start.elapsed() < WINDOW {
                    pixels.copy_from_slice(&image);
                    Adjustment::apply(adjustments, &mut pixels, &dtype, 3)?;
                    done += 1;
                }
                // The first window warms up.
                if window > 0 {
                    times.push(start.elapsed().as_secs_f64() / f64::from(done));
                }
            }
            times.sort_by(f64::total_cmp);
            let dtype = dtype.to_string();
            println!("{isa:<8} {dtype:<8} {name:<12} {:>10.1}", times[times.len() / 2] * 1e6);
        }
    }
    Ok(())
}

/// An image of random bytes.
fn bytes() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..SIZE * SIZE * 3).map(|_| next()).collect()
}

fn floats() -> Vec<u8> {
    bytes().iter().flat_map(|&byte| (f32::from(byte) / 255.0).to_le_bytes()).collect()
}
