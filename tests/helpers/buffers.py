"""The C side of the buffer protocol and of DLPack, looked at through ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import (
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_ssize_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, ClassVar

SIMPLE, WRITABLE, FORMAT, ND = 0, 1, 4, 8
STRIDES = 0x10 | ND
C_CONTIGUOUS, F_CONTIGUOUS, ANY_CONTIGUOUS = 0x20 | STRIDES, 0x40 | STRIDES, 0x80 | STRIDES
INDIRECT = 0x100 | STRIDES
FULL_RO, FULL = INDIRECT | FORMAT, INDIRECT | FORMAT | WRITABLE


class PyBuffer(ctypes.Structure):
    _fields_: ClassVar = [
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", c_int),
        ("ndim", c_int),
        ("format", c_char_p),
        ("shape", ctypes.POINTER(c_ssize_t)),
        ("strides", ctypes.POINTER(c_ssize_t)),
        ("suboffsets", ctypes.POINTER(c_ssize_t)),
        ("internal", c_void_p),
    ]


# Own functions: those of `ctypes.pythonapi` are shared with all code that sets their types.
_python = ctypes.PyDLL(None)
get_buffer = _python.PyObject_GetBuffer
get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(PyBuffer), c_int]
get_buffer.restype = c_int
release_buffer = _python.PyBuffer_Release
release_buffer.argtypes = [ctypes.POINTER(PyBuffer)]
release_buffer.restype = None
memoryview_from_buffer = _python.PyMemoryView_FromBuffer
memoryview_from_buffer.argtypes = [ctypes.POINTER(PyBuffer)]
memoryview_from_buffer.restype = ctypes.py_object


@contextmanager
def request(obj: Any, flags: int) -> Iterator[PyBuffer]:
    """The answer of `obj` to a request for its buffer; raises its error."""
    buffer = PyBuffer()
    get_buffer(obj, ctypes.byref(buffer), flags)
    try:
        yield buffer
    finally:
        release_buffer(ctypes.byref(buffer))


def pointer(obj: Any) -> int:
    """The address of the first element of an object that exports a buffer."""
    with request(obj, FULL_RO) as buffer:
        return int(buffer.buf or 0)


class DLTensor(ctypes.Structure):
    _fields_: ClassVar = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", ctypes.POINTER(c_int64)),
        ("strides", ctypes.POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class DLManagedTensor(ctypes.Structure):
    _fields_: ClassVar = [("dl_tensor", DLTensor), ("manager_ctx", c_void_p), ("deleter", c_void_p)]


class DLManagedTensorVersioned(ctypes.Structure):
    _fields_: ClassVar = [
        ("major", c_uint32),
        ("minor", c_uint32),
        ("manager_ctx", c_void_p),
        ("deleter", c_void_p),
        ("flags", c_uint64),
        ("dl_tensor", DLTensor),
    ]


READ_ONLY, IS_COPIED = 1, 2

capsule_name = ctypes.pythonapi.PyCapsule_GetName
capsule_name.argtypes = [ctypes.py_object]
capsule_name.restype = c_char_p
capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
capsule_pointer.argtypes = [ctypes.py_object, c_char_p]
capsule_pointer.restype = c_void_p
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.argtypes = [c_void_p, c_char_p, c_void_p]
new_capsule.restype = ctypes.py_object


def versioned_tensor(capsule: Any) -> DLManagedTensorVersioned:
    address = capsule_pointer(capsule, b"dltensor_versioned")
    return DLManagedTensorVersioned.from_address(address)


def unversioned_tensor(capsule: Any) -> DLManagedTensor:
    return DLManagedTensor.from_address(capsule_pointer(capsule, b"dltensor"))
