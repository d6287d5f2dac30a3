"""The arrays of a file by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ._face import face
from ._ndlens import View, _ArrayFile, _arrays_of_handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Arrays(Mapping[str, View]):
    """The arrays of a `.npz` or `.safetensors` file by name: a read-only mapping.

    `nl.open` makes it. An array is looked up when it is asked for. All views are views of one map
    of the file, and an array that cannot be a view raises when it is asked for. Names are in the
    order of the file; those of an `.npz` are without ".npy", as NumPy has them. Items of different
    sizes that `nl.save` saved are `nl.Items`.

    It pickles to a handle of the file; if it was opened with `copy=True`, to the arrays themselves.

    >>> import os, tempfile
    >>> import ndlens as nl
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> nl.save(path, {"weight": nl.view(bytes(6)).reshape(2, 3)})
    >>> model = nl.open(path)
    >>> list(model), model["weight"].shape, model.info("weight")
    (['weight'], (2, 3), ('U8', (2, 3)))
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
        """The path of the file, as it was given to `nl.open`."""
        return self._path

    @property
    def metadata(self) -> dict[str, str]:
        """The strings that a `.safetensors` holds beside its arrays, such as `{"format": "pt"}`.

        A new dict each time.
        """
        if self._metadata is None:
            self._metadata = self._file.metadata() if isinstance(self._file, _ArrayFile) else {}
        return dict(self._metadata)

    def bytes(self, name: str) -> View:
        """The bytes of an array as they are in the file: uint8, of shape (bytes,).

        Also of an array whose dtype no view has.

        Args:
            name: Name of the array.

        Raises:
            KeyError: The file has no array of this name.
            FormatError: The array is damaged.
        """
        if isinstance(self._file, _ArrayFile):
            return self._file.array_bytes(name)
        view: View = self._file[name]
        packed = view if view.c_contiguous else view.T
        return packed.reshape(-1).reinterpret("uint8")

    def info(self, name: str) -> tuple[str, tuple[int, ...]]:
        """The dtype and the shape of an array, as the file has them.

        Such as ("F6_E2M3", (2, 4)) in a `.safetensors`.

        Args:
            name: Name of the array.

        Raises:
            KeyError: The file has no array of this name.
        """
        if isinstance(self._file, _ArrayFile):
            return self._file.info(name)
        view: View = self._file[name]
        return view.dtype, view.shape

    def __getitem__(self, name: str) -> Any:
        """The array of this name.

        Raises:
            KeyError: The file has no array of this name.
            FormatError: The array is damaged.
        """
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

    def _repr_html_(self) -> str:
        """The arrays in HTML, for notebooks: what the file says of each. None is looked up."""
        return face("arrays", self)

    def __reduce__(self) -> tuple[Callable[..., Arrays], tuple[Any, ...]]:
        handle = self._file.handle() if isinstance(self._file, _ArrayFile) else None
        if handle is None:
            return Arrays, (dict(self), self._path, self.metadata)
        return _arrays_of_handle, (handle,)

    def __repr__(self) -> str:
        return f"<ndlens.Arrays {self._path!r} arrays={len(self)}>"
