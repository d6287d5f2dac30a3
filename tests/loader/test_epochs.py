"""When an epoch begins, and what a look at a loader takes: nothing."""

from __future__ import annotations

import copy
import gc
import itertools
import multiprocessing
import pickle
import weakref
from collections.abc import Iterator, Sized
from typing import Any, cast

import numpy as np
import pytest
import torch
from tqdm import tqdm

import ndlens as nl
from ndlens import transforms as T


def loader_of(**settings: Any) -> nl.Loader:
    settings = {"batch_size": 4, "shuffle": True, "seed": 1, "output": "numpy", **settings}
    return nl.Loader(np.arange(40), **settings)


def items(batches: Any) -> list[int]:
    return [int(item) for batch in batches for item in batch]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_begins_with_its_first_batch(workers: int) -> None:
    loader = loader_of(num_workers=workers)
    unused = [iter(loader) for _ in range(3)]
    assert loader.epoch == 0
    for epoch in range(3):
        assert items(loader) == loader.indices(epoch).tolist()
    # Whoever asks first gets the next one.
    assert [items(iterator) for iterator in unused] == [
        loader.indices(epoch).tolist() for epoch in (3, 4, 5)
    ]
    del unused
    assert loader.epoch == 6


def test_an_iterator_that_is_dropped_unused_takes_no_epoch() -> None:
    loader = loader_of()
    state = loader.state_dict()
    for _ in range(5):
        iter(loader)
    gc.collect()
    assert (loader.epoch, loader.state_dict()) == (0, state)


def test_whether_something_is_in_a_loader_is_no_question() -> None:
    loader = loader_of()
    with pytest.raises(TypeError, match=r"^a Loader gives batches and has no `in`: ask its fields"):
        assert 3 not in loader
    assert loader.epoch == 0


def test_after_loading_a_state_a_look_at_one_batch_keeps_the_rest_of_the_epoch() -> None:
    run = loader_of(num_workers=1)
    batches = iter(run)
    seen = items(next(batches) for _ in range(4))
    state = run.state_dict()
    rest = items(batches)

    resumed = loader_of()
    resumed.load_state_dict(state)
    assert len(cast(Sized, iter(resumed))) == 6
    looked = items([next(iter(resumed))])
    assert looked == rest[:4]
    # The batch was handed out, so it counts; nothing is lost and nothing comes twice.
    assert items(resumed) == rest[4:]
    assert resumed.epoch == 1
    assert sorted(seen + rest) == list(range(40))


def test_a_resumed_epoch_that_is_left_in_the_middle_is_over_as_any_other() -> None:
    state = loader_of().state_dict() | {"epoch": 3, "items_done": 8}
    resumed = loader_of()
    resumed.load_state_dict(state)
    for number, _ in enumerate(resumed):
        if number == 2:
            break
    assert resumed.epoch == 4
    assert items(resumed) == resumed.indices(4).tolist()


def test_what_is_left_of_an_epoch_is_its_length() -> None:
    loader = loader_of()
    iterator = cast(Any, iter(loader))
    assert len(iterator) == 10
    next(iterator)
    assert len(iterator) == 9
    assert tqdm(iter(loader), disable=True).total == 10
    assert tqdm(loader, disable=True).total == 10


class Odd:
    """A sampler that shuffles by its epoch."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng(self.epoch).permutation(np.arange(1, 40, 2)).tolist())

    def __len__(self) -> int:
        return 20


SETTINGS: dict[str, dict[str, Any]] = {
    "shuffled": {},
    "torch's order": {"order": "torch"},
    "ranks": {"rank": 1, "world_size": 3},
    "weights": {"shuffle": False, "weights": np.arange(1.0, 41.0)},
    "a part": {"indices": np.arange(5, 30)},
    "a list": {"shuffle": False, "sampler": list(range(39, -1, -1))},
    "an array": {"shuffle": False, "sampler": np.arange(39, -1, -1)},
    "a sampler": {"shuffle": False, "sampler": Odd()},
    "a part by a sampler": {
        "shuffle": False,
        "indices": slice(10, 40),
        "sampler": [3, 1, 2, 29, 0, 5, 6, 7, 9],
    },
    "samples": {"num_samples": 55},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_a_loader_goes_on_where_it_stands(settings: dict[str, Any], copied: Any) -> None:
    loader = loader_of(**settings)
    batches = iter(loader)
    next(batches), next(batches)
    twin = copied(loader)
    assert twin.state_dict() == loader.state_dict()
    assert items(twin) == items(batches)
    assert items(twin) == items(loader)


def test_a_loader_travels_as_handles_of_its_fields() -> None:
    shared = nl.share(np.arange(100_000))
    loader = nl.Loader({"x": shared}, batch_size=1000, shuffle=True, output="view")
    assert len(pickle.dumps(loader)) < 2000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_sum_of, (loader,)) == 100_000 * 99_999 // 2


def _sum_of(loader: nl.Loader) -> int:
    return sum(sum(batch["x"].tolist()) for batch in loader)


def test_setting_the_epoch_tells_a_sampler_that_asks_for_it() -> None:
    sampler = Odd()
    loader = loader_of(shuffle=False, sampler=sampler)
    loader.set_epoch(7)
    assert sampler.epoch == loader.epoch == 7


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_its_data_set_and_batch_sampler_make_the_batches_of_its_epoch(
    settings: dict[str, Any],
) -> None:
    expected = [batch.tolist() for batch in loader_of(**settings)]
    loader = loader_of(**settings)
    batches = torch.utils.data.DataLoader(
        loader.dataset, batch_sampler=loader.batch_sampler, collate_fn=loader.collate_fn
    )
    assert len(loader.batch_sampler) == len(expected)
    assert [batch.tolist() for batch in batches] == expected
    # That was the epoch.
    assert loader.epoch == 1
    state = loader.state_dict()
    assert (state["epoch"], state["items_done"]) == (1, 0)


def test_a_batch_sampler_counts_what_it_gave() -> None:
    loader = loader_of()
    batches = iter(loader.batch_sampler)
    given = [next(batches) for _ in range(3)]
    assert list(itertools.chain(*given)) == loader.indices(0).tolist()[:12]
    assert loader.state_dict()["items_done"] == 12


@pytest.mark.parametrize("change", [lambda batch: batch.extend([3, 1]), list.reverse, list.pop])
def test_a_planned_batch_that_was_changed_holds_what_it_was_changed_to(change: Any) -> None:
    loader = loader_of()
    dataset, batches = loader.dataset, list(loader.batch_sampler)
    for batch in batches:
        planned = list(batch)
        change(batch)
        assert batch != planned
        # Also where it was sent to a worker.
        for sent in (batch, pickle.loads(pickle.dumps(batch))):
            assert dataset[sent].tolist() == list(batch)


def test_a_planned_batch_that_was_changed_is_not_mixed_and_says_so() -> None:
    fields = {"image": np.zeros((8, 3, 4, 4), "f4"), "label": np.arange(8)}
    mix = nl.transforms.MixUp(num_classes=8)
    loader = nl.Loader(fields, batch_size=4, mix=mix, channels={"image": "first"})
    first, second = loader.batch_sampler
    first += second
    assert loader.dataset[second]["label"].shape == (4, 8)
    with pytest.raises(
        TypeError, match=r"^where a batch of batch_sampler was changed, mix= is the loader's own"
    ):
        loader.dataset[first]


def test_its_sampler_gives_items_of_its_data_set() -> None:
    loader = loader_of(indices=[7, 3, 9], shuffle=False)
    assert list(loader.sampler) == [0, 1, 2]
    assert (
        [int(loader.dataset[i]) for i in loader.sampler] == loader.indices(0).tolist() == [7, 3, 9]
    )


def test_its_data_set_has_the_items_that_the_loader_chooses_from() -> None:
    loader = loader_of(indices=[7, 3, 9])
    assert len(loader.dataset) == 3
    assert [int(loader.dataset[i]) for i in (0, 1, -1)] == [7, 3, 9]
    assert isinstance(loader.dataset, nl.torch.Dataset)
    with pytest.raises(IndexError, match=r"^item 3 of a data set of 3$"):
        loader.dataset[3]


def test_what_frameworks_read_is_there() -> None:
    loader = loader_of()
    assert (loader.num_workers, loader.prefetch_factor, loader.timeout) == (0, None, 0)
    assert (loader_of(num_workers=2, prefetch_factor=5).prefetch_factor, loader.drop_last) == (
        5,
        False,
    )
    for name in ("generator", "worker_init_fn", "multiprocessing_context"):
        assert getattr(loader, name) is None
    assert (loader.persistent_workers, loader.pin_memory, loader.pin_memory_device) == (
        False,
        False,
        "",
    )
    assert loader.collate_fn is nl.torch.collate
    # By these, frameworks see who shards and whether anything is shuffled.
    assert isinstance(loader.sampler, torch.utils.data.DistributedSampler)
    assert isinstance(loader_of(shuffle=False).sampler, torch.utils.data.SequentialSampler)
    assert not isinstance(loader.sampler, torch.utils.data.SequentialSampler)


def test_a_loader_shows_its_fields_its_order_and_its_rank() -> None:
    loader = nl.Loader(
        {"image": np.zeros((9, 4, 4, 3), "u1"), "label": np.arange(9)},
        batch_size=2, shuffle=True, rank=1, world_size=2, num_workers=1,
    )  # fmt: skip
    assert (
        repr(loader)
        == "<ndlens.Loader 9 items: image uint8 [4, 4, 3], label int64 []; 3 batches of 2, order"
        " ndlens, epoch 0; rank 1 of 2; num_workers=1>"
    )
    assert "; 1 batch of 4, order of list, epoch 0; rank 0 of 1;" in repr(
        loader_of(shuffle=False, sampler=[1, 2])
    )
    endless = loader_of(shuffle=False, sampler=itertools.cycle([1, 2]))
    assert "; batches of 4, order of cycle," in repr(endless)


@pytest.mark.parametrize("take", [list, iter, lambda loader: next(iter(loader))])
def test_a_loader_and_a_sampler_that_holds_it_are_collected(take: Any) -> None:
    class Holds(list[int]):
        held: Any

    sampler = Holds(range(9))
    loader = loader_of(sampler=sampler, shuffle=False)
    # What iterating gives holds what begins it, and the sampler once it has begun.
    iterator = iter(loader)
    next(iterator)
    sampler.held = (loader, iterator, take(loader))
    gone: list[Any] = [weakref.ref(sampler), weakref.ref(loader)]
    del sampler, loader, iterator
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_its_data_set_mixes_nothing_but_planned_batches() -> None:
    images = np.zeros((8, 4, 4, 3), np.float32)
    loader = nl.Loader((images, np.arange(8)), batch_size=4, mix=T.MixUp(num_classes=8))
    plain = torch.utils.data.DataLoader(loader.dataset, batch_size=4, collate_fn=loader.collate_fn)
    with pytest.raises(
        TypeError,
        match=r"^mix= mixes the batches of loader\.batch_sampler, and these items are not",
    ):
        next(iter(plain))
