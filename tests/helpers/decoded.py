"""Images as Pillow and torchvision decode them, and how far two images differ."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

import ndlens as nl

Array = np.ndarray[Any, Any]


def ours(data: Any, mode: Any = "RGB", **more: Any) -> Array:
    return np.array(nl.decode_image(data, mode, **more))


def by_pillow(data: bytes, mode: str = "RGB") -> Array:
    """Rows, columns and channels, also of grey."""
    with Image.open(io.BytesIO(data)) as image, warnings.catch_warnings():
        # It says that a palette's alpha is left out.
        warnings.simplefilter("ignore", UserWarning)
        pixels = np.array(image.convert(mode))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def by_torchvision(data: bytes, mode: str = "RGB") -> Array:
    modes = {"RGB": ImageReadMode.RGB, "L": ImageReadMode.GRAY, "RGBA": ImageReadMode.RGB_ALPHA}
    of_torch = modes.get(mode, ImageReadMode.UNCHANGED)
    with warnings.catch_warnings():
        # It says that torchcodec will have it.
        warnings.simplefilter("ignore", DeprecationWarning)
        tensor = decode_image(torch.frombuffer(bytearray(data), dtype=torch.uint8), of_torch)
    pixels: Array = tensor.permute(1, 2, 0).numpy()
    return pixels


class Difference(NamedTuple):
    """How far two images differ."""

    largest: tuple[int, ...]
    """Of each channel."""
    equal: float
    """The share of pixels of which all channels are equal."""


def difference(a: Array, b: Array) -> Difference:
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    apart = np.abs(a.astype("i4") - b.astype("i4"))
    largest = tuple(int(most) for most in apart.max(axis=(0, 1)))
    return Difference(largest, float((apart.max(axis=2) == 0).mean()))


def grown_by(mode: str, data: bytes) -> int:
    """The bytes by which a process grows at most while it decodes an image."""
    code = """
import resource, sys
import ndlens as nl
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
nl.decode_image(data, sys.argv[1])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024)
"""
    command = [sys.executable, "-c", code, mode]
    run = subprocess.run(command, input=data, capture_output=True)
    assert run.returncode == 0, run.stderr
    return int(run.stdout)
