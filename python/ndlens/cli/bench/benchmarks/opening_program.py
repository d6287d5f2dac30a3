"""One process of the benchmark `opening`: opens the file in one way, prints its figures as JSON.

It imports nothing of ndlens by itself, so that only the processes of ndlens import it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["BATCH", "IMAGE", "WAYS"]

IMAGE = (256, 256, 3)
BATCH = 32


def ndlens_way() -> tuple[Callable[[str], Any], Callable[[Any], Any]]:
    import ndlens as nl

    def first(view: Any) -> Any:
        return next(
            iter(nl.Loader(view, batch_size=BATCH, shuffle=True, num_workers=2, output="view"))
        )

    return nl.open, first


def ndlens_torch_way() -> tuple[Callable[[str], Any], Callable[[Any], Any]]:
    import torch

    import ndlens as nl

    torch.zeros(1)

    def first(view: Any) -> Any:
        return next(iter(nl.Loader(view, batch_size=BATCH, shuffle=True, num_workers=2)))

    return nl.open, first


def numpy_way(num_workers: int) -> tuple[Callable[[str], Any], Callable[[Any], Any]]:
    import numpy as np
    from torch.utils.data import DataLoader

    def first(array: Any) -> Any:
        return next(
            iter(DataLoader(array, batch_size=BATCH, shuffle=True, num_workers=num_workers))
        )

    return (lambda path: np.load(path, mmap_mode="r")), first


WAYS: dict[str, Callable[[], tuple[Callable[[str], Any], Callable[[Any], Any]]]] = {
    "ndlens, 2 workers, views": ndlens_way,
    "ndlens, 2 workers, tensors": ndlens_torch_way,
    "np.load, DataLoader, no workers": lambda: numpy_way(0),
    "np.load, DataLoader, 2 workers": lambda: numpy_way(2),
}


def peak_megabytes() -> float:
    # Not that of getrusage, which a process inherits from its parent.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(way: str, path: str) -> dict[str, float]:
    """In a process of its own."""
    opens, first = WAYS[way]()
    before = peak_megabytes()
    start = time.perf_counter()
    data = opens(path)
    opened = time.perf_counter()
    batch = first(data)
    made = time.perf_counter()
    assert tuple(batch.shape) == (BATCH, *IMAGE), f"{way}: {batch.shape}"
    return {
        "open_ms": (opened - start) * 1e3,
        "batch_ms": (made - opened) * 1e3,
        "peak_mb": peak_megabytes(),
        "added_mb": peak_megabytes() - before,
    }


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
