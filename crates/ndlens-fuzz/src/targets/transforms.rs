//! Lists of transforms with any arguments over items of any shape and dtype, against the same list
//! step by step.

use arbitrary::{Arbitrary, Result, Unstructured};
use ndlens_core::{Buffer, DType, ErrorKind, Layout, Order, View};
use ndlens_kernels::Stores;
use ndlens_transforms::{Argument, Drawn, DrawnList, Pipeline, Scratch, Step, Stream, by_name};

use crate::memory;
use crate::numbers::{self, Extent, Real, Small, list};
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "transforms",
    promise: "a compiled list makes what its steps make one by one, or is refused at the check",
    run: |data| numbers::read(data, run),
    max_len: 256,
};

/// Items and results that are made, in bytes.
const MADE: usize = 1 << 16;

/// The arguments of each transform, by the kind of value that makes sense for it.
const ARGUMENTS: &[(&str, &[(&str, Kind)])] = &[
    (
        "RandomCrop",
        &[
            ("size", Kind::Sizes(2)),
            ("padding", Kind::Sizes(4)),
            ("pad_if_needed", Kind::Bool),
            ("fill", Kind::Reals),
            ("padding_mode", Kind::Padding),
        ],
    ),
    ("CenterCrop", &[("size", Kind::Sizes(2))]),
    (
        "Crop",
        &[("top", Kind::Size), ("left", Kind::Size), ("height", Kind::Size), ("width", Kind::Size)],
    ),
    ("Pad", &[("padding", Kind::Sizes(4)), ("fill", Kind::Reals), ("padding_mode", Kind::Padding)]),
    ("RandomHorizontalFlip", &[("p", Kind::Probability)]),
    ("RandomVerticalFlip", &[("p", Kind::Probability)]),
    ("RandomQuarterTurn", &[("degrees", Kind::Degrees)]),
    (
        "Resize",
        &[
            ("size", Kind::Target),
            ("max_size", Kind::OptionalSize),
            ("interpolation", Kind::Interpolation),
            ("antialias", Kind::Bool),
        ],
    ),
    (
        "RandomResizedCrop",
        &[
            ("size", Kind::Sizes(2)),
            ("scale", Kind::Interval),
            ("ratio", Kind::Interval),
            ("interpolation", Kind::Interpolation),
            ("antialias", Kind::Bool),
        ],
    ),
    (
        "ColorJitter",
        &[
            ("brightness", Kind::Interval),
            ("contrast", Kind::Interval),
            ("saturation", Kind::Interval),
            ("hue", Kind::Interval),
        ],
    ),
    ("RandomGrayscale", &[("p", Kind::Probability)]),
    (
        "RandomErasing",
        &[
            ("p", Kind::Probability),
            ("scale", Kind::Interval),
            ("ratio", Kind::Interval),
            ("value", Kind::Erasure),
        ],
    ),
    ("RandomScale", &[("low", Kind::Real), ("high", Kind::Real), ("per_feature", Kind::Bool)]),
    ("RandomJitter", &[("sigma", Kind::Real)]),
    ("ToDtype", &[("dtype", Kind::DType), ("scale", Kind::Bool)]),
    ("Normalize", &[("mean", Kind::Reals), ("std", Kind::Reals)]),
    ("Standardize", &[("mean", Kind::Reals), ("std", Kind::Reals)]),
    ("ChannelsFirst", &[("memory_format", Kind::MemoryFormat)]),
];

/// The kind of an argument's value.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    Real,
    Reals,
    Probability,
    Size,
    OptionalSize,
    Sizes(usize),
    Target,
    Interval,
    Degrees,
    Padding,
    Interpolation,
    Erasure,
    DType,
    MemoryFormat,
}

impl Kind {
    fn value(self, u: &mut Unstructured<'_>) -> Result<Argument> {
        let size = |u: &mut Unstructured<'_>| Ok(Argument::Int(Extent::arbitrary(u)?.0 as i128));
        let real = |u: &mut Unstructured<'_>| Ok(Argument::Float(Real::arbitrary(u)?.0));
        let word = |word: &str| Argument::Text(word.to_owned());
        // Now and then something else entirely.
        if u8::arbitrary(u)? == 255 {
            return Ok(match u8::arbitrary(u)? % 4 {
                0 => Argument::None,
                1 => Argument::Int(Small::arbitrary(u)?.0 as i128),
                2 => Argument::List(vec![]),
                _ => word("?"),
            });
        }
        Ok(match self {
            Kind::Bool => Argument::Bool(bool::arbitrary(u)?),
            Kind::Real => real(u)?,
            Kind::Reals => {
                let len = *u.choose(&[1, 1, 3, 0, 2, 4])?;
                Argument::List((0..len).map(|_| real(u)).collect::<Result<_>>()?)
            }
            Kind::Probability => match u8::arbitrary(u)? % 8 {
                0 => real(u)?,
                part => Argument::Float(f64::from(part - 1) / 6.0),
            },
            Kind::Size => size(u)?,
            Kind::OptionalSize => {
                if bool::arbitrary(u)? {
                    size(u)?
                } else {
                    Argument::None
                }
            }
            Kind::Sizes(len) => Argument::List((0..len).map(|_| size(u)).collect::<Result<_>>()?),
            Kind::Target => {
                let len = u.int_in_range(0..=2)?;
                Argument::List((0..len).map(|_| size(u)).collect::<Result<_>>()?)
            }
            Kind::Interval => match u8::arbitrary(u)? % 4 {
                0 => Argument::None,
                1 => Argument::List(vec![real(u)?, real(u)?]),
                _ => {
                    let (low, span) = (u8::arbitrary(u)? % 8, u8::arbitrary(u)? % 8);
                    let [low, high] = [low, low + span].map(|eighths| f64::from(eighths) / 8.0);
                    Argument::List(vec![Argument::Float(low), Argument::Float(high)])
                }
            },
            Kind::Degrees => {
                let degrees: Vec<Small> = list(u, 4)?;
                let quarter = |n: &Small| Argument::Int(n.0 as i128 * 90);
                Argument::List(degrees.iter().map(quarter).collect())
            }
            Kind::Padding => word(u.choose(&["constant", "edge", "reflect", "symmetric"])?),
            Kind::Interpolation => {
                word(u.choose(&["bilinear", "bicubic", "nearest", "nearest-exact"])?)
            }
            Kind::Erasure => {
                if bool::arbitrary(u)? {
                    word("random")
                } else {
                    Kind::Reals.value(u)?
                }
            }
            Kind::DType => word(u.choose(DType::table())?.name),
            Kind::MemoryFormat => word(u.choose(&["contiguous", "channels_last"])?),
        })
    }
}

fn step(u: &mut Unstructured<'_>) -> Result<Option<Box<dyn Step>>> {
    let (name, arguments) = u.choose(ARGUMENTS)?;
    let value = |(name, kind): &(&str, Kind)| Ok(((*name).to_owned(), kind.value(u)?));
    let arguments = arguments.iter().map(value).collect::<Result<_>>()?;
    Ok(by_name(name, arguments).ok())
}

/// An item in the middle of its memory, in some order of axes.
fn item(u: &mut Unstructured<'_>) -> Result<View> {
    let ndim = *u.choose(&[3, 3, 3, 2, 1, 0, 4])?;
    let mut shape: Vec<usize> = vec![];
    for axis in 0..ndim {
        let most = if axis == 2 { 4 } else { 17 };
        shape.push(if u8::arbitrary(u)? == 255 { 0 } else { u.int_in_range(1..=most)? });
    }
    let dtype = match u8::arbitrary(u)? % 3 {
        0 => DType::U8,
        1 => DType::F32,
        _ => u.choose(DType::table())?.dtype.clone(),
    };
    let size = dtype.itemsize();
    let packed = Layout::contiguous(&shape, size, Order::C).expect("a small shape");
    let len = shape.iter().product::<usize>() * size;
    let seed = u8::arbitrary(u)?;
    let bytes: Vec<u8> =
        (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed).rotate_left(3)).collect();
    // Numbers, not any bits: sums of a NaN in another order are other NaNs.
    let view = View::new(Buffer::from_vec(bytes), packed, dtype.clone()).expect("a layout");
    if matches!(dtype, DType::F32) && !view.is_empty() {
        let count = view.len();
        let numbers = (0..count).map(|i| ((i * 37 + usize::from(seed)) % 101) as f32 / 100.0);
        let numbers = View::from_vec(numbers.collect::<Vec<f32>>());
        view.assign(
            &numbers
                .reshape(&shape.iter().map(|&n| n as isize).collect::<Vec<_>>())
                .expect("as many"),
        )
        .expect("writable");
    }
    Ok(match u8::arbitrary(u)? % 4 {
        0 if ndim > 0 => view.flip(&[0]).expect("an axis"),
        _ => view,
    })
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let item = item(u)?;
    let (mut steps, len) = (vec![], u.int_in_range(0..=5)?);
    for _ in 0..len {
        steps.extend(step(u)?);
    }
    let number = u8::arbitrary(u)?;
    let Ok(pipeline) = Pipeline::compile(&steps, item.shape(), item.dtype()) else {
        return Ok(());
    };
    let drawn = pipeline
        .draw(Stream::new(7, "item"), 0, number.into(), item.shape())
        .expect("an item of the compiled shape");
    assert_eq!(drawn.len(), pipeline.random().count());
    if pipeline.nbytes() > MADE {
        return Ok(());
    }
    let Some(made) = make(&pipeline, &item, &drawn) else { return Ok(()) };
    one_by_one(&steps, &item, &pipeline, &drawn, &made);
    Ok(())
}

/// The item's bytes, and that no byte after them was written; None if there is no memory for what
/// is between its steps.
fn make(pipeline: &Pipeline, item: &View, drawn: &[Drawn]) -> Option<Vec<u8>> {
    let nbytes = pipeline.nbytes();
    let mut out = vec![0xAA; nbytes + 64];
    let scratch = &mut Scratch::default();
    let (made, _) = memory::claimed(|| {
        pipeline.run(item.as_ref(), drawn, &mut out[..nbytes], Stores::Cached, scratch)
    });
    assert!(out[nbytes..].iter().all(|&byte| byte == 0xAA));
    if let Err(error) = made {
        let no_memory = matches!(error.kind(), ErrorKind::OutOfMemory);
        assert!(no_memory, "{error}");
        return None;
    }
    out.truncate(nbytes);
    Some(out)
}

/// How close the two results must be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Agreement {
    Exact,
    /// Maps that are fused round once, those that are not at each step.
    Rounded,
    /// A small difference may become a large one, as in the hue of a gray pixel.
    Shape,
}

fn agreement(steps: &[Box<dyn Step>], item: &View, result: &DType) -> Agreement {
    let is_map = |name: &str| ["ToDtype", "Normalize", "Standardize"].contains(&name);
    let maps = steps.iter().filter(|step| is_map(step.name())).count();
    let named = |name: &str| steps.iter().any(|step| step.name() == name);
    let plain = |dtype: &DType| matches!(dtype, DType::U8 | DType::F32);
    if maps <= 1 {
        Agreement::Exact
    } else if named("ColorJitter") || !plain(item.dtype()) || result != &DType::F32 {
        Agreement::Shape
    } else {
        Agreement::Rounded
    }
}

/// Each step compiled alone and run on what the one before it made. The order of channels is
/// changed last, since the steps after it mean the same axes.
fn one_by_one(
    steps: &[Box<dyn Step>],
    item: &View,
    pipeline: &Pipeline,
    drawn: &DrawnList,
    made: &[u8],
) {
    let (mut now, mut drawn) = (item.clone(), drawn.iter());
    let mut dtypes = vec![item.dtype().clone()];
    for step in steps.iter().filter(|step| step.name() != "ChannelsFirst") {
        let one = std::slice::from_ref(step);
        let Ok(single) = Pipeline::compile(one, now.shape(), now.dtype()) else {
            // What is refused alone is accepted where a later step changes the elements anyway.
            return;
        };
        if single.nbytes() > MADE {
            return;
        }
        let own: DrawnList = drawn.by_ref().take(single.random().count()).cloned().collect();
        let Some(bytes) = make(&single, &now, &own) else { return };
        let layout = Layout::contiguous(single.shape(), single.dtype().itemsize(), Order::C);
        dtypes.push(single.dtype().clone());
        now = View::new(
            Buffer::from_vec(bytes),
            layout.expect("a shape that was made"),
            single.dtype().clone(),
        )
        .expect("as many bytes");
    }
    assert!(drawn.next().is_none(), "a parameter that no step takes");
    // Elsewhere the channels stay last in memory.
    let moved = |step: &dyn Step| format!("{step:?}").contains("Contiguous");
    if steps.iter().any(|step| step.name() == "ChannelsFirst" && moved(&**step)) {
        now = now.permute(&[2, 0, 1]).expect("an image");
    }
    assert_eq!((now.shape(), now.dtype()), (pipeline.shape(), pipeline.dtype()));
    let expected = now.packed_bytes().expect("few bytes");
    let plain = dtypes.iter().all(|dtype| matches!(dtype, DType::U8 | DType::F32));
    match agreement(steps, item, pipeline.dtype()) {
        Agreement::Exact => assert_eq!(made, expected, "{steps:?} of {item:?}"),
        Agreement::Rounded if plain => {
            let numbers = |bytes: &[u8]| -> Vec<f32> {
                bytes
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect()
            };
            for (a, b) in numbers(made).into_iter().zip(numbers(&expected)) {
                let close = (a - b).abs() <= 1e-4 * (1.0 + a.abs().max(b.abs()));
                assert!(close || !a.is_finite() || !b.is_finite(), "{a} and {b}: {steps:?}");
            }
        }
        Agreement::Rounded | Agreement::Shape => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndlens_transforms::names;

    #[test]
    fn every_transform_is_in_the_table() {
        let mut known: Vec<_> = ARGUMENTS.iter().map(|(name, _)| *name).collect();
        let mut all: Vec<_> = names().collect();
        known.sort_unstable();
        all.sort_unstable();
        assert_eq!(known, all);
    }
}
