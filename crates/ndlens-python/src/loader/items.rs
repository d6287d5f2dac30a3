//! `nl.Items`: items that are not the rows of one view, or some rows of one.

use std::sync::Arc;

use ndlens::View;
use ndlens::loader::{
    Ragged, Selection, Shapes, Source, Subset, Windows, places_of, sizes_of, view_of_sizes,
};
use ndlens::store::{SampleField, Shards};
use ndlens::transforms::ItemShape;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::error::{OrRaise, no_attribute};
use crate::exit;
use crate::lists;
use crate::loader::selection::{ItemKey, PySelection};
use crate::optional;
use crate::store::shards::PyShards;
use crate::view::element;
use crate::view::object::PyView;

/// Items for `nl.Loader` and `nl.torch.Dataset` that are not the rows of one view.
///
/// `nl.windows`, `nl.ragged`, `nl.subset` and `nl.open` make them. `items[i]` is item i as a view,
/// which copies nothing (an element, if items have no axes). `items[a:b:c]`, and `items[index]`
/// with an array of integers or booleans, are other items. They pickle as their views do.
#[pyclass(frozen, name = "Items", module = "ndlens")]
pub(crate) struct PyItems {
    pub(crate) base: Base,
    /// Selected items of the base; None for all.
    pub(crate) selection: Option<Py<PySelection>>,
    source: Arc<dyn Source>,
}

/// The source of items, kept so that pickles can make the same items again.
#[derive(Clone)]
pub(crate) enum Base {
    View(View),
    Shards(Shards),
    /// With the lengths of groups, and whether items are what follows the windows.
    Windows(Arc<Windows>, Option<View>, bool),
    /// With offsets and shapes, if all are in one view.
    Ragged(Arc<Ragged>, Option<(View, View)>),
    /// Members of tar archives.
    Members(Arc<SampleField>),
}

impl Base {
    /// Packed items whose places are read from views. The views are kept: a pickle of the items is
    /// a pickle of them.
    pub(crate) fn packed(flat: View, offsets: View, shapes: View) -> PyResult<Self> {
        let starts = sizes_of(&offsets, "offsets").or_raise()?;
        let ragged = Ragged::packed(flat, Some(&starts), Shapes::from_view(&shapes).or_raise()?)
            .or_raise()?;
        Ok(Base::Ragged(Arc::new(ragged), Some((offsets, shapes))))
    }

    fn source(&self) -> Arc<dyn Source> {
        match self {
            Base::View(view) => Arc::new(view.clone()),
            Base::Shards(shards) => Arc::new(shards.clone()),
            Base::Windows(windows, ..) => Arc::<Windows>::clone(windows),
            Base::Ragged(ragged, _) => Arc::<Ragged>::clone(ragged),
            Base::Members(field) => Arc::<SampleField>::clone(field),
        }
    }
}

impl PyItems {
    pub(crate) fn of(base: Base, selection: Option<Py<PySelection>>) -> PyResult<Self> {
        let all = base.source();
        let source: Arc<dyn Source> = match &selection {
            None => all,
            Some(selection) => {
                Arc::new(Subset::new(all, selection.get().selection.clone()).or_raise()?)
            }
        };
        Ok(PyItems { base, selection, source })
    }

    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    pub(crate) fn selection(&self, py: Python<'_>) -> Option<Py<PySelection>> {
        self.selection.as_ref().map(|selection| selection.clone_ref(py))
    }

    /// Some of these items.
    pub(crate) fn select(&self, py: Python<'_>, chosen: Selection) -> PyResult<Self> {
        let items = self.base.source().len();
        let selection = match &self.selection {
            None => chosen,
            Some(own) => {
                exit::detach(py, || own.get().selection.select(&chosen, items)).or_raise()?
            }
        };
        Self::of(self.base.clone(), Some(Py::new(py, PySelection::new(selection, items))?))
    }

    fn shape_of_items(&self) -> Option<ItemShape<'_>> {
        self.source.item_shape()
    }

    /// The expression that makes a NumPy array of items of one size.
    fn how_to_stack(&self) -> &'static str {
        if self.shape_of_items().is_some_and(|shape| shape.most().is_empty()) {
            "numpy.array(list(items))"
        } else {
            "numpy.stack([item.numpy() for item in items])"
        }
    }
}

#[pymethods]
impl PyItems {
    fn __len__(&self) -> usize {
        self.source.len()
    }

    /// Refuses: NumPy would make an array of one object of the items.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __array__(
        &self,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (items, how) = (self.source.len(), self.how_to_stack());
        Err(PyTypeError::new_err(format!(
            "{items} items are not an array: index them, as in {how}"
        )))
    }

    /// Called for a name that items do not have: names what to write instead of a view's methods.
    fn __getattr__(&self, name: &str) -> PyResult<()> {
        let how = match name {
            "numpy" => self.how_to_stack(),
            "torch" => "torch.stack([item.torch() for item in items])",
            _ => return Err(no_attribute("Items", name, "")),
        };
        let hint = format!(": items may differ in size; if they do not, {how} is an array of them");
        Err(no_attribute("Items", name, &hint))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        lists::each_item(slf.as_any(), slf.get().source.len())
    }

    /// Item `key`, or some items: of a slice, or of an array of integers or booleans.
    ///
    /// Raises `IndexError` for a number that is not an item and for other keys.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let len = self.source.len();
        let index = match ItemKey::extract(key, len)? {
            ItemKey::Some(chosen) => {
                return Ok(Bound::new(py, self.select(py, chosen)?)?.into_any());
            }
            ItemKey::At(index) => index,
        };
        let place = if index < 0 { index.saturating_add_unsigned(len) } else { index };
        let place = usize::try_from(place).ok().filter(|&place| place < len);
        let place =
            place.ok_or_else(|| PyIndexError::new_err(format!("item {index} of {len} items")))?;
        let item = self.source.item(place).or_raise()?;
        let view = View::new(item.buffer().clone(), item.layout().clone(), item.dtype().clone())
            .or_raise()?;
        if view.ndim() == 0 {
            return element::scalar(py, &view, [].into_iter());
        }
        PyView::new(view).into_bound_py_any(py)
    }

    /// The number of items, then the size of each of their axes; None where items differ.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sizes = self.shape_of_items().map(|shape| shape.sizes().collect::<Vec<_>>());
        PyTuple::new(
            py,
            std::iter::once(Some(self.source.len()))
                .chain(sizes.unwrap_or_default())
                .collect::<Vec<_>>(),
        )
    }

    /// The size of each axis of an item; None where items differ.
    #[getter]
    fn item_shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sizes = self.shape_of_items().map(|shape| shape.sizes().collect::<Vec<_>>());
        PyTuple::new(py, sizes.unwrap_or_default())
    }

    /// The shapes of all items: int64, of shape (items, axes of an item).
    #[getter]
    fn shapes(&self, py: Python<'_>) -> PyResult<PyView> {
        if let Some(shape) = self.shape_of_items().and_then(ItemShape::as_fixed) {
            let row = View::from_vec(shape.iter().map(|&size| size as i64).collect());
            return row.broadcast_to(&[self.source.len(), shape.len()]).map(PyView::new).or_raise();
        }
        if let (Base::Ragged(_, Some((_, shapes))), None) = (&self.base, &self.selection) {
            return Ok(PyView::new(shapes.to_read_only()));
        }
        let places = exit::detach(py, || {
            ndlens::loader::Packing::of(&*self.source).and_then(|packing| packing.places())
        });
        Ok(PyView::new(places.or_raise()?.1))
    }

    /// The first element of each item in `data`: int64, of shape (items,).
    ///
    /// None if the items are not in one packed view.
    #[getter]
    fn offsets(&self, py: Python<'_>) -> PyResult<Option<PyView>> {
        let Base::Ragged(ragged, places) = &self.base else { return Ok(None) };
        let Some((offsets, _)) = places else { return Ok(None) };
        let Some(selection) = &self.selection else {
            return Ok(Some(PyView::new(offsets.to_read_only())));
        };
        let Some((_, starts, _)) = ragged.as_packed() else { return Ok(None) };
        let selection = &selection.get().selection;
        let chosen = exit::detach(py, || view_of_sizes(selection.iter().map(|item| starts[item])));
        chosen.map(|offsets| Some(PyView::new(offsets))).or_raise()
    }

    /// The packed view of one axis that holds all items; None if there is no such view.
    #[getter]
    fn data(&self) -> Option<PyView> {
        let Base::Ragged(ragged, _) = &self.base else { return None };
        ragged.as_packed().map(|(flat, ..)| PyView::new(flat.clone()))
    }

    /// The name of the elements' type, as `View.dtype`.
    #[getter]
    fn dtype(&self) -> String {
        self.source.dtype().to_string()
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let _inside = exit::enter(py);
        let views = |views: &[View]| {
            let views = views.iter().map(|view| PyView::new(view.clone()).into_bound_py_any(py));
            lists::list_of(py, views)
        };
        if let Some(selection) = &self.selection {
            let base = match &self.base {
                Base::View(view) => PyView::new(view.clone()).into_bound_py_any(py)?,
                Base::Shards(shards) => PyShards::new(shards.clone()).into_bound_py_any(py)?,
                items @ (Base::Windows(..) | Base::Ragged(..) | Base::Members(_)) => {
                    PyItems::of(items.clone(), None)?.into_bound_py_any(py)?
                }
            };
            return Ok((
                optional::get(py, "ndlens._ndlens", "_subset")?,
                (base, selection.bind(py)).into_pyobject(py)?,
            ));
        }
        let (maker, arguments) = match &self.base {
            Base::Windows(windows, lengths, future) => {
                let span = windows.span();
                let span = (span.size, span.step, span.gap, span.horizon);
                let lengths = lengths.clone().map(PyView::new);
                (
                    "_windows_part",
                    (views(windows.series())?, span, lengths, future).into_pyobject(py)?,
                )
            }
            Base::Ragged(ragged, None) => {
                ("ragged", (views(ragged.as_views().unwrap_or_default())?,).into_pyobject(py)?)
            }
            Base::Ragged(ragged, Some((offsets, shapes))) => {
                let flat = ragged.as_packed().map(|(flat, ..)| PyView::new(flat.clone()));
                let places = (PyView::new(offsets.clone()), PyView::new(shapes.clone()));
                ("ragged", (flat, places.0, places.1).into_pyobject(py)?)
            }
            Base::Members(field) => {
                let handle = field.samples().to_handle().or_raise()?;
                let arguments = (PyBytes::new(py, &handle), PyBytes::new(py, field.name()));
                ("_items_of_samples", arguments.into_pyobject(py)?)
            }
            // Rows of a view or of shards always have a selection.
            Base::View(view) => ("view", (PyView::new(view.clone()),).into_pyobject(py)?),
            Base::Shards(shards) => {
                ("_shards_of_views", (views(shards.views())?,).into_pyobject(py)?)
            }
        };
        Ok((optional::get(py, "ndlens._ndlens", maker)?, arguments))
    }

    fn __repr__(&self) -> String {
        let shape = self.shape_of_items().map(|shape| shape.to_string()).unwrap_or_default();
        format!(
            "<ndlens.Items items={} item_shape={shape} dtype={}>",
            self.source.len(),
            self.source.dtype()
        )
    }
}

/// Packed items, with the views of their places.
pub(crate) fn packed_items(ragged: Ragged) -> PyResult<PyItems> {
    let places = match ragged.as_packed() {
        Some((_, starts, shapes)) => Some(places_of(starts, shapes).or_raise()?),
        None => None,
    };
    PyItems::of(Base::Ragged(Arc::new(ragged), places), None)
}
