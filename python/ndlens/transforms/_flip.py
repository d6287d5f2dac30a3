"""Images mirrored and turned."""

from __future__ import annotations

from collections.abc import Iterable

from ._arguments import integer, probability
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["RandomHorizontalFlip", "RandomQuarterTurn", "RandomVerticalFlip"]


class RandomHorizontalFlip(Transform):
    """Left and right exchanged, with probability `p`.

    Args:
        p: Probability, from 0 to 1.

    Raises:
        ValueError: `p` is not a probability.
    """

    p: float = 0.5

    def __init__(self, p: float = 0.5) -> None:
        self._set(p=probability(p))


class RandomVerticalFlip(Transform):
    """Top and bottom exchanged, with probability `p`.

    Args:
        p: Probability, from 0 to 1.

    Raises:
        ValueError: `p` is not a probability.
    """

    p: float = 0.5

    def __init__(self, p: float = 0.5) -> None:
        self._set(p=probability(p))


class RandomQuarterTurn(Transform):
    """The image turned counter-clockwise by one of `degrees`, each equally likely.

    Args:
        degrees: Multiples of 90. Turns by 90 and 270 need a square image.

    Raises:
        ValueError: One of `degrees` is not a multiple of 90, or there is none.
    """

    degrees: tuple[int, ...]

    def __init__(self, degrees: Iterable[int] = (0, 90, 180, 270)) -> None:
        given = tuple(integer("degrees", degree) for degree in degrees)
        if not given or any(degree % 90 for degree in given):
            raise ValueError(f"degrees must be multiples of 90, got {given}")
        self._set(degrees=given)

    def _arguments(self) -> dict[str, Any]:
        # Python's integers may be larger than those of Rust.
        return {"degrees": tuple(degree % 360 for degree in self.degrees)}
