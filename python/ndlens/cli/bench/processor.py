"""The processor's time that processes use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..process_memory import family

__all__ = ["processor_seconds"]


def processor_seconds(pid: int) -> float:
    """Seconds, in user and in kernel mode, of a process and of all that descend from it.

    Processes that have ended count if they were waited for.
    """
    ticks = 0
    for member in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = Path(f"/proc/{member}/stat").read_text()
            # The name in parentheses may hold anything; utime, stime, cutime and cstime are the
            # fields 14 to 17, counted from 1 (proc_pid_stat(5)).
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
