"""Whether batches on the device are those of the CPU, and whether nothing is lost or held."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ndlens as nl
from ndlens import transforms as T

from .ground import MEAN, STD, Ground, Row, endless

__all__ = ["run"]

LAYOUTS: dict[str, list[Any]] = {
    "channels last in memory and shape": [],
    "channels first": [T.ChannelsFirst()],
    "channels_last": [T.ChannelsFirst(memory_format="channels_last")],
}
DTYPES = ("float32", "float16", "bfloat16", "float64")
SOURCES = ("uint8", "int8", "uint16", "int16", "int32", "bool", "float16", "float32")
SETTINGS: dict[str, Any] = {"batch_size": 4, "shuffle": True, "seed": 5, "num_workers": 2}


class NotHere(Exception):
    """What a check asks of a device that this one does not have."""


def run(ground: Ground, _seconds: float) -> tuple[list[Row], list[str]]:
    """Runs every check; says of each whether it holds, and what is wrong."""
    rows: list[Row] = []
    failures: list[str] = []
    for check in CHECKS:
        start = time.perf_counter()
        name = check.__name__.replace("_", " ")
        holds, problem = "yes", None
        try:
            problem = check(ground)
        except NotHere:
            holds = "not run"
        except Exception:
            problem = traceback.format_exc(limit=4)
        if problem is not None:
            holds = "NO"
            failures.append(f"{name}: {problem}")
            print(f"FAILED {name}: {problem}", flush=True)
        took = time.perf_counter() - start
        rows.append({"check": name, "holds": holds, "s": took})
    return rows, failures


def parts(batch: Any) -> list[torch.Tensor]:
    if isinstance(batch, torch.Tensor):
        return [batch]
    members = batch.values() if isinstance(batch, dict) else batch
    return [part for member in members for part in parts(member)]


def difference(ground: Ground, there: Any, here: Any) -> str | None:
    """What is not the same, bit for bit, in a batch on the device and one in memory."""
    for part, other in zip(parts(there), parts(here), strict=True):
        if part.device.type != ground.device.type:
            return f"a batch is on {part.device}"
        if (part.shape, part.dtype, part.stride()) != (other.shape, other.dtype, other.stride()):
            return f"{part.dtype} {part.shape} is not {other.dtype} {other.shape}"
        back = part.cpu()
        if not torch.equal(bits(back), bits(other)):
            wrong = back != other
            most = (back[wrong].double() - other[wrong].double()).abs().max().item()
            return f"{int(wrong.sum())} of {wrong.numel()} differ, by up to {most:g} ({part.dtype})"
    return None


def bits(part: torch.Tensor) -> torch.Tensor:
    widths = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return part.contiguous().view(widths[part.element_size()]) if part.is_floating_point() else part


def compare(ground: Ground, fields: Any, **settings: Any) -> str | None:
    """The first difference in two epochs of a loader with and without the device."""
    own = {**SETTINGS, **settings}
    there, here = nl.Loader(fields, **own, **ground.keyword), nl.Loader(fields, **own)
    for epoch in range(2):
        for count, (batch, other) in enumerate(zip(there, here, strict=True)):
            problem = difference(ground, strip(batch, own), strip(other, own))
            if problem is not None:
                return f"epoch {epoch}, batch {count}: {problem}"
    return None


def strip(batch: Any, settings: dict[str, Any]) -> Any:
    return batch[0] if settings.get("return_params") else batch


def pixels(items: int = 10, height: int = 13, width: int = 11) -> Any:
    shape = (items, height, width, 3)
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def steps(layout: list[Any], dtype: str, *size: int) -> list[Any]:
    crop = [T.RandomCrop(size or (7, 5)), T.RandomHorizontalFlip()]
    return [*crop, *layout, T.ToDtype(dtype, scale=True), T.Normalize(MEAN, STD)]


def batches_are_those_of_the_cpu(ground: Ground) -> str | None:
    fields = {"image": pixels(), "label": np.arange(10)}
    for name, layout in LAYOUTS.items():
        for dtype in DTYPES:
            problem = compare(ground, fields, transforms={"image": steps(layout, dtype)})
            if problem is not None:
                return f"{name}, {dtype}: {problem}"
    return None


def large_batches_are_those_of_the_cpu(ground: Ground) -> str | None:
    images = ground.images[: 2 * ground.batch + 3]
    fields = {"image": images, "label": np.arange(len(images))}
    for resized in (False, True):
        transforms = {"image": ground.steps(resized)}
        workers = ground.workers[-1]
        problem = compare(
            ground, fields, transforms=transforms, batch_size=ground.batch, num_workers=workers
        )
        if problem is not None:
            return problem
    return None


def numbers_of_every_dtype_are_converted_alike(ground: Ground) -> str | None:
    for source in SOURCES:
        numbers = np.random.default_rng(4).integers(0, 100, (9, 37)).astype(source)
        for dtype in DTYPES:
            for scale in (True, False):
                transforms = [T.ToDtype(dtype, scale=scale)]
                problem = compare(ground, numbers, transforms=transforms)
                if problem is not None:
                    return f"{source} to {dtype}, scale={scale}: {problem}"
    return None


def values_that_another_step_needs_are_the_same(ground: Ground) -> str | None:
    floats = np.random.default_rng(5).normal(size=(10, 9, 7, 3)).astype(np.float32)
    for name, field, transforms in (
        ("erased", pixels(), [T.ToDtype("float32", scale=True), T.RandomErasing(p=1.0)]),
        ("floats normalised", floats, [T.Normalize(MEAN, STD)]),
        ("resized", pixels(), [T.Resize((5, 6)), T.ToDtype("float16", scale=True)]),
        ("bytes alone", pixels(), [T.RandomCrop(5)]),
    ):
        problem = compare(ground, field, transforms=transforms)
        if problem is not None:
            return f"{name}: {problem}"
    return None


def mixed_batches_have_the_same_pixels_and_labels(ground: Ground) -> str | None:
    fields = {"image": pixels(), "label": np.arange(10)}
    for mix in (T.MixUp(10), T.CutMix(10)):
        for layout in LAYOUTS.values():
            problem = compare(
                ground,
                fields,
                transforms={"image": steps(layout, "float32")},
                mix=mix,
                return_params=True,
            )
            if problem is not None:
                return f"{mix}: {problem}"
    return None


def tuples_and_single_fields_keep_their_structure(ground: Ground) -> str | None:
    for fields in (np.arange(11), (pixels(11), np.arange(11.0)), {"a": np.arange(11)}):
        problem = compare(ground, fields, batch_size=3)
        if problem is not None:
            return problem
    return None


def a_batch_is_ready_for_the_stream_that_uses_it(ground: Ground) -> str | None:
    """The loop's stream is busy, so a batch that were not waited for would be read too early."""
    own = {**SETTINGS, "batch_size": ground.batch, "transforms": {"image": ground.steps(False)}}
    fields = {"image": ground.images, "label": ground.labels}
    sums: list[tuple[torch.Tensor, torch.Tensor]] = []
    here = nl.Loader(fields, **own)
    for batch, other in zip(nl.Loader(fields, **own, **ground.keyword), here, strict=True):
        # The copy of the next batch overlaps with this.
        busy = torch.ones(64 if ground.tiny else 4096, 64, device=ground.device)
        for _ in range(20):
            busy = busy @ busy.T @ busy / busy.sum()
        sums.append(
            (batch["image"].double().sum((1, 2, 3)), other["image"].double().sum((1, 2, 3)))
        )
        del batch
    worst = max(float((a.cpu() - b).abs().max()) for a, b in sums)
    return None if worst < 1e-3 else f"sums of images differ by {worst:g}"


def a_batch_that_is_kept_stays_as_it_was(ground: Ground) -> str | None:
    fields = {"image": pixels(200), "label": np.arange(200)}
    own = {**SETTINGS, "transforms": {"image": steps([], "float32")}}
    expected = list(nl.Loader(fields, **own))
    kept = list(nl.Loader(fields, **own, **ground.keyword))
    for place, (batch, other) in enumerate(zip(kept, expected, strict=True)):
        problem = difference(ground, batch, other)
        if problem is not None:
            return f"batch {place}: {problem}"
    return None


def two_loaders_at_once_do_not_meet(ground: Ground) -> str | None:
    fields = {"image": pixels(80), "label": np.arange(80)}
    own = [
        {**SETTINGS, "seed": seed, "transforms": {"image": steps([], dtype)}}
        for seed, dtype in ((1, "float32"), (2, "bfloat16"))
    ]
    expected = [list(nl.Loader(fields, **settings)) for settings in own]
    loaders = [nl.Loader(fields, **settings, **ground.keyword) for settings in own]
    for place, pair in enumerate(zip(*loaders, strict=True)):
        for batch, others in zip(pair, expected, strict=True):
            problem = difference(ground, batch, others[place])
            if problem is not None:
                return f"batch {place}: {problem}"
    return None


def an_error_comes_when_its_batch_is_due(ground: Ground) -> str | None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rows.npy"
        np.save(path, np.ones((64, 4096), np.uint8))
        rows = nl.open(path)
        with path.open("r+b") as file:
            file.truncate(128 + 4096 * 40)
        batches = iter(nl.Loader(rows, batch_size=8, num_workers=2, **ground.keyword))
        for _ in range(5):
            if not bool(next(batches).eq(1).all()):
                return "a batch before the error is wrong"
        try:
            next(batches)
        except nl.TruncatedError:
            return None if list(batches) == [] else "the epoch went on"
        return "the error did not come"


def an_interrupt_ends_the_epoch_and_nothing_else(ground: Ground) -> str | None:
    fields = {"image": pixels(64), "label": np.arange(64)}
    own = {**SETTINGS, "transforms": {"image": steps([], "float32")}}
    loader = nl.Loader(fields, **own, **ground.keyword)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    try:
        for _ in endless(loader):
            if time.monotonic() - start > 20:
                return "no KeyboardInterrupt in 20 s"
    except KeyboardInterrupt:
        pass
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    took = time.monotonic() - start
    if took > 3:
        return f"it took {took:.1f} s"
    return compare(ground, fields, transforms=own["transforms"])


def an_epoch_that_is_left_early_leaves_nothing(ground: Ground) -> str | None:
    fields = {"image": pixels(200), "label": np.arange(200)}
    own = {**SETTINGS, "transforms": {"image": steps([], "float32")}}
    there, here = nl.Loader(fields, **own, **ground.keyword), nl.Loader(fields, **own)
    for taken in (1, 2, 7):
        for loader in (there, here):
            batches = iter(loader)
            for _ in range(taken):
                next(batches)
            del batches
    for batch, other in zip(there, here, strict=True):
        problem = difference(ground, batch, other)
        if problem is not None:
            return problem
    return None


def pinned_bytes() -> int:
    """Bytes that torch holds in pinned memory, those in its cache too."""
    stats = torch.cuda.host_memory_stats()
    return int(stats["allocated_bytes.current"])


def device_bytes() -> int:
    return int(torch.cuda.memory_reserved())


def a_thousand_batches_hold_no_more_memory_than_a_hundred(ground: Ground) -> str | None:
    if ground.device.type != "cuda":
        raise NotHere
    own = {**SETTINGS, "batch_size": 64, "num_workers": 4, "prefetch_factor": 2}
    own["transforms"] = {"image": ground.steps(False)}
    fields = {"image": ground.images, "label": ground.labels}
    batches = endless(nl.Loader(fields, **own, **ground.keyword))
    held = []
    for count in (100, 900):
        for _ in range(count):
            next(batches)
        ground.synchronize()
        held.append((pinned_bytes(), device_bytes()))
    slab = 64 * ground.crop**2 * 3
    for what, before, after in zip(("pinned", "device"), *held, strict=True):
        print(f"{what} memory after 100 batches {before:,}, after 1,000 {after:,}", flush=True)
        # One batch of bytes more may be under way; of the device also its floats.
        if after - before > (2 * slab if what == "pinned" else 5 * 2 * slab):
            return f"{what} memory grew from {before:,} to {after:,} bytes"
    return None


CHECKS: list[Callable[[Ground], str | None]] = [
    batches_are_those_of_the_cpu,
    large_batches_are_those_of_the_cpu,
    numbers_of_every_dtype_are_converted_alike,
    values_that_another_step_needs_are_the_same,
    mixed_batches_have_the_same_pixels_and_labels,
    tuples_and_single_fields_keep_their_structure,
    a_batch_is_ready_for_the_stream_that_uses_it,
    a_batch_that_is_kept_stays_as_it_was,
    two_loaders_at_once_do_not_meet,
    an_error_comes_when_its_batch_is_due,
    an_interrupt_ends_the_epoch_and_nothing_else,
    an_epoch_that_is_left_early_leaves_nothing,
    a_thousand_batches_hold_no_more_memory_than_a_hundred,
]
