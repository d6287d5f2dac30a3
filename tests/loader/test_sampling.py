"""Samplers are read while the epoch runs, endless ones too; arrays without Python objects."""

from __future__ import annotations

import array
import itertools
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.loading import order, run_python

import ndlens as nl

ITEMS = 103
LABELS = np.arange(ITEMS)


def loader_of(sampler: Any, **settings: Any) -> nl.Loader:
    defaults: dict[str, Any] = {"batch_size": 4, "output": "numpy", "sampler": sampler}
    return nl.Loader(LABELS, **(defaults | settings))


class Endless:
    """As detectron2's and mmengine's samplers, which train by steps; counts what was read of it."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        for item in itertools.cycle(range(ITEMS)):
            self.read += 1
            yield item


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_endless_sampler_is_read_no_further_than_batches_are_made_ahead(
    num_workers: int,
) -> None:
    sampler = Endless()
    loader = loader_of(sampler, num_workers=num_workers, prefetch_factor=3)
    batches = iter(loader)
    assert sampler.read == 0
    got = [next(batches).tolist() for _ in range(60)]
    assert list(itertools.chain(*got)) == [k % ITEMS for k in range(240)]
    assert sampler.read == 240 + (0 if num_workers == 0 else 4 * 2)
    assert loader.state_dict()["items_done"] == 240


def test_a_sampler_without_a_length_leaves_the_loader_without_one() -> None:
    loader = loader_of(Endless())
    with pytest.raises(TypeError, match=r"object of type 'Endless' has no len\(\)"):
        len(loader)
    with pytest.raises(TypeError, match=r"object of type 'Endless' has no len\(\)"):
        assert loader.num_samples
    batches = iter(loader)
    assert operator.length_hint(batches, 7) == 7
    next(batches)
    assert operator.length_hint(batches, 7) == 7
    with pytest.raises(TypeError, match="the sampler does not say how many items it has"):
        len(batches)  # type: ignore[arg-type]
    assert repr(loader).startswith("<ndlens.Loader")


def test_a_cycle_goes_on_from_epoch_to_epoch_as_it_always_does() -> None:
    loader = loader_of(itertools.cycle([1, 2, 3]))
    assert [next(iter(loader)).tolist() for _ in range(3)] == [
        [1, 2, 3, 1],
        [2, 3, 1, 2],
        [3, 1, 2, 3],
    ]


def test_ctrl_c_is_heard_while_a_sampler_in_c_is_read() -> None:
    program = """
        import itertools, signal, threading
        import numpy as np
        import ndlens as nl
        class Forever:
            def __iter__(self):
                return itertools.repeat(0)
        loader = nl.Loader(
            np.arange(3, dtype="u1"), batch_size=2**40, sampler=Forever(), output="view"
        )
        threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()
        try:
            next(iter(loader))
        except (KeyboardInterrupt, MemoryError) as error:
            print(type(error).__name__)
    """
    done = run_python(program)
    assert (done.returncode, done.stdout) in (
        (0, "KeyboardInterrupt\n"),
        (0, "MemoryError\n"),
    ), done


NUMBERS = [5, 3, 102, 0, 3]


@pytest.mark.parametrize(
    "sampler",
    [
        NUMBERS,
        tuple(NUMBERS),
        array.array("i", NUMBERS),
        bytes(NUMBERS),
        memoryview(array.array("q", NUMBERS)),
        torch.tensor(NUMBERS),
        nl.view(np.array(NUMBERS)),
        *[np.array(NUMBERS, dtype) for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")],
        np.array([[item, -7] for item in NUMBERS])[:, 0],
        np.array(NUMBERS[::-1], "i4")[::-1],
        [np.int64(item) for item in NUMBERS],
        [torch.tensor(item) for item in NUMBERS],
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_integers_of_any_kind_are_item_numbers(sampler: Any) -> None:
    loader = loader_of(sampler)
    assert order(loader) == order(loader) == NUMBERS
    assert (len(loader), loader.num_samples) == (2, 5)


def test_a_range_is_a_sampler() -> None:
    assert order(loader_of(range(100, -1, -7))) == list(range(100, -1, -7))
    assert order(loader_of(range(0))) == []


def test_an_array_is_taken_from_where_it_lies() -> None:
    numbers = np.array([1, 2, 3])
    loader = loader_of(numbers)
    assert order(loader) == [1, 2, 3]
    numbers[:] = [7, 8, 9]
    assert order(loader) == [7, 8, 9]
    numbers[1] = ITEMS
    with pytest.raises(
        ValueError, match=r"^the sampler gave item 103 at place 1, but there are 103 items$"
    ):
        order(loader)
    assert loader.sampler is numbers


def test_a_large_array_is_no_python_objects() -> None:
    numbers = np.random.default_rng(0).integers(0, ITEMS, 3_000_000)
    loader = loader_of(numbers, batch_size=100_000)
    assert np.array_equal(np.concatenate(list(loader)), numbers)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_before_an_item_that_is_none_still_come(num_workers: int) -> None:
    for make in (list, np.array, lambda numbers: Named(numbers)):
        loader = loader_of(make([1] * 9 + [103]), num_workers=num_workers)
        batches = iter(loader)
        assert [next(batches).tolist() for _ in range(2)] == [[1] * 4] * 2
        text = "^the sampler gave item 103 at place 9, but there are 103 items$"
        with pytest.raises(ValueError, match=text):
            next(batches)
        assert list(batches) == []
        # The epoch did not come to its end.
        state = loader.state_dict()
        assert (state["epoch"], state["items_done"]) == (0, 8)


class Named:
    """A sampler that may be iterated again and again."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    def __iter__(self) -> Iterator[Any]:
        return iter(self.numbers)


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (True, "the sampler gave a bool: bools are no item numbers"),
        (np.bool_(True), "the sampler gave a bool: bools are no item numbers"),
        (torch.tensor(True), "the sampler gave a bool: bools are no item numbers"),
        (1.0, "the sampler must give item numbers from 0 on, got 1.0"),
        ("1", "the sampler must give item numbers from 0 on, got '1'"),
        (2**70, f"the sampler must give item numbers from 0 on, got {2**70}"),
        (
            [1, 2],
            (
                "the sampler must give item numbers from 0 on, got [1, 2]; batches are made by"
                " batch_size="
            ),
        ),
    ],
    ids=str,
)
def test_what_is_no_item_number_is_refused(item: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(text)}"):
        order(loader_of(Named([item])))


def test_a_negative_number_is_no_item() -> None:
    samplers: list[Any] = [[-1], Named([-1])]
    for sampler in samplers:
        with pytest.raises(
            TypeError, match=r"^the sampler must give item numbers from 0 on, got -1$"
        ):
            order(loader_of(sampler))
    for sampler in (np.array([-1]), np.array([-1], "i2")):
        with pytest.raises(
            ValueError, match=r"^the sampler gave item -1 at place 0, but there are 103 items$"
        ):
            order(loader_of(sampler))


MASK = (
    "bools are not item numbers: a mask goes to indices=, and np.flatnonzero(mask) is a list of"
    " items"
)
ONCE = ", which can be read once: every epoch after the first would be empty. Give a list"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: (i for i in range(3)), TypeError, f"sampler is a generator{ONCE}"),
        (lambda: iter([1, 2]), TypeError, f"sampler is a list_iterator{ONCE}"),
        (lambda: map(int, [1, 2]), TypeError, f"sampler is a map{ONCE}"),
        (lambda: itertools.islice([1, 2], 1), TypeError, f"sampler is a islice{ONCE}"),
        (lambda: 5, TypeError, "sampler must be an iterable of item numbers, got int"),
        (lambda: np.ones(3, bool), TypeError, f"sampler: {MASK}"),
        (lambda: torch.ones(3, dtype=torch.bool), TypeError, f"sampler: {MASK}"),
        (lambda: [True, False], TypeError, f"sampler: {MASK}"),
        (
            lambda: np.ones(3),
            TypeError,
            "sampler: item numbers must be integers, got float64; convert them with",
        ),
        (
            lambda: np.ones((3, 2), int),
            ValueError,
            "sampler: item numbers must be of shape (items,), got [3, 2]",
        ),
        (
            lambda: np.array(3),
            ValueError,
            "sampler: item numbers must be of shape (items,), got []",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_sampler_is_refused_when_it_is_given(
    make: Callable[[], Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=f"^{re.escape(text)}"):
        loader_of(make())


def test_a_class_that_is_its_own_iterator_is_refused() -> None:
    class Once:
        def __iter__(self) -> Once:
            return self

        def __next__(self) -> int:
            raise StopIteration

    with pytest.raises(TypeError, match=f"^{re.escape(f'sampler is a Once{ONCE}')}"):
        loader_of(Once())


def test_a_sampler_that_turns_out_to_be_readable_once_is_found_out() -> None:
    loader = loader_of(Named(i for i in range(6)))
    assert order(loader) == list(range(6))
    text = (
        "^the sampler, Named, gave items in an epoch before and gives none in this one: it can be"
        " read once"
    )
    with pytest.raises(ValueError, match=text):
        order(loader)


def test_what_a_sampler_raises_comes_when_its_batch_is_due() -> None:
    def numbers() -> Iterator[int]:
        yield from range(6)
        raise KeyError("from the sampler")

    class Raises:
        def __iter__(self) -> Iterator[int]:
            return numbers()

    for num_workers in (0, 2):
        batches = iter(loader_of(Raises(), num_workers=num_workers))
        assert next(batches).tolist() == [0, 1, 2, 3]
        with pytest.raises(KeyError, match="from the sampler"):
            next(batches)
        assert list(batches) == []


def test_a_sampler_and_an_array_of_the_same_numbers_make_the_same_batches() -> None:
    numbers = np.random.default_rng(1).integers(0, ITEMS, 50)
    all_settings: list[dict[str, Any]] = [
        {},
        {"drop_last": True},
        {"num_workers": 2},
        *(
            {"rank": rank, "world_size": 3, "remainder": how}
            for rank in range(3)
            for how in ("pad", "drop", "keep")
        ),
    ]
    for settings in all_settings:
        of_array = [batch.tolist() for batch in loader_of(numbers, **settings)]
        assert [
            batch.tolist() for batch in loader_of(Named(numbers.tolist()), **settings)
        ] == of_array
        assert [batch.tolist() for batch in loader_of(numbers.tolist(), **settings)] == of_array


def test_num_samples_beside_a_sampler_is_refused() -> None:
    with pytest.raises(
        ValueError, match="the sampler says how many items an epoch has: leave out num_samples"
    ):
        loader_of([1, 2], num_samples=3)
