"""Images in other colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._arguments import floats, pair, probability
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import SupportsFloat

__all__ = ["ColorJitter", "RandomGrayscale"]


def _factors(
    name: str, value: SupportsFloat | Iterable[SupportsFloat] | None, center: float
) -> tuple[float, float] | None:
    """The interval of factors around `center`, from one number or a pair.

    None if it changes nothing.
    """
    if value is None:
        return None
    given = floats(value)
    if len(given) == 1 and not isinstance(value, Iterable):
        if not given[0] >= 0:
            raise ValueError(f"{name} must not be negative, got {value!r}")
        # Factors are not negative; a hue turns both ways.
        low = center - given[0] if center == 0 else max(center - given[0], 0.0)
        given = (low, center + given[0])
    interval = pair(name, given)
    if center == 0 and not -0.5 <= interval[0] <= interval[1] <= 0.5:
        raise ValueError(f"{name} must be between -0.5 and 0.5, got {value!r}")
    if center != 0 and interval[0] < 0:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return None if interval == (center, center) else interval


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed by random factors, in random order.

    Takes uint8 and float32 images with 1 or 3 channels. A uint8 image comes out bit-equal to
    torchvision's on the CPU up to 65,536 pixels (a contrast of more may differ by one level), a
    float32 image within 1e-6.

    Args:
        brightness: b for a factor from max(0, 1 - b) to 1 + b, or the interval itself as a pair.
        contrast: As `brightness`.
        saturation: As `brightness`.
        hue: h for a turn from -h to h of a circle, or the interval itself as a pair; from -0.5 to
            0.5.

    Raises:
        ValueError: A number is negative, or a pair is not two numbers, the lower first.
    """

    brightness: tuple[float, float] | None = None
    contrast: tuple[float, float] | None = None
    saturation: tuple[float, float] | None = None
    hue: tuple[float, float] | None = None

    def __init__(
        self,
        brightness: SupportsFloat | Sequence[float] | None = None,
        contrast: SupportsFloat | Sequence[float] | None = None,
        saturation: SupportsFloat | Sequence[float] | None = None,
        hue: SupportsFloat | Sequence[float] | None = None,
    ) -> None:
        self._set(
            brightness=_factors("brightness", brightness, 1),
            contrast=_factors("contrast", contrast, 1),
            saturation=_factors("saturation", saturation, 1),
            hue=_factors("hue", hue, 0),
        )


class RandomGrayscale(Transform):
    """All three channels set to the pixel's grey, with probability `p`.

    The grey is that of torchvision's `rgb_to_grayscale`.

    Args:
        p: Probability, from 0 to 1.

    Raises:
        ValueError: `p` is not a probability.
    """

    p: float = 0.1

    def __init__(self, p: float = 0.1) -> None:
        self._set(p=probability(p))
