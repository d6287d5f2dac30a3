//! The transforms of `ndlens.transforms`, extracted.

use ndlens::DType;
use ndlens::loader::Transform;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A list of transforms.
pub(crate) fn extract_list(transforms: &Bound<'_, PyAny>) -> PyResult<Vec<Transform>> {
    let several = transforms.try_iter().map_err(|_| {
        let kind = transforms.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("expected a list of transforms, got {kind}"))
    });
    several?.map(|transform| extract(&transform?)).collect()
}

fn extract(transform: &Bound<'_, PyAny>) -> PyResult<Transform> {
    let class = transform.get_type();
    let unknown = || {
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
            Transform::RandomCrop { height, width }
        }
        "CenterCrop" => {
            let (height, width) = attribute("size")?.extract()?;
            Transform::CenterCrop { height, width }
        }
        "RandomHorizontalFlip" => Transform::RandomHorizontalFlip { p: attribute("p")?.extract()? },
        "RandomVerticalFlip" => Transform::RandomVerticalFlip { p: attribute("p")?.extract()? },
        "ToDtype" => {
            let name: String = attribute("dtype")?.extract()?;
            let dtype = DType::from_name(&name)
                .ok_or_else(|| PyValueError::new_err(format!("ToDtype: unknown dtype {name:?}")))?;
            Transform::ToDtype { dtype, scale: attribute("scale")?.extract()? }
        }
        "Normalize" => {
            Transform::Normalize { mean: attribute("mean")?.extract()?, std: attribute("std")?.extract()? }
        }
        "ChannelsFirst" => Transform::ChannelsFirst,
        _ => return unknown(),
    })
}
