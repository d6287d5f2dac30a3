"""tvm-ffi, which exchanges tensors through DLPack and its table of C functions."""

from __future__ import annotations

import numpy as np
import pytest
import tvm_ffi

import ndlens as nl

DTYPES = [
    "bool",
    "uint8",
    "int16",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "float8_e4m3fn",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_view_becomes_a_tensor_and_comes_back_on_the_same_memory(dtype: str) -> None:
    view = nl.view(bytearray(range(96))).reinterpret(dtype)
    back = nl.view(tvm_ffi.from_dlpack(view))
    assert (back.dtype, back.shape) == (dtype, view.shape)
    assert nl.shares_memory(back, view)
    assert back.tobytes() == view.tobytes()


def test_layouts_survive() -> None:
    numbers = nl.view(np.arange(24, dtype=np.float32).reshape(4, 6))
    for view in (numbers[:, ::-1], numbers[::2, 1:], numbers.T, numbers[:0], numbers[1, 2, ...]):
        back = nl.view(tvm_ffi.from_dlpack(view))
        assert (back.shape, back.tolist()) == (view.shape, view.tolist())
        assert view.size == 0 or nl.shares_memory(back, view)


def test_writes_go_through() -> None:
    view = nl.view(np.zeros(3, np.float32))
    nl.view(tvm_ffi.from_dlpack(view))[1] = 7
    assert view.tolist() == [0, 7, 0]


def test_a_function_of_tvm_takes_views_as_its_arguments_and_gives_views_back() -> None:
    view = nl.view(np.arange(6, dtype=np.float32).reshape(2, 3))
    echoed = tvm_ffi.convert(lambda tensor: tensor)(view)
    assert isinstance(echoed, nl.View)
    assert nl.shares_memory(echoed, view)
    assert echoed.tolist() == view.tolist()
