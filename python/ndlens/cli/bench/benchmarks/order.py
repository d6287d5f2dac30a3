"""Orders of large data sets: their time, memory and state, beside torch's samplers.

What it shows. The time to make an epoch's order ready, for the first batch and for one half-way
through the epoch, as a resumed run does; the size of the state that it is resumed from; and the
memory of the order.

Compared with.
  ndlens                 nl.Loader(shuffle=True): the order is computed place by place
  ndlens order="torch"   torch's order, bit for bit: a list
  ndlens weights         nl.Loader(weights=...), with replacement
  RandomSampler          torch's, its iterator moved on to the half; it has no state, so this is how
                         it is resumed
  DistributedSampler     torch's, of one rank, likewise

How. Items are bytes that repeat one byte in memory, so that nothing but the order is measured. Each
contestant first gives the items after the half, and those of the two torch orders are compared.
Then each is run a few times, in turns, in this process; a time is the median. The memory of 10^9
items is the growth of the highest resident size, in a process of its own; torch's lists of Python
integers are measured at a hundredth of that and scaled.

    python benches/order.py [--items 10000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DistributedSampler, RandomSampler

import ndlens as nl

BATCH = 64
LARGE = 1_000_000_000
SCALE = 100


def items_of(count: int) -> Any:
    return np.broadcast_to(np.uint8(0), (count,))


def loader_of(count: int, **settings: Any) -> nl.Loader:
    return nl.Loader(items_of(count), batch_size=BATCH, seed=1, output="view", **settings)


def resumed(count: int, **settings: Any) -> Callable[[], list[int]]:
    loader = loader_of(count, **settings)
    state = loader.state_dict() | {"items_done": count // 2}

    def run() -> list[int]:
        loader.load_state_dict(state)
        next(iter(loader))
        return []

    return run


def random_sampler(count: int) -> Callable[[], list[int]]:
    dataset: Any = range(count)

    def run() -> list[int]:
        sampler = RandomSampler(dataset, generator=torch.Generator().manual_seed(1))
        return list(itertools.islice(sampler, count // 2, count // 2 + BATCH))

    return run


def distributed_sampler(count: int) -> Callable[[], list[int]]:
    dataset: Any = range(count)

    def run() -> list[int]:
        sampler: DistributedSampler[Any] = DistributedSampler(dataset, 1, 0, seed=1)
        return list(itertools.islice(sampler, count // 2, count // 2 + BATCH))

    return run


def peak_growth(contestant: str, count: int) -> int:
    """Bytes by which a separate process grows when it makes the first batch's order."""
    command = [sys.executable, __file__, "--measure", contestant, "--items", str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(contestant: str, count: int) -> None:
    def peak() -> int:
        # Not that of getrusage, which a process inherits from its parent.
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    # Warms up all that is loaded or allocated once.
    next(iter(loader_of(BATCH, shuffle=True)))
    torch.randperm(10, generator=torch.Generator().manual_seed(1)).tolist()
    before = peak()
    if contestant == "ndlens":
        next(iter(loader_of(count, shuffle=True)))
    elif contestant == "ndlens order=torch":
        next(iter(loader_of(count, shuffle=True, order="torch")))
    elif contestant == "RandomSampler":
        random_sampler(2 * BATCH)()
        dataset: Any = range(count)
        next(iter(RandomSampler(dataset, generator=torch.Generator().manual_seed(1))))
    print(peak() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    count = arguments.items
    if arguments.measure:
        measure(arguments.measure, count)
        return

    half = slice(count // 2, count // 2 + BATCH)
    in_torch_order = loader_of(count, shuffle=True, order="torch").indices(0).numpy()[half].tolist()
    assert in_torch_order == random_sampler(count)() == distributed_sampler(count)(), (
        "the orders differ"
    )

    contestants: dict[str, Callable[[], list[int]]] = {
        "ndlens": resumed(count, shuffle=True),
        "ndlens weights": resumed(count, weights=items_of(count) + np.uint8(1)),
        "ndlens order=torch": resumed(count, shuffle=True, order="torch"),
        "RandomSampler": random_sampler(count),
        "DistributedSampler": distributed_sampler(count),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    reference = statistics.median(seconds["ndlens"])
    print(
        f"A run is resumed half-way through {count:,} items, up to its first batch of {BATCH};"
        " median, ms:"
    )
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"  {name:20} {median * 1e3:12.3f}   {median / reference:10.1f} x ndlens")

    state = json.dumps(loader_of(count, shuffle=True).state_dict())
    print(f"The state it is resumed from: {len(state)} bytes of JSON; the samplers have none.")

    print(f"Memory for an order of {LARGE:,} items, MB:")
    print(f"  {'ndlens':20} {peak_growth('ndlens', LARGE) / 1e6:12.2f}")
    for name in ("ndlens order=torch", "RandomSampler"):
        grown = peak_growth(name, LARGE // SCALE) * SCALE
        print(f"  {name:20} {grown / 1e6:12.2f}   measured at {LARGE // SCALE:,} items and scaled")


if __name__ == "__main__":
    main()
