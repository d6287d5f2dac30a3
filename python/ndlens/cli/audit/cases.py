"""What is handed over: one array in memory, seen in the ways that tell methods apart.

Each source is made of one large array of bytes, images of 512 x 512 x 3, with NumPy or, where that
is not installed, with ndlens itself. The proof needs somebody else who sees the same elements and
may write them: `witness`.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ndlens as nl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CASES",
    "COUNT_OF_MAPPED",
    "IMAGE",
    "IMAGE_BYTES",
    "Source",
    "make_base",
    "make_source",
    "save_base",
]

IMAGE = (512, 512, 3)
IMAGE_BYTES = 512 * 512 * 3
# A file of 63 MB: what is mapped costs the same at any size.
COUNT_OF_MAPPED = 80

# In this order in every table. The last ends the process for some methods; nothing follows it.
CASES = {
    "contiguous": "the whole array, `a`",
    "every 2nd": "every second image, `a[::2]`",
    "reversed": "mirrored: a negative stride, `a[:, :, ::-1]`",
    "crop": "the centre of each image, a quarter of it, `a[:, 128:384, 128:384]`",
    "read-only": "the whole array, with `a.flags.writeable = False`",
    "big-endian": "the same bytes as numbers in big-endian byte order, `a.view('>i2')`",
    "unaligned": "float32 that starts at an odd address",
    "mapped": "a file: `np.load(path, mmap_mode='r')`; for ndlens `nl.open(path)`",
}


@dataclass
class Source:
    """An array to hand over."""

    base: Any  # an ndarray, or a View where NumPy is not installed
    key: Any  # how `base` is indexed; None if it is not
    witness: Any  # the same elements, writable, through another object
    path: str | None = None  # of the file, if `base` is mapped

    @property
    def array(self) -> Any:
        """The array itself."""
        return self.base if self.key is None else self.base[self.key]

    @cached_property
    def opened(self) -> nl.View:
        """The file as ndlens opens it: a map of its own."""
        assert self.path is not None
        view: nl.View = nl.open(self.path)
        return view

    def view(self) -> nl.View:
        """The array as a user of ndlens has it: sliced by ndlens, or opened by it."""
        if self.path is not None:
            return self.opened
        view = nl.view(self.base)
        return view if self.key is None else view[self.key]

    @property
    def read_only(self) -> bool:
        """Whether the array says that it must not be written."""
        if isinstance(self.base, nl.View):
            return self.base.readonly
        return not self.base.flags.writeable


def make_base(nbytes: int, numpy: Any) -> Any:
    """An array of images of about `nbytes` bytes, all of whose pages are there."""
    shape = (max(2, nbytes // IMAGE_BYTES), *IMAGE)
    if numpy is not None:
        return numpy.full(shape, 1, numpy.uint8)
    base = nl.view(mmap.mmap(-1, shape[0] * IMAGE_BYTES)).reshape(shape)
    base.fill(1)
    return base


def make_source(case: str, base: Any, path: Path | str, numpy: Any) -> Source:
    """The source of a case, made of `base`, or of the file that `save_base` wrote."""
    match case:
        case "contiguous":
            return Source(base, None, base)
        case "every 2nd":
            return Source(base, slice(None, None, 2), base[::2])
        case "reversed":
            key: Any = (slice(None), slice(None), slice(None, None, -1))
            return Source(base, key, base[key])
        case "crop":
            key = (slice(None), slice(128, 384), slice(128, 384))
            return Source(base, key, base[key])
        case "read-only":
            return Source(_read_only(base), None, base)
        case "big-endian":
            flat = base.reshape(len(base), -1)
            numbers = flat.reinterpret(">i2") if numpy is None else flat.view(">i2")
            return Source(numbers, None, numbers)
        case "unaligned":
            flat = base.reshape(-1)[1:-3]
            numbers = flat.reinterpret("<f4") if numpy is None else flat.view("<f4")
            return Source(numbers, None, numbers)
        case "mapped":
            if numpy is None:
                return Source(nl.open(path, "r"), None, nl.open(path, "r+"), str(path))
            mapped = numpy.load(path, mmap_mode="r")
            return Source(mapped, None, numpy.load(path, mmap_mode="r+"), str(path))
    raise ValueError(case)


def _read_only(base: Any) -> Any:
    if isinstance(base, nl.View):
        return base.toreadonly()
    array = base.view()
    array.flags.writeable = False
    return array


def save_base(path: Path) -> None:
    """Write the file that is mapped."""
    nl.save(path, make_base(COUNT_OF_MAPPED * IMAGE_BYTES, None))
