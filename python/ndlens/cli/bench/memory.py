"""The memory of processes as the system counts it, and the rate at which memory takes batches."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..process_memory import family, rollup

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ROW_BYTES", "PeakMemory", "free_batches", "peak_bytes", "pss_bytes", "resident_bytes"]

# Bytes of a row of a batch that costs nothing to make: it stays in the first-level cache.
ROW_BYTES = 4096


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process and its children: each shared page counts once."""
    return sum(rollup(member).get("Pss", 0) for member in family(pid))


def resident_bytes() -> int:
    """The resident size of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """The highest resident size of this process."""
    # Not that of getrusage, which a process inherits from its parent.
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


class PeakMemory:
    """Samples the PSS of this process and its children from a thread while the `with` block runs.

    The extra is the PSS above that at its construction.
    """

    INTERVAL_SECONDS = 0.02

    def __init__(self) -> None:
        self.peak = self.start = pss_bytes(os.getpid())

    def __enter__(self) -> Self:
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._sample)
        self.thread.start()
        return self

    def _sample(self) -> None:
        while not self.done.wait(self.INTERVAL_SECONDS):
            self.peak = max(self.peak, pss_bytes(os.getpid()))

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    @property
    def extra(self) -> int:
        """Bytes above those at the start, at the peak."""
        return self.peak - self.start


def free_batches(threads: int, batch_bytes: int) -> Any:
    """A loader of batches that cost nothing to make: the limit of every loader.

    The threads copy one row, which stays in the cache, past the cache into the slabs of a loader:
    huge pages, as many as its batches need, used in turn. No item is looked up elsewhere, nothing
    is converted. The row has no zeros: some processors write lines of zeros several times as fast.
    """
    import numpy as np

    import ndlens as nl

    row = (np.arange(ROW_BYTES) % 255 + 1).astype(np.uint8)
    rows = batch_bytes // ROW_BYTES
    # An epoch is long enough that the start of its threads does not count.
    many = nl.view(np.broadcast_to(row, (rows * 64, ROW_BYTES)))
    # The thread that takes batches helps.
    return nl.Loader(many, batch_size=rows, num_workers=threads - 1, stores="stream", output="view")
