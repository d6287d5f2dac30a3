"""Fields as sources, which a loader reads and other processes are sent."""

from __future__ import annotations

from collections.abc import Mapping

from . import _ndlens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Source: TypeAlias = _ndlens.View | _ndlens.Shards | _ndlens.Items | _ndlens.Images

# What a field may be beside a view.
_OF_ITEMS = (_ndlens.Shards, _ndlens.Items, _ndlens.Images)


# A list of fewer arrays of one shape and dtype is a list of fields.
_LEAST_ITEMS = 8
# The channels of images, and an upper bound of their heights: a longer axis counts items.
_CHANNELS = (1, 3, 4)
_MOST_ROWS = 8192


def _looks(field: Any) -> tuple[Any, Any] | None:
    """The shape and the dtype of an array; the size and the mode of a PIL image."""
    shape = getattr(field, "shape", None)
    if shape is None:
        size, mode = getattr(field, "size", None), getattr(field, "mode", None)
        return (size, mode) if isinstance(size, tuple) and mode is not None else None
    return (tuple(shape), getattr(field, "dtype", None)) if isinstance(shape, tuple) else None


def _are_items(arrays: int, shape: tuple[int, ...]) -> bool:
    """Whether this many arrays of one shape are items."""
    if not shape or shape[0] == 0:
        return False
    is_image = len(shape) == 3 and shape[-1] in _CHANNELS and shape[0] <= _MOST_ROWS
    return arrays > shape[0] or is_image


def check_fields(fields: Any) -> None:
    """Refuses a list of items in place of fields.

    A list of eight or more arrays of one type, shape and dtype is a list of items if there are more
    arrays than each has rows, or if they have the shape of images: (height, width, channels) of 1,
    3 or 4 channels and at most 8192 rows, or PIL's own. A tuple of them is taken for fields, and so
    are views, shards and items of ndlens.

    Raises:
        ValueError: `fields` is such a list.
    """
    if not isinstance(fields, list) or len(fields) < _LEAST_ITEMS:
        return
    if isinstance(fields[0], (_ndlens.View, *_OF_ITEMS)):
        return
    kind, first = type(fields[0]), _looks(fields[0])
    if first is None or any(type(field) is not kind or _looks(field) != first for field in fields):
        return
    shape, dtype = first
    if not hasattr(fields[0], "shape") or _are_items(len(fields), shape):
        raise ValueError(
            f"fields is a list of {len(fields)} arrays, each of shape {shape} and {dtype}, which "
            "look like items: give numpy.stack(items), or tuple(fields) if each is a field"
        )


def as_source(field: Any) -> Source:
    """A field as it is if it is shards, items or images, else as a view."""
    return field if isinstance(field, _OF_ITEMS) else _ndlens.view(field)


def as_sources(fields: Any) -> Any:
    """Each field as a source: a tuple for a list, a dict for any mapping."""
    if isinstance(fields, Mapping):
        return {name: as_source(field) for name, field in fields.items()}
    return tuple(map(as_source, fields)) if isinstance(fields, tuple | list) else as_source(fields)
