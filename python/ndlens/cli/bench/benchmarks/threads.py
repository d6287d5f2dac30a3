"""Threads that use views at the same time, on a free-threaded Python: ndlens beside NumPy.

What it shows. How many times as much several threads do as one: 2.00 for two threads is all that
two processors can give, and below 1 the threads hinder each other. Threads that write to one word
of memory, such as a count of references, wait for each other's caches, so that a library may run
without the GIL and still be slower with two threads than with one.

Compared with. NumPy, with arrays on the same memory. Each once with a view of its own for each
thread, and once with one view that all threads use. A view is handed to NumPy as `v.numpy()`;
beside it stands np.asarray of a memoryview.

How. A turn times some thousand calls in one thread, and then as many in each of several threads
that start together; it counts from the first start to the last end. The least time of all turns
counts: noise only adds time. Results are checked before they are timed. A Python with a GIL runs
one thread at a time, so there it is left out.

    python3.14t -m ndlens bench threads       # or one of its contests, such as threads:slice
"""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import ndlens as nl

from ..contest import Column, Contest, Figures
from ..ground import Ground, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("slice", "index", "element", "shape", "handoff")
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=25, size=20_000)
QUICK = Settings(rounds=2, size=5_000, quick=True)

# More threads than a view has places to count in would say something else.
THREADS_MAX = 8
ROWS = 16
COLUMNS = 32

NEEDS = (
    "this Python runs one thread at a time: run it with a free-threaded one, such as python3.14t"
)


class Contested(NamedTuple):
    """An operation: its title, what times it for a view, and for an array."""

    title: str
    view: Callable[[Any, int], None]
    array: Callable[[Any, int], None]


# Each is a loop of its own: a call of a function would be most of the time. A key is made in the
# thread that uses it, since all threads count references to a constant of an imported module.
def slices(x: Any, calls: int) -> None:
    key = slice(2, 9), slice(None, None, 2)
    for _ in range(calls):
        x[key]


def indices(x: Any, calls: int) -> None:
    for _ in range(calls):
        x[5]


def elements(x: Any, calls: int) -> None:
    key = 3, 4
    for _ in range(calls):
        x[key]


def shapes(x: Any, calls: int) -> None:
    for _ in range(calls):
        x.shape  # noqa: B018


def handed_over(x: Any, calls: int) -> None:
    for _ in range(calls):
        x.numpy()


def handed_by_buffer(x: Any, calls: int) -> None:
    asarray, buffer = np.asarray, memoryview(x)
    for _ in range(calls):
        asarray(buffer)


CONTESTED = {
    "slice": Contested("v[2:9, ::2]", slices, slices),
    "index": Contested("v[5]", indices, indices),
    "element": Contested("v[3, 4]", elements, elements),
    "shape": Contested("v.shape", shapes, shapes),
    "handoff": Contested("v.numpy()", handed_over, handed_by_buffer),
}


def runs_in_parallel() -> bool:
    """Whether this Python runs threads without a GIL."""
    is_gil_enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return not is_gil_enabled()


def an_array() -> Any:
    return np.random.default_rng().integers(0, 256, (ROWS, COLUMNS), np.uint8)


def a_view() -> Any:
    return nl.view(an_array())


def check() -> None:
    array = an_array()
    view = nl.view(array)
    assert np.array_equal(view[2:9, ::2].numpy(), array[2:9, ::2])
    assert np.array_equal(view[5].numpy(), array[5])
    assert (view[3, 4], view.shape) == (array[3, 4], array.shape)
    assert view.numpy().ctypes.data == np.asarray(memoryview(array)).ctypes.data


def seconds(loop: Callable[[Any, int], None], things: list[Any], calls: int) -> float:
    """From the first start to the last end of threads, one for each thing."""
    barrier = threading.Barrier(len(things))
    times: list[tuple[float, float]] = []

    def run(thing: Any) -> None:
        barrier.wait()
        start = time.perf_counter()
        loop(thing, calls)
        times.append((start, time.perf_counter()))

    threads = [threading.Thread(target=run, args=(thing,)) for thing in things]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end for _, end in times) - min(start for start, _ in times)


def turn(
    loop: Callable[[Any, int], None], make: Callable[[], Any], count: int, calls: int, is_one: bool
) -> Figures:
    """Nanoseconds for a call of one thread, and of each of `count` threads."""
    one = seconds(loop, [make()], calls)
    things = [make()] * count if is_one else [make() for _ in range(count)]
    several = seconds(loop, things, calls)
    return {"alone": one / calls * 1e9, "together": several / calls * 1e9}


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for each operation."""
    count = max(2, min(THREADS_MAX, len(os.sched_getaffinity(0))))
    check()
    for key in filter(settings.wants, CONTESTS):
        title, of_view, of_array = CONTESTED[key]
        title = f"{title}, by 1 and by {count} threads"
        if not runs_in_parallel():
            yield Contest(key, title, "ns", [], {}, absent={"all": NEEDS})
            continue
        contestants = {
            "ndlens, views of their own": (of_view, a_view, False),
            "ndlens, one view": (of_view, a_view, True),
            "numpy, arrays of their own": (of_array, an_array, False),
            "numpy, one array": (of_array, an_array, True),
        }
        turns = {
            name: partial(turn, loop, make, count, settings.size, is_one)
            for name, (loop, make, is_one) in contestants.items()
        }
        found = ground.rounds(f"threads: {title}", turns, settings.rounds)
        contest = Contest(
            key,
            title,
            "ns",
            [
                Column("ns, 1 thread", "alone", statistic="least"),
                Column(f"ns, {count} threads", "together", statistic="least"),
                Column("times as much", "scaling", ".2f"),
            ],
            found,
        )
        contest.derived = {name: {"scaling": _scaling(contest, name, count)} for name in found}
        yield contest


def _scaling(contest: Contest, name: str, count: int) -> float:
    alone = contest.value(name, "alone", "least") or 0.0
    return count * alone / (contest.value(name, "together", "least") or float("inf"))
