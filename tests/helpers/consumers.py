"""The libraries that take the memory of a view, and how they take it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import ndlens as nl

# torch does not list it among its typed names.
from_dlpack = torch.from_dlpack  # type: ignore[attr-defined]
# Objects that export a buffer have no type for it before Python 3.12.
memory: Any = memoryview

CONSUMERS: dict[str, Callable[[nl.View], Any]] = {
    "numpy()": lambda v: v.numpy(),
    "np.asarray": np.asarray,
    "np.asarray(copy=False)": lambda v: np.asarray(v, copy=False),
    "np.from_dlpack": np.from_dlpack,
    "np.asarray(memoryview)": lambda v: np.asarray(memory(v)),
    "torch()": lambda v: v.torch(),
    "torch.from_dlpack": from_dlpack,
    "torch.from_dlpack(capsule)": lambda v: from_dlpack(v.__dlpack__()),
    "nl.view(memoryview)": lambda v: nl.view(memory(v)).numpy(),
    "nl.view(torch())": lambda v: nl.view(v.torch()).numpy(),
}
