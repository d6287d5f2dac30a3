"""Files of photographs, and what their decoder and transforms make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ndlens as nl

Array = np.ndarray[Any, Any]


def scene(seed: int, height: int, width: int, channels: int = 3) -> Array:
    """An image of soft blocks, so that it is encoded as a photograph is."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 9 + 1, width // 9 + 1, channels), np.uint8)
    pixels: Array = np.kron(blocks, np.ones((9, 9, 1), np.uint8))[:height, :width]
    return pixels


def write(directory: Path, count: int = 23, suffix: str = "jpg") -> list[str]:
    """Photographs of all sizes from 40 to 100 pixels a side."""
    paths = []
    for number in range(count):
        height, width = 40 + number * 37 % 61, 40 + number * 53 % 61
        path = directory / f"{number}.{suffix}"
        Image.fromarray(scene(number, height, width)).save(path, quality=90)
        paths.append(str(path))
    return paths


def decoded(paths: list[str], mode: Any = "RGB", **more: Any) -> nl.Items:
    """The same images as arrays in memory."""
    return nl.ragged([nl.decode_image(path, mode, **more) for path in paths])
