"""The file that `nl.pack` writes, and the journal by which a killed run goes on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
from array import array
from dataclasses import dataclass, field

from . import _ndlens
from ._subsets import subset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

# The version of the journal.
VERSION = 1
# What follows the header, and what follows the images, starts at a multiple of this.
ALIGNMENT = 64
# The largest number in a header, of which the digits count.
MOST = 10**19


@dataclass
class Plan:
    """What is packed, and how. A journal of another plan is not gone on with."""

    name: str
    total: int
    fingerprint: str
    options: list[str]
    fields: list[str]
    metadata: dict[str, str]

    def text(self) -> str:
        return json.dumps({"version": VERSION, **vars(self)}, sort_keys=True)


@dataclass
class _Made:
    """What was made so far: the shapes and the ends of the images, and what was left out."""

    done: int = 0
    end: int = 0
    rank: int = 0
    dtype: str | None = None
    sizes: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("q"))
    kept: array[int] = field(default_factory=lambda: array("q"))
    skipped: list[tuple[int, str]] = field(default_factory=list)

    def take(self, block: dict[str, Any]) -> None:
        """Adds a block, as its line in the journal has it."""
        for place, outcome in enumerate(block["outcomes"], self.done):
            if isinstance(outcome, str):
                self.skipped.append((place, outcome))
                continue
            length = 1
            for size in outcome:
                length *= size
            self.rank = len(outcome)
            self.sizes.extend(outcome)
            self.lengths.append(length)
            self.kept.append(place)
        self.done += len(block["outcomes"])
        self.end, self.dtype = block["end"], block["dtype"] or self.dtype


def _itemsize(dtype: str) -> int:
    """The bytes of an element."""
    return _ndlens.view(bytes(16)).reinterpret(dtype).itemsize


def _kept(source: Any, made: _Made) -> Any:
    """The items of a field that are kept, as `nl.save` takes them."""
    if isinstance(source, _ndlens.View):
        return source.take(made.kept) if made.skipped else source
    return subset(source, made.kept)


class PackFile:
    """A file under a hidden name, which gets its own when it is whole.

    Attributes:
        done: The number of images, from the first on, that are in it or left out.
    """

    def __init__(self, path: str, plan: Plan, others: dict[str, Any]) -> None:
        if not path.endswith(".safetensors"):
            raise ValueError(f"{path}: expected a name that ends in .safetensors")
        folder, name = os.path.split(path)
        hidden = os.path.join(folder, f".{name}")  # noqa: PTH118
        self._path, self._folder = path, folder or "."
        self._data_path, self._journal_path = f"{hidden}.ndlens-pack", f"{hidden}.ndlens-journal"
        if not os.path.isdir(self._folder):  # noqa: PTH112
            raise FileNotFoundError(2, "there is no such folder to write to", self._folder)
        if os.path.lexists(path):
            if self._is_named():
                # A run was killed right after the file got its name.
                self._remove_hidden()
            raise FileExistsError(17, "there is a file of this name; remove it first", path)
        self._side_path = f"{hidden}.ndlens-side.safetensors"
        self._plan = plan
        self._made = _Made()
        names = [len(json.dumps(str(name))) for name in (plan.name, *others)]
        # Each field is three arrays at most, each with a dtype, a shape and two offsets.
        entry = 60 + 8 * len(str(MOST))
        strings = len(json.dumps(plan.metadata)) + 1000
        room = strings + sum(2 * (6 * length + 2 * entry) * 3 for length in names)
        self._start = -(-room // ALIGNMENT) * ALIGNMENT
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._journal = os.fdopen(os.open(self._journal_path, flags, 0o600), "r+b")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._journal.close()
            raise BlockingIOError(
                11, "another process packs this file; its journal is locked", path
            ) from None
        try:
            self._data = os.fdopen(os.open(self._data_path, flags, 0o666), "r+b")
        except BaseException:
            self._journal.close()
            raise
        self._is_ours = False
        try:
            self._go_on()
            self._is_ours = True
            if not self.done:
                self._check(others)
        except BaseException:
            self._leave()
            raise

    @property
    def done(self) -> int:
        return self._made.done

    def progress(self) -> str:
        """How many images are made, and how to go on, in words."""
        if not self.done:
            return "no image was made before it, and no unfinished file is left"
        return (
            f"{self.done} of {self._plan.total} images are in the unfinished file "
            f"{self._data_path}; call again to go on after them"
        )

    def _check(self, others: dict[str, Any]) -> None:
        """Refuses fields that cannot be saved before an image is made: saves the first items."""
        self._made.rank, self._made.dtype = 3, "uint8"
        try:
            self._side({name: subset(other, slice(1)) for name, other in others.items()})
        finally:
            self._made = _Made()

    def _go_on(self) -> None:
        """Takes what the journal has, and drops what follows it in both files."""
        lines = self._journal.read().splitlines(keepends=True)
        # The last line may not be whole.
        whole = [line for line in lines if line.endswith(b"\n")]
        plan = self._plan.text().encode() + b"\n"
        if len(whole) == 1 and whole[0] != plan:
            whole = []  # nothing was made
        if whole and whole[0] != plan:
            raise ValueError(
                f"{self._path}: an unfinished pack of other images or other options is beside it; "
                f"pack with those to go on, or remove {self._journal_path} and {self._data_path}"
            )
        length = 0
        for line in whole[:1]:
            length += len(line)
        for line in whole[1:]:
            self._made.take(json.loads(line))
            length += len(line)
        self._journal.truncate(length)
        self._journal.seek(length)
        end = self._start + self._made.end
        if os.fstat(self._data.fileno()).st_size < end and self._made.end:
            raise ValueError(
                f"{self._data_path}: shorter than its journal says; remove it and "
                f"{self._journal_path}"
            )
        self._data.truncate(end)
        self._data.seek(end)
        if not whole:
            self._write_line(plan)

    def _write_line(self, line: bytes) -> None:
        self._journal.write(line)
        self._journal.flush()
        os.fdatasync(self._journal.fileno())

    def append(
        self,
        start: int,
        data: _ndlens.View,
        dtype: str | None,
        outcomes: list[tuple[int, ...] | Exception],
        *,
        before: Exception | None = None,
    ) -> None:
        """Writes images, and then their line in the journal: each is on the disk before the next.

        Args:
            start: Number of the first image.
            data: The elements of those that were made, one after the other.
            dtype: Their dtype; None if none was made.
            outcomes: The shape of each image, or the error that it failed with.
            before: The first error of `outcomes`, if only images before it are to be written.
        """
        if before is not None:
            outcomes = outcomes[: outcomes.index(before)]
            if not outcomes or dtype is None:
                return
            shapes = [one for one in outcomes if not isinstance(one, Exception)]
            data = data[: _itemsize(dtype) * sum(map(math.prod, shapes))]
        made = self._made
        if start != made.done:
            raise ValueError(f"images from {start} on, expected from {made.done} on")
        if made.dtype is not None and dtype not in (None, made.dtype):
            raise ValueError(f"images of one set have one dtype, got {dtype} after {made.dtype}")
        self._data.write(memoryview(data))  # type: ignore[arg-type]  # before Python 3.12
        self._data.flush()
        os.fdatasync(self._data.fileno())
        told = [str(one) if isinstance(one, Exception) else list(one) for one in outcomes]
        block = {"outcomes": told, "end": made.end + data.nbytes, "dtype": dtype}
        self._write_line(json.dumps(block).encode() + b"\n")
        made.take(block)

    def finish(self, others: dict[str, Any]) -> list[tuple[int, str]]:
        """Adds the other fields and the header, and gives the file its name.

        Returns:
            The images that were left out.
        """
        made = self._made
        if not made.kept or made.dtype is None:
            first = f"; the first: {made.skipped[0][1]}" if made.skipped else ""
            self._remove_hidden()
            raise ValueError(f"{self._path}: no image could be packed{first}")
        others = {name: _kept(other, made) for name, other in others.items()}
        header, tensors = self._side(others)
        end = self._pad(made.end)
        name = self._plan.name
        itemsize = _itemsize(made.dtype)
        places = {f"{name}.data": (0, end)}
        header[f"{name}.data"] |= {"shape": [end // itemsize], "data_offsets": [0, end]}
        starts = array("q", [0])
        for length in made.lengths:
            starts.append(starts[-1] + length)
        own = {
            f"{name}.offsets": (starts, [len(starts)]),
            f"{name}.shapes": (made.sizes, [len(made.kept), made.rank]),
        }
        for key, at in tensors:
            if key in places:
                continue
            numbers: Any = at
            if key in own:
                numbers, header[key]["shape"] = own[key]
            written = memoryview(numbers).nbytes
            self._data.write(numbers)
            header[key]["data_offsets"] = [end, end + written]
            places[key] = (end, end + written)
            end += written
        self._write_header(header)
        self._data.flush()
        os.fsync(self._data.fileno())
        self._name()
        self._remove_hidden()
        self.close()
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return made.skipped

    def _name(self) -> None:
        """Gives the file its name, unless another file has it by now."""
        try:
            os.link(self._data_path, self._path)
        except FileExistsError:
            raise
        except OSError:
            # Some file systems have no links.
            if os.path.lexists(self._path):
                raise
            os.rename(self._data_path, self._path)  # noqa: PTH104

    def _is_named(self) -> bool:
        """Whether the file of the path is the one under the hidden name."""
        try:
            return os.path.samestat(os.stat(self._path), os.stat(self._data_path))  # noqa: PTH116
        except OSError:
            return False

    def _remove_hidden(self) -> None:
        for path in (self._data_path, self._journal_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108

    def _pad(self, end: int) -> int:
        """Writes zeros after the images, which no item has, so that what follows is aligned."""
        padding = -(self._start + end) % ALIGNMENT
        self._data.write(bytes(padding))
        return end + padding

    def _side(self, others: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
        """The header of the other fields and of one image, as `nl.save` writes them, and the bytes.

        So the names of tensors and dtypes, and the note that groups them, are those of `nl.save`.
        """
        made, name = self._made, self._plan.name
        shape = (1,) * made.rank
        one = _ndlens.view(bytes(16)).reinterpret(str(made.dtype))[:1]
        image = _ndlens.ragged([one.reshape(*shape)])
        _ndlens.save(self._side_path, {name: image, **others}, metadata=self._plan.metadata)
        try:
            size = os.path.getsize(self._side_path)  # noqa: PTH202
            whole = _ndlens.open(self._side_path, "r", dtype="uint8", shape=(size,))
        finally:
            os.unlink(self._side_path)  # noqa: PTH108
        length = int.from_bytes(bytes(whole[:8]), "little")
        header = json.loads(bytes(whole[8 : 8 + length]))
        data = whole[8 + length :]
        entries = [(key, entry) for key, entry in header.items() if key != "__metadata__"]
        entries.sort(key=lambda pair: pair[1]["data_offsets"][0])
        return header, [(key, data[slice(*entry["data_offsets"])]) for key, entry in entries]

    def _write_header(self, header: dict[str, Any]) -> None:
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        room = self._start - 8
        if len(text) > room:
            raise ValueError(
                f"{self._path}: names and metadata take a header of {len(text)} bytes, expected at "
                f"most {room}"
            )
        self._data.seek(0)
        self._data.write(room.to_bytes(8, "little") + text.ljust(room))

    def _leave(self) -> None:
        """Closes the files at an error, and removes them if no image is in them."""
        if self._is_ours and not self.done:
            self._remove_hidden()
        self.close()

    def close(self) -> None:
        """Leaves the files as they are."""
        self._journal.close()
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._leave()
