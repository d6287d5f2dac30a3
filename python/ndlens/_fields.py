"""Fields as what a loader reads, which is also how they travel to other processes."""

from __future__ import annotations

from collections.abc import Mapping

from . import _ndlens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Source: TypeAlias = _ndlens.View | _ndlens.Shards | _ndlens.Items


def as_source(field: Any) -> Source:
    """A field as shards or items, where it is such, else as a view."""
    return field if isinstance(field, _ndlens.Shards | _ndlens.Items) else _ndlens.view(field)


def as_sources(fields: Any) -> Any:
    """One field, a tuple or a dict of them; a list comes as a tuple, and any other mapping as a dict."""
    if isinstance(fields, Mapping):
        return {name: as_source(field) for name, field in fields.items()}
    return tuple(map(as_source, fields)) if isinstance(fields, tuple | list) else as_source(fields)
