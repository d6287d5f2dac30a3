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

    python benches/subsets.py [--rounds 9] [--seconds 0.3] [--rows 3000000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import numpy.typing as npt

import ndlens as nl


def loader(rows: Any) -> nl.Loader:
    return nl.Loader(rows, batch_size=8192, shuffle=True, drop_last=True, output="numpy")


def check(rows: npt.NDArray[np.float32], chosen: npt.NDArray[np.int64]) -> None:
    batches = loader(nl.subset(rows, chosen))
    expected = rows[chosen[batches.indices(0).numpy()[:8192]]]
    assert np.array_equal(next(iter(batches)), expected), "a subset gathers other rows"


def nanoseconds(batches: nl.Loader, seconds: float) -> float:
    done, start = 0, time.process_time()
    while True:
        for batch in batches:
            done += len(batch)
            if (spent := time.process_time() - start) >= seconds:
                return spent / done * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="least seconds of each turn")
    parser.add_argument("--rows", type=int, default=3_000_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    for nbytes in (64, 256, 1024):
        count = arguments.rows * 64 // max(nbytes // 4, 64)
        rows = rng.random((count, nbytes // 4), np.float32)
        train, _ = nl.split(rows, [0.8, 0.2])
        order = rng.permutation(count)[: len(train)]
        check(rows, order)
        check(rows, np.sort(order))
        contestants = {
            "whole": loader(rows[: len(train)]),
            "split": loader(train),
            "range": loader(nl.subset(rows, np.arange(len(train)))),
            "permuted": loader(nl.subset(rows, order)),
        }
        found: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(arguments.rounds):
            for name, batches in contestants.items():
                found[name].append(nanoseconds(batches, arguments.seconds))
        medians = {name: statistics.median(times) for name, times in found.items()}
        print(f"rows of {nbytes} bytes, {len(train):,} of {count:,}")
        for name, taken in medians.items():
            print(f"  {name:<10}{taken:>8.1f} ns a row   {medians['whole'] / taken:.2f} x as fast")
        print(flush=True)


if __name__ == "__main__":
    main()
