"""An array that worker processes read: what it costs to get it there.

For each start method and each kind of array, in a process of its own: two workers are given the
array as an argument, read an item, say so, then read all of it, and wait. Meanwhile the memory of
all processes is counted (`memory.py`). The same is done before with an array of one page, and what
that costs is taken off: interpreters, imported modules, pipes.

Every start method pays for what it pickles. That is counted by pickling the array once more, as
multiprocessing does. `fork` pickles nothing; its workers have the parent's pages until they write.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

import ndlens as nl

from ..process_memory import family
from .cases import IMAGE_BYTES, make_base
from .child import run
from .memory import held_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Event

__all__ = ["ARRAYS", "STARTS", "WORKERS", "measure", "story", "work"]

STARTS = ("fork", "spawn", "forkserver")
WORKERS = 2
PAGE = 4096
# A worker that does not come: torch's import takes seconds, pickling a gigabyte, too.
PATIENCE_SECONDS = 60.0


def _from_numpy(base: Any) -> Any:
    return importlib.import_module("torch").from_numpy(base)


# How an array is held by the parent, and the modules that it needs.
ARRAYS: dict[str, tuple[Callable[[Any, str], Any], tuple[str, ...]]] = {
    "ndarray": (lambda base, path: base, ("numpy",)),
    "torch.from_numpy(a)": (lambda base, path: _from_numpy(base), ("torch", "numpy")),
    "nl.share(a)": (lambda base, path: nl.share(base), ()),
    "nl.open(path)": (lambda base, path: nl.open(path), ()),
}


def measure(start: str, array: str, nbytes: int, path: str, timeout_seconds: float) -> Any:
    """Measure one kind of array with one start method, in a new process."""
    outcome: dict[str, Any] = {"failed": None}
    arguments = {"start": start, "array": array, "nbytes": nbytes, "path": path}
    for report in run(".processes:story", arguments, timeout_seconds):
        if "ended" in report:
            what = "ends the process: " if report["signal"] else ""
            outcome["failed"] = what + report["ended"]
        else:
            outcome |= report
    return outcome


def story(start: str, array: str, nbytes: int, path: str) -> Iterator[dict[str, Any]]:
    """Start the workers twice, with a small array and with the large one; runs in a child."""
    import multiprocessing
    from multiprocessing import forkserver, resource_tracker

    make, needs = ARRAYS[array]
    for module in needs:
        importlib.import_module(module)
    numpy = importlib.import_module("numpy") if "numpy" in needs else None
    context = multiprocessing.get_context(start)
    if start != "fork":
        # Processes that serve all workers are there before anything is counted.
        resource_tracker.ensure_running()
    if start == "forkserver":
        forkserver.ensure_running()
    small = make_base(0, numpy).reshape(-1)[:PAGE]
    nl.save(f"{path}.small.npy", small)
    control = _round(context, make(small.copy(), f"{path}.small.npy"))
    held = make(make_base(nbytes, numpy), path)
    yield {"pickled_bytes": 0 if start == "fork" else None}
    large = _round(context, held)
    extra = None
    if large["added_bytes"] is not None and control["added_bytes"] is not None:
        extra = large["added_bytes"] - control["added_bytes"]
    yield {
        "first_item_seconds": large["first_item_seconds"],
        "first_item_seconds_of_a_page": control["first_item_seconds"],
        "extra_bytes": extra,
        "nbytes": len(held) * IMAGE_BYTES,
    }
    if start != "fork":
        yield {"pickled_bytes": _pickled_bytes(held)}


def _round(context: Any, array: Any) -> dict[str, Any]:
    """Give `array` to workers; when each has read all of it, count the memory of everybody."""
    import os

    before = held_bytes(family(os.getpid()))
    release = context.Event()
    begun = time.perf_counter()
    workers, pipes = [], []
    for _ in range(WORKERS):
        receive, send = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(array, send, release))
        worker.start()
        send.close()
        workers.append(worker)
        pipes.append(receive)
    # The time until the first of them has an item: the last one started is no slower.
    seconds = _answer(pipes[0]) - begun
    for pipe in pipes[1:]:
        _answer(pipe)
    if {_answer(pipe) for pipe in pipes} != {_check_sum(array)}:
        raise RuntimeError("a worker has read other numbers than there are")
    after = held_bytes(family(os.getpid()))
    release.set()
    for worker in workers:
        worker.join()
    added = None if before is None or after is None else after - before
    return {"first_item_seconds": seconds, "added_bytes": added}


def _answer(pipe: Connection) -> Any:
    if not pipe.poll(PATIENCE_SECONDS):
        raise TimeoutError(f"a worker has not answered in {PATIENCE_SECONDS:.0f} s")
    return pipe.recv()


def work(array: Any, pipe: Connection, release: Event) -> None:
    """What a worker does."""
    _check_sum(array[:1])
    pipe.send(time.perf_counter())  # one clock for all processes of a Linux machine
    pipe.send(_check_sum(array))
    release.wait(PATIENCE_SECONDS)


def _check_sum(array: Any) -> int:
    """Reads a byte of every page, with nothing but a memoryview."""
    if hasattr(array, "data_ptr"):  # a tensor has no buffer of its own
        array = array.numpy()
    return sum(memoryview(array).cast("B")[::PAGE])


class _Counter:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.nbytes = 0

    def write(self, data: bytes) -> int:
        self.nbytes += memoryview(data).nbytes
        return memoryview(data).nbytes


def _pickled_bytes(array: Any) -> int:
    from multiprocessing.reduction import ForkingPickler

    counter = _Counter()
    ForkingPickler(counter).dump(array)
    return counter.nbytes
