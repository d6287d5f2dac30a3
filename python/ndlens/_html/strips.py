"""Where a view's elements lie in the memory that it is of, as a drawing.

The first strip is the whole memory. What it cannot show, a strip below shows larger: some places of
the outermost axis that is too fine for it, and then some of the innermost. So there are three
strips at most, each with one path: the bytes that are touched, if the gaps between them can be
seen, or else what they lie in, as pale as they are scattered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .words import byte_count, count, plain

if TYPE_CHECKING:
    from .ranges import Ranges

__all__ = ["drawing", "segments"]

_LEFT, _RIGHT = 0.5, 755.5
_WIDTH = _RIGHT - _LEFT
_HEIGHT = 16
_STRIP = 62  # from one strip to the next
_TOP = 20
_BLOCKS_MAX = 200  # drawn one by one
_APART = 4.0  # units of the drawing between places that are seen apart
_PLACES = 10  # of an axis in a strip that shows it larger


@dataclass
class _Strip:
    """An interval of the memory, from the lowest touched byte on."""

    start: int
    stop: int
    caption: str

    @property
    def nbytes(self) -> int:
        return self.stop - self.start

    def x(self, place: float) -> float:
        """Where a byte is in the drawing."""
        return _LEFT + _WIDTH * (place - self.start) / max(1, self.nbytes)


def drawing(ranges: Ranges, nbytes: int, first: int) -> str:
    """The memory of `nbytes` bytes, of which `first` is the first byte of the first element."""
    if ranges.is_empty or nbytes <= 0:
        return ""
    low = first + ranges.low
    strips = _strips(ranges, nbytes, low)
    height = _TOP + _STRIP * (len(strips) - 1) + _HEIGHT + 18
    parts = []
    for number, strip in enumerate(strips):
        y = _TOP + _STRIP * number
        if number + 1 < len(strips):
            parts.append(_zoom(strip, strips[number + 1], y))
        parts.append(_strip(ranges, strip, y))
        parts.append(_labels(strip, low, y))
        if strip.start <= -ranges.low < strip.stop:
            parts.append(_first(strip, -ranges.low, y, named=number == 0))
    label = f"{byte_count(ranges.nbytes)} of {byte_count(nbytes)} are touched"
    return (
        f'<svg viewBox="0 0 756 {height}" role="img" aria-label="{plain(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _strips(ranges: Ranges, nbytes: int, low: int) -> list[_Strip]:
    strips = [_Strip(-low, nbytes - low, f"all {byte_count(nbytes)}")]
    fine = [a for a in range(len(ranges.axes)) if not _is_apart(ranges, a, strips[0])]
    if not fine:
        # One short run in much memory.
        if ranges.extent * _WIDTH < nbytes and ranges.axes:
            fine = [0]
        else:
            return strips
    strips.append(_places(ranges, fine[0], low, nbytes))
    finer = [a for a in fine[1:] if not _is_apart(ranges, a, strips[1])]
    if finer:
        strips.append(_places(ranges, finer[-1], low, nbytes))
    return strips


def _is_apart(ranges: Ranges, axis: int, strip: _Strip) -> bool:
    """Whether the gaps between the places of an axis can be seen."""
    _, stride = ranges.axes[axis]
    return stride * _WIDTH / strip.nbytes >= _APART


def _places(ranges: Ranges, axis: int, low: int, nbytes: int) -> _Strip:
    """Some places of an axis, that of the first element among them."""
    size, stride = ranges.axes[axis]
    at = ranges.indices(-ranges.low)
    start = sum(
        place * step for place, (_, step) in zip(at[:axis], ranges.axes[:axis], strict=True)
    )
    shown = min(size, _PLACES)
    begin = 0 if at[axis] < shown else min(size - shown, at[axis] - shown + 1)
    inside = ranges.inside(axis)
    start += begin * stride
    stop = start + (shown - 1) * stride + inside
    gap = max(0, stride - inside)
    margin = gap // 2 if gap else 0
    caption = f"{byte_count(inside)} every {count(stride)}"
    return _Strip(max(-low, start - margin), min(nbytes - low, stop + margin), caption)


def _strip(ranges: Ranges, strip: _Strip, y: float) -> str:
    track = (
        f'<rect class="ndl-track" x="{_LEFT}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" '
        'rx="2" fill="#e4e9f2"/>'
    )
    return track + _blocks(ranges, strip, y)


def _box(left: float, right: float, y: float) -> str:
    return f"M{left:.2f} {y}h{max(right - left, 1.2):.2f}v{_HEIGHT}H{left:.2f}z"


def _blocks(ranges: Ranges, strip: _Strip, y: float) -> str:
    """What is touched: the runs, or if they are too fine, what they lie in, paler."""
    axes = range(len(ranges.axes))
    fine = next((axis for axis in axes if not _is_apart(ranges, axis, strip)), len(axes))
    for depth in range(fine, -1, -1):
        blocks = ranges.blocks(depth, strip.start, strip.stop, _BLOCKS_MAX)
        if blocks is not None:
            break
    path = "".join(_box(strip.x(first), strip.x(last), y) for first, last in blocks or [])
    opacity = 0.2 + 0.8 * ranges.part(depth)
    return f'<path class="ndl-on" fill="#2f6fdf" fill-opacity="{opacity:.2f}" d="{path}"/>'


def _zoom(strip: _Strip, below: _Strip, y: float) -> str:
    """The interval that the strip below shows larger."""
    left, right = strip.x(below.start), strip.x(below.stop)
    if right - left < 3:
        middle = (left + right) / 2
        left, right = max(_LEFT, middle - 1.5), min(_RIGHT, middle + 1.5)
    bottom, top = y + _HEIGHT, y + _STRIP
    return (
        f'<path class="ndl-zoom" fill="#2f6fdf" fill-opacity=".1" '
        f'd="M{left:.2f} {bottom}H{right:.2f}L{_RIGHT} {top}H{_LEFT}z"/>'
        f'<path class="ndl-edge" fill="none" stroke="#2f6fdf" '
        f'd="M{left:.2f} {y - 1.5}h{right - left:.2f}v{_HEIGHT + 3}H{left:.2f}z"/>'
    )


def _labels(strip: _Strip, low: int, y: float) -> str:
    line = y + _HEIGHT + 13
    ends = (("start", _LEFT, strip.start), ("end", _RIGHT, strip.stop))
    marks = "".join(
        f'<text x="{x}" y="{line}" text-anchor="{anchor}">{count(place + low)}</text>'
        for anchor, x, place in ends
    )
    return f'{marks}<text x="378" y="{line}" text-anchor="middle">{plain(strip.caption)}</text>'


def _first(strip: _Strip, place: int, y: float, *, named: bool) -> str:
    """A mark over the first element."""
    x = min(max(strip.x(place), _LEFT + 4), _RIGHT - 4)
    mark = f'<path class="ndl-mark" fill="#c2410c" d="M{x - 4:.2f} {y - 8}h8L{x:.2f} {y - 1.5}z"/>'
    if not named:
        return mark
    is_left = x < 378
    return (
        f'{mark}<text class="ndl-mark" x="{x + 8 if is_left else x - 8:.2f}" y="{y - 3}" '
        f'text-anchor="{"start" if is_left else "end"}">first element</text>'
    )


def segments(sizes: list[int], most: int = 200) -> str:
    """Parts of a whole, one beside the other, in proportion."""
    total = sum(sizes)
    if total <= 0:
        return ""
    boxes, at = [], 0
    for size in sizes[:most]:
        left, right = (_LEFT + _WIDTH * place / total for place in (at, at + size))
        boxes.append(f"M{left:.2f} 2h{max(right - left - 1.5, 0.4):.2f}v{_HEIGHT}H{left:.2f}z")
        at += size
    return (
        f'<svg viewBox="0 0 756 20" role="img" aria-label="{len(sizes)} parts">'
        f'<path class="ndl-on" fill="#2f6fdf" d="{"".join(boxes)}"/></svg>'
    )
