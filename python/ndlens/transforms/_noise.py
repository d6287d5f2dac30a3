"""Random numbers on series and rows."""

from __future__ import annotations

import math

from ._arguments import number
from ._base import Transform

__all__ = ["RandomJitter", "RandomScale"]


class RandomScale(Transform):
    """The item times a random factor.

    For items of any rank and a floating-point dtype. The factor is uniform from `low` to `high`.

    Args:
        low: Lower bound of the factor.
        high: Upper bound of the factor.
        per_feature: Whether each feature of the last axis has a factor of its own.

    Raises:
        ValueError: A bound is not finite, or `low` is above `high`.
    """

    low: float
    high: float
    per_feature: bool = False

    def __init__(self, low: float, high: float, per_feature: bool = False) -> None:
        low, high = number("low", low), number("high", high)
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(
                "low and high must be finite numbers, low no more than high, "
                f"got {low!r} and {high!r}"
            )
        self._set(low=low, high=high, per_feature=bool(per_feature))


class RandomJitter(Transform):
    """The item plus a normal number of mean 0 and standard deviation `sigma` for each element.

    For items of any rank and a floating-point dtype. The numbers come from Philox by the transform
    of Box and Muller: a pure function of the seed, the epoch, the item, and the element's place in
    the item.

    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011 (Philox);
    Box and Muller, "A note on the generation of random normal deviates", 1958.

    Args:
        sigma: Standard deviation.

    Raises:
        ValueError: `sigma` is negative or not finite.
    """

    sigma: float

    def __init__(self, sigma: float) -> None:
        sigma = number("sigma", sigma)
        if not 0 <= sigma < math.inf:
            raise ValueError(f"sigma must be a finite number from 0 on, got {sigma!r}")
        self._set(sigma=sigma)
