"""Against NumPy: basic indexing and its relatives do the same to a view as to an array."""

from __future__ import annotations

import itertools
import operator
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from tests.helpers.oracle import assert_same, assert_same_element, walk
from tests.helpers.strategies import DTYPES, NUMBERS, Array, Step, arrays, chains, fill

import ndlens as nl

# What exports a buffer is not typed as such before Python 3.12.
memory: Any = memoryview

# The examples are the point; the time limit is pytest's.
thorough = settings(
    max_examples=1500,
    deadline=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@thorough
@given(arrays(), chains)
def test_a_chain_of_operations_gives_the_view_that_numpy_gives(
    array: Array, chain: list[Step]
) -> None:
    walk(array, chain, event)


@settings(thorough, max_examples=400)
@given(arrays(), st.lists(st.integers(0, 2**16), min_size=1, max_size=8))
def test_a_reshape_needs_a_copy_exactly_where_numpy_copies(array: Array, seeds: list[int]) -> None:
    for seed in seeds:
        walk(array, [Step("reshape", seed=seed)], event)


@settings(thorough, max_examples=500)
@given(arrays())
def test_a_view_reads_and_copies_what_numpy_reads_and_copies(array: Array) -> None:
    view = nl.view(array)
    assert_same(view, array)
    if array.dtype in [np.dtype(code) for code in NUMBERS]:
        assert view.dtype == nl.dtype_name(array.dtype)
        assert repr(view.tolist()) == repr(array.tolist())
    for order in ("C", "F"):
        copy = view.copy(order)
        packed = array.copy(order)
        assert copy.numpy().tobytes("A") == packed.tobytes("A")
        assert (copy.shape, copy.readonly) == (array.shape, False)
        if array.size:
            assert not np.may_share_memory(copy.numpy(), array)
            assert copy.numpy().ctypes.data % 64 == 0


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back_as_it_went_in(dtype: np.dtype[Any]) -> None:
    array = fill(dtype, 24, seed=1).reshape(2, 3, 4)
    assert_same(nl.view(array), array)
    assert_same(nl.view(array)[::-1, 1, ::2], array[::-1, 1, ::2])


def test_a_record_keeps_its_padding() -> None:
    array = np.zeros(4, np.dtype([("x", "u1"), ("y", "f8"), ("z", "i2")], align=True))
    array["x"], array["y"], array["z"] = range(4), np.linspace(0, 1, 4), -7
    view = nl.view(array)[::-2]
    assert (view.itemsize, view.strides) == (24, (-48,))
    assert view.numpy().dtype == array.dtype
    assert view.numpy().tolist() == array[::-2].tolist()
    assert view.copy().numpy().tolist() == array[::-2].tolist()


def test_one_record_alone_comes_back_as_it_went_in() -> None:
    for packed in (False, True):
        array = np.zeros(4, np.dtype([("x", "f4"), ("y", "i2")], align=not packed))
        array["x"], array["y"] = range(4), -7
        for part in (array[:1], array[2], array[1:2].reshape(1, 1), memory(array[3:]), array[:0]):
            expected: Any = part if isinstance(part, np.ndarray | np.void) else array[3:]
            back = nl.view(part).numpy()
            assert (back.dtype, back.tolist()) == (array.dtype, expected.tolist())


@pytest.mark.parametrize("code", NUMBERS)
def test_a_named_element_is_the_python_number_that_numpy_gives(code: str) -> None:
    array = fill(np.dtype(code), 64, seed=2).reshape(8, 8)
    for i, j in np.ndindex(8, 8):
        assert_same_element(nl.view(array)[i, j - 8], array[i, j])


def test_dots_keep_a_named_element_a_view() -> None:
    array = np.arange(6).reshape(2, 3)
    element = nl.view(array)[1, 2, ...]
    assert_same(element, array[1, 2, ...])
    assert element[()] == 5
    assert element[...].shape == ()


class Index:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        return self.value


@pytest.mark.parametrize(
    "key",
    [
        *[np.int8(-1), np.uint8(1), np.int64(2), np.uint64(0), np.intp(-3)],
        *[np.array(1), np.array(-2, np.int16), Index(2), Index(-3), torch.tensor(1)],
        slice(Index(-2), np.int32(5), np.array(1)),
        slice(True, None),
        (np.int64(1), Index(1)),
        (Index(0), slice(np.uint8(1), None)),
    ],
    ids=repr,
)
def test_whatever_has_index_is_an_integer(key: Any) -> None:
    array = np.arange(12).reshape(3, 4)
    # An array of rank 0 is an integer here too, but NumPy copies what it selects.
    plain = operator.index(key) if isinstance(key, np.ndarray) else key
    view, expected = nl.view(array)[key], array[plain]
    if isinstance(expected, np.generic):
        assert view == expected
    else:
        assert_same(view, expected)


SELECTS = (
    "indexing with a {} selects by copying, and views never copy: index with integers, slices, ..."
    " and None; v.take(indices) copies, and nl.subset(v, indices) gives items for a loader without"
    " a copy"
)
KINDS = "view indices must be integers, slices, ... or None, not {}"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (True, SELECTS.format("bool")),
        ((0, False), SELECTS.format("bool")),
        (np.True_, SELECTS.format("bool")),
        ([0, 1], SELECTS.format("list")),
        ((0, [1]), SELECTS.format("list")),
        (((0, 1), 0), SELECTS.format("tuple")),
        (range(2), SELECTS.format("range")),
        (np.array([0, 1]), SELECTS.format("ndarray")),
        (np.array([1]), SELECTS.format("ndarray")),
        (np.array([True, False, True]), SELECTS.format("ndarray")),
        (np.array(True), SELECTS.format("ndarray")),
        (torch.tensor([0, 1]), SELECTS.format("Tensor")),
        (torch.tensor([1]), SELECTS.format("Tensor")),
        (torch.tensor(True), SELECTS.format("Tensor")),
        (1.0, KINDS.format("float")),
        ((0, 1.5), KINDS.format("float")),
        (np.float64(1), KINDS.format("float64")),
        (1j, KINDS.format("complex")),
        ("a", KINDS.format("str")),
        (b"a", KINDS.format("bytes")),
        (object(), KINDS.format("object")),
        ({}, KINDS.format("dict")),
        (10**30, "cannot fit 'int' into an index-sized integer"),
        ((0, -(2**63) - 1), "cannot fit 'int' into an index-sized integer"),
        (np.uint64(2**63), "cannot fit 'numpy.uint64' into an index-sized integer"),
    ],
    ids=repr,
)
def test_a_key_that_is_no_basic_index_is_an_index_error_that_says_why(
    key: Any, message: str
) -> None:
    view = nl.view(np.arange(12).reshape(3, 4))
    with pytest.raises(IndexError) as caught:
        view[key]
    assert str(caught.value) == message


@pytest.mark.parametrize("bound", [1.0, "a", [1]])
def test_a_slice_bound_that_is_no_integer_is_a_type_error(bound: Any) -> None:
    view = nl.view(np.arange(12).reshape(3, 4))
    for key in (slice(bound), slice(bound, None), slice(None, None, bound)):
        with pytest.raises(TypeError) as caught:
            view[key]
        assert (
            str(caught.value)
            == "slice indices must be integers or None or have an __index__ method"
        )


def test_the_integers_farthest_away_are_out_of_bounds() -> None:
    view = nl.view(np.arange(12).reshape(3, 4))
    for index in (2**63 - 1, -(2**63)):
        with pytest.raises(
            IndexError, match=f"^index {index} is out of bounds for axis 0 with size 3$"
        ):
            view[index]


FAR = (None, -(2**70), -(2**63), -2, -1, 0, 1, 2**63 - 1, 2**63, 2**70)


def test_slice_bounds_may_be_farther_away_than_any_index() -> None:
    array = np.arange(5)
    view = nl.view(array)
    for start, stop, step in itertools.product(FAR, FAR, (None, 1, 2, -1, 2**70, -(2**70))):
        key = slice(start, stop, step)
        assert view[key].tolist() == array[key].tolist(), key
        assert view[key, None].shape == array[key, None].shape, key


def test_an_index_that_is_no_integer_after_all_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=re.escape("__index__ returned non-int (type str)")):
        nl.view(bytes(3))[Index("1")]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, ZeroDivisionError])
def test_an_error_inside_index_comes_through_as_it_is(error: type[BaseException]) -> None:
    class Broken:
        def __index__(self) -> int:
            raise error("broken")

    with pytest.raises(error, match=r"^broken$"):
        _ = nl.view(bytes(3))[Broken()]


def test_a_view_iterates_over_its_first_axis() -> None:
    array = np.arange(12).reshape(3, 4)[::-1, ::2]
    view = nl.view(array)
    assert len(view) == 3
    for row, expected in zip(view, array, strict=True):
        assert_same(row, expected)


def test_axes_and_shapes_come_one_by_one_or_as_a_sequence() -> None:
    array = np.arange(24).reshape(2, 3, 4)
    view = nl.view(array)
    for got in (view.permute(2, 0, 1), view.permute((2, 0, 1)), view.permute([2, 0, -2])):
        assert_same(got, array.transpose(2, 0, 1))
    for got in (view.flip(0, 2), view.flip((0, 2)), view.flip([0, -1])):
        assert_same(got, array[::-1, :, ::-1])
    for got in (view.reshape(4, 6), view.reshape((4, 6)), view.reshape(np.array([4, -1]).tolist())):
        assert_same(got, array.reshape(4, 6))
    assert_same(view.flip(), np.flip(array))
    assert_same(view.flip(()), array)
    single = np.array([5])
    for got in (nl.view(single).reshape(()), nl.view(single).reshape()):
        assert_same(got, single.reshape(()))


def test_a_negative_window_is_told_what_a_window_needs() -> None:
    view = nl.view(bytes(5))
    with pytest.raises(ValueError, match=r"^window size must be at least 1, got -1$"):
        view.windows(-1)
    with pytest.raises(ValueError, match=r"^window step must be at least 1, got -2$"):
        view.windows(2, -2)


@pytest.mark.parametrize("tie", [1 + 2**-11, 2**-25, 3 * 2.0**-25, 65504 + 15.0, 1.5 + 2**-11])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_float16_is_the_nearest_one_to_a_number_beside_a_tie(tie: float, sign: int) -> None:
    array = np.zeros(3, np.float16)
    view = nl.view(array)
    numbers = [sign * number for number in (np.nextafter(tie, 0), tie, np.nextafter(tie, 2 * tie))]
    for i, number in enumerate(numbers):
        view[i] = float(number)
    np.testing.assert_array_equal(array, np.array(numbers).astype(np.float16))
