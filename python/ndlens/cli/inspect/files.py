"""What is in a file of arrays: the facts that need neither NumPy nor torch.

Every fact comes from the opened file: an array's alignment from the address of its first element,
and "mapped" from the kernel's list of this process's maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ndlens as nl

from ..archives import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ArrayFacts", "FileFacts", "address_of", "expand", "read_facts"]

SUFFIXES = (".npy", ".npz", ".safetensors", ".tar")
PATTERN = frozenset("*?[")
# What opening a file or one of its arrays raises; nl.FormatError is a ValueError.
ERRORS = (OSError, ValueError, TypeError, BufferError, MemoryError)
# No kernel and no consumer asks for more than a cache line.
MOST_ALIGNED_BYTES = 64


@dataclass
class ArrayFacts:
    """One array of a file."""

    name: str  # "" for the only array of a file
    dtype: str
    shape: tuple[int | None, ...]  # None where items differ
    layout: str  # "C", "F", "strided", "items", or "compressed"
    strides_bytes: tuple[int, ...] | None = None
    nbytes: int | None = None
    alignment_bytes: int | None = None  # the largest power of two up to 64 that divides the address
    view: nl.View | None = None  # what a consumer is offered
    error: str | None = None  # why there is no view


@dataclass
class FileFacts:
    """One file, or the files that an index names."""

    path: str
    format: str | None = None
    nbytes: int | None = None
    mapped: bool | None = None  # None where there is no array, or no /proc
    metadata: dict[str, str] = field(default_factory=dict)
    arrays: list[ArrayFacts] = field(default_factory=list)
    samples: int | None = None  # of tar archives
    error: str | None = None


def expand(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The files that arguments name, each with an error where one names none.

    A folder stands for the files in it that are arrays by their suffix, a pattern for what it
    matches. A path that leads to a file is not a pattern.
    """
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
            reason = f"no {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file in this folder"
        elif PATTERN.intersection(argument) and not path.exists():
            from glob import glob

            found = sorted(map(Path, glob(argument, recursive=True)))  # noqa: PTH207
            reason = "no file matches"
        else:
            yield argument, None
            continue
        if not found:
            yield argument, reason
        for file in found:
            yield str(file), None


def read_facts(path: str, mode: str) -> FileFacts:
    """Open a file as `nl.open(path, mode)` and list its arrays; errors are facts too."""
    facts = FileFacts(path)
    try:
        opened: Any = nl.open(path, mode)  # type: ignore[call-overload]  # checked by argparse
        if isinstance(opened, nl.Samples):
            facts.format = "tar archive"
            facts.nbytes = sum(Path(archive).stat().st_size for archive in opened.archives)
            facts.samples = len(opened.sample_keys)
            facts.arrays.extend(_field_of(opened, name) for name in opened)
        else:
            facts.format = _format(path, opened)
            facts.nbytes = _size(path)
        if isinstance(opened, nl.Arrays):
            facts.metadata = opened.metadata
            # Opened once more to read: gives what is known of arrays that cannot be mapped.
            unmapped: Any = None
            for name in opened:
                array = _array_of(opened, name, path)
                if array.error is not None:
                    unmapped = nl.open(path, copy=True) if unmapped is None else unmapped
                    _describe_unmapped(array, opened, unmapped)
                facts.arrays.append(array)
        elif not isinstance(opened, nl.Samples):
            facts.arrays.append(_facts_of("", opened))
    except ERRORS as error:
        facts.error = _text(error, path)
        return facts
    views = [array.view for array in facts.arrays if array.view is not None and array.nbytes]
    if views:
        facts.mapped = _is_mapped(address_of(views[0]))
    return facts


def _field_of(samples: nl.Samples, name: str) -> ArrayFacts:
    """A field of the samples that have it."""
    without = lacking(samples, name)
    having: Any = samples.select(name, missing="skip") if without else samples
    items = having[name]
    facts = _facts_of(name, items)
    facts.nbytes = sum(items.shapes.reshape(-1).tolist())
    return facts


def _array_of(arrays: nl.Arrays, name: str, path: str) -> ArrayFacts:
    try:
        return _facts_of(name, arrays[name])
    except ERRORS as error:
        return ArrayFacts(name, "?", (), "?", error=_text(error, path))


def _describe_unmapped(array: ArrayFacts, mapped: nl.Arrays, read: nl.Arrays) -> None:
    """What is known of an array that has no view: its dtype and shape as the file has them."""
    for arrays in (mapped, read):
        try:
            array.dtype, array.shape = arrays.info(array.name)
        except (*ERRORS, KeyError):
            continue
        if arrays is read:  # only by decompressing it
            array.layout = "compressed"
            item = nl.view(bytes(MOST_ALIGNED_BYTES)).reinterpret(array.dtype)
            array.nbytes = math.prod(size or 0 for size in array.shape) * item.itemsize
        else:
            array.layout = "no view"
        return


def _facts_of(name: str, array: Any) -> ArrayFacts:
    if isinstance(array, nl.Items):
        first = array[0] if len(array) and isinstance(array[0], nl.View) else None
        data = array.data
        return ArrayFacts(
            name,
            array.dtype,
            array.shape,
            "items",
            nbytes=None if data is None else data.nbytes,
            alignment_bytes=None if first is None else _alignment(first),
            view=first,
        )
    layout = "C" if array.c_contiguous else "F" if array.f_contiguous else "strided"
    return ArrayFacts(
        name,
        array.dtype,
        array.shape,
        layout,
        array.strides,
        array.nbytes,
        _alignment(array),
        array,
    )


def address_of(view: nl.View) -> int:
    """The address of the first element of a view that has one."""
    # Its bytes: the array interface has no name for some dtypes, such as bfloat16.
    first = view[(slice(0, 1),) * view.ndim] if view.ndim else view
    address: int = first.reshape(1).reinterpret("uint8").__array_interface__["data"][0]
    return address


def _alignment(view: nl.View) -> int | None:
    if not view.nbytes:
        return None
    address = address_of(view)
    return min(address & -address, MOST_ALIGNED_BYTES)


def _is_mapped(address: int) -> bool | None:
    """Whether an address is in a map of a file, by the kernel's list."""
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        addresses, _access, _offset, _device, inode, *_path = line.split(maxsplit=5)
        start, _, end = addresses.partition("-")
        if int(start, 16) <= address < int(end, 16):
            return inode != "0"
    return False


def _format(path: str, opened: Any) -> str:
    if path.endswith(".index.json"):
        return "index of .safetensors files"
    with Path(path).open("rb") as file:
        start = file.read(6)
    if start == b"\x93NUMPY":
        return ".npy"
    return ".npz" if start.startswith(b"PK") else ".safetensors"


def _size(path: str) -> int:
    """Bytes of a file; of an index, of the files that it names."""
    if not path.endswith(".index.json"):
        return Path(path).stat().st_size
    import json

    files = set(json.loads(Path(path).read_text())["weight_map"].values())
    return sum((Path(path).parent / file).stat().st_size for file in files)


def _text(error: BaseException, path: str) -> str:
    """An error in one line, without the path and the name that stand beside it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = text.splitlines()[0] if text else type(error).__name__
    return line.partition(": ")[2] or line if line.startswith(path) else line
