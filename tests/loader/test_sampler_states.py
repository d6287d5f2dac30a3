"""What a state says of a sampler: its own state, what it gave, or that it cannot go on."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.loading import order
from torch.utils.data import DistributedSampler, RandomSampler, SequentialSampler

import ndlens as nl

ITEMS = 23
LABELS = np.arange(ITEMS)
# Samplers ask for its length only.
DATASET: Any = range(ITEMS)


def loader_of(sampler: Any, **settings: Any) -> nl.Loader:
    defaults: dict[str, Any] = {"batch_size": 4, "output": "numpy", "sampler": sampler}
    return nl.Loader(LABELS, **(defaults | settings))


class OwnState:
    """Counts what it gave, as torchdata's StatefulDistributedSampler; a new order each epoch."""

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.given, self.skip, self.orders = seed, 0, 0, 0

    def __len__(self) -> int:
        return ITEMS

    def __iter__(self) -> Iterator[int]:
        if self.skip == 0:
            self.orders += 1
        self.given, self.skip = self.skip, 0
        for item in np.random.default_rng([self.seed, self.orders]).permutation(ITEMS)[
            self.given :
        ]:
            self.given += 1
            yield int(item)

    def state_dict(self) -> dict[str, Any]:
        return {"given": self.given, "orders": self.orders}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.skip, self.orders = state["given"], state["orders"]


class IteratorState:
    """Its iterator has the state, as in torchdata's RandomSampler; its generator continues."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[int]:
        return Permuted(self)


class Permuted:
    def __init__(self, sampler: IteratorState) -> None:
        self.sampler = sampler
        self.before = sampler.generator.get_state()
        self.items: list[int] | None = None
        self.given = 0

    def __iter__(self) -> Permuted:
        return self

    def __next__(self) -> int:
        if self.items is None:
            self.items = torch.randperm(ITEMS, generator=self.sampler.generator).tolist()
        if self.given == ITEMS:
            raise StopIteration
        self.given += 1
        return self.items[self.given - 1]

    def state_dict(self) -> dict[str, Any]:
        return {"before": self.before, "given": self.given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before, self.given = state["before"], state["given"]
        self.sampler.generator.set_state(self.before)
        self.items = torch.randperm(ITEMS, generator=self.sampler.generator).tolist()


STATEFUL = [OwnState, IteratorState]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("make", STATEFUL)
def test_a_sampler_with_a_state_goes_on_where_its_batches_were_handed_out(
    make: Callable[..., Any], num_workers: int
) -> None:
    loader = loader_of(make(), num_workers=num_workers)
    whole = [[batch.tolist() for batch in loader] for _ in range(4)]
    batches_of_epoch = len(whole[0])
    for taken in range(3 * batches_of_epoch + 1):
        first = loader_of(make(), num_workers=num_workers)
        got: list[Any] = [[] for _ in range(5)]
        left = taken
        for epoch in range(4):
            for batch in islice(first, min(left, batches_of_epoch)):
                got[epoch].append(batch.tolist())
            left -= len(got[epoch])
            if left == 0:
                break
        state = pickle.loads(pickle.dumps(first.state_dict()))
        second = loader_of(make(seed=0), num_workers=num_workers)
        second.load_state_dict(state)
        epoch = state["epoch"]
        while epoch < 4:
            got[epoch].extend(batch.tolist() for batch in second)
            epoch += 1
        assert got[:4] == whole, f"after {taken} batches"


@pytest.mark.parametrize("make", STATEFUL)
def test_a_state_before_the_first_batch_restores_the_sampler(make: Callable[..., Any]) -> None:
    loader = loader_of(make())
    list(loader)
    second = loader_of(make())
    second.load_state_dict(loader.state_dict())
    assert order(second) == order(loader)


def test_a_preview_after_loading_does_not_lose_the_rest() -> None:
    for make in (OwnState, IteratorState, lambda: list(range(ITEMS))):
        loader = loader_of(make())
        first = [batch.tolist() for batch in islice(loader, 2)]
        resumed = loader_of(make())
        resumed.load_state_dict(loader.state_dict())
        looked_at = next(iter(resumed)).tolist()
        assert sorted([*first[0], *first[1], *looked_at, *order(resumed)]) == list(range(ITEMS))


def test_batches_that_were_made_ahead_and_not_handed_out_are_not_lost() -> None:
    loader = loader_of(OwnState(), num_workers=2, prefetch_factor=4)
    batches = iter(loader)
    done = next(batches).tolist()
    state = loader.state_dict()
    assert state["sampler"] == {
        "name": "OwnState",
        "of": "sampler",
        "state": {"given": 4, "orders": 1},
    }
    resumed = loader_of(OwnState())
    resumed.load_state_dict(state)
    assert done + order(resumed) == order(loader_of(OwnState()))


GIVES_OTHERS = "does not give again the 8 items that this state says are done"


def random_sampler(seed: int) -> RandomSampler:
    return RandomSampler(DATASET, generator=torch.Generator().manual_seed(seed))


def test_a_random_sampler_that_gives_another_order_is_refused_by_name() -> None:
    loader = loader_of(random_sampler(1))
    list(islice(loader, 2))
    state = json.loads(json.dumps(loader.state_dict()))
    assert set(state["sampler"]) == {"name", "digest"}
    other = loader_of(random_sampler(2))
    with pytest.raises(ValueError, match=f"^the sampler, RandomSampler, {GIVES_OTHERS}") as raised:
        other.load_state_dict(state)
    for hint in (
        "torchdata.stateful_dataloader.sampler.RandomSampler",
        'sampler_state="list"',
        "shuffle=True",
    ):
        assert hint in str(raised.value)
    # It stands where it stood.
    assert (other.epoch, other.state_dict()["items_done"]) == (0, 0)
    assert sorted(order(other)) == LABELS.tolist()


def test_a_sampler_that_gives_the_same_again_goes_on() -> None:
    makers: list[Callable[[], Any]] = [
        lambda: random_sampler(1),
        lambda: SequentialSampler(DATASET),
        lambda: DistributedSampler(DATASET, 3, 1, seed=4),
        lambda: list(range(ITEMS))[::-1],
        lambda: np.arange(ITEMS)[::-1],
        lambda: range(ITEMS - 1, -1, -1),
    ]
    for make in makers:
        whole = order(loader_of(make(), batch_size=2))
        for taken in range(len(whole) // 2 + 1):
            loader = loader_of(make(), batch_size=2)
            done = [item for batch in islice(loader, taken) for item in batch.tolist()]
            resumed = loader_of(make(), batch_size=2)
            resumed.load_state_dict(json.loads(json.dumps(loader.state_dict())))
            rest = [] if resumed.epoch == 1 else order(resumed)
            assert done + rest == whole


def test_a_distributed_sampler_is_given_the_epoch_that_it_had() -> None:
    sampler: DistributedSampler[Any] = DistributedSampler(DATASET, 2, 0, seed=4)
    loader = loader_of(sampler)
    for epoch in range(3):
        sampler.set_epoch(epoch + 5)
        whole = order(loader)
    sampler.set_epoch(9)
    done = next(iter(loader)).tolist()
    state = loader.state_dict()
    assert state["sampler"]["epoch"] == 9
    resumed = loader_of(DistributedSampler(DATASET, 2, 0, seed=4))
    resumed.load_state_dict(state)
    rest = order(resumed)
    assert done + rest == list(sampler) != whole


def test_an_array_that_was_changed_is_refused() -> None:
    numbers = np.arange(ITEMS)
    loader = loader_of(numbers)
    list(islice(loader, 2))
    state = loader.state_dict()
    resumed = loader_of(np.arange(ITEMS))
    resumed.load_state_dict(state)
    assert order(resumed) == list(range(8, ITEMS))
    for changed in (np.arange(ITEMS) + 1, np.arange(7)):
        with pytest.raises(ValueError, match=f"^the sampler, ndarray, {GIVES_OTHERS}"):
            loader_of(changed).load_state_dict(state)
    # As a list of the same numbers it goes on.
    listed = loader_of(list(range(ITEMS)))
    listed.load_state_dict(state)
    assert order(listed) == list(range(8, ITEMS))


@pytest.mark.parametrize("world_size", [1, 3])
def test_an_epochs_list_is_kept_on_request(world_size: int) -> None:
    settings: dict[str, Any] = {
        "sampler_state": "list",
        "remainder": "keep",
        "world_size": world_size,
    }
    ranks = [loader_of(random_sampler(1), rank=rank, **settings) for rank in range(world_size)]
    done = [item for rank in ranks for batch in islice(rank, 1) for item in batch.tolist()]
    states = [json.loads(json.dumps(rank.state_dict())) for rank in ranks]
    assert all(state == states[0] for state in states)
    assert len(states[0]["sampler"]["items"]) == ITEMS
    # Whatever the sampler gives then, and however many ranks there are.
    rest = []
    for rank in range(2):
        resumed = loader_of(
            random_sampler(7), sampler_state="list", remainder="keep", rank=rank, world_size=2
        )
        resumed.load_state_dict(states[0])
        rest += order(resumed)
        assert sorted(order(resumed)) != sorted(rest)
    assert sorted(done + rest) == LABELS.tolist()


@pytest.mark.parametrize("kept", ["auto", "list"])
def test_a_list_that_a_state_holds_is_of_its_epoch_and_of_no_other(kept: Any) -> None:
    begun = loader_of(random_sampler(1), sampler_state="list")
    next(iter(begun))
    state = begun.state_dict()
    rest = state["sampler"]["items"][4:]
    resumed = loader_of(random_sampler(7), sampler_state=kept)
    resumed.load_state_dict(state)
    # A look at the epoch leaves the rest of it.
    assert next(iter(resumed)).tolist() == rest[:4]
    assert order(resumed) == rest[4:]
    # The epoch after it has a list of its own, or none.
    batches = iter(resumed)
    first = next(batches).tolist()
    after = resumed.state_dict()["sampler"]
    assert after["items"][:4] == first if kept == "list" else "items" not in after
    # Nor has another epoch, which is begun in its stead.
    resumed.load_state_dict(state)
    resumed.set_epoch(5)
    assert sorted(order(resumed)) == LABELS.tolist()


@pytest.mark.parametrize("make", [lambda: LABELS[::-1].tolist(), OwnState])
def test_a_run_that_keeps_lists_goes_on_from_a_state_without_one(make: Callable[[], Any]) -> None:
    begun = loader_of(make())
    batches = iter(begun)
    next(batches)
    state = json.loads(json.dumps(begun.state_dict()))
    rest = [item for batch in batches for item in batch.tolist()]
    resumed = loader_of(make(), sampler_state="list")
    resumed.load_state_dict(state)
    assert order(resumed) == rest
    assert sorted(order(resumed)) == LABELS.tolist()


def test_a_list_is_not_kept_of_a_sampler_without_an_end() -> None:
    class Endless:
        def __iter__(self) -> Iterator[int]:
            while True:
                yield 0

    with pytest.raises(
        TypeError,
        match=r'^sampler_state="list" keeps the items of an epoch, and Endless has no len',
    ):
        next(iter(loader_of(Endless(), sampler_state="list")))
    with pytest.raises(
        ValueError, match=r'^unknown sampler_state "all": expected "auto" or "list"$'
    ):
        loader_of([1], sampler_state="all")


def test_a_state_of_a_stateful_sampler_is_refused_by_one_without() -> None:
    loader = loader_of(OwnState())
    next(iter(loader))
    for sampler in (random_sampler(0), [1, 2, 3]):
        with pytest.raises(TypeError, match=r"^this state holds that of a sampler with state_dict"):
            loader_of(sampler).load_state_dict(loader.state_dict())


def test_states_of_runs_with_and_without_a_sampler_are_told_apart() -> None:
    with_sampler, without = loader_of([1, 2, 3]), nl.Loader(LABELS, output="numpy")
    with pytest.raises(ValueError, match=r"its order: sampler; this loader's: in turn$"):
        without.load_state_dict(with_sampler.state_dict())
    # As states were before they knew of samplers.
    with pytest.raises(ValueError, match=r"its order: in turn; this loader's: sampler$"):
        with_sampler.load_state_dict(without.state_dict())
    state = with_sampler.state_dict() | {"items_done": 2}
    del state["sampler"]
    with pytest.raises(
        ValueError, match=r"^this state says that 2 items of an epoch are done and nothing of the"
    ):
        with_sampler.load_state_dict(state)


def test_ranks_that_took_as_many_batches_write_equal_states() -> None:
    for make in (OwnState, lambda: list(range(ITEMS)), lambda: np.arange(ITEMS), lambda: None):
        for remainder in ("pad", "drop", "keep"):
            for drop_last in (False, True):
                ranks = [
                    nl.Loader(
                        LABELS,
                        batch_size=2,
                        sampler=make(),
                        shuffle=make() is None,
                        rank=rank,
                        world_size=5,
                        remainder=remainder,
                        drop_last=drop_last,
                        output="numpy",
                    )
                    for rank in range(5)
                ]
                batches = [iter(rank) for rank in ranks]
                for _ in range(5):
                    states = [rank.state_dict() for rank in ranks]
                    assert all(state == states[0] for state in states), states
                    for of_rank in batches:
                        next(of_rank, None)
                assert states[0]["epoch"] == 1


def test_ranks_with_fewer_batches_keep_step_as_in_the_report() -> None:
    def rank_of(rank: int) -> nl.Loader:
        return nl.Loader(
            np.arange(103),
            batch_size=4,
            shuffle=True,
            rank=rank,
            world_size=8,
            remainder="keep",
            output="numpy",
        )

    ranks = [rank_of(rank) for rank in range(8)]
    batches = [iter(rank) for rank in ranks]
    seen = [item for of_rank in batches for batch in islice(of_rank, 3) for item in batch.tolist()]
    states = [(rank.state_dict()["epoch"], rank.state_dict()["items_done"]) for rank in ranks]
    assert states == [(0, 96)] * 8
    for rank in range(8):
        resumed = rank_of(rank)
        resumed.load_state_dict(ranks[7].state_dict())
        seen += order(resumed)
    assert sorted(seen) == list(range(103))


BAD_STATES: list[tuple[str, Any, type[Exception], str]] = [
    (
        "epoch",
        2**40,
        ValueError,
        f"the state's epoch must be between 0 and {2**32 - 1}, got {2**40}",
    ),
    ("epoch", None, TypeError, "the state's epoch must be an integer, got None"),
    (
        "items_done",
        -1,
        ValueError,
        f"the state's items_done must be between 0 and {2**63 - 1}, got -1",
    ),
    (
        "items",
        2**70,
        ValueError,
        f"the state's items must be between 0 and 2**64 - 1, got {2**70}",
    ),
    ("seed", "0", TypeError, "the state's seed must be an integer, got '0'"),
    ("shuffle", 2, TypeError, "the state's shuffle must be True or False, got 2"),
    ("order", 3, TypeError, "the state's order must be a string, got 3"),
    ("indices", 3, TypeError, "the state's indices must be a string, got 3"),
    ("fields", [3], TypeError, "the state's fields must be a list of strings, got [3]"),
    (
        "version",
        2**70,
        ValueError,
        f"the state's version must be between 0 and 2**32 - 1, got {2**70}",
    ),
    ("sampler", 3, TypeError, "the state's sampler must be a dict, got 3"),
    (
        "sampler",
        {"items": 3},
        TypeError,
        "the state's sampler must hold a value of class list as 'items', got 3",
    ),
    (
        "sampler",
        {"digest": 3},
        TypeError,
        "the state's sampler must hold a value of class str as 'digest', got 3",
    ),
    (
        "sampler",
        {"state": {}},
        ValueError,
        'the state\'s sampler must say "sampler" or "iterator" as \'of\', got None',
    ),
]


@pytest.mark.parametrize(("key", "value", "kind", "text"), BAD_STATES)
def test_a_value_that_no_state_has_is_refused_by_its_key(
    key: str, value: Any, kind: type[Exception], text: str
) -> None:
    loader = loader_of([3, 1, 2])
    with pytest.raises(kind) as raised:
        loader.load_state_dict(loader.state_dict() | {key: value})
    assert type(raised.value) is kind
    assert str(raised.value) == text
    # Nothing of it was taken.
    assert order(loader) == [3, 1, 2]


def test_a_sampler_that_asks_its_own_epoch_for_a_batch_is_an_error() -> None:
    class Asking:
        def __init__(self, ask: Callable[[Any], Any]) -> None:
            self.ask = ask
            self.epoch: Any = None

        def __iter__(self) -> Iterator[int]:
            yield 1
            self.ask(self.epoch)
            yield 2

    for ask in (next, len):
        for num_workers in (0, 2):
            sampler = Asking(ask)
            loader = loader_of(sampler, batch_size=1, num_workers=num_workers)
            sampler.epoch = iter(loader)
            with pytest.raises(RuntimeError, match=r"^the sampler of this epoch asked the epoch"):
                list(sampler.epoch)
            # Another epoch of the loader is none of it.
            sampler.epoch = iter(nl.Loader(LABELS, output="numpy"))
            assert order(loader) == [1, 2]


def test_a_sampler_that_asks_its_own_epoch_as_it_begins_is_an_error() -> None:
    class Asking:
        epoch: Any = None

        def __iter__(self) -> Iterator[int]:
            next(self.epoch)
            return iter([1, 2])

    sampler = Asking()
    sampler.epoch = iter(loader_of(sampler))
    with pytest.raises(RuntimeError, match=r"^the sampler of this epoch asked the epoch"):
        next(sampler.epoch)
