"""`ndlens audit`: which hand-offs share memory, what they cost, measured on this machine.

cases.py       what is handed over
handoffs.py    by which method; shared, copied or refused, and the proof
processes.py   an array that worker processes read
epoch.py       an epoch of training batches beside torch's DataLoader
child.py       one measurement in a fresh process, whose end is a result, too
memory.py      how much memory processes hold
tables.py      the results as tables
"""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..report import Failure, Report
from ..units import size_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..progress import Progress

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Measure which hand-offs between NumPy, torch, JAX and ndlens copy, and what they cost."

PARTS = {
    "handoffs": "each method with each kind of array",
    "processes": "an array that worker processes read",
    "epoch": "an epoch beside torch's DataLoader",
}
QUICK_GB = 0.1
# Two workers that unpickle an array hold it and its pickle, as the parent does: six times.
TIMES_THE_ARRAY = {"handoffs": 2, "processes": 6, "epoch": 1}
REST_BYTES = 1_500_000_000  # interpreters with torch, batches
TIMEOUT_SECONDS = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ndlens audit`."""
    parser.add_argument(
        "--gb", type=float, help="size of the array in gigabytes (default 1, with --quick 0.1)"
    )
    parser.add_argument("--quick", action="store_true", help="only hand-offs, of a small array")
    parser.add_argument(
        "--only",
        choices=PARTS,
        nargs="+",
        help="; ".join(f"{part}: {what}" for part, what in PARTS.items()),
    )


def run(arguments: argparse.Namespace, progress: Progress) -> Report:
    """Measure, part by part, each in processes of its own."""
    from . import tables

    parts = arguments.only or (["handoffs"] if arguments.quick else list(PARTS))
    gb = arguments.gb if arguments.gb is not None else QUICK_GB if arguments.quick else 1.0
    if not 0 < gb < 1000:
        raise Failure(f"--gb is a size in gigabytes above 0 and below 1000, not {gb:g}")
    nbytes = int(gb * 1e9)
    _check_memory(nbytes, parts)
    begun = time.monotonic()
    # SIGTERM, too, leaves no files and no processes behind.
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with tempfile.TemporaryDirectory(prefix="ndlens-audit-") as directory:
            results = _measure(parts, nbytes, Path(directory) / "images.npy", progress)
    finally:
        signal.signal(signal.SIGTERM, before)
    results["seconds"] = time.monotonic() - begun
    return tables.report(results)


def _check_memory(nbytes: int, parts: list[str]) -> None:
    from .memory import available_bytes

    available = available_bytes()
    times = max(TIMES_THE_ARRAY[part] for part in parts)
    needed = times * nbytes + REST_BYTES
    if available is None or available >= needed:
        return
    fits = (available - REST_BYTES) / times / 1e9
    advice = f"say --gb {fits:.2g}" if fits >= 0.01 else "close other programs"
    raise Failure(
        f"{size_text(needed)} of memory are needed, {size_text(available)} are available: {advice}"
    )


def _measure(parts: list[str], nbytes: int, path: Path, progress: Progress) -> dict[str, Any]:
    from . import cases, epoch, handoffs, processes

    results: dict[str, Any] = {"command": "audit", "nbytes": nbytes, "parts": parts}
    cases.save_base(path)
    missing = [module for module in ("numpy", "torch", "jax") if not handoffs.installed(module)]
    results["missing"] = missing

    def possible(needs: tuple[str, ...]) -> bool:
        return not set(needs) & set(missing)

    methods = [name for name, method in handoffs.METHODS.items() if possible(method.needs)]
    arrays = [name for name, (_, needs) in processes.ARRAYS.items() if possible(needs)]
    loaders = [name for name, (*_, needs) in epoch.CONTESTANTS.items() if possible(needs)]
    starts = [(start, array) for start in processes.STARTS for array in arrays]

    def all_of(names: list[Any], part: str, label: str) -> Iterator[Any]:
        return progress.of(names, len(names), label) if part in parts else iter(())

    results["handoffs"] = {
        name: handoffs.measure(name, nbytes, str(path), TIMEOUT_SECONDS)
        for name in all_of(methods, "handoffs", "hand-offs")
    }
    results["processes"] = [
        {
            "start": start,
            "array": array,
            **processes.measure(start, array, nbytes, str(path), TIMEOUT_SECONDS),
        }
        for start, array in all_of(starts, "processes", "processes")
    ]
    results["epoch"] = {
        name: epoch.measure(name, nbytes, TIMEOUT_SECONDS)
        for name in all_of(loaders, "epoch", "loaders")
    }
    return results
