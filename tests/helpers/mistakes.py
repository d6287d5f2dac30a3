"""Views, and objects to make views of, each with a mistake."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tests.helpers import buffers
from tests.helpers.strategies import Array

import ndlens as nl

# The memory that descriptions point into, kept as long as the tests run.
KEPT: list[Any] = []


def matrix() -> Any:
    """A view, int64, shape (4, 6), strides (48, 8); Any, since the tests misuse it."""
    return nl.view(np.arange(24).reshape(4, 6))


def any_value(value: Any) -> Any:
    return value


def huge() -> nl.View:
    """More elements than there is memory, in one byte of it."""
    return nl.view(np.broadcast_to(np.uint8(0), (2**62,)))


def bfloat16() -> Any:
    return nl.view(torch.zeros(2, 3, dtype=torch.bfloat16))


def records() -> Array:
    return np.zeros(4, [("x", "<f4"), ("y", "<i2")])


def truncated() -> nl.View:
    """A view of a file that has become shorter; runs in the test's own directory."""
    np.save("cut.npy", np.zeros(1 << 16, np.uint8))
    view: nl.View = nl.open("cut.npy")
    os.truncate("cut.npy", 4096)
    return view


def damaged() -> nl.View:
    """A view of a file that was shorter when it was read; runs in the test's own directory."""
    nl.guard_truncation()
    view = truncated()
    assert view.numpy()[-1] == 0
    os.truncate("cut.npy", 1 << 17)
    return view


def moved() -> nl.View:
    """A view of a tensor that torch moved afterwards."""
    tensor = torch.arange(6)
    view = nl.view(tensor)
    tensor.share_memory_()
    return view


def exporter(**fields: Any) -> memoryview:
    """Twenty-four bytes with the description `fields`."""
    memory = (ctypes.c_uint8 * 24)()
    buffer = buffers.PyBuffer(buf=ctypes.addressof(memory), len=24, readonly=0, **fields)
    view: memoryview = buffers.memoryview_from_buffer(ctypes.byref(buffer))
    KEPT.append((memory, fields))
    return view


class Producer:
    """A producer of a DLPack tensor of shape (2, 3), modified by `change`."""

    def __init__(self, change: Callable[[buffers.DLTensor], None]) -> None:
        source = nl.view(np.zeros((2, 3), "f4"))
        self.capsule = source.__dlpack__(max_version=(1, 0))
        change(buffers.versioned_tensor(self.capsule).dl_tensor)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **keywords: Any) -> Any:
        return self.capsule


def changed(**fields: Any) -> Producer:
    def change(tensor: buffers.DLTensor) -> None:
        for name, value in fields.items():
            setattr(tensor, name, value)

    return Producer(change)


def with_size(size: int) -> Producer:
    def change(tensor: buffers.DLTensor) -> None:
        tensor.shape[1] = size

    return Producer(change)


def with_stride(stride: int) -> Producer:
    def change(tensor: buffers.DLTensor) -> None:
        tensor.strides[0] = stride

    return Producer(change)


class Described:
    """An object that has an array interface and nothing else."""

    def __init__(self, **interface: Any) -> None:
        self.__array_interface__ = interface


def assign(view: nl.View, value: Any) -> None:
    view[...] = value
