"""Arrays in a file by name, with the face of a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._ndlens import View, _ArrayFile, _arrays_of_handle


class Arrays(Mapping[str, View]):
    """The arrays in a `.npz` or `.safetensors` file, by name: a read-only mapping, which `nl.open` gives.

    An array is looked up when it is asked for; all views are views of one map of the file, and an array that cannot
    be a view is an error of its own. Names are in the order of the file, and those of an `.npz` without ".npy", as
    NumPy has them.

    It pickles to a handle of the file, or where it was opened with `copy=True` to the arrays themselves.
    """

    __slots__ = ("_file", "_path")

    def __init__(self, file: _ArrayFile | dict[str, View], path: str) -> None:
        self._file = file
        self._path = path

    @property
    def path(self) -> str:
        """The file, as it was named when it was opened."""
        return self._path

    def __getitem__(self, name: str) -> View:
        """Gives the array of this name; raises `KeyError` where there is none, `FormatError` where it is damaged."""
        if not isinstance(name, str):
            raise KeyError(name)
        return self._file[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._file

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)

    def _ipython_key_completions_(self) -> list[str]:
        """The names that IPython and Jupyter offer after `arrays["`."""
        return list(self)

    def __reduce__(self) -> tuple[Callable[..., Arrays], tuple[Any, ...]]:
        handle = self._file.handle() if isinstance(self._file, _ArrayFile) else None
        if handle is None:
            return Arrays, (dict(self), self._path)
        return _arrays_of_handle, (handle,)

    def __repr__(self) -> str:
        return f"<ndlens.Arrays {self._path!r} arrays={len(self)}>"
