"""Which bytes a view touches, as intervals, in time that depends on the rank alone.

A view of 2**40 elements has as many places. So they are never listed: axes are sorted by their
strides, and joined where they touch the same or neighbouring bytes:

    run         bytes that are touched without a gap
    axes        (size, stride) from the outermost: each stride is at least what lies inside
                touches, so that the number of touched bytes before any place is a sum

Rows that overlap without covering all bytes between them (few views have such) are taken for a run
that is touched in part: `density` is that part, and `is_exact` is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Ranges"]


class Ranges:
    """The bytes that elements of a shape at strides touch."""

    def __init__(self, shape: Sequence[int], strides: Sequence[int], itemsize: int) -> None:
        # The lowest byte that is touched, from the first element on.
        self.low = sum(
            (size - 1) * stride
            for size, stride in zip(shape, strides, strict=True)
            if stride < 0 and size
        )
        self.is_empty = 0 in shape or itemsize == 0
        self.run, self.density, self.is_exact = itemsize, 1.0, True
        # Innermost first, while they are joined.
        axes: list[tuple[int, int]] = []
        moving = sorted(
            (abs(stride), size)
            for size, stride in zip(shape, strides, strict=True)
            if size > 1 and stride
        )
        for stride, size in moving:
            if not axes and stride <= self.run:
                self.run += (size - 1) * stride
                continue
            if axes and stride % axes[-1][1] == 0 and stride <= axes[-1][0] * axes[-1][1]:
                # The same places, and some after them.
                inner, step = axes[-1]
                axes[-1] = (inner + (size - 1) * (stride // step), step)
                continue
            inside = self._extent(axes)
            if stride < inside:
                touched = self._touched(axes)
                span = inside + (size - 1) * stride
                self.density = min(1.0, size * touched / span)
                self.run, self.is_exact = span, False
                axes.clear()
                continue
            axes.append((size, stride))
        self.axes = axes[::-1]

    def _extent(self, axes: Sequence[tuple[int, int]]) -> int:
        return self.run + sum((size - 1) * stride for size, stride in axes)

    def _touched(self, axes: Sequence[tuple[int, int]]) -> float:
        touched = self.run if self.density == 1.0 else self.run * self.density
        for size, _ in axes:
            touched *= size
        return touched

    def inside(self, axis: int) -> int:
        """The bytes from the first to the last that are touched inside a place of an axis."""
        return self._extent(self.axes[axis + 1 :])

    @property
    def extent(self) -> int:
        """The bytes from the first to the last that are touched."""
        return 0 if self.is_empty else self._extent(self.axes)

    @property
    def nbytes(self) -> int:
        """The bytes that are touched."""
        return 0 if self.is_empty else int(self._touched(self.axes))

    def part(self, depth: int) -> float:
        """The part of the bytes inside a place of the `depth` outermost axes that is touched."""
        inside = self._extent(self.axes[depth:])
        return min(1.0, self._touched(self.axes[depth:]) / inside) if inside else 0.0

    def blocks(self, depth: int, start: int, stop: int, most: int) -> list[tuple[int, int]] | None:
        """The places of the `depth` outermost axes in an interval, cut to it.

        None if there are more than `most`. Those that touch are one.
        """
        if self.is_empty:
            return []
        found: list[tuple[int, int]] = []
        for seen, (first, last) in enumerate(self._blocks(0, depth, 0, start, stop)):
            if found and first <= found[-1][1]:
                found[-1] = (found[-1][0], last)
            else:
                found.append((first, last))
            if seen >= most:
                return None
        return found

    def _blocks(
        self, axis: int, depth: int, at: int, start: int, stop: int
    ) -> Iterator[tuple[int, int]]:
        if axis == depth:
            first, last = max(at, start), min(at + self._extent(self.axes[axis:]), stop)
            if first < last:
                yield first, last
            return
        size, stride = self.axes[axis]
        step = max(0, (start - at - self.inside(axis)) // stride)
        while step < size and at + step * stride < stop:
            yield from self._blocks(axis + 1, depth, at + step * stride, start, stop)
            step += 1

    def indices(self, place: int) -> list[int]:
        """The place of a touched byte on each axis."""
        found = []
        for size, stride in self.axes:
            step = min(place // stride, size - 1)
            found.append(step)
            place -= step * stride
        return found
