"""PNG files of every kind of the standard, which no library here writes: a plain writer of them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour types of the standard, table 11.1: channels, and the depths that each may have.
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
# First column and row of each pass of Adam7, and the steps: table 9.
PASSES = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def header(height: int, width: int, depth: int, colour: int, interlaced: bool = False) -> bytes:
    fields = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return SIGNATURE + chunk(b"IHDR", fields)


def packed(samples: Array, depth: int) -> list[bytes]:
    """The rows of samples (rows, columns, channels), as the standard packs them."""
    flat = samples.reshape(len(samples), -1)
    if depth >= 8:
        return [row.tobytes() for row in flat.astype(">u2" if depth == 16 else "u1")]
    bits = (flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1)).tobytes() for row in bits.astype("u1")]


def filtered(rows: list[bytes], pixel_bytes: int, first: int) -> bytes:
    """Rows behind their filters: all five in turn, from `first` on."""
    data = bytearray()
    above = bytes(len(rows[0]) if rows else 0)
    for number, row in enumerate(rows):
        kind = (first + number) % 5
        left = (
            bytes(pixel_bytes) + row[:-pixel_bytes] if len(row) > pixel_bytes else bytes(len(row))
        )
        corner = (
            bytes(pixel_bytes) + above[:-pixel_bytes] if len(row) > pixel_bytes else bytes(len(row))
        )
        data.append(kind)
        for x, a, b, c in zip(row, left, above, corner, strict=True):
            estimate = a + b - c
            nearest = min((a, b, c), key=lambda value: abs(estimate - value))
            predicted = (0, a, b, (a + b) // 2, nearest)[kind]
            data.append((x - predicted) % 256)
        above = row
    return bytes(data)


def image_data(samples: Array, depth: int, interlaced: bool) -> bytes:
    pixel_bytes = max(1, samples.shape[2] * depth // 8)
    if not interlaced:
        return filtered(packed(samples, depth), pixel_bytes, 0)
    parts = []
    for number, (left, top, across, down) in enumerate(PASSES):
        part = samples[top::down, left::across]
        if part.size:
            parts.append(filtered(packed(part, depth), pixel_bytes, number))
    return b"".join(parts)


def png(
    samples: Array,
    depth: int,
    colour: int,
    *,
    interlaced: bool = False,
    palette: Array | None = None,
    transparency: bytes | None = None,
    before: bytes = b"",
    after: bytes = b"",
    pieces: int = 2,
) -> bytes:
    """A file of samples (rows, columns, channels), its data in several chunks.

    `transparency` is the contents of tRNS; `before` and `after` are chunks around the image data.
    """
    height, width, channels = samples.shape
    assert channels == CHANNELS[colour]
    parts = [header(height, width, depth, colour, interlaced)]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette.astype("u1").tobytes()))
    if transparency is not None:
        parts.append(chunk(b"tRNS", transparency))
    parts.append(before)
    data = zlib.compress(image_data(samples, depth, interlaced))
    size = -(-len(data) // pieces)
    parts += [chunk(b"IDAT", data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join([*parts, after, chunk(b"IEND", b"")])
