"""Rates of 1 to 16 threads: crops, resized crops, rows, JPEGs, as shares of the memory's limit."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

import ndlens as nl
from ndlens import transforms as T
from ndlens.cli.bench.memory import free_batches

from .ground import Ground, Row, endless

__all__ = ["run"]

THREADS = (1, 2, 4, 8, 16)


def run(ground: Ground, seconds: float) -> tuple[list[Row], list[str]]:
    """Measures each task with each number of threads; the loop is one of the threads."""
    cores = os.cpu_count() or 1
    threads = [count for count in THREADS if count <= cores] or [1]
    todo = tasks(ground)
    each = seconds / (len(threads) * (len(todo) + 1))
    row_bytes = ground.batch * 64 * 1024 if not ground.tiny else 1 << 20
    limits = {count: throughput(endless(free_batches(count, row_bytes)), each) for count in threads}
    rows = []
    for name, (field, steps, batch) in todo.items():
        alone = None
        for count in threads:
            loader = nl.Loader(
                field,
                batch_size=batch,
                shuffle=True,
                drop_last=True,
                num_workers=count - 1,
                transforms=steps,
                output="view",
            )
            bytes_per_s = throughput(endless(loader), each)
            alone = alone or bytes_per_s
            # Linear, up to what the memory takes of batches that cost nothing to make.
            expected = min(alone * count, limits[count])
            rows.append(
                {
                    "task": name,
                    "threads": count,
                    "GB_per_s": bytes_per_s / 1e9,
                    "times_one_thread": bytes_per_s / alone,
                    "limit_GB_per_s": limits[count] / 1e9,
                    "share_of_possible": bytes_per_s / expected,
                }
            )
    return rows, []


def tasks(ground: Ground) -> dict[str, tuple[Any, list[Any], int]]:
    """Fields, transforms and items of a batch; what each writes goes to the batch alone."""
    values = [T.ToDtype("float32", scale=True), T.ChannelsFirst()]
    wide = np.random.default_rng(1).random((2_000 if ground.tiny else 400_000, 256), np.float32)
    found: dict[str, tuple[Any, list[Any], int]] = {
        "crops": (ground.images, [T.RandomCrop(ground.crop), *values], ground.batch),
        "resized crops": (
            ground.images,
            [T.RandomResizedCrop(ground.crop), *values],
            ground.batch,
        ),
        "rows": (wide, [], 64 if ground.tiny else 8192),
    }
    encoded = jpegs(ground)
    if encoded is not None:
        decode = [T.RandomResizedCrop(ground.crop), *values]
        found["JPEGs, resized crops"] = (encoded, decode, min(ground.batch, 64))
    return found


def jpegs(ground: Ground) -> Any:
    """Images as JPEGs in memory; None without OpenCV, which encodes them."""
    try:
        import cv2
    except ImportError:
        print("scale: no JPEGs, since OpenCV is not installed", flush=True)
        return None
    count = len(ground.images) if ground.tiny else 512
    # Noise would be no photograph: smooth it.
    smooth = (cv2.GaussianBlur(image, (0, 0), 3) for image in ground.images[:count])
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    return nl.images([cv2.imencode(".jpg", image, quality)[1].tobytes() for image in smooth])


def throughput(batches: Any, seconds: float) -> float:
    """Bytes of batches a second."""
    for _ in range(2):
        next(batches)
    start, nbytes = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        nbytes += next(batches).nbytes
    took = time.perf_counter() - start
    batches.close()
    return nbytes / took
