//! `nl.images`: encoded images, which are decoded when they are asked for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndlens::codecs::{Depth, Limits, Mode};
use ndlens::loader::{
    EncodedImages, ImageBytes, ImageFiles, ImageOptions, Images, PixelFormat, Ragged, Selection,
    Source, Subset,
};
use ndlens::store::files_of;
use ndlens::{DType, View};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyIndexError, PyIsADirectoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::error::{OrRaise, no_attribute};
use crate::exit;
use crate::interop::tensor_memory::extract_lasting_view;
use crate::lists::{self, Asked, LOOK};
use crate::loader::items::{PyItems, packed_items};
use crate::loader::ragged::extract_views;
use crate::loader::selection::{ItemKey, PySelection};
use crate::optional;
use crate::store::path::{fsdecode, refuse_address, text_of};
use crate::store::shards::PyShards;
use crate::trace;
use crate::view::object::PyView;

/// Encoded images, such as photographs, as a field of `nl.Loader` and `nl.torch.Dataset`.
///
/// `nl.images` makes them. `images[i]` decodes image i into a new view of shape (height, width,
/// channels). `images[a:b:c]`, and `images[index]` with an array of integers or booleans, are other
/// images, of which nothing is read. They pickle as their paths or bytes do, without pixels.
#[pyclass(frozen, name = "Images", module = "ndlens")]
pub(crate) struct PyImages {
    images: Arc<Images>,
    origin: EncodedOrigin,
    /// Selected images; None for all.
    selection: Option<Py<PySelection>>,
    source: Arc<dyn Source>,
}

/// The place of the bytes of images, kept so that pickles can make the same images again.
pub(crate) enum EncodedOrigin {
    /// Files of their own.
    Files(Arc<ImageFiles>),
    /// A view, shards or items of bytes.
    Bytes(Py<PyAny>, Arc<ImageBytes>),
}

impl EncodedOrigin {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            EncodedOrigin::Files(files) => EncodedOrigin::Files(Arc::clone(files)),
            EncodedOrigin::Bytes(object, bytes) => {
                EncodedOrigin::Bytes(object.clone_ref(py), Arc::clone(bytes))
            }
        }
    }

    fn encoded(&self) -> Arc<dyn EncodedImages> {
        match self {
            EncodedOrigin::Files(files) => Arc::<ImageFiles>::clone(files),
            EncodedOrigin::Bytes(_, bytes) => Arc::<ImageBytes>::clone(bytes),
        }
    }
}

/// The operation of `images[i]`, which is no copy of an array, but makes one.
const DECODE: &str = "Images[i]";

impl PyImages {
    fn of(
        images: Arc<Images>,
        origin: EncodedOrigin,
        selection: Option<Py<PySelection>>,
    ) -> PyResult<Self> {
        let all: Arc<dyn Source> = Arc::<Images>::clone(&images);
        let source: Arc<dyn Source> = match &selection {
            None => all,
            Some(selection) => {
                Arc::new(Subset::new(all, selection.get().selection.clone()).or_raise()?)
            }
        };
        Ok(PyImages { images, origin, selection, source })
    }

    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    /// These images, if they are all of their source, with a selection that others share.
    pub(crate) fn with_selection(
        &self,
        py: Python<'_>,
        selection: &Bound<'_, PySelection>,
    ) -> Option<PyResult<Self>> {
        let shared = || selection.clone().unbind();
        self.selection.is_none().then(|| {
            PyImages::of(Arc::clone(&self.images), self.origin.clone_ref(py), Some(shared()))
        })
    }

    /// Some of these images.
    pub(crate) fn select(&self, py: Python<'_>, chosen: Selection) -> PyResult<Self> {
        let items = self.images.source().len();
        let selection = match &self.selection {
            None => chosen,
            Some(own) => {
                exit::detach(py, || own.get().selection.select(&chosen, items)).or_raise()?
            }
        };
        let selection = Py::new(py, PySelection::new(selection, items))?;
        PyImages::of(Arc::clone(&self.images), self.origin.clone_ref(py), Some(selection))
    }

    /// The images of the whole source.
    pub(crate) fn all(&self) -> &Images {
        &self.images
    }

    /// The number of an image in its source.
    pub(crate) fn place(&self, index: usize) -> usize {
        let mut place = [index];
        self.source.to_rows(&mut place);
        place[0]
    }

    fn sizes(&self) -> Vec<Option<usize>> {
        self.images.item_shape().sizes().collect()
    }
}

#[pymethods]
impl PyImages {
    fn __len__(&self) -> usize {
        self.source.len()
    }

    /// Refuses: NumPy would make an array of one object of the images.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __array__(
        &self,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let images = self.source.len();
        Err(PyTypeError::new_err(format!(
            "{images} encoded images are not an array: images[i].numpy() decodes one, and \
             nl.pack(images, path) all, into a file"
        )))
    }

    /// Called for a name that images do not have: names what to write instead of a view's methods.
    fn __getattr__(&self, name: &str) -> PyResult<()> {
        let hint = match name {
            "numpy" | "torch" => {
                let images = self.source.len();
                format!(": {images} images are decoded one by one: images[i].{name}()")
            }
            _ => String::new(),
        };
        Err(no_attribute("Images", name, &hint))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        lists::each_item(slf.as_any(), slf.get().source.len())
    }

    /// Image `key`, decoded, or some images: of a slice, or of an array of integers or booleans.
    ///
    /// Raises `IndexError` for a number that is not an image and for other keys; `OSError` or
    /// `ImageError`, with the path, for an image that cannot be read or decoded.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let len = self.source.len();
        let index = match ItemKey::extract(key, len)? {
            ItemKey::Some(chosen) => return self.select(py, chosen)?.into_bound_py_any(py),
            ItemKey::At(index) => index,
        };
        let place = if index < 0 { index.saturating_add_unsigned(len) } else { index };
        let place = usize::try_from(place).ok().filter(|&place| place < len);
        let place =
            place.ok_or_else(|| PyIndexError::new_err(format!("image {index} of {len} images")))?;
        let _inside = exit::enter(py);
        trace::before_any(py, DECODE)?;
        let place = self.place(place);
        let decode = || exit::detach(py, || self.images.decode(place)).or_raise();
        let view = trace::copying_some(py, DECODE, decode, View::nbytes)?;
        PyView::new(view).into_bound_py_any(py)
    }

    /// The number of images, then their `item_shape`.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sizes = std::iter::once(Some(self.source.len())).chain(self.sizes());
        PyTuple::new(py, sizes.collect::<Vec<_>>())
    }

    /// (None, None, channels): height and width are those of each image.
    #[getter]
    fn item_shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.sizes())
    }

    /// The name of the elements' type, as `View.dtype`.
    #[getter]
    fn dtype(&self) -> String {
        self.images.dtype().to_string()
    }

    /// The channels that images are decoded to: "RGB", "L", "RGBA" or "unchanged".
    #[getter]
    fn mode(&self) -> &'static str {
        name_of(self.images.options().mode)
    }

    /// Whether images are turned as their EXIF orientation says.
    #[getter]
    fn orient(&self) -> bool {
        self.images.options().orient
    }

    /// The paths of the images; None if they are not in files of their own.
    #[getter]
    fn paths<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let EncodedOrigin::Files(files) = &self.origin else { return Ok(None) };
        let path = |index| text_of(py, files.path(self.place(index)));
        lists::list_of(py, (0..self.source.len()).map(path)).map(Some)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let _inside = exit::enter(py);
        if let Some(selection) = &self.selection {
            let all = PyImages::of(Arc::clone(&self.images), self.origin.clone_ref(py), None)?;
            let maker = optional::get(py, "ndlens._ndlens", "_subset")?;
            return Ok((maker, (all, selection.clone_ref(py)).into_pyobject(py)?));
        }
        let origin = match &self.origin {
            EncodedOrigin::Files(files) => lists::plain_bytes(py, &files.joined().or_raise()?)?,
            EncodedOrigin::Bytes(object, _) => object.bind(py).clone(),
        };
        let (options, format) = (self.images.options(), self.images.format());
        let sixteen = format.depth == Depth::Sixteen;
        let arguments = (
            origin,
            name_of(options.mode),
            options.orient,
            options.limits.max_pixels,
            format.channels,
            sixteen,
        );
        let maker = optional::get(py, "ndlens._ndlens", "_images_again")?;
        Ok((maker, arguments.into_pyobject(py)?))
    }

    fn __repr__(&self) -> String {
        format!(
            "<ndlens.Images items={} item_shape={} dtype={} mode={:?}>",
            self.source.len(),
            self.images.item_shape(),
            self.images.dtype(),
            self.mode(),
        )
    }
}

const MODES: [(&str, Mode); 4] =
    [("RGB", Mode::Rgb), ("L", Mode::L), ("RGBA", Mode::Rgba), ("unchanged", Mode::Unchanged)];

fn name_of(mode: Mode) -> &'static str {
    MODES.iter().find(|(_, known)| *known == mode).map_or("", |(name, _)| name)
}

/// The items of an object that is no array; None for others.
pub(crate) fn items_of(object: &Bound<'_, PyAny>) -> Option<Arc<dyn Source>> {
    if let Ok(shards) = object.cast::<PyShards>() {
        return Some(shards.get().source());
    }
    if let Ok(items) = object.cast::<PyItems>() {
        return Some(items.get().source());
    }
    object.cast::<PyImages>().ok().map(|images| images.get().source())
}

/// Items of bytes as the origin of images.
fn origin_of_bytes(object: Bound<'_, PyAny>) -> PyResult<EncodedOrigin> {
    let source = match items_of(&object) {
        Some(items) => items,
        None => Arc::new(extract_lasting_view(&object)?),
    };
    let bytes = Arc::new(ImageBytes::new(source).or_raise()?);
    Ok(EncodedOrigin::Bytes(object.unbind(), bytes))
}

/// Whether an object is a path.
fn is_path(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.is_instance_of::<PyString>() || object.hasattr("__fspath__")?)
}

/// The files that a path or a pattern names.
fn origin_of_pattern(pattern: &Bound<'_, PyAny>) -> PyResult<EncodedOrigin> {
    let path = fsdecode(pattern)?;
    let py = pattern.py();
    let paths = exit::detach(py, || files_of(&path)).or_raise()?;
    if paths.len() == 1 && path.is_dir() {
        let path = path.display();
        return Err(PyIsADirectoryError::new_err(format!(
            "{path} is a directory: give a pattern of its files, such as {:?}",
            format!("{path}/*.jpg")
        )));
    }
    for path in &paths {
        refuse_container(path)?;
    }
    Ok(EncodedOrigin::Files(Arc::new(ImageFiles::new(paths).or_raise()?)))
}

/// Refuses a file that by its name holds many images.
fn refuse_container(path: &Path) -> PyResult<()> {
    let Some(suffix) = path.extension().and_then(OsStr::to_str) else { return Ok(()) };
    let (kind, field) = match suffix.to_ascii_lowercase().as_str() {
        "tar" => ("tar archive", "jpg"),
        "safetensors" => (".safetensors file", "image"),
        _ => return Ok(()),
    };
    let path = path.display().to_string();
    Err(PyValueError::new_err(format!(
        "{path} is a {kind}, expected an image: its field {field:?} is \
         nl.images(nl.open({path:?})[{field:?}])"
    )))
}

/// Paths, or encoded images, in a list or another iterable.
fn origin_of_items(items: &Bound<'_, PyAny>) -> PyResult<EncodedOrigin> {
    let py = items.py();
    let mut files = ImageFiles::default();
    for (place, item) in items.try_iter()?.enumerate() {
        let item = item?;
        if !is_path(&item)? {
            let is_list = items.is_instance_of::<PyList>() || items.is_instance_of::<PyTuple>();
            if place == 0 && is_list {
                let views = extract_views(items, "image")?;
                let ragged = packed_items(Ragged::of_views(views).or_raise()?)?;
                return origin_of_bytes(ragged.into_bound_py_any(py)?);
            }
            return Err(PyTypeError::new_err(format!(
                "images takes paths or encoded bytes, got {} at place {place}",
                item.get_type().fully_qualified_name()?
            )));
        }
        let path = item.extract::<PathBuf>()?;
        refuse_address(&path)?;
        refuse_container(&path)?;
        files.push(path).or_raise()?;
        if (place + 1).is_multiple_of(LOOK) {
            py.check_signals()?;
        }
    }
    Ok(EncodedOrigin::Files(Arc::new(files)))
}

fn extract_origin(source: &Bound<'_, PyAny>) -> PyResult<EncodedOrigin> {
    if is_path(source)? {
        return origin_of_pattern(source);
    }
    if source.is_instance_of::<PyList>() || source.is_instance_of::<PyTuple>() {
        return origin_of_items(source);
    }
    if items_of(source).is_some() {
        return origin_of_bytes(source.clone());
    }
    let view = extract_lasting_view(source).if_taken(source.py())?;
    match view.filter(|view| view.dtype() == &DType::U8) {
        Some(view) => origin_of_bytes(PyView::new(view).into_bound_py_any(source.py())?),
        None => origin_of_items(source),
    }
}

/// Encoded images, JPEG, PNG or WebP, that a loader decodes when it makes their batch.
///
/// A loader draws the parameters of an image's transforms from the size in its header, and then
/// decodes only the part that a crop keeps, where the format allows it. The height and the width of
/// items are unknown until they are read, so the transforms must end in one size: `Resize((h, w))`,
/// `RandomResizedCrop(n)`, `CenterCrop(n)` and the like. An image that a crop does not fit is an
/// error of its item, and so is one that cannot be read: `nl.Loader(.., on_error="skip")` leaves
/// such items out.
///
/// Args:
///     `source`: Paths, or encoded bytes. A string is a path or a pattern: `"photos/**/*.jpg"` are
///         the files that match, in natural order (2 before 10), `"{000..099}.png"` a hundred names
///         in their order. An iterable of paths is taken in its order. A list of bytes, `nl.ragged`
///         items of shape (bytes,), or rows of an array of uint8, are the bytes themselves.
///     `mode`: The channels: "RGB", uint8 of shape (height, width, 3); "L", grey, (height, width,
///         1); "RGBA", (height, width, 4). "unchanged" are the channels and the depth, uint8 or
///         uint16, of the first image; another image that has others is an error of its item.
///     `orient`: Whether images are turned as their EXIF orientation says. By default they are not,
///         as in torchvision.
///     `max_pixels`: The most pixels of an image; a larger one is refused before memory is taken
///         for it. By default 178,956,970, as Pillow's limit.
///
/// Raises:
///     `FileNotFoundError`: No file matches the pattern.
///     `ValueError`: There is no image, or the mode is unknown.
///     `TypeError`: `source` has neither paths nor bytes.
///
/// Files are opened when they are read, so a missing one is an error of its item.
#[pyfunction]
#[pyo3(
    signature = (source, mode = "RGB", *, orient = false, max_pixels = None),
    text_signature = "(source, mode='RGB', *, orient=False, max_pixels=None)"
)]
pub(crate) fn images(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    mode: &str,
    orient: bool,
    max_pixels: Option<i64>,
) -> PyResult<PyImages> {
    let _inside = exit::enter(py);
    let mode: Mode = mode.parse().or_raise()?;
    let limits = Limits::of(max_pixels).or_raise()?;
    let options = ImageOptions { mode, limits, orient };
    let origin = extract_origin(source)?;
    let encoded = origin.encoded();
    let images = exit::detach(py, || Images::new(encoded, options)).or_raise()?;
    PyImages::of(Arc::new(images), origin, None)
}

/// The images that a pickle holds.
#[pyfunction]
#[pyo3(
    name = "_images_again",
    signature = (origin, mode, orient, max_pixels, channels, sixteen, /)
)]
pub(crate) fn images_again(
    origin: &Bound<'_, PyAny>,
    mode: &str,
    orient: bool,
    max_pixels: u64,
    channels: usize,
    sixteen: bool,
) -> PyResult<PyImages> {
    let origin = match origin.cast::<PyBytes>() {
        Ok(joined) => {
            EncodedOrigin::Files(Arc::new(ImageFiles::of_joined(joined.as_bytes()).or_raise()?))
        }
        Err(_) => origin_of_bytes(origin.clone())?,
    };
    let depth = if sixteen { Depth::Sixteen } else { Depth::Eight };
    let options =
        ImageOptions { mode: mode.parse().or_raise()?, limits: Limits { max_pixels }, orient };
    let format = PixelFormat { channels, depth };
    let images = Images::of_format(origin.encoded(), options, format);
    PyImages::of(Arc::new(images), origin, None)
}
