"""The array interface, both ways: what a view says of itself, and what it believes of what others say."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.oracle import NUMBER_DTYPES, assert_same
from tests.strategies import DTYPES, Array, fill

import ndlens as nl


class Described:
    """An object with only an `__array_interface__`: an array's, with changes; `MISSING` takes a key away."""

    def __init__(self, array: Array, **changes: Any) -> None:
        self.array = array
        told = {**array.__array_interface__, **changes}
        self.__array_interface__ = {key: value for key, value in told.items() if value is not MISSING}


MISSING = object()


def layouts(dtype: np.dtype[Any]) -> list[Array]:
    cube = fill(dtype, 24, seed=5).reshape(2, 3, 4)
    packed = np.zeros((3, 2), np.dtype([("before", "V3"), ("field", dtype)]))["field"]
    packed[...] = cube[0, :, :2]
    frozen = cube[1:]
    frozen.flags.writeable = False
    views = [
        cube,
        cube.T,
        cube[::-1, 1:, ::-2],
        cube[:, :0],
        cube[1, 2, 3, ...],
        cube[0, ::-1, 0],
        packed,
        frozen,
    ]
    return [*views, np.broadcast_to(cube[0], (2, 3, 4))]


def strides_of(interface: dict[str, Any], itemsize: int) -> tuple[int, ...]:
    """None stands for the strides of packed elements."""
    if interface["strides"] is not None:
        return tuple(interface["strides"])
    strides = [itemsize]
    for n in interface["shape"][:0:-1]:
        strides.insert(0, strides[0] * n)
    return tuple(strides[: len(interface["shape"])])


@pytest.mark.parametrize("dtype", NUMBER_DTYPES, ids=str)
def test_a_view_describes_itself_as_numpy_does(dtype: np.dtype[Any]) -> None:
    for array in layouts(dtype):
        told, expected = nl.view(array).__array_interface__, array.__array_interface__
        assert (told["version"], told["shape"], told["typestr"]) == (3, array.shape, expected["typestr"])
        assert told["data"][1] is expected["data"][1]
        if array.size:
            assert told["data"] == expected["data"]
            assert strides_of(told, array.itemsize) == strides_of(expected, array.itemsize)
        back = np.asarray(Described(np.zeros(0), **{"descr": MISSING, **told}))
        assert (back.dtype, back.shape, back.tobytes()) == (dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("dtype", NUMBER_DTYPES, ids=str)
def test_an_array_that_is_only_described_is_viewed_where_it_lies(dtype: np.dtype[Any]) -> None:
    for array in layouts(dtype):
        assert_same(nl.view(Described(array)), array)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in NUMBER_DTYPES], ids=str)
def test_a_dtype_without_a_typestr_of_ours_is_refused_both_ways(dtype: np.dtype[Any]) -> None:
    array = fill(dtype, 4, seed=5)
    view = nl.view(array)
    with pytest.raises(AttributeError) as caught:
        _ = view.__array_interface__
    assert str(caught.value) == f"the array interface has no typestr for {view.dtype}"
    assert not hasattr(view, "__array_interface__")
    with pytest.raises(TypeError) as refused:
        nl.view(Described(array))
    assert str(refused.value) == f'ndlens has no dtype for typestr "{dtype.str}"'


def test_strides_left_out_are_those_of_packed_elements() -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    for strides in (None, MISSING):
        assert_same(nl.view(Described(array, strides=strides)), array)


def test_what_the_interface_calls_read_only_is_never_written() -> None:
    array = np.arange(3)
    view = nl.view(Described(array, data=(array.ctypes.data, True)))
    assert view.readonly
    with pytest.raises(nl.ReadOnlyError):
        view[0] = 1
    assert array[0] == 0


def test_a_write_to_a_described_array_arrives() -> None:
    array = np.arange(3)
    nl.view(Described(array))[1] = 7
    assert array.tolist() == [0, 7, 2]


def test_the_object_lives_exactly_as_long_as_a_view_of_it() -> None:
    owner = Described(np.arange(12.0).reshape(3, 4))
    alive = weakref.ref(owner)
    view = nl.view(owner)
    part, array = view[1], view[2].numpy()
    del owner, view
    gc.collect()
    assert alive() is not None
    assert part.tolist() == [4, 5, 6, 7]
    part.release()
    gc.collect()
    assert alive() is not None
    assert array.tolist() == [8, 9, 10, 11]
    del array
    gc.collect()
    assert alive() is None


def test_a_refused_object_is_let_go() -> None:
    owner = Described(np.zeros(3), shape=(-1,))
    alive = weakref.ref(owner)
    with pytest.raises(TypeError):
        nl.view(owner)
    del owner
    gc.collect()
    assert alive() is None


INVALID = "invalid __array_interface__: "
PAIR = '"data" must be a tuple (address, read-only)'
NOWHERE = '"data" is null or its elements leave the address space'
KEPT = np.arange(6, dtype="f4").reshape(2, 3)
ADDRESS = KEPT.ctypes.data

LIES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"strides": (4,)}, ValueError, "shape has 2 dimensions but strides have 1"),
    ({"strides": ()}, ValueError, "shape has 2 dimensions but strides have 0"),
    ({"strides": (12, 4, 4)}, ValueError, "shape has 2 dimensions but strides have 3"),
    ({"strides": "ab"}, TypeError, INVALID + '"strides" is not a tuple of integers'),
    ({"strides": (2**63, 4)}, TypeError, INVALID + '"strides" is not a tuple of integers'),
    ({"strides": (-(2**62), 4)}, TypeError, INVALID + NOWHERE),
    ({"shape": (2, -3)}, TypeError, INVALID + '"shape" is negative'),
    ({"shape": 6}, TypeError, INVALID + '"shape" is not a tuple of integers'),
    ({"shape": (2.0, 3)}, TypeError, INVALID + '"shape" is not a tuple of integers'),
    ({"shape": (2**63,)}, TypeError, INVALID + '"shape" is not a tuple of integers'),
    (
        {"shape": (2, 2**62)},
        ValueError,
        "shape [2, 4611686018427387904] with 4-byte elements does not fit the address space",
    ),
    ({"shape": MISSING}, TypeError, INVALID + 'it has no "shape"'),
    ({"typestr": MISSING}, TypeError, INVALID + 'it has no "typestr"'),
    ({"typestr": 4}, TypeError, INVALID + '"typestr" is not a string'),
    ({"typestr": "<q9"}, TypeError, 'ndlens has no dtype for typestr "<q9"'),
    ({"typestr": "|O8"}, TypeError, 'ndlens has no dtype for typestr "|O8"'),
    ({"typestr": ">f4"}, TypeError, 'ndlens has no dtype for typestr ">f4"'),
    ({"data": MISSING}, TypeError, INVALID + PAIR),
    ({"data": None}, TypeError, INVALID + PAIR),
    ({"data": bytes(24)}, TypeError, INVALID + PAIR),
    ({"data": bytearray(24)}, TypeError, INVALID + PAIR),
    ({"data": ADDRESS}, TypeError, INVALID + PAIR),
    ({"data": (ADDRESS,)}, TypeError, INVALID + PAIR),
    ({"data": ("a", True)}, TypeError, INVALID + PAIR),
    ({"data": (-1, True)}, TypeError, INVALID + PAIR),
    ({"data": (0, False)}, TypeError, INVALID + NOWHERE),
    ({"data": (2**64 - 8, False)}, TypeError, INVALID + NOWHERE),
    ({"mask": KEPT}, TypeError, INVALID + "masked arrays have no elements where they are masked"),
]


@pytest.mark.parametrize(("changes", "kind", "message"), LIES, ids=[str(lie[0])[:40] for lie in LIES])
def test_an_interface_that_cannot_be_true_is_refused(
    changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        nl.view(Described(KEPT, **changes))
    assert type(caught.value) is kind
    assert str(caught.value) == message


def test_an_interface_that_is_no_dict_is_refused() -> None:
    class Odd:
        __array_interface__ = 5

    with pytest.raises(TypeError, match=r"^invalid __array_interface__: it is not a dict$"):
        nl.view(Odd())


def test_an_error_inside_the_interface_comes_through() -> None:
    class Broken:
        @property
        def __array_interface__(self) -> dict[str, Any]:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match=r"^broken$"):
        nl.view(Broken())


def test_nothing_may_lie_at_null() -> None:
    view = nl.view(Described(KEPT, shape=(0, 3), data=(0, False), strides=None))
    assert (view.shape, view.tobytes(), view.tolist()) == ((0, 3), b"", [])


def assert_too_many_dimensions(strides: tuple[int, ...] | None) -> None:
    with pytest.raises(ValueError, match=r"^a view has at most 64 dimensions, got 65$"):
        nl.view(Described(KEPT, shape=(1,) * 65, strides=strides))


def test_sixty_five_dimensions_are_refused() -> None:
    assert_too_many_dimensions((4,) * 65)


def test_sixty_five_dimensions_without_strides_are_refused() -> None:
    assert_too_many_dimensions(None)


@pytest.mark.parametrize(
    "make",
    [lambda a: a, lambda a: memoryview(a), Described, lambda a: nl.view(a)],
    ids=["array", "memoryview", "interface", "view"],
)
def test_a_view_is_as_writable_as_it_is_asked_to_be(make: Callable[[Array], Any]) -> None:
    array = np.arange(3)
    assert [nl.view(make(array), readonly=asked).readonly for asked in (None, False, True)] == [
        False,
        False,
        True,
    ]
    array.flags.writeable = False
    assert [nl.view(make(array), readonly=asked).readonly for asked in (None, True)] == [True, True]
    with pytest.raises(nl.ReadOnlyError) as caught:
        nl.view(make(array), readonly=False)
    assert str(caught.value) == (
        "nl.view(..., readonly=False) needs writable memory, but the view is read-only; pass readonly=None, or a copy"
    )


def test_array_gives_the_same_memory_unless_a_copy_is_asked_for_or_needed() -> None:
    source = np.arange(6, dtype="f4").reshape(2, 3)
    view = nl.view(source)[::-1]
    for array in (
        view.__array__(),
        view.__array__(None),
        view.__array__(copy=False),
        view.__array__("f4", copy=False),
    ):
        if array.base is not None:
            assert_same(view, array)
    assert view.__array__(copy=False).ctypes.data == source[::-1].ctypes.data
    copied = view.__array__(copy=True)
    converted = view.__array__("f8")
    assert (converted.dtype, converted.tolist()) == (np.dtype("f8"), source[::-1].tolist())
    assert not np.shares_memory(copied, source)
    assert not np.shares_memory(converted, source)
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        view.__array__("f8", copy=False)
    assert np.asarray(view).ctypes.data == source[::-1].ctypes.data
    assert not np.shares_memory(np.array(view), source)
