"""Views in from everything that has memory and out to everything that takes it: no copy, and no dangling byte."""

from __future__ import annotations

import array as stdlib_array
import ctypes
import io
import itertools
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers import buffers
from tests.helpers.buffers import pointer
from tests.helpers.consumers import CONSUMERS, from_dlpack, memory
from tests.helpers.programs import run
from tests.helpers.strategies import Array, fill

import ndlens as nl

# Every dtype that NumPy and torch both have.
SHARED_DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]

# What to do to a view of shape (4, 5, 6), and to an array of that shape.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda x: x,
    "sliced": lambda x: x[1:, ::2, 1:5:3],
    "transposed": lambda x: x.permute(2, 0, 1) if isinstance(x, nl.View) else x.transpose(2, 0, 1),
    "new axes": lambda x: x[None, 2, ..., None],
    "windows": lambda x: (
        x.windows(3, 2, axis=2)
        if isinstance(x, nl.View)
        else np.lib.stride_tricks.sliding_window_view(x, 3, axis=2, writeable=True)[:, :, ::2]
    ),
    "size 0": lambda x: x[:, 3:3],
    "rank 0": lambda x: x[1, 2, 3, ...],
    "zero stride": lambda x: x,
}


def make(dtype: str, layout: str) -> tuple[Array, Any]:
    """An array and a view on the same memory, laid out alike."""
    base = fill(np.dtype(dtype), 4 * 5 * 6, seed=3).reshape(4, 5, 6)
    if layout == "zero stride":
        base = np.lib.stride_tricks.as_strided(base, strides=(base.strides[0], 0, base.strides[2]))
    return LAYOUTS[layout](base), LAYOUTS[layout](nl.view(base))


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


# DLPack


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({}, b"dltensor"),
        ({"max_version": None}, b"dltensor"),
        ({"max_version": (0, 8)}, b"dltensor"),
        ({"max_version": (1, 0)}, b"dltensor_versioned"),
        ({"max_version": (1, 3)}, b"dltensor_versioned"),
        ({"max_version": (2, 0)}, b"dltensor_versioned"),
        ({"stream": None, "dl_device": None, "copy": None}, b"dltensor"),
        ({"dl_device": (1, 0), "copy": False}, b"dltensor"),
        ({"copy": True}, b"dltensor"),
        ({"max_version": (1, 1), "copy": True}, b"dltensor_versioned"),
    ],
)
def test_a_capsule_is_of_the_version_asked_for(keywords: dict[str, Any], name: bytes) -> None:
    array = np.arange(12, dtype="i2").reshape(3, 4)
    view = nl.view(array)[::2, 1:]
    capsule = view.__dlpack__(**keywords)
    assert buffers.capsule_name(capsule) == name
    if name == b"dltensor_versioned":
        managed = buffers.versioned_tensor(capsule)
        assert (managed.major, managed.minor) == (1, 3)
        assert managed.flags == (buffers.IS_COPIED if keywords.get("copy") else 0)
        tensor = managed.dl_tensor
    else:
        tensor = buffers.unversioned_tensor(capsule).dl_tensor
    assert (tensor.device_type, tensor.device_id) == view.__dlpack_device__() == (1, 0)
    assert (tensor.code, tensor.bits, tensor.lanes) == (0, 16, 1)
    assert (tensor.ndim, tensor.shape[:2]) == (2, [2, 3])
    if keywords.get("copy"):
        assert tensor.strides[:2] == [3, 1]
        assert tensor.data != pointer(view)
        assert nl.view(from_dlpack(capsule)).tolist() == view.tolist()
    else:
        assert tensor.strides[:2] == [8, 1]
        assert tensor.data == pointer(view)


def test_negative_strides_go_to_those_who_ask_for_a_version_and_to_nobody_else() -> None:
    array = np.arange(12, dtype="i2").reshape(3, 4)
    view = nl.view(array)[:, ::-1]
    tensor = buffers.versioned_tensor(view.__dlpack__(max_version=(1, 0))).dl_tensor
    assert tensor.strides[:2] == [4, -1]
    assert np.from_dlpack(view).tolist() == array[:, ::-1].tolist()
    for keywords in ({}, {"max_version": None}, {"max_version": (0, 8)}):
        with pytest.raises(nl.CopyRequired) as caught:
            view.__dlpack__(**keywords)
        assert (
            str(caught.value)
            == "DLPack export without a version would need a copy: axis 1 has the negative stride"
            " -2; call .copy() first"
        )
    # An axis that is not walked runs nowhere.
    assert from_dlpack(view[:, :1].__dlpack__()).tolist() == array[:, 3:].tolist()


def test_negative_strides_go_to_nobody_where_a_torch_is_imported_that_they_would_abort() -> None:
    script = """
        import sys, types
        import numpy as np
        import ndlens as nl

        def outcome():
            try:
                return np.from_dlpack(nl.view(bytes(3))[::-1]).tolist()
            except nl.CopyRequired as error:
                return str(error)

        torch = sys.modules["torch"] = types.ModuleType("torch")
        for version in ("2.9.0", "2.12.1+cu126", "1.13.0"):
            torch.__version__ = version
            assert outcome() == (
                "DLPack export where PyTorch before 2.13 is imported would need a copy: "
                "axis 0 has the negative stride -1; call .copy() first"
            ), outcome()
            assert np.asarray(nl.view(bytes(3))[::-1]).tolist() == [0, 0, 0]
            assert np.from_dlpack(nl.view(bytes(3))).tolist() == [0, 0, 0]
        for version in ("2.13.0", "3.0.0a0", "unknown"):
            torch.__version__ = version
            assert outcome() == [0, 0, 0], outcome()
        del sys.modules["torch"]
        assert outcome() == [0, 0, 0]
    """
    assert run(script) == (0, "", "")


def test_what_torch_says_of_negative_strides_is_an_exception() -> None:
    script = """
        import torch
        import ndlens as nl
        for take in (torch.from_dlpack, lambda v: torch.from_dlpack(v.__dlpack__()), lambda v: v.torch()):
            try:
                take(nl.view(bytearray(3))[::-1])
            except (RuntimeError, BufferError) as error:
                pass
            else:
                raise SystemExit("taken")
    """
    assert run(script) == (0, "", "")


def test_a_capsule_says_that_memory_is_read_only() -> None:
    view = nl.view(bytes(4))
    flags = [
        buffers.versioned_tensor(view.__dlpack__(max_version=(1, 0), copy=copy)).flags
        for copy in (None, False, True)
    ]
    assert flags == [buffers.READ_ONLY, buffers.READ_ONLY, buffers.IS_COPIED]
    assert buffers.capsule_name(view.__dlpack__(copy=True)) == b"dltensor"


def test_an_old_consumer_is_not_given_read_only_memory() -> None:
    for version in (None, (0, 8)):
        with pytest.raises(nl.ReadOnlyError) as caught:
            nl.view(bytes(4)).__dlpack__(max_version=version)
        assert (
            str(caught.value)
            == "DLPack export without a version needs writable memory, but the view is read-only; "
            "ask for max_version=(1, 0) or later, or call .copy() first"
        )


def test_a_device_or_stream_that_the_cpu_has_not_is_refused() -> None:
    view = nl.view(bytearray(4))
    with pytest.raises(BufferError) as refused:
        view.__dlpack__(dl_device=(2, 0))
    assert str(refused.value) == "view is on the CPU, dl_device (1, 0), and was asked for on (2, 0)"
    stream: Any = 1
    with pytest.raises(ValueError, match=r"^stream must be None for memory on the CPU, got 1$"):
        view.__dlpack__(stream=stream)


def test_a_copy_through_dlpack_is_the_consumers_own() -> None:
    array = np.arange(6)
    view = nl.view(array)
    for out in (np.from_dlpack(view, copy=True), from_dlpack(view, copy=True)):
        out[:] = 9
    assert array.tolist() == [0, 1, 2, 3, 4, 5]
    shared = np.from_dlpack(view, copy=False, device="cpu")
    shared[0] = 7
    assert array[0] == 7


def test_a_capsule_is_consumed_once() -> None:
    view = nl.view(bytearray(4))
    capsule = view.__dlpack__(max_version=(1, 0))
    from_dlpack(capsule)
    assert buffers.capsule_name(capsule) == b"used_dltensor_versioned"
    with pytest.raises(RuntimeError):
        from_dlpack(capsule)


def test_a_view_takes_over_the_capsule_it_is_given() -> None:
    class Producer:
        def __init__(self, capsule: Any) -> None:
            self.capsule = capsule

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, **keywords: Any) -> Any:
            return self.capsule

    for version, used in ((None, b"used_dltensor"), ((1, 0), b"used_dltensor_versioned")):
        producer = Producer(nl.view(bytearray(b"abc")).__dlpack__(max_version=version))
        assert nl.view(producer).tobytes() == b"abc"
        assert buffers.capsule_name(producer.capsule) == used
        with pytest.raises(BufferError, match=r"^__dlpack__ gave no capsule with a tensor in it$"):
            nl.view(producer)
    with pytest.raises(BufferError, match=r"^__dlpack__ gave no capsule with a tensor in it$"):
        nl.view(Producer("no capsule"))


def test_a_tensor_elsewhere_is_not_viewed() -> None:
    class OnTheGpu:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 1)

        def __dlpack__(self, **keywords: Any) -> Any:
            raise AssertionError("not to be called")

    with pytest.raises(
        BufferError, match=r"^tensor is on DLPack device \(2, 1\); ndlens views memory on the CPU$"
    ):
        nl.view(OnTheGpu())


def test_a_tensor_in_pinned_memory_is_viewed() -> None:
    """`torch.Tensor.__dlpack_device__` says `kDLCUDAHost` of memory that is pinned for a GPU."""

    class Pinned:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (3, 0)

        def __dlpack__(self, **keywords: Any) -> Any:
            return nl.view(bytearray(b"abc")).__dlpack__(max_version=(1, 0))

    assert nl.view(Pinned()).tobytes() == b"abc"


# The buffer protocol's flags

REQUESTS = {
    "SIMPLE": buffers.SIMPLE,
    "ND": buffers.ND,
    "STRIDES": buffers.STRIDES,
    "C_CONTIGUOUS": buffers.C_CONTIGUOUS,
    "F_CONTIGUOUS": buffers.F_CONTIGUOUS,
    "ANY_CONTIGUOUS": buffers.ANY_CONTIGUOUS,
    "INDIRECT": buffers.INDIRECT,
}


@pytest.mark.parametrize("layout", [*LAYOUTS, "Fortran order", "flipped"])
@pytest.mark.parametrize("flags", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_buffer_request_is_answered_as_memoryview_answers_it(flags: int, layout: str) -> None:
    if layout == "Fortran order":
        array = np.asfortranarray(fill(np.dtype("i4"), 6, seed=5).reshape(2, 3))
        view = nl.view(array)
    elif layout == "flipped":
        array = fill(np.dtype("i4"), 6, seed=5)[::-1]
        view = nl.view(array)
    else:
        array, view = make("i4", layout)
    for extra, readonly in itertools.product((0, buffers.WRITABLE, buffers.FORMAT), (False, True)):
        if extra == buffers.FORMAT and not flags & buffers.ND:
            continue  # CPython refuses what PEP 3118 allows
        mine, theirs = (
            (view.toreadonly(), memory(array).toreadonly()) if readonly else (view, memory(array))
        )
        try:
            with buffers.request(theirs, flags | extra) as expected:
                fields = describe(expected)
        except BufferError:
            with pytest.raises(BufferError), buffers.request(mine, flags | extra):
                pass
        else:
            with buffers.request(mine, flags | extra) as got:
                assert describe(got) == fields


def describe(buffer: buffers.PyBuffer) -> dict[str, Any]:
    ndim = buffer.ndim
    nothing = buffer.len == 0
    # The strides of axes that nobody walks may be anything.
    walked = [
        buffer.strides[axis]
        for axis in range(ndim)
        if buffer.strides and buffer.shape[axis] > 1 and not nothing
    ]
    return {
        "buf": None if nothing else buffer.buf,
        "len": buffer.len,
        "itemsize": buffer.itemsize,
        "readonly": buffer.readonly,
        "ndim": ndim,
        "format": buffer.format,
        "shape": buffer.shape[:ndim] if buffer.shape else None if ndim else [],
        "strides": walked if buffer.strides else None if ndim else [],
        "suboffsets": bool(buffer.suboffsets),
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            buffers.SIMPLE,
            (
                "view is not C-contiguous and the buffer was asked for without strides; call"
                " .copy() first"
            ),
        ),
        (
            buffers.ND,
            (
                "view is not C-contiguous and the buffer was asked for without strides; call"
                " .copy() first"
            ),
        ),
        (buffers.C_CONTIGUOUS, "view is not C-contiguous; call .copy() first"),
        (buffers.F_CONTIGUOUS, "view is not Fortran-contiguous; call .copy() first"),
        (buffers.ANY_CONTIGUOUS, "view is not contiguous; call .copy() first"),
        (buffers.WRITABLE, "view is read-only, but a writable buffer was asked for"),
        (buffers.FULL, "view is read-only, but a writable buffer was asked for"),
    ],
)
def test_a_refused_buffer_request_says_why(flags: int, message: str) -> None:
    strided = nl.view(bytes(24)).reshape(4, 6)[:, ::2]
    with pytest.raises(BufferError) as caught, buffers.request(strided, flags):
        pass
    assert str(caught.value) == message


def test_readers_of_bytes_read_a_view() -> None:
    array = np.arange(24, dtype="i2").reshape(4, 6)
    whole: Any = nl.view(array)
    strided = whole[:, ::2]
    assert bytes(whole) == array.tobytes()
    assert bytes(strided) == array[:, ::2].tobytes()
    assert b"".join([whole]) == array.tobytes()
    written = io.BytesIO()
    written.write(whole)
    assert written.getvalue() == array.tobytes()
    assert io.BytesIO(b"\1" * 8).readinto(whole[0]) == 8
    assert array[0].tolist() == [257, 257, 257, 257, 4, 5]
    assert np.frombuffer(whole, "i2").tolist() == array.ravel().tolist()
    assert torch.frombuffer(whole, dtype=torch.int16).data_ptr() == array.ctypes.data
    with pytest.raises((BufferError, ValueError), match="contiguous"):
        np.frombuffer(strided, "i2")
    with pytest.raises(BufferError, match="asked for without strides"):
        io.BytesIO().write(strided)
    with pytest.raises((BufferError, TypeError), match="read"):
        io.BytesIO(bytes(8)).readinto(nl.view(bytes(8))[...])
