"""Several processes share an epoch; a run resumes with another number of processes."""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch.utils.data import DistributedSampler, RandomSampler, WeightedRandomSampler

import ndlens as nl
from ndlens import transforms as T

ITEMS = 103
IMAGES = np.random.default_rng(0).integers(0, 256, (ITEMS, 6, 6, 3), dtype=np.uint8)
FIELDS = {"image": IMAGES, "label": np.arange(ITEMS)}
# Samplers ask for its length only.
DATASET: Any = range(ITEMS)
TRANSFORMS = {
    "image": [T.RandomCrop(4), T.RandomHorizontalFlip(), T.ToDtype("float32", scale=True)]
}


def loader_of(**changes: Any) -> nl.Loader:
    settings: dict[str, Any] = {
        "batch_size": 4,
        "shuffle": True,
        "seed": 5,
        "transforms": TRANSFORMS,
    } | changes
    return nl.Loader(FIELDS, **settings)


def items_of(batches: Iterable[Any]) -> dict[int, bytes]:
    """Each item's image by its label; a test fails where one comes twice."""
    items: dict[int, bytes] = {}
    for batch in batches:
        for image, label in zip(batch["image"], batch["label"].tolist(), strict=True):
            assert label not in items
            items[label] = image.numpy().tobytes()
    return items


def test_ranks_together_make_what_one_makes_byte_by_byte() -> None:
    alone = items_of(loader_of())
    for world_size in (2, 3, 8):
        together: dict[int, bytes] = {}
        for rank in range(world_size):
            share = items_of(
                loader_of(rank=rank, world_size=world_size, remainder="keep", num_workers=rank % 3)
            )
            assert not share.keys() & together.keys()
            together |= share
        assert together == alone


def test_a_run_of_eight_ranks_goes_on_with_four_and_then_six_and_loses_and_doubles_nothing() -> (
    None
):
    alone, seen, state = items_of(loader_of()), dict[int, bytes](), None
    for world_size, batches in ((8, 2), (4, 1), (6, 99)):
        states = []
        for rank in range(world_size):
            loader = loader_of(
                rank=rank, world_size=world_size, remainder="keep", num_workers=rank % 2
            )
            if state:
                loader.load_state_dict(state)
            share = items_of(islice(loader, batches))
            assert not share.keys() & seen.keys()
            seen |= share
            states.append(loader.state_dict())
        assert all(other == states[0] for other in states)
        state = json.loads(json.dumps(states[0]))
    assert seen == alone
    assert state is not None
    assert (state["epoch"], state["items_done"]) == (1, 0)


def test_a_state_is_small_and_says_where_the_run_stands() -> None:
    loader = loader_of()
    batches = iter(loader)
    next(batches)
    next(batches)
    expected = {
        "version": 1,
        "epoch": 0,
        "items_done": 8,
        "items": ITEMS,
        "shuffle": True,
        "order": "ndlens",
        "seed": 5,
        "fields": ["image uint8 [6, 6, 3]", "label int64 []"],
    }
    assert loader.state_dict() == expected
    assert len(json.dumps(expected)) < 1024
    assert loader.epoch == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "the state is of version 2, this ndlens reads version 1"),
        ({"items": 7}, "this state is of another run: its items: 7; this loader's: 103"),
        ({"seed": 6}, "this state is of another run: its seed: 6; this loader's: 5"),
        (
            {"shuffle": False},
            "this state is of another run: its shuffle: false; this loader's: true",
        ),
        ({"items_done": 104}, "this state says that 104 of 103 items are done"),
        (
            {"items_done": -1},
            f"the state's items_done must be between 0 and {sys.maxsize}, got -1",
        ),
        (
            {"epoch": 2**40},
            "the state's epoch must be between 0 and 4294967295, got 1099511627776",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused_with_the_reason(
    change: dict[str, Any], message: str
) -> None:
    loader = loader_of()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        loader.load_state_dict(loader.state_dict() | change)
    with pytest.raises(
        ValueError, match='the state has no "epoch": give what state_dict\\(\\) returned'
    ):
        loader.load_state_dict(
            {key: value for key, value in loader.state_dict().items() if key != "epoch"}
        )


@pytest.mark.parametrize(("remainder", "drop_last"), [("pad", False), ("drop", True)])
@pytest.mark.parametrize("world_size", [1, 3, 4, 110])
def test_unshuffled_ranks_take_what_a_distributed_sampler_gives(
    remainder: Literal["pad", "drop"], drop_last: bool, world_size: int
) -> None:
    for rank in range(world_size):
        sampler: DistributedSampler[Any] = DistributedSampler(
            DATASET, world_size, rank, shuffle=False, drop_last=drop_last
        )
        loader = loader_of(rank=rank, world_size=world_size, remainder=remainder, shuffle=False)
        if len(sampler) > 0:
            assert loader.indices(0).tolist() == list(sampler)
        assert loader.num_samples == len(sampler)
        assert len(loader) == -(-len(sampler) // 4)


def test_a_loader_has_a_distributed_sampler_whose_epoch_is_the_loaders() -> None:
    loader = loader_of(rank=1, world_size=3)
    sampler = loader.sampler
    assert isinstance(sampler, DistributedSampler)
    assert (sampler.rank, sampler.num_replicas, len(sampler)) == (1, 3, 35)
    sampler.set_epoch(7)
    assert loader.epoch == 7
    labels = list(sampler)
    assert labels == loader.indices(7).tolist() != loader.indices(8).tolist()
    assert [label for batch in loader for label in batch["label"].tolist()] == labels


def test_a_torch_sampler_gives_the_order() -> None:
    makers: list[Callable[[], Iterable[int]]] = [
        lambda: RandomSampler(DATASET, generator=torch.Generator().manual_seed(3)),
        lambda: DistributedSampler(DATASET, 4, 2, seed=1),
        lambda: WeightedRandomSampler(
            [0.0, 1.0, 2.0], 9, generator=torch.Generator().manual_seed(3)
        ),
        lambda: [5, 3, 3],
    ]
    for make in makers:
        loader = loader_of(sampler=make(), shuffle=False, num_workers=2)
        expected = list(make())
        assert [label for batch in loader for label in batch["label"].tolist()] == expected
        assert len(loader) == -(-len(expected) // 4)
    assert loader.sampler == [5, 3, 3]


def test_a_sampler_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="shuffle and sampler exclude each other"):
        loader_of(sampler=[1])
    with pytest.raises(
        ValueError, match="the sampler gave item 103 at place 1, but there are 103 items"
    ):
        next(iter(loader_of(sampler=[0, 103], shuffle=False)))
    with pytest.raises(TypeError, match="the sampler must give item numbers from 0 on, got -1"):
        next(iter(loader_of(sampler=[-1], shuffle=False)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 3, "world_size": 3}, "rank must be below world_size, got rank 3 of 3"),
        ({"rank": 0, "world_size": 0}, "world_size must be at least 1, got 0"),
        ({"rank": -1, "world_size": 1}, "rank must be at least 0, got -1"),
        ({"rank": 1}, "rank and world_size must be given together"),
        ({"remainder": "most"}, 'unknown remainder "most": expected "pad", "drop" or "keep"'),
    ],
)
def test_ranks_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        loader_of(**settings)


def test_ranks_come_from_what_torchrun_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (loader_of().rank, loader_of().world_size) == (0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (loader_of().rank, loader_of().world_size) == (2, 4)
    assert (
        loader_of(rank=0, world_size=2).rank,
        loader_of(sampler=[0], shuffle=False).world_size,
    ) == (0, 1)
    monkeypatch.setenv("RANK", "two")
    with pytest.raises(ValueError, match='the environment\'s RANK must be an integer, got "two"'):
        loader_of()


def join_and_report(rank: int, store: str, results: Any) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    loader = loader_of()
    results.put((loader.rank, loader.world_size, loader.num_samples))
    torch.distributed.destroy_process_group()


def test_ranks_come_from_torch_distributed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    ranks = [
        context.Process(target=join_and_report, args=(rank, str(tmp_path / "store"), results))
        for rank in (0, 1)
    ]
    for process in ranks:
        process.start()
    assert sorted(results.get(timeout=60) for _ in ranks) == [(0, 2, 52), (1, 2, 52)]
    for process in ranks:
        process.join()
        assert process.exitcode == 0
