"""Random crops of images in memory, made into batches: ndlens beside torch.

What it shows. How many images a second each contestant crops (256x256 at a random place of 512x512x3 u8), turns
from HWC to CHW, converts to float32, divides by 255 and gathers in batches of 32, in shuffled order; how much
memory it needs beyond the images, how much of that is batches (what the loader's pool says it has), and how many
milliseconds pass from making a loader to its first batch. Nothing consumes the batches, so this is the most a
training loop could get. The images lie in memory: reading files is not part of it.

Against whom.
  ndlens N threads        nl.Loader(num_workers=N); with 0 the thread that asks does the work
  DataLoader N workers    torch's, with a Dataset of NumPy slices; workers are forked, and kept between epochs
  hand loop               what one writes who distrusts loaders: copy_ into one batch, used again and again.
                          Each batch overwrites the one before, which the loaders never do
  numba, ring of 8        a loop over all pixels, compiled, in two threads, into one of eight batches, used in turn;
                          each is overwritten seven batches later

How. First the batches of each contestant are checked: dtype, shape, and that every sample is a crop of a source
image, exact to float32's last place, each image once an epoch. Then the contestants take turns for some rounds,
each turn alone in a fresh interpreter; a figure is the median of its turns. In a turn it first runs with its
memory sampled: the highest PSS of the process and its workers, less what the process had when only the images
were there. Then, warm and unobserved, it is timed over whole epochs.

    python benches/crop.py [--rounds 5] [--images 1000] [--seconds 1.0] [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import psutil
import torch

import ndlens as nl
from ndlens import transforms as T

SIZE = 512
CROP = 256
BATCH = 32
BYTES_PER_IMAGE = 3 * CROP * CROP * 4
SUBJECT = "ndlens 2 threads"
# torch splits each copy among its threads, which spin until all are done: one that must wait for a core stalls all.
BUSY = 0.5

Images = npt.NDArray[np.uint8]
# What an epoch is asked of: each iteration is one.
Batches = Iterable[torch.Tensor]


def ndlens_loader(images: Images, threads: int) -> Batches:
    steps = [T.RandomCrop(CROP), T.ToDtype("float32", scale=True), T.ChannelsFirst()]
    return nl.Loader(
        nl.view(images),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=threads,
        transforms=steps,
        output="torch",
    )


class Crops(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        top, left = torch.randint(0, SIZE - CROP + 1, (2,)).tolist()
        crop = self.images[index, top : top + CROP, left : left + CROP, :]
        return torch.from_numpy(crop).permute(2, 0, 1).float() / 255


def torch_dataloader(images: Images, workers: int) -> Batches:
    return torch.utils.data.DataLoader(
        Crops(images),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        persistent_workers=workers > 0,
    )


class HandLoop:
    def __init__(self, images: Images) -> None:
        self.images = torch.from_numpy(images)
        self.batch = torch.empty(BATCH, 3, CROP, CROP)

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = torch.randperm(len(self.images))
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            corners = torch.randint(0, SIZE - CROP + 1, (BATCH, 2)).tolist()
            for place, index, (top, left) in zip(self.batch, chosen.tolist(), corners, strict=True):
                place.copy_(self.images[index, top : top + CROP, left : left + CROP].permute(2, 0, 1))
            self.batch.div_(255)
            yield self.batch


@numba.njit(parallel=True, fastmath=True)
def crop_all(images: Images, chosen: Any, corners: Any, batch: Any) -> None:
    for row in numba.prange(len(chosen)):
        image, (top, left) = images[chosen[row]], corners[row]
        for y in range(CROP):
            for x in range(CROP):
                for channel in range(3):
                    batch[row, channel, y, x] = image[top + y, left + x, channel] * np.float32(1 / 255)


class NumbaRing:
    """The fastest that one writes by hand in Python: compiled, in two threads, into eight batches in turn."""

    BATCHES = 8

    def __init__(self, images: Images) -> None:
        numba.set_num_threads(2)
        self.images = images
        self.ring = [np.zeros((BATCH, 3, CROP, CROP), np.float32) for _ in range(self.BATCHES)]
        self.random = np.random.default_rng()

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = self.random.permutation(len(self.images))
        for number, start in enumerate(range(0, len(order) // BATCH * BATCH, BATCH)):
            corners = self.random.integers(0, SIZE - CROP + 1, (BATCH, 2))
            batch = self.ring[number % self.BATCHES]
            crop_all(self.images, order[start : start + BATCH], corners, batch)
            yield torch.from_numpy(batch)


CONTESTANTS: dict[str, Callable[[Images], Batches]] = {
    "ndlens 0 threads": lambda images: ndlens_loader(images, 0),
    "ndlens 1 thread": lambda images: ndlens_loader(images, 1),
    SUBJECT: lambda images: ndlens_loader(images, 2),
    "DataLoader 0 workers": lambda images: torch_dataloader(images, 0),
    "DataLoader 2 workers": lambda images: torch_dataloader(images, 2),
    "hand loop": HandLoop,
    "numba, ring of 8": NumbaRing,
}


def random_images(count: int) -> Images:
    words = np.random.default_rng().integers(0, 2**64, count * SIZE * SIZE * 3 // 8, dtype=np.uint64)
    return words.view(np.uint8).reshape(count, SIZE, SIZE, 3)


def check(make: Callable[[Images], Batches]) -> None:
    """Finds each sample of an epoch in the images, by search: the slow way that cannot be wrong."""
    images = random_images(2 * BATCH)
    haystacks = [image.tobytes() for image in images]
    seen = []
    for batch in make(images):
        assert batch.dtype == torch.float32, batch.dtype
        assert batch.shape == (BATCH, 3, CROP, CROP), batch.shape
        for sample in batch.numpy():
            pixels = np.rint(sample * 255).astype(np.uint8).transpose(1, 2, 0)
            first_row = pixels[0].tobytes()
            index, start = next(
                (i, at) for i, hay in enumerate(haystacks) if (at := hay.find(first_row)) >= 0
            )
            top, left = divmod(start // 3, SIZE)
            crop = images[index, top : top + CROP, left : left + CROP]
            expected = (crop / np.float32(255)).transpose(2, 0, 1)
            # torch's x / 255 and torchvision's and ndlens' x * (1 / 255) differ in the last place.
            np.testing.assert_array_max_ulp(sample, expected, maxulp=1)
            seen.append(index)
    assert sorted(seen) == list(range(len(images))), "an epoch must show each image once"


def pss_bytes(process: psutil.Process) -> int:
    """Proportional set size of a process and its children: shared pages count once over all of them."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        # A worker may end between being listed and being read.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{member.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


class PeakMemory:
    """Samples the PSS of this process and its children from a thread while the `with` block runs."""

    INTERVAL_SECONDS = 0.02

    def __enter__(self) -> PeakMemory:
        self.process = psutil.Process()
        self.peak = self.start = pss_bytes(self.process)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self

    def sample(self) -> None:
        while not self.done.wait(self.INTERVAL_SECONDS):
            self.peak = max(self.peak, pss_bytes(self.process))

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    @property
    def extra(self) -> int:
        return self.peak - self.start


def run_epochs(batches: Batches, at_least_seconds: float) -> float:
    """Runs whole epochs for at least so long; returns images per second."""
    images, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < at_least_seconds:
        for batch in batches:
            images += len(batch)
    return images / seconds


def run_contestant(name: str, count: int, seconds: float) -> None:
    """In the fresh interpreter: measures one contestant and prints what it found as JSON."""
    make = CONTESTANTS[name]
    images = random_images(count)
    with PeakMemory() as memory:
        start = time.perf_counter()
        batches = make(images)
        next(iter(batches))
        first = time.perf_counter() - start
        run_epochs(batches, seconds)
    rate = run_epochs(batches, seconds)
    pool = batches.pool_nbytes if isinstance(batches, nl.Loader) else 0
    found = {
        "images_per_second": rate,
        "extra_bytes": memory.extra,
        "first_seconds": first,
        "pool_bytes": pool,
    }
    print(json.dumps(found))


def in_fresh_interpreter(name: str, *options: str) -> str:
    """Runs this file for one contestant and returns what it printed."""
    command = [sys.executable, __file__, "--contestant", name, *options]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def run_rounds(rounds: int, count: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    """Lets the contestants take turns, so that what disturbs the machine for a while disturbs all of them."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, results in found.items():
            output = in_fresh_interpreter(name, "--images", str(count), "--seconds", str(seconds))
            results.append(json.loads(output))
    return found


def print_table(found: dict[str, list[dict[str, float]]]) -> None:
    def medians(figure: str) -> dict[str, float]:
        return {name: statistics.median(r[figure] for r in results) for name, results in found.items()}

    rates, memory = medians("images_per_second"), medians("extra_bytes")
    pools, firsts = medians("pool_bytes"), medians("first_seconds")
    header = f"{'images/s':>10}{'GB/s written':>14}{'extra MB':>10}{'batches MB':>12}{'first ms':>10}"
    print(f"{'':<22}{header}   {SUBJECT} is")
    for name, rate in rates.items():
        written = rate * BYTES_PER_IMAGE / 1e9
        ratio = "" if name == SUBJECT else f"{rates[SUBJECT] / rate:.2f} x as fast"
        pool = f"{pools[name] / 1e6:.1f}" if pools[name] else ""
        figures = (
            f"{rate:>10,.0f}{written:>14.2f}{memory[name] / 1e6:>10.1f}{pool:>12}{firsts[name] * 1e3:>10.1f}"
        )
        print(f"{name:<22}{figures}   {ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000, help="how many images of 786 kB lie in memory")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long at least each measurement takes")
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: 1 round, 200 images")
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.images, arguments.seconds = 1, 200, 0.3
    rounds, count, seconds = arguments.rounds, arguments.images, arguments.seconds

    if arguments.contestant and arguments.check:
        check(CONTESTANTS[arguments.contestant])
    elif arguments.contestant:
        run_contestant(arguments.contestant, count, seconds)
    else:
        print(f"Random crop {CROP} of {count} images ({SIZE},{SIZE},3) u8, HWC to CHW, float32 / 255,")
        print(f"batches of {BATCH}, shuffled; medians of {rounds}", flush=True)
        if (load := os.getloadavg()[0]) > BUSY:
            print(
                f"others use this machine (load {load:.1f}): torch suffers most from that, do not cite these ratios"
            )
        for name in CONTESTANTS:
            in_fresh_interpreter(name, "--check")
        print_table(run_rounds(rounds, count, seconds))


if __name__ == "__main__":
    main()
