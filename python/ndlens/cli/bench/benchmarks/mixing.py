"""MixUp and CutMix of whole batches: ndlens in the loader beside torchvision's on the same batches.

What it shows. Random crops of 256 x 256 of images of 512 x 512 x 3 bytes in memory, to float32
channels first, shuffled, in batches of 32, with labels of ten classes, two threads: the images a
second without mixing, with `mix=` in the loader, and with torchvision's transform applied to the
loader's batches, as a collate function would. torchvision has as many threads. Contestants take
turns; figures are medians of their turns.

    ndlens bench mixing
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import ndlens as nl
from ndlens import transforms as T

from ..contest import Column, Contest, Figures, Ratio
from ..ground import Ground, Settings
from ..peers import reason_without

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("images",)
PEERS: tuple[str, ...] = ("torch",)
FULL = Settings(rounds=5, seconds=0.5, size=600, least=96)
QUICK = Settings(rounds=1, seconds=0.3, size=128, least=96, quick=True)

SIZE, CROP, BATCH, CLASSES, THREADS = 512, 256, 32, 10, 2
NONE = "no mixing"
MIXES: dict[str, T.BatchTransform] = {"MixUp": T.MixUp(CLASSES), "CutMix": T.CutMix(CLASSES)}


def torchvision_mixes() -> dict[str, Any]:
    from torchvision.transforms import v2

    return {"MixUp": v2.MixUp(num_classes=CLASSES), "CutMix": v2.CutMix(num_classes=CLASSES)}


def loader(fields: Any, mix: T.BatchTransform | None = None, **settings: Any) -> nl.Loader[Any]:
    steps = [T.RandomCrop(CROP), T.ToDtype("float32", scale=True), T.ChannelsFirst()]
    return nl.Loader(
        fields,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=THREADS,
        transforms={"image": steps},
        mix=mix,
        **settings,
    )


def check(fields: Any) -> None:
    """Checks that torchvision makes the same of the same batches with the same parameters."""
    import torch

    for name, theirs in torchvision_mixes().items():
        mix = MIXES[name]
        mixing, plain = loader(fields, mix, return_params=True), loader(fields)
        for (batch, _, drawn), before in zip(mixing, plain, strict=True):
            ((_, params),) = drawn.items()
            theirs.make_params = lambda _, params=params: params
            image, label = theirs(before["image"], before["label"])
            assert torch.equal(batch["image"], image), f"{name}: other images than torchvision's"
            assert torch.equal(batch["label"], label), f"{name}: other labels than torchvision's"
        del theirs.make_params


def rate(batches: nl.Loader[Any], seconds: float, mix: Callable[..., Any] | None = None) -> Figures:
    """Images a second, over whole epochs for at least `seconds`."""
    images, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < seconds:
        for batch in batches:
            if mix is not None:
                mix(batch["image"], batch["label"])
            images += BATCH
    return {"images_per_second": images / taken}


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """One contest."""
    if not settings.wants("images"):
        return
    import torch

    torch.set_num_threads(THREADS)
    words = np.random.default_rng().integers(
        0, 2**64, settings.size * SIZE * SIZE * 3 // 8, dtype=np.uint64
    )
    images = words.view(np.uint8).reshape(-1, SIZE, SIZE, 3)
    fields: dict[str, Any] = {"image": images, "label": np.arange(len(images)) % CLASSES}
    reason = reason_without(("torchvision",))
    if reason is None:
        check({name: field[: 3 * BATCH] for name, field in fields.items()})

    plain = loader(fields)
    turns: dict[str, Callable[[], Figures]] = {NONE: partial(rate, plain, settings.seconds)}
    theirs = torchvision_mixes() if reason is None else {}
    subjects = {}
    for name, mix in MIXES.items():
        turns[f"{name}, ndlens"] = partial(rate, loader(fields, mix), settings.seconds)
        if name in theirs:
            turns[f"{name}, torchvision"] = partial(rate, plain, settings.seconds, theirs[name])
            subjects[f"{name}, torchvision"] = f"{name}, ndlens"
    contest = Contest(
        "images",
        f"MixUp and CutMix of random crops of {CROP} of {settings.size:,} images, to float32,"
        f" batches of {BATCH}, {THREADS} threads",
        "images/s",
        [
            Column("images/s", "images_per_second"),
            Column("mixing adds us/image", "added_us"),
            Ratio("ndlens is", "images_per_second", "x as fast", ".1f", subjects=subjects),
        ],
        ground.rounds("mixing", turns, settings.rounds),
        absent={} if reason is None else {"torchvision": reason},
    )
    rates = {name: contest.value(name, "images_per_second") for name in turns}
    none = rates.pop(NONE)
    for name, median in rates.items():
        if none and median:
            contest.derived[name] = {"added_us": (1 / median - 1 / none) * 1e6}
    yield contest
