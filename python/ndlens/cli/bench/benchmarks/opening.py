"""The time and memory from opening a file larger than memory to its first batch.

The file is a sparse `.npy` of 50 GB, images of 256 x 256 x 3 bytes. ndlens opens it and gives the
first batch of a shuffled epoch; beside it `np.load(mmap_mode="r")` under torch's `DataLoader`,
which also shuffles. Each runs in a process of its own, five times, and the medians are printed; the
memory is the process's peak, and the part of it above the peak after its imports.

Wanted: opened in less than 5 ms, the first batch in less than 50 ms, less than 200 MB in all.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHAPE = (255_000, 256, 256, 3)
BATCH = 32
RUNS = 5


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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(way: str, path: str) -> dict[str, float]:
    """Measures in a separate process."""
    opens, first = WAYS[way]()
    before = peak_megabytes()
    start = time.perf_counter()
    data = opens(path)
    opened = time.perf_counter()
    batch = first(data)
    made = time.perf_counter()
    assert tuple(batch.shape) == (BATCH, *SHAPE[1:])
    return {
        "open_ms": (opened - start) * 1e3,
        "batch_ms": (made - opened) * 1e3,
        "peak_mb": peak_megabytes(),
        "added_mb": peak_megabytes() - before,
    }


def make_sparse(path: Path) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {SHAPE}, }}"
    with path.open("wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + f"{header:<117}\n".encode())
        nbytes = SHAPE[0] * SHAPE[1] * SHAPE[2] * SHAPE[3]
        file.truncate(128 + nbytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--measure", nargs=2, metavar=("WAY", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "large.npy"
        make_sparse(path)
        print(
            f"{'':34}{'open, ms':>10}{'first batch, ms':>17}{'peak, MB':>10}{'of it added, MB':>17}"
        )
        # All ways in turn, so that other load on the machine affects each of them.
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(RUNS):
            for way, found in runs.items():
                command = [sys.executable, __file__, "--measure", way, str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.append(json.loads(done.stdout))
        for way, found in runs.items():
            median = {name: statistics.median(run[name] for run in found) for name in found[0]}
            print(
                f"{way:34}{median['open_ms']:10.2f}{median['batch_ms']:17.1f}"
                f"{median['peak_mb']:10.0f}{median['added_mb']:17.0f}"
            )


if __name__ == "__main__":
    main()
