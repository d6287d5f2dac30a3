"""Beside memoryview: a view of the same object does the same, save the listed differences."""

from __future__ import annotations

import array
import ctypes
import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ndlens as nl

RELEASED = "operation forbidden on released View object"


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int32), ("y", ctypes.c_double))


# What memoryview can unpack.
READABLE: dict[str, Any] = {
    "bytes": b"hello",
    "no bytes": b"",
    "bytearray": bytearray(b"hello"),
    **{f"array {code}": array.array(code, [1, 0, 3]) for code in "bBhHiIlLqQfd"},
    **{f"numpy {code}": np.arange(6).astype(code) for code in "?bBhHiIlLqQfd"},
    "rows": np.arange(6).reshape(2, 3),
    "columns": np.arange(6).reshape(2, 3).T,
    "backwards": np.arange(24, dtype="i2").reshape(2, 3, 4)[::-1, :, ::2],
    "repeated": np.broadcast_to(np.arange(3), (2, 3)),
    "nothing": np.zeros((0, 3)),
    "read-only": np.frombuffer(b"abcd", "H"),
}
OTHERS: dict[str, Any] = {
    "text": array.array("w" if sys.version_info >= (3, 13) else "u", "ab"),
    "ctypes ints": (ctypes.c_int32 * 3)(1, 2, 3),
    "ctypes rows": ((ctypes.c_int16 * 3) * 2).from_buffer(bytearray(range(12))),
    "ctypes records": (Point * 2)(),
    **{f"numpy {code}": np.arange(6).astype(code) for code in "eFDg"},
    "element": np.array(5),
    "records": np.zeros(2, [("x", "f4"), ("y", "i2")]),
    "strings": np.array([b"ab", b"c"]),
    "big-endian": np.arange(3, dtype=">i4"),
}
SOURCES = {**READABLE, **OTHERS}

readable = pytest.mark.parametrize("name", READABLE)
everything = pytest.mark.parametrize("name", SOURCES)


def outcome(act: Callable[[Any], Any], operand: Any) -> Any:
    """What comes of it: a value that can be compared, or the class of the exception."""
    try:
        value = act(operand)
    except Exception as error:
        return type(error)
    return value.tobytes() if isinstance(value, memoryview | nl.View) else repr(value)


def assert_same_outcome(act: Callable[[Any], Any], obj: Any) -> None:
    ours, theirs = outcome(act, nl.view(obj)), outcome(act, memoryview(obj))
    if isinstance(ours, type) and isinstance(theirs, type):
        assert issubclass(ours, theirs), (ours, theirs)
    else:
        assert ours == theirs


@everything
def test_a_view_says_of_itself_what_memoryview_says(name: str) -> None:
    view, expected = nl.view(SOURCES[name]), memoryview(SOURCES[name])
    assert view.obj is expected.obj
    # C long, and long long of the same 64 bits, are one dtype; so is a format with or without its
    # byte order.
    own = {"q": "l", "Q": "L"}.get(expected.format, expected.format.removeprefix("<"))
    assert view.format == (own if len(own) == 1 else expected.format)
    for attribute in ("nbytes", "readonly", "itemsize", "ndim", "shape", "strides", "suboffsets"):
        assert getattr(view, attribute) == getattr(expected, attribute), attribute
    for attribute in ("c_contiguous", "f_contiguous", "contiguous"):
        assert getattr(view, attribute) is getattr(expected, attribute), attribute


@everything
def test_the_bytes_come_in_the_order_memoryview_gives_them(name: str) -> None:
    view, expected = nl.view(SOURCES[name]), memoryview(SOURCES[name])
    assert view.tobytes() == expected.tobytes()
    for order in (None, "C", "F", "A"):
        assert view.tobytes(order) == expected.tobytes(order)
        assert view.tobytes(order=order) == expected.tobytes(order=order)
    assert view.hex() == expected.hex()
    if expected.nbytes:
        assert view.hex(":") == expected.hex(":")
        assert view.hex("-", 2) == expected.hex("-", 2)
        assert view.hex("_", -3) == expected.hex("_", -3)
    assert bytes(view) == bytes(expected)


@readable
def test_the_elements_are_the_ones_memoryview_gives(name: str) -> None:
    obj = READABLE[name]
    view, expected = nl.view(obj), memoryview(obj)
    assert repr(view.tolist()) == repr(expected.tolist())
    assert len(view) == len(expected)
    assert nl.view(obj) == expected
    assert (nl.view(obj) != expected) is False
    if view.ndim == 1:
        assert list(map(repr, view)) == list(map(repr, expected))
        assert list(map(repr, reversed(view))) == list(map(repr, reversed(expected)))
        for value in (*expected[:2], 0, 1, 1.0, 104, "a", None, float("nan")):
            assert (value in view) is (value in expected)
            assert view.count(value) == list[Any](expected.tolist()).count(value)
            for bounds in ((), (1,), (-2,), (0, 1), (-100, 100), (2, 1), (-3, -1)):
                assert_same_index(view, expected.tolist(), value, bounds)


def assert_same_index(
    view: nl.View, listed: list[Any], value: Any, bounds: tuple[int, ...]
) -> None:
    try:
        expected = listed.index(value, *bounds)
    except ValueError:
        with pytest.raises(ValueError, match=r"^value is not in the view$"):
            view.index(value, *bounds)
    else:
        assert view.index(value, *bounds) == expected


def test_an_element_of_a_multidimensional_view_is_found_by_all_its_indices() -> None:
    rows = np.arange(6).reshape(2, 3)
    for key in itertools.product(range(-3, 3), range(-4, 4)):
        assert_same_outcome(lambda m, key=key: m[key], rows)  # type: ignore[misc]


@pytest.mark.parametrize("start", [None, -7, -3, 0, 2, 7])
@pytest.mark.parametrize("stop", [None, -7, -3, 0, 2, 7])
@pytest.mark.parametrize("step", [None, 1, 2, -1, -3, 0])
def test_a_slice_is_the_one_memoryview_gives(
    start: int | None, stop: int | None, step: int | None
) -> None:
    for obj in (b"hello", array.array("d", [1, 2, 3, 4]), b""):
        assert_same_outcome(lambda m: m[start:stop:step], obj)


FORMATS = [*"cbB?hHiIlLqQnNfdP", "@B", "@i"]
REFUSED_FORMATS = [*"xspuw", "<i", ">i", "=i", "ii", "", "2i", "Zf", "@@i"]


@pytest.mark.parametrize("source", FORMATS)
def test_a_cast_shows_the_elements_memoryview_shows(source: str) -> None:
    for target in (*FORMATS, *REFUSED_FORMATS):
        for shape in (None, [6], [2, 3], (6, 2), [3, 16], [24], [7], []):
            keywords: dict[str, Any] = {} if shape is None else {"shape": shape}

            def act(
                m: Any, target: str = target, keywords: dict[str, Any] = keywords
            ) -> tuple[bytes, tuple[int, ...], str]:
                cast = m.cast(source).cast(target, **keywords)
                return cast.tobytes(), cast.shape, repr(cast.tolist())

            assert_same_outcome(act, bytearray(range(48)))


def test_what_cannot_be_cast_is_told_why() -> None:
    view = nl.view(bytearray(range(12)))
    for act, kind, message in CASTS:
        with pytest.raises(kind) as caught:
            act(view)
        assert str(caught.value) == message


CASTS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (
        lambda v: v.cast("<i"),
        ValueError,
        'destination format must be a native single character format, got "<i"',
    ),
    (lambda v: v[::2].cast("b"), TypeError, "casts are restricted to C-contiguous views"),
    (
        lambda v: v.cast("i").cast("h"),
        TypeError,
        "cannot cast between two non-byte formats, int32 and h",
    ),
    (lambda v: v.cast("d"), TypeError, "12 bytes are not a whole number of elements of 8 bytes"),
    (lambda v: v.cast("h", [4]), TypeError, "6 elements do not fit shape [4]"),
]


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_an_element_takes_the_values_memoryview_takes(code: str) -> None:
    values = [
        0,
        1,
        -1,
        127,
        128,
        255,
        256,
        -129,
        2**31,
        2**63,
        10**30,
        1.5,
        True,
        None,
        "a",
        1j,
        [1],
    ]
    for value in values:
        for index in (0, -1, 2, -3):

            def act(m: Any, index: int = index, value: Any = value) -> Any:
                m[index] = value
                return m.tobytes()

            obj, twin = array.array(code, [1, 2]), array.array(code, [1, 2])
            ours, theirs = outcome(act, nl.view(obj)), outcome(act, memoryview(twin))
            assert ours == theirs, (value, index)
            assert obj == twin


@pytest.mark.parametrize(
    "key", [slice(2, 5), slice(None), slice(None, None, 3), slice(8, 2, -2), slice(5, 2)], ids=repr
)
def test_a_slice_takes_what_memoryview_takes(key: slice) -> None:
    sources: list[Any] = [
        b"abc",
        bytearray(b"abcdefghij"),
        memoryview(b"abcd"),
        b"",
        [1, 2, 3],
        "abc",
        None,
    ]
    for source in [*sources, np.zeros(3, "u1"), nl.view(b"abc"), b"abcdefgh"[::2]]:

        def act(m: Any, source: Any = source) -> Any:
            m[key] = source
            return m.tobytes()

        assert_same_outcome(act, bytearray(range(10))) if isinstance(source, bytes) else None
        ours, theirs = bytearray(range(10)), bytearray(range(10))
        assert outcome(act, nl.view(ours)) == outcome(act, memoryview(theirs))
        assert ours == theirs


@pytest.mark.parametrize(
    ("to", "of"),
    [(slice(0, 6), slice(2, 8)), (slice(2, 8), slice(0, 6)), (slice(None), slice(None, None, -1))],
)
def test_a_slice_may_be_assigned_to_one_that_overlaps_it(to: slice, of: slice) -> None:
    def act(m: Any) -> Any:
        m[to] = m[of]
        return m.tobytes()

    ours, theirs = bytearray(range(10)), bytearray(range(10))
    assert outcome(act, nl.view(ours)) == outcome(act, memoryview(theirs))


@everything
def test_nothing_can_be_deleted(name: str) -> None:
    view: Any = nl.view(SOURCES[name])
    for key in (0, slice(None)):
        with pytest.raises(TypeError, match=r"^cannot delete memory$"):
            del view[key]


EQUALS: list[tuple[Any, Any]] = [
    (b"abc", b"abc"),
    (b"abc", bytearray(b"abx")),
    (b"abc", b"abcd"),
    (b"", np.zeros(0)),
    (np.arange(3), array.array("i", [0, 1, 2])),
    (np.arange(3), array.array("d", [0, 1, 2])),
    (np.arange(6), np.arange(6).reshape(2, 3)),
    (np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T.copy()),
    (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
    (np.array([0.0]), np.array([-0.0])),
    (np.array([True, False]), np.array([1, 0])),
    (b"abc", "abc"),
    (b"abc", [97, 98, 99]),
    (b"abc", None),
    (b"a", 97),
]


@pytest.mark.parametrize(("obj", "other"), EQUALS, ids=repr)
def test_a_view_equals_what_memoryview_equals(obj: Any, other: Any) -> None:
    view, expected = nl.view(obj), memoryview(obj)
    assert (view == other) is (expected == other)
    assert (view != other) is (expected != other)
    assert view.__eq__(view) is expected.__eq__(expected)


@pytest.mark.parametrize(
    "obj", [b"abc", b"", memoryview(b"abcdef")[::-2], nl.view(b"ab").copy().toreadonly()]
)
def test_the_hash_of_read_only_bytes_is_that_of_the_bytes(obj: Any) -> None:
    view = nl.view(obj)
    assert hash(view) == hash(view.tobytes())
    assert {view: 1}[view] == 1


def test_what_may_change_or_is_no_byte_has_no_hash() -> None:
    with pytest.raises(ValueError, match=r"^cannot hash writable View object$"):
        hash(nl.view(bytearray(b"abc")))
    with pytest.raises(ValueError, match=r"^hashing is restricted to formats 'B', 'b' or 'c'$"):
        hash(nl.view(b"abcd").cast("H"))


def test_toreadonly_gives_a_view_that_cannot_be_written() -> None:
    source = bytearray(b"abc")
    view = nl.view(source).toreadonly()
    assert (view.readonly, view.obj) == (True, source)
    with pytest.raises(TypeError):
        memoryview(source).toreadonly()[0] = 1
    with pytest.raises(nl.ReadOnlyError) as caught:
        view[0] = 1
    text = "needs writable memory, but the view is read-only; call .copy() for memory of your own"
    assert str(caught.value) == f"fill {text}"


def attribute(name: str) -> Callable[[Any], Any]:
    return lambda v: getattr(v, name)


def method(name: str, *arguments: Any) -> Callable[[Any], Any]:
    return lambda v: getattr(v, name)(*arguments)


PLAIN = (
    "permute transpose flip ravel squeeze diagonal unbind toreadonly copy item ascontiguous tobytes"
    " tolist hex"
)
TAKING_0 = "windows reshape expand_dims fill index count split broadcast_to"
ATTRIBUTES = [
    name for name in dir(nl.View) if name[0] != "_" and not callable(getattr(nl.View, name))
]
USES: dict[str, Callable[[Any], Any]] = {
    **{name: attribute(name) for name in ATTRIBUTES if name != "suboffsets"},
    **{
        name: method(name)
        for name in [
            *PLAIN.split(),
            "numpy",
            "torch",
            "verify",
            "prefetch",
            "drop_cache",
            "holders",
            "__dlpack__",
            "__array__",
        ]
    },
    **{name: method(name, 0) for name in TAKING_0.split()},
    "swapaxes": lambda v: v.swapaxes(0, 0),
    "moveaxis": lambda v: v.moveaxis(0, 0),
    "reinterpret": lambda v: v.reinterpret("int8"),
    "cast": lambda v: v.cast("b"),
    "take": lambda v: v.take([0]),
    "__array_interface__": lambda v: v.__array_interface__,
    "v[0]": lambda v: v[0],
    "v[0] = 0": lambda v: v.__setitem__(0, 0),
    "del v[0]": lambda v: v.__delitem__(0),
    "0 in v": lambda v: 0 in v,
    "with v": lambda v: v.__enter__(),
    "len": len,
    "iter": iter,
    "reversed": reversed,
    "hash": hash,
    "memoryview": memoryview,
    "nl.view": nl.view,
    "nl.shares_memory": lambda v: nl.shares_memory(v, v),
}


@pytest.mark.parametrize("use", USES)
def test_a_released_view_forbids_everything(use: str) -> None:
    view = nl.view(bytearray(b"abcd"))
    view.release()
    with pytest.raises(ValueError, match=f"^{RELEASED}$"):
        USES[use](view)


def test_a_released_view_is_released_again_and_says_so() -> None:
    view = nl.view(bytearray(b"abcd"))
    view.release()
    view.release()
    assert repr(view) == "<released ndlens.View>"
    assert (view in [view], view == b"abcd", view != b"abcd") == (True, False, True)


def test_every_method_is_tried_on_a_released_view() -> None:
    public = {name for name in dir(nl.View) if not name.startswith("_")}
    assert public - USES.keys() == {"release", "suboffsets"}


def test_a_release_lets_its_owner_be_resized() -> None:
    source = bytearray(b"abcd")
    view = nl.view(source)
    with pytest.raises(BufferError):
        source.append(0)
    view.release()
    source.append(0)
    with nl.view(source) as view:
        assert view.shape == (5,)
    source.append(0)
    with pytest.raises(ValueError, match=f"^{RELEASED}$"):
        len(view)


def test_what_was_made_of_a_released_view_goes_on() -> None:
    source = bytearray(b"abcd")
    view = nl.view(source)
    part, numbers = view[1:], iter(view[::-1])
    view.release()
    assert (bytes(part), list(numbers)) == (b"bcd", [100, 99, 98, 97])
    with pytest.raises(BufferError):
        source.append(0)
    part.release()
    del numbers
    source.append(0)


def exported(view: Any) -> memoryview:
    return memoryview(view)


def test_an_exported_view_is_not_released() -> None:
    view = nl.view(bytearray(b"abcd"))
    first = exported(view)
    where = r"view\.holders\(search=True\) says where$"
    with pytest.raises(BufferError, match=rf"^view has 1 exported buffer; {where}"):
        view.release()
    second = exported(view)
    with pytest.raises(BufferError, match=rf"^view has 2 exported buffers; {where}"), view:
        pass
    first.release()
    second.release()
    view.release()


def test_an_iterator_stops_at_a_release() -> None:
    view = nl.view(bytearray(b"abcd"))
    numbers = iter(view)
    assert next(numbers) == 97
    view.release()
    with pytest.raises(ValueError, match=f"^{RELEASED}$"):
        next(numbers)


# Where a view deliberately does other than memoryview: why, what is done to both, and what
# memoryview and the view say.
DIFFERENCES: dict[str, tuple[Any, Callable[[Any], Any], Any, Any]] = {
    "slices in N dimensions": (
        np.arange(6).reshape(2, 3),
        lambda m: m[1:, 1:],
        NotImplementedError,
        [[4, 5]],
    ),
    "names rows": (np.arange(6).reshape(2, 3), lambda m: m[1], NotImplementedError, [3, 4, 5]),
    "v[...] of one axis": (b"abc", lambda m: m[()], NotImplementedError, [97, 98, 99]),
    "None is a new axis": (b"abc", lambda m: m[None], TypeError, [[97, 98, 99]]),
    "too many indices are an IndexError, as in NumPy": (
        b"abc",
        lambda m: m[0, 0],
        TypeError,
        IndexError,
    ),
    "a wrong index is an IndexError, as in NumPy": (
        b"abc",
        lambda m: m[1.0],
        TypeError,
        IndexError,
    ),
    "half-precision elements": (np.ones(1, "e"), lambda m: m.tolist(), NotImplementedError, [1.0]),
    "complex elements": (np.ones(1, "F"), lambda m: m.tolist(), NotImplementedError, [1 + 0j]),
    "little-endian is native": (
        (ctypes.c_int32 * 1)(7),
        lambda m: m.tolist(),
        NotImplementedError,
        [7],
    ),
    "casts to half precision": (bytes(2), lambda m: m.cast("e").tolist(), ValueError, [0.0]),
    "an empty view casts to an empty shape": (
        b"",
        lambda m: m.cast("B", [0]).shape,
        TypeError,
        (0,),
    ),
    "rank 0 has no length": (np.array(5), len, 1, TypeError),
    "one number fills a slice": (
        bytearray(2),
        lambda m: (m.__setitem__(slice(None), 7), m.tolist())[1],
        TypeError,
        [7, 7],
    ),
    "one element broadcasts": (
        bytearray(2),
        lambda m: (m.__setitem__(slice(None), b"a"), m.tolist())[1],
        ValueError,
        [97, 97],
    ),
    "formats it cannot unpack are equal by their bytes": (
        np.zeros(2, [("x", "f4"), ("y", "i2")]),
        lambda m: m == np.zeros(2, [("x", "f4"), ("y", "i2")]),
        False,
        True,
    ),
    "another dtype is a TypeError, as everywhere": (
        bytearray(3),
        lambda m: m.__setitem__(slice(None), array.array("b", [1, 2, 3])),
        ValueError,
        TypeError,
    ),
    "a finite number does not become infinite": (
        np.zeros(1, "f"),
        lambda m: (m.__setitem__(0, 1e300), m.tolist())[1],
        [float("inf")],
        ValueError,
    ),
}


if sys.version_info >= (3, 12):
    # Newer ones do as we do.
    for _why in ("half-precision elements", "casts to half precision", "rank 0 has no length"):
        del DIFFERENCES[_why]


@pytest.mark.parametrize("why", DIFFERENCES)
def test_a_difference_from_memoryview_is_deliberate(why: str) -> None:
    obj, act, theirs, ours = DIFFERENCES[why]
    for made, expected in ((memoryview(obj), theirs), (nl.view(obj), ours)):
        if isinstance(expected, type):
            with pytest.raises(expected):
                act(made)
        else:
            got = act(made)
            assert (got.tolist() if isinstance(got, nl.View) else got) == expected


# Where it once did otherwise.
ALIKE: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "hex takes its parameters by name": (
        lambda: b"abcd",
        lambda m: m.hex(sep=":", bytes_per_sep=2),
    ),
    "what its owner may change has no hash": (
        lambda: bytearray(b"a"),
        lambda m: hash(m.toreadonly()),
    ),
    "an element of format c takes a byte": (
        lambda: bytearray(1),
        lambda m: (m.cast("c").__setitem__(0, b"a"), m.tolist())[1],
    ),
    "a number takes no bytes": (lambda: bytearray(1), lambda m: m.__setitem__(0, b"a")),
    "a negative size in a cast is a ValueError": (
        lambda: bytes(6),
        lambda m: m.cast("b", [-2, -3]),
    ),
    "65 dimensions in a cast are a ValueError": (lambda: bytes(1), lambda m: m.cast("b", [1] * 65)),
    "rank 0 is not reversed": (lambda: np.array(1), lambda m: list(reversed(m))),
    "the byte order of numbers does not count": (
        lambda: np.array([1, 2], ">i4"),
        lambda m: m == np.array([1, 2], "<i4"),
    ),
    "numbers of another byte order and another dtype are compared as numbers": (
        lambda: np.array([1, 2], ">i4"),
        lambda m: (m == np.array([1, 2], ">f8"), m == np.array([1, 3], "<i8")),
    ),
    "NaN in another byte order equals nothing": (
        lambda: np.array([np.nan], ">f8"),
        lambda m: m == np.array([np.nan], ">f8"),
    ),
    "characters of ctypes are bytes": (
        lambda: (ctypes.c_char * 3)(b"a", b"b"),
        lambda m: m.cast("B").cast("c").tolist(),
    ),
    "a view that was hashed keeps its hash": (
        lambda: b"abc",
        lambda m: (hash(m), m.release(), hash(m) == hash(b"abc")),
    ),
    "a view that was not hashed has none after its release": (
        lambda: b"abc",
        lambda m: (m.release(), hash(m)),
    ),
    "suboffsets of a released view": (lambda: b"a", lambda m: (m.release(), m.suboffsets)),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_view_does_as_memoryview_does(name: str) -> None:
    make, act = ALIKE[name]
    ours, theirs = outcome(act, nl.view(make())), outcome(act, memoryview(make()))
    assert ours == theirs
