//! JPEG files for tests: random coefficients, written by the letter of T.81, and the pixels that
//! they stand for by floating point and the plainest loops.

/// An image as coefficients.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) components: Vec<Component>,
    /// MCUs between restart markers; 0 for none.
    pub(crate) restart: usize,
    /// Whether all codes have a fixed length, or those of T.81, table K.5.
    pub(crate) fixed: bool,
    /// Whether the components are RGB, by their names.
    pub(crate) rgb: bool,
}

#[derive(Clone)]
pub(crate) struct Component {
    pub(crate) horizontal: usize,
    pub(crate) vertical: usize,
    /// Blocks of a row, in whole MCUs.
    pub(crate) across: usize,
    pub(crate) blocks: Vec<[i16; 64]>,
}

/// xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    /// From -most to most.
    fn around(&mut self, most: i16) -> i16 {
        self.below(2 * most as usize + 1) as i16 - most
    }
}

/// The factor of every coefficient.
const FACTOR: i16 = 3;
/// Codes of each length of T.81, tables K.3 and K.5.
const DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const AC_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
/// Codes of four and of eight bits alone.
const FIXED_DC_COUNTS: [u8; 16] = [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const FIXED_AC_COUNTS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 162, 0, 0, 0, 0, 0, 0, 0, 0];

/// The places of the zigzag, row by row.
fn zigzag() -> Vec<usize> {
    let mut places: Vec<usize> = (0..64).collect();
    places.sort_by_key(|place| {
        let (row, column) = (place / 8, place % 8);
        let diagonal = row + column;
        (diagonal, if diagonal % 2 == 0 { column } else { row })
    });
    places
}

impl Picture {
    /// An image of random coefficients, with sampling factors for each component.
    pub(crate) fn random(
        width: usize,
        height: usize,
        factors: &[(usize, usize)],
        random: &mut Random,
    ) -> Picture {
        let most_h = factors.iter().map(|f| f.0).max().unwrap();
        let most_v = factors.iter().map(|f| f.1).max().unwrap();
        let (mcus_across, mcus_down) = (width.div_ceil(8 * most_h), height.div_ceil(8 * most_v));
        let components = factors.iter().map(|&(horizontal, vertical)| {
            let across = mcus_across * horizontal;
            let blocks = (0..across * mcus_down * vertical).map(|_| random_block(random)).collect();
            Component { horizontal, vertical, across, blocks }
        });
        let components = components.collect();
        Picture { width, height, components, restart: 0, fixed: false, rgb: false }
    }

    /// The file, with the end of image.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
        file.extend([FACTOR as u8; 64]);
        file.extend([0xFF, 0xC0, 0, (8 + 3 * self.components.len()) as u8, 8]);
        file.extend((self.height as u16).to_be_bytes());
        file.extend((self.width as u16).to_be_bytes());
        file.push(self.components.len() as u8);
        for (component, name) in self.components.iter().zip(self.names()) {
            let factors = (component.horizontal << 4 | component.vertical) as u8;
            file.extend([name, factors, 0]);
        }
        let (dc, ac) = (Codes::dc(self.fixed), Codes::ac(self.fixed));
        for (class, codes) in [(0x00, &dc), (0x10, &ac)] {
            file.extend([0xFF, 0xC4, 0, (19 + codes.symbols.len()) as u8, class]);
            file.extend(codes.counts);
            file.extend(&codes.symbols);
        }
        if self.restart > 0 {
            file.extend([0xFF, 0xDD, 0, 4]);
            file.extend((self.restart as u16).to_be_bytes());
        }
        file.extend([0xFF, 0xDA, 0, (6 + 2 * self.components.len()) as u8]);
        file.push(self.components.len() as u8);
        for name in self.names().take(self.components.len()) {
            file.extend([name, 0]);
        }
        file.extend([0, 63, 0]);
        self.encode_mcus(&dc, &ac, &mut file);
        file.extend([0xFF, 0xD9]);
        file
    }

    fn names(&self) -> impl Iterator<Item = u8> {
        (if self.rgb { *b"RGB" } else { [1, 2, 3] }).into_iter()
    }

    fn encode_mcus(&self, dc: &Codes, ac: &Codes, file: &mut Vec<u8>) {
        let first = &self.components[0];
        let (mcus_across, rows) =
            (first.across / first.horizontal, first.blocks.len() / first.across);
        let mcus = mcus_across * (rows / first.vertical);
        let mut bits = BitWriter { file, held: 0, count: 0 };
        let mut last_dc = [0; 3];
        for mcu in 0..mcus {
            if self.restart > 0 && mcu > 0 && mcu % self.restart == 0 {
                bits.finish();
                bits.file.extend([0xFF, 0xD0 + ((mcu / self.restart - 1) % 8) as u8]);
                last_dc = [0; 3];
            }
            for (component, last_dc) in self.components.iter().zip(&mut last_dc) {
                for down in 0..component.vertical {
                    for across in 0..component.horizontal {
                        let row = mcu / mcus_across * component.vertical + down;
                        let column = mcu % mcus_across * component.horizontal + across;
                        let block = &component.blocks[row * component.across + column];
                        encode_block(block, last_dc, dc, ac, &mut bits);
                    }
                }
            }
        }
        bits.finish();
    }

    /// The pixels: rows of RGB.
    pub(crate) fn pixels(&self) -> Vec<[f64; 3]> {
        let most_h = self.components.iter().map(|c| c.horizontal).max().unwrap();
        let most_v = self.components.iter().map(|c| c.vertical).max().unwrap();
        let planes: Vec<Vec<f64>> = self
            .components
            .iter()
            .map(|component| {
                let (each_h, each_v) = (most_h / component.horizontal, most_v / component.vertical);
                let width = self.width.div_ceil(each_h);
                let height = self.height.div_ceil(each_v);
                let samples = component.samples(width, height);
                let triangle_h = each_h == 2 && each_v <= 2 && width > 2;
                let triangle_v = each_v == 2 && (each_h == 1 || triangle_h);
                let at = |row: usize, column: usize| samples[row * width + column];
                let mut plane = Vec::new();
                for row in 0..self.height {
                    for column in 0..self.width {
                        let (near_row, far_row) = neighbours(row, each_v, height, triangle_v);
                        let (near, far) = neighbours(column, each_h, width, triangle_h);
                        let along = |row| 0.75 * at(row, near) + 0.25 * at(row, far);
                        plane.push(0.75 * along(near_row) + 0.25 * along(far_row));
                    }
                }
                plane
            })
            .collect();
        (0..self.width * self.height)
            .map(|place| match &planes[..] {
                [grey] => [grey[place]; 3],
                [r, g, b] if self.rgb => [r[place], g[place], b[place]],
                [y, blue, red] => {
                    let (y, blue, red) = (y[place], blue[place] - 128.0, red[place] - 128.0);
                    [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue]
                        .map(|value| value.clamp(0.0, 255.0))
                }
                _ => panic!("1 or 3 components"),
            })
            .collect()
    }
}

/// The nearer and the farther sample of a pixel, the same one where none is farther.
fn neighbours(pixel: usize, each: usize, samples: usize, triangle: bool) -> (usize, usize) {
    let near = pixel / each;
    let far = match pixel % 2 {
        _ if !triangle => near,
        0 => near.saturating_sub(1),
        _ => (near + 1).min(samples - 1),
    };
    (near, far)
}

impl Component {
    fn samples(&self, width: usize, height: usize) -> Vec<f64> {
        let mut samples = vec![0.0; width * height];
        for (place, block) in self.blocks.iter().enumerate() {
            let (top, left) = (place / self.across * 8, place % self.across * 8);
            let block = inverse_dct(block);
            for (row, line) in block.iter().enumerate().filter(|(row, _)| top + row < height) {
                for (column, &sample) in line.iter().enumerate() {
                    if left + column < width {
                        samples[(top + row) * width + left + column] = sample;
                    }
                }
            }
        }
        samples
    }
}

/// T.81, A.3.3, and the level shift.
fn inverse_dct(block: &[i16; 64]) -> [[f64; 8]; 8] {
    let cosine = |x: usize, u: usize| {
        let scale = if u == 0 { 0.5_f64.sqrt() } else { 1.0 };
        scale / 2.0 * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()
    };
    let mut samples = [[128.0; 8]; 8];
    for (place, &value) in block.iter().enumerate().filter(|(_, value)| **value != 0) {
        for (y, line) in samples.iter_mut().enumerate() {
            for (x, sample) in line.iter_mut().enumerate() {
                *sample += f64::from(value * FACTOR) * cosine(y, place / 8) * cosine(x, place % 8);
            }
        }
    }
    samples.map(|line| line.map(|sample: f64| sample.round().clamp(0.0, 255.0)))
}

/// A block as photographs have them: few coefficients, most of them low; now and then all.
fn random_block(random: &mut Random) -> [i16; 64] {
    let mut block = [0; 64];
    block[0] = random.around(250);
    let count = [0, 1, 3, 9, 63][random.below(5)];
    let zigzag = zigzag();
    for _ in 0..count {
        let most = if random.below(4) == 0 { 63 } else { 12 };
        let k = 1 + random.below(most);
        block[zigzag[k]] = random.around(if k < 6 { 40 } else { 3 });
    }
    block
}

fn encode_block(
    block: &[i16; 64],
    last_dc: &mut i16,
    dc: &Codes,
    ac: &Codes,
    bits: &mut BitWriter<'_>,
) {
    let difference = block[0] - *last_dc;
    *last_dc = block[0];
    bits.symbol(dc, size(difference) as u8);
    bits.magnitude(difference);
    let mut zeros = 0;
    for &place in &zigzag()[1..] {
        let value = block[place];
        if value == 0 {
            zeros += 1;
            continue;
        }
        for _ in 0..zeros / 16 {
            bits.symbol(ac, 0xF0);
        }
        bits.symbol(ac, (zeros % 16) << 4 | size(value) as u8);
        bits.magnitude(value);
        zeros = 0;
    }
    if zeros > 0 {
        bits.symbol(ac, 0);
    }
}

/// Bits of a magnitude.
fn size(value: i16) -> u32 {
    16 - value.unsigned_abs().leading_zeros()
}

/// A Huffman code, T.81, annex C.
struct Codes {
    counts: [u8; 16],
    symbols: Vec<u8>,
}

impl Codes {
    fn dc(fixed: bool) -> Codes {
        Codes {
            counts: if fixed { FIXED_DC_COUNTS } else { DC_COUNTS },
            symbols: (0..12).collect(),
        }
    }

    /// Short runs and small values first.
    fn ac(fixed: bool) -> Codes {
        let mut symbols: Vec<u8> =
            (0..=255).filter(|symbol| (1..=10).contains(&(symbol & 15))).collect();
        symbols.extend([0, 0xF0]);
        symbols.sort_by_key(|symbol| (symbol >> 4) + 2 * (symbol & 15));
        Codes { counts: if fixed { FIXED_AC_COUNTS } else { AC_COUNTS }, symbols }
    }

    /// The length and the bits of a symbol.
    fn code(&self, symbol: u8) -> (u32, u32) {
        let place = self.symbols.iter().position(|&known| known == symbol).unwrap();
        let (mut code, mut first) = (0, 0);
        for (length, &count) in (1..).zip(&self.counts) {
            if place < first + usize::from(count) {
                return (length, code + (place - first) as u32);
            }
            first += usize::from(count);
            code = (code + u32::from(count)) << 1;
        }
        panic!("no code of {symbol}")
    }
}

struct BitWriter<'a> {
    file: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter<'_> {
    fn write(&mut self, length: u32, bits: u32) {
        for k in (0..length).rev() {
            self.held = self.held << 1 | u64::from(bits >> k & 1);
            self.count += 1;
            if self.count == 8 {
                self.file.push(self.held as u8);
                if self.held as u8 == 0xFF {
                    self.file.push(0);
                }
                (self.held, self.count) = (0, 0);
            }
        }
    }

    fn symbol(&mut self, codes: &Codes, symbol: u8) {
        let (length, bits) = codes.code(symbol);
        self.write(length, bits);
    }

    fn magnitude(&mut self, value: i16) {
        let length = size(value);
        let bits = if value < 0 { i32::from(value) + (1 << length) - 1 } else { value.into() };
        self.write(length, bits as u32);
    }

    /// Fills the last byte with ones.
    fn finish(&mut self) {
        if self.count > 0 {
            self.write(8 - self.count, 0xFF);
        }
    }
}
