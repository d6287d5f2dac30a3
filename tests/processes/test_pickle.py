"""A pickled view is a handle if others can find the memory, and its elements if not."""

from __future__ import annotations

import copy
import os
import pickle
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import distributed.protocol
import joblib
import numpy as np
import pytest
import torch
from tests.helpers import buffers
from tests.helpers.programs import Peer, run_file

import ndlens as nl
from ndlens import _ndlens

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
NUMPY_DTYPES = ["?", "u1", "i2", "<f2", "f4", "c8", "c16", ">f4", ">i8", "U3", "S5", "V7"]
RECORD = [("x", "<f4"), ("name", "U2"), ("y", ">i2", (2,))]
NAMES = [
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
]


def with_dtype(dtype: Any) -> nl.View:
    """Elements of any dtype, shape (2, 3, 4), in memory of Python's."""
    if isinstance(dtype, str) and dtype in NAMES:
        itemsize = 2 if dtype == "bfloat16" else 1
        data = bytearray(random.Random(0).randbytes(24 * itemsize))
        return nl.view(data).reinterpret(dtype).reshape(2, 3, 4)
    dtype = np.dtype(dtype)
    data = bytearray(random.Random(0).randbytes(24 * dtype.itemsize))
    if dtype.kind in "?U":
        data = bytearray(len(data))
    return nl.view(np.frombuffer(data, dtype).reshape(2, 3, 4))


LAYOUTS: dict[str, Callable[[nl.View], nl.View]] = {
    "as it is": lambda v: v,
    "Fortran order": lambda v: v.permute(2, 1, 0),
    "a slice with gaps": lambda v: v[:, ::2, 1:3],
    "backwards": lambda v: v[::-1, ..., ::-1],
    "one element": lambda v: v[1:, 1:2, 3:][0].reshape(()),
    "no elements": lambda v: v[:, 3:],
    "broadcast": lambda v: v[:, :1].broadcast_to(2, 3, 4),
    "read-only": lambda v: v.toreadonly(),
}


def assert_same(got: nl.View, expected: nl.View) -> None:
    assert (got.shape, got.dtype, got.format) == (expected.shape, expected.dtype, expected.format)
    assert got.tobytes() == expected.tobytes()
    assert got.readonly == expected.readonly


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [*NUMPY_DTYPES, RECORD, *NAMES], ids=str)
def test_every_dtype_and_layout_comes_back_by_every_protocol(dtype: Any, layout: str) -> None:
    view = LAYOUTS[layout](with_dtype(dtype))
    shared = LAYOUTS[layout](nl.share(with_dtype(dtype)))
    for protocol in PROTOCOLS:
        assert_same(pickle.loads(pickle.dumps(view, protocol)), view)
        again = pickle.loads(pickle.dumps(shared, protocol))
        assert_same(again, shared)
        assert (again.strides, again.readonly) == (shared.strides, shared.readonly)
    out_of_band: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(view, 5, buffer_callback=out_of_band.append)
    assert_same(pickle.loads(stream, buffers=out_of_band), view)


@pytest.mark.parametrize("order", ["C", "F"])
def test_protocol_5_takes_packed_memory_out_of_band_and_copies_nothing(order: Any) -> None:
    array = np.asarray(np.arange(24, dtype="f4").reshape(4, 6), order=order)
    view = nl.view(array)
    out_of_band: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(view, 5, buffer_callback=out_of_band.append)
    assert len(stream) < 200
    (buffer,) = out_of_band
    assert buffers.pointer(buffer.raw()) == array.ctypes.data
    again = pickle.loads(stream, buffers=out_of_band)
    assert nl.shares_memory(again, array)
    assert (again.strides, again.readonly) == (view.strides, False)
    array[1, 2] = 99
    assert again[1, 2] == 99


def test_only_selected_elements_are_sent() -> None:
    view = nl.view(np.arange(1_000_000, dtype="f8").reshape(1000, 1000))[::100, 3]
    out_of_band: list[pickle.PickleBuffer] = []
    pickle.dumps(view, 5, buffer_callback=out_of_band.append)
    assert [buffer.raw().nbytes for buffer in out_of_band] == [80]
    for protocol in PROTOCOLS[2:]:
        assert len(pickle.dumps(view, protocol)) < 400


def test_a_view_is_as_writable_as_the_buffer_it_comes_back_in_and_as_it_was() -> None:
    view = nl.view(bytearray(b"abcd"))
    stream = pickle.dumps(view, 5, buffer_callback=lambda _: None)
    assert pickle.loads(stream, buffers=[b"abcd"]).readonly
    received = bytearray(b"abcd")
    writable = pickle.loads(stream, buffers=[received])
    writable[0] = ord("x")
    assert received == b"xbcd"
    stream = pickle.dumps(view.toreadonly(), 5, buffer_callback=lambda _: None)
    assert pickle.loads(stream, buffers=[received]).readonly


def test_what_others_do_with_protocol_5_copies_nothing() -> None:
    array = np.arange(100_000, dtype="f4").reshape(100, 1000)
    view = nl.view(array)
    # distributed: header and frames; a frame is the memory itself.
    header, frames = distributed.protocol.serialize(view)
    assert any(
        nl.shares_memory(frame, array)
        for frame in frames
        if memoryview(frame).nbytes == array.nbytes
    )
    again = distributed.protocol.deserialize(header, frames)
    assert nl.shares_memory(again, array)
    assert_same(again, view)
    out_of_band: list[pickle.PickleBuffer] = []
    stream = cloudpickle.dumps(view, 5, buffer_callback=out_of_band.append)
    assert nl.shares_memory(cloudpickle.loads(stream, buffers=out_of_band), array)


def test_joblib_stores_and_loads_a_view(tmp_path: Path) -> None:
    view = nl.view(np.arange(10_000, dtype="f4").reshape(100, 100))[:, ::3]
    joblib.dump({"x": view}, tmp_path / "views")
    assert_same(joblib.load(tmp_path / "views")["x"], view)


def test_a_pickled_slice_of_shared_memory_is_short_whatever_it_is_and_stays_on_that_memory() -> (
    None
):
    shared = nl.share(np.zeros((64, 32, 32, 3), "u1"))
    slices = [
        shared,
        shared[5],
        shared[::-7, 3:30:2, ::-1, 1],
        shared.permute(3, 1, 2, 0).windows(4, axis=1),
        shared[0, 0, 0].broadcast_to(2**40, 3),
        shared.reshape(*[2] * 6, *[1] * 10, -1),
    ]
    for view in slices:
        stream = pickle.dumps(view)
        assert len(stream) < 300
        again = pickle.loads(stream)
        assert (again.shape, again.strides) == (view.shape, view.strides)
        assert nl.shares_memory(again, view)
    twice = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(shared[3:]))[:, 4]))
    twice[0, 0, 0] = 9
    assert shared[3, 4, 0, 0] == 9


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "some images.npy"
    np.save(path, np.arange(6 * 4 * 5, dtype="f4").reshape(6, 4, 5))
    return path


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_a_pickled_slice_of_a_file_is_its_path_and_finds_the_mapping_that_is_there(
    images: Path, mode: Any
) -> None:
    view = nl.open(images, mode)[1:4, ::-1]
    stream = pickle.dumps(view)
    assert len(stream) < 300
    again = pickle.loads(stream)
    assert_same(again, view)
    assert nl.shares_memory(again, view)
    assert nl.shares_memory(pickle.loads(pickle.dumps(again[0, 1])), view)
    # Another mapping of the same file is another view's business.
    other = nl.open(images, mode)
    assert not nl.shares_memory(pickle.loads(stream), other)


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_other_processes_map_a_file_once_for_all_views_of_it(
    images: Path, tmp_path: Path, mode: Any
) -> None:
    view = nl.open(images, mode)
    (tmp_path / "pickle").write_bytes(
        pickle.dumps([view[i, j] for i in range(6) for j in range(4)])
    )
    with Peer() as peer:
        peer(f"views = pickle.load(open({str(tmp_path / 'pickle')!r}, 'rb'))")
        expected = [view[i, j].tolist() for i in range(6) for j in range(4)]
        assert peer("[view.tolist() for view in views]") == repr(expected)
        assert peer("{view.readonly for view in views}") == repr({mode == "r"})
        maps = "sum('some images' in line for line in open('/proc/self/maps'))"
        assert peer(maps) == "1"
        if mode == "r+":
            peer("views[0][0] = 99")
            assert view[0, 0, 0] == 99
        peer("views.clear()")
        assert peer(maps) == "0"


def test_records_in_a_file_keep_their_format(tmp_path: Path) -> None:
    np.save(tmp_path / "records.npy", np.zeros(5, RECORD))
    view = nl.open(tmp_path / "records.npy")
    again = pickle.loads(pickle.dumps(view[1:3]))
    assert again.format == view.format
    assert again.numpy().dtype == np.dtype(RECORD)


def test_changes_of_a_copy_on_write_map_stay_in_their_process(images: Path, tmp_path: Path) -> None:
    view = nl.open(images, "c")
    view[0, 0, 0] = 99
    (tmp_path / "pickle").write_bytes(pickle.dumps(view))
    with Peer() as peer:
        assert peer(f"pickle.load(open({str(tmp_path / 'pickle')!r}, 'rb'))[0, 0, 0]") == "0.0"
    assert pickle.loads(pickle.dumps(view))[0, 0, 0] == 99


def test_a_file_that_has_changed_is_a_clear_error(images: Path, tmp_path: Path) -> None:
    view = nl.open(images, "r")
    stream = tmp_path / "pickle"
    stream.write_bytes(pickle.dumps(view))
    load = f"pickle.load(open({str(stream)!r}, 'rb'))"
    with Peer() as peer:
        assert peer(load + "[0, 0, 1]") == "1.0"
        os.utime(images, ns=(0, 5))
        assert peer(load).startswith(
            f"StaleHandleError: {images}: file has changed since it was opened: its time of"
            " modification in ns is 5, "
        )
        np.save(images, np.zeros(7))
        size = images.stat().st_size
        assert peer(load).startswith(
            f"StaleHandleError: {images}: file has changed since it was opened: "
            f"its size in bytes is {size}, expected 608"
        )
        images.unlink()
        assert (
            peer(load) == f"FileNotFoundError: [Errno 2] No such file or directory: {str(images)!r}"
        )
    message = (
        rf"^{images}: the file was replaced or deleted since it was opened, so no other process can"
        r" open it; "
        r"call \.copy\(\) first$"
    )
    with pytest.raises(nl.StaleHandleError, match=message):
        pickle.dumps(view)


def test_a_file_is_found_where_it_was_moved_and_from_any_working_directory(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    view = nl.open(images.name)
    images.rename(tmp_path / "moved.npy")
    stream = pickle.dumps(view)
    (tmp_path / "pickle").write_bytes(stream)
    with Peer() as peer:
        assert peer("os.chdir('/')") == "None"
        load = f"pickle.load(open({str(tmp_path / 'pickle')!r}, 'rb'))"
        assert peer(load + ".shape") == "(6, 4, 5)"


def test_copy_gives_the_same_memory_and_deepcopy_its_own() -> None:
    for view in (
        nl.view(np.arange(24.0).reshape(4, 6)),
        nl.share(np.arange(24.0).reshape(4, 6)),
        nl.view(np.asfortranarray(np.arange(24.0).reshape(4, 6))),
        nl.view(torch.arange(24, dtype=torch.bfloat16).reshape(4, 6)),
    ):
        same, own = copy.copy(view), copy.deepcopy(view)
        assert same is not view
        assert nl.shares_memory(same, view)
        assert not nl.shares_memory(own, view)
        for other in (same, own):
            assert_same(other, view)
            assert other.strides == view.strides
        twice = copy.deepcopy([view, view])
        assert twice[0] is twice[1]
    assert copy.copy(view.toreadonly()).readonly


def test_a_released_view_cannot_be_pickled() -> None:
    view = nl.share(b"abc")
    view.release()
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ValueError, match=r"^operation forbidden on released View object$"):
            attempt(view)


def test_damaged_pickles_are_errors() -> None:
    shared = nl.share(np.arange(12, dtype="i4").reshape(3, 4))[1:, ::2]
    _, (handle,) = shared.__reduce_ex__(5)
    _, (packed, buffer) = nl.view(np.zeros((3, 4), "f4")).__reduce_ex__(4)
    for end in range(len(handle)):
        with pytest.raises(nl.FormatError, match=r"^damaged handle: "):
            _ndlens._view_of_handle(handle[:end])
    for end in range(len(packed)):
        with pytest.raises(nl.FormatError, match=r"^damaged handle: "):
            _ndlens._view_of_bytes(packed[:end], buffer)
    with pytest.raises(
        nl.FormatError, match=r"^damaged handle: it comes with 47 bytes, expected 48 in a row$"
    ):
        _ndlens._view_of_bytes(packed, buffer[:47])
    with pytest.raises(
        nl.FormatError, match=r"^damaged handle: it comes with 48 bytes, expected 48 in a row$"
    ):
        _ndlens._view_of_bytes(packed, nl.view(bytearray(96))[::2])
    with pytest.raises(TypeError, match=r"nl\.view needs an object"):
        _ndlens._view_of_bytes(packed, None)


def test_no_pickle_however_wrong_does_harm() -> None:
    """Each byte of a handle takes every value: the result is an error or a view in the memory."""
    shared = nl.share(np.arange(12, dtype="i4").reshape(3, 4))[1:, ::2]
    neighbour = nl.share(np.zeros(1000))
    _, (handle,) = shared.__reduce_ex__(5)
    opened = 0
    for at in range(len(handle)):
        for byte in range(256):
            mutant = handle[:at] + struct.pack("B", byte) + handle[at + 1 :]
            try:
                view = _ndlens._view_of_handle(mutant)
                view.tobytes() if view.size < 10_000 else view.reshape(-1)[-1]
                opened += 1
            except (ValueError, OSError, BufferError, TypeError, MemoryError):
                pass
    assert opened >= len(handle)
    assert neighbour.numpy().sum() == 0


RAY = """
    import sys
    import warnings

    import numpy as np
    import ndlens as nl

    # Not this program's: what ray imports warns.
    warnings.simplefilter("ignore")
    import ray

    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        _temp_dir=sys.argv[1],
        logging_level="error",
    )

    @ray.remote
    def look(view):
        return (
            view.readonly,
            view.shape,
            float(view.numpy().sum()),
            view.__array_interface__["data"][0] % 64,
        )

    array = np.arange(2_000_000, dtype="f4").reshape(2, 1000, 1000)
    reference = ray.put(nl.view(array))
    first, second = ray.get(reference), ray.get(reference)
    assert first.readonly and second.readonly
    # Two gets, one memory: the object store's, not a copy.
    assert nl.shares_memory(first, second) and not nl.shares_memory(first, array)
    address = first.__array_interface__["data"][0]
    ranges = [line.split() for line in open("/proc/self/maps")]
    mapped = [
        r[-2:]
        for r in ranges
        if int(r[0].split("-")[0], 16) <= address < int(r[0].split("-")[1], 16)
    ]
    assert mapped[0][0].startswith("/dev/shm/plasma"), mapped
    assert np.array_equal(first.numpy(), array)
    read_only, shape, total, misaligned = ray.get(look.remote(reference))
    assert (read_only, shape, misaligned) == (True, (2, 1000, 1000), 0)
    assert total == float(array.sum())
    # Shared memory goes as a handle.
    shared = nl.share(array)
    assert nl.shares_memory(ray.get(ray.put(shared)), shared)
    assert ray.get(look.remote(shared))[0] is False
    del first, second
    ray.shutdown()
"""


def test_ray_moves_a_view_without_a_copy(tmp_path: Path) -> None:
    # A short path: Ray has sockets there.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as sockets:
        status, _, error = run_file(tmp_path, RAY, sockets, timeout=110)
    assert status == 0, error
