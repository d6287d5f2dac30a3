"""A function compiled by numba works on a strided view: it reads and writes the caller's memory.

numba takes NumPy arrays of any strides, and `view.numpy()` is one on the same memory. So a crop of
a mapped file, or the mirror image of one, goes to compiled code without a copy. numba knows
read-only arrays too: it refuses to compile a write to one.

    python examples/numba_function.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

import ndlens as nl

Image = npt.NDArray[np.uint8]


@numba.njit(nogil=True)
def histogram(image: Image) -> npt.NDArray[np.int64]:
    """How often each value from 0 to 255 is in an image (H, W, C)."""
    counts = np.zeros(256, np.int64)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(image.shape[2]):
                counts[image[row, column, channel]] += 1
    return counts


@numba.njit(nogil=True)
def darken(image: Image) -> None:
    """Halves every value of an image (H, W, C), in place."""
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(image.shape[2]):
                image[row, column, channel] //= 2


def main() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "images.npy")
        np.save(path, images)
        mapped = nl.open(path)
        assert isinstance(mapped, nl.View)

        crop = mapped[1, 8:40, 16:48]
        expected_counts = np.bincount(images[1, 8:40, 16:48].ravel(), minlength=256)
        assert np.array_equal(histogram(crop.numpy()), expected_counts)
        print(f"histogram of a crop, strides {crop.strides}: nothing copied")

        mirrored = crop[:, ::-1]
        darken(mirrored.numpy())
        expected = images.copy()
        expected[1, 8:40, 16:48] //= 2
        assert np.array_equal(mapped.numpy(), expected)
        print(f"a mirrored crop, strides {mirrored.strides}, halved in place: the map shows it")

        readonly = nl.open(path, mode="r")[0].numpy()
        refusal = ""
        try:
            darken(readonly)
        except numba.TypingError as error:
            refusal = str(error)
        assert "Cannot modify readonly array" in refusal
        print("a read-only view: numba refuses to write to it")


if __name__ == "__main__":
    main()
