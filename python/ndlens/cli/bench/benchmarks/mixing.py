"""MixUp and CutMix of whole batches: ndlens in the loader beside torchvision's on the same batches.

What it shows. Random crops of 256 x 256 of images of 512 x 512 x 3 bytes in memory, to float32
channels first, shuffled, in batches of 32, with labels of ten classes, two threads: the images a
second without mixing, with `mix=` in the loader, and with torchvision's transform applied to the
loader's batches, as a collate function would. torchvision has as many threads. Contestants take
turns; figures are medians of their turns.

    python benches/mixing.py [--rounds 5] [--images 600] [--seconds 0.5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torchvision.transforms import v2

import ndlens as nl
from ndlens import transforms as T

SIZE, CROP, BATCH, CLASSES, THREADS = 512, 256, 32, 10, 2
# Other processes on the machine slow torch's threads most, since these wait for each other.
BUSY = 0.5

MIXES: dict[str, tuple[T.BatchTransform, Any]] = {
    "MixUp": (T.MixUp(CLASSES), v2.MixUp(num_classes=CLASSES)),
    "CutMix": (T.CutMix(CLASSES), v2.CutMix(num_classes=CLASSES)),
}


def loader(fields: Any, mix: T.BatchTransform | None = None, **settings: Any) -> nl.Loader:
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
    for mix, theirs in MIXES.values():
        mixing, plain = loader(fields, mix, return_params=True), loader(fields)
        for (batch, _, drawn), before in zip(mixing, plain, strict=True):
            ((_, params),) = drawn.items()
            theirs.make_params = lambda _, params=params: params
            image, label = theirs(before["image"], before["label"])
            assert torch.equal(batch["image"], image)
            assert torch.equal(batch["label"], label)
        del theirs.make_params


def rate(batches: nl.Loader, seconds: float, mix: Callable[..., Any] | None = None) -> float:
    """Images a second, over whole epochs for at least `seconds`."""
    images, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < seconds:
        for batch in batches:
            if mix is not None:
                mix(batch["image"], batch["label"])
            images += BATCH
    return images / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--images", type=int, default=600, help="number of images of 786 kB in memory"
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="least seconds of each turn")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    if (load := os.getloadavg()[0]) > BUSY:
        print(f"others use this machine (load {load:.1f}): torch suffers most from that")

    words = np.random.default_rng().integers(
        0, 2**64, arguments.images * SIZE * SIZE * 3 // 8, dtype=np.uint64
    )
    images = words.view(np.uint8).reshape(-1, SIZE, SIZE, 3)
    fields = {"image": images, "label": np.arange(len(images)) % CLASSES}
    check({name: field[: 3 * BATCH] for name, field in fields.items()})

    plain = loader(fields)
    turns: dict[str, Callable[[], float]] = {"no mixing": lambda: rate(plain, arguments.seconds)}
    for name, (ours, theirs) in MIXES.items():
        mixing = loader(fields, ours)
        turns[f"{name}, ndlens"] = partial(rate, mixing, arguments.seconds)
        turns[f"{name}, torchvision"] = partial(rate, plain, arguments.seconds, theirs)
    found: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(arguments.rounds):
        for name, turn in turns.items():
            found[name].append(turn())

    medians = {name: statistics.median(rates) for name, rates in found.items()}
    none = medians["no mixing"]
    print(f"{'':<22}{'images/s':>10}{'mixing adds us/image':>23}   ndlens is")
    for name, median in medians.items():
        kind, _, who = name.partition(", ")
        adds = "" if not who else f"{(1 / median - 1 / none) * 1e6:.0f}"
        ratio = (
            f"{medians[f'{kind}, ndlens'] / median:.1f} x as fast" if who == "torchvision" else ""
        )
        print(f"{name:<22}{median:>10,.0f}{adds:>23}   {ratio}")


if __name__ == "__main__":
    main()
