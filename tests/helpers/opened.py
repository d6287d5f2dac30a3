"""Files opened as the type that a test expects."""

from __future__ import annotations

from typing import Any, Literal

import ndlens as nl


def open_arrays(path: Any, mode: Literal["r", "c", "r+"] = "c", *, copy: bool = False) -> nl.Arrays:
    opened = nl.open(path, mode, copy=copy)
    assert isinstance(opened, nl.Arrays)
    return opened
