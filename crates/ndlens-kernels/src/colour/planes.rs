//! A block of pixels, a plane of `f32` for each channel, and torchvision's arithmetic on it.
//!
//! Every loop is over whole planes of fixed length, without a branch, so that compilers turn it
//! into vector code. Multiplications and additions are fused if torch fuses them, since that
//! decides the last bit.

#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use std::marker::PhantomData;

/// Pixels of a block: 3 KiB of planes. A multiple of every vector's lanes.
pub(crate) const LEN: usize = 256;

/// Separate sums, so that each can be a vector's lane.
const LANES: usize = 16;

/// torchvision's weights of red, green and blue in a gray.
const GRAY: [f32; 3] = [0.2989, 0.587, 0.114];

/// One channel of a block.
type Plane = [f32; LEN];

/// The element of an image.
pub(crate) trait PlaneElement: Copy {
    /// The largest value: torchvision's `_max_value`.
    const BOUND: f32;
    /// The factor from values to 0..1.
    const TO_UNIT: f32;

    fn load<const CHANNELS: usize>(block: &[u8], planes: &mut [Plane; CHANNELS]);
    fn store<const CHANNELS: usize>(planes: &[Plane; CHANNELS], block: &mut [u8]);
    /// The value for a number from 0..1.
    fn from_unit(x: f32) -> f32;
    /// A value of 0 to `BOUND`, rounded as the element's dtype rounds it.
    fn cut(x: f32) -> f32;
}

impl PlaneElement for u8 {
    const BOUND: f32 = 255.0;
    const TO_UNIT: f32 = (1.0f64 / 255.0) as f32;

    #[inline(always)]
    fn load<const CHANNELS: usize>(block: &[u8], planes: &mut [Plane; CHANNELS]) {
        let pixels = block.as_chunks::<CHANNELS>().0;
        for (x, pixel) in pixels.iter().enumerate().take(LEN) {
            for channel in 0..CHANNELS {
                planes[channel][x] = f32::from(pixel[channel]);
            }
        }
    }

    #[inline(always)]
    fn store<const CHANNELS: usize>(planes: &[Plane; CHANNELS], block: &mut [u8]) {
        /// 2^23: added to a smaller whole number, it leaves that number in the lowest bits.
        const WHOLE: f32 = 8_388_608.0;
        let pixels = block.as_chunks_mut::<CHANNELS>().0;
        for (x, pixel) in pixels.iter_mut().enumerate().take(LEN) {
            for channel in 0..CHANNELS {
                pixel[channel] = (planes[channel][x] + WHOLE).to_bits() as u8;
            }
        }
    }

    #[inline(always)]
    fn from_unit(x: f32) -> f32 {
        /// torchvision's `max_value + 1.0 - eps`, which gives each level an equal share of 0..1.
        const FACTOR: f32 = 255.999;
        Self::cut(x * FACTOR)
    }

    #[inline(always)]
    fn cut(x: f32) -> f32 {
        // NaN becomes 0, as in torchvision's cast.
        let x = if x > 0.0 { x } else { 0.0 };
        x.floor()
    }
}

impl PlaneElement for f32 {
    const BOUND: f32 = 1.0;
    const TO_UNIT: f32 = 1.0;

    #[inline(always)]
    fn load<const CHANNELS: usize>(block: &[u8], planes: &mut [Plane; CHANNELS]) {
        let pixels = block.as_chunks::<4>().0.as_chunks::<CHANNELS>().0;
        for (x, pixel) in pixels.iter().enumerate().take(LEN) {
            for channel in 0..CHANNELS {
                planes[channel][x] = f32::from_le_bytes(pixel[channel]);
            }
        }
    }

    #[inline(always)]
    fn store<const CHANNELS: usize>(planes: &[Plane; CHANNELS], block: &mut [u8]) {
        let pixels = block.as_chunks_mut::<4>().0.as_chunks_mut::<CHANNELS>().0;
        for (x, pixel) in pixels.iter_mut().enumerate().take(LEN) {
            for channel in 0..CHANNELS {
                pixel[channel] = planes[channel][x].to_le_bytes();
            }
        }
    }

    #[inline(always)]
    fn from_unit(x: f32) -> f32 {
        x
    }

    #[inline(always)]
    fn cut(x: f32) -> f32 {
        x
    }
}

/// A block of pixels. Of the last block of an image only a part is the image's; the rest is
/// computed with and never stored.
pub(crate) struct Planes<E, const CHANNELS: usize> {
    planes: [Plane; CHANNELS],
    element: PhantomData<E>,
}

impl<E: PlaneElement, const CHANNELS: usize> Planes<E, CHANNELS> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Planes { planes: [[0.0; LEN]; CHANNELS], element: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn load(&mut self, block: &[u8]) {
        E::load(block, &mut self.planes);
    }

    #[inline(always)]
    pub(crate) fn store(&self, block: &mut [u8]) {
        E::store(&self.planes, block);
    }

    #[inline(always)]
    pub(crate) fn brightness(&mut self, factor: f64) {
        let factor = factor as f32;
        for plane in &mut self.planes {
            for x in plane {
                *x = E::cut(clamp(*x * factor, E::BOUND));
            }
        }
    }

    #[inline(always)]
    pub(crate) fn contrast(&mut self, factor: f64, mean: f32) {
        let (own, other) = (factor as f32, (1.0 - factor) as f32);
        for plane in &mut self.planes {
            for x in plane {
                *x = E::cut(clamp(mean.mul_add(other, *x * own), E::BOUND));
            }
        }
    }

    #[inline(always)]
    pub(crate) fn saturation(&mut self, factor: f64) {
        let (own, other) = (factor as f32, (1.0 - factor) as f32);
        let Some([red, green, blue]) = self.colours() else { return };
        for i in 0..LEN {
            let pixel = [red[i], green[i], blue[i]];
            let gray = E::cut(gray(pixel));
            [red[i], green[i], blue[i]] =
                pixel.map(|x| E::cut(clamp(gray.mul_add(other, x * own), E::BOUND)));
        }
    }

    #[inline(always)]
    pub(crate) fn grayscale(&mut self) {
        let Some([red, green, blue]) = self.colours() else { return };
        for i in 0..LEN {
            let gray = E::cut(gray([red[i], green[i], blue[i]]));
            [red[i], green[i], blue[i]] = [gray; 3];
        }
    }

    #[inline(always)]
    pub(crate) fn hue(&mut self, shift: f64) {
        let shift = shift as f32;
        let Some([red, green, blue]) = self.colours() else { return };
        for i in 0..LEN {
            let pixel = [red[i], green[i], blue[i]].map(|x| x * E::TO_UNIT);
            [red[i], green[i], blue[i]] = turned(pixel, shift).map(E::from_unit);
        }
    }

    /// The sum of the grays of the first `count` pixels.
    #[inline(always)]
    pub(crate) fn sum(&mut self, count: usize) -> f64 {
        let mut grays = self.planes[0];
        if let Some([red, green, blue]) = self.colours() {
            for i in 0..LEN {
                grays[i] = E::cut(gray([red[i], green[i], blue[i]]));
            }
        }
        grays[count.min(LEN)..].fill(0.0);
        let mut sums = [0.0f32; LANES];
        for grays in grays.as_chunks::<LANES>().0 {
            for (sum, gray) in sums.iter_mut().zip(grays) {
                *sum += gray;
            }
        }
        sums.iter().map(|&sum| f64::from(sum)).sum()
    }

    /// None for images of one channel.
    #[inline(always)]
    fn colours(&mut self) -> Option<&mut [Plane; 3]> {
        self.planes.as_mut_slice().try_into().ok()
    }
}

/// Clamps to 0..=bound; NaN stays NaN.
#[inline(always)]
fn clamp(x: f32, bound: f32) -> f32 {
    let x = if x < 0.0 { 0.0 } else { x };
    if x > bound { bound } else { x }
}

#[inline(always)]
fn gray([red, green, blue]: [f32; 3]) -> f32 {
    blue.mul_add(GRAY[2], green.mul_add(GRAY[1], red * GRAY[0]))
}

/// A colour of 0..1 with its hue turned, by way of hue, saturation and value (Smith, "Color gamut
/// transform pairs", SIGGRAPH 1978), step by step as torchvision computes it.
#[expect(clippy::float_cmp, reason = "which of three is the largest is a question of equality")]
#[inline(always)]
fn turned([red, green, blue]: [f32; 3], shift: f32) -> [f32; 3] {
    const SIXTH: f32 = (1.0f64 / 6.0) as f32;
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let smaller = |a: f32, b: f32| if a < b { a } else { b };
    let most = larger(larger(red, green), blue);
    let least = smaller(smaller(red, green), blue);
    let range = most - least;
    // A gray has no hue, and a saturation of 0.
    let is_gray = most == least;
    let saturation = range / if is_gray { 1.0 } else { most };
    let divisor = if is_gray { 1.0 } else { range };
    let [from_red, from_green, from_blue] = [red, green, blue].map(|x| (most - x) / divisor);
    let sixths = if most == red {
        from_blue - from_green
    } else if most == green {
        from_red + 2.0 - from_blue
    } else {
        from_green + 4.0 - from_red
    };
    let hue = sixths * SIXTH + 1.0;
    let hue = hue - hue.trunc() + shift;
    let hue = hue - hue.trunc();
    let hue = if hue < 0.0 { hue + 1.0 } else { hue };

    let sixths = hue * 6.0;
    let sextant = sixths.floor();
    let fraction = sixths - sextant;
    let part = saturation * fraction;
    let rest = 1.0 - saturation;
    let falling = clamp((1.0 - part) * most, 1.0);
    let rising = clamp((part + rest) * most, 1.0);
    let low = clamp(rest * most, 1.0);
    // A hue just below 1 may round up to six sixths, which counts as 0; so does NaN.
    let sextant = if sextant < 6.0 { sextant } else { 0.0 };
    let choose = |first, second, third, fourth, fifth, sixth| {
        let upper = if sextant < 4.0 {
            fourth
        } else if sextant < 5.0 {
            fifth
        } else {
            sixth
        };
        let lower = if sextant < 1.0 {
            first
        } else if sextant < 2.0 {
            second
        } else {
            third
        };
        if sextant < 3.0 { lower } else { upper }
    };
    [
        choose(most, falling, low, low, rising, most),
        choose(rising, most, most, falling, low, low),
        choose(low, low, rising, most, most, falling),
    ]
}
