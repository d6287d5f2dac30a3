"""Rows of a subset beside rows of a view of as many: the cost of the look-up of their numbers.

What it shows. A subset keeps the numbers of its items, and every item of a shuffled epoch is looked
up there. If rows are short, a look-up that leaves the caches takes as long as a part of the row.
Each task gathers rows of one size, of a matrix of float32, in shuffled order into batches of 8,192,
by the calling thread alone.

Compared with. An `nl.Loader` over as many contiguous rows (`whole`), whose speed is 1.00, for:
  split       the rows that `nl.split(.., [0.8, 0.2])` takes for training
  range       every item, as a range of numbers
  permuted    as many, in a random order

How. Batches are checked first. Then all take turns for some rounds, and each counts with its median
turn. Time is the processor's, so that other processes on the machine count as little as possible;
they still share its caches.

    ndlens bench subsets     # or one of its contests: subsets:64, subsets:256, subsets:1024
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import ndlens as nl

from ..contest import Column, Contest, Figures, Ratio
from ..ground import Ground, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("64", "256", "1024")
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=9, seconds=0.3, size=3_000_000, least=200_000)
QUICK = Settings(rounds=3, seconds=0.1, size=300_000, least=200_000, quick=True)
BATCH = 8192


def loader(rows: Any) -> nl.Loader[Any]:
    return nl.Loader(rows, batch_size=BATCH, shuffle=True, drop_last=True, output="numpy")


def check(rows: npt.NDArray[np.float32], chosen: npt.NDArray[np.int64]) -> None:
    batches = loader(nl.subset(rows, chosen))
    expected = rows[chosen[batches.indices(0).numpy()[:BATCH]]]
    assert np.array_equal(next(iter(batches)), expected), "a subset gathers other rows"


def nanoseconds(batches: nl.Loader[Any], seconds: float) -> Figures:
    done, start = 0, time.process_time()
    while True:
        for batch in batches:
            done += len(batch)
            if (spent := time.process_time() - start) >= seconds:
                return {"nanoseconds": spent / done * 1e9}


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for each size of rows."""
    rng = np.random.default_rng(0)
    for nbytes in (64, 256, 1024):
        key = str(nbytes)
        if not settings.wants(key):
            continue
        count = settings.size * 64 // max(nbytes // 4, 64)
        rows = rng.random((count, nbytes // 4), np.float32)
        train, _ = nl.split(rows, [0.8, 0.2])
        order = rng.permutation(count)[: len(train)]
        for chosen in (order, np.sort(order)):
            check(rows, chosen)
        contestants = {
            "whole": loader(rows[: len(train)]),
            "split": loader(train),
            "range": loader(nl.subset(rows, np.arange(len(train)))),
            "permuted": loader(nl.subset(rows, order)),
        }
        turns = {
            name: partial(nanoseconds, batches, settings.seconds)
            for name, batches in contestants.items()
        }
        names = list(turns)
        yield Contest(
            key,
            f"Rows of {nbytes} bytes, {len(train):,} of {count:,}",
            "ns a row",
            [
                Column("ns a row", "nanoseconds", ".1f"),
                Ratio("beside whole", "nanoseconds", subjects=dict.fromkeys(names, "whole")),
            ],
            ground.rounds(f"subsets of rows of {nbytes}", turns, settings.rounds),
            ours=names,
        )
