"""Padding around images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._arguments import floats, padding_sides
from ._arguments import padding_mode as known_mode
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import SupportsFloat

__all__ = ["Pad"]


class Pad(Transform):
    """The image with pixels added around it.

    Args:
        padding: Pixels: one number, two (left and right, top and bottom) or four (left, top, right,
            bottom).
        fill: Value of padded pixels: one, or one for each channel.
        padding_mode: "constant" for `fill`, or "edge", "reflect" or "symmetric".

    Raises:
        ValueError: `padding` is not 1, 2 or 4 numbers that are not negative, or `padding_mode` is
            unknown.
    """

    padding: tuple[int, int, int, int]
    fill: tuple[float, ...] = (0.0,)
    padding_mode: str = "constant"

    def __init__(
        self,
        padding: int | Sequence[int],
        fill: SupportsFloat | Iterable[SupportsFloat] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self._set(
            padding=padding_sides(padding), fill=floats(fill), padding_mode=known_mode(padding_mode)
        )
