"""The face of shards: what they are together, and their files one beside the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import page
from .strips import segments
from .view import owner_of
from .words import byte_count, count, plain, shape_text

if TYPE_CHECKING:
    from ndlens import Shards

__all__ = ["html"]

_SHOWN = 8


def html(shards: Shards) -> str:
    """Shards in HTML. No element is read."""
    views = shards.shards
    head = [
        page.title(f"{shape_text(shards.shape)} {shards.dtype}"),
        page.badge(f"{count(len(views))} shard{'s' if len(views) != 1 else ''}"),
        page.badge(byte_count(shards.nbytes)),
    ]
    first = 0
    rows = []
    for view in views[:_SHOWN]:
        items = view.shape[0]
        last = f"{count(first)} to {count(first + items - 1)}" if items else "none"
        rows.append([plain(last), plain(byte_count(view.nbytes)), owner_of(view)])
        first += items
    body = [segments([view.shape[0] for view in views[:200]])]
    body.append(page.grid(["items", "bytes", "owner"], rows, [0, 1]))
    if len(views) > _SHOWN:
        body.append(page.note(f"and {count(len(views) - _SHOWN)} more"))
    return page.card("ndlens.Shards", head, body)
