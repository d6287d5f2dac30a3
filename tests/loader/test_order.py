"""Orders that are drawn by weights, and torch's orders; with ranks and states as any other."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice
from typing import Any, Literal

import numpy as np
import pytest
import torch
from tests.helpers.loading import order
from torch.utils.data import DistributedSampler, RandomSampler

import ndlens as nl
from ndlens import transforms as T

ITEMS = 103
LABELS = np.arange(ITEMS)
WEIGHTS = LABELS % 5
# Samplers ask for its length only.
DATASET: Any = range(ITEMS)


def loader_of(**settings: Any) -> nl.Loader:
    defaults: dict[str, Any] = {"batch_size": 4, "seed": 5, "output": "numpy"}
    return nl.Loader(LABELS, **(defaults | settings))


# Weights.


@pytest.mark.parametrize("replacement", [True, False])
def test_items_come_in_proportion_to_their_weights(replacement: bool) -> None:
    # The first drawn of four, with replacement and without. Chi-squared with 3 degrees of freedom:
    # 16.3 is exceeded once in a thousand seeds, and this one is fixed.
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    loader = nl.Loader(
        np.arange(4), weights=weights, replacement=replacement, num_samples=1, seed=3
    )
    counts = Counter(loader.indices(epoch)[0] for epoch in range(10_000))
    assert (
        sum((counts[item] - 1000 * (item + 1)) ** 2 / (1000 * (item + 1)) for item in range(4))
        < 16.3
    )


def test_weights_are_numbers_in_a_list_or_in_anything_that_shows_them() -> None:
    expected = loader_of(weights=WEIGHTS.tolist()).indices(0).tolist()
    assert len(expected) == ITEMS
    assert all(WEIGHTS[item] > 0 for item in expected)
    others = [
        tuple(WEIGHTS),
        WEIGHTS,
        WEIGHTS.astype("f4"),
        torch.from_numpy(WEIGHTS),
        nl.view(WEIGHTS[::-1])[::-1],
    ]
    for weights in others:
        assert loader_of(weights=weights).indices(0).tolist() == expected


def test_weights_may_be_a_column_of_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(WEIGHTS, index=[f"row {i}" for i in range(len(WEIGHTS))])
    fields = np.arange(len(WEIGHTS))
    loaders = [
        nl.Loader(fields, weights=weights, output="numpy") for weights in (column, list(WEIGHTS))
    ]
    first, second = ([int(batch[0]) for batch in loader] for loader in loaders)
    assert first == second


def test_draws_are_the_same_for_any_threads_and_differ_between_epochs_and_seeds() -> None:
    for replacement, num_samples in ((True, 500), (False, 50)):
        settings = {"weights": WEIGHTS, "replacement": replacement, "num_samples": num_samples}
        loader = loader_of(**settings)
        expected = loader.indices(0).tolist()
        assert (len(loader), loader.num_samples) == (-(-num_samples // 4), num_samples)
        assert order(loader) == order(loader_of(**settings, num_workers=3)) == expected
        assert (
            loader.indices(1).tolist()
            != expected
            != loader_of(**settings, seed=6).indices(0).tolist()
        )
        if not replacement:
            assert len(set(expected)) == num_samples


def test_ranks_deal_draws_out_among_themselves() -> None:
    for replacement in (True, False):
        settings: dict[str, Any] = {"num_samples": 50, "replacement": replacement}
        alone = loader_of(weights=WEIGHTS, **settings).indices(3).tolist()
        ranks = [
            loader_of(weights=WEIGHTS, rank=rank, world_size=3, remainder="keep", **settings)
            for rank in range(3)
        ]
        shares = [rank.indices(3).tolist() for rank in ranks]
        assert shares == [alone[rank::3] for rank in range(3)]
        assert [rank.num_samples for rank in ranks] == [17, 17, 16]


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": WEIGHTS, "num_samples": 301},
        {"weights": WEIGHTS, "replacement": False, "num_samples": 80},
        {"shuffle": True, "order": "torch"},
    ],
    ids=["with replacement", "without", "torch"],
)
def test_a_run_goes_on_with_other_ranks_and_no_draw_is_lost_or_doubled(
    settings: dict[str, Any],
) -> None:
    alone = loader_of(**settings).indices(0).tolist()
    seen, state = Counter[int](), None
    for world_size, batches in ((8, 2), (4, 1), (6, 99)):
        states = []
        for rank in range(world_size):
            loader = loader_of(
                rank=rank, world_size=world_size, remainder="keep", batch_size=2, **settings
            )
            if state:
                loader.load_state_dict(state)
            seen.update(int(item) for batch in islice(loader, batches) for item in batch)
            states.append(loader.state_dict())
        assert all(other == states[0] for other in states)
        state = json.loads(json.dumps(states[0]))
        assert len(json.dumps(state)) < 1024
    assert seen == Counter(alone)


def test_an_item_that_is_drawn_again_is_augmented_anew() -> None:
    gradient = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)
    settings: dict[str, Any] = {
        "weights": [1.0],
        "num_samples": 40,
        "batch_size": 40,
        "output": "numpy",
    }
    batches = [
        next(
            iter(nl.Loader(gradient, transforms=[T.RandomCrop(1)], num_workers=workers, **settings))
        )
        for workers in (0, 2)
    ]
    assert len(np.unique(batches[0])) > 30
    np.testing.assert_array_equal(batches[0], batches[1])


def test_a_batch_may_have_more_draws_than_there_are_items() -> None:
    draws: list[dict[str, Any]] = [
        {"weights": [1.0, 2.0], "num_samples": 9},
        {"sampler": [0, 1] * 5},
    ]
    for settings in draws:
        for workers in (0, 2):
            loader = nl.Loader(
                bytes([3, 4]), batch_size=7, num_workers=workers, output="view", **settings
            )
            assert [len(batch) for batch in loader] == [7, loader.num_samples - 7]
            assert {int(item) for batch in loader for item in batch.tolist()} == {3, 4}


def test_a_state_is_of_its_weights() -> None:
    loader = loader_of(weights=WEIGHTS, num_samples=9)
    state = loader.state_dict()
    assert re.fullmatch("9 by weights [0-9a-f]{16} with replacement", state["order"])
    others: list[dict[str, Any]] = [
        {"weights": WEIGHTS + 1, "num_samples": 9},
        {"weights": WEIGHTS, "num_samples": 8},
        {"weights": WEIGHTS, "num_samples": 9, "replacement": False},
        {},
    ]
    for other in others:
        with pytest.raises(
            ValueError, match=r"^this state is of another run: its order: 9 by weights"
        ):
            loader_of(**other).load_state_dict(state)
    with pytest.raises(ValueError, match=r"^this state says that 10 of 9 items are done$"):
        loader.load_state_dict(state | {"items_done": 10})
    loader.load_state_dict(state | {"items_done": 7})
    assert order(loader) == loader.indices(0).tolist()[7:]


def test_weights_may_be_drawn_from_more_often_than_there_is_memory_to_list() -> None:
    loader = loader_of(weights=WEIGHTS, num_samples=2**40, num_workers=1)
    assert len(loader) == 2**38
    assert len(next(iter(loader))) == 4


# The settings, the class, the text; the variants of the loader's errors about orders.
REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"weights": [1.0] * 102 + [-1.0]},
        ValueError,
        "item 102 has weight -1: weights must be finite numbers, 0 or more",
    ),
    (
        {"weights": np.where(LABELS == 3, np.nan, 1.0)},
        ValueError,
        "item 3 has weight NaN: weights must be finite numbers, 0 or more",
    ),
    (
        {"weights": np.where(LABELS == 0, np.inf, 1.0)},
        ValueError,
        "item 0 has weight inf: weights must be finite numbers, 0 or more",
    ),
    ({"weights": np.zeros(ITEMS)}, ValueError, "all weights are 0: there is nothing to draw"),
    ({"weights": [1, 2]}, ValueError, "weights must be one for each item: got 2, expected 103"),
    (
        {"weights": np.ones((ITEMS, 1))},
        ValueError,
        "weights must be of shape (items,), got [103, 1]",
    ),
    (
        {"weights": WEIGHTS, "replacement": False},
        ValueError,
        "cannot draw 103 items without replacement: 82 have a weight above 0",
    ),
    ({"weights": WEIGHTS, "num_samples": 0}, ValueError, "num_samples must be at least 1, got 0"),
    (
        {"weights": 3},
        TypeError,
        (
            "weights: nl.view needs an object with the buffer protocol, DLPack or"
            " __array_interface__, got int; numpy.asarray(..) makes an array of it"
        ),
    ),
    ({"weights": ["a"]}, TypeError, "weights: must be real number, not str"),
    (
        {"weights": np.ones(ITEMS, "c8")},
        ValueError,
        (
            "cannot convert complex64 to float64: only bool, integers and floats of 16 to 64 bits"
            " can be converted"
        ),
    ),
    (
        {"weights": WEIGHTS, "shuffle": True},
        ValueError,
        "shuffle and weights exclude each other: both give the order",
    ),
    (
        {"weights": WEIGHTS, "sampler": [1]},
        ValueError,
        "sampler and weights exclude each other: both give the order",
    ),
    ({"order": "jax"}, ValueError, 'unknown order "jax": expected "ndlens" or "torch"'),
]


@pytest.mark.parametrize(("settings", "kind", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_orders_that_cannot_be_are_refused(
    settings: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        loader_of(**settings)
    assert (type(raised.value), str(raised.value)) == (kind, text)


# torch's order.


def torch_order(items: int, seed: int) -> list[int]:
    dataset: Any = range(items)
    return list(RandomSampler(dataset, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("items", [1, 2, 3, 10, 623, 624, 625, 1000, 1025, 100_000, 1_000_000])
def test_a_shuffled_order_is_that_of_torchs_random_sampler(items: int) -> None:
    for seed, epoch in ((0, 0), (7, 5), (2**32 - 1, 3), (2**64 - 1, 0)):
        loader = nl.Loader(
            np.broadcast_to(np.uint8(0), (items,)),
            batch_size=1,
            shuffle=True,
            order="torch",
            seed=seed,
        )
        assert loader.indices(epoch).tolist() == torch_order(items, seed + epoch)


def test_small_orders_are_torchs_for_every_length() -> None:
    for items in range(1, 300):
        loader = nl.Loader(bytes(items), shuffle=True, order="torch", seed=items, output="view")
        assert loader.indices(0).tolist() == torch_order(items, items)


def test_batches_come_in_torchs_order() -> None:
    loader = loader_of(shuffle=True, order="torch", num_workers=2)
    assert order(loader) == torch_order(ITEMS, 5)
    assert order(loader) == torch_order(ITEMS, 6)
    loader.set_epoch(40)
    assert order(loader) == torch_order(ITEMS, 45)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("remainder", "drop_last"), [("pad", False), ("drop", True)])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 103, 110, 300])
def test_ranks_take_what_a_distributed_sampler_gives(
    shuffle: bool, remainder: Literal["pad", "drop"], drop_last: bool, world_size: int
) -> None:
    for rank in {0, 1, world_size // 2, world_size - 1} & set(range(world_size)):
        sampler: DistributedSampler[Any] = DistributedSampler(
            DATASET, world_size, rank, shuffle=shuffle, seed=5, drop_last=drop_last
        )
        loader = loader_of(
            rank=rank, world_size=world_size, remainder=remainder, shuffle=shuffle, order="torch"
        )
        for epoch in (0, 3):
            sampler.set_epoch(epoch)
            # torch cannot give nothing.
            expected = list(sampler) if len(sampler) > 0 else []
            assert loader.indices(epoch).tolist() == expected


def test_a_state_is_of_its_order() -> None:
    state = loader_of(shuffle=True).state_dict()
    text = "this state is of another run: its order: ndlens; this loader's: torch"
    with pytest.raises(ValueError, match=f"^{text}$"):
        loader_of(shuffle=True, order="torch").load_state_dict(state)
    # Unshuffled, both are the same.
    loader_of(order="torch").load_state_dict(loader_of().state_dict())


def test_a_list_that_no_memory_holds_is_refused_when_the_epoch_begins() -> None:
    many = np.broadcast_to(np.uint8(0), (2**60,))
    assert nl.Loader(many, shuffle=True).num_samples == 2**60
    loader = nl.Loader(many, shuffle=True, order="torch")
    with pytest.raises(MemoryError, match=r"^cannot allocate 9223372036854775808 bytes$"):
        next(iter(loader))
    with pytest.raises(MemoryError, match=r"^cannot allocate 9223372036854775808 bytes$"):
        nl.Loader(many, weights=np.broadcast_to(np.uint8(1), (2**60,)))
