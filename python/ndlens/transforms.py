"""What a loader does to items: torchvision v2's names and parameters, compiled into one pass without the GIL.

Image transforms take items of shape (height, width) or (height, width, channels); `ChannelsFirst` turns an item into
(channels, height, width) for the model. Random transforms draw for each item, a pure function of the seed, the epoch,
the item and the name of its field (the key in a dict, the place in a tuple).

>>> from ndlens import transforms as T
>>> T.RandomCrop(256)
RandomCrop(size=(256, 256))
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

from ._ndlens import dtype_name

__all__ = [
    "CenterCrop",
    "ChannelsFirst",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomVerticalFlip",
    "ToDtype",
    "Transform",
]


class Transform:
    """What all transforms are."""


def _size(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) from one number or two, as torchvision takes them."""
    given = tuple(size) if isinstance(size, Iterable) else (size,)
    if len(given) not in (1, 2):
        raise ValueError(f"size must be an integer or (height, width), got {size!r}")
    height, width = (operator.index(given[0]), operator.index(given[-1]))
    if height < 1 or width < 1:
        raise ValueError(f"size must be positive, got {size!r}")
    return height, width


def _floats(values: SupportsFloat | Iterable[SupportsFloat]) -> tuple[float, ...]:
    """One number, also as a tensor of rank 0, or several."""
    try:
        several = iter(values)  # type: ignore[arg-type]  # what this finds out
    except TypeError:
        return (float(values),)  # type: ignore[arg-type]  # no iterable, so a number
    return tuple(float(value) for value in several)


@dataclass(frozen=True, init=False)
class RandomCrop(Transform):
    """A rectangle of `size` (height, width), or a square, each position equally likely."""

    size: tuple[int, int]

    def __init__(self, size: int | Sequence[int]) -> None:
        """Raise `ValueError` unless `size` is one or two positive integers."""
        object.__setattr__(self, "size", _size(size))


@dataclass(frozen=True, init=False)
class CenterCrop(Transform):
    """The middle of the image, of `size` (height, width), or a square; where torchvision finds it."""

    size: tuple[int, int]

    def __init__(self, size: int | Sequence[int]) -> None:
        """Raise `ValueError` unless `size` is one or two positive integers."""
        object.__setattr__(self, "size", _size(size))


@dataclass(frozen=True)
class RandomHorizontalFlip(Transform):
    """Left and right exchanged, with probability `p`."""

    p: float = 0.5


@dataclass(frozen=True)
class RandomVerticalFlip(Transform):
    """Top and bottom exchanged, with probability `p`."""

    p: float = 0.5


@dataclass(frozen=True, init=False)
class ToDtype(Transform):
    """Elements converted to a floating-point `dtype`: a name, a torch or a NumPy dtype.

    `scale=True` takes the range of an integer dtype to 0..1. Bit-equal to torchvision's `to_dtype` on the CPU.
    """

    dtype: str
    scale: bool = False

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        """Raise `TypeError` for what is no dtype of ndlens."""
        object.__setattr__(self, "dtype", dtype_name(dtype))
        object.__setattr__(self, "scale", scale)


@dataclass(frozen=True, init=False)
class Normalize(Transform):
    """`(x - mean) / std` with one number for each channel, or one for all.

    Needs a floating-point dtype; bit-equal to torchvision's `normalize` on the CPU.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(
        self, mean: SupportsFloat | Iterable[SupportsFloat], std: SupportsFloat | Iterable[SupportsFloat]
    ) -> None:
        """Take one number or one for each channel."""
        object.__setattr__(self, "mean", _floats(mean))
        object.__setattr__(self, "std", _floats(std))


@dataclass(frozen=True)
class ChannelsFirst(Transform):
    """(height, width, channels) to (channels, height, width)."""
