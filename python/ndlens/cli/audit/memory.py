"""How much memory processes hold, by the kernel's PSS.

Counted are anonymous pages and shared memory. The pages of mapped files are not: the system can
drop them whenever it needs the room. Anonymous pages that are swapped out are.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..process_memory import ROLLUP, rollup

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["available_bytes", "give_memory_back", "held_bytes"]

COUNTED = ("Pss_Anon", "Pss_Shmem", "SwapPss")
# Of <malloc.h>: from which size on glibc maps a block by itself, and its value before any is freed.
M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES = -3, 128 << 10


def held_bytes(pids: Iterable[int] | None = None) -> int | None:
    """Bytes that processes hold together, of this one by default; None without the kernel's file.

    A process that has ended holds nothing.
    """
    if not ROLLUP.exists():
        return None
    total = 0
    for pid in [os.getpid()] if pids is None else pids:
        entries = rollup(pid)
        # Before Linux 5.4 there is only the sum, with the pages of files in it.
        names = COUNTED if COUNTED[0] in entries else ("Pss",)
        total += sum(entries.get(name, 0) for name in names)
    return total


def give_memory_back() -> None:
    """Have glibc give every freed array of this process back to the system at once.

    By itself it keeps blocks of up to 32 MB once one is freed. A later copy into such a block would
    seem to cost nothing.
    """
    # Another C library has no mallopt.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def available_bytes() -> int | None:
    """Memory that can be had without swapping: the system's, or what a container leaves."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    entries = dict(line.split(":", 1) for line in lines)
    available = int(entries["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    return available if limit == "max" else min(available, int(limit) - used)
