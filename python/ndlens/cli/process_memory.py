"""What the kernel says of processes: which descend from which, and what each holds.

PSS, the proportional set size, counts a page that n processes share as 1/n of a page for each, so
the sum over processes counts every page once.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ROLLUP", "family", "rollup"]

ROLLUP = Path("/proc/self/smaps_rollup")


def rollup(pid: int) -> dict[str, int]:
    """Bytes by the kernel's names, as "Pss" and "SwapPss"; nothing of a process that has ended.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    entries = (line.split() for line in lines[1:])
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, _ in entries}


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    # Kernels that are built without this file need a look at every process instead.
    own = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    children = _children_by_thread if own.exists() else _children_by_parent()
    members = [pid]
    for member in members:
        members += children(member)
    return members


def _children_by_thread(pid: int) -> list[int]:
    found: list[int] = []
    # A process or a thread may end between being listed and being read.
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (task / "children").read_text().split())
    return found


def _children_by_parent() -> Callable[[int], list[int]]:
    parents: dict[int, int] = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                stat = (directory / "stat").read_text()
                # The name in parentheses may hold anything; the parent is the second field after.
                parents[int(directory.name)] = int(stat.rpartition(")")[2].split()[1])
    return lambda pid: [child for child, parent in parents.items() if parent == pid]
