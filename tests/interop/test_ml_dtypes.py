"""bfloat16 and 8-bit floats of the package ml_dtypes: on the same memory, both ways."""

from __future__ import annotations

import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import ndlens as nl

NAMES = [
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
]


def array_of(name: str) -> Any:
    return np.arange(1, 25).reshape(4, 6).astype(getattr(ml_dtypes, name))


@pytest.mark.parametrize("name", NAMES)
def test_an_array_comes_in_and_goes_back_on_the_same_memory(name: str) -> None:
    array = array_of(name)
    view = nl.view(array)
    assert (view.dtype, view.shape, view.strides) == (name, array.shape, array.strides)
    back = view.numpy()
    assert back.dtype == array.dtype
    assert back.ctypes.data == array.ctypes.data
    assert np.asarray(view).dtype == array.dtype
    back[1, 2] = 16
    assert array[1, 2] == 16
    assert nl.explain(view, "numpy").zero_copy


@pytest.mark.parametrize("name", NAMES)
def test_strides_zero_sizes_rank_0_and_read_only_memory_survive(name: str) -> None:
    array = array_of(name)
    locked = array.copy()
    locked.flags.writeable = False
    broadcast = np.broadcast_to(array[:1], (3, 6))
    for source in (array[::-2, 1::3], array.T, array[:0], array[1, 2, ...], locked, broadcast):
        view = nl.view(source)
        back = view.numpy()
        assert (back.shape, back.strides) == (source.shape, source.strides)
        assert back.ctypes.data == source.ctypes.data
        assert view.readonly == (not source.flags.writeable) == (not back.flags.writeable)
        assert back.tobytes() == source.tobytes() == view.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_torch_and_numpy_share_what_only_torch_has_a_dtype_for(name: str) -> None:
    tensor = torch.ones(2, 3).to(getattr(torch, name))
    array = nl.view(tensor).numpy()
    assert array.dtype == getattr(ml_dtypes, name)
    assert array.ctypes.data == tensor.data_ptr()
    assert nl.view(array).torch().data_ptr() == tensor.data_ptr()


def test_the_array_holds_the_memory() -> None:
    pixels = bytearray(8)
    array = nl.view(pixels).reinterpret("bfloat16").numpy()
    with pytest.raises(BufferError):
        pixels.append(0)
    del array
    pixels.append(0)


def test_batches_come_in_these_dtypes_too() -> None:
    array = array_of("bfloat16")
    for batch in nl.Loader(array, batch_size=2, output="numpy"):
        assert batch.dtype == ml_dtypes.bfloat16


def test_without_the_package_numpy_has_no_such_dtype_and_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = nl.view(torch.zeros(2, 3, dtype=torch.bfloat16))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    message = "numpy without ml_dtypes has no dtype for bfloat16"
    with pytest.raises(BufferError, match=f"^{message}; pip install ml_dtypes$"):
        view.numpy()
    with pytest.raises(BufferError, match=message):
        np.asarray(view)
    assert str(nl.explain(view, "numpy")) == f"numpy cannot take this view: {message}."
    with pytest.raises(TypeError, match=message):
        nl.Loader(view, output="numpy")


def test_a_dtype_that_is_nobodys_is_refused_by_numpys_own_words() -> None:
    with pytest.raises(ValueError, match="cannot include dtype"):
        nl.view(np.zeros(3, ml_dtypes.int4))
