"""A C function takes a strided crop by pointer, shape and strides, through ctypes and through cffi.

A C library knows nothing of Python's arrays. It takes the address of the first element and, for
each axis, the number of elements and the bytes from one to the next. A view has all three:
`__array_interface__["data"]`, `shape` and `strides`. Nothing is copied, also where the crop has
gaps or runs backwards. The view must live until the function returns.

The program compiles its C code with the system's compiler, `cc`.

    python examples/c_function.py
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cffi
import numpy as np

import ndlens as nl

DECLARATION = """
uint64_t invert(uint8_t *first, const int64_t *shape, const int64_t *strides);
"""

SOURCE = """
#include <stdint.h>

/* Inverts an image of (rows, columns, channels) in place. Returns the sum of what it was. */
uint64_t invert(uint8_t *first, const int64_t *shape, const int64_t *strides) {
    uint64_t sum = 0;
    for (int64_t row = 0; row < shape[0]; row++)
        for (int64_t column = 0; column < shape[1]; column++)
            for (int64_t channel = 0; channel < shape[2]; channel++) {
                uint8_t *element =
                    first + row * strides[0] + column * strides[1] + channel * strides[2];
                sum += *element;
                *element = 255 - *element;
            }
    return sum;
}
"""


def compile_library(directory: Path, compiler: str) -> Path:
    source, library = directory / "image.c", directory / "libimage.so"
    source.write_text(SOURCE)
    command = [
        compiler,
        "-O2",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(source),
    ]
    subprocess.run(command, check=True)
    return library


def address(view: nl.View) -> int:
    first: int = view.__array_interface__["data"][0]
    return first


def with_ctypes(library: Path, crop: nl.View) -> int:
    """Inverts a crop (H, W, C) in place; ctypes gives up the GIL during the call."""
    loaded = ctypes.CDLL(str(library))
    numbers = ctypes.c_int64 * crop.ndim
    loaded.invert.restype = ctypes.c_uint64
    total: int = loaded.invert(
        ctypes.c_void_p(address(crop)), numbers(*crop.shape), numbers(*crop.strides)
    )
    return total


def with_cffi(library: Path, crop: nl.View) -> int:
    """Inverts a crop (H, W, C) in place; cffi gives up the GIL during the call."""
    ffi = cffi.FFI()
    ffi.cdef(DECLARATION)
    loaded: Any = ffi.dlopen(str(library))
    total: int = loaded.invert(
        ffi.cast("uint8_t *", address(crop)),
        ffi.new("int64_t[]", crop.shape),
        ffi.new("int64_t[]", crop.strides),
    )
    return total


def main() -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("there is no C compiler: install one that answers to cc, such as gcc or clang")

    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "images.npy")
        np.save(path, images)
        mapped = nl.open(path)
        assert isinstance(mapped, nl.View)
        library = compile_library(Path(directory), compiler)

        expected = images.copy()
        for name, call, crop, same in (
            ("ctypes", with_ctypes, mapped[1, 8:40, 16:48], expected[1, 8:40, 16:48]),
            ("cffi", with_cffi, mapped[2, 40:8:-2, ::-1, :2], expected[2, 40:8:-2, ::-1, :2]),
        ):
            total = call(library, crop)
            assert total == same.sum()
            same[...] = 255 - same
            # The map shows what C wrote, in the crop and nowhere else.
            assert np.array_equal(mapped.numpy(), expected)
            print(f"{name}: a crop {crop.shape}, strides {crop.strides}: sum {total}, inverted")


if __name__ == "__main__":
    main()
