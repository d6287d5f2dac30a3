"""Whether torch, NumPy and JAX take an array without a copy: tried, and proved by the address.

Nothing is copied to find out: each is asked in the way that refuses to copy.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ndlens as nl

from .files import address_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Consumer", "Taken", "consumers"]


@dataclass(frozen=True)
class Taken:
    """How a consumer takes an array."""

    zero_copy: bool | None  # None if the consumer is not here
    reason: str | None = None  # why not


@dataclass(frozen=True)
class Consumer:
    """A library that is given views."""

    name: str
    # The address at which it has the view's first element; raises where it would copy.
    take: Callable[[nl.View], int] | None
    missing: str | None = None  # why it is not here

    def try_(self, view: nl.View) -> Taken:
        """Hand over `view`, and compare addresses."""
        if self.take is None:
            return Taken(None, self.missing)
        try:
            address = self.take(view)
        except Exception as error:  # whatever a foreign library raises is its answer
            return Taken(False, self._why(view, error))
        if view.nbytes and address != address_of(view):
            return Taken(False, f"{self.name} has it at another address: it made a copy")
        return Taken(True)

    def _why(self, view: nl.View, error: Exception) -> str:
        explained = nl.explain(view, self.name.lower())  # type: ignore[arg-type]
        text = str(error if explained.zero_copy else explained).strip()
        line = text.splitlines()[0] if text else type(error).__name__
        return line.removeprefix(f"{self.name.lower()} cannot take this view: ")


def consumers() -> list[Consumer]:
    """torch, NumPy and JAX, each as it is installed here. Imports them."""
    if "jax" not in sys.modules:
        # On a machine with a GPU JAX would take most of its memory, and nothing is asked of it.
        os.environ["JAX_PLATFORMS"] = "cpu"
    return [
        _consumer("torch", "torch", _torch),
        _consumer("NumPy", "numpy", _numpy),
        _consumer("JAX", "jax", _jax),
    ]


def _consumer(name: str, module: str, make: Callable[[Any], Callable[[nl.View], int]]) -> Consumer:
    try:
        return Consumer(name, make(importlib.import_module(module)))
    except ModuleNotFoundError:
        return Consumer(name, None, "not installed")
    except Exception as error:  # a broken installation is no reason to show nothing
        return Consumer(name, None, f"cannot be imported: {error}".splitlines()[0])


def _torch(torch: Any) -> Callable[[nl.View], int]:
    def take(view: nl.View) -> int:
        address: int = view.torch().data_ptr()
        return address

    return take


def _numpy(numpy: Any) -> Callable[[nl.View], int]:
    def take(view: nl.View) -> int:
        address: int = view.numpy().ctypes.data
        return address

    return take


def _jax(jax: Any) -> Callable[[nl.View], int]:
    from_dlpack = importlib.import_module("jax.numpy").from_dlpack
    processor = jax.devices("cpu")[0]

    def take(view: nl.View) -> int:
        address: int = from_dlpack(view, device=processor, copy=False).unsafe_buffer_pointer()
        return address

    return take
