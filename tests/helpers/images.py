"""Photographs, and batches made of them, for comparison with torchvision."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch
from PIL import Image

import ndlens as nl
from ndlens import transforms as T

Array = np.ndarray[Any, Any]

PHOTOGRAPHS = ["astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

FLOATS = ["float16", "bfloat16", "float32", "float64"]


@cache
def photograph(name: str) -> Array:
    """A photograph that ships in scikit-image's wheel, (H, W, 3)."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
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
