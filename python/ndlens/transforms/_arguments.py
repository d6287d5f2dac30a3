"""The arguments that transforms share, checked and brought into one form."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsFloat

# The largest index or size of an axis.
_LARGEST = 2**63 - 1
_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
_INTERPOLATIONS = ("nearest", "nearest-exact", "bilinear", "bicubic")


def check_addressable(name: str, *numbers: int) -> None:
    """Refuse numbers above the largest index or size of an axis.

    Raises:
        ValueError: A number is above 2**63 - 1.
    """
    if max(numbers) > _LARGEST:
        raise ValueError(f"{name} must be at most {_LARGEST}, got {max(numbers)}")


def integer(name: str, value: Any) -> int:
    """An integer of Python or of another library, and no float.

    Raises:
        TypeError: It is not an integer.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def size_pair(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) from one number or two, as torchvision takes them."""
    given = tuple(size) if isinstance(size, Iterable) else (size,)
    if len(given) not in (1, 2):
        raise ValueError(f"size must be an integer or (height, width), got {size!r}")
    height, width = (integer("size", given[0]), integer("size", given[-1]))
    if height < 1 or width < 1:
        raise ValueError(f"size must be positive, got {size!r}")
    check_addressable("size", height, width)
    return height, width


def number(name: str, value: Any) -> Any:
    """An int or a float as it is, and anything else that is a number as a float."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def probability(p: Any) -> Any:
    """A number between 0 and 1."""
    p = number("p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, got {p!r}")
    return p


def floats(values: SupportsFloat | Iterable[SupportsFloat]) -> tuple[float, ...]:
    """One number, also as a tensor of rank 0, or several."""
    try:
        several = iter(values)  # type: ignore[arg-type]  # what this finds out
    except TypeError:
        return (float(values),)  # type: ignore[arg-type]  # not iterable, so a number
    return tuple(float(value) for value in several)


def pair(name: str, values: Iterable[SupportsFloat]) -> tuple[float, float]:
    """Two numbers, the lower first."""
    given = floats(values)
    if len(given) != 2 or not given[0] <= given[1] or not all(map(math.isfinite, given)):
        raise ValueError(f"{name} must be two numbers, the lower first, got {values!r}")
    return given[0], given[1]


def positive_pair(name: str, values: Iterable[SupportsFloat]) -> tuple[float, float]:
    """Two numbers above 0, the lower first."""
    given = pair(name, values)
    if not given[0] > 0:
        raise ValueError(f"{name} must be above 0, got {values!r}")
    return given


def padding_sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Pixels to the left, top, right and bottom.

    From one number, two (left and right, top and bottom) or four.
    """
    numbers = padding if isinstance(padding, Iterable) else (padding,)
    given = [integer("padding", number) for number in numbers]
    if len(given) not in (1, 2, 4) or min(given) < 0:
        raise ValueError(f"padding must be 1, 2 or 4 numbers of pixels, got {padding!r}")
    check_addressable("padding", *given)
    left, top, right, bottom = given * (4 // len(given))
    return left, top, right, bottom


def padding_mode(mode: str) -> str:
    """The name of a way to fill padded pixels."""
    if mode not in _PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {', '.join(_PADDING_MODES)}, got {mode!r}")
    return mode


def interpolation_name(interpolation: Any) -> str:
    """The name of an interpolation, also of torchvision's `InterpolationMode`."""
    name = getattr(interpolation, "value", interpolation)
    if name not in _INTERPOLATIONS:
        raise ValueError(
            f"interpolation must be one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}"
        )
    return str(name)
