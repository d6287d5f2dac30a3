"""Rows and windows of arrays in memory, gathered into batches, beside torch, NumPy and numba.

What it shows. The rows a second that each contestant gathers in shuffled order into batches by
copying alone: the least cost of training on feature matrices and time series. Three tasks:
  rows of 64 and of 256 bytes     8,192 of a matrix of float32, a batch
  windows of 512 steps            256 of a series of 5,000,000 steps of 16 float32, overlapping, a
                                  batch of 8 MiB
ndlens computes its order and hands out batches that the caller owns. The others are given their
order and overwrite one batch, again and again, which is as cheap as they can be made; torch also
overwrites four in turn.

Compared with.
  ndlens                  nl.Loader(num_workers=2); the consumer helps while it waits,
                          which on more than two cores makes three threads
  ndlens, index array     the same with sampler=order, an array of int64, as the others are given
  torch index_select      torch.index_select(x, 0, order, out=batch), two threads; windows are an
                          as_strided tensor
  torch, ring of 4        the same into four batches in turn, as many as ndlens has: one that is
                          overwritten again and again stays in the cache, and four of 8 MiB do not
  numpy take              numpy.take(x, order, axis=0, out=batch), one thread, as NumPy has it
  numba                   a loop over the items in parallel (prange), compiled beforehand, two
                          threads

Ratios are of ndlens, and in the last column of ndlens with an index array, to the contestant.

How. All in one process and on the same memory. Each contestant's batches are checked first, all of
an epoch for ndlens: each row as it is in the data, each item once. Then they take turns for some
rounds, each turn at least `--seconds` of epochs or batches; a contestant counts with its median
turn. On a machine that others use, --cpu-time counts the processor's seconds instead, each
contestant with one thread of work (ndlens without workers).

    python benches/rows.py [--rounds 7] [--seconds 0.5] [--rows 5000000] [--cpu-time] [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import torch

import ndlens as nl

SUBJECT = "ndlens"
SAMPLED = "ndlens, index array"

Floats = npt.NDArray[np.float32]
Items = npt.NDArray[np.int64]
# Fills the batch with these items.
GatherInto = Callable[[Items, Floats], object]


class Clock(NamedTuple):
    now: Callable[[], float]
    threads: int
    # Threads of ndlens beside the one that takes batches.
    workers: int


class Reference(NamedTuple):
    gather: GatherInto
    # The number of batches it fills in turn.
    ring: int = 1


WALL = Clock(time.perf_counter, threads=2, workers=2)
CPU = Clock(time.process_time, threads=1, workers=0)


class Task(NamedTuple):
    name: str
    series: Floats
    # Rows of an item; 0 for single rows.
    window: int
    batch_size: int

    @property
    def view(self) -> nl.View:
        view = nl.view(self.series)
        return view.windows(self.window) if self.window else view

    def empty_batch(self) -> Floats:
        return np.empty((self.batch_size, *self.view.shape[1:]), np.float32)

    def pick(self, items: Items) -> Floats:
        """The rows of the items, picked one by one."""
        if self.window:
            return np.stack([self.series[item : item + self.window] for item in items])
        return np.stack([self.series[item] for item in items])


@numba.njit(parallel=True)
def numba_rows(data: Any, items: Any, batch: Any) -> None:
    for row in numba.prange(len(items)):
        item = items[row]
        for column in range(data.shape[1]):
            batch[row, column] = data[item, column]


@numba.njit(parallel=True)
def numba_windows(series: Any, items: Any, batch: Any) -> None:
    for row in numba.prange(len(items)):
        item = items[row]
        for step in range(batch.shape[1]):
            for column in range(series.shape[1]):
                batch[row, step, column] = series[item + step, column]


def torch_take(task: Task) -> GatherInto:
    tensor = torch.from_numpy(task.series)
    if task.window:
        columns = task.series.shape[1]
        shape = (len(task.series) - task.window + 1, task.window, columns)
        tensor = tensor.as_strided(shape, (columns, columns, 1))
    return lambda items, batch: torch.index_select(
        tensor, 0, torch.from_numpy(items), out=torch.from_numpy(batch)
    )


def references(task: Task) -> dict[str, Reference]:
    torch_gather = torch_take(task)
    both = {
        "torch index_select": Reference(torch_gather),
        "torch, ring of 4": Reference(torch_gather, ring=4),
    }
    if task.window:
        # Without NumPy: take would pack all windows first, which is 153 GB.
        return both | {
            "numba": Reference(lambda items, batch: numba_windows(task.series, items, batch))
        }
    return both | {
        # Without mode="clip", take makes a batch of its own first.
        "numpy take": Reference(
            lambda items, batch: np.take(task.series, items, axis=0, out=batch, mode="clip")
        ),
        "numba": Reference(lambda items, batch: numba_rows(task.series, items, batch)),
    }


def loader(task: Task, workers: int, sampler: Items | None = None) -> nl.Loader:
    return nl.Loader(
        task.view,
        batch_size=task.batch_size,
        shuffle=sampler is None,
        sampler=sampler,
        drop_last=True,
        num_workers=workers,
        output="torch",
    )


def order(task: Task) -> Iterator[Items]:
    return batches_of(np.random.default_rng().permutation(len(task.view)), task.batch_size)


def batches_of(items: Items, batch_size: int) -> Iterator[Items]:
    starts = range(0, len(items) - batch_size + 1, batch_size)
    return (items[start : start + batch_size] for start in starts)


def check(task: Task) -> None:
    """Each batch of an epoch over a part of the data, against rows picked one by one."""
    task = task._replace(series=task.series[: task.window + 10 * task.batch_size])
    batches = loader(task, 2)
    items = batches.indices(0).numpy()
    assert np.array_equal(np.sort(items), np.arange(len(task.view))), (
        "an epoch must show each item once"
    )
    for batch, chosen in zip(batches, batches_of(items, task.batch_size), strict=True):
        assert np.array_equal(batch.numpy(), task.pick(chosen)), "ndlens gathers other rows"
    for batch, chosen in zip(
        loader(task, 2, items), batches_of(items, task.batch_size), strict=True
    ):
        assert np.array_equal(batch.numpy(), task.pick(chosen)), (
            "ndlens gathers other rows than the array says"
        )
    chosen = next(order(task))
    for name, reference in references(task).items():
        batch = task.empty_batch()
        reference.gather(chosen, batch)
        assert np.array_equal(batch, task.pick(chosen)), f"{name} gathers other rows"


def time_loader(batches: nl.Loader, clock: Clock, seconds: float) -> float:
    """Items a second. The start of an epoch and of its threads is part of the time."""
    done, start = 0, clock.now()
    while True:
        for batch in batches:
            done += len(batch)
            if (spent := clock.now() - start) >= seconds:
                return done / spent


def time_gather(task: Task, reference: Reference, clock: Clock, seconds: float) -> float:
    ring = [task.empty_batch() for _ in range(reference.ring)]
    for batch in ring:
        # Touches its pages, so that the first turn does not pay for them.
        batch.fill(1)
    done, chosen, batches = 0, order(task), itertools.cycle(ring)
    start = clock.now()
    while (spent := clock.now() - start) < seconds:
        items = next(chosen, None)
        if items is None:
            # The time of the shuffle is not counted.
            paused = clock.now()
            chosen = order(task)
            start += clock.now() - paused
            continue
        reference.gather(items, next(batches))
        done += len(items)
    return done / spent


def measure(task: Task, clock: Clock, rounds: int, seconds: float) -> dict[str, float]:
    subjects = {
        SUBJECT: loader(task, clock.workers),
        SAMPLED: loader(task, clock.workers, np.random.default_rng().permutation(len(task.view))),
    }
    others = references(task)
    found: dict[str, list[float]] = {name: [] for name in (*subjects, *others)}
    for _ in range(rounds):
        for name, batches in subjects.items():
            found[name].append(time_loader(batches, clock, seconds))
        for name, reference in others.items():
            found[name].append(time_gather(task, reference, clock, seconds))
    return {name: statistics.median(rates) for name, rates in found.items()}


def print_table(task: Task, rates: dict[str, float]) -> None:
    nbytes = task.view[0].nbytes
    print(f"{task.name}, batches of {task.batch_size:,}")
    for name, rate in rates.items():
        ratio = ""
        if name not in (SUBJECT, SAMPLED):
            ratio = (
                f"ndlens is {rates[SUBJECT] / rate:.2f} x as fast, with an array"
                f" {rates[SAMPLED] / rate:.2f} x"
            )
        print(f"  {name:<20}{rate / 1e6:>10.3f} M/s{rate * nbytes / 1e9:>8.2f} GB/s   {ratio}")
    print(flush=True)


def random_floats(rows: int, columns: int) -> Floats:
    return np.random.default_rng().random((rows, columns), np.float32)


def tasks(rows: int) -> Iterator[Task]:
    for nbytes in (64, 256):
        yield Task(
            f"D: rows of {nbytes} bytes of {rows:,}", random_floats(rows, nbytes // 4), 0, 8192
        )
    yield Task(f"C: windows (512, 16) of {rows:,} steps", random_floats(rows, 16), 512, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="least seconds of each turn")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument(
        "--cpu-time", action="store_true", help="one thread each, seconds of the processor"
    )
    parser.add_argument("--task", choices="CD", help="only this task")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a look, not a measurement: 3 rounds, a tenth of the rows",
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.rows = 3, 0.2, arguments.rows // 10
    clock = CPU if arguments.cpu_time else WALL
    torch.set_num_threads(clock.threads)
    numba.set_num_threads(clock.threads)
    if clock is WALL and (load := os.getloadavg()[0]) > 0.5:
        print(
            f"others use this machine (load {load:.1f}): do not cite these ratios, use --cpu-time"
        )
    for task in tasks(arguments.rows):
        if arguments.task in (None, task.name[0]):
            check(task)
            print_table(task, measure(task, clock, arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
