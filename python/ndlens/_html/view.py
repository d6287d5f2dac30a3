"""The face of a view: what it is, whose bytes it is of, and where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import page
from .ranges import Ranges
from .strips import drawing
from .words import byte_count, count, plain, shape_text

if TYPE_CHECKING:
    from ndlens import View

__all__ = ["html", "owner_of"]

_AXES_MAX = 8


def html(view: View) -> str:
    """A view in HTML. Also one that is released, or whose tensor torch has moved."""
    try:
        shape, strides, itemsize = view.shape, view.strides, view.itemsize
        dtype, readonly, size, nbytes = view.dtype, view.readonly, view.size, view.nbytes
        order = _order(view)
        memory, first, _, _, is_in_place = view._memory()
        owner = owner_of(view)
    except ValueError:
        # Another thread may release it meanwhile.
        return page.card("ndlens.View", [page.badge("released", warns=True)], [])
    ranges = Ranges(shape, strides, itemsize)
    head = [page.title(f"{shape_text(shape)} {dtype}"), page.badge(order)]
    head += [page.badge("reversed")] if any(stride < 0 for stride in strides) else []
    head += [page.badge("read-only")] if readonly else []
    if not is_in_place:
        head.append(page.badge("moved: torch has moved the tensor", warns=True))
    touched = ranges.nbytes
    elements = f"{byte_count(nbytes)} in {count(size)} element{'s' if size != 1 else ''}"
    if touched and touched < nbytes and ranges.is_exact:
        elements += f", on {byte_count(touched)} of memory"
    rows = [
        ("owner", owner),
        ("elements", plain(elements)),
        ("memory", plain(f"{byte_count(memory)}; first element at byte {count(first)}")),
    ]
    body = [page.columns(page.facts(rows), _axes(shape, strides))]
    body.append(drawing(ranges, memory, first))
    if not ranges.is_exact:
        body.append(page.note("Elements interleave: the drawing shows how dense they lie."))
    return page.card("ndlens.View", head, body)


def owner_of(view: View) -> str:
    """The owner of a view's bytes, in HTML."""
    *_, owner, cls, _ = view._memory()
    if cls is None:
        return plain(owner)
    module = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return page.code(f"{module}{cls.__qualname__}")


def _order(view: View) -> str:
    if 0 in view.strides and view.size > 1 and _repeats(view):
        return "broadcast"
    if view.c_contiguous:
        return "C-contiguous"
    return "F-contiguous" if view.f_contiguous else "strided"


def _repeats(view: View) -> bool:
    return any(
        size > 1 and not stride for size, stride in zip(view.shape, view.strides, strict=True)
    )


def _axes(shape: tuple[int, ...], strides: tuple[int, ...]) -> str:
    """The axes as columns of a table; of many, the first and the last."""
    if not shape:
        return ""
    axes = list(range(len(shape)))
    shown: list[int | None] = list(axes)
    if len(axes) > _AXES_MAX:
        shown = [*axes[:5], None, *axes[-2:]]
    rows = [
        [f'<span class="ndl-dim">{name}</span>', *cells]
        for name, cells in (
            ("size", [_cell(axis, shape) for axis in shown]),
            ("stride", [_cell(axis, strides) for axis in shown]),
        )
    ]
    heads = ["axis", *("…" if axis is None else str(axis) for axis in shown)]
    return page.grid(heads, rows, range(1, len(shown) + 1))


def _cell(axis: int | None, numbers: tuple[int, ...]) -> str:
    return "" if axis is None else page.code(count(numbers[axis]))
