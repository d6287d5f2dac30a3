//! Images whose pixels are made when a transform reads them, such as encoded photographs.
//!
//! The transforms of a list first move the window through which an image is seen. Only the pixels
//! that are visible then are made:
//!
//! ```text
//!  stored image        crop, flip: a layout of the      read(rectangle): what is visible,
//!  no pixel is there   pixels as they would lie         packed, and the layout moves with it
//!  +--------------+    +--------------+
//!  |              |    |   +------+   |                 +------+
//!  |              | -> |   |<-----|   |              -> |<-----|
//!  |              |    |   +------+   |                 +------+
//!  +--------------+    +--------------+
//! ```

use ndlens_codecs::Orientation;
use ndlens_core::{DType, Layout, Order};

use crate::error::Result;
use crate::params::Rectangle;
use crate::size::{HEIGHT, WIDTH};

/// An image of (height, width, channels) whose pixels are made when they are read.
pub trait LazyImage {
    /// The rows, columns and channels of the image as it is stored, at least 1 each.
    fn stored_shape(&self) -> [usize; 3];

    /// The dtype of the elements.
    fn dtype(&self) -> &DType;

    /// How the stored image is turned to be shown.
    fn orientation(&self) -> Orientation {
        Orientation::Upright
    }

    /// Writes the pixels of a rectangle of the stored image, packed, to `out`, which has as many
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Codecs`](crate::Error::Codecs) if the pixels cannot be made.
    fn read(&mut self, rectangle: Rectangle, out: &mut [u8]) -> Result<()>;

    /// Makes the pixels of a rectangle of the stored image without memory for all of them, where
    /// that is possible: `take` gets its rows in order, some at a time, packed.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read_strips(&mut self, rectangle: Rectangle, take: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// The shape of the image as it is shown.
    fn shape(&self) -> [usize; 3] {
        let [height, width, channels] = self.stored_shape();
        let (height, width) = self.orientation().upright_size(height, width);
        [height, width, channels]
    }
}

/// The layout of an image as it is shown, on the packed pixels of the image as it is stored.
pub(crate) fn shown_layout(image: &dyn LazyImage) -> Result<Layout> {
    let stored = image.stored_shape();
    let layout = Layout::contiguous(&stored, image.dtype().itemsize(), Order::C)?;
    let turn = image.orientation().turn();
    // The flips come before rows and columns are exchanged.
    let layout = if turn.rows_reversed { layout.flip(&[HEIGHT as isize])? } else { layout };
    let layout = if turn.columns_reversed { layout.flip(&[WIDTH as isize])? } else { layout };
    Ok(if turn.transposed { layout.swapaxes(HEIGHT as isize, WIDTH as isize)? } else { layout })
}

/// The rectangle of a stored image that contains the elements of `layout`, which shows a rectangle
/// of the packed image, turned or mirrored in any way; and the layout of the same elements on the
/// packed pixels of that rectangle.
pub(crate) fn visible(
    layout: &Layout,
    stored: [usize; 3],
    itemsize: usize,
) -> Result<(Rectangle, Layout)> {
    if layout.is_empty() {
        let nothing = Rectangle { top: 0, left: 0, height: 0, width: 0 };
        return Ok((nothing, Layout::contiguous(layout.shape(), itemsize, Order::C)?));
    }
    let [_, stored_width, channels] = stored;
    let pixel = channels * itemsize;
    let row = stored_width * pixel;
    let (below, above) = Layout::reach(layout.shape(), layout.strides(), itemsize)?;
    // The first and the last byte, whatever the order of the elements is.
    let (first, last) = (layout.offset() - below, layout.offset() + above - 1);
    let (top, left) = (first / row, first % row / pixel);
    let (bottom, right) = (last / row, last % row / pixel);
    let (height, width) = (bottom - top + 1, right - left + 1);
    let kept_row = width * pixel;
    // Steps from row to row get shorter; all others stay. In an image of one column a step along
    // the row is never taken.
    let strides: Vec<isize> = layout
        .strides()
        .iter()
        .map(|&stride| {
            if stride.unsigned_abs() == row { stride.signum() * kept_row as isize } else { stride }
        })
        .collect();
    let offset = layout.offset();
    let kept = (offset / row - top) * kept_row + offset % row - left * pixel;
    let len = height * kept_row;
    let layout = Layout::new(layout.shape(), &strides, kept, itemsize, len)?;
    Ok((Rectangle { top, left, height, width }, layout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::{ColorJitter, RandomGrayscale};
    use crate::crop::{CenterCrop, Crop, RandomCrop};
    use crate::erase::{Erasure, RandomErasing};
    use crate::error::Error;
    use crate::fill::{Fill, Padding};
    use crate::flip::{RandomHorizontalFlip, RandomQuarterTurn, RandomVerticalFlip};
    use crate::interval::Interval;
    use crate::item_shape::ItemShape;
    use crate::layout::ChannelsFirst;
    use crate::noise::{RandomJitter, RandomScale};
    use crate::pad::Pad;
    use crate::pipeline::Pipeline;
    use crate::random::Stream;
    use crate::resize::{RandomResizedCrop, Resize, TargetSize};
    use crate::scratch::Scratch;
    use crate::size::Size;
    use crate::step::{MemoryFormat, Step};
    use crate::values::{Normalize, ToDtype};
    use ndlens_core::View;
    use ndlens_kernels::{Filter, Interpolation, Stores};
    use proptest::prelude::*;

    const ORIENTATIONS: [Orientation; 8] = [
        Orientation::Upright,
        Orientation::FlipHorizontal,
        Orientation::Rotate180,
        Orientation::FlipVertical,
        Orientation::Transpose,
        Orientation::Rotate90,
        Orientation::Transverse,
        Orientation::Rotate270,
    ];

    /// Pixels that count which rectangles of them are read.
    struct Counted {
        pixels: View,
        orientation: Orientation,
        read: Vec<Rectangle>,
    }

    impl Counted {
        fn new(height: usize, width: usize, channels: usize) -> Self {
            // 251 is prime, so that no two rows are alike.
            let bytes = (0..height * width * channels).map(|i| (i * 7 % 251) as u8).collect();
            let shape = [height, width, channels].map(|size| size as isize);
            let pixels = View::from_vec(bytes).reshape(&shape).unwrap();
            Counted { pixels, orientation: Orientation::Upright, read: vec![] }
        }

        /// The image as it is shown, by the words of EXIF 2.32: where row 0 and column 0 of the
        /// stored image are shown.
        fn shown(&self) -> View {
            let [height, width, channels] = self.stored_shape();
            let [rows, columns, _] = self.shape();
            let stored = self.pixels.to_vec::<u8>().unwrap();
            let mut shown = vec![0; stored.len()];
            for y in 0..height {
                for x in 0..width {
                    let (bottom, right) = (height - 1 - y, width - 1 - x);
                    let (row, column) = match self.orientation {
                        // Row 0 is at the top, column 0 at the left.
                        Orientation::Upright => (y, x),
                        // Top, right.
                        Orientation::FlipHorizontal => (y, right),
                        // Bottom, right.
                        Orientation::Rotate180 => (bottom, right),
                        // Bottom, left.
                        Orientation::FlipVertical => (bottom, x),
                        // Left, top.
                        Orientation::Transpose => (x, y),
                        // Right, top.
                        Orientation::Rotate90 => (x, bottom),
                        // Right, bottom.
                        Orientation::Transverse => (right, bottom),
                        // Left, bottom.
                        Orientation::Rotate270 => (right, y),
                    };
                    assert!(row < rows && column < columns);
                    let (from, to) = ((y * width + x) * channels, row * columns + column);
                    shown[to * channels..][..channels].copy_from_slice(&stored[from..][..channels]);
                }
            }
            let shape = self.shape().map(|size| size as isize);
            View::from_vec(shown).reshape(&shape).unwrap()
        }
    }

    impl LazyImage for Counted {
        fn stored_shape(&self) -> [usize; 3] {
            self.pixels.shape().try_into().unwrap()
        }

        fn dtype(&self) -> &DType {
            self.pixels.dtype()
        }

        fn orientation(&self) -> Orientation {
            self.orientation
        }

        fn read(&mut self, rectangle: Rectangle, out: &mut [u8]) -> Result<()> {
            self.read.push(rectangle);
            let Rectangle { top, left, height, width } = rectangle;
            let part = self.pixels.as_ref().narrow(HEIGHT, top, height)?;
            Ok(part.narrow(WIDTH, left, width)?.read_into(out)?)
        }

        fn read_strips(&mut self, rectangle: Rectangle, take: &mut dyn FnMut(&[u8])) -> Result<()> {
            let row = rectangle.width * self.stored_shape()[2];
            let mut pixels = vec![0; rectangle.height * row];
            self.read(rectangle, &mut pixels)?;
            // Of one row, of two, and so on.
            let (mut rest, mut rows) = (&pixels[..], 1);
            while !rest.is_empty() {
                let (strip, after) = rest.split_at(rest.len().min(rows * row));
                take(strip);
                (rest, rows) = (after, rows + 1);
            }
            Ok(())
        }
    }

    /// What a list makes of an image, or the error.
    fn run(
        list: &[Box<dyn Step>],
        shape: ItemShape<'_>,
        item: u64,
        of_item: &[usize],
        run: impl FnOnce(&Pipeline, &[crate::Drawn], &mut [u8], &mut Scratch) -> Result<()>,
    ) -> std::result::Result<(Vec<usize>, Vec<u8>), String> {
        let made = || -> Result<_> {
            let pipeline = Pipeline::compile(list, shape, &DType::U8)?;
            let drawn = pipeline.draw(Stream::new(0, "image"), 0, item, of_item)?;
            let mut out = vec![0; pipeline.nbytes()];
            run(&pipeline, &drawn, &mut out, &mut Scratch::default())?;
            Ok((pipeline.shape().to_vec(), out))
        };
        made().map_err(|error: Error| error.to_string())
    }

    fn step() -> impl Strategy<Value = Box<dyn Step>> {
        const SIDES: std::ops::Range<usize> = 1..12;
        let filter = Filter { interpolation: Interpolation::Bilinear, antialias: true };
        let (scale, ratio) = (Interval { low: 0.2, high: 0.9 }, Interval { low: 0.5, high: 2.0 });
        let jitter = ColorJitter {
            brightness: Some(Interval { low: 0.5, high: 1.5 }),
            contrast: Some(Interval { low: 0.5, high: 1.5 }),
            saturation: None,
            hue: None,
        };
        let padding = || (0..5usize, 0..5usize, 0..5usize, 0..5usize);
        let mode = || {
            prop::sample::select(vec![
                Padding::Constant,
                Padding::Edge,
                Padding::Reflect,
                Padding::Symmetric,
            ])
        };
        prop_oneof![
            (SIDES, SIDES, any::<bool>(), padding(), mode()).prop_map(
                |(height, width, pad_if_needed, (a, b, c, d), mode)| RandomCrop {
                    padding: [a, b, c, d],
                    pad_if_needed,
                    fill: Fill::new(mode, vec![]),
                    ..RandomCrop::new(height, width)
                }
                .boxed()
            ),
            (SIDES, SIDES).prop_map(|(height, width)| CenterCrop::new(height, width).boxed()),
            (0..4usize, 0..4usize, SIDES, SIDES).prop_map(|(top, left, height, width)| Crop {
                rectangle: Rectangle { top, left, height, width }
            }
            .boxed()),
            (padding(), mode()).prop_map(|((a, b, c, d), mode)| Pad {
                padding: [a, b, c, d],
                fill: Fill::new(mode, vec![])
            }
            .boxed()),
            (SIDES, SIDES).prop_map(move |(height, width)| Resize::new(
                TargetSize::Exactly { height, width },
                filter
            )
            .boxed()),
            SIDES.prop_map(move |size| Resize::new(
                TargetSize::Shorter { size, max_size: None },
                filter
            )
            .boxed()),
            (SIDES, SIDES).prop_map(move |(height, width)| RandomResizedCrop::new(
                Size { height, width },
                scale,
                ratio,
                filter
            )
            .boxed()),
            Just(RandomHorizontalFlip { p: 0.5 }.boxed()),
            Just(RandomVerticalFlip { p: 0.5 }.boxed()),
            Just(RandomQuarterTurn { turns: vec![0, 2] }.boxed()),
            Just(RandomQuarterTurn { turns: vec![1, 3] }.boxed()),
            Just(RandomGrayscale { p: 0.5 }.boxed()),
            Just(ToDtype { dtype: DType::F32, scale: true }.boxed()),
            Just(Normalize { mean: vec![0.5], std: vec![0.25] }.boxed()),
            Just(ChannelsFirst::default().boxed()),
            Just(ChannelsFirst { memory_format: MemoryFormat::ChannelsLast }.boxed()),
            Just(RandomErasing::new(0.7, scale, ratio, Erasure::Values(vec![0.0])).boxed()),
            Just(RandomJitter { sigma: 0.1 }.boxed()),
            Just(RandomScale { factor: scale, per_feature: false }.boxed()),
            Just(jitter.clone().boxed()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn a_lazy_image_becomes_what_its_pixels_become(
            mut list in prop::collection::vec(step(), 0..5),
            ends_in_a_crop in any::<bool>(),
            (height, width) in (1..20usize, 1..20usize),
            channels in prop::sample::select(vec![1, 3, 4]),
            orientation in prop::sample::select(ORIENTATIONS.to_vec()),
            item in 0..1000u64,
        ) {
            if ends_in_a_crop {
                list.push(CenterCrop::new(7, 9).boxed());
            }
            let mut image = Counted { orientation, ..Counted::new(height, width, channels) };
            let (shown, shape) = (image.shown(), image.shape());
            let fixed = ItemShape::fixed(&shape);
            let expected = run(&list, fixed, item, &shape, |pipeline, drawn, out, scratch| {
                pipeline.run(shown.as_ref(), drawn, out, Stores::Cached, scratch)
            });
            let got = run(&list, fixed, item, &shape, |pipeline, drawn, out, scratch| {
                pipeline.run_lazy(&mut image, drawn, out, Stores::Cached, scratch)
            });
            prop_assert_eq!(&got, &expected);
            prop_assert!(image.read.len() <= 1);
            // Of images whose sizes are unknown when the list is compiled.
            let (least, most) = ([1, 1, channels], [usize::MAX, usize::MAX, channels]);
            let open = ItemShape::open(&least, &most);
            let got = run(&list, open, item, &shape, |pipeline, drawn, out, scratch| {
                pipeline.run_lazy(&mut image, drawn, out, Stores::Cached, scratch)
            });
            match (got, expected) {
                // What may be refused as some images would not fit.
                (Err(error), _)
                    if ["sizes of their own", "needs a square image"]
                        .iter()
                        .any(|words| error.contains(words)) => {}
                (Err(_), Err(_)) => {}
                (got, expected) => prop_assert_eq!(got, expected),
            }
        }
    }

    /// The rectangles that a list reads of an image of 40 x 60.
    fn read(list: &[Box<dyn Step>], orientation: Orientation) -> Vec<Rectangle> {
        let mut image = Counted { orientation, ..Counted::new(40, 60, 3) };
        let shape = image.shape();
        let made =
            run(list, ItemShape::fixed(&shape), 5, &shape, |pipeline, drawn, out, scratch| {
                pipeline.run_lazy(&mut image, drawn, out, Stores::Cached, scratch)
            });
        made.unwrap();
        image.read
    }

    fn crop(top: usize, left: usize, height: usize, width: usize) -> Box<dyn Step> {
        Crop { rectangle: Rectangle { top, left, height, width } }.boxed()
    }

    #[test]
    fn only_the_rectangle_that_is_visible_is_read() {
        let flip = RandomHorizontalFlip { p: 1.0 }.boxed();
        let to_float = ToDtype { dtype: DType::F32, scale: true }.boxed();
        let filter = Filter { interpolation: Interpolation::Bilinear, antialias: true };
        let resize =
            |height, width| Resize::new(TargetSize::Exactly { height, width }, filter).boxed();
        let upright = Orientation::Upright;
        let kept = Rectangle { top: 7, left: 11, height: 5, width: 9 };
        for rest in [
            vec![],
            vec![flip.clone()],
            vec![to_float.clone()],
            vec![flip.clone(), to_float.clone(), ChannelsFirst::default().boxed()],
            vec![resize(3, 3), flip.clone()],
            vec![RandomGrayscale { p: 1.0 }.boxed()],
        ] {
            let list = [vec![crop(5, 10, 20, 30), crop(2, 1, 5, 9)], rest].concat();
            assert_eq!(read(&list, upright), [kept], "{list:?}");
        }
        // After a flip, the crop is of the other side.
        let mirrored = Rectangle { left: 60 - 11 - 9, ..kept };
        assert_eq!(read(&[flip, crop(7, 11, 5, 9)], upright), [mirrored]);
        // Of a padded image, its own visible part.
        let pad = Pad { padding: [3, 4, 0, 0], fill: Fill::default() }.boxed();
        let corner = Rectangle { top: 0, left: 0, height: 2, width: 5 };
        assert_eq!(read(&[pad, crop(0, 0, 6, 8)], upright), [corner]);
        // The random crop of a classifier.
        let (scale, ratio) = (Interval { low: 0.1, high: 0.2 }, Interval { low: 1.0, high: 1.0 });
        let size = Size { height: 8, width: 8 };
        let random = RandomResizedCrop::new(size, scale, ratio, filter).boxed();
        let Rectangle { height, width, .. } = read(&[random], upright)[0];
        assert!(height * width <= 40 * 60 / 5 + 40, "{height} x {width}");
        // Turned to be upright, the rectangle is one of the stored image.
        let turned = Rectangle { top: 40 - 11 - 9, left: 7, height: 9, width: 5 };
        assert_eq!(read(&[crop(7, 11, 5, 9)], Orientation::Rotate90), [turned]);
    }

    #[test]
    fn an_image_that_no_transform_fits_is_refused_in_the_words_of_a_known_size() {
        let (least, most) = ([1, 1, 3], [usize::MAX, usize::MAX, 3]);
        let open = ItemShape::open(&least, &most);
        let message = |list: &[Box<dyn Step>], image: &mut Counted| {
            let shape = image.shape();
            let made = run(list, open, 0, &shape, |pipeline, drawn, out, scratch| {
                pipeline.run_lazy(image, drawn, out, Stores::Cached, scratch)
            });
            made.unwrap_err()
        };
        let reflect =
            Pad { padding: [9, 0, 0, 0], fill: Fill::new(Padding::Reflect, vec![]) }.boxed();
        let last = CenterCrop::new(4, 4).boxed();
        for (list, expected) in [
            (
                vec![RandomCrop::new(50, 20).boxed()],
                "RandomCrop(50, 20) is larger than the image, which has height 8 and width 5",
            ),
            (
                vec![crop(3, 3, 3, 3)],
                "Crop(6, 6) is larger than the image, which has height 8 and width 5",
            ),
            (
                vec![reflect, last.clone()],
                "Pad: padding [9, 0, 0, 0] (left, top, right, bottom) mirrors more than the image \
                 has, which is 8 high and 5 wide",
            ),
            (
                vec![RandomHorizontalFlip { p: 0.5 }.boxed()],
                "images have sizes of their own, [?, ?, 3], and a batch has one: end with a \
                 transform that makes them one size, such as Resize((224, 224)), \
                 RandomResizedCrop(224) or CenterCrop(224)",
            ),
            (
                vec![RandomQuarterTurn { turns: vec![1] }.boxed(), last],
                "RandomQuarterTurn by 90 or 270 degrees needs square images, and these have sizes \
                 of their own; crop them first",
            ),
        ] {
            let mut image = Counted::new(8, 5, 3);
            assert_eq!(message(&list, &mut image), expected);
            assert!(image.read.is_empty());
        }
    }

    #[test]
    fn pixels_that_need_no_change_are_read_into_their_place() {
        let mut image = Counted::new(9, 9, 3);
        let pipeline = Pipeline::compile(&[crop(1, 2, 3, 4)], &[9, 9, 3][..], &DType::U8).unwrap();
        let (mut out, mut scratch) = (vec![0; pipeline.nbytes()], Scratch::default());
        pipeline.run_lazy(&mut image, &[], &mut out, Stores::Cached, &mut scratch).unwrap();
        assert_eq!(scratch.nbytes(), 0);
        let mut small = vec![0; 5];
        let error = pipeline
            .run_lazy(&mut image, &[], &mut small, Stores::Cached, &mut scratch)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "destination has 5 bytes, expected 36");
    }
}
