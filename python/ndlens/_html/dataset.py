"""The face of a `nl.torch.Dataset`: its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import page
from .fields import table
from .words import count

if TYPE_CHECKING:
    from typing import Any

    from ndlens.torch import Dataset

__all__ = ["html"]


def html(dataset: Dataset[Any]) -> str:
    """A data set in HTML."""
    epoch = dataset._epoch[0]
    draws = "draws follow torch.manual_seed" if epoch < 0 else f"draws of epoch {epoch}"
    head = [page.title(f"{count(len(dataset))} items"), page.badge(draws)]
    return page.card("ndlens.torch.Dataset", head, [table(dataset._gatherer._fields(), None)])
