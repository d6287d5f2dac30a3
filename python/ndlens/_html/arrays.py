"""The face of the arrays of a file: what the file says of each. No array is looked up."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from . import page
from .words import byte_count, count, plain, shape_text

if TYPE_CHECKING:
    from ndlens import Arrays

__all__ = ["html"]

_SHOWN = 20
_METADATA_SHOWN = 8
# Bits of the dtypes of a `.safetensors`, such as "BF16" or "F8_E4M3", and of NumPy, as "float32".
_BITS = re.compile(r"[A-Za-z]+(\d+)")
# NumPy's short names count bytes, as "<f4".
_BYTES = re.compile(r"[<>|=]?[a-zA-Z](\d{1,2})")


def html(arrays: Arrays) -> str:
    """Arrays in HTML, in the order of the file."""
    rows = []
    sizes: list[int | None] = []
    for name in islice(arrays, _SHOWN):
        try:
            dtype, shape = arrays.info(name)
        except Exception as error:  # a damaged array is a row, too
            rows.append([page.code(name), "", "", "", plain(f"{type(error).__name__}: {error}")])
            sizes.append(None)
            continue
        nbytes = _nbytes(dtype, shape)
        sizes.append(nbytes)
        words = "" if nbytes is None else byte_count(nbytes)
        rows.append([page.code(name), page.code(dtype), page.code(shape_text(shape)), words, ""])
    largest = max((size for size in sizes if size), default=0)
    for row, size in zip(rows, sizes, strict=True):
        if size and largest:
            row[4] = _bar(size / largest)
    head = [page.title(arrays.path), page.badge(_arrays(len(arrays)))]
    body = [page.grid(["name", "dtype", "shape", "bytes", ""], rows, [3])] if rows else []
    if len(arrays) > _SHOWN:
        body.append(page.note(f"and {count(len(arrays) - _SHOWN)} more"))
    metadata = arrays.metadata
    if metadata:
        shown = [(key, page.code(metadata[key])) for key in islice(metadata, _METADATA_SHOWN)]
        body.append(page.facts(shown))
        if len(metadata) > _METADATA_SHOWN:
            body.append(page.note(f"and {count(len(metadata) - _METADATA_SHOWN)} more of metadata"))
    return page.card("ndlens.Arrays", head, body)


def _arrays(number: int) -> str:
    return f"{count(number)} array{'s' if number != 1 else ''}"


def _nbytes(dtype: str, shape: tuple[int, ...]) -> int | None:
    """Bytes of an array; None if its dtype does not tell."""
    size = 1
    for length in shape:
        size *= length
    if dtype.lower() == "bool":
        return size
    if match := _BYTES.fullmatch(dtype) if dtype[:1] in "<>|=" else None:
        return size * int(match[1])
    match = _BITS.match(dtype)
    return (size * int(match[1]) + 7) // 8 if match else None


def _bar(part: float) -> str:
    width = max(1.0, 90 * part)
    return (
        '<svg viewBox="0 0 90 8" style="width:90px;margin:0" aria-hidden="true">'
        f'<rect class="ndl-on" fill="#2f6fdf" width="{width:.1f}" height="8" rx="1.5"/></svg>'
    )
