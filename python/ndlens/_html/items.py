"""The face of items: how many there are, and the sizes of those that differ."""

from __future__ import annotations

from statistics import median_low
from typing import TYPE_CHECKING

from . import page
from .words import count, plain, shape_text

if TYPE_CHECKING:
    from ndlens import Items

__all__ = ["html"]

# Of more items, so many are looked at, at equal distances.
_SAMPLE = 1000
_SIDE = 84.0


def html(items: Items) -> str:
    """Items in HTML. Their shapes are read, and no element."""
    number = len(items)
    shape = items.item_shape
    head = [page.title(f"{count(number)} items, each {shape_text(shape)} {items.dtype}")]
    if None not in shape or not number:
        return page.card("ndlens.Items", head, [])
    head.append(page.badge("ragged"))
    places = range(number)
    if number > _SAMPLE:
        places = range(0, number, -(-number // _SAMPLE))
    shapes = [items[place].shape for place in places]
    axes = list(zip(*shapes, strict=True))
    rows = [
        [plain(what), *(page.code(count(of(sizes))) for sizes in axes)]
        for what, of in (("smallest", min), ("median", median_low), ("largest", max))
    ]
    heads = ["size", *(f"axis {axis}" for axis in range(len(axes)))]
    body = [page.columns(page.grid(heads, rows, range(1, len(heads))), _outlines(axes))]
    if number > _SAMPLE:
        body.append(page.note(f"of {count(len(shapes))} items at equal distances"))
    return page.card("ndlens.Items", head, body)


def _outlines(axes: list[tuple[int, ...]]) -> str:
    """The least, the median and the largest height and width, one inside the other."""
    if len(axes) < 2:
        return ""
    heights, widths = axes[0], axes[1]
    most = max(max(heights), max(widths), 1)
    boxes = []
    for of, opacity in ((max, 0.18), (median_low, 0.35), (min, 0.9)):
        height, width = (max(1.0, _SIDE * of(sizes) / most) for sizes in (heights, widths))
        boxes.append(
            f'<rect class="ndl-on" fill="#2f6fdf" fill-opacity="{opacity}" x="0" y="0" '
            f'width="{width:.1f}" height="{height:.1f}" rx="1"/>'
        )
    return (
        f'<svg viewBox="0 0 {_SIDE} {_SIDE}" style="width:{_SIDE:.0f}px;margin:4px 0 0" '
        f'role="img" aria-label="smallest, median and largest size">{"".join(boxes)}</svg>'
    )
