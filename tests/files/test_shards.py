"""What `nl.Shards` promises: one array in several files indexes, batches and pickles like one."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.helpers.buffers import pointer
from tests.helpers.loading import AUGMENT, pictures
from torch.utils.data import DataLoader

import ndlens as nl

SIZES = [3, 1, 20, 7, 9, 2, 5, 1, 1, 1, 4]


@pytest.fixture
def images() -> np.ndarray[Any, Any]:
    return pictures(sum(SIZES))


@pytest.fixture
def directory(tmp_path: Path, images: np.ndarray[Any, Any]) -> Path:
    for i, part in enumerate(np.split(images, np.cumsum(SIZES)[:-1])):
        np.save(tmp_path / f"part-{i}.npy", part)
    (tmp_path / ".part-0.npy.tmp.npy").write_bytes(b"unfinished")
    return tmp_path


@pytest.mark.parametrize("how", ["pattern", "path", "bytes", "list", "tuple"])
def test_files_are_one_array_in_the_natural_order_of_their_names(
    how: str, directory: Path, images: np.ndarray[Any, Any]
) -> None:
    paths = [directory / f"part-{i}.npy" for i in range(len(SIZES))]
    source: Any = {
        "pattern": str(directory / "part-*.npy"),
        "path": directory / "*.npy",
        "bytes": bytes(directory) + b"/part-*.npy",
        "list": paths,
        "tuple": tuple(map(str, paths)),
    }[how]
    shards = nl.open(source)
    assert isinstance(shards, nl.Shards)
    assert (len(shards), shards.shape, shards.dtype) == (54, images.shape, "uint8")
    assert (shards.ndim, shards.nbytes) == (4, images.nbytes)
    assert repr(shards) == "<ndlens.Shards shape=(54, 24, 31, 3) dtype=uint8 shards=11>"
    assert [len(view) for view in shards.shards] == SIZES
    for i, item in enumerate(shards):
        assert np.array_equal(item.numpy(), images[i])
    assert np.array_equal(shards[-54].numpy(), images[0])
    assert np.array_equal(shards[np.int64(-1)].numpy(), images[-1])


def test_items_are_views_of_the_mapped_files(directory: Path) -> None:
    shards = nl.open(str(directory / "part-*.npy"))
    assert isinstance(shards, nl.Shards)
    item = shards[5]
    assert isinstance(item, nl.View)
    assert pointer(item) == pointer(shards.shards[2][1])
    item[0, 0, 0] = 200
    assert shards[5][0, 0, 0] == 200
    assert shards[4:8:1][1][0, 0, 0] == 200


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_modes_are_those_of_each_file(
    mode: Any, directory: Path, images: np.ndarray[Any, Any]
) -> None:
    shards = nl.open(str(directory / "part-*.npy"), mode)
    assert shards[3].readonly == (mode == "r")
    if mode != "r":
        shards[3][0] = 9
    expected = 9 if mode == "r+" else images[3, 0, 0, 0]
    assert np.load(directory / "part-1.npy")[0, 0, 0, 0] == expected


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=st.slices(24), second=st.slices(30))
def test_slices_are_shards_of_the_same_items(tmp_path: Path, first: slice, second: slice) -> None:
    paths = [tmp_path / f"{i}.npy" for i in range(4)]
    whole = np.arange(24 * 2).reshape(24, 2)
    for path, part in zip(paths, np.split(whole, [5, 6, 17]), strict=True):
        if not path.exists():
            np.save(path, part)
    shards = nl.open(paths)
    for got, expected in [
        (shards[first], whole[first]),
        (shards[first][second], whole[first][second]),
    ]:
        assert isinstance(got, nl.Shards)
        assert (got.shape, got.dtype) == (expected.shape, "int64")
        assert [item.tolist() for item in got] == expected.tolist()


def test_elements_are_items_where_items_have_no_axes(tmp_path: Path) -> None:
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.arange(4) + 4 * i)
    labels = nl.open(str(tmp_path / "*.npy"))
    assert list(labels) == list(range(12))
    assert labels[7] == 7


def test_files_of_raw_bytes_are_shards_too(tmp_path: Path) -> None:
    for i in range(3):
        np.full((i + 1, 2), i, "f4").tofile(tmp_path / f"{i}.bin")
    rows = nl.open(str(tmp_path / "*.bin"), dtype="float32", shape=(-1, 2))
    assert [row.tolist() for row in rows] == [[0, 0], [1, 1], [1, 1], [2, 2], [2, 2], [2, 2]]


def test_a_name_with_the_letters_of_a_pattern_is_a_name_where_there_is_such_a_file(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "a[1]*.npy", np.arange(3))
    assert nl.open(tmp_path / "a[1]*.npy").tolist() == [0, 1, 2]


def test_keys_that_name_no_items_are_index_errors(directory: Path) -> None:
    shards: Any = nl.open(str(directory / "part-*.npy"))
    for key in [(1, 2), ..., None, (slice(2), 0)]:
        with pytest.raises(
            IndexError,
            match=(
                r"^shards are indexed by one integer, slice or array of indices; index the item"
                r" further$|"
                r"^items are indexed along one axis; index the item further$"
            ),
        ):
            shards[key]
    with pytest.raises(IndexError, match=r"^index 54 is out of bounds for axis 0 with size 54$"):
        shards[54]
    with pytest.raises(ValueError, match=r"^slice step cannot be zero$"):
        shards[::0]


# Batches.


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_a_loader_makes_the_batches_of_the_whole(
    num_workers: int, directory: Path, images: np.ndarray[Any, Any]
) -> None:
    labels = np.arange(54)
    shards = nl.open(str(directory / "part-*.npy"))
    options: dict[str, Any] = {
        "batch_size": 7,
        "shuffle": True,
        "seed": 3,
        "num_workers": num_workers,
        "transforms": {"image": AUGMENT},
    }
    whole = nl.Loader({"image": images, "label": labels}, **options)
    loader = nl.Loader({"image": shards, "label": labels}, **options)
    for _ in range(2):
        for got, expected in zip(loader, whole, strict=True):
            assert torch.equal(got["image"], expected["image"])
            assert torch.equal(got["label"], expected["label"])
    assert loader.state_dict() == whole.state_dict()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_torchs_data_set_takes_them(
    num_workers: int, directory: Path, images: np.ndarray[Any, Any]
) -> None:
    shards = nl.open(str(directory / "part-*.npy"))
    for fields in (shards, {"image": shards}, (shards,)):
        dataset = nl.torch.Dataset(fields)
        loader = DataLoader(
            dataset, batch_size=10, num_workers=num_workers, collate_fn=nl.torch.collate
        )
        parts = []
        for batch in loader:
            part = (
                batch["image"]
                if isinstance(batch, dict)
                else batch[0]
                if isinstance(batch, tuple)
                else batch
            )
            parts.append(part.clone())
        assert np.array_equal(torch.cat(parts).numpy(), images)


def test_more_shards_than_are_asked_at_once_are_read_as_well(tmp_path: Path) -> None:
    for i in range(100):
        np.save(tmp_path / f"{i}.npy", np.full((2, 3), i))
    shards = nl.open(str(tmp_path / "*.npy"))
    batches = list(nl.Loader(shards, batch_size=200, output="numpy"))
    assert np.array_equal(batches[0], np.repeat(np.arange(100), 2)[:, None].repeat(3, 1))


@pytest.mark.parametrize("count", [3, 100])
def test_a_shard_that_is_cut_short_is_an_error_of_its_items_alone(
    count: int, tmp_path: Path
) -> None:
    for i in range(count):
        np.save(tmp_path / f"{i}.npy", np.zeros((4, 100_000), np.uint8))
    shards = nl.open(str(tmp_path / "*.npy"))
    with (tmp_path / "1.npy").open("r+b") as file:
        file.truncate(200_000)
    good = nl.Loader(shards, batch_size=4, sampler=[0, 1, 2, 3, 8, 9, 10, 11, 4], output="view")
    batches = iter(good)
    assert next(batches).shape == next(batches).shape == (4, 100_000)
    assert next(batches).shape == (1, 100_000)
    bad = nl.Loader(shards, batch_size=4, sampler=[0, 7], output="view")
    with pytest.raises(
        nl.TruncatedError,
        match=rf'^field "items", item 7: {re.escape(str(tmp_path))}/1.npy: file has',
    ):
        next(iter(bad))


# Other processes.


def test_they_pickle_to_the_handles_of_their_files(directory: Path) -> None:
    shards = nl.open(str(directory / "part-*.npy"))
    assert len(pickle.dumps(shards)) < 300 * len(SIZES)
    again = pickle.loads(pickle.dumps(shards[2::3]))
    assert isinstance(again, nl.Shards)
    assert [pointer(item) for item in again] == [pointer(item) for item in shards[2::3]]
    assert pickle.loads(pickle.dumps(shards[:0])).shape == (0, 24, 31, 3)


# Errors.


def test_what_cannot_be_one_array_is_an_error_that_names_the_files(tmp_path: Path) -> None:
    first = tmp_path / "a0.npy"
    np.save(first, np.zeros((2, 3), "f4"))
    cases: list[tuple[Any, str]] = [
        (np.zeros((2, 4), "f4"), f"its item shape is [4], but {first} has [3]"),
        (np.zeros((2, 3, 1), "f4"), f"its item shape is [3, 1], but {first} has [3]"),
        (np.zeros((2, 3)), f"its dtype is float64, but {first} has float32"),
        (np.zeros((0, 3), "f4"), "has no items: its shape is [0, 3]"),
        (np.zeros(()), "has rank 0, so it has no items; a shard needs at least one axis"),
    ]
    for array, text in cases:
        np.save(tmp_path / "a1.npy", array)
        with pytest.raises(nl.FormatError) as raised:
            nl.open(str(tmp_path / "a*.npy"))
        assert str(raised.value) == f"{tmp_path}/a1.npy: {text}"
    np.savez(tmp_path / "a1.npz", x=np.zeros(3))
    with pytest.raises(nl.FormatError) as raised:
        nl.open([first, tmp_path / "a1.npz"])
    assert (
        str(raised.value)
        == f'{tmp_path}/a1.npz: holds arrays by name ("x"), expected a file of one array; take one'
        " of each file by its name: [nl.open(path)[NAME] for path in paths]"
    )


def test_no_file_is_a_file_that_was_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        nl.open(str(tmp_path / "*.npy"))
    assert str(raised.value) == f"no file matches {tmp_path}/*.npy"
    with pytest.raises(FileNotFoundError) as raised:
        nl.open([tmp_path / "1.npy"])
    assert raised.value.filename == str(tmp_path / "1.npy")
    with pytest.raises(ValueError, match=r"^no files to open: expected at least one$"):
        nl.open([])
    with pytest.raises(
        ValueError, match=r"^bad pattern .*\*\*a.npy: Pattern syntax error near position"
    ):
        nl.open(str(tmp_path / "**a.npy"))


def test_numpy_makes_no_array_of_an_object_of_them(
    directory: Path, images: np.ndarray[Any, Any]
) -> None:
    shards = nl.open(directory / "part-*.npy")
    assert isinstance(shards, nl.Shards)
    with pytest.raises(
        TypeError,
        match=r"^shards are in 11 files, and one array of them would be a copy: numpy\.conc",
    ):
        np.asarray(shards)
    assert np.array_equal(np.concatenate([shard.numpy() for shard in shards.shards]), images)
