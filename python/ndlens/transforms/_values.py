"""Elements converted to another dtype or range."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable

from .._ndlens import dtype_name
from ._arguments import floats
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, SupportsFloat

__all__ = ["Normalize", "Standardize", "ToDtype"]

_IMAGENET = "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)"


class ToDtype(Transform):
    """Elements converted to `dtype`.

    `scale=True` takes the range of an integer dtype to 0..1, 0..1 to that of an integer dtype, and
    integers to integers by a shift. Bit-equal to torchvision's `to_dtype` on the CPU, which does
    not scale float32 to int32 or int64, float64 to int64, nor integers from or to bool, uint32 and
    uint64: a `ValueError` when the loader is made.

    To an integer, floats are truncated towards zero, and what does not fit keeps its low bits: -1.0
    becomes 255 as uint8. torch leaves open the result for a float beyond 32 bits (64 for uint8,
    uint32 and 64-bit dtypes) and for NaN. ndlens gives the result of torch on x86-64: 0 in dtypes
    of up to 16 bits and uint32, the lowest int32 and int64; as uint64 0 from 2^64 on and otherwise
    2^63. As bool every value but 0 is true, NaN too.

    Args:
        dtype: bool, an integer, or a float of 16 to 64 bits: a name, a torch or a NumPy dtype.
        scale: Whether values are scaled to the range of `dtype`.

    Raises:
        TypeError: ndlens has no such dtype.
    """

    dtype: str
    scale: bool = False

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        self._set(dtype=dtype_name(dtype), scale=bool(scale))


def _says_what_to_give(init: Callable[..., None]) -> Callable[..., None]:
    """Say what to give if `mean` or `std` is left out, or names a data set."""

    @functools.wraps(init)
    def checked(self: _Statistics, *args: Any, **kwargs: Any) -> None:
        given = dict(zip(("mean", "std"), args, strict=False)) | kwargs
        if len(args) > 2 or not given.keys() <= {"mean", "std"}:
            init(self, *args, **kwargs)  # Python's own error
        name = type(self).__name__
        for argument, value in given.items():
            if isinstance(value, str):
                hint = f": ImageNet's are {_IMAGENET}" if value.lower() == "imagenet" else ""
                raise TypeError(f"{name}: {argument} must be numbers, got {value!r}{hint}")
        missing = [argument for argument in ("mean", "std") if argument not in given]
        if missing:
            raise TypeError(f"{name} needs {' and '.join(missing)}: {self._what_to_give}")
        init(self, *args, **kwargs)

    return checked


class _Statistics(Transform):
    if TYPE_CHECKING:
        _what_to_give: ClassVar[str]

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(
        self,
        mean: SupportsFloat | Iterable[SupportsFloat],
        std: SupportsFloat | Iterable[SupportsFloat],
    ) -> None:
        means, stds = floats(mean), floats(std)
        for name, numbers in (("mean", means), ("std", stds)):
            if not numbers or not all(map(math.isfinite, numbers)):
                raise ValueError(f"{name} must be one or more finite numbers, got {numbers}")
        if 0 in stds:
            raise ValueError(f"std must not be 0, got {stds}")
        if len(means) != len(stds) and 1 not in (len(means), len(stds)):
            raise ValueError(f"mean and std must be as many, got {len(means)} and {len(stds)}")
        self._set(mean=means, std=stds)


class Normalize(_Statistics):
    """`(x - mean) / std` with one number for each channel, or one for all.

    Needs a floating-point dtype; bit-equal to torchvision's `normalize` on the CPU.

    Args:
        mean: Means, one for each channel or one for all.
        std: Standard deviations, as many.

    Raises:
        ValueError: A number is not finite, a standard deviation is 0, or they are not as many.
        TypeError: `mean` or `std` is left out, or is no number.
    """

    _what_to_give = f"numbers for each channel, or one for all. ImageNet's are {_IMAGENET}"

    @_says_what_to_give
    def __init__(
        self,
        mean: SupportsFloat | Iterable[SupportsFloat],
        std: SupportsFloat | Iterable[SupportsFloat],
    ) -> None:
        super().__init__(mean, std)


class Standardize(_Statistics):
    """`(x - mean) / std` with one number for each feature of the last axis, or one for all.

    For series and rows: items of any rank. Needs a floating-point dtype.

    Args:
        mean: Means, one for each feature or one for all.
        std: Standard deviations, as many.

    Raises:
        ValueError: A number is not finite, a standard deviation is 0, or they are not as many.
        TypeError: `mean` or `std` is left out, or is no number.
    """

    _what_to_give = (
        "numbers for each feature of the last axis, or one for all, "
        "such as mean=x.mean(axis=0), std=x.std(axis=0)"
    )

    @_says_what_to_give
    def __init__(
        self,
        mean: SupportsFloat | Iterable[SupportsFloat],
        std: SupportsFloat | Iterable[SupportsFloat],
    ) -> None:
        super().__init__(mean, std)
