"""Photographs, and batches made of them, for comparison with torchvision."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import ndlens as nl
from ndlens import transforms as T

Array = np.ndarray[Any, Any]

PHOTOGRAPHS = ["astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

FLOATS = ["float16", "bfloat16", "float32", "float64"]


# Their heights and widths, and what stands for them where scikit-image is left out: one of
# scikit-learn's photographs, and the steps along its height and width.
STANDING_IN = {
    "astronaut.png": ((512, 512), "china.jpg", (1, 1)),
    "coffee.png": ((400, 600), "china.jpg", (1, -1)),
    "chelsea.png": ((300, 451), "flower.jpg", (1, 1)),
    "rocket.jpg": ((427, 640), "flower.jpg", (-1, 1)),
}


@cache
def photograph(name: str) -> Array:
    """A photograph that ships in scikit-image's wheel, (H, W, 3); or another of its size."""
    if (folder := folder_of("skimage")) is not None:
        return decoded(folder / "data" / name)
    (height, width), other, (down, right) = STANDING_IN[name]
    folder = folder_of("sklearn")
    assert folder is not None
    image = decoded(folder / "datasets" / "images" / other)[::down, ::right]
    missing = [
        (0, max(0, side - had)) for side, had in zip((height, width), image.shape, strict=False)
    ]
    return np.pad(image, [*missing, (0, 0)], mode="symmetric")[:height, :width]


def folder_of(module: str) -> Path | None:
    """The folder of a package, which is not imported, if it is installed."""
    spec = find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def decoded(path: Path) -> Array:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def made(items: Any, *transforms: T.Transform, **settings: Any) -> torch.Tensor:
    """All items of a data set, in one batch."""
    (batch,) = nl.Loader(items, batch_size=len(items), transforms=transforms, **settings)
    assert isinstance(batch, torch.Tensor)
    return batch


def make(image: Any, *transforms: T.Transform, **settings: Any) -> torch.Tensor:
    """One image."""
    return made(nl.view(image)[None], *transforms, **settings)[0]


def channels_first(image: Any) -> torch.Tensor:
    """The image as torchvision takes it, (C, H, W)."""
    tensor = torch.from_numpy(np.array(image, order="C"))
    return tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor[None]


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of the elements, which also tell the sign of zeros and NaNs apart."""
    return tensor.contiguous().view(
        {2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.itemsize]
    )


def equal(got: torch.Tensor, expected: torch.Tensor) -> bool:
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    return (
        torch.equal(bits(got), bits(expected))
        if got.is_floating_point()
        else torch.equal(got, expected)
    )


def torch_dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype
