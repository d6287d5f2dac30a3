"""The face of an epoch: what is left of it, and its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import page
from .fields import table
from .words import count

if TYPE_CHECKING:
    from ndlens import Epoch

__all__ = ["html"]


def html(epoch: Epoch) -> str:
    """An epoch in HTML. It begins none and takes no batch."""
    state, fields = epoch._fields()
    try:
        left = len(epoch)
        batches = f"{count(left)} batch{'es' if left != 1 else ''} to come"
    except (TypeError, ValueError):
        # A sampler has no length, or ranks are not known yet.
        batches = "batches to come"
    head = []
    course = epoch._course()
    if state == "over":
        head.append(page.badge("over"))
    else:
        head.append(page.title(batches))
    if course is not None:
        number, start, rank, world_size = course
        head.append(page.badge(f"epoch {number}"))
        head += [page.badge(f"resumed at item {count(start)}")] if start else []
        head += [page.badge(f"rank {rank} of {world_size}")] if world_size > 1 else []
    elif state == "to begin":
        head.append(page.badge("begins with its first batch"))
    return page.card("ndlens.Epoch", head, [table(fields, None)] if fields else [])
