"""When an epoch begins, and what a look at a loader takes: nothing."""

from __future__ import annotations

import gc
from collections.abc import Sized
from typing import Any, cast

import numpy as np
import pytest
from tqdm import tqdm

import ndlens as nl


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
    assert [items(iterator) for iterator in unused] == [loader.indices(epoch).tolist() for epoch in (3, 4, 5)]
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
