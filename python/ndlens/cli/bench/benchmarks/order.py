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
integers are measured at a hundredth of that and scaled. (With another number of items, the memory
is that of a hundred times as many.)

    ndlens bench order       # or one of its contests: order:resume, order:memory
"""

from __future__ import annotations

import itertools
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import ndlens as nl

from ..contest import Column, Contest, Figures, Ratio
from ..ground import Contestant, Ground, Settings, present, seconds_of
from ..memory import peak_bytes
from ..peers import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("resume", "memory")
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=3, size=10_000_000, least=1000)
QUICK = Settings(rounds=1, size=1_000_000, least=1000, quick=True)

BATCH = 64
# The memory of an order is that of so many times as many items.
SCALE = 100
SUBJECT = "ndlens"
TORCH_ORDER = "ndlens order=torch"


def items_of(count: int) -> Any:
    return np.broadcast_to(np.uint8(0), (count,))


def loader_of(count: int, **settings: Any) -> nl.Loader[Any]:
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
    import torch
    from torch.utils.data import RandomSampler

    dataset: Any = range(count)

    def run() -> list[int]:
        sampler = RandomSampler(dataset, generator=torch.Generator().manual_seed(1))
        return list(itertools.islice(sampler, count // 2, count // 2 + BATCH))

    return run


def distributed_sampler(count: int) -> Callable[[], list[int]]:
    from torch.utils.data import DistributedSampler

    dataset: Any = range(count)

    def run() -> list[int]:
        sampler: DistributedSampler[Any] = DistributedSampler(dataset, 1, 0, seed=1)
        return list(itertools.islice(sampler, count // 2, count // 2 + BATCH))

    return run


def peak_growth(contestant: str, count: int) -> Figures:
    """In a fresh interpreter: its growth when it makes the first batch's order."""
    # Warms up all that is loaded or allocated once.
    next(iter(loader_of(BATCH, shuffle=True)))
    if find("torch") is None:
        import torch

        torch.randperm(10, generator=torch.Generator().manual_seed(1)).tolist()
    if contestant == "RandomSampler":
        random_sampler(2 * BATCH)()
    before = peak_bytes()
    if contestant == SUBJECT:
        next(iter(loader_of(count, shuffle=True)))
    elif contestant == TORCH_ORDER:
        next(iter(loader_of(count, shuffle=True, order="torch")))
    elif contestant == "RandomSampler":
        import torch
        from torch.utils.data import RandomSampler

        dataset: Any = range(count)
        next(iter(RandomSampler(dataset, generator=torch.Generator().manual_seed(1))))
    return {"bytes": float(peak_bytes() - before)}


def all_ones(count: int) -> Any:
    return items_of(count) + np.uint8(1)


RESUMING = {
    SUBJECT: Contestant(partial(resumed, shuffle=True)),
    "ndlens weights": Contestant(lambda count: resumed(count, weights=all_ones(count))),
    TORCH_ORDER: Contestant(partial(resumed, shuffle=True, order="torch")),
    "RandomSampler": Contestant(random_sampler, ("torch",)),
    "DistributedSampler": Contestant(distributed_sampler, ("torch",)),
}


def check(count: int) -> None:
    """All give the same items of torch's order after the half."""
    half = slice(count // 2, count // 2 + BATCH)
    ours = loader_of(count, shuffle=True, order="torch").indices(0).numpy()[half].tolist()
    assert ours == random_sampler(count)() == distributed_sampler(count)(), "the orders differ"


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest of resuming, and one of memory."""
    names, absent = present(RESUMING)
    if settings.wants("resume"):
        yield resuming(ground, settings, names, absent)
    if settings.wants("memory"):
        yield memory(ground, settings, absent)


def resuming(
    ground: Ground, settings: Settings, names: list[str], absent: dict[str, str]
) -> Contest:
    count = settings.size
    if not absent:
        ground.each("order, checking", ["all"], lambda _: check(count))
    runs = {name: RESUMING[name].make(count) for name in names}

    def turn(name: str) -> Figures:
        return {"milliseconds": seconds_of(runs[name]) * 1e3}

    state = json.dumps(loader_of(count, shuffle=True).state_dict())
    others = {name: SUBJECT for name in names if name != SUBJECT}
    return Contest(
        "resume",
        f"A run is resumed half-way through {count:,} items, up to its first batch of {BATCH}",
        "ms",
        [
            Column("ms", "milliseconds", ",.3f"),
            Ratio("beside ndlens", "milliseconds", "x ndlens", ",.1f", "contestant", others),
        ],
        ground.rounds("order", {name: partial(turn, name) for name in names}, settings.rounds),
        absent=absent,
        notes=[
            f"The state it is resumed from is {len(state)} bytes of JSON; the samplers have none."
        ],
    )


def memory(ground: Ground, settings: Settings, absent: dict[str, str]) -> Contest:
    large = settings.size * SCALE
    turns: dict[str, Callable[[], Figures]] = {
        SUBJECT: lambda: ground.apart(peak_growth, SUBJECT, large)
    }
    for name in (TORCH_ORDER, "RandomSampler"):
        if name not in absent:
            turns[name] = partial(ground.apart, peak_growth, name, settings.size)
    found = ground.rounds("memory of orders", turns, 1)
    for name in turns.keys() - {SUBJECT}:
        found[name] = [{"bytes": turn["bytes"] * SCALE} for turn in found[name]]
    return Contest(
        "memory",
        f"Memory for an order of {large:,} items",
        "MB",
        [Column("MB", "bytes", ",.2f", 1e-6)],
        found,
        absent={name: reason for name, reason in absent.items() if name == "RandomSampler"},
        notes=[f"Lists are measured at {settings.size:,} items and scaled."],
    )
