"""Samples of tar archives in the layout of WebDataset, as fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ._ndlens import Items, _samples_of_handle, _SampleSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal


def _decode(name: bytes) -> str:
    # Names in archives are bytes; those that are not UTF-8 come as they do from os.listdir.
    return name.decode("utf-8", "surrogateescape")


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


class Samples(Mapping[str, Items]):
    """Samples of tar archives in the layout of WebDataset: a read-only mapping of fields.

    `nl.open("shard-{000..099}.tar")` makes it. A sample is what follows each other in an archive
    under one key, such as "0001.jpg" and "0001.cls": the key is the name up to the first dot of its
    last part, and the extension, in lower case, is the field. Each field is `nl.Items` of bytes,
    uint8 of shape (bytes,), in the order of the archives: views of their maps. `len` is the number
    of fields; `len(samples.sample_keys)` that of samples.

    A field is an error if a sample lacks it: see `select`. Directories, links, files without an
    extension and hidden ones are left out, and names such as "__meta__", which are WebDataset's
    own.

    It pickles to the paths of the archives.

    >>> import io, os, tarfile, tempfile
    >>> import ndlens as nl
    >>> path = os.path.join(tempfile.mkdtemp(), "x.tar")
    >>> with tarfile.open(path, "w") as tar:
    ...     for member in "a.txt", "a.cls", "b.txt", "b.cls":
    ...         info = tarfile.TarInfo(member)
    ...         info.size = 1
    ...         tar.addfile(info, io.BytesIO(b"7" if member.endswith("cls") else b"x"))
    >>> samples = nl.open(path)
    >>> list(samples), samples.sample_keys[1], bytes(samples["txt"][1])
    (['txt', 'cls'], 'b', b'x')
    >>> nl.labels(samples["cls"]).tolist()
    [7, 7]
    """

    __slots__ = ("_fields", "_set")

    def __init__(self, samples: _SampleSet) -> None:
        self._set = samples
        self._fields: dict[str, Items] = {}

    @property
    def path(self) -> str:
        """The path, or the pattern, as it was given to `nl.open`; of a list, its first path."""
        return self._set.path

    @property
    def archives(self) -> list[str]:
        """The paths of the archives, in order. A new list each time."""
        return self._set.archives()

    @property
    def sample_keys(self) -> SampleKeys:
        """The key of each sample, in order: WebDataset's `__key__`."""
        return SampleKeys(self._set)

    def archive_of(self, sample: int) -> str:
        """The path of the archive that a sample is in: WebDataset's `__url__`.

        Args:
            sample: Number of the sample, from 0 on.

        Raises:
            IndexError: There is no such sample.
        """
        return self._set.archive_of(sample)

    def select(self, *names: str, missing: Literal["raise", "skip"] = "raise") -> Samples:
        """The same samples with these fields alone, in this order.

        Args:
            names: Extensions, such as "jpg" and "cls".
            missing: What happens to a sample that lacks one of them: "raise", or "skip", which
                leaves it out of all fields.

        Raises:
            KeyError: No sample has a field of this name.
            FormatError: A sample lacks a field; the error names the first.
        """
        if missing not in ("raise", "skip"):
            raise ValueError(f'missing must be "raise" or "skip", got {missing!r}')
        if not names:
            raise ValueError("select at least one field")
        return Samples(self._set.select([_encode(name) for name in names], missing == "skip"))

    def __getitem__(self, name: str) -> Items:
        """The field of this name.

        Raises:
            KeyError: No sample has a field of this name.
            FormatError: A sample lacks it; the error names the first.
        """
        if not isinstance(name, str):
            raise KeyError(name)
        field = self._fields.get(name)
        if field is None:
            field = self._fields[name] = self._set.field(_encode(name))
        return field

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._set.has_field(_encode(name))

    def __iter__(self) -> Iterator[str]:
        return map(_decode, self._set.fields())

    def __len__(self) -> int:
        return len(self._set.fields())

    def _ipython_key_completions_(self) -> list[str]:
        """The names that IPython and Jupyter offer after `samples["`."""
        return list(self)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _samples_of_handle, (self._set.handle(),)

    def __repr__(self) -> str:
        names = list(self)
        shown = ", ".join(names[:8]) + (", .." if len(names) > 8 else "")
        return f"<ndlens.Samples {self.path!r} samples={len(self._set)} fields=[{shown}]>"


class SampleKeys(Sequence[str]):
    """The keys of samples, in order, decoded when they are asked for."""

    __slots__ = ("_set",)

    def __init__(self, samples: _SampleSet) -> None:
        self._set = samples

    def __len__(self) -> int:
        return len(self._set)

    def __getitem__(self, index: Any) -> Any:
        """The key of a sample, or a list of the keys of a slice.

        Raises:
            IndexError: There is no such sample.
        """
        if isinstance(index, slice):
            return [_decode(self._set.key(at)) for at in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"sample {index} of {len(self)} samples")
        return _decode(self._set.key(place))

    def __repr__(self) -> str:
        return f"<ndlens.SampleKeys samples={len(self)}>"
