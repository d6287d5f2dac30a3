"""Arrays of every kind that a file can hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]

# Arrays that torch saves.
DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.uint16,
    torch.int16,
    torch.uint32,
    torch.int32,
    torch.uint64,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
]

# Arrays that NumPy saves.
SIMPLE = ["?", *"bBhHiIqQefdFD", "S1", "S7", "U1", "U5"]
RECORDS: list[Any] = [
    [("x", "<f4"), ("y", "<i8")],
    [("x", ">f4"), ("name", "S3"), ("title", "U2"), ("flag", "?")],
    [("pixel", "u1", (3,)), ("matrix", "<f8", (2, 2))],
    [("inner", [("a", "<i2"), ("b", [("c", ">u4"), ("d", "i1")])]), ("z", "<c16")],
    np.dtype([("a", "i1"), ("b", "<f8"), ("c", "<i2")], align=True),
    {"names": ["a", "b"], "formats": ["<i4", "<i4"], "offsets": [4, 12], "itemsize": 24},
    [("größe", "<f4"), ("with space", "u1")],
]


def filled(shape: tuple[int, ...], dtype: Any) -> Array:
    """Elements of all sorts of bytes, none of them an invalid character or a NaN."""
    count = int(np.prod(shape))
    numbers = np.arange(1, count + 1) % 100
    dtype = np.dtype(dtype)
    if dtype.names is None:
        return numbers.astype(dtype).reshape(shape)
    a = np.zeros(shape, dtype)
    for name in dtype.names:
        a[name] = filled(a[name].shape, a[name].dtype)
    return a
