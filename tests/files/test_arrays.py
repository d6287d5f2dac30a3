"""What `nl.open` promises of files of several arrays (`.safetensors`, `.npz`) and of raw bytes."""

from __future__ import annotations

import gc
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from tests.helpers.buffers import pointer
from tests.helpers.loading import succeeds
from tests.helpers.opened import open_arrays
from tests.helpers.programs import total
from tests.helpers.samples import DTYPES
from torch.multiprocessing import get_context

import ndlens as nl

MODES: list[Any] = ["r", "c", "r+"]


def model() -> dict[str, torch.Tensor]:
    return {
        "weight": torch.arange(6.0).reshape(2, 3),
        "bias": torch.ones(3, dtype=torch.int64),
        "größe/0": torch.zeros(2, 0, dtype=torch.uint8),
        "scalar": torch.tensor(7, dtype=torch.int16),
    }


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(model(), path)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    np.savez(
        path,
        np.arange(5),
        weight=np.arange(6.0).reshape(2, 3),
        fortran=np.asfortranarray(np.eye(3)),
    )
    return path


def addresses(view: nl.View) -> tuple[int, int]:
    return pointer(view), pointer(view) + view.nbytes


# The mapping.


def test_ipython_completes_the_names_of_arrays(tensors: Path, archive: Path) -> None:
    for path in (tensors, archive):
        arrays = open_arrays(path)
        assert arrays._ipython_key_completions_() == list(arrays)


@pytest.mark.parametrize("mode", MODES)
def test_a_safetensors_file_is_a_mapping_of_its_tensors(mode: Any, tensors: Path) -> None:
    arrays = nl.open(tensors, mode)
    assert isinstance(arrays, Mapping)
    assert type(arrays) is nl.Arrays
    with safe_open(tensors, "pt") as file:
        assert set(arrays) == set(arrays.keys()) == set(file.keys())
    assert len(arrays) == 4
    assert "weight" in arrays
    assert "nothing" not in arrays
    anything: Any = 3
    assert anything not in arrays
    expected = model()
    for name, view in arrays.items():
        assert view.readonly == (mode == "r")
        assert torch.equal(view.torch(readonly="allow"), expected[name])
    assert arrays.get("nothing") is None
    assert {**arrays}.keys() == expected.keys()
    assert arrays.path == str(tensors)
    assert repr(arrays) == f"<ndlens.Arrays {str(tensors)!r} arrays=4>"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_of_safetensors_is_the_tensor_that_was_saved(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    path = tmp_path / "one.safetensors"
    tensor = (
        torch.arange(24, dtype=torch.uint8).view(dtype)
        if dtype != torch.bool
        else torch.ones(3).bool()
    )
    save_file({"x": tensor}, path)
    view = nl.open(path)["x"]
    assert view.dtype == str(dtype).removeprefix("torch.")
    assert view.tobytes() == tensor.contiguous().view(torch.uint8).numpy().tobytes()
    assert view.torch().dtype == dtype


def test_safetensors_written_from_numpy_open_too(tmp_path: Path) -> None:
    path = tmp_path / "any name at all"
    save_numpy({"x": np.arange(3, dtype=np.uint16)}, path)
    assert nl.open(path)["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_stored_npz_is_a_mapping_of_its_members_mapped_in_place(mode: Any, archive: Path) -> None:
    arrays = nl.open(archive, mode)
    with np.load(archive) as expected:
        assert sorted(arrays) == sorted(expected.files)
        for name, array in expected.items():
            got = arrays[name].numpy()
            assert (got.dtype, got.strides) == (array.dtype, array.strides)
            assert np.array_equal(got, array)
            assert arrays[name].readonly == (mode == "r")


def test_all_views_are_views_of_one_map(tensors: Path, archive: Path) -> None:
    for path in (tensors, archive):
        arrays = open_arrays(path)
        views = list(arrays.values())
        lowest = min(addresses(view)[0] for view in views if view.nbytes)
        highest = max(addresses(view)[1] for view in views)
        assert highest - lowest <= path.stat().st_size
        assert nl.shares_memory(arrays["weight"], arrays["weight"])
        arrays["weight"][0, 0] = 100
        assert arrays["weight"][0, 0] == 100
        assert nl.open(path)["weight"][0, 0] == 0


def test_a_map_holds_no_descriptor_and_is_gone_with_the_last_view(tensors: Path) -> None:
    def held() -> tuple[int, bool]:
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return descriptors, str(tensors) in Path("/proc/self/maps").read_text()

    gc.collect()
    before, _ = held()
    arrays = nl.open(tensors)
    views = [arrays["weight"], arrays["bias"]]
    assert held() == (before, True)
    del arrays
    assert views[0][1, 2] == 5
    assert held() == (before, True)
    del views
    gc.collect()
    assert held() == (before, False)


def test_read_write_writes_into_a_safetensors_file(tensors: Path) -> None:
    nl.open(tensors, "r+")["weight"].torch()[1] = -1
    assert load_file(tensors)["weight"].tolist() == [[0, 1, 2], [-1, -1, -1]]


def test_an_archive_cannot_be_written_in_place_since_its_checksums_would_be_wrong(
    archive: Path,
) -> None:
    with pytest.raises(
        ValueError, match=r"data.npz: mode \"r\+\" would leave the archive's checksums wrong; "
    ) as e:
        nl.open(archive, "r+")
    assert type(e.value) is ValueError


def test_a_name_that_is_not_there_is_a_key_error_that_says_which_are(tensors: Path) -> None:
    arrays = nl.open(tensors)
    with pytest.raises(KeyError) as raised:
        arrays["w"]
    text = f'{tensors}: no array "w"; it has "bias", "weight", "scalar", "größe/0"'
    assert raised.value.args == (text,)
    with pytest.raises(KeyError):
        arrays[3]


# Copies.


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_copy_is_in_memory_of_its_own(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    fields = {
        "x": np.arange(5000.0).reshape(50, 100),
        "f": np.asfortranarray(np.eye(3)),
        "e": np.zeros((0, 3)),
    }
    save(path, **fields)
    arrays = nl.open(path, copy=True)
    read_only = nl.open(path, "r", copy=True)
    path.unlink()
    for name, array in fields.items():
        got = arrays[name].numpy()
        assert (got.dtype, got.shape, got.tolist()) == (array.dtype, array.shape, array.tolist())
        assert got.flags.f_contiguous == array.flags.f_contiguous
        assert pointer(arrays[name]) % 64 == 0
        assert not arrays[name].readonly
        assert read_only[name].readonly
    arrays["x"][0, 0] = 7
    assert arrays["x"][0, 0] == 7
    assert pickle.loads(pickle.dumps(arrays))["x"][0, 0] == 7


def test_a_copy_of_one_array_or_of_tensors_is_in_memory_of_its_own(
    tensors: Path, tmp_path: Path
) -> None:
    path = tmp_path / "array.npy"
    np.save(path, np.asfortranarray(np.arange(6).reshape(2, 3)))
    for view, its in [
        (nl.open(path, copy=True), path),
        (nl.open(tensors, copy=True)["weight"], tensors),
    ]:
        before = its.read_bytes()
        its.write_bytes(b"")
        assert view[1, 2] == 5
        its.write_bytes(before)
    assert nl.open(path, copy=True).f_contiguous
    assert nl.open(path, "r", copy=True).readonly
    raw = nl.open(path, copy=True, dtype="uint8")
    assert raw.tobytes() == path.read_bytes()


def test_a_compressed_member_says_how_it_can_be_had(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, weight=np.zeros(100))
    arrays = nl.open(path)
    assert "weight" in arrays
    with pytest.raises(nl.FormatError) as raised:
        arrays["weight"]
    text = (
        f"{path}/weight.npy: is compressed, so it cannot be mapped; decompress it into memory with"
        " copy=True"
    )
    assert str(raised.value) == text
    assert nl.open(path, copy=True)["weight"].shape == (100,)


def test_a_copy_cannot_write_to_the_file(tensors: Path) -> None:
    for dtype in (None, "uint8"):
        with pytest.raises(
            ValueError,
            match=r"^mode \"r\+\" writes to the file, which copy=True does not; expected",
        ):
            nl.open(tensors, "r+", copy=True, dtype=dtype)


def test_a_damaged_member_is_a_format_error_that_names_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        start = file.getinfo("weight.npy").header_offset
    data = bytearray(archive.read_bytes())
    at = data.index(np.arange(6.0).tobytes(), start)
    data[at + 8 : at + 16] = bytes(8)
    archive.write_bytes(data)
    with pytest.raises(
        nl.FormatError, match=rf"^{re.escape(str(archive))}/weight.npy: has the checksum"
    ):
        nl.open(archive, copy=True)["weight"]
    assert nl.open(archive, copy=True)["arr_0"].tolist() == [0, 1, 2, 3, 4]


def test_objects_in_an_archive_do_not_stand_before_the_other_members(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, good=np.arange(3), bad=np.array([{}], object))
    arrays = nl.open(path)
    assert arrays["good"].tolist() == [0, 1, 2]
    with pytest.raises(
        nl.FormatError, match=rf'^{re.escape(str(path))}/bad.npy: dtype "\|O" holds Python objects'
    ):
        arrays["bad"]


def test_members_are_found_by_the_names_numpy_gives_them(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.mkdir("folder")
        for name in ["folder/ü.npy", "no suffix", "arr_10.npy"]:
            with file.open(name, "w") as member:
                np.save(member, np.arange(3))
    arrays = open_arrays(path)
    assert list(arrays) == ["folder/ü", "no suffix", "arr_10"]
    assert [view.tolist() for view in arrays.values()] == [[0, 1, 2]] * 3


def test_of_two_members_of_one_name_numpy_s_choice_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    for names in (["x.npy", "x.npy"], ["x", "x.npy"], ["x.npy", "x"]):
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as file:
            for i, name in enumerate(names):
                with file.open(name, "w") as member:
                    np.save(member, np.full(3, i))
        with np.load(path) as expected:
            for arrays in (nl.open(path), nl.open(path, copy=True)):
                assert list(arrays) == ["x"]
                assert arrays["x"].tolist() == expected["x"].tolist()


# Other processes.


def test_what_is_pickled_is_a_handle(tensors: Path, archive: Path) -> None:
    for path in (tensors, archive):
        arrays = nl.open(path)
        assert len(pickle.dumps(arrays)) < 300
        assert len(pickle.dumps(arrays["weight"])) < 300
        again = pickle.loads(pickle.dumps(arrays))
        assert isinstance(again, nl.Arrays)
        assert list(again) == list(arrays)
        assert pointer(again["weight"]) == pointer(arrays["weight"])
        assert pointer(pickle.loads(pickle.dumps(arrays["weight"]))) == pointer(arrays["weight"])
    before = pickle.dumps(nl.open(tensors))
    save_file(model(), tensors)
    with pytest.raises(nl.StaleHandleError):
        pickle.loads(before)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_another_process_sees_the_same_file(start: str, tensors: Path) -> None:
    context: Any = get_context(start)
    arrays, queue = nl.open(tensors, "r"), context.SimpleQueue()
    process = context.Process(target=total, args=(arrays, arrays["weight"], queue))
    process.start()
    assert queue.get() == (15.0, [[0, 1, 2], [3, 4, 5]], True)
    process.join()


def test_a_loader_takes_a_file_of_fields(tmp_path: Path) -> None:
    nl.save(tmp_path / "data.safetensors", {"x": np.arange(10).reshape(5, 2), "y": np.arange(5)})
    batches = list(nl.Loader(open_arrays(tmp_path / "data.safetensors"), batch_size=3))
    assert [batch["x"].tolist() for batch in batches] == [
        [[0, 1], [2, 3], [4, 5]],
        [[6, 7], [8, 9]],
    ]
    assert [batch["y"].tolist() for batch in batches] == [[0, 1, 2], [3, 4]]


# Raw bytes.


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.bin"
    np.arange(24, dtype="<f4").tofile(path)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_raw_bytes_are_what_they_are_said_to_be(mode: Any, raw: Path) -> None:
    expected = np.arange(24, dtype="f4")
    for dtype in ["float32", np.float32, torch.float32, np.dtype("float32")]:
        assert nl.open(raw, mode, dtype=dtype).tolist() == expected.tolist()
    for shape in [(4, 6), (-1, 6), (4, -1), [2, 3, 4]]:
        view = nl.open(raw, mode, shape=shape, dtype="float32")
        assert view.tolist() == expected.reshape(shape).tolist()
        assert view.readonly == (mode == "r")
    assert nl.open(raw, mode, shape=3, dtype="float32", offset=8).tolist() == [2, 3, 4]
    assert nl.open(raw, mode, shape=(), dtype="float32", offset=8).item() == 2


def test_raw_bytes_need_not_be_aligned_and_may_lie_at_any_strides(raw: Path) -> None:
    whole = raw.read_bytes()
    view = nl.open(raw, dtype="int16", shape=(-1,), offset=1 + 3 - 2)
    assert view.tobytes() == whole[2:]
    assert nl.open(raw, dtype="int64", shape=2, offset=3).tobytes() == whole[3:19]
    backwards = nl.open(raw, shape=(4, 3), dtype="float32", offset=92, strides=(-24, -4))
    assert backwards.tolist() == np.arange(24).reshape(4, 6)[::-1, :2:-1].tolist()
    windows = nl.open(raw, shape=(22, 3), dtype="float32", strides=(4, 4))
    assert windows[21].tolist() == [21, 22, 23]


def test_what_is_written_to_raw_bytes_in_place_is_in_the_file(raw: Path) -> None:
    nl.open(raw, "r+", dtype="float32")[3] = -1.0
    assert np.fromfile(raw, "f4")[3] == -1


def test_raw_bytes_pickle_to_a_handle(raw: Path) -> None:
    view = nl.open(raw, shape=(4, 3), dtype="float32", offset=92, strides=(-24, -4))
    assert pickle.loads(pickle.dumps(view)).tolist() == view.tolist()


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            {"shape": (25,)},
            nl.FormatError,
            "{}: shape [25] reaches bytes 0..100, but the file has 96",
        ),
        (
            {"offset": 97},
            nl.FormatError,
            "{}: shape [-1] reaches bytes 97..101, but the file has 96",
        ),
        (
            {"shape": 5, "strides": (-4,)},
            nl.FormatError,
            "{}: shape [5] reaches bytes -16..4, but the file has 96",
        ),
        (
            {"shape": (-1, 7)},
            nl.FormatError,
            "{}: 96 bytes from byte 0 on are no multiple of 28, which shape [-1, 7] needs",
        ),
        (
            {"shape": (-1, -1)},
            ValueError,
            (
                "{}: shape [-1, -1] is not valid: sizes must be at least 0; one may be -1 where no"
                " strides are given and no other is 0"
            ),
        ),
        (
            {"shape": 2**62},
            nl.FormatError,
            "{}: shape [4611686018427387904] with 4-byte elements does not fit the address space",
        ),
    ],
)
def test_raw_bytes_that_are_not_there_are_an_error(
    arguments: dict[str, Any], kind: type[Exception], text: str, raw: Path
) -> None:
    with pytest.raises(kind) as raised:
        nl.open(raw, dtype="float32", **arguments)
    assert type(raised.value) is kind
    assert str(raised.value) == text.format(raw)


def test_a_shape_without_a_dtype_says_what_is_missing(raw: Path) -> None:
    arguments: list[dict[str, Any]] = [{"shape": 3}, {"strides": (4,)}, {"offset": 4}]
    for argument in arguments:
        with pytest.raises(
            TypeError, match=r"^shape, offset and strides are of raw bytes: give their dtype too$"
        ):
            nl.open(raw, **argument)
    with pytest.raises(TypeError, match=r'^unknown dtype "nothing", expected one of bool, uint8, '):
        nl.open(raw, dtype="nothing")


def test_a_copy_for_which_there_is_no_memory_is_a_memory_error(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    program = """
        import resource, sys
        import numpy as np
        import ndlens as nl
        np.savez_compressed(sys.argv[1], x=np.zeros(1 << 29, np.uint8))
        arrays = nl.open(sys.argv[1], copy=True)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 28, resource.RLIM_INFINITY))
        try:
            arrays["x"]
        except MemoryError as error:
            print(error)
    """
    assert succeeds(program, str(path)) == "cannot allocate 536870912 bytes\n"
