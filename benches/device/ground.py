"""What the parts of the program have in common: data, clocks, tables."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Generator, Iterable
from typing import Any

import numpy as np
import torch

import ndlens as nl
from ndlens import transforms as T
from ndlens.cli.bench.machine import describe
from ndlens.cli.bench.processor import processor_seconds
from ndlens.cli.report import Table

__all__ = ["MEAN", "STD", "Ground", "Row", "about", "best", "endless", "rate", "spread", "table"]

# A line of a table; all lines of a part have the same columns.
Row = dict[str, Any]

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Ground:
    """The device, and images that all contestants read."""

    def __init__(self, device: torch.device, tiny: bool) -> None:
        self.device = device
        self.tiny = tiny
        self.side, self.crop = (40, 32) if tiny else (256, 224)
        self.batch = 8 if tiny else 256
        cores = os.cpu_count() or 1
        # One thread is left to the loop; and all of them.
        self.workers = sorted({1, 2} if tiny else {max(1, cores // 2), max(1, cores - 1)})
        shape = (32 if tiny else 2560, self.side, self.side, 3)
        self.images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        self.labels = np.arange(len(self.images)) % 1000

    @property
    def keyword(self) -> dict[str, Any]:
        """The keyword of a loader whose batches are on the device."""
        return {"device": str(self.device)}

    def synchronize(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize()

    def steps(self, resized: bool, dtype: str = "float32") -> list[Any]:
        """ndlens's transforms: a crop or a resized crop, to normalised floats in channels_last."""
        first = T.RandomResizedCrop(self.crop) if resized else T.RandomCrop(self.crop)
        return [
            first,
            T.RandomHorizontalFlip(),
            T.ToDtype(dtype, scale=True),
            T.Normalize(MEAN, STD),
            T.ChannelsFirst(memory_format="channels_last"),
        ]

    def loader(self, resized: bool, workers: int, **keywords: Any) -> Any:
        """ndlens's loader of images and labels on the device."""
        settings = {
            "batch_size": self.batch,
            "shuffle": True,
            "drop_last": True,
            "num_workers": workers,
            "transforms": {"image": self.steps(resized)},
            **self.keyword,
            **keywords,
        }
        return nl.Loader({"image": self.images, "label": self.labels}, **settings)


def endless(loader: Any) -> Generator[Any, None, None]:
    """The batches of one epoch after another."""
    while True:
        yield from loader


def rate(ground: Ground, batches: Iterable[Any], items: int, seconds: float) -> Row:
    """Items a second of batches on the device, and the processor's seconds for 1,000 of them.

    `items` are those of a batch. The first batches, which start threads and processes, do not
    count.
    """
    iterator = iter(batches)
    for _ in range(2 if ground.tiny else 6):
        next(iterator)
    ground.synchronize()
    start, busy, count = time.perf_counter(), processor_seconds(os.getpid()), 0
    while time.perf_counter() - start < seconds:
        next(iterator)
        count += 1
    ground.synchronize()
    took = time.perf_counter() - start
    busy = processor_seconds(os.getpid()) - busy
    done = count * items
    return {"items_per_s": done / took, "cpu_s_per_1000": 1000 * busy / done}


def best(rows: dict[str, Row], figure: str) -> tuple[str, Row]:
    """The row with the most of a figure, and its name."""
    return max(rows.items(), key=lambda entry: entry[1][figure])


def spread(values: list[float]) -> tuple[float, float]:
    """The median, and the 99th percentile."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def about(device: str) -> dict[str, Any]:
    """The machine and the versions that figures belong to."""
    card = torch.cuda.get_device_name() if device != "cpu" else "none"
    return {"card": card, "cuda": torch.version.cuda or "none", **describe()}


def table(title: str, rows: list[Row]) -> Table:
    """The rows as a table with the columns of the first."""
    if not rows:
        return Table(f"{title}: nothing was measured", [])
    names = list(rows[0])
    return Table(title, names, [[shown(row.get(name)) for name in names] for row in rows])


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)
