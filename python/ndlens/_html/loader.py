"""The face of a loader: its fields, its order, and the memory of its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import page
from .fields import table
from .words import byte_count, count, joined, plain

if TYPE_CHECKING:
    from typing import Any

    from ndlens import Loader

__all__ = ["html"]


def html(loader: Loader[Any]) -> str:
    """A loader in HTML. It begins no epoch."""
    settings, core = loader._settings, loader._core
    fields = core._fields()
    items = core._items_to_choose_from()
    try:
        batches = f"{count(len(loader))} batch{'es' if len(loader) != 1 else ''}"
    except (TypeError, ValueError):
        # A sampler has no length, or ranks are not known yet.
        batches = "batches"
    head = [
        page.title(f"{count(items)} items in {batches} of {count(loader.batch_size)}"),
        page.badge(f"epoch {loader.epoch} is next"),
        page.badge(_workers(loader.num_workers)),
    ]
    facts = [
        ("order", plain(_order(loader))),
        ("memory", plain(_memory(core._pool(), fields, loader.batch_size))),
    ]
    facts += [(name, plain(text)) for name, text in _given(settings)]
    body = [table(fields, min(loader.batch_size, items)), page.facts(facts)]
    return page.card("ndlens.Loader", head, body)


def _workers(workers: int) -> str:
    if not workers:
        return "made by the caller"
    return f"{workers} worker{'s' if workers != 1 else ''}"


def _order(loader: Loader[Any]) -> str:
    settings = loader._settings
    _, order = loader._core._described()
    if settings["sampler"] is not None:
        order = f"of {type(settings['sampler']).__name__}"
    elif settings["shuffle"]:
        order = f"shuffled anew each epoch ({order})"
    try:
        rank = f"rank {loader.rank} of {loader.world_size}"
    except ValueError:
        rank = "rank not known yet"
    return joined(
        [
            order,
            f"seed {settings['seed']}",
            rank,
            "last batch dropped if short" if loader.drop_last else "",
        ]
    )


def _memory(pool: tuple[int, int, int], fields: list[dict[str, Any]], batch_size: int) -> str:
    slabs, leased, nbytes = pool
    of_batch = sum(field["item_nbytes"] for field in fields) * batch_size
    batch = f"{byte_count(of_batch)} a batch"
    if not slabs:
        return f"{batch}; none is held yet"
    return (
        f"{batch}; {byte_count(nbytes)} in {slabs} slab{'s' if slabs != 1 else ''}, "
        f"{leased} of them in use"
    )


def _given(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """The settings that change what batches hold, if they are given."""
    given = [(name, settings[name]) for name in ("joint", "channels", "mix", "output", "device")]
    return [(name, repr(value)) for name, value in given if value is not None]
