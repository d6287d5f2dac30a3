"""What keeps the memory of a view alive, as records to look at and to print."""

from __future__ import annotations

import gc
import inspect
import reprlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any, SupportsIndex, overload

from . import _ndlens

__all__ = ["Holder", "Holders", "holders"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that keeps memory alive, or may.

    >>> import ndlens as nl
    >>> print(nl.view(b"abc").holders()[0])
    owner: 1, bytes of 3 items
    """

    what: str
    """The kind: "owner", "claims", "exports", "processes", "others" or "found"."""
    count: int | None
    """How many there are; None if that cannot be known."""
    detail: str
    """What they are."""

    def __str__(self) -> str:
        return f"{self.what}: {_number(self.count)}, {self.detail}"


class Holders(Sequence[Holder]):
    """What keeps the memory of a view alive: the result of `View.holders`.

    | what | count |
    |---|---|
    | owner | the object, file, tensor or block that the memory belongs to |
    | claims | what holds the owner through ndlens: views, tensors made of them, loaders |
    | exports | buffers taken of this view object, for which `View.release` waits |
    | processes | other processes that hold shared memory |
    | others | claims that ndlens cannot know; None |
    | found | with `search=True`: an object on this memory, and where it is |

    `print` it for a table.
    """

    def __init__(self, nbytes: int, records: list[Holder]) -> None:
        self._nbytes = nbytes
        self._records = records

    @property
    def nbytes(self) -> int:
        """Bytes of the memory that is kept, of which the view may show a part."""
        return self._nbytes

    def to_dict(self) -> dict[str, Any]:
        """The bytes and the records, as JSON has them."""
        return {"nbytes": self._nbytes, "holders": [asdict(record) for record in self._records]}

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Holder: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Holder]: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Holder | Sequence[Holder]:
        return self._records[key]

    def __repr__(self) -> str:
        return f"<ndlens.Holders of {self._nbytes:,} bytes: {len(self)} records>"

    def __str__(self) -> str:
        rows = [(record.what, _number(record.count), record.detail) for record in self._records]
        name, number = (max(len(row[column]) for row in rows) for column in (0, 1))
        lines = [f"{what:<{name}}  {count:>{number}}  {detail}" for what, count, detail in rows]
        return "\n".join([f"{self._nbytes:,} bytes", *lines])


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


# Claims that ndlens does not see.
_OF_SHARED = "handles in messages and pickles that were not received yet"
_OF_OBJECT = "other claims on the owner, such as arrays and variables of it"
_OF_TENSOR = "other tensors on this memory: its library counts them"


def holders(facts: dict[str, Any], search: bool) -> Holders:
    """The records of these facts, which the compiled half has about a view."""
    owner = facts["object"]
    nbytes = facts["nbytes"]
    what = facts["owner"] if owner is None else _described(owner)
    records = [Holder("owner", 1, what)]
    claims = "views, and tensors and loaders made of them, that hold the owner"
    records.append(Holder("claims", facts["claims"], claims))
    exports = "buffers taken of this view, as by memoryview(view) and view.numpy()"
    records.append(Holder("exports", facts["exports"], exports))
    if facts["is_shared"]:
        processes = facts["processes"]
        if processes is None:
            records.append(Holder("processes", None, "/proc does not show other processes"))
        else:
            numbers = ": " + ", ".join(str(process) for process in processes) if processes else ""
            records.append(Holder("processes", len(processes), f"that hold the memory{numbers}"))
    if facts["is_held_by_others"]:
        of_object = _OF_TENSOR if owner is None else _OF_OBJECT
        others = _OF_SHARED if facts["is_shared"] else of_object
        records.append(Holder("others", None, others))
    if search:
        memory = range(facts["start"], facts["start"] + nbytes)
        found = _found(memory, owner, facts)
        records += [Holder("found", 1, where) for where in found]
    return Holders(nbytes, records)


def _described(owner: Any) -> str:
    """The class of an object, and its shape and dtype or its length."""
    kind = type(owner)
    home = "" if kind.__module__ == "builtins" else f"{_package(kind)}."
    name = f"{home}{kind.__qualname__}"
    if isinstance(owner, memoryview) and owner.obj is not None:
        return f"{name} of {_described(owner.obj)}"
    # Code of the owner's class may raise anything.
    with suppress(Exception):
        shape, dtype = getattr(owner, "shape", None), getattr(owner, "dtype", None)
        if isinstance(shape, tuple) and dtype is not None:
            return f"{name} of shape {tuple(shape)}, {dtype}"
        return f"{name} of {len(owner):,} items"
    return name


def _package(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]


def _found(memory: range, owner: Any, facts: dict[str, Any]) -> Iterator[str]:
    """The objects on this memory that variables or containers refer to, and their places."""
    kinds = _kinds()
    for frame in _frames():
        for name, value in _variables(frame):
            if _is_on(value, memory, owner, kinds):
                code = frame.f_code
                place = f"{code.co_qualname}, {code.co_filename}:{frame.f_lineno}"
                yield f"{_described(value)}, variable {name} of {place}"
    # The call itself holds the owner.
    ours = {id(facts)}
    for container in gc.get_objects():
        if id(container) in ours:
            continue
        seen: set[int] = set()
        for thing in gc.get_referents(container):
            if id(thing) not in seen and _is_on(thing, memory, owner, kinds):
                seen.add(id(thing))
                yield f"{_described(thing)}, {_place(container, thing)}"


def _frames() -> Iterator[FrameType]:
    """The frames of all threads, but for those of ndlens and of modules.

    The variables of a module are in a dict, which the collector knows.
    """
    for innermost in sys._current_frames().values():
        frame: FrameType | None = innermost
        while frame is not None:
            name = str(frame.f_globals.get("__name__", ""))
            is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED
            if is_function and name.partition(".")[0] != "ndlens":
                yield frame
            frame = frame.f_back


def _variables(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """The variables of a function's frame by name."""
    variables = frame.f_locals
    yield from list(variables.items())
    # Up to Python 3.12 it is a dict that the frame keeps, which would keep its values alive. The
    # frame and two references of ours hold one that the function has not asked for itself.
    if isinstance(variables, dict) and sys.getrefcount(variables) <= 3:
        variables.clear()


def _kinds() -> tuple[type, ...]:
    """The classes of views, and of arrays and tensors of libraries that are imported."""
    libraries = (("numpy", "ndarray"), ("torch", "Tensor"))
    found = [getattr(sys.modules.get(module), name, None) for module, name in libraries]
    return (_ndlens.View, memoryview, *(kind for kind in found if isinstance(kind, type)))


def _is_on(thing: Any, memory: range, owner: Any, kinds: tuple[type, ...]) -> bool:
    """Whether an object is the owner of the memory, or a view, array or tensor on it."""
    if owner is not None and thing is owner:
        return True
    # Not isinstance, which asks a proxy for the class of what it stands for.
    if not issubclass(type(thing), kinds):
        return False
    extent = _ndlens._extent(thing)
    return extent is not None and extent[0] in memory and extent[1] - 1 in memory


def _place(container: Any, thing: Any) -> str:
    """Where in a container an object is."""
    if isinstance(container, dict):
        # A copy: other threads may change it meanwhile. By the methods of dict, since a class made
        # from it may have its own.
        keys = [key for key, value in list(dict.items(container)) if value is thing]
        name = dict.get(container, "__name__")
        if keys and isinstance(keys[0], str) and isinstance(name, str) and name in sys.modules:
            return f"{name}.{keys[0]}"
        return f"in a dict, at {_shown(keys[0])}" if keys else "in a dict"
    if isinstance(container, (list, tuple)):
        places = (place for place, value in enumerate(container) if value is thing)
        at = next(places, None)
        where = "" if at is None else f", at {at}"
        return f"in a {type(container).__name__} of {len(container):,}{where}"
    kind = type(container).__qualname__
    return "by a buffer taken of it" if kind == "managedbuffer" else f"in a {kind}"


def _shown(key: Any) -> str:
    """A key of a dict in a few words; by its class where its own do not tell."""
    if isinstance(key, (str, bytes, int, float, tuple)):
        with suppress(Exception):
            return reprlib.repr(key)
    return f"a key of class {type(key).__qualname__}"
