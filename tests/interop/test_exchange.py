"""Views of everything that has memory, handed to everything that takes it, without a copy."""

from __future__ import annotations

import array as stdlib_array
import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers import buffers
from tests.helpers.buffers import pointer
from tests.helpers.consumers import CONSUMERS, from_dlpack, memory
from tests.helpers.layouts import LAYOUTS, make
from tests.helpers.programs import run

import ndlens as nl

# Every dtype that NumPy and torch both have.
SHARED_DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


def address(obj: Any) -> int:
    return obj.data_ptr() if isinstance(obj, torch.Tensor) else obj.ctypes.data


def byte_strides(obj: Any) -> tuple[int, ...]:
    if isinstance(obj, torch.Tensor):
        return tuple(stride * obj.itemsize for stride in obj.stride())
    return tuple(obj.strides)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_what_a_view_is_handed_to_uses_the_same_memory(consumer: str, layout: str) -> None:
    for dtype in SHARED_DTYPES:
        array, view = make(dtype, layout)
        out = CONSUMERS[consumer](view)
        assert tuple(out.shape) == array.shape
        assert str(out.dtype).removeprefix("torch.") == array.dtype.name
        if array.size == 0:
            continue
        assert address(out) == array.ctypes.data
        walked = [axis for axis, n in enumerate(array.shape) if n > 1]
        assert [byte_strides(out)[axis] for axis in walked] == [
            array.strides[axis] for axis in walked
        ]
        first, last = (0,) * array.ndim, (-1,) * array.ndim
        for at, value in ((first, 1), (last, 0), (first, 0), (last, 1)):
            out[at] = value
            assert array[at] == value
            assert view[(*at, ...)].tolist() == value
            array[at] = 1 - value
            assert out[at] == 1 - value


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [d for d in SHARED_DTYPES if not d.startswith("c")])
def test_a_memoryview_uses_the_same_memory(dtype: str, layout: str) -> None:
    array, view = make(dtype, layout)
    out, expected = memory(view), memory(array)
    for name in ("format", "itemsize", "ndim", "shape", "nbytes", "readonly"):
        assert getattr(out, name) == getattr(expected, name), name
    assert out.obj is view
    assert out.tobytes() == array.tobytes()
    if array.size:
        assert out.strides == array.strides
        assert (out.c_contiguous, out.f_contiguous, out.contiguous) == (
            expected.c_contiguous,
            expected.f_contiguous,
            expected.contiguous,
        )
        assert pointer(out) == pointer(view) == array.ctypes.data
        last = tuple(n - 1 for n in array.shape)
        # CPython's memoryview names no element of half precision.
        elements = np.asarray(out) if dtype == "f2" else out
        for value in (1, 0):
            elements[last] = value
            assert array[last] == value
            array[last] = 1 - value
            assert elements[last] == 1 - value


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_nothing_goes_through_every_door(shape: tuple[int, ...]) -> None:
    view = nl.view(np.zeros(shape, np.float32))
    assert view.tolist() == np.zeros(shape).tolist()
    for consume in CONSUMERS.values():
        assert tuple(consume(view).shape) == shape
        assert tuple(consume(view.copy()).shape) == shape


# In


class Legacy:
    """A producer from before DLPack 1.0: `__dlpack__` knows no keyword but stream."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __dlpack__(self, stream: None = None) -> Any:
        return self.tensor.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_float), ("n", ctypes.c_int32))


def numbers_mmap() -> mmap.mmap:
    mapped = mmap.mmap(-1, 6)
    mapped[:] = bytes(range(6))
    return mapped


SIX = bytes(range(6))
SOURCES: dict[str, tuple[Callable[[], Any], str, Any, bool]] = {
    "bytes": (lambda: SIX, "uint8", [0, 1, 2, 3, 4, 5], True),
    "bytearray": (lambda: bytearray(SIX), "uint8", [0, 1, 2, 3, 4, 5], False),
    "empty bytes": (lambda: b"", "uint8", [], True),
    "mmap": (numbers_mmap, "uint8", [0, 1, 2, 3, 4, 5], False),
    "memoryview": (
        lambda: memory(bytearray(SIX)).cast("B", (2, 3)),
        "uint8",
        [[0, 1, 2], [3, 4, 5]],
        False,
    ),
    "memoryview cast to i": (lambda: memory(bytes(8)).cast("i", (2, 1)), "int32", [[0], [0]], True),
    "memoryview backwards": (lambda: memory(SIX)[::-2], "uint8", [5, 3, 1], True),
    "memoryview of chars": (lambda: memory(b"abc").cast("c"), "c", [b"a", b"b", b"c"], True),
    "ctypes": (lambda: (ctypes.c_int32 * 3)(1, 2, 3), "int32", [1, 2, 3], False),
    "ctypes of rank 2": (
        lambda: ((ctypes.c_double * 2) * 2).from_buffer(bytearray(np.array([1.0, 2, 3, 4]))),
        "float64",
        [[1.0, 2.0], [3.0, 4.0]],
        False,
    ),
    "ctypes of rank 0": (lambda: ctypes.c_uint16(7), "uint16", 7, False),
    "numpy": (
        lambda: np.arange(6, dtype="f4").reshape(2, 3),
        "float32",
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
        False,
    ),
    "numpy of rank 0": (lambda: np.array(1.5), "float64", 1.5, False),
    "numpy scalar": (lambda: np.float64(2.5), "float64", 2.5, True),
    "numpy in Fortran order": (
        lambda: np.asfortranarray([[1, 2], [3, 4]]),
        "int64",
        [[1, 2], [3, 4]],
        False,
    ),
    "torch": (lambda: torch.arange(6).reshape(2, 3), "int64", [[0, 1, 2], [3, 4, 5]], False),
    "torch transposed": (
        lambda: torch.arange(4.0).reshape(2, 2).T,
        "float32",
        [[0.0, 2.0], [1.0, 3.0]],
        False,
    ),
    "torch expanded": (
        lambda: torch.tensor([7]).expand(2, 3),
        "int64",
        [[7, 7, 7], [7, 7, 7]],
        False,
    ),
    "torch of rank 0": (lambda: torch.tensor(True), "bool", True, False),
    "torch of size 0": (lambda: torch.zeros(2, 0), "float32", [[], []], False),
    "torch bfloat16": (
        lambda: torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "bfloat16",
        [1.5, -2.0],
        False,
    ),
    "old DLPack": (lambda: Legacy(torch.arange(3)), "int64", [0, 1, 2], False),
    "a view": (lambda: nl.view(SIX), "uint8", [0, 1, 2, 3, 4, 5], True),
    **{
        f"array.array of {code}": (
            lambda code=code: stdlib_array.array(code, [1, 2, 3]),  # type: ignore[misc]
            np.dtype(code).name,
            [1, 2, 3],
            False,
        )
        for code in "bBhHiIlLqQfd"
    },
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_view_shows_what_its_source_holds(source: str) -> None:
    obj, dtype, values, readonly = SOURCES[source][0](), *SOURCES[source][1:]
    view = nl.view(obj)
    assert (view.dtype, view.tolist(), view.readonly) == (dtype, values, readonly)
    assert view.shape == np.shape(values)
    tensor = obj.tensor if isinstance(obj, Legacy) else obj
    if isinstance(tensor, torch.Tensor):
        if view.size:
            assert view.strides == byte_strides(tensor)
            assert view.torch().data_ptr() == tensor.data_ptr()
    elif view.size:
        assert pointer(view) == pointer(obj)


@pytest.mark.parametrize(
    "source",
    [
        name
        for name, (_, _, values, readonly) in SOURCES.items()
        if not readonly and np.size(values)
    ],
)
def test_a_write_to_a_view_arrives_at_its_source(source: str) -> None:
    obj = SOURCES[source][0]()
    view = nl.view(obj)
    at = (0,) * view.ndim
    before = view.tolist()
    changed = not before if view.dtype == "bool" else np.asarray(before)[at] + 1
    view.torch()[at] = changed.item() if isinstance(changed, np.generic) else changed
    assert np.asarray(nl.view(obj).tolist())[at] == changed
    assert nl.view(obj).tolist() == view.tolist() != before


def test_a_ctypes_record_passes_through() -> None:
    points = (Point * 3)(Point(0, 1), Point(2, 3), Point(4, 5))
    view = nl.view(points)[::-1]
    assert (view.shape, view.strides, view.itemsize) == ((3,), (-8,), 8)
    assert view.numpy()["n"].tolist() == [5, 3, 1]
    view.numpy()["n"] = 9
    assert [point.n for point in points] == [9, 9, 9]


def test_bfloat16_comes_from_torch_and_goes_back() -> None:
    tensor = torch.arange(12, dtype=torch.bfloat16).reshape(3, 4)
    view = nl.view(tensor)[:, 1::2]
    assert (view.dtype, view.format, view.itemsize, view.strides) == ("bfloat16", None, 2, (8, 4))
    back = view.torch()
    assert back.dtype == torch.bfloat16
    assert torch.equal(back, tensor[:, 1::2])
    assert back.data_ptr() == tensor.data_ptr() + 2
    back[1, 1] = 100
    assert tensor[1, 3] == 100
    assert view[1, 1] == 100
    assert torch.equal(view.copy().torch(), back)


@pytest.mark.parametrize(
    "name", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]
)
def test_eight_bit_floats_come_from_torch_and_go_back(name: str) -> None:
    tensor = torch.tensor([1.0, 2.0, 4.0, 8.0]).to(getattr(torch, name))
    view = nl.view(tensor)[::2]
    assert view.dtype == name
    assert view.torch().dtype == tensor.dtype
    assert view.torch().float().tolist() == [1.0, 4.0]
    assert view.torch().data_ptr() == tensor.data_ptr()


def test_python_objects_are_not_copied_behind_their_reference_counts() -> None:
    script = """
        import numpy as np, ndlens as nl
        objects = np.array([[i] for i in range(1000)] + [None], dtype=object)[:-1]
        try:
            copy = nl.view(objects).copy().numpy()
        except (TypeError, ValueError, BufferError):
            raise SystemExit
        before = [list(item) for item in objects]
        del objects
        replaced = [[-1] for _ in range(1000)]
        assert [list(item) for item in copy] == before
    """
    assert run(script) == (0, "", "")


def test_what_cannot_be_viewed_is_refused_with_its_own_reason() -> None:
    released = memory(b"abc")
    released.release()
    with pytest.raises(ValueError, match="operation forbidden on released memoryview object"):
        nl.view(released)


def test_a_buffer_with_sub_offsets_is_refused() -> None:
    testbuffer = pytest.importorskip(
        "_testbuffer", reason="only some builds of CPython ship their test modules"
    )
    scattered = testbuffer.ndarray(
        list(range(6)), shape=[2, 3], format="B", flags=testbuffer.ND_PIL
    )
    with pytest.raises(BufferError) as caught:
        nl.view(scattered)
    assert (
        str(caught.value)
        == "buffer has sub-offsets (a PIL-style array of pointers): its elements are not at"
        " strides; copy it first"
    )


def test_a_buffer_without_shape_or_strides_is_read_as_pep_3118_says() -> None:
    source = (ctypes.c_int32 * 6)(*range(6))
    for ndim in (0, 1, 2):
        sizes = (ctypes.c_ssize_t * 2)(2, 3)
        buffer = buffers.PyBuffer(
            buf=ctypes.addressof(source),
            len=4 if ndim == 0 else 24,
            itemsize=4,
            ndim=ndim,
            format=b"i",
            shape=sizes if ndim == 2 else None,
        )
        memory = buffers.memoryview_from_buffer(ctypes.byref(buffer))
        view = nl.view(memory)
        assert view.tolist() == [0, [0, 1, 2, 3, 4, 5], [[0, 1, 2], [3, 4, 5]]][ndim]


# Read-only


def test_read_only_memory_stays_read_only_wherever_it_goes() -> None:
    frozen = np.arange(6)
    frozen.flags.writeable = False
    for source in (
        bytes(6),
        memory(bytearray(6)).toreadonly(),
        frozen,
        nl.view(bytearray(6)).toreadonly(),
    ):
        view = nl.view(source)
        for made in (
            view,
            view[1:],
            view[None],
            view.flip(),
            view.windows(2),
            view.reshape(2, 3),
            view.permute(0),
        ):
            assert made.readonly
            assert repr(made).endswith(" readonly>")
            assert memory(made).readonly
            for out in (made.numpy(), np.asarray(made), np.from_dlpack(made)):
                assert not out.flags.writeable
                with pytest.raises(ValueError, match="read-only"):
                    out[0] = 1
        assert not view.copy().readonly
    assert frozen.tolist() == [0, 1, 2, 3, 4, 5]


def test_toreadonly_leaves_the_view_it_came_from_as_it_was() -> None:
    view = nl.view(bytearray(3))
    assert view.toreadonly().readonly
    assert not view.readonly
    view.torch()[0] = 7
    assert view.toreadonly()[0] == 7


READ_ONLY_TEXT = (
    'torch() needs writable memory, but the view is read-only; open the file with mode="c"'
    ' (copy-on-write), call .copy() first, or pass readonly="allow" and never write to the tensor'
)


def test_torch_is_not_given_read_only_memory_unless_told_to() -> None:
    data = bytes(range(6))
    view = nl.view(data)
    with pytest.raises(nl.ReadOnlyError) as caught:
        view.torch()
    assert str(caught.value) == READ_ONLY_TEXT
    assert isinstance(caught.value, BufferError)
    assert isinstance(caught.value, TypeError)
    allowed = view.torch(readonly="allow")
    assert (allowed.data_ptr(), allowed.tolist()) == (pointer(data), list(data))
    assert view.copy().torch().tolist() == list(data)


def test_torch_itself_ignores_that_memory_is_read_only() -> None:
    # The reason for ReadOnlyError: the day this fails, torch can be handed read-only views.
    tensor = from_dlpack(nl.view(bytes(6)))
    assert not hasattr(tensor, "readonly")


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (lambda v: v.flip(0), "axis 0 has the negative stride -24"),
        (lambda v: v[:, ::-2], "axis 1 has the negative stride -8"),
        (lambda v: v[:, ::-1].permute(1, 0), "axis 0 has the negative stride -4"),
    ],
)
def test_torch_is_told_to_copy_what_runs_backwards(
    turn: Callable[[nl.View], nl.View], message: str
) -> None:
    view = turn(nl.view(np.arange(24, dtype="i4").reshape(4, 6)))
    with pytest.raises(nl.CopyRequired) as caught:
        view.torch()
    assert str(caught.value) == f"torch() would need a copy: {message}; call .copy() first"
    assert isinstance(caught.value, BufferError)
    assert isinstance(caught.value, ValueError)
    assert view.copy().torch().tolist() == view.numpy().tolist() == np.from_dlpack(view).tolist()


def test_a_negative_stride_that_nobody_walks_needs_no_copy() -> None:
    array = np.arange(12).reshape(3, 4)
    for view in (nl.view(array)[1:2].flip(0), nl.view(array)[::-3], nl.view(array)[1:1].flip(0, 1)):
        assert tuple(view.torch().shape) == view.shape
        assert view.torch().tolist() == view.tolist()


def test_strides_off_the_itemsize_need_a_copy_for_dlpack() -> None:
    records = np.zeros(4, [("x", "<f4"), ("y", "<i2")])
    records["x"] = range(4)
    view = nl.view(records["x"])
    assert view.numpy().ctypes.data == records.ctypes.data
    for consume in (nl.View.torch, nl.View.__dlpack__, from_dlpack, np.from_dlpack):
        with pytest.raises(nl.CopyRequired) as caught:
            consume(view)
        assert (
            str(caught.value)
            == "DLPack export would need a copy: axis 0 has a stride of 6 bytes, not a multiple of"
            " the itemsize 4; call .copy() first"
        )
    assert view.copy().torch().tolist() == [0, 1, 2, 3]
