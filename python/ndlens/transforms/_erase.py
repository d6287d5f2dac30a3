"""Parts of images overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._arguments import floats, pair, positive_pair, probability
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import SupportsFloat

__all__ = ["RandomErasing"]


class RandomErasing(Transform):
    """A rectangle of the image overwritten, with probability `p`.

    Args:
        p: Probability, from 0 to 1.
        scale: Lower and upper bound of the rectangle's area, as a fraction of the image's.
        ratio: Lower and upper bound of the rectangle's height over its width.
        value: New value of the pixels: one number, one for each channel, or "random" for normal
            numbers of mean 0 and variance 1, which need a floating-point dtype.

    Raises:
        ValueError: `p` is not a probability, `scale` or `ratio` is not two positive numbers, or
            `value` is another word.
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: tuple[float, ...] | str = (0.0,)

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: SupportsFloat | Iterable[SupportsFloat] | str = 0.0,
    ) -> None:
        if isinstance(value, str) and value != "random":
            raise ValueError(f'value must be a number, numbers or "random", got {value!r}')
        scale = pair("scale", scale)
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale must be between 0 and 1, got {scale!r}")
        self._set(p=probability(p), scale=scale, ratio=positive_pair("ratio", ratio))
        self._set(value=value if isinstance(value, str) else floats(value))
