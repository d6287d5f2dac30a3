"""The array interface, both ways: what a view says of itself, and what it accepts of others."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from tests.helpers.buffers import pointer
from tests.helpers.described import MISSING, Described
from tests.helpers.oracle import NUMBER_DTYPES, assert_same
from tests.helpers.strategies import DTYPES, Array, fill

import ndlens as nl


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
        assert (told["version"], told["shape"], told["typestr"]) == (
            3,
            array.shape,
            expected["typestr"],
        )
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
def test_a_dtype_without_a_typestr_of_ours_is_not_told(dtype: np.dtype[Any]) -> None:
    view = nl.view(fill(dtype, 4, seed=5))
    with pytest.raises(AttributeError) as caught:
        _ = view.__array_interface__
    assert str(caught.value) == f"the array interface has no typestr for {view.dtype}"
    assert not hasattr(view, "__array_interface__")


@pytest.mark.parametrize(
    "dtype", [d for d in DTYPES if d not in NUMBER_DTYPES and d != "g"], ids=str
)
def test_text_and_records_that_are_only_described_are_viewed_where_they_lie(
    dtype: np.dtype[Any],
) -> None:
    for array in layouts(dtype):
        assert_same(nl.view(Described(array)), array)
        in_c = nl.view(DescribedInC(array))
        if dtype.names is None:
            assert_same(in_c, array)
        else:
            # NumPy clears the flags of records, so that they are raw bytes that may not be written.
            assert (in_c.dtype, in_c.shape, in_c.readonly) == (
                f"{array.itemsize}x",
                array.shape,
                True,
            )
            assert in_c.tobytes() == array.tobytes()


class DescribedInC:
    """An object with only an `__array_struct__`, NumPy's C struct in a capsule."""

    def __init__(self, array: Array) -> None:
        self.array = array

    @property
    def __array_struct__(self) -> Any:
        return self.array.__array_struct__


@pytest.mark.parametrize("dtype", NUMBER_DTYPES, ids=str)
def test_an_array_described_in_c_is_viewed_where_it_lies(dtype: np.dtype[Any]) -> None:
    for array in layouts(dtype):
        assert_same(nl.view(DescribedInC(array)), array)


def test_an_object_described_in_c_lives_as_long_as_its_view() -> None:
    owner = DescribedInC(np.arange(12.0))
    alive = weakref.ref(owner)
    view = nl.view(owner)[3:]
    del owner
    gc.collect()
    assert alive() is not None
    assert view[0] == 3
    del view
    gc.collect()
    assert alive() is None


class ArrayStruct(ctypes.Structure):
    _fields_: ClassVar = [
        ("two", ctypes.c_int),
        ("nd", ctypes.c_int),
        ("typekind", ctypes.c_char),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("data", ctypes.c_void_p),
        ("descr", ctypes.c_void_p),
    ]


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
THREE = (ctypes.c_ssize_t * 1)(3)
NEGATIVE = (ctypes.c_ssize_t * 1)(-3)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"two": 3}, TypeError, "invalid __array_struct__: it does not begin with 2"),
        ({"nd": -1}, TypeError, "invalid __array_struct__: nd is negative"),
        ({"nd": 65}, ValueError, "a view has at most 64 dimensions, got 65"),
        ({"itemsize": -4}, TypeError, "invalid __array_struct__: itemsize is negative"),
        ({"itemsize": 3}, TypeError, 'ndlens has no dtype for typestr "<f3"'),
        ({"typekind": b"t"}, TypeError, 'ndlens has no dtype for typestr "<t4"'),
        (
            {"typekind": b"U", "itemsize": 6},
            TypeError,
            "invalid __array_struct__: itemsize is not that of its dtype",
        ),
        ({"shape": None}, TypeError, "invalid __array_struct__: shape is null"),
        (
            {"shape": ctypes.addressof(NEGATIVE)},
            TypeError,
            "invalid __array_struct__: shape is negative",
        ),
        (
            {"data": None},
            TypeError,
            "invalid __array_struct__: data is null or its elements leave the address space",
        ),
    ],
    ids=str,
)
def test_a_struct_that_cannot_be_true_is_refused(
    changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    floats = (ctypes.c_float * 3)(1, 2, 3)
    told = {"two": 2, "nd": 1, "typekind": b"f", "itemsize": 4, "flags": 0x600}
    told |= {"shape": ctypes.addressof(THREE), "data": ctypes.addressof(floats)}

    def viewed(**changed: Any) -> nl.View:
        struct = ArrayStruct(**{**told, **changed})

        class Owner:
            __array_struct__ = new_capsule(ctypes.addressof(struct), None, None)
            keeps = (struct, floats)

        return nl.view(Owner())

    assert viewed().tolist() == [1, 2, 3]
    assert viewed(flags=0x200).readonly
    with pytest.raises(kind) as caught:
        viewed(**changes)
    assert str(caught.value) == message


def test_what_is_no_struct_in_a_capsule_is_refused() -> None:
    class Odd:
        __array_struct__ = 5

    class Named:
        __array_struct__ = new_capsule(ctypes.addressof(THREE), b"name", None)

    with pytest.raises(TypeError, match=r"^invalid __array_struct__: it is not a capsule$"):
        nl.view(Odd())
    with pytest.raises(TypeError, match=r"^invalid __array_struct__: its capsule has a name$"):
        nl.view(Named())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda raw: nl.view(raw)])
def test_an_array_described_in_a_buffer_is_viewed_there(kind: Callable[[bytes], Any]) -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    data = kind(b"head" + array.tobytes())
    view = nl.view(Described(array, data=data, offset=4, strides=MISSING))
    assert (view.shape, view.tolist()) == (array.shape, array.tolist())
    assert view.readonly is memoryview(data).readonly
    assert pointer(view) == pointer(nl.view(data)) + 4
    backwards = nl.view(Described(array, data=data, offset=4 + 23 * 8, strides=(-96, -32, -8)))
    assert backwards.tolist() == array[::-1, ::-1, ::-1].tolist()


def test_a_write_to_an_array_in_a_buffer_arrives_and_holds_it() -> None:
    data = bytearray(8)
    view = nl.view(Described(np.zeros(2, "<i4"), data=data))
    view[1] = 7
    assert data == b"\0\0\0\0\7\0\0\0"
    with pytest.raises(BufferError, match="cannot be re-sized"):
        data.append(1)
    view.release()
    data.append(1)


def test_an_array_without_data_lies_in_its_own_buffer() -> None:
    class Image(bytearray):
        @property
        def __array_interface__(self) -> dict[str, Any]:
            return {"version": 3, "shape": (2, 2), "typestr": "<u2", "offset": 1, **self.more}

        more: ClassVar[dict[str, Any]] = {}

    image = Image(bytes(range(9)))
    for more in ({}, {"data": None}):
        Image.more = more
        view = nl.view(image)
        assert (view.shape, view.dtype, view.tolist()) == (
            (2, 2),
            "uint16",
            [[0x201, 0x403], [0x605, 0x807]],
        )
        assert view.obj is image
    # With its data elsewhere it is first of all a buffer.
    Image.more = {"data": bytes(9)}
    assert nl.view(image).shape == (9,)


def test_an_array_in_a_buffer_stays_inside_of_it() -> None:
    array = np.zeros(4, "<i4")
    for changes, message in (
        ({"data": bytes(15)}, "layout reaches bytes 0..16 of a buffer of 15 bytes"),
        ({"data": bytes(16), "offset": 1}, "layout reaches bytes 1..17 of a buffer of 16 bytes"),
        (
            {"data": bytes(16), "strides": (-4,)},
            "layout reaches bytes -12..4 of a buffer of 16 bytes",
        ),
    ):
        with pytest.raises(BufferError) as caught:
            nl.view(Described(array, **changes))
        assert str(caught.value) == message
    with pytest.raises(
        TypeError, match=r"^invalid __array_interface__: the buffer is not contiguous$"
    ):
        nl.view(Described(array, data=memoryview(bytes(32))[::2]))


def test_an_image_of_pillow_is_viewed_as_numpy_sees_it() -> None:
    modes: list[tuple[str, tuple[int, ...]]] = [
        ("RGB", (3, 5, 3)),
        ("RGBA", (3, 5, 4)),
        ("L", (3, 5)),
        ("I;16", (3, 5)),
        ("F", (3, 5)),
    ]
    for mode, shape in modes:
        image = Image.new(mode, (5, 3))
        if mode != "I;16":
            image.putpixel((2, 1), 1 if shape == (3, 5) else tuple(range(shape[2])))
        view, array = nl.view(image), np.asarray(image)
        assert (view.shape, view.dtype) == (shape, array.dtype.name)
        assert view.tolist() == array.tolist()
        assert view.readonly


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
PAIR = '"data" must be a tuple (address, read-only) or an object that exports a buffer'
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
    (
        {"typestr": "|O8"},
        TypeError,
        (
            'elements of format "|O8" are Python objects, whose references ndlens cannot count;'
            " convert them first"
        ),
    ),
    (
        {"typestr": "<M8[ns]"},
        TypeError,
        (
            "<M8[ns] counts time, which no buffer has a format for; view the integers that count"
            ' it: array.view("i8")'
        ),
    ),
    ({"typestr": "|V5"}, TypeError, INVALID + '"descr" and "typestr" differ in size'),
    ({"data": MISSING}, TypeError, INVALID + 'it has no "data", and the object exports no buffer'),
    ({"data": None}, TypeError, INVALID + 'it has no "data", and the object exports no buffer'),
    ({"data": 1.5}, TypeError, INVALID + PAIR),
    ({"offset": -1}, TypeError, INVALID + '"offset" is not a number of bytes'),
    ({"offset": 4}, TypeError, INVALID + '"offset" is of a buffer, and "data" is an address'),
    ({"data": ADDRESS}, TypeError, INVALID + PAIR),
    ({"data": (ADDRESS,)}, TypeError, INVALID + PAIR),
    ({"data": ("a", True)}, TypeError, INVALID + PAIR),
    ({"data": (-1, True)}, TypeError, INVALID + PAIR),
    ({"data": (0, False)}, TypeError, INVALID + NOWHERE),
    ({"data": (2**64 - 8, False)}, TypeError, INVALID + NOWHERE),
    (
        {"mask": KEPT},
        TypeError,
        INVALID + "masked arrays have no elements where they are masked; call .filled(value)",
    ),
]


@pytest.mark.parametrize(
    ("changes", "kind", "message"), LIES, ids=[str(lie[0])[:40] for lie in LIES]
)
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
    assert (
        str(caught.value)
        == "nl.view(..., readonly=False) needs writable memory, but the view is read-only; pass"
        " readonly=None, or a copy"
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
