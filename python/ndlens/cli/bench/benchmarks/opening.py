"""The time and memory from opening a file larger than memory to its first batch.

The file is a sparse `.npy` of 50 GB, images of 256 x 256 x 3 bytes. ndlens opens it and gives the
first batch of a shuffled epoch; beside it `np.load(mmap_mode="r")` under torch's `DataLoader`,
which also shuffles. Each runs in a process of its own, and counts with its medians; the memory is
the process's peak, and the part of it above the peak after its imports.

Wanted: opened in less than 5 ms, the first batch in less than 50 ms, less than 200 MB in all.

    ndlens bench opening
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from ..contest import Column, Contest, Ratio
from ..ground import Contestant, Ground, Settings, present
from . import opening_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("first",)
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=5, size=255_000, least=32)
QUICK = Settings(rounds=1, size=255_000, least=32, quick=True)


def make_sparse(path: Path, images: int) -> int:
    """Writes the file and returns its size."""
    shape = (images, *opening_program.IMAGE)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    nbytes = 128 + math.prod(shape)
    with path.open("wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + f"{header:<117}\n".encode())
        file.truncate(nbytes)
    return nbytes


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """One contest."""
    contestants = {
        way: Contestant(make, () if way == "ndlens, 2 workers, views" else ("torch",))
        for way, make in opening_program.WAYS.items()
    }
    names, absent = present(contestants)
    path = ground.folder / "large.npy"
    nbytes = make_sparse(path, settings.size)
    turns = {
        name: partial(ground.program, opening_program.__file__, name, str(path)) for name in names
    }
    subject = "ndlens, 2 workers, tensors"
    theirs = {name: subject for name in names if "ndlens" not in name}
    yield Contest(
        "first",
        f"From opening a file of {nbytes / 1e9:.0f} GB to its first batch, of"
        f" {opening_program.BATCH}",
        "ms to the first batch",
        [
            Column("first batch, ms", "batch_ms", ".1f"),
            Column("open, ms", "open_ms", ".2f"),
            Column("peak, MB", "peak_mb"),
            Column("of it added, MB", "added_mb"),
            Ratio("first batch", "batch_ms", "x ndlens", ".1f", "contestant", theirs),
        ],
        ground.rounds("opening", turns, settings.rounds),
        absent=absent,
    )
