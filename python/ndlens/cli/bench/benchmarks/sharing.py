"""The cost of worker processes: torch's DataLoader over ndlens, arrays, maps, shared tensors.

What it shows. 400 MB of images, read by four worker processes: the private memory that each has
written, above that of a worker that has only imported the same modules; the time from
`iter(loader)` to the first batch; and images per second over an epoch.

Compared with. The same crops as float32, channels first, from a `Dataset` that indexes an ndarray,
an np.memmap held open, or a tensor in torch's shared memory; nl.torch.Dataset over shared memory
and over a mapped file.

How. Each contestant runs in an interpreter of its own, several times, and counts with its medians;
the contestants take turns. Private memory is Private_Dirty of /proc/<pid>/smaps at the end of the
epoch, without that of batches, which all of them pass on in shared memory; the median over the
workers. The file is on the disk before, since its dirty pages count too. A batch of each is checked
against the array before its loader is timed.

    ndlens bench sharing     # or one of its contests: sharing:fork, :spawn, :forkserver
"""

from __future__ import annotations

import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import ndlens as nl
from ndlens import transforms as T

from ..contest import Column, Contest, Figures, Ratio
from ..ground import Ground, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("fork", "spawn", "forkserver")
PEERS: tuple[str, ...] = ("torch",)
FULL = Settings(rounds=3, size=508, least=32)
QUICK = Settings(rounds=1, size=508, least=32, quick=True)

SIZE, CROP, BATCH, WORKERS = 512, 256, 32, 4
BARE = "nothing"
REFERENCE = "shared tensor"
CONTESTANTS = ("nl.share", "nl.open", "ndarray", "np.memmap", REFERENCE)
METHODS = ("fork", "spawn", "forkserver")


class Crops:
    """The centre of each image as float32, channels first, written the usual way."""

    def __init__(self, images: Any) -> None:
        import torch

        self.as_tensor, self.images = torch.as_tensor, images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        low = (SIZE - CROP) // 2
        crop = self.as_tensor(self.images[index, low : low + CROP, low : low + CROP])
        return crop.permute(2, 0, 1).float() / 255


class Nothing:
    """Workers over this have only imported the same modules as the others."""

    def __init__(self, items: int) -> None:
        self.items = items

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, index: int) -> int:
        return index


def dataset_of(contestant: str, path: Path, items: int) -> Any:
    import torch

    crop = [T.CenterCrop(CROP), T.ToDtype("float32", scale=True), T.ChannelsFirst()]
    match contestant:
        case "nl.share":
            return nl.torch.Dataset(nl.share(np.load(path, mmap_mode="r")), crop)
        case "nl.open":
            return nl.torch.Dataset(nl.open(path), crop)
        case "ndarray":
            return Crops(np.load(path))
        case "np.memmap":
            return Crops(np.load(path, mmap_mode="c"))
        case "shared tensor":
            return Crops(torch.from_numpy(np.load(path)).share_memory_())
        case _:
            return Nothing(items)


def private_dirty_mb(pid: int) -> float:
    """The private memory that a process has written: all but batches, which are shared."""
    total, counts = 0, True
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *others = line.split()
        if not first.endswith(":"):
            # A mapping: its addresses, access, offset, device, inode and, if any, path.
            path = " ".join(others[4:])
            counts = not path.startswith(("/memfd:", "/dev/shm/", "/torch_"))
        elif first == "Private_Dirty:" and counts:
            total += int(others[0])
    return total / 1024


def start_worker(_: int) -> None:
    """Has the worker import this module and torch, for any start method."""
    from torch.utils.data import get_worker_info

    assert get_worker_info() is not None


def run_one(contestant: str, method: str, path: str, items: int) -> Figures:
    """In a fresh interpreter: one epoch, and its figures."""
    import torch
    from torch.utils.data import DataLoader

    dataset = dataset_of(contestant, Path(path), items)
    ours = contestant.startswith("nl.")
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_size=BATCH,
        num_workers=WORKERS,
        multiprocessing_context=method,
        worker_init_fn=start_worker,
        collate_fn=nl.torch.collate if ours else None,
        persistent_workers=True,
    )
    if contestant != BARE:
        expected = Crops(np.array(np.load(path, mmap_mode="r")[:2]))
        assert torch.allclose(dataset[1], expected[1], atol=1e-6), f"{contestant}: wrong values"
    start = time.perf_counter()
    batches = iter(loader)
    next(batches)
    first = time.perf_counter() - start
    start, images = time.perf_counter(), 0
    for batch in batches:
        images += len(batch)
    seconds = time.perf_counter() - start
    workers = batches._workers  # type: ignore[attr-defined]
    dirty = statistics.median(private_dirty_mb(worker.pid) for worker in workers)
    return {"dirty_mb": dirty, "first_ms": first * 1e3, "images_per_s": images / seconds}


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for each way to start a process."""
    path = ground.folder / "images.npy"
    shape = (settings.size, SIZE, SIZE, 3)
    np.save(path, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    for method in METHODS:
        if not settings.wants(method):
            continue
        turns = {
            name: partial(ground.apart, run_one, name, method, str(path), settings.size)
            for name in (BARE, *CONTESTANTS)
        }
        found = ground.rounds(f"sharing by {method}", turns, settings.rounds)
        bare = statistics.median(turn["dirty_mb"] for turn in found[BARE])
        yield contest_of(method, found, bare, settings)


def contest_of(
    method: str, found: dict[str, list[Figures]], bare: float, settings: Settings
) -> Contest:
    others = dict.fromkeys(CONTESTANTS, REFERENCE)
    contest = Contest(
        method,
        f"{WORKERS} workers by {method}, {settings.size * SIZE * SIZE * 3 / 1e6:.0f} MB of images",
        "images/s",
        [
            Column("images/s", "images_per_s"),
            Ratio("x shared", "images_per_s", "", numerator="contestant", subjects=others),
            Column("first batch, ms", "first_ms"),
            Ratio("x shared", "first_ms", "", numerator="contestant", subjects=others),
            Column("MB a worker", "own_mb", ".1f"),
        ],
        {name: turns for name, turns in found.items() if name != BARE},
        ours=["nl.share", "nl.open"],
        notes=[
            f"A worker that has only imported the same modules has written {bare:.1f} MB; MB a"
            " worker is what is above that."
        ],
    )
    for name in CONTESTANTS:
        dirty = contest.value(name, "dirty_mb")
        if dirty is not None:
            contest.derived[name] = {"own_mb": dirty - bare}
    return contest
