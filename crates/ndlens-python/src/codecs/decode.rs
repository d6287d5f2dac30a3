//! `nl.decode_image`, and the compiled half of `nl.image_info`.

use ndlens::codecs::{self, DecodedImage, Depth, Limits, Mode};
use ndlens::{Buffer, DType, Layout, Order, View};
use pyo3::prelude::*;

use crate::codecs::source::ImageSource;
use crate::error::OrRaise;
use crate::exit;
use crate::trace;
use crate::view::object::PyView;

/// The name that a trace has.
const OPERATION: &str = "nl.decode_image";

/// What `nl.image_info` tells, in the order of its fields.
type Facts = (String, usize, usize, usize, String, u8);

/// Decodes a JPEG, PNG or WebP image, whose format its first bytes tell.
///
/// The view has memory of its own and shape (height, width, channels), also of grey images.
///
/// Args:
///     `source`: A path, or the encoded bytes: any object that `nl.view` takes, with elements of
///         one byte.
///     `mode`: The channels: "RGB", "L" (grey), "RGBA", or "unchanged", those of the file.
///     `orient`: Whether the image is turned upright, as its EXIF orientation says.
///     `max_pixels`: The most pixels that are decoded; by default 178,956,970, as in Pillow.
///
/// Raises:
///     `ImageError`: The image is damaged or truncated, has more pixels than `max_pixels`, or is of
///         a format or coding that is not decoded.
///     `OSError`: The file cannot be read, such as `FileNotFoundError`.
///     `TypeError`: `source` is neither a path nor bytes.
///     `ValueError`: `mode` is another word, or `max_pixels` is negative.
///     `MemoryError`: There is not enough memory for the pixels.
#[pyfunction]
#[pyo3(
    signature = (source, mode = "RGB", *, orient = false, max_pixels = None),
    text_signature = "(source, mode='RGB', *, orient=False, max_pixels=None)"
)]
pub(crate) fn decode_image(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    mode: &str,
    orient: bool,
    max_pixels: Option<i64>,
) -> PyResult<PyView> {
    let _inside = exit::enter(py);
    let mode: Mode = mode.parse().or_raise()?;
    let limits = Limits::of(max_pixels).or_raise()?;
    let source = ImageSource::extract(source)?;
    trace::before_any(py, OPERATION)?;
    let decoded = || {
        let image = source
            .with(py, OPERATION, |bytes| DecodedImage::decode(bytes, mode, orient, &limits))?;
        view(image).or_raise()
    };
    trace::copying_some(py, OPERATION, decoded, View::nbytes).map(PyView::new)
}

/// The pixels as a view, (rows, columns, channels).
fn view(image: DecodedImage) -> ndlens::Result<View> {
    let dtype = dtype(image.depth);
    let shape = [image.height, image.width, image.channels];
    let layout = Layout::contiguous(&shape, dtype.itemsize(), Order::C)?;
    View::new(Buffer::from_vec(image.bytes), layout, dtype)
}

fn dtype(depth: Depth) -> DType {
    match depth {
        Depth::Eight => DType::U8,
        Depth::Sixteen => DType::U16,
    }
}

/// Format, height, width, channels, dtype and orientation; see `nl.image_info`.
#[pyfunction]
#[pyo3(name = "_image_header", signature = (source, /))]
pub(crate) fn image_header(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Facts> {
    let _inside = exit::enter(py);
    let limits = Limits { max_pixels: u64::MAX };
    let header = ImageSource::extract(source)?.with(py, "nl.image_info", |bytes| {
        codecs::open(bytes, &limits).map(|decoder| *decoder.header())
    })?;
    Ok((
        header.coding.to_string(),
        header.height,
        header.width,
        header.channels,
        dtype(header.depth).to_string(),
        header.orientation.tag(),
    ))
}
