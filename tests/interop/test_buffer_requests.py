"""Requests of the buffer protocol are answered as memoryview answers them."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers import buffers
from tests.helpers.consumers import memory
from tests.helpers.layouts import LAYOUTS, make
from tests.helpers.strategies import fill

import ndlens as nl

REQUESTS = {
    "SIMPLE": buffers.SIMPLE,
    "ND": buffers.ND,
    "STRIDES": buffers.STRIDES,
    "C_CONTIGUOUS": buffers.C_CONTIGUOUS,
    "F_CONTIGUOUS": buffers.F_CONTIGUOUS,
    "ANY_CONTIGUOUS": buffers.ANY_CONTIGUOUS,
    "INDIRECT": buffers.INDIRECT,
}


@pytest.mark.parametrize("layout", [*LAYOUTS, "Fortran order", "flipped"])
@pytest.mark.parametrize("flags", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_buffer_request_is_answered_as_memoryview_answers_it(flags: int, layout: str) -> None:
    if layout == "Fortran order":
        array = np.asfortranarray(fill(np.dtype("i4"), 6, seed=5).reshape(2, 3))
        view = nl.view(array)
    elif layout == "flipped":
        array = fill(np.dtype("i4"), 6, seed=5)[::-1]
        view = nl.view(array)
    else:
        array, view = make("i4", layout)
    for extra, readonly in itertools.product((0, buffers.WRITABLE, buffers.FORMAT), (False, True)):
        if extra == buffers.FORMAT and not flags & buffers.ND:
            continue  # CPython refuses what PEP 3118 allows
        mine, theirs = (
            (view.toreadonly(), memory(array).toreadonly()) if readonly else (view, memory(array))
        )
        try:
            with buffers.request(theirs, flags | extra) as expected:
                fields = describe(expected)
        except BufferError:
            with pytest.raises(BufferError), buffers.request(mine, flags | extra):
                pass
        else:
            with buffers.request(mine, flags | extra) as got:
                assert describe(got) == fields


def describe(buffer: buffers.PyBuffer) -> dict[str, Any]:
    ndim = buffer.ndim
    nothing = buffer.len == 0
    # The strides of axes that nobody walks may be anything.
    walked = [
        buffer.strides[axis]
        for axis in range(ndim)
        if buffer.strides and buffer.shape[axis] > 1 and not nothing
    ]
    return {
        "buf": None if nothing else buffer.buf,
        "len": buffer.len,
        "itemsize": buffer.itemsize,
        "readonly": buffer.readonly,
        "ndim": ndim,
        "format": buffer.format,
        "shape": buffer.shape[:ndim] if buffer.shape else None if ndim else [],
        "strides": walked if buffer.strides else None if ndim else [],
        "suboffsets": bool(buffer.suboffsets),
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            buffers.SIMPLE,
            (
                "view is not C-contiguous and the buffer was asked for without strides; call"
                " .copy() first"
            ),
        ),
        (
            buffers.ND,
            (
                "view is not C-contiguous and the buffer was asked for without strides; call"
                " .copy() first"
            ),
        ),
        (buffers.C_CONTIGUOUS, "view is not C-contiguous; call .copy() first"),
        (buffers.F_CONTIGUOUS, "view is not Fortran-contiguous; call .copy() first"),
        (buffers.ANY_CONTIGUOUS, "view is not contiguous; call .copy() first"),
        (buffers.WRITABLE, "view is read-only, but a writable buffer was asked for"),
        (buffers.FULL, "view is read-only, but a writable buffer was asked for"),
    ],
)
def test_a_refused_buffer_request_says_why(flags: int, message: str) -> None:
    strided = nl.view(bytes(24)).reshape(4, 6)[:, ::2]
    with pytest.raises(BufferError) as caught, buffers.request(strided, flags):
        pass
    assert str(caught.value) == message


def test_readers_of_bytes_read_a_view() -> None:
    array = np.arange(24, dtype="i2").reshape(4, 6)
    whole: Any = nl.view(array)
    strided = whole[:, ::2]
    assert bytes(whole) == array.tobytes()
    assert bytes(strided) == array[:, ::2].tobytes()
    assert b"".join([whole]) == array.tobytes()
    written = io.BytesIO()
    written.write(whole)
    assert written.getvalue() == array.tobytes()
    assert io.BytesIO(b"\1" * 8).readinto(whole[0]) == 8
    assert array[0].tolist() == [257, 257, 257, 257, 4, 5]
    assert np.frombuffer(whole, "i2").tolist() == array.ravel().tolist()
    assert torch.frombuffer(whole, dtype=torch.int16).data_ptr() == array.ctypes.data
    with pytest.raises((BufferError, ValueError), match="contiguous"):
        np.frombuffer(strided, "i2")
    with pytest.raises(BufferError, match="asked for without strides"):
        io.BytesIO().write(strided)
    with pytest.raises((BufferError, TypeError), match="read"):
        io.BytesIO(bytes(8)).readinto(nl.view(bytes(8))[...])  # type: ignore[arg-type]
