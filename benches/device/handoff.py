"""The copy to the device beside a plain one, and images a second into the device."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

import ndlens as nl

from .contestants import dataloader, on_the_device
from .ground import Ground, Row, best, endless, rate

__all__ = ["run"]


def run(ground: Ground, seconds: float) -> tuple[list[Row], list[str]]:
    """Measures the copies, then crops and resized crops."""
    turns = 2 + len(ground.workers) + 2 * (2 * len(ground.workers) + 1)
    each = seconds / turns
    rows = copies(ground, each)
    for resized in (False, True):
        rows += images(ground, resized, each)
    return rows, []


def line(task: str, contestant: str, **figures: Any) -> Row:
    names = ("GB_per_s", "items_per_s", "cpu_s_per_1000", "beside")
    return {"task": task, "contestant": contestant} | {name: figures.get(name) for name in names}


def copies(ground: Ground, seconds: float) -> list[Row]:
    """Bytes a second of a plain pinned copy, and of ndlens's batches of the same size."""
    rows_of_bytes = ground.images.reshape(len(ground.images), -1)
    nbytes = ground.batch * rows_of_bytes.shape[1]
    plain = plain_copy(ground, nbytes, seconds)
    measured = [line("copy", "plain pinned copy", GB_per_s=plain, beside=1.0)]
    of_ndlens = {}
    for workers in ground.workers:
        loader = nl.Loader(
            rows_of_bytes,
            batch_size=ground.batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            prefetch_factor=2,
            **ground.keyword,
        )
        figures = rate(ground, endless(loader), ground.batch, seconds)
        figures["GB_per_s"] = figures["items_per_s"] * rows_of_bytes.shape[1] / 1e9
        of_ndlens[f"ndlens, {workers} workers"] = figures
    name, figures = best(of_ndlens, "GB_per_s")
    return [*measured, line("copy", name, **figures, beside=figures["GB_per_s"] / plain)]


def plain_copy(ground: Ground, nbytes: int, seconds: float) -> float:
    """GB/s of the same pinned memory, copied again and again."""
    pinned = ground.device.type != "cpu"
    source = torch.empty(nbytes, dtype=torch.uint8, pin_memory=pinned)
    source.copy_(torch.from_numpy(np.resize(np.arange(251, dtype=np.uint8), nbytes)))
    targets = [torch.empty(nbytes, dtype=torch.uint8, device=ground.device) for _ in range(2)]
    for target in targets:
        target.copy_(source, non_blocking=True)
    ground.synchronize()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for target in targets * 4:
            target.copy_(source, non_blocking=True)
            count += 1
        ground.synchronize()
    return count * nbytes / (time.perf_counter() - start) / 1e9


def images(ground: Ground, resized: bool, seconds: float) -> list[Row]:
    """Images a second of each contestant, with its best number of workers."""
    task = "resized crop" if resized else "crop"
    ours, theirs = {}, {}
    for workers in ground.workers:
        batches = endless(ground.loader(resized, workers))
        ours[f"ndlens, {workers} workers"] = rate(ground, batches, ground.batch, seconds)
        batches.close()
    for workers in ground.workers:
        others = dataloader(ground, resized, workers)
        theirs[f"DataLoader, {workers} workers"] = rate(ground, others, ground.batch, seconds)
        others.close()
    there = on_the_device(ground, resized)
    results = [
        best(ours, "items_per_s"),
        best(theirs, "items_per_s"),
        ("torchvision v2 on the device", rate(ground, there, ground.batch, seconds)),
    ]
    first = results[0][1]["items_per_s"]
    return [
        line(task, name, **figures, beside=first / figures["items_per_s"])
        for name, figures in results
    ]
