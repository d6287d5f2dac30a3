"""Parts of images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._arguments import (
    check_addressable,
    floats,
    integer,
    interpolation_name,
    padding_sides,
    positive_pair,
    size_pair,
)
from ._arguments import (
    padding_mode as known_mode,
)
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsFloat

__all__ = ["CenterCrop", "Crop", "RandomCrop", "RandomResizedCrop"]


class RandomCrop(Transform):
    """A rectangle of `size`, each position equally likely.

    Args:
        size: (height, width) in pixels, or one number for a square.
        padding: Pixels that are added to the image first: one number, two (left and right, top and
            bottom) or four (left, top, right, bottom).
        pad_if_needed: Whether an image that is still smaller than `size` is padded on both sides by
            what is missing.
        fill: Value of padded pixels: one, or one for each channel.
        padding_mode: "constant" for `fill`, or "edge", "reflect" or "symmetric".

    Raises:
        ValueError: `size` is not positive, `padding` is negative, or `padding_mode` is unknown.
    """

    size: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_if_needed: bool = False
    fill: tuple[float, ...] = (0.0,)
    padding_mode: str = "constant"

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: SupportsFloat | Iterable[SupportsFloat] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self._set(
            size=size_pair(size),
            padding=padding_sides(padding or 0),
            pad_if_needed=bool(pad_if_needed),
        )
        self._set(fill=floats(fill), padding_mode=known_mode(padding_mode))


class CenterCrop(Transform):
    """The middle of the image, at torchvision's place.

    An image that is smaller is padded with 0.

    Args:
        size: (height, width) in pixels, or one number for a square.

    Raises:
        ValueError: `size` is not one or two positive integers.
    """

    size: tuple[int, int]

    def __init__(self, size: int | Sequence[int]) -> None:
        self._set(size=size_pair(size))


class Crop(Transform):
    """The rectangle of `height` rows from `top` on and `width` columns from `left` on.

    Args:
        top: First row, from 0 on.
        left: First column, from 0 on.
        height: Number of rows.
        width: Number of columns.

    Raises:
        ValueError: `top` or `left` is negative, or `height` or `width` is not positive.
    """

    top: int
    left: int
    height: int
    width: int

    def __init__(self, top: int, left: int, height: int, width: int) -> None:
        sides = (("top", top, 0), ("left", left, 0), ("height", height, 1), ("width", width, 1))
        for name, given, least in sides:
            pixels = integer(name, given)
            if pixels < least:
                raise ValueError(f"{name} must be at least {least}, got {pixels}")
            check_addressable(name, pixels)
            self._set(**{name: pixels})


class RandomResizedCrop(Transform):
    """A random part of the image, resized to `size`; drawn as torchvision draws it.

    Args:
        size: (height, width) in pixels, or one number for a square.
        scale: Lower and upper bound of the part's area, as a fraction of the image's.
        ratio: Lower and upper bound of the part's width over its height.
        interpolation: As in `Resize`.
        antialias: As in `Resize`.

    Raises:
        ValueError: `size`, `scale` or `ratio` is not positive, or `interpolation` is unknown.
    """

    size: tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    antialias: bool = True

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: Any = "bilinear",
        antialias: bool = True,
    ) -> None:
        self._set(
            size=size_pair(size),
            scale=positive_pair("scale", scale),
            ratio=positive_pair("ratio", ratio),
        )
        self._set(interpolation=interpolation_name(interpolation), antialias=bool(antialias))
