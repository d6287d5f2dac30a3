"""Random crops of images in memory, made into batches: ndlens beside torch.

What it shows. The images a second that each contestant crops (256x256 at a random place of
512x512x3 u8), turns from HWC to CHW, converts to float32, divides by 255 and gathers in batches of
32, in shuffled order; the memory it needs beyond the images, the part of that in batches (by the
size of the loader's pool), and the milliseconds in a fresh process from making a loader to its
first batch. The same for batches of float16, bfloat16 and, not divided, of the bytes themselves.
Nothing consumes the batches, so this is the most a training loop could get. The images are in
memory: reading files is not part of it.

Compared with.
  ndlens N workers        nl.Loader(num_workers=N); the consumer makes batches, too, while it
                          waits, with 0 alone, so that one thread is 0 workers, and N workers on
                          more than N cores are N + 1 threads
  DataLoader N workers    torch's, with a Dataset of NumPy slices; workers are forked, and kept
                          between epochs
  hand loop               a loop without a loader: copy_ into one batch, which is used again
                          and again. Each batch overwrites the one before, which the loaders never
                          do
  numba, ring of 8        a loop over all pixels, compiled, in two threads, into one of eight
                          batches, used in turn; each is overwritten seven batches later. Numba has
                          no 16-bit floats on the CPU
  memory, N threads       no loader: the bytes that memory takes in N threads, written past the
                          cache from one row that stays in it, in as many batches of the same
                          size and in huge pages as ndlens has
                          (crates/ndlens-kernels/benches/memory_limit.rs)

How. First the batches of each contestant are checked: dtype, shape, and that every sample is a crop
of a source image, exact to the dtype's last place, each image once an epoch. Then the contestants
take turns for some rounds, each turn alone in a fresh interpreter; a figure is the median of its
turns. In a turn it first runs with its memory sampled: the highest PSS of the process and its
workers, less what the process had when only the images were there. Then, warm and unobserved, it is
timed over whole epochs. First batches are made in separate processes. Their time depends on where
the machine finds memory, most of all on a virtual machine, so the least and the most are printed
too. The share of memory's limit is the median over rounds of the two rates in one round.

    python benches/crop.py [--rounds 5] [--images 1000] [--seconds 1.0] [--output float32] [--first]
                            [--quick]
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
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import psutil
import torch

import ndlens as nl
from ndlens import transforms as T

ROOT = Path(__file__).parents[1]
MEMORY_LIMIT = (
    "cargo",
    "bench",
    "--quiet",
    "--package",
    "ndlens-kernels",
    "--bench",
    "memory_limit",
)

SIZE = 512
CROP = 256
BATCH = 32
VALUES_PER_IMAGE = 3 * CROP * CROP
SUBJECT = "ndlens 2 workers"
# Two made ahead, one in use, one being given back.
SLABS = 4
# torch splits each copy among its threads, which spin until all are done: one that must wait for a
# core stalls all.
BUSY = 0.5

Images = npt.NDArray[np.uint8]
# Type of a contestant's loader: each iteration is an epoch.
Batches = Iterable[torch.Tensor]
# The figures of a turn, by name.
Figures = dict[str, float]


def ndlens_loader(images: Images, dtype: torch.dtype, workers: int) -> Batches:
    scale = [T.ToDtype(name_of(dtype), scale=True)] if dtype.is_floating_point else []
    return nl.Loader(
        nl.view(images),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        transforms=[T.RandomCrop(CROP), *scale, T.ChannelsFirst()],
        output="torch",
    )


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class Crops(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, images: Images, dtype: torch.dtype) -> None:
        self.images, self.dtype = images, dtype

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        top, left = torch.randint(0, SIZE - CROP + 1, (2,)).tolist()
        crop = self.images[index, top : top + CROP, left : left + CROP, :]
        values = torch.from_numpy(crop).permute(2, 0, 1)
        return values.to(self.dtype) / 255 if self.dtype.is_floating_point else values


def torch_dataloader(images: Images, dtype: torch.dtype, workers: int) -> Batches:
    return torch.utils.data.DataLoader(
        Crops(images, dtype),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        persistent_workers=workers > 0,
    )


class HandLoop:
    def __init__(self, images: Images, dtype: torch.dtype) -> None:
        self.images = torch.from_numpy(images)
        self.batch = torch.empty(BATCH, 3, CROP, CROP, dtype=dtype)

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = torch.randperm(len(self.images))
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            corners = torch.randint(0, SIZE - CROP + 1, (BATCH, 2)).tolist()
            for place, index, (top, left) in zip(self.batch, chosen.tolist(), corners, strict=True):
                place.copy_(
                    self.images[index, top : top + CROP, left : left + CROP].permute(2, 0, 1)
                )
            if self.batch.is_floating_point():
                self.batch.div_(255)
            yield self.batch


@numba.njit(parallel=True, fastmath=True)
def crop_to_floats(images: Images, chosen: Any, corners: Any, batch: Any) -> None:
    for row in numba.prange(len(chosen)):
        image, (top, left) = images[chosen[row]], corners[row]
        for y in range(CROP):
            for x in range(CROP):
                for channel in range(3):
                    batch[row, channel, y, x] = image[top + y, left + x, channel] * np.float32(
                        1 / 255
                    )


@numba.njit(parallel=True)
def crop_bytes(images: Images, chosen: Any, corners: Any, batch: Any) -> None:
    for row in numba.prange(len(chosen)):
        image, (top, left) = images[chosen[row]], corners[row]
        for y in range(CROP):
            for x in range(CROP):
                for channel in range(3):
                    batch[row, channel, y, x] = image[top + y, left + x, channel]


class NumbaRing:
    """The fastest loop in Python: compiled, in two threads, into eight batches in turn."""

    BATCHES = 8

    def __init__(self, images: Images, dtype: torch.dtype) -> None:
        numba.set_num_threads(2)
        self.images = images
        self.crop_all = crop_to_floats if dtype.is_floating_point else crop_bytes
        self.ring = [np.zeros((BATCH, 3, CROP, CROP), name_of(dtype)) for _ in range(self.BATCHES)]
        self.random = np.random.default_rng()

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = self.random.permutation(len(self.images))
        for number, start in enumerate(range(0, len(order) // BATCH * BATCH, BATCH)):
            corners = self.random.integers(0, SIZE - CROP + 1, (BATCH, 2))
            batch = self.ring[number % self.BATCHES]
            self.crop_all(self.images, order[start : start + BATCH], corners, batch)
            yield torch.from_numpy(batch)


CONTESTANTS: dict[str, Callable[[Images, torch.dtype], Batches]] = {
    SUBJECT: lambda images, dtype: ndlens_loader(images, dtype, 2),
    "ndlens 1 worker": lambda images, dtype: ndlens_loader(images, dtype, 1),
    "ndlens 0 workers": lambda images, dtype: ndlens_loader(images, dtype, 0),
    "DataLoader 0 workers": lambda images, dtype: torch_dataloader(images, dtype, 0),
    "DataLoader 2 workers": lambda images, dtype: torch_dataloader(images, dtype, 2),
    "hand loop": HandLoop,
    "numba, ring of 8": NumbaRing,
}
# The number of threads that write, and the contestant with as many.
LIMITS = {"memory, 2 threads": (2, SUBJECT), "memory, 1 thread": (1, "ndlens 0 workers")}


class Table(NamedTuple):
    dtype: torch.dtype
    names: tuple[str, ...]


FIRSTS = (SUBJECT, "ndlens 0 workers", "DataLoader 0 workers", "DataLoader 2 workers")
FEW = (SUBJECT, "memory, 2 threads", "DataLoader 0 workers", "hand loop")
TABLES = {
    "float32": Table(
        torch.float32,
        (
            SUBJECT,
            "memory, 2 threads",
            "ndlens 1 worker",
            "ndlens 0 workers",
            "memory, 1 thread",
            *list(CONTESTANTS)[3:],
        ),
    ),
    "uint8": Table(torch.uint8, (*FEW, "numba, ring of 8")),
    "float16": Table(torch.float16, FEW),
    "bfloat16": Table(torch.bfloat16, FEW),
}


def random_images(count: int) -> Images:
    words = np.random.default_rng().integers(
        0, 2**64, count * SIZE * SIZE * 3 // 8, dtype=np.uint64
    )
    return words.view(np.uint8).reshape(count, SIZE, SIZE, 3)


def check(name: str, dtype: torch.dtype) -> None:
    """Finds each sample of an epoch in the images, by exhaustive search."""
    images = random_images(2 * BATCH)
    haystacks = [image.tobytes() for image in images]
    seen = []
    for batch in CONTESTANTS[name](images, dtype):
        assert batch.dtype == dtype, batch.dtype
        assert batch.shape == (BATCH, 3, CROP, CROP), batch.shape
        for sample in batch:
            levels = (
                (sample.float() * 255).round().to(torch.uint8)
                if dtype.is_floating_point
                else sample
            )
            first_row = levels[:, 0].T.numpy().tobytes()
            index, start = next(
                (i, at) for i, hay in enumerate(haystacks) if (at := hay.find(first_row)) >= 0
            )
            top, left = divmod(start // 3, SIZE)
            crop = torch.from_numpy(images[index, top : top + CROP, left : left + CROP]).permute(
                2, 0, 1
            )
            if dtype.is_floating_point:
                # torch's x / 255 and torchvision's and ndlens' x * (1 / 255) differ in the last
                # place.
                places = torch.int32 if dtype.itemsize == 4 else torch.int16
                expected = (crop.to(dtype) / 255).contiguous()
                assert (sample.view(places) - expected.view(places)).abs().max() <= 1, (
                    "wrong values"
                )
            else:
                assert torch.equal(sample, crop), "wrong bytes"
            seen.append(index)
    assert sorted(seen) == list(range(len(images))), "an epoch must show each image once"


def pss_bytes(process: psutil.Process) -> int:
    """Proportional set size of a process and its children: each shared page counts once."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        # A worker may end between being listed and being read.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{member.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


class PeakMemory:
    """Samples the PSS of this process and its children from a thread while the `with` block runs.

    The extra is the PSS above that at its construction.
    """

    INTERVAL_SECONDS = 0.02

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.peak = self.start = pss_bytes(self.process)

    def __enter__(self) -> PeakMemory:
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
    """Runs whole epochs for at least `at_least_seconds`; returns images per second."""
    images, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < at_least_seconds:
        for batch in batches:
            images += len(batch)
    return images / seconds


def run_contestant(name: str, dtype: torch.dtype, count: int, seconds: float) -> None:
    """In the fresh interpreter: measures one contestant and prints its figures as JSON."""
    images = random_images(count)
    memory = PeakMemory()
    batches = CONTESTANTS[name](images, dtype)
    with memory:
        run_epochs(batches, seconds)
    rate = run_epochs(batches, seconds)
    pool = batches.pool_nbytes if isinstance(batches, nl.Loader) else 0
    found = {
        "images_per_second": rate,
        "extra_bytes": memory.extra,
        "pool_bytes": pool,
    }
    print(json.dumps(found))


def make_first(name: str, dtype: torch.dtype, count: int) -> None:
    """In a new interpreter: prints the milliseconds from making a loader to its first batch."""
    images = random_images(count)
    start = time.perf_counter()
    next(iter(CONTESTANTS[name](images, dtype)))
    print((time.perf_counter() - start) * 1e3)


def in_fresh_interpreter(name: str, output: str, *options: str) -> str:
    """Runs this file for one contestant and returns what it printed."""
    command = [sys.executable, __file__, "--contestant", name, "--output", output, *options]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def image_bytes(dtype: torch.dtype) -> int:
    return VALUES_PER_IMAGE * dtype.itemsize


def memory_limit(name: str, dtype: torch.dtype, seconds: float) -> Figures:
    threads, _ = LIMITS[name]
    options = map(str, (threads, SLABS, BATCH * image_bytes(dtype), seconds))
    command = [*MEMORY_LIMIT, "--", *options]
    written = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT
    ).stdout
    return {"images_per_second": float(written) / image_bytes(dtype)}


def run_rounds(output: str, rounds: int, count: int, seconds: float) -> dict[str, list[Figures]]:
    """Lets the contestants take turns, so that a disturbance of the machine disturbs them all."""
    table = TABLES[output]
    found: dict[str, list[Figures]] = {name: [] for name in table.names}
    for _ in range(rounds):
        for name, results in found.items():
            if name in LIMITS:
                results.append(memory_limit(name, table.dtype, seconds))
                continue
            options = ("--images", str(count), "--seconds", str(seconds))
            results.append(json.loads(in_fresh_interpreter(name, output, *options)))
    return found


def print_table(output: str, found: dict[str, list[Figures]]) -> None:
    def medians(figure: str) -> dict[str, float]:
        return {
            name: statistics.median(r.get(figure, 0) for r in results)
            for name, results in found.items()
        }

    rates, memory = medians("images_per_second"), medians("extra_bytes")
    pools = medians("pool_bytes")
    header = f"{'images/s':>10}{'GB/s written':>14}{'extra MB':>10}{'batches MB':>12}"
    print(f"{'to ' + output:<22}{header}   {SUBJECT} is")
    for name, rate in rates.items():
        written = rate * image_bytes(TABLES[output].dtype) / 1e9
        ratio = "" if name == SUBJECT else f"{rates[SUBJECT] / rate:.2f} x as fast"
        pool = f"{pools[name] / 1e6:.1f}" if pools[name] else ""
        used = f"{memory[name] / 1e6:>10.1f}{pool:>12}"
        used = f"{'':>22}" if name in LIMITS else used
        print(f"{name:<22}{rate:>10,.0f}{written:>14.2f}{used}   {ratio}")
    for limit, (_, name) in LIMITS.items():
        if limit in found:
            pairs = zip(found[name], found[limit], strict=True)
            share = statistics.median(
                ours["images_per_second"] / most["images_per_second"] for ours, most in pairs
            )
            print(f"{name}: {share:.0%} of the memory's limit")
    print(flush=True)


def print_firsts(rounds: int, count: int) -> None:
    """Prints the time of each contestant to its first batch, in turn."""
    found: dict[str, list[float]] = {name: [] for name in FIRSTS}
    for _ in range(rounds):
        for name, results in found.items():
            printed = in_fresh_interpreter(name, "float32", "--first", "--images", str(count))
            results.append(float(printed))
    print(f"{f'first of {rounds} processes':<22}{'ms':>10}{'least':>10}{'most':>10}")
    for name, results in found.items():
        median = statistics.median(results)
        print(f"{name:<22}{median:>10.1f}{min(results):>10.1f}{max(results):>10.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--images", type=int, default=1000, help="number of images of 786 kB in memory"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="least seconds of each measurement"
    )
    parser.add_argument("--output", choices=TABLES, help="only batches of this dtype")
    parser.add_argument(
        "--quick", action="store_true", help="a look, not a measurement: 1 round, 200 images"
    )
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--first", action="store_true", help="only the time to the first batch")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.images, arguments.seconds = 1, 200, 0.3
    rounds, count, seconds = arguments.rounds, arguments.images, arguments.seconds

    if arguments.contestant and arguments.check:
        check(arguments.contestant, TABLES[arguments.output].dtype)
    elif arguments.contestant and arguments.first:
        make_first(arguments.contestant, TABLES[arguments.output].dtype, count)
    elif arguments.contestant:
        run_contestant(arguments.contestant, TABLES[arguments.output].dtype, count, seconds)
    else:
        subprocess.run([*MEMORY_LIMIT, "--no-run"], check=True, cwd=ROOT)
        print(
            f"Random crop {CROP} of {count} images ({SIZE},{SIZE},3) u8, HWC to CHW, floats / 255,"
        )
        print(f"batches of {BATCH}, shuffled; medians of {rounds}", flush=True)
        if (load := os.getloadavg()[0]) > BUSY:
            print(
                f"others use this machine (load {load:.1f}): torch suffers most from that, do not"
                " cite these ratios"
            )
        outputs = [arguments.output] if arguments.output else list(TABLES)
        for output in [] if arguments.first else outputs:
            for name in TABLES[output].names:
                if name not in LIMITS:
                    in_fresh_interpreter(name, output, "--check")
            print_table(output, run_rounds(output, rounds, count, seconds))
        if arguments.first or arguments.output is None:
            print_firsts(2 * rounds - 1, count)


if __name__ == "__main__":
    main()
