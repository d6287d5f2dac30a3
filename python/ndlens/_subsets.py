"""Parts of a data set: some items of every field, and data sets cut in parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from . import _ndlens
from ._fields import as_source, check_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _named(fields: Any) -> list[tuple[Any, Any]] | None:
    """Fields by their keys or places; None for one field, which has no name."""
    if isinstance(fields, Mapping):
        return list(fields.items())
    if isinstance(fields, tuple | list):
        return list(enumerate(fields))
    return None


def _sources(fields: Any) -> tuple[Any, int]:
    """The fields as sources in the same structure, and their number of items."""
    check_fields(fields)
    named = _named(fields)
    if named is None:
        source = as_source(fields)
        return source, _count(source, None)
    if not named:
        raise ValueError("there is no field to take items of")
    sources = []
    for name, field in named:
        try:
            sources.append((name, as_source(field)))
        except (TypeError, ValueError, BufferError) as error:
            error.add_note(f"field {name!r}")
            raise
    first, items = sources[0][0], _count(sources[0][1], sources[0][0])
    for name, source in sources:
        if (count := _count(source, name)) != items:
            raise ValueError(
                f"fields have different lengths: {first!r} has {items} items, {name!r} has {count}"
            )
    return _as_they_came(fields, [source for _, source in sources]), items


def _count(source: Any, name: Any) -> int:
    if not source.shape:
        field = "" if name is None else f"field {name!r} "
        raise ValueError(f"{field}has no axis to take items from: its view has rank 0".strip())
    return len(source)


def _as_they_came(fields: Any, parts: Sequence[Any]) -> Any:
    if isinstance(fields, Mapping):
        return dict(zip(fields, parts, strict=True))
    if isinstance(fields, tuple | list):
        return list(parts) if isinstance(fields, list) else tuple(parts)
    return parts[0]


def _select(sources: Any, index: Any) -> Any:
    named = _named(sources)
    if named is None:
        return _ndlens._subset(sources, index)
    return _as_they_came(sources, [_ndlens._subset(source, index) for _, source in named])


def subset(fields: Any, indices: Any, /) -> Any:
    """Some items of every field, in the order of `indices`, without a copy.

    Args:
        fields: As for `nl.Loader`: one view (or `nl.Shards` or `nl.Items`), a tuple or a dict of
            them.
        indices: A selection as in NumPy: a slice; integers in a list, an array, a tensor or a
            pandas index, negative ones from the end, also one several times; or a boolean for each
            item. scikit-learn's `KFold` and the like give such integers.

    Returns:
        The items in the structure of `fields`, for `nl.Loader`, `nl.torch.Dataset`, `nl.share` and
        `nl.subset`: of a slice of a view a view, of shards shards, otherwise `nl.Items`. They
        pickle to the fields and the indices: three numbers if they are evenly spaced, a bit for
        each item if they ascend, four bytes each otherwise.

    Raises:
        ValueError: Fields have different lengths.
        IndexError: An index is out of bounds, or there is none.

    >>> import ndlens as nl
    >>> train = nl.subset({"x": bytes(range(10)), "y": bytes(range(10, 20))}, [7, -1, 0])
    >>> list(train["x"]), list(train["y"])
    ([7, 9, 0], [17, 19, 10])
    """
    sources, items = _sources(fields)
    # One selection for all fields, looked up once and pickled once.
    return _select(
        sources, indices if isinstance(indices, slice) else _ndlens._Selection(indices, items)
    )


def split(
    fields: Any,
    parts: Iterable[float],
    *,
    seed: int = 0,
    groups: Any = None,
    stratify: Any = None,
    shuffle: bool = True,
) -> tuple[Any, ...]:
    """Cuts a data set in parts, such as `[0.8, 0.2]` for training and validation, without a copy.

    Windows of a series overlap, so split the series, and take windows of each part.

    Args:
        fields: As for `nl.Loader`.
        parts: Fractions that add up to 1, or numbers of items that add up to all.
        seed: The source of randomness. The items of a part are a pure function of it, and are in
            the order of the data.
        groups: The group of each item, such as a patient: no group is divided, and sizes
            are met as nearly as groups allow. Numbers, strings or anything that can be hashed, in
            an array or a list.
        stratify: The class of each item, likewise: each part gets its share of every class.
        shuffle: False for parts that follow one another in the data: the first 80 % of a series and
            the rest of it.

    Returns:
        The parts, each as `nl.subset` gives it.

    Raises:
        ValueError: Parts do not add up, a part would be empty, there is not one group or class for
            each item, or a class has fewer items than there are parts.

    >>> import ndlens as nl
    >>> train, validation = nl.split({"x": bytes(10), "y": bytes(10)}, [0.8, 0.2], seed=7)
    >>> len(train["x"]), len(validation["y"])
    (8, 2)
    """
    if not isinstance(parts, Iterable):
        raise TypeError(
            f"parts must be one number for each part, such as [0.8, 0.2], got {parts!r}"
        )
    if shuffle and seed is None:
        raise TypeError(
            "seed must be an integer, got None: shuffle=False cuts the data in its order"
        )
    sources, items = _sources(fields)
    selections = _ndlens._split(items, list(parts), seed if shuffle else None, groups, stratify)
    if shuffle or groups is not None:
        return tuple(_select(sources, selection) for selection in selections)
    ends = [0]
    for selection in selections:
        ends.append(ends[-1] + len(selection))
    return tuple(_select(sources, slice(*pair)) for pair in pairwise(ends))
