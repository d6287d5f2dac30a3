//! The fields of images and of labels, and whether they can be mixed.

use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::mixing::mix::Mix;
use crate::mixing::region::Image;

/// The description of an image in errors.
const IMAGE: &str = "(height, width) or (height, width, channels), with at least one pixel";

/// A field to mix: the properties of its output items.
#[derive(Debug, Clone, Copy)]
pub struct MixField<'a> {
    /// The field's name.
    pub name: &'a str,
    /// The shape of an item.
    pub shape: &'a [usize],
    /// The dtype of its elements.
    pub dtype: &'a DType,
    /// The arrangement of an image in memory; None if items are not images.
    pub image: Option<Image>,
    /// Whether items have three axes of unknown order.
    pub channels_unclear: bool,
}

/// Whether elements are numbers of classes.
fn is_integer(dtype: &DType) -> bool {
    matches!(
        dtype,
        DType::U8
            | DType::I8
            | DType::U16
            | DType::I16
            | DType::U32
            | DType::I32
            | DType::U64
            | DType::I64
    )
}

fn is_float(dtype: &DType) -> bool {
    matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64)
}

/// Whether a field could hold labels: numbers of classes, if the number of classes is known, or as
/// many probabilities.
fn may_be_labels(field: &MixField<'_>, num_classes: Option<usize>) -> bool {
    let (shape, dtype) = (field.shape, field.dtype);
    match shape {
        [] => is_integer(dtype) && num_classes.is_some(),
        &[classes] => is_float(dtype) && num_classes.is_none_or(|expected| expected == classes),
        _ => false,
    }
}

/// The places of the fields with images and of the field with labels: the named fields, or else the
/// only possible ones.
pub(super) fn find(
    fields: &[MixField<'_>],
    images: Option<&[usize]>,
    labels: Option<usize>,
    num_classes: Option<usize>,
) -> Result<(Vec<usize>, usize)> {
    let named = images.unwrap_or_default();
    if let Some(&got) = named.iter().chain(&labels).find(|&&place| place >= fields.len()) {
        return Err(Error::NoSuchField { got, fields: fields.len() });
    }
    let labels = if let Some(labels) = labels {
        labels
    } else {
        let fits =
            |place: &usize| !named.contains(place) && may_be_labels(&fields[*place], num_classes);
        let fitting: Vec<usize> = (0..fields.len()).filter(fits).collect();
        let says_so = |place: &usize| fields[*place].name.to_lowercase().contains("label");
        let saying_so: Vec<usize> = fitting.iter().copied().filter(says_so).collect();
        // Without the number of classes only probabilities look like labels.
        let unnumbered = fitting.is_empty() && num_classes.is_none();
        only(
            "labels",
            fields,
            if saying_so.len() == 1 { &saying_so } else { &fitting },
            unnumbered,
        )?
    };
    let images = if let Some(images) = images {
        images.to_vec()
    } else {
        let fits = |place: &usize| *place != labels && !fields[*place].shape.is_empty();
        let fitting: Vec<usize> = (0..fields.len()).filter(fits).collect();
        vec![only("images", fields, &fitting, false)?]
    };
    if images.is_empty() {
        return Err(Error::UnclearMix { what: "images", candidates: vec![], unnumbered: false });
    }
    let twice = |(n, place): (usize, &usize)| *place == labels || images[..n].contains(place);
    if let Some(place) = images.iter().enumerate().position(twice) {
        return Err(Error::MixedTwice { field: fields[images[place]].name.to_owned() });
    }
    Ok((images, labels))
}

fn only(
    what: &'static str,
    fields: &[MixField<'_>],
    fitting: &[usize],
    unnumbered: bool,
) -> Result<usize> {
    let &[place] = fitting else {
        let candidates = fitting.iter().map(|&place| fields[place].name.to_owned()).collect();
        return Err(Error::UnclearMix { what, candidates, unnumbered });
    };
    Ok(place)
}

/// The height and width of the images, if rectangles are cut. Fails if these ways cannot mix the
/// images.
pub(super) fn check_images(
    fields: &[MixField<'_>],
    images: &[usize],
    mixes: &[Mix],
) -> Result<Option<[usize; 2]>> {
    let blends = mixes.iter().any(|mix| matches!(mix, Mix::MixUp { .. }));
    let cuts = mixes.iter().any(|mix| matches!(mix, Mix::CutMix { .. }));
    let mut first: Option<(&str, [usize; 2])> = None;
    for field in images.iter().map(|&place| &fields[place]) {
        let in_field =
            |source| Error::Field { field: field.name.to_owned(), source: Box::new(source) };
        if blends && !is_float(field.dtype) {
            let got = field.dtype.to_string();
            return Err(in_field(Error::NotFloat { transform: "MixUp", got }));
        }
        if !cuts {
            continue;
        }
        if field.channels_unclear {
            let (transform, got) = ("CutMix", format!("{:?}", field.shape));
            return Err(in_field(Error::UnclearChannels { transform, got }));
        }
        let image = field.image.filter(|image| image.height > 0 && image.width > 0);
        let Some(Image { height, width, .. }) = image else {
            let (transform, got, hint) = ("CutMix", field.shape.to_vec(), "mix other fields");
            return Err(in_field(Error::ItemShape { transform, expected: IMAGE, got, hint }));
        };
        let size = [height, width];
        match first {
            Some((name, other)) if other != size => {
                let (first, field) = (name.to_owned(), field.name.to_owned());
                return Err(Error::MixedSizes { first, first_size: other, field, size });
            }
            _ => first = Some((field.name, size)),
        }
    }
    Ok(first.map(|(_, size)| size))
}

/// The number of classes, if labels are their numbers; None if they are probabilities already.
pub(super) fn classes(field: &MixField<'_>, num_classes: Option<usize>) -> Result<Option<usize>> {
    let (shape, dtype) = (field.shape, field.dtype);
    let in_field = |source| Error::Field { field: field.name.to_owned(), source: Box::new(source) };
    match shape {
        [] if is_integer(dtype) => {
            Ok(Some(num_classes.ok_or_else(|| in_field(Error::NumClassesNeeded))?))
        }
        &[got] if is_float(dtype) => match num_classes.filter(|&expected| expected != got) {
            Some(expected) => Err(in_field(Error::OtherClasses { got, expected })),
            None => Ok(None),
        },
        _ => {
            let (dtype, shape) = (dtype.to_string(), shape.to_vec());
            Err(in_field(Error::NoLabels { dtype, shape }))
        }
    }
}
