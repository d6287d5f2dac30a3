"""Arrays and views on the same memory, laid out alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.helpers.strategies import Array, fill

import ndlens as nl

# Operations on a view of shape (4, 5, 6), and on an array of that shape.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda x: x,
    "sliced": lambda x: x[1:, ::2, 1:5:3],
    "transposed": lambda x: x.permute(2, 0, 1) if isinstance(x, nl.View) else x.transpose(2, 0, 1),
    "new axes": lambda x: x[None, 2, ..., None],
    "windows": lambda x: (
        x.windows(3, 2, axis=2)
        if isinstance(x, nl.View)
        else np.lib.stride_tricks.sliding_window_view(x, 3, axis=2, writeable=True)[:, :, ::2]
    ),
    "size 0": lambda x: x[:, 3:3],
    "rank 0": lambda x: x[1, 2, 3, ...],
    "zero stride": lambda x: x,
}


def make(dtype: str, layout: str) -> tuple[Array, Any]:
    """An array and a view on the same memory, laid out alike."""
    base = fill(np.dtype(dtype), 4 * 5 * 6, seed=3).reshape(4, 5, 6)
    if layout == "zero stride":
        base = np.lib.stride_tricks.as_strided(base, strides=(base.strides[0], 0, base.strides[2]))
    return LAYOUTS[layout](base), LAYOUTS[layout](nl.view(base))
