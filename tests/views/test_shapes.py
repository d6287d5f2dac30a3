"""Against NumPy: other shapes over the same memory, and writes; test_indexing.py has chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.helpers.oracle import NUMBER_DTYPES, assert_same, walk
from tests.helpers.strategies import KINDS, Array, Step, arrays, fill

import ndlens as nl

quick = settings(
    max_examples=60,
    deadline=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=list(HealthCheck),
)
seeds = st.lists(st.integers(0, 2**16), min_size=4, max_size=8)


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_gives_what_numpy_gives(kind: str) -> None:
    @quick
    @given(arrays(), seeds)
    def check(array: Array, seeds: list[int]) -> None:
        for seed in seeds:
            walk(array, [Step(kind, seed=seed)], str)

    check()


def cube() -> Array:
    return np.arange(24).reshape(2, 3, 4)


SHAPES: list[tuple[Callable[[Any], Any], Callable[[Array], Any]]] = [
    (lambda v: v.T, lambda a: a.T),
    (lambda v: v.mT, lambda a: a.mT),
    (lambda v: v.transpose(), lambda a: a.transpose()),
    (lambda v: v.transpose(None), lambda a: a.transpose(None)),
    (lambda v: v.transpose(1, -1, 0), lambda a: a.transpose(1, -1, 0)),
    (lambda v: v.swapaxes(0, -1), lambda a: a.swapaxes(0, -1)),
    (lambda v: v.moveaxis(0, -1), lambda a: np.moveaxis(a, 0, -1)),
    (lambda v: v.moveaxis([0, 1], [2, 0]), lambda a: np.moveaxis(a, [0, 1], [2, 0])),
    (lambda v: v.ravel(), lambda a: a.ravel()),
    (lambda v: v[:1, :, :1].squeeze(), lambda a: a[:1, :, :1].squeeze()),
    (lambda v: v[:1, :, :1].squeeze(-1), lambda a: a[:1, :, :1].squeeze(-1)),
    (lambda v: v[:1, :, :1].squeeze((0, 2)), lambda a: a[:1, :, :1].squeeze((0, 2))),
    (lambda v: v.expand_dims(-1), lambda a: np.expand_dims(a, -1)),
    (lambda v: v.expand_dims((0, 2)), lambda a: np.expand_dims(a, (0, 2))),
    (lambda v: v.broadcast_to(5, 2, 3, 4), lambda a: np.broadcast_to(a, (5, 2, 3, 4))),
    (lambda v: v[:, :1].broadcast_to((2, 0, 4)), lambda a: np.broadcast_to(a[:, :1], (2, 0, 4))),
    (lambda v: v.reinterpret("int16"), lambda a: a.view("i2")),
    (lambda v: v.reinterpret(np.complex128), lambda a: a.view(np.complex128)),
    (lambda v: v.T.reinterpret(np.dtype("f8")), lambda a: a.T.view("f8")),
    (lambda v: v.unbind(1)[2], lambda a: a[:, 2]),
]


@pytest.mark.parametrize("place", range(len(SHAPES)))
def test_a_shape_is_numpys(place: int) -> None:
    array = cube()
    ours, theirs = SHAPES[place]
    assert_same(ours(nl.view(array)), theirs(array))


def test_a_diagonal_can_be_written() -> None:
    array = np.zeros((3, 4), int)
    nl.view(array).diagonal(1)[:] = 7
    assert array.tolist() == [[0, 7, 0, 0], [0, 0, 7, 0], [0, 0, 0, 7]]


@pytest.mark.parametrize(
    "cuts", [1, 2, 4, [], [1], [1, 3], [3, 1], [-1], [-9, 2, 9], (0, 4), np.array([2])], ids=repr
)
def test_a_split_is_cut_where_numpy_cuts(cuts: Any) -> None:
    array = cube()
    pieces, expected = nl.view(array).split(cuts, 2), np.split(array, cuts, 2)
    assert len(pieces) == len(expected)
    for piece, of in zip(pieces, expected, strict=True):
        assert_same(piece, of)


def test_unbind_gives_every_place_of_an_axis() -> None:
    array = cube()
    for axis in range(-3, 3):
        places = nl.view(array).unbind(axis)
        assert len(places) == array.shape[axis]
        for i, place in enumerate(places):
            assert_same(place, np.moveaxis(array, axis, 0)[i])


@pytest.mark.parametrize(
    "indices",
    [
        [],
        [0],
        [-1, 0, -1],
        (1,),
        range(2),
        np.array([1, 0], "u1"),
        np.array([0, -1, 1])[::-1],
        b"\0\1",
    ],
    ids=repr,
)
def test_take_copies_what_numpy_takes(indices: Any) -> None:
    array = cube()
    places = list(indices)
    for axis in range(-3, 3):
        taken = nl.view(array).take(indices, axis)
        expected = array.take(np.array(places, int), axis)
        assert (taken.tolist(), taken.shape) == (expected.tolist(), expected.shape)
        assert not nl.shares_memory(taken, array)
        assert not taken.readonly


def write(array: Array, act: Callable[[Any], Any], on_view: bool) -> bytes:
    base = array.copy()
    act(nl.view(base) if on_view else base)
    return base.tobytes()


keys = st.tuples(
    *[
        st.builds(
            slice,
            *[st.one_of(st.none(), st.integers(-6, 6))] * 2,
            st.sampled_from([None, 1, 2, -1, -2]),
        )
    ]
    * 2
)


@settings(quick, max_examples=400)
@given(keys, keys, st.sampled_from(NUMBER_DTYPES), st.integers(0, 99))
def test_a_part_may_be_assigned_to_another_that_overlaps_it(
    to: tuple[slice, slice], of: tuple[slice, slice], dtype: np.dtype[Any], seed: int
) -> None:
    array = fill(dtype, 30, seed).reshape(5, 6)

    def act(v: Any) -> None:
        v[to] = v[of]

    try:
        expected = write(array, act, on_view=False)
    except ValueError:
        base = array.copy()
        with pytest.raises(ValueError, match=r"^cannot broadcast shape \[.*\] to shape \[.*\]$"):
            act(nl.view(base))
        assert base.tobytes() == array.tobytes()
    else:
        assert write(array, act, on_view=True) == expected


@pytest.mark.parametrize("dtype", NUMBER_DTYPES, ids=str)
def test_a_number_is_written_to_every_place_and_no_other(dtype: np.dtype[Any]) -> None:
    array = fill(dtype, 24, seed=3).reshape(4, 6)
    for key in (
        0,
        (1, -1),
        (slice(None, None, 2), slice(4, 0, -3)),
        ...,
        (),
        None,
        slice(2, 2),
        (..., 2),
    ):
        for number in (0, 1, True, np.array(1, dtype)[()], np.array(0, dtype)):

            def act(v: Any, key: Any = key, number: Any = number) -> None:
                v[key] = number

            assert write(array, act, True) == write(array, act, False)
    for value in (0, 1):

        def fill_all(v: Any, value: int = value) -> None:
            v.fill(value)

        assert write(array, fill_all, True) == write(array, fill_all, False)


@settings(quick, max_examples=300)
@given(arrays(), st.lists(st.integers(0, 2**16), min_size=2, max_size=2), keys)
def test_sharing_memory_is_what_numpy_says(
    array: Array, seeds: list[int], parts: tuple[slice, slice]
) -> None:
    if array.ndim > 4:
        return
    one, other = (
        array[parts[0], ...] if array.ndim else array,
        array[parts[1], ...] if array.ndim else array,
    )
    raw = np.frombuffer(bytearray(64), "u1")
    a, b = raw[parts[0]], raw[seeds[0] % 9 : seeds[1] % 64 : 1 + seeds[1] % 3]
    for first, second in ((one, other), (one, array.copy()), (a, b), (a[1:], raw[:4].view("i2"))):
        ours = nl.view(first), nl.view(second)
        assert nl.shares_memory(*ours) is bool(np.shares_memory(first, second))
        assert nl.may_share_memory(*ours) is bool(np.may_share_memory(first, second))
        assert nl.shares_memory(first, ours[1]) is nl.shares_memory(ours[1], first)


@settings(quick, max_examples=200)
@given(arrays(), st.sampled_from("CFA"))
def test_a_copy_is_packed_as_numpys(array: Array, order: Any) -> None:
    copy = nl.view(array).copy(order)
    expected = array.copy(order)
    assert copy.shape == expected.shape
    walked = [axis for axis, n in enumerate(array.shape) if n > 1 and array.size]
    assert [copy.strides[axis] for axis in walked] == [expected.strides[axis] for axis in walked]


def test_ascontiguous_is_the_view_itself_where_it_is_packed() -> None:
    view = nl.view(cube())
    assert view.ascontiguous() is view
    assert view[1].ascontiguous().obj is view.obj
    packed = view.T.ascontiguous()
    assert (packed.shape, packed.strides) == ((4, 3, 2), (48, 16, 8))
    assert packed == view.T
    assert not nl.shares_memory(packed, view)


READ_ONLY = "needs writable memory, but the view is read-only; call .copy() for memory of your own"
UNKNOWN_DTYPE = (
    'unknown dtype "nope", expected one of bool, uint8, int8, uint16, int16, uint32, int32, uint64,'
    " int64, float16, bfloat16, float32, float64, complex64, complex128, float8_e4m3fn,"
    " float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz, float8_e8m0fnu, float4_e2m1fn_x2, or NumPy's"
    ' code of one, such as "<f4"'
)
SCALAR = np.array(5)

ERRORS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (
        lambda v: v.squeeze(0),
        ValueError,
        "cannot squeeze axis 0 of size 2: only axes of size 1 can be removed",
    ),
    (lambda v: v.squeeze(3), IndexError, "axis 3 is out of bounds for view of dimension 3"),
    (lambda v: v.squeeze((0, 0)), ValueError, "repeated axis 0 in [0, 0]"),
    (lambda v: v.expand_dims(4), IndexError, "axis 4 is out of bounds for view of dimension 4"),
    (lambda v: v.expand_dims((0, 0)), ValueError, "repeated axis 0 in [0, 0]"),
    (lambda v: v.expand_dims(range(62)), ValueError, "a view has at most 64 dimensions, got 65"),
    (
        lambda v: v.broadcast_to(2, 2),
        ValueError,
        "cannot broadcast shape [2, 3, 4] to shape [2, 2]",
    ),
    (lambda v: v.broadcast_to(-1, 3, 4), ValueError, "all sizes of a shape must be at least 0"),
    (lambda v: v.broadcast_to((1,) * 65), ValueError, "a view has at most 64 dimensions, got 65"),
    (
        lambda v: v[:1, :1, :1].broadcast_to(2**31, 2**31, 2**31),
        ValueError,
        (
            "shape [2147483648, 2147483648, 2147483648] with 8-byte elements does not fit the"
            " address space"
        ),
    ),
    (lambda v: v.split(3), ValueError, "cannot split an axis of size 2 into 3 equal pieces"),
    (lambda v: v.split(0), ValueError, "cannot split an axis of size 2 into 0 equal pieces"),
    (lambda v: v.split(1, 3), IndexError, "axis 3 is out of bounds for view of dimension 3"),
    (lambda v: v.unbind(-4), IndexError, "axis -4 is out of bounds for view of dimension 3"),
    (lambda v: v.swapaxes(0, 3), IndexError, "axis 3 is out of bounds for view of dimension 3"),
    (
        lambda v: v.moveaxis([0, 1], [0]),
        ValueError,
        "axes don't match view: got 1 axes, expected 2",
    ),
    (lambda v: v.moveaxis([0, 0], [0, 1]), ValueError, "repeated axis 0 in [0, 0]"),
    (lambda v: v.diagonal(0, 1, 1), ValueError, "repeated axis 1 in [1, 1]"),
    (lambda v: v[0, 0].mT, ValueError, "mT needs at least 2 dimensions"),
    (lambda v: v.transpose(0), ValueError, "axes don't match view: got 1 axes, expected 3"),
    (
        lambda v: v.T.ravel(),
        nl.CopyRequired,
        (
            "reshape would need a copy: no strides lay shape [24] over shape [4, 3, 2] with strides"
            " [8, 32, 96]; call .copy() first"
        ),
    ),
    (
        lambda v: v[..., :3].reinterpret("complex128"),
        ValueError,
        (
            "cannot show elements of 8 bytes in shape [2, 3, 3] as elements of 16 bytes: "
            "the last axis is not a whole number of them"
        ),
    ),
    (
        lambda v: v[..., ::2].reinterpret("int32"),
        nl.CopyRequired,
        (
            "reinterpret would need a copy: axis 2 has a stride of 16 bytes, so its elements of 8"
            " bytes are not packed; call .copy() first"
        ),
    ),
    (lambda v: v.reinterpret("nope"), TypeError, UNKNOWN_DTYPE),
    (lambda v: v.take([2]), IndexError, "index 2 is out of bounds for axis 0 with size 2"),
    (lambda v: v.take([0, -5], 2), IndexError, "index -5 is out of bounds for axis 2 with size 4"),
    (lambda v: v.take([0], 3), IndexError, "axis 3 is out of bounds for view of dimension 3"),
    (lambda v: v.take([0.5]), TypeError, "take needs a sequence of integers, got list"),
    (lambda v: v.copy("K"), ValueError, 'unknown order "K": expected "C", "F" or "A"'),
    (lambda v: v.tobytes("K"), ValueError, 'unknown order "K": expected "C", "F" or "A"'),
    (
        lambda v: v.__setitem__(0, np.zeros((2, 4), int)),
        ValueError,
        "cannot broadcast shape [2, 4] to shape [3, 4]",
    ),
    (lambda v: v.__setitem__(0, 1.5), TypeError, "a float is not an element of dtype int64"),
    (lambda v: v.__setitem__(0, "a"), TypeError, "a str is not an element of dtype int64"),
    (lambda v: v.__setitem__(0, 2**63), ValueError, "9223372036854775808 does not fit dtype int64"),
    (lambda v: v.fill(None), TypeError, "a NoneType is not an element of dtype int64"),
    (lambda v: v.toreadonly().fill(0), nl.ReadOnlyError, f"fill {READ_ONLY}"),
    (lambda v: v.toreadonly().__setitem__(0, 0), nl.ReadOnlyError, f"fill {READ_ONLY}"),
    (lambda v: v.broadcast_to(2, 2, 3, 4).fill(0), nl.ReadOnlyError, f"fill {READ_ONLY}"),
]


@pytest.mark.parametrize("place", range(len(ERRORS)))
def test_a_mistake_is_answered_and_writes_nothing(place: int) -> None:
    act, kind, message = ERRORS[place]
    array = cube()
    with pytest.raises(kind) as caught:
        act(nl.view(array))
    assert type(caught.value) is kind
    assert str(caught.value) == message
    assert array.tolist() == cube().tolist()


def test_a_read_only_view_takes_no_array() -> None:
    array = cube()
    with pytest.raises(nl.ReadOnlyError, match="needs writable memory, but the view is read-only"):
        nl.view(array).toreadonly()[0] = array[1]
    assert array.tolist() == cube().tolist()


def test_unaligned_strings_are_assigned_from_aligned_ones() -> None:
    array = np.zeros(2, [("before", "V3"), ("text", "U3")])["text"]
    nl.view(array)[:] = np.array(["ab", "cde"])
    assert array.tolist() == ["ab", "cde"]


def test_a_finite_complex_number_does_not_become_infinite() -> None:
    with pytest.raises(ValueError, match="does not fit dtype complex64"):
        nl.view(np.zeros(1, "F"))[0] = 1e300


def test_the_integers_farthest_away_are_out_of_bounds_for_take_and_past_the_end_for_index() -> None:
    view = nl.view(bytes(3))
    assert view.index(0, 0, 2**63) == 0
    with pytest.raises(IndexError):
        view.take([2**63])


def test_an_empty_view_is_reinterpreted_whatever_its_strides() -> None:
    array = np.zeros((3, 4), "i8")
    assert nl.view(array)[:0, ::2].reinterpret("complex128").shape == array[:0, ::2].view("D").shape


def test_an_error_inside_a_number_comes_through() -> None:
    class Broken:
        def __float__(self) -> float:
            raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match=r"^broken$"):
        nl.view(np.zeros(2))[0] = Broken()


def test_records_equal_their_copy() -> None:
    array = np.zeros(2, [("x", "f8"), ("y", "i2")])
    assert nl.view(array) == nl.view(array[:1].copy()).broadcast_to(2)
