"""ColorJitter beside torchvision's, in one thread, on 64 images of 224 x 224 x 3.

Both sides take images out of an array one by one and change them with their own factors, drawn from
the same intervals. Rounds of the two alternate, and figures are medians of them.

    ndlens bench colour      # or one of its contests: colour:uint8, colour:float32
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import ndlens as nl
from ndlens import transforms as T

from ..contest import Column, Contest, Figures, Ratio
from ..ground import Ground, Settings, seconds_of
from ..peers import reason_without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("uint8", "float32")
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=7, size=64, least=16)
QUICK = Settings(rounds=3, size=64, least=16, quick=True)

SIZE = 224
SETTINGS: dict[str, dict[str, Any]] = {
    "brightness": {"brightness": 0.4},
    "contrast": {"contrast": 0.4},
    "saturation": {"saturation": 0.4},
    "hue": {"hue": 0.1},
    "all four": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
}


def check(items: npt.NDArray[Any]) -> None:
    """The same factor gives the same image."""
    import torch
    from torchvision.transforms.v2 import functional

    jitter = [T.ColorJitter(saturation=(1.3, 1.3))]
    (ours,) = nl.Loader(items, batch_size=len(items), transforms=jitter)
    theirs = functional.adjust_saturation(torch.from_numpy(items).permute(0, 3, 1, 2), 1.3)
    assert isinstance(ours, torch.Tensor)
    assert torch.equal(ours.permute(0, 3, 1, 2), theirs), "other colours than torchvision's"


def ndlens_jitter(items: npt.NDArray[Any], settings: dict[str, Any]) -> Callable[[], None]:
    output: Any = "numpy" if reason_without(("torch",)) else "torch"
    jitter = [T.ColorJitter(**settings)]
    loader = nl.Loader(items, batch_size=16, num_workers=0, transforms=jitter, output=output)

    def run() -> None:
        for _ in loader:
            pass

    return run


def torchvision_jitter(items: npt.NDArray[Any], settings: dict[str, Any]) -> Callable[[], None]:
    import torch
    from torchvision.transforms import v2

    jitter = v2.ColorJitter(**settings)
    planar = torch.from_numpy(items).permute(0, 3, 1, 2).contiguous()

    def run() -> None:
        for image in planar:
            jitter(image)

    return run


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for each dtype."""
    reason = reason_without(("torch", "torchvision"))
    if reason is None:
        import torch

        torch.set_num_threads(1)
    shape = (settings.size, SIZE, SIZE, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for dtype in ("uint8", "float32"):
        if not settings.wants(dtype):
            continue
        items = pixels if dtype == "uint8" else pixels.astype(np.float32) / 255
        yield contest_of(ground, settings, items, reason)


def contest_of(
    ground: Ground, settings: Settings, items: npt.NDArray[Any], reason: str | None
) -> Contest:
    if reason is None:
        check(items)
    runs: dict[str, Callable[[], None]] = {}
    subjects = {}
    for name, factors in SETTINGS.items():
        runs[f"{name}, ndlens"] = ndlens_jitter(items, factors)
        if reason is None:
            runs[f"{name}, torchvision"] = torchvision_jitter(items, factors)
            subjects[f"{name}, torchvision"] = f"{name}, ndlens"
    # The first call of each warms up.
    for call in runs.values():
        call()

    def turn(name: str) -> Figures:
        return {"microseconds": seconds_of(runs[name]) / len(items) * 1e6}

    return Contest(
        str(items.dtype),
        f"ColorJitter of images ({SIZE}, {SIZE}, 3) of {items.dtype}, one thread",
        "us an image",
        [
            Column("us an image", "microseconds"),
            Ratio("ndlens is", "microseconds", "x as fast", ".1f", "contestant", subjects),
        ],
        ground.rounds(
            f"colour of {items.dtype}",
            {name: partial(turn, name) for name in runs},
            settings.rounds,
        ),
        absent={} if reason is None else {"torchvision": reason},
    )
