"""Objects that only describe an array."""

from __future__ import annotations

from typing import Any

from tests.helpers.strategies import Array

MISSING = object()


class Described:
    """An object with only an array's `__array_interface__`, changed; `MISSING` removes a key."""

    def __init__(self, array: Array, **changes: Any) -> None:
        self.array = array
        told = {**array.__array_interface__, **changes}
        self.__array_interface__ = {
            key: value for key, value in told.items() if value is not MISSING
        }
