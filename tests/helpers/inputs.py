"""Every function of ndlens that takes arrays: those that copy nothing, and those that copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ndlens as nl

WAYS_IN: dict[str, Callable[[Any], Any]] = {
    "nl.view": lambda obj: nl.view(obj),
    "nl.view(readonly=True)": lambda obj: nl.view(obj, readonly=True),
    "nl.Loader": lambda obj: list(nl.Loader({"x": obj}, output="view")),
    "nl.Loader of one": lambda obj: list(nl.Loader(obj, output="view")),
    "nl.ragged": lambda obj: nl.ragged([obj, obj]),
    "nl.shares_memory": lambda obj: nl.shares_memory(obj, bytes(3)),
    "nl.explain": lambda obj: nl.explain(obj, "numpy"),
}


def saved(obj: Any, directory: Path) -> nl.View:
    nl.save(directory / "x.npy", obj)
    view: nl.View = nl.open(directory / "x.npy")
    return view


def assigned(obj: Any) -> nl.View:
    view = nl.view(np.zeros(tuple(obj.shape), str(obj.dtype).removeprefix("torch.")))
    view[...] = obj
    return view


def copying(directory: Path) -> dict[str, Callable[[Any], nl.View]]:
    return {
        "nl.view(copy=None)": lambda obj: nl.view(obj, copy=None),
        "nl.view(copy=True)": lambda obj: nl.view(obj, copy=True),
        "nl.share": lambda obj: nl.share({"x": obj})["x"],
        "nl.save": lambda obj: saved(obj, directory),
        "v[...] =": assigned,
    }
