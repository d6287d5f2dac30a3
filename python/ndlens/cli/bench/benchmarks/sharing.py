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

    python benches/sharing.py [--runs 3] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, get_worker_info

import ndlens as nl
from ndlens import transforms as T

ITEMS, SIZE, CROP, BATCH, WORKERS = 508, 512, 256, 32, 4
CONTESTANTS = ("nl.share", "nl.open", "ndarray", "np.memmap", "shared tensor")
METHODS = ("fork", "spawn", "forkserver")


class Crops(torch.utils.data.Dataset[torch.Tensor]):
    """The centre of each image as float32, channels first, written the usual way."""

    def __init__(self, images: Any) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        low = (SIZE - CROP) // 2
        crop = torch.as_tensor(self.images[index, low : low + CROP, low : low + CROP])
        return crop.permute(2, 0, 1).float() / 255


class Nothing(torch.utils.data.Dataset[int]):
    """Workers over this have only imported the same modules as the others."""

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, index: int) -> int:
        return index


def dataset_of(contestant: str, path: Path) -> Any:
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
            return Nothing()


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
    """Has the worker import the modules of main, for any start method."""
    assert get_worker_info() is not None


def run_one(contestant: str, method: str, path: Path) -> dict[str, float]:
    """Runs one epoch in this process and returns its figures."""
    dataset = dataset_of(contestant, path)
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
    if contestant != "nothing":
        expected = Crops(np.array(np.load(path, mmap_mode="r")[:2]))
        got = dataset[1]
        assert torch.allclose(got, expected[1], atol=1e-6)
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


def run_apart(contestant: str, method: str, path: Path) -> dict[str, float]:
    arguments = [sys.executable, __file__, "--one", contestant, method, str(path)]
    figures: dict[str, float] = json.loads(
        subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.splitlines()[
            -1
        ]
    )
    return figures


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: 1 run")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        contestant, method, path = arguments.one
        print(json.dumps(run_one(contestant, method, Path(path))))
        return
    runs = 1 if arguments.quick else arguments.runs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        images = np.random.default_rng(0).integers(0, 256, (ITEMS, SIZE, SIZE, 3), dtype=np.uint8)
        np.save(path, images)
        del images
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        for method in METHODS:
            taken: dict[str, list[dict[str, float]]] = {
                name: [] for name in ("nothing", *CONTESTANTS)
            }
            for _ in range(runs):
                for name, runs_of in taken.items():
                    runs_of.append(run_apart(name, method, path))
            bare = medians(taken.pop("nothing"))["dirty_mb"]
            figures_of = {name: medians(runs_of) for name, runs_of in taken.items()}
            reference = figures_of["shared tensor"]
            print(
                f"\n{method}: {WORKERS} workers, {ITEMS * SIZE * SIZE * 3 / 1e6:.0f} MB, medians of"
                f" {runs}"
            )
            print(
                f"{'':<16}{'MB a worker':>12}{'first batch, ms':>18}{'x shared':>10}"
                f"{'images/s':>11}{'x shared':>10}"
            )
            for name, figures in figures_of.items():
                first, rate = figures["first_ms"], figures["images_per_s"]
                print(
                    f"{name:<16}{figures['dirty_mb'] - bare:>12.1f}"
                    f"{first:>18.0f}{first / reference['first_ms']:>10.2f}"
                    f"{rate:>11.0f}{rate / reference['images_per_s']:>10.2f}"
                )


if __name__ == "__main__":
    main()
