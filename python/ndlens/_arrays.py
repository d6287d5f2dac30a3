"""Arrays in a file by name, with the face of a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ._ndlens import View, _ArrayFile, _arrays_of_handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Arrays(Mapping[str, View]):
    """The arrays in a `.npz` or `.safetensors` file, by name: a read-only mapping, which `nl.open` gives.

    An array is looked up when it is asked for; all views are views of one map of the file, and an
    array that cannot be a view is an error of its own. Names are in the order of the file, and
    those of an `.npz` without ".npy", as NumPy has them. Items of different sizes, which `nl.save`
    saved, come as `nl.Items`.

    It pickles to a handle of the file, or where it was opened with `copy=True` to the arrays
    themselves.
    """

    __slots__ = ("_file", "_metadata", "_path")

    def __init__(
        self, file: _ArrayFile | dict[str, Any], path: str, metadata: dict[str, str] | None = None
    ) -> None:
        self._file = file
        self._path = path
        self._metadata = metadata

    @property
    def path(self) -> str:
        """The file, as it was named when it was opened."""
        return self._path

    @property
    def metadata(self) -> dict[str, str]:
        """The strings that a `.safetensors` holds beside its arrays, such as `{"format": "pt"}`; a dict of your own."""
        if self._metadata is None:
            self._metadata = self._file.metadata() if isinstance(self._file, _ArrayFile) else {}
        return dict(self._metadata)

    def bytes(self, name: str) -> View:
        """The bytes of an array as they are in the file, whatever its dtype: also where no view can show it."""
        if isinstance(self._file, _ArrayFile):
            return self._file.array_bytes(name)
        view: View = self._file[name]
        return view.reinterpret("uint8")

    def info(self, name: str) -> tuple[str, tuple[int, ...]]:
        """The dtype and the shape of an array, as the file has them: in a `.safetensors` ("F6_E2M3", (2, 4))."""
        if isinstance(self._file, _ArrayFile):
            return self._file.info(name)
        view: View = self._file[name]
        return view.dtype, view.shape

    def __getitem__(self, name: str) -> Any:
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
            return Arrays, (dict(self), self._path, self.metadata)
        return _arrays_of_handle, (handle,)

    def __repr__(self) -> str:
        return f"<ndlens.Arrays {self._path!r} arrays={len(self)}>"
