"""A loader over a part of its items, and epochs of any number of items."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.loading import order
from torch.utils.data import RandomSampler

import ndlens as nl
from ndlens import transforms as T

ITEMS = 40
IMAGES = np.random.default_rng(0).integers(0, 256, (ITEMS, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(ITEMS)
TRAIN = np.random.default_rng(1).permutation(ITEMS)[:23]


def loader_of(**settings: Any) -> nl.Loader:
    defaults: dict[str, Any] = {"batch_size": 4, "seed": 5, "output": "numpy"}
    return nl.Loader(LABELS, **(defaults | settings))


MASK = np.isin(LABELS, TRAIN)


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (TRAIN, TRAIN.tolist()),
        (TRAIN.tolist(), TRAIN.tolist()),
        (torch.from_numpy(TRAIN), TRAIN.tolist()),
        (MASK, np.flatnonzero(MASK).tolist()),
        (MASK.tolist(), np.flatnonzero(MASK).tolist()),
        (torch.from_numpy(MASK), np.flatnonzero(MASK).tolist()),
        (slice(None, None, 3), list(range(0, ITEMS, 3))),
        (slice(-5, None), list(range(35, 40))),
        (slice(None, None, -1), list(range(ITEMS))[::-1]),
        (range(30, 10, -2), list(range(30, 10, -2))),
        # As in brackets, negative numbers count from the end.
        (np.array([0, -1]), [0, 39]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_indices_choose_items(indices: Any, expected: list[int]) -> None:
    loader = loader_of(indices=indices)
    assert order(loader) == expected == loader.indices(0).tolist()
    assert (loader.num_samples, len(loader)) == (len(expected), -(-len(expected) // 4))
    shuffled = order(loader_of(indices=indices, shuffle=True))
    assert sorted(shuffled) == sorted(expected) != shuffled


def test_random_draws_are_those_of_the_items_themselves() -> None:
    settings: dict[str, Any] = {
        "transforms": {"image": [T.RandomCrop(4), T.RandomHorizontalFlip()]},
        "seed": 3,
    }
    fields = {"image": IMAGES, "label": LABELS}

    def images(**more: Any) -> dict[int, bytes]:
        batches = list(nl.Loader(fields, batch_size=3, output="numpy", **settings, **more))
        return {
            label: image.tobytes()
            for batch in batches
            for label, image in zip(batch["label"].tolist(), batch["image"], strict=True)
        }

    whole = images()
    part = images(indices=TRAIN, shuffle=True)
    assert part == {label: whole[label] for label in TRAIN.tolist()}


def test_torchs_order_is_that_of_a_subset() -> None:
    subset: Any = torch.utils.data.Subset(range(ITEMS), TRAIN.tolist())  # type: ignore[arg-type]
    sampler = RandomSampler(subset, generator=torch.Generator().manual_seed(5))
    expected = [int(TRAIN[place]) for place in sampler]
    assert order(loader_of(indices=TRAIN, shuffle=True, order="torch")) == expected


def test_weights_and_samplers_are_of_places_in_the_part() -> None:
    weights = np.zeros(len(TRAIN))
    weights[[2, 7]] = 1
    assert set(order(loader_of(indices=TRAIN, weights=weights))) == {TRAIN[2], TRAIN[7]}
    assert order(loader_of(indices=TRAIN, sampler=[3, 0])) == TRAIN[[3, 0]].tolist()
    assert order(loader_of(indices=TRAIN, sampler=np.array([3, 0]))) == TRAIN[[3, 0]].tolist()
    with pytest.raises(
        ValueError, match=r"^weights must be one for each item: got 40, expected 23$"
    ):
        loader_of(indices=TRAIN, weights=np.ones(ITEMS))
    with pytest.raises(
        ValueError, match=r"^the sampler gave item 23 at place 0, but there are 23 items$"
    ):
        order(loader_of(indices=TRAIN, sampler=[23]))


def test_ranks_share_a_part_and_a_run_resumes_in_it() -> None:
    shares = [
        order(loader_of(indices=TRAIN, shuffle=True, rank=rank, world_size=3, remainder="keep"))
        for rank in range(3)
    ]
    whole = order(loader_of(indices=TRAIN, shuffle=True))
    assert shares == [whole[rank::3] for rank in range(3)]
    loader = loader_of(indices=TRAIN, shuffle=True)
    batches = iter(loader)
    done = [*next(batches), *next(batches)]
    state = loader.state_dict()
    resumed = loader_of(indices=TRAIN.tolist(), shuffle=True)
    resumed.load_state_dict(state)
    assert done + order(resumed) == whole
    with pytest.raises(ValueError, match=r"^this state is of another run: its indices: 23 "):
        loader_of(indices=TRAIN[::-1], shuffle=True).load_state_dict(state)
    with pytest.raises(ValueError, match=r"this loader's: all items$"):
        loader_of(shuffle=True).load_state_dict(state)


def test_errors_name_the_items_themselves() -> None:
    labels = np.zeros(ITEMS, int)
    labels[17] = 5
    fields = {"image": IMAGES.astype("f4"), "label": labels}
    loader = nl.Loader(fields, indices=[1, 17, 2], batch_size=3, mix=T.MixUp(num_classes=3))
    with pytest.raises(ValueError, match=r'^field "label", item 17: label 5 is not a class'):
        list(loader)


@pytest.mark.parametrize(
    ("indices", "kind", "text"),
    [
        ([], ValueError, "indices choose no item"),
        (np.zeros(ITEMS, bool), ValueError, "indices choose no item"),
        ([0, 40], IndexError, "indices: index 40 at place 1 is out of bounds for 40 items"),
        ([-41], IndexError, "indices: index -41 at place 0 is out of bounds for 40 items"),
        (range(38, 41), IndexError, "indices: index 40 at place 2 is out of bounds for 40 items"),
        (
            MASK[:-1],
            IndexError,
            "indices: a boolean index needs one value for each of 40 items, got 39",
        ),
        (
            np.ones(3),
            IndexError,
            "indices: items are selected by integers or booleans, got float64",
        ),
    ],
    ids=str,
)
def test_indices_that_cannot_be_are_refused(indices: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(text)}"):
        loader_of(indices=indices)


@pytest.mark.parametrize("num_samples", [1, 7, 40, 41, 95, 400])
def test_an_epoch_of_so_many_items_is_laps_through_all(num_samples: int) -> None:
    loader = loader_of(shuffle=True, num_samples=num_samples)
    got = order(loader)
    assert (len(got), loader.num_samples, len(loader)) == (
        num_samples,
        num_samples,
        -(-num_samples // 4),
    )
    whole = order(loader_of(shuffle=True))
    assert got[:40] == whole[:num_samples]
    laps = [got[start : start + 40] for start in range(0, num_samples, 40)]
    assert all(len(set(lap)) == len(lap) for lap in laps)
    assert len({tuple(lap) for lap in laps}) == len(laps)
    in_turn = order(loader_of(num_samples=num_samples))
    assert in_turn == [k % 40 for k in range(num_samples)]


@pytest.mark.parametrize("num_samples", [1, 7, 40, 41, 95])
def test_torchs_order_of_so_many_items_is_that_of_its_random_sampler(num_samples: int) -> None:
    dataset: Any = range(ITEMS)
    generator = torch.Generator().manual_seed(5)
    expected = list(RandomSampler(dataset, num_samples=num_samples, generator=generator))
    assert order(loader_of(shuffle=True, order="torch", num_samples=num_samples)) == expected


def test_an_epoch_of_so_many_items_is_shared_and_resumed() -> None:
    whole = order(loader_of(shuffle=True, num_samples=95))
    ranks = [
        loader_of(shuffle=True, num_samples=95, rank=r, world_size=2, remainder="keep")
        for r in (0, 1)
    ]
    assert [order(rank) for rank in ranks] == [whole[::2], whole[1::2]]
    loader = loader_of(shuffle=True, num_samples=95)
    batches = iter(loader)
    done = [item for _ in range(11) for item in next(batches).tolist()]
    resumed = loader_of(shuffle=True, num_samples=95)
    resumed.load_state_dict(loader.state_dict())
    assert done + order(resumed) == whole
    with pytest.raises(ValueError, match=r"its order: 95 items ndlens; this loader's: ndlens$"):
        loader_of(shuffle=True).load_state_dict(loader.state_dict())
    with pytest.raises(ValueError, match=r"^num_samples must be at least 1, got 0$"):
        loader_of(shuffle=True, num_samples=0)


def test_an_item_that_comes_again_in_an_epoch_is_augmented_anew() -> None:
    loader = nl.Loader(
        IMAGES, num_samples=80, batch_size=80, transforms=[T.RandomCrop(3)], seed=1, output="numpy"
    )
    (batch,) = loader
    again = sum(np.array_equal(batch[k], batch[k + 40]) for k in range(40))
    # One in 16 crops is the same by chance.
    assert again < 15


@pytest.mark.parametrize(
    "chosen", [range(-5, 0), range(9, -1, -3), range(3, -3, -1), range(-1, -6, -2), range(2, 8, 2)]
)
def test_a_range_counts_from_the_end_where_it_is_negative_as_a_list_does(chosen: range) -> None:
    of_range = nl.Loader(np.arange(10), batch_size=3, indices=chosen, output="numpy")
    of_list = nl.Loader(np.arange(10), batch_size=3, indices=list(chosen), output="numpy")
    assert [batch.tolist() for batch in of_range] == [batch.tolist() for batch in of_list]
