"""Images in another size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._arguments import check_addressable, integer, interpolation_name
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Resize"]


class Resize(Transform):
    """The image in another size, as torchvision's `resize` gives it.

    "bilinear" and "bicubic" take uint8 and float32. "nearest" and "nearest-exact" copy elements of
    any dtype exactly, also masks of int64, which torch takes through float32.

    Args:
        size: (height, width) in pixels, or one number for the shorter side. Then the longer side
            keeps its ratio to it but is at most `max_size`. With None, `max_size` is the longer
            side.
        interpolation: "nearest", "nearest-exact", "bilinear" or "bicubic", or torchvision's
            `InterpolationMode`.
        max_size: Upper bound of the longer side in pixels.
        antialias: Whether "bilinear" and "bicubic" take all pixels into account if the image gets
            smaller.

    Raises:
        ValueError: A size is not positive, `max_size` does not fit `size`, or `interpolation` is
            unknown.
    """

    size: tuple[int, ...] | None
    interpolation: str = "bilinear"
    max_size: int | None = None
    antialias: bool = True

    def __init__(
        self,
        size: int | Sequence[int] | None,
        interpolation: Any = "bilinear",
        max_size: int | None = None,
        antialias: bool = True,
    ) -> None:
        given = None if size is None else tuple(size) if isinstance(size, Iterable) else (size,)
        if given is not None:
            given = tuple(integer("size", side) for side in given)
            if len(given) not in (1, 2) or min(given) < 1:
                raise ValueError(
                    f"size must be a positive integer or (height, width), got {size!r}"
                )
            check_addressable("size", *given)
        if max_size is not None:
            max_size = integer("max_size", max_size)
            check_addressable("max_size", max_size)
        sides = 0 if given is None else len(given)
        least = given[0] + 1 if given is not None else 1
        if (sides == 2 and max_size is not None) or (
            sides < 2 and max_size is not None and max_size < least
        ):
            raise ValueError(
                "max_size goes with one number, the shorter side, and is above it, or with None; "
                f"got size {size!r} and max_size {max_size}"
            )
        if given is None and max_size is None:
            raise ValueError("size is None: give the longer side as max_size")
        self._set(
            size=given,
            interpolation=interpolation_name(interpolation),
            max_size=max_size,
            antialias=bool(antialias),
        )
