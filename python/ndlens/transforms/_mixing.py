"""What a loader does to whole batches; `ndlens.transforms` has the names."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class BatchTransform:
    """What mixes batches: for `nl.Loader(..., mix=...)`."""


@dataclass(frozen=True)
class _Mix(BatchTransform):
    """How many classes there are, and how evenly two items are mixed."""

    num_classes: int | None = None
    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for less than one class, and an `alpha` that is not finite and above 0."""
        if self.num_classes is not None:
            object.__setattr__(self, "num_classes", operator.index(self.num_classes))
            if self.num_classes < 1:
                raise ValueError(f"num_classes must be at least 1, got {self.num_classes}")
        object.__setattr__(self, "alpha", float(self.alpha))
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be a finite number above 0, got {self.alpha}")


@dataclass(frozen=True)
class MixUp(_Mix):
    """Each image and its label mixed with those of the item before it: `lam * x + (1 - lam) * x.roll(1, 0)`.

    One `lam` for each batch, from Beta(alpha, alpha); the first item is mixed with the last. Labels
    of shape (n,) and an integer dtype become float32 of shape (n, num_classes); labels of shape (n,
    classes) and a floating-point dtype are mixed as they are, and `num_classes` may be None.
    Images, or items of any other shape, need a floating-point dtype. Bit-equal to torchvision's
    `MixUp` with the same `lam` on the CPU.

    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", 2018,
    arXiv:1710.09412.
    """


@dataclass(frozen=True)
class CutMix(_Mix):
    """A rectangle of each image from the item before it, and labels in proportion to what is seen of both.

    One rectangle for each batch: `lam` comes from Beta(alpha, alpha), the middle is uniform, the
    sides are `sqrt(1 - lam)` of the image's, and what would reach beyond its edges is cut off;
    labels are mixed by the area that is left. Images are (height, width) or (height, width,
    channels), or what `ChannelsFirst` makes of them, of any dtype; labels as for `MixUp`. Bit-equal
    to torchvision's `CutMix` with the same `lam` and rectangle.

    Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable
    features", 2019, arXiv:1905.04899.
    """


@dataclass(frozen=True, init=False)
class RandomChoice(BatchTransform):
    """Each batch mixed by one of `transforms`, drawn with probabilities in proportion to `p`, or all equally likely."""

    transforms: tuple[Any, ...]
    p: tuple[float, ...] | None = None

    def __init__(self, transforms: Sequence[Any], p: Iterable[float] | None = None) -> None:
        """Take `MixUp` and `CutMix`, ours or torchvision's. A loader says what is wrong with them or with `p`."""
        object.__setattr__(self, "transforms", tuple(transforms))
        object.__setattr__(self, "p", None if p is None else tuple(float(weight) for weight in p))
