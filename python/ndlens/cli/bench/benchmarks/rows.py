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
  ndlens                  nl.Loader(num_workers=2) on two cores, where the consumer helps while it
                          waits, and 1 on more, so that with it these are two threads
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

    ndlens bench rows        # or one of its contests: rows:64, rows:256, rows:windows
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

import ndlens as nl

from ..contest import Column, Contest, Figures, Ratio
from ..ground import Contestant, Ground, Settings, present
from ..peers import find

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("64", "256", "windows")
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=7, seconds=0.5, size=5_000_000, least=8192)
QUICK = Settings(rounds=3, seconds=0.2, size=500_000, least=8192, quick=True)

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


# The thread that takes batches helps while it waits. With a core for each, two workers and it would
# be three threads beside the two of the others.
WALL = Clock(time.perf_counter, threads=2, workers=2 if len(os.sched_getaffinity(0)) <= 2 else 1)
CPU = Clock(time.process_time, threads=1, workers=0)


class Task(NamedTuple):
    key: str
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


def torch_index_select(task: Task, ring: int = 1) -> Reference:
    import torch

    tensor = torch.from_numpy(task.series)
    if task.window:
        columns = task.series.shape[1]
        shape = (len(task.series) - task.window + 1, task.window, columns)
        tensor = tensor.as_strided(shape, (columns, columns, 1))
    return Reference(
        lambda items, batch: torch.index_select(
            tensor, 0, torch.from_numpy(items), out=torch.from_numpy(batch)
        ),
        ring,
    )


def numpy_take(task: Task) -> Reference:
    # Without mode="clip", take makes a batch of its own first.
    return Reference(
        lambda items, batch: np.take(task.series, items, axis=0, out=batch, mode="clip")
    )


@functools.cache
def numba_loops() -> tuple[Any, Any]:
    """Loops over rows and over windows, which are compiled when they first run."""
    import numba

    @numba.njit(parallel=True)
    def rows(data: Any, items: Any, batch: Any) -> None:
        for row in numba.prange(len(items)):
            item = items[row]
            for column in range(data.shape[1]):
                batch[row, column] = data[item, column]

    @numba.njit(parallel=True)
    def windows(series: Any, items: Any, batch: Any) -> None:
        for row in numba.prange(len(items)):
            item = items[row]
            for step in range(batch.shape[1]):
                for column in range(series.shape[1]):
                    batch[row, step, column] = series[item + step, column]

    return rows, windows


def numba_loop(task: Task) -> Reference:
    gather = numba_loops()[bool(task.window)]
    return Reference(lambda items, batch: gather(task.series, items, batch))


REFERENCES = {
    "torch index_select": Contestant(torch_index_select, ("torch",)),
    "torch, ring of 4": Contestant(partial(torch_index_select, ring=4), ("torch",)),
    "numpy take": Contestant(numpy_take),
    "numba": Contestant(numba_loop, ("numba",)),
}
# Without NumPy: take would pack all windows first, which is 153 GB.
NOT_FOR_WINDOWS = "numpy take"


def loader(task: Task, workers: int, sampler: Items | None = None) -> nl.Loader:
    return nl.Loader(
        task.view,
        batch_size=task.batch_size,
        shuffle=sampler is None,
        sampler=sampler,
        drop_last=True,
        num_workers=workers,
        output="numpy" if find("torch") else "torch",
    )


def order(task: Task) -> Iterator[Items]:
    return batches_of(np.random.default_rng().permutation(len(task.view)), task.batch_size)


def batches_of(items: Items, batch_size: int) -> Iterator[Items]:
    starts = range(0, len(items) - batch_size + 1, batch_size)
    return (items[start : start + batch_size] for start in starts)


def check(task: Task, names: list[str]) -> None:
    """Each batch of an epoch over a part of the data, against rows picked one by one."""
    task = task._replace(series=task.series[: task.window + 10 * task.batch_size])
    batches = loader(task, 2)
    items = batches.indices(0).numpy()
    assert np.array_equal(np.sort(items), np.arange(len(task.view))), (
        "an epoch must show each item once"
    )
    for batch, chosen in zip(batches, batches_of(items, task.batch_size), strict=True):
        assert np.array_equal(np.asarray(batch), task.pick(chosen)), "ndlens gathers other rows"
    for batch, chosen in zip(
        loader(task, 2, items), batches_of(items, task.batch_size), strict=True
    ):
        assert np.array_equal(np.asarray(batch), task.pick(chosen)), (
            "ndlens gathers other rows than the array says"
        )
    chosen = next(order(task))
    for name in names:
        batch = task.empty_batch()
        REFERENCES[name].make(task).gather(chosen, batch)
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


def measure(ground: Ground, task: Task, settings: Settings) -> Contest:
    clock = CPU if settings.cpu_time else WALL
    names, absent = present(REFERENCES)
    if task.window:
        names.remove(NOT_FOR_WINDOWS)
    ground.each(f"rows {task.key}, checking", ["all"], lambda _: check(task, names))
    permuted = np.random.default_rng().permutation(len(task.view))
    subjects = {
        SUBJECT: loader(task, clock.workers),
        SAMPLED: loader(task, clock.workers, permuted),
    }
    references = {name: REFERENCES[name].make(task) for name in names}

    def turn(name: str) -> Figures:
        if name in subjects:
            rate = time_loader(subjects[name], clock, settings.seconds)
        else:
            rate = time_gather(task, references[name], clock, settings.seconds)
        return {"items_per_second": rate}

    turns = {name: partial(turn, name) for name in (*subjects, *references)}
    return Contest(
        task.key,
        f"{task.name}, batches of {task.batch_size:,}"
        + (", by the processor's time, one thread each" if settings.cpu_time else ""),
        "million windows/s" if task.window else "million rows/s",
        [
            Column("M/s", "items_per_second", ".3f", 1e-6),
            Column("GB/s", "items_per_second", ".2f", task.view[0].nbytes / 1e9),
            Ratio("ndlens is", "items_per_second", subjects=dict.fromkeys(names, SUBJECT)),
            Ratio("with an array", "items_per_second", subjects=dict.fromkeys(names, SAMPLED)),
        ],
        ground.rounds(f"rows {task.key}", turns, settings.rounds),
        absent=absent,
    )


def random_floats(rows: int, columns: int) -> Floats:
    return np.random.default_rng().random((rows, columns), np.float32)


def tasks(rows: int) -> Iterator[Task]:
    for nbytes in (64, 256):
        data = random_floats(rows, nbytes // 4)
        yield Task(str(nbytes), f"Rows of {nbytes} bytes of {rows:,}", data, 0, 8192)
    series = random_floats(rows, 16)
    yield Task("windows", f"Windows (512, 16) of {rows:,} steps", series, 512, 256)


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for rows of 64 and of 256 bytes, and one for windows."""
    threads = (CPU if settings.cpu_time else WALL).threads
    if find("torch") is None:
        import torch

        torch.set_num_threads(threads)
    if find("numba") is None:
        import numba

        numba.set_num_threads(min(threads, numba.get_num_threads()))
    for task in tasks(settings.size):
        if settings.wants(task.key):
            yield measure(ground, task, settings)
