"""`.safetensors` beside arrays: metadata, narrow dtypes, several files as one, large headers."""

from __future__ import annotations

import json
import pickle
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.helpers.opened import open_arrays
from tests.helpers.programs import run, total
from torch.multiprocessing import get_context

import ndlens as nl


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def write(path: Path, header: str, data: bytes) -> None:
    """A file with a header as it stands here."""
    path.write_bytes(struct.pack("<Q", len(header.encode())) + header.encode() + data)


# Metadata.


def test_metadata_is_what_safetensors_saved(path: Path) -> None:
    save_file({"x": torch.ones(3)}, path, metadata={"format": "pt", "größe": '"1"\n', "": "empty"})
    arrays = open_arrays(path)
    assert arrays.metadata == {"format": "pt", "größe": '"1"\n', "": "empty"}
    arrays.metadata["format"] = "other"
    assert arrays.metadata["format"] == "pt"
    assert "__metadata__" not in arrays
    assert pickle.loads(pickle.dumps(arrays)).metadata == arrays.metadata
    copy = open_arrays(path, copy=True)
    assert pickle.loads(pickle.dumps(copy)).metadata == copy.metadata == arrays.metadata
    np.savez(path.with_name("x.npz"), x=np.zeros(1))
    assert open_arrays(path.with_name("x.npz")).metadata == {}


def test_metadata_is_written_as_safetensors_writes_it(path: Path) -> None:
    for metadata in ({"format": "pt"}, {"b": "2", "a": 'größe \\"'}, {}):
        nl.save(path, {"x": np.arange(3.0)}, metadata=metadata)
        with safe_open(path, "pt") as file:
            assert (file.metadata() or {}) == metadata
        assert list(open_arrays(path).metadata.items()) == list(metadata.items())
        assert load_file(path)["x"].tolist() == [0, 1, 2]
    ours = path.with_name("ours.safetensors")
    tensors = {
        "x": torch.arange(5),
        "flag": torch.ones(3).bool(),
        "a": torch.zeros(2, 2, dtype=torch.bfloat16),
    }
    save_file(tensors, path, metadata={"format": "pt"})
    nl.save(ours, tensors, metadata={"format": "pt"})
    assert ours.read_bytes() == path.read_bytes()


def test_what_is_saved_of_a_file_keeps_its_metadata(path: Path) -> None:
    save_file({"x": torch.ones(3)}, path, metadata={"format": "pt", "step": "3"})
    other = path.with_name("other.safetensors")
    nl.save(other, nl.open(path))
    assert open_arrays(other).metadata == {"format": "pt", "step": "3"}
    nl.save(other, nl.open(path), metadata={"step": "4"})
    assert open_arrays(other).metadata == {"step": "4"}
    nl.save(other, dict(nl.open(path)))
    assert open_arrays(other).metadata == {}


@pytest.mark.parametrize(
    ("metadata", "kind", "text"),
    [
        ({"step": 3}, TypeError, "metadata must be a dict of strings, got 3"),
        ({3: "step"}, TypeError, "metadata must be a dict of strings, got 3"),
        ("pt", TypeError, "metadata must be a dict of strings, got 'pt'"),
        (
            {"ndlens": "x"},
            ValueError,
            'x.safetensors: metadata cannot have the key "ndlens", which says what ndlens saved',
        ),
    ],
)
def test_metadata_that_cannot_be_is_refused(
    metadata: Any, kind: type[Exception], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as raised:
        nl.save("x.safetensors", {"x": b"abc"}, metadata=metadata)
    assert str(raised.value) == text
    with pytest.raises(TypeError, match=r"^x.npy: metadata goes into .safetensors alone$"):
        nl.save("x.npy", b"abc", metadata={"format": "pt"})
    assert not [*tmp_path.iterdir()]


def test_metadata_may_be_null_and_is_nothing_else_but_an_object_of_strings(path: Path) -> None:
    tensor = '"x": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}'
    write(path, f'{{"__metadata__": null, {tensor}}}', b"abc")
    assert open_arrays(path).metadata == {}
    assert nl.open(path)["x"].tobytes() == b"abc"
    with safe_open(path, "np") as file:
        assert file.metadata() is None
    write(path, f'{{"__metadata__": {{"a": "1", "b": "2", "a": "3"}}, {tensor}}}', b"abc")
    assert open_arrays(path).metadata == {"a": "3", "b": "2"}
    for wrong in ("3", "[]", '{"a": 1}', '{"a": null}', '"a"', '{"a": {"b": "c"}}'):
        write(path, f'{{"__metadata__": {wrong}, {tensor}}}', b"abc")
        with pytest.raises(
            nl.FormatError, match="bad header: __metadata__ is no object of strings"
        ):
            nl.open(path)
    write(path, f'{{"__metadata__": {{}}, "__metadata__": {{}}, {tensor}}}', b"abc")
    with pytest.raises(nl.FormatError, match="bad header: duplicate field `__metadata__`"):
        nl.open(path)


# Dtypes.


def test_every_dtype_that_safetensors_saves_of_torch_is_opened_and_saved(path: Path) -> None:
    from safetensors import torch as safetensors_torch

    ours = path.with_name("ours.safetensors")
    dtypes: Any = safetensors_torch._SIZE
    for dtype in dtypes:
        bytes_ = torch.arange(48, dtype=torch.uint8) % 2
        tensor = bytes_.view(dtype).reshape(-1, 2) if dtype != torch.bool else bytes_.bool()
        save_file({"x": tensor}, path)
        view = nl.open(path)["x"]
        assert view.dtype == str(dtype).removeprefix("torch.")
        assert view.shape == tuple(tensor.shape)
        assert view.torch().dtype == dtype
        assert view.tobytes() == bytes(bytes_.tolist())
        for obj in (tensor, view):
            nl.save(ours, {"x": obj})
            assert ours.read_bytes() == path.read_bytes()
        assert nl.view(tensor).dtype == view.dtype


def test_floats_of_4_bits_are_pairs_as_torch_has_them(path: Path) -> None:
    tensor = torch.arange(12, dtype=torch.uint8).view(torch.float4_e2m1fn_x2).reshape(3, 4)
    save_file({"x": tensor}, path)
    arrays = open_arrays(path)
    assert arrays.info("x") == ("F4", (3, 8))
    view = arrays["x"]
    assert (view.dtype, view.shape, view.itemsize) == ("float4_e2m1fn_x2", (3, 4), 1)
    assert view[1:, ::2].torch().view(torch.uint8).tolist() == [[4, 6], [8, 10]]
    assert view.reinterpret("uint8").numpy().tolist() == np.arange(12).reshape(3, 4).tolist()
    assert arrays.bytes("x").tobytes() == bytes(range(12))
    assert view == nl.view(tensor)
    with pytest.raises(TypeError, match="float4_e2m1fn_x2"):
        view.numpy()
    assert str(nl.explain(view, "numpy")).startswith("numpy cannot take this view: ")


def test_floats_of_6_bits_and_dtypes_to_come_are_had_by_name_and_bytes(path: Path) -> None:
    header = {
        "six": {"dtype": "F6_E2M3", "shape": [2, 4], "data_offsets": [0, 6]},
        "new": {"dtype": "Q3_K", "shape": [7], "data_offsets": [6, 9]},
        "x": {"dtype": "U8", "shape": [1], "data_offsets": [9, 10]},
    }
    write(path, json.dumps(header), bytes(range(10)))
    for arrays in (open_arrays(path), open_arrays(path, copy=True)):
        assert list(arrays) == ["six", "new", "x"]
        assert arrays["x"].tolist() == [9]
        assert arrays.info("six") == ("F6_E2M3", (2, 4))
        assert arrays.info("new") == ("Q3_K", (7,))
        assert arrays.info("x") == ("U8", (1,))
        assert arrays.bytes("six").tolist() == list(range(6))
        assert arrays.bytes("new").tolist() == [6, 7, 8]
        for name, dtype in (("six", "F6_E2M3"), ("new", "Q3_K")):
            with pytest.raises(nl.FormatError) as raised:
                arrays[name]
            assert (
                str(raised.value)
                == f'{path}: tensor "{name}" has dtype "{dtype}", which no view can show;'
                " .bytes(name) gives its bytes, .info(name) its shape"
            )
        with pytest.raises(KeyError):
            arrays.bytes("nothing")
    np.savez(path.with_name("x.npz"), x=np.arange(3, dtype="i2"))
    archive = open_arrays(path.with_name("x.npz"))
    assert archive.info("x") == ("int16", (3,))
    assert archive.bytes("x").tobytes() == np.arange(3, dtype="i2").tobytes()


def test_the_bytes_of_a_member_are_one_axis_as_they_lie_in_the_file(tmp_path: Path) -> None:
    rows = np.arange(6, dtype="i2").reshape(2, 3)
    saved = {"scalar": np.array(3.5), "c": rows, "f": np.asfortranarray(rows), "none": rows[:0]}
    np.savez(tmp_path / "x.npz", allow_pickle=False, **saved)
    archive = open_arrays(tmp_path / "x.npz")
    read: Any = nl.open(tmp_path / "x.npz", copy=True)
    for arrays in (archive, read, pickle.loads(pickle.dumps(read))):
        for name, array in saved.items():
            flat = arrays.bytes(name)
            assert (flat.dtype, flat.shape) == ("uint8", (array.nbytes,))
            assert flat.tobytes() == array.tobytes("A")


# Several files.


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A checkpoint in three files, and its index."""
    weight_map: dict[str, str] = {}
    for file in range(3):
        name = f"model-{file + 1:05}-of-00003.safetensors"
        tensors = {
            f"layer.{file}.{kind}": torch.full((2, 3), 10 * file + i) for i, kind in enumerate("wb")
        }
        save_file(tensors, tmp_path / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(
        json.dumps(
            {"metadata": {"total_size": 288}, "weight_map": dict(sorted(weight_map.items()))}
        )
    )
    return path


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
@pytest.mark.parametrize("how", ["index", "pattern", "list"])
def test_a_checkpoint_in_several_files_is_one_mapping(index: Path, mode: Any, how: str) -> None:
    files = sorted(index.parent.glob("model-*.safetensors"))
    path: Any = {
        "index": index,
        "pattern": str(index.parent / "model-*.safetensors"),
        "list": files,
    }[how]
    arrays = nl.open(path, mode)
    assert type(arrays) is nl.Arrays
    assert arrays.path == str(files[0] if how == "list" else path)
    assert sorted(arrays) == [f"layer.{file}.{kind}" for file in range(3) for kind in "bw"]
    assert len(arrays) == 6
    assert {name: view[0, 0] for name, view in arrays.items()} == {
        f"layer.{file}.{kind}": 10 * file + i for file in range(3) for i, kind in enumerate("wb")
    }
    assert arrays.metadata == {"format": "pt"}
    assert arrays["layer.1.w"].readonly == (mode == "r")
    again = pickle.loads(pickle.dumps(arrays))
    assert list(again) == list(arrays)
    assert nl.shares_memory(again["layer.2.b"], arrays["layer.2.b"])
    assert "layer.3.w" not in arrays
    with pytest.raises(KeyError, match=r'no array "layer.3.w"; it has "layer'):
        arrays["layer.3.w"]
    if mode != "r+":
        copy = nl.open(path, mode, copy=True)
        assert pickle.loads(pickle.dumps(copy))["layer.2.b"][1, 2] == 21


def test_workers_open_a_checkpoint_by_its_handle(tmp_path: Path) -> None:
    nl.save(tmp_path / "a.safetensors", {"weight": np.arange(6.0)})
    nl.save(tmp_path / "b.safetensors", {"bias": np.arange(3.0)})
    arrays = nl.open(str(tmp_path / "*.safetensors"), "r")
    assert len(pickle.dumps(arrays)) < 600
    context: Any = get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=total, args=(arrays, arrays["bias"], queue))
    process.start()
    assert queue.get() == (15.0, [0, 1, 2], True)
    process.join()


def test_an_index_names_what_it_shows(index: Path) -> None:
    first = "model-00001-of-00003.safetensors"
    index.write_text(json.dumps({"weight_map": {"layer.0.b": first}}))
    arrays = nl.open(index)
    assert list(arrays) == ["layer.0.b"]
    assert "layer.0.w" not in arrays
    assert list(pickle.loads(pickle.dumps(arrays))) == ["layer.0.b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"weight_map": {"x": "../model.safetensors"}}',
            'it names the file "../model.safetensors", expected one beside it',
        ),
        (
            '{"weight_map": {"x": "/model.safetensors"}}',
            'it names the file "/model.safetensors", expected one beside it',
        ),
        ('{"metadata": {}}', "missing field `weight_map` at line 1 column 16"),
        (
            '{"weight_map": {"x": "model-00001-of-00003.safetensors"}}',
            (
                'it says that tensor "x" is in {}/model-00001-of-00003.safetensors, which has none'
                " of that name"
            ),
        ),
    ],
)
def test_an_index_that_leads_nowhere_says_so(index: Path, text: str, expected: str) -> None:
    index.write_text(text)
    with pytest.raises(nl.FormatError) as raised:
        nl.open(index)
    assert str(raised.value) == f"{index}: bad index: {expected.format(index.parent)}"


def test_a_missing_file_of_a_checkpoint_is_named(index: Path) -> None:
    lost = index.parent / "model-00002-of-00003.safetensors"
    lost.unlink()
    with pytest.raises(FileNotFoundError) as raised:
        nl.open(index)
    assert raised.value.filename == str(lost)


def test_files_with_arrays_of_one_name_say_how_each_is_had(tmp_path: Path) -> None:
    for i in range(2):
        nl.save(tmp_path / f"{i}.safetensors", {"x": np.full(3, i)})
        np.savez(tmp_path / f"{i}.npz", x=np.full(3, i))
    with pytest.raises(nl.FormatError) as raised:
        nl.open(str(tmp_path / "*.safetensors"))
    assert (
        str(raised.value)
        == f'{tmp_path}/1.safetensors: has an array "x", as {tmp_path}/0.safetensors has, expected'
        ' other names in each file; open each by itself: [nl.open(path)["x"] for path in paths]'
    )
    with pytest.raises(nl.FormatError) as raised:
        nl.open(str(tmp_path / "*.npz"))
    assert (
        str(raised.value)
        == f'{tmp_path}/0.npz: holds arrays by name ("x"), expected a file of one array; take one'
        " of each file by its name: [nl.open(path)[NAME] for path in paths]"
    )


def test_a_git_lfs_pointer_is_named_as_such(tmp_path: Path) -> None:
    for name in (
        "model.safetensors",
        "array.npy",
        "data.npz",
        "model.safetensors.index.json",
        "anything",
    ):
        path = tmp_path / name
        path.write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
        )
        with pytest.raises(nl.FormatError) as raised:
            nl.open(path)
        assert (
            str(raised.value)
            == f"{path}: a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
        )
        # Its text is not taken for numbers either.
        with pytest.raises(nl.FormatError, match="a Git LFS pointer"):
            nl.open(path, dtype="u2", shape=(4,))


# Large headers.

LARGE = """
    import resource, struct, sys
    import ndlens as nl
    path, kind, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tensors = size // 67
    if kind == "tensors":
        one = '"{:07}":{{"dtype":"U8","shape":[],"data_offsets":[{},{}]}}'
        header = "{" + ",".join(one.format(i, i, i + 1) for i in range(tensors)) + "}"
    elif kind == "metadata":
        header = '{"__metadata__":{' + ",".join(f'"{i}":""' for i in range(size // 12)) + "}}"
    else:
        header = (
            '{"x":{"dtype":"U8","shape":['
            + ",".join(["1"] * (size // 2))
            + '],"data_offsets":[0,1]}}'
        )
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header.encode())
        if kind == "tensors":
            file.write(bytes(tensors))
    size = len(header)
    del header

    def peak():
        with open("/proc/self/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) << 10

    # The peak until now is forgotten.
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
"""


@pytest.mark.parametrize("kind", ["tensors", "metadata", "shape"])
def test_a_large_header_takes_a_few_times_its_size(path: Path, kind: str) -> None:
    script = (
        LARGE
        + """
    before = peak()
    try:
        arrays = nl.open(path)
        assert (
            kind != "tensors" or len(arrays) == tensors and arrays[f"{tensors - 1:07}"].shape == ()
        )
    except nl.FormatError as error:
        print(str(error)[len(path) :].rpartition(" at ")[0])
    print((peak() - before) // size)
    """
    )
    status, out, error = run(script, str(path), kind, str(20 << 20))
    assert status == 0, error
    *said, times = out.split("\n")[:-1]
    assert said == (
        [': bad header: tensor "x": invalid length 1025, expected a shape']
        if kind == "shape"
        else []
    )
    assert int(times) < 4


@pytest.mark.parametrize("kind", ["tensors", "metadata"])
def test_a_header_for_which_there_is_no_memory_is_a_memory_error(path: Path, kind: str) -> None:
    script = (
        LARGE
        + """
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * 4096
    outcomes = set()
    for extra in range(1, 40, 3):
        resource.setrlimit(resource.RLIMIT_AS, (now + (extra << 20), resource.RLIM_INFINITY))
        try:
            nl.open(path)
            outcomes.add("opened")
        except MemoryError as error:
            outcomes.add("MemoryError")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(sorted(outcomes))
    """
    )
    assert resource.RLIMIT_AS is not None
    assert run(script, str(path), kind, str(6 << 20)) == (0, "['MemoryError', 'opened']\n", "")
