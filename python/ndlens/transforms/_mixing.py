"""Transforms of whole batches by a loader; `ndlens.transforms` has the names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ._arguments import integer
from ._base import BatchTransform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CutMix", "MixUp", "RandomChoice"]


class _Mix(BatchTransform):
    num_classes: int | None = None
    alpha: float = 1.0

    def __init__(self, num_classes: int | None = None, alpha: float = 1.0) -> None:
        if num_classes is not None:
            num_classes = integer("num_classes", num_classes)
            if num_classes < 1:
                raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        alpha = float(alpha)
        if not 0 < alpha < math.inf:
            raise ValueError(f"alpha must be a finite number above 0, got {alpha}")
        self._set(num_classes=num_classes, alpha=alpha)


class MixUp(_Mix):
    """Each image and its label mixed with those of the item before it.

    `lam * x + (1 - lam) * x.roll(1, 0)`, with one `lam` for each batch, from Beta(alpha, alpha);
    the first item is mixed with the last. Labels of shape (n,) and an integer dtype become float32
    of shape (n, num_classes); labels of shape (n, classes) and a floating-point dtype are mixed as
    they are, and `num_classes` may be None. Images, or items of any other shape, need a
    floating-point dtype. Bit-equal to torchvision's `MixUp` with the same `lam` on the CPU.

    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", 2018,
    arXiv:1710.09412.

    Args:
        num_classes: Number of classes; None for labels that have an axis of classes.
        alpha: Both parameters of the beta distribution: the lower, the less items are mixed.

    Raises:
        ValueError: `num_classes` is below 1, or `alpha` is not finite and above 0.
    """

    def __init__(self, num_classes: int | None = None, alpha: float = 1.0) -> None:
        super().__init__(num_classes, alpha)


class CutMix(_Mix):
    """A rectangle of each image taken from the item before it, and labels mixed in proportion.

    One rectangle for each batch: `lam` comes from Beta(alpha, alpha), the middle is uniform, the
    sides are `sqrt(1 - lam)` of the image's, and the part beyond its edges is cut off;
    labels are mixed by the area that is left. Images are (height, width) or (height, width,
    channels), or what `ChannelsFirst` makes of them, of any dtype; labels as for `MixUp`. Bit-equal
    to torchvision's `CutMix` with the same `lam` and rectangle.

    Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable
    features", 2019, arXiv:1905.04899.

    Args:
        num_classes: Number of classes; None for labels that have an axis of classes.
        alpha: Both parameters of the beta distribution: the lower, the less items are mixed.

    Raises:
        ValueError: `num_classes` is below 1, or `alpha` is not finite and above 0.
    """

    def __init__(self, num_classes: int | None = None, alpha: float = 1.0) -> None:
        super().__init__(num_classes, alpha)


class RandomChoice(BatchTransform):
    """Each batch mixed by one of `transforms`.

    A loader checks `transforms` and `p`, and raises their errors.

    Args:
        transforms: `MixUp` and `CutMix`, of ndlens or torchvision.
        p: Probabilities in proportion, one for each; None if all are equally likely.
    """

    transforms: tuple[Any, ...]
    p: tuple[float, ...] | None = None

    def __init__(self, transforms: Sequence[Any], p: Iterable[float] | None = None) -> None:
        self._set(
            transforms=tuple(transforms),
            p=None if p is None else tuple(float(weight) for weight in p),
        )
