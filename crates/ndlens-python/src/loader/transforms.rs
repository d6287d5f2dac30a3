//! The transforms of `ndlens.transforms`, extracted.

use ndlens::kernels::{Filter, Interpolation};
use ndlens::transforms::{Convention, Erasure, Filling, Interval, Padding, Target, Transform};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use crate::error::{OrRaise, in_place};
use crate::interop::dtype::extract_dtype;
use crate::provided;

/// A list of transforms, ours or torchvision's, and whose they are.
pub(crate) fn extract_list(
    transforms: &Bound<'_, PyAny>,
) -> PyResult<(Vec<Transform>, Convention)> {
    let py = transforms.py();
    let lowered = provided::LOWERED.get(py)?.call1((transforms,))?;
    let (transforms, torchvisions, to_image): (Bound<'_, PyAny>, bool, bool) = lowered.extract()?;
    let convention =
        if torchvisions { Convention::Torchvision { to_image } } else { Convention::Ndlens };
    let several = transforms.try_iter().map_err(|_| {
        let kind =
            transforms.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        let hint = if is_ours(&transforms) {
            format!(": put it in one, [{kind}(..)]")
        } else {
            String::new()
        };
        PyTypeError::new_err(format!("expected a list of transforms, got {kind}{hint}"))
    });
    let in_list = |(number, transform): (usize, PyResult<Bound<'_, PyAny>>)| {
        extract(&transform?).map_err(|error| in_place(py, &format!("transform {number}"), error))
    };
    Ok((several?.enumerate().map(in_list).collect::<PyResult<_>>()?, convention))
}

/// Whether it is one of `ndlens.transforms`.
fn is_ours(object: &Bound<'_, PyAny>) -> bool {
    object.get_type().module().is_ok_and(|module| module == "ndlens.transforms")
}

/// Whether these are the transforms of one field, and not lists of them, one for each of several
/// fields.
pub(crate) fn is_one_list(transforms: &Bound<'_, PyAny>) -> PyResult<bool> {
    provided::IS_ONE_LIST.get(transforms.py())?.call1((transforms,))?.extract()
}

fn extract(transform: &Bound<'_, PyAny>) -> PyResult<Transform> {
    let class = transform.get_type();
    let unknown = || {
        if let Ok(itself) = transform.cast::<PyType>() {
            let name = itself.name()?;
            return Err(PyTypeError::new_err(format!(
                "{name} is a class, expected one of its objects: {name}(..)"
            )));
        }
        let name = class.fully_qualified_name()?;
        Err(PyTypeError::new_err(format!("{name} is not a transform of ndlens.transforms")))
    };
    if class.module()? != "ndlens.transforms" {
        return unknown();
    }
    let attribute = |name| transform.getattr(name);
    Ok(match class.name()?.to_str()? {
        "RandomCrop" => {
            let (height, width) = attribute("size")?.extract()?;
            let pad_if_needed = attribute("pad_if_needed")?.extract()?;
            let (padding, fill) = (padding(transform)?, filling(transform)?);
            Transform::RandomCrop { height, width, padding, pad_if_needed, fill }
        }
        "Crop" => Transform::Crop {
            top: attribute("top")?.extract()?,
            left: attribute("left")?.extract()?,
            height: attribute("height")?.extract()?,
            width: attribute("width")?.extract()?,
        },
        "Resize" => {
            let (size, max_size): (Option<Vec<usize>>, Option<usize>) =
                (attribute("size")?.extract()?, attribute("max_size")?.extract()?);
            let target = Target::new(size.as_deref(), max_size).or_raise()?;
            Transform::Resize { target, filter: filter(transform)? }
        }
        "RandomResizedCrop" => {
            let (height, width) = attribute("size")?.extract()?;
            let (scale, ratio) = (interval(&attribute("scale")?)?, interval(&attribute("ratio")?)?);
            Transform::RandomResizedCrop { height, width, scale, ratio, filter: filter(transform)? }
        }
        "Pad" => Transform::Pad { padding: padding(transform)?, fill: filling(transform)? },
        "RandomQuarterTurn" => {
            // Python's numbers may be larger than any integer here.
            let turn = |degrees: PyResult<Bound<'_, PyAny>>| {
                degrees?.floor_div(90)?.rem(4)?.extract::<u8>()
            };
            let turns = attribute("degrees")?.try_iter()?.map(turn).collect::<PyResult<_>>()?;
            Transform::RandomQuarterTurn { turns }
        }
        "CenterCrop" => {
            let (height, width) = attribute("size")?.extract()?;
            Transform::CenterCrop { height, width }
        }
        "RandomHorizontalFlip" => Transform::RandomHorizontalFlip { p: attribute("p")?.extract()? },
        "RandomVerticalFlip" => Transform::RandomVerticalFlip { p: attribute("p")?.extract()? },
        "ToDtype" => Transform::ToDtype {
            dtype: extract_dtype(&attribute("dtype")?)?,
            scale: attribute("scale")?.extract()?,
        },
        "Normalize" => Transform::Normalize {
            mean: attribute("mean")?.extract()?,
            std: attribute("std")?.extract()?,
        },
        "Standardize" => Transform::Standardize {
            mean: attribute("mean")?.extract()?,
            std: attribute("std")?.extract()?,
        },
        "ColorJitter" => Transform::ColorJitter {
            brightness: optional_interval(transform, "brightness")?,
            contrast: optional_interval(transform, "contrast")?,
            saturation: optional_interval(transform, "saturation")?,
            hue: optional_interval(transform, "hue")?,
        },
        "RandomGrayscale" => Transform::RandomGrayscale { p: attribute("p")?.extract()? },
        "RandomErasing" => Transform::RandomErasing {
            p: attribute("p")?.extract()?,
            scale: interval(&attribute("scale")?)?,
            ratio: interval(&attribute("ratio")?)?,
            value: match attribute("value")? {
                value if value.is_instance_of::<PyString>() => Erasure::Random,
                value => Erasure::Values(value.extract()?),
            },
        },
        "RandomScale" => Transform::RandomScale {
            factor: Interval {
                low: attribute("low")?.extract()?,
                high: attribute("high")?.extract()?,
            },
            per_feature: attribute("per_feature")?.extract()?,
        },
        "RandomJitter" => Transform::RandomJitter { sigma: attribute("sigma")?.extract()? },
        "ChannelsFirst" if attribute("memory_format")?.eq("channels_last")? => {
            Transform::ChannelsLastFormat
        }
        "ChannelsFirst" => Transform::ChannelsFirst,
        _ => return unknown(),
    })
}

/// How values between pixels are found.
fn filter(transform: &Bound<'_, PyAny>) -> PyResult<Filter> {
    let name: String = transform.getattr("interpolation")?.extract()?;
    let interpolation = Interpolation::from_name(&name)
        .ok_or_else(|| PyValueError::new_err(format!("unknown interpolation {name:?}")))?;
    Ok(Filter { interpolation, antialias: transform.getattr("antialias")?.extract()? })
}

/// A pair of numbers.
fn interval(pair: &Bound<'_, PyAny>) -> PyResult<Interval> {
    let (low, high) = pair.extract()?;
    Ok(Interval { low, high })
}

fn optional_interval(transform: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Interval>> {
    let pair: Option<Bound<'_, PyAny>> = transform.getattr(name)?.extract()?;
    pair.map(|pair| interval(&pair)).transpose()
}

/// Pixels to the left, top, right and bottom.
fn padding(transform: &Bound<'_, PyAny>) -> PyResult<[usize; 4]> {
    let (left, top, right, bottom) = transform.getattr("padding")?.extract()?;
    Ok([left, top, right, bottom])
}

/// What stands in the padding.
fn filling(transform: &Bound<'_, PyAny>) -> PyResult<Filling> {
    let mode: String = transform.getattr("padding_mode")?.extract()?;
    let mode = Padding::from_name(&mode)
        .ok_or_else(|| PyValueError::new_err(format!("unknown padding mode {mode:?}")))?;
    Ok(Filling { mode, values: transform.getattr("fill")?.extract()? })
}
