"""A dtype by every name that NumPy and torch agree on, wherever one is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import ndlens as nl
from ndlens import transforms as T

NAMES: list[tuple[Any, str]] = [
    *[
        (name, "float32")
        for name in ("float32", "torch.float32", "<f4", "=f4", "f4", "f", "single")
    ],
    *[
        (kind, "float32")
        for kind in (np.float32, np.dtype("f4"), np.dtype("<f4"), torch.float32, torch.float)
    ],
    *[
        (name, "uint8")
        for name in ("uint8", "u1", "|u1", "<u1", "B", np.uint8, torch.uint8, np.dtype("B"))
    ],
    *[
        (name, "int64")
        for name in ("int64", "i8", "long", "q", "l", int, np.int64, np.longlong, torch.long)
    ],
    *[(name, "bool") for name in ("bool", "?", "b1", "bool_", bool, np.bool, torch.bool)],
    *[(name, "float64") for name in ("d", "double", "f8", float, np.double, torch.double)],
    *[(name, "float16") for name in ("half", "e", "f2", np.half, torch.half)],
    *[(name, "complex128") for name in ("D", "c16", complex, np.complex128, torch.cdouble)],
    *[
        (name, "bfloat16")
        for name in ("bfloat16", torch.bfloat16, ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16))
    ],
    *[
        (name, "float8_e4m3fn")
        for name in ("float8_e4m3fn", torch.float8_e4m3fn, ml_dtypes.float8_e4m3fn)
    ],
]
IDS = [f"{name!r}" for name, _ in NAMES]


@pytest.mark.parametrize(("given", "name"), NAMES, ids=IDS)
def test_a_dtype_is_taken_by_each_of_its_names_everywhere(
    given: Any, name: str, tmp_path: Path
) -> None:
    size = nl.empty_shared(1, name).itemsize
    (tmp_path / "raw.bin").write_bytes(bytes(4 * size))
    assert nl.dtype_name(given) == name
    assert nl.empty_shared((2, 3), given).dtype == name
    assert nl.view(bytearray(4 * size)).reinterpret(given).dtype == name
    assert nl.open(tmp_path / "raw.bin", dtype=given).dtype == name
    assert T.ToDtype(given).dtype == name
    if nl.view(bytes(4 * size)).reinterpret(name).format in list("?bBhHiIlLqQefd"):
        assert nl.view(bytes(4 * size)).cast(given).dtype == name


def test_numpy_agrees_on_every_name_that_it_has_too() -> None:
    for given, name in NAMES:
        if isinstance(given, str) and not given.startswith(("torch", "bfloat", "float8")):
            assert np.dtype(given).name == name, given


@pytest.mark.parametrize(
    ("given", "format", "itemsize"),
    [
        (">f4", ">f", 4),
        (np.dtype(">f4"), ">f", 4),
        (">i8", ">q", 8),
        ("S5", "5s", 5),
        (np.dtype("S5"), "5s", 5),
        ("<U2", "2w", 8),
        (np.dtype([("x", "<f4"), ("y", "<i2")]), "T{=f:x:@h:y:}", 6),
        (np.dtype([("x", "u1"), ("y", "<f8")], align=True), "T{B:x:xxxxxxxd:y:}", 16),
        (np.dtype("g"), "g", 16),
    ],
    ids=str,
)
def test_a_dtype_without_a_name_is_raw_bytes_to_open_and_to_share(
    given: Any, format: str, itemsize: int, tmp_path: Path
) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(range(itemsize * 2)))
    for view in (nl.open(tmp_path / "raw.bin", dtype=given), nl.empty_shared(2, given)):
        assert (view.dtype, view.itemsize, view.shape) == (format, itemsize, (2,))
        assert view.numpy().dtype == np.dtype(given)
    raw = np.frombuffer(bytes(range(itemsize * 2)), given)
    assert nl.open(tmp_path / "raw.bin", dtype=given).tobytes() == raw.tobytes()


def test_a_big_endian_dtype_is_not_taken_for_the_native_one(tmp_path: Path) -> None:
    np.arange(3, dtype=">u2").tofile(tmp_path / "x.bin")
    for given in (">u2", np.dtype(">u2"), ">H"):
        assert nl.open(tmp_path / "x.bin", dtype=given).tolist() == [0, 1, 2]
        assert nl.dtype_name(given) == ">H"
    with pytest.raises(TypeError, match="numbers in big-endian byte order"):
        nl.Loader(bytes(4), transforms=[T.ToDtype(">f4")], output="view")


AMBIGUOUS = {
    "float": 'dtype "float" is float64 to NumPy and float32 to torch; say "float64" or "float32"',
    "int": 'dtype "int" is int64 to NumPy and int32 to torch; say "int64" or "int32"',
    "byte": 'dtype "byte" is int8 to NumPy and uint8 to torch; say "int8" or "uint8"',
    "<l": 'dtype "<l" is 8 bytes to NumPy and 4 to the struct module; say "<i8" or "<i4"',
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_name_with_two_meanings_is_refused(name: str) -> None:
    for take in (
        nl.dtype_name,
        lambda dtype: nl.empty_shared(3, dtype),
        lambda dtype: nl.view(bytes(8)).reinterpret(dtype),
        T.ToDtype,
    ):
        with pytest.raises(TypeError) as caught:
            take(name)
        assert str(caught.value) == AMBIGUOUS[name]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("float33", 'unknown dtype "float33", expected one of bool, uint8'),
        (np.float32(3), 'unknown dtype "3.0", expected one of bool'),
        (str, 'unknown dtype "str", expected one of bool'),
        (5, 'unknown dtype "5", expected one of bool'),
        (None, 'unknown dtype "None", expected one of bool'),
        (np.integer, 'unknown dtype "integer", expected one of bool'),
        (torch.complex32, 'unknown dtype "torch.complex32", expected one of bool'),
        (
            np.dtype("M8[s]"),
            "datetime64[s] counts time, which no buffer has a format for; view the integers",
        ),
        ("<M8[s]", "<M8[s] counts time, which no buffer has a format for; view the integers"),
        (object, 'unknown dtype "object", expected one of bool'),
        (
            np.dtype(object),
            'elements of format "O" are Python objects, whose references ndlens cannot count',
        ),
        (
            np.dtype(("f4", (2,))),
            (
                "('<f4', (2,)) is an array of elements, which belongs in the shape; give its base"
                " dtype"
            ),
        ),
    ],
    ids=str,
)
def test_what_is_no_dtype_is_refused(given: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        nl.empty_shared(3, given)
    assert str(caught.value).startswith(message)


def test_a_cast_takes_dtypes_by_memoryviews_rules() -> None:
    view = nl.view(bytes(8))
    for given, name in (
        ("f4", "float32"),
        (np.uint16, "uint16"),
        (torch.int64, "int64"),
        (float, "float64"),
    ):
        assert view.cast(given).dtype == name
    assert view.cast("f").cast("u1").dtype == "uint8"
    with pytest.raises(
        TypeError, match=r"^cannot cast between two non-byte formats, float32 and l$"
    ):
        view.cast("f4").cast("i8")
    for foreign in ("<f", ">f4", "2i", np.dtype(">f4"), "complex64", np.dtype("S2")):
        with pytest.raises(
            ValueError, match=r"^destination format must be a native single character format, got "
        ):
            view.cast(foreign)
    with pytest.raises(TypeError, match=r"^unknown dtype "):
        view.cast(7)
