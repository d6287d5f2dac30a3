"""Objects of other libraries that are no arrays, and producers of DLPack capsules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
import xarray as xr
from tests.helpers.inputs import copying

import ndlens as nl

# torch has warnings for what is new, and for what is old.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.torch.jit:FutureWarning")

# What exports a buffer is not typed as such before Python 3.12.
memory: Any = memoryview


# What is no array


def data_set(path: Path) -> Any:
    import h5py

    return h5py.File(path / "x.h5", "w").create_dataset("x", data=[1, 2])


FOREIGN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a pandas column": (lambda _: pd.Series([1, 2]), "pandas.Series; call .to_numpy()"),
    "a pandas frame": (lambda _: pd.DataFrame({"a": [1, 2]}), "pandas.DataFrame; call .to_numpy()"),
    "a pandas index": (lambda _: pd.Index([1, 2]), "pandas.Index; call .to_numpy()"),
    "a pandas array": (lambda _: pd.array([1, None]), "pandas.IntegerArray; call .to_numpy()"),
    "a polars column": (lambda _: pl.Series([1, 2]), "polars.Series; call .to_numpy()"),
    "a polars frame": (lambda _: pl.DataFrame({"a": [1, 2]}), "polars.DataFrame; call .to_numpy()"),
    "a polars plan": (
        lambda _: pl.DataFrame({"a": [1, 2]}).lazy(),
        "polars.LazyFrame; call .collect().to_numpy()",
    ),
    "an xarray array": (lambda _: xr.DataArray([1, 2]), "xarray.DataArray; call .to_numpy()"),
    "an h5py data set": (
        data_set,
        "h5py.Dataset; read it with [...]: dataset[...]",
    ),
    "a list": (lambda _: [1, 2], "list; numpy.asarray(..) makes an array of it"),
    "a range": (lambda _: range(2), "range; numpy.asarray(..) makes an array of it"),
    "a generator": (
        lambda _: (i for i in [1]),
        "generator; numpy.asarray(list(..)) makes an array of it",
    ),
    "a path": (lambda path: path, "pathlib.PosixPath; nl.open(path) opens a file"),
    "a storage of torch": (
        lambda _: torch.ones(3).untyped_storage(),
        "torch.UntypedStorage; torch.empty(0, dtype=torch.uint8).set_(storage) has its bytes",
    ),
    "a tuple of another class": (
        lambda _: torch.Size([1, 2]),
        "torch.Size; numpy.asarray(..) makes an array of it",
    ),
    "nothing": (lambda _: None, "NoneType"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_array_says_how_to_make_one_of_it(name: str, tmp_path: Path) -> None:
    make, message = FOREIGN[name]
    obj = make(tmp_path)
    needs = "nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got "
    with pytest.raises(TypeError) as caught:
        nl.view(obj)
    assert str(caught.value) == needs + message
    with pytest.raises(TypeError) as caught:
        nl.Loader({"x": obj})
    assert str(caught.value) == f'field "x": {needs}{message}'


def test_an_xarray_data_set_says_how_to_take_one_of_its_variables() -> None:
    message = r'xarray\.Dataset; take one of its variables: dataset\["name"\]\.to_numpy\(\)$'
    with pytest.raises(TypeError, match=message):
        nl.view(xr.Dataset({"a": [1]}))


def test_files_and_groups_of_h5py_say_how_to_read_a_data_set(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        for obj, message in (
            (file, r'h5py\.File; read one of its datasets: file\["name"\]\[\.\.\.\]$'),
            (
                file.create_group("g"),
                r'h5py\.Group; read one of its datasets: group\["name"\]\[\.\.\.\]$',
            ),
        ):
            with pytest.raises(TypeError, match=message):
                nl.view(obj)


def stand_in(module: str, name: str, **members: Any) -> Any:
    """An object of a class as a library that is not installed has it."""
    return type(name, (), {"__module__": module, **members})()


def test_columns_and_lazy_arrays_of_libraries_that_are_not_here_say_what_to_call() -> None:
    for obj, message in (
        (
            stand_in("datasets.arrow_dataset", "Column"),
            "datasets.Column; numpy.asarray(column) makes an array of it",
        ),
        (
            stand_in("datasets.arrow_dataset", "Dataset"),
            'datasets.Dataset; take a column as an array: dataset.with_format("numpy")["name"][:]',
        ),
        (stand_in("zarr.core.array", "Array"), "zarr.Array; read it with [...]: array[...]"),
        (stand_in("dask.array.core", "Array"), "dask.Array; call .compute()"),
        (stand_in("pyarrow.lib", "ChunkedArray"), "pyarrow.ChunkedArray; call .to_numpy()"),
        (
            stand_in("elsewhere", "Lazy", __array__=lambda self: np.zeros(2)),
            (
                "elsewhere.Lazy; numpy.asarray(..) makes an array of it, which may copy; so does"
                " nl.view(.., copy=None)"
            ),
        ),
        (stand_in("elsewhere", "Thing"), "elsewhere.Thing"),
    ):
        with pytest.raises(TypeError) as caught:
            nl.view(obj)
        assert str(caught.value).endswith(f", got {message}")


@pytest.mark.parametrize(
    "name",
    ["a pandas column", "a pandas frame", "a polars column", "an xarray array", "an h5py data set"],
)
def test_what_numpy_makes_an_array_of_is_taken_where_a_copy_is_made(
    name: str, tmp_path: Path
) -> None:
    obj = FOREIGN[name][0](tmp_path)
    expected = np.asarray(obj)
    for way, take in copying(tmp_path).items():
        if way != "v[...] =":
            assert take(obj).tolist() == expected.tolist(), way
    target = nl.view(np.zeros_like(expected))
    target[...] = obj
    assert target.tolist() == expected.tolist()
    assert nl.view(obj, copy=True).readonly is False


def test_a_copy_that_is_asked_for_is_made() -> None:
    array = np.arange(6).reshape(2, 3)
    copied = nl.view(array[:, ::-1], copy=True)
    assert copied.tolist() == array[:, ::-1].tolist()
    assert not nl.shares_memory(copied, array)
    assert nl.shares_memory(nl.view(array, copy=None), array)
    assert nl.view(bytes(3), copy=True).readonly is False
    assert nl.view(bytes(3), copy=True, readonly=True).readonly is True


# Producers of DLPack capsules


class Producer:
    """Exports a read-only tensor; an unversioned capsule cannot say so and says writable."""

    def __init__(self, error: Callable[[], BaseException] | None = None) -> None:
        self.memory = np.arange(3)
        self.error = error
        self.asked: list[dict[str, Any]] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **keywords: Any) -> Any:
        self.asked.append(keywords)
        if "max_version" not in keywords:
            return nl.view(self.memory).__dlpack__()
        if self.error is not None:
            raise self.error()
        return nl.view(self.memory, readonly=True).__dlpack__(**keywords)


def test_read_only_arrives() -> None:
    producer = Producer()
    assert nl.view(producer).readonly
    assert producer.asked == [{"max_version": (1, 3)}]


@pytest.mark.parametrize(
    "text",
    [
        "no dtype float8 in DLPack",
        "a keyword is wrong",
        "unsupported argument",
        "max_version is a tuple",
    ],
)
def test_a_producers_own_type_error_is_not_asked_again_without_a_version(text: str) -> None:
    producer = Producer(lambda: TypeError(text))
    with pytest.raises(TypeError) as caught:
        nl.view(producer)
    assert str(caught.value) == text
    assert producer.asked == [{"max_version": (1, 3)}]


class Old:
    """A producer from before DLPack 1.0."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, stream: None = None) -> Any:
        return nl.view(bytearray(b"abc")).__dlpack__()


class OldInC(Old):
    """One whose method is C's and takes no keywords."""

    class Method:
        def __get__(self, obj: Any, kind: Any) -> Any:
            return iter([nl.view(bytearray(b"abc")).__dlpack__()]).__next__

    __dlpack__ = Method()


class Forwarding(Old):
    """One that hands on whatever it is given."""

    def __dlpack__(self, *args: Any, **keywords: Any) -> Any:
        return Old().__dlpack__(*args, **keywords)


@pytest.mark.parametrize(
    "producer", [Old(), OldInC(), Forwarding()], ids=lambda p: type(p).__name__
)
def test_a_producer_from_before_versions_is_asked_without_one(producer: Any) -> None:
    assert nl.view(producer).tobytes() == b"abc"
