"""ColorJitter beside torchvision's, in one thread, on 64 images of 224 x 224 x 3.

Both sides take images out of an array one by one and change them with their own factors, drawn from
the same intervals. Rounds of the two alternate, and figures are medians of them.

    python benches/colour.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

import ndlens as nl
from ndlens import transforms as T

ITEMS, SIZE, ROUNDS = 64, 224, 7
SETTINGS: dict[str, dict[str, Any]] = {
    "brightness": {"brightness": 0.4},
    "contrast": {"contrast": 0.4},
    "saturation": {"saturation": 0.4},
    "hue": {"hue": 0.1},
    "all four": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
}


def seconds(run: Callable[[], None]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def check(items: np.ndarray[Any, Any]) -> None:
    """The same factor gives the same image."""
    (ours,) = nl.Loader(items, batch_size=ITEMS, transforms=[T.ColorJitter(saturation=(1.3, 1.3))])
    theirs = F.adjust_saturation(torch.from_numpy(items).permute(0, 3, 1, 2), 1.3)
    assert isinstance(ours, torch.Tensor)
    assert torch.equal(ours.permute(0, 3, 1, 2), theirs)


def measure(items: np.ndarray[Any, Any], settings: dict[str, Any]) -> tuple[float, float]:
    """Seconds for one image: ndlens, torchvision."""
    loader = nl.Loader(items, batch_size=16, num_workers=0, transforms=[T.ColorJitter(**settings)])
    jitter = v2.ColorJitter(**settings)
    planar = torch.from_numpy(items).permute(0, 3, 1, 2).contiguous()

    def ours() -> None:
        for _ in loader:
            pass

    def theirs() -> None:
        for image in planar:
            jitter(image)

    # The first call of each warms up.
    ours()
    theirs()
    rounds = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(times) / ITEMS for times in zip(*rounds, strict=True))
    return mine, other


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 256, (ITEMS, SIZE, SIZE, 3), np.uint8)
    print(
        f"{'dtype':<8} {'ColorJitter of':<15} {'ndlens us':>10} {'torchvision us':>15} {'ratio':>7}"
    )
    for items in (pixels, pixels.astype(np.float32) / 255):
        check(items)
        for name, settings in SETTINGS.items():
            mine, other = measure(items, settings)
            print(
                f"{items.dtype!s:<8} {name:<15} {mine * 1e6:>10.0f} {other * 1e6:>15.0f}"
                f" {other / mine:>6.1f}x"
            )


if __name__ == "__main__":
    main()
