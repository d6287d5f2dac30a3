"""Copies that ndlens makes, noted with the line of code that asked for each.

The compiled half calls `_ask` before a copy and `_note` after it, while a trace is open in any
context. A trace is open in the context that opened it (`contextvars`): a thread, or an asyncio
task and what it starts.
"""

from __future__ import annotations

import json
import operator
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any, SupportsIndex, overload

from . import _ndlens
from .errors import CopyRequired

__all__ = ["Copies", "Copy", "trace"]


@dataclass(frozen=True, slots=True)
class Copy:
    """Copies that one line of code asked for by one operation.

    >>> import ndlens as nl
    >>> view = nl.view(bytes(8))
    >>> with nl.trace() as copies:
    ...     for _ in range(3):
    ...         _ = view.copy()
    >>> copies[0].operation, copies[0].nbytes, copies[0].count
    ('View.copy', 24, 3)
    """

    operation: str
    """What was called, such as "View.copy", "nl.share" or "Loader batch"."""
    nbytes: int
    """Bytes of all of these copies together."""
    count: int
    """The number of copies."""
    filename: str
    """The file of the code that asked for them."""
    lineno: int
    """The line in that file, from 1 on."""
    function: str
    """The function that the line is in; "<module>" outside of any."""

    def __str__(self) -> str:
        times = "" if self.count == 1 else f" in {self.count:,} copies"
        place = f"{self.filename}:{self.lineno}, in {self.function}"
        return f"{self.operation}: {_amount(self.nbytes)}{times}, {place}"


class Copies(Sequence[Copy]):
    """The copies of a trace: one record for each operation and line, the first copy first.

    It grows while the trace is open. `print` it for a table.

    >>> import ndlens as nl
    >>> with nl.trace() as copies:
    ...     _ = nl.view(bytes(8)).tobytes()
    >>> copies
    <ndlens.Copies: 8 bytes in 1 copy>
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit_bytes = limit_bytes
        self._nbytes = 0
        # The operation and its place; the bytes and the number of copies.
        self._noted: dict[tuple[str, str, int, str], tuple[int, int]] = {}
        # An asyncio task hands its context, and this trace, to the threads that it starts. A fork
        # copies the lock, perhaps while another thread holds it.
        self._lock = threading.Lock()
        self._process = os.getpid()

    @property
    def nbytes(self) -> int:
        """Bytes of all copies together."""
        return self._nbytes

    def to_dict(self) -> dict[str, Any]:
        """The totals and the records, as JSON has them.

        `{"nbytes": .., "count": .., "copies": [{"operation": .., "nbytes": .., ..}, ..]}`
        """
        records = self._records()
        return {
            "nbytes": sum(record.nbytes for record in records),
            "count": sum(record.count for record in records),
            "copies": [asdict(record) for record in records],
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2)

    def _records(self) -> list[Copy]:
        with self._own_lock():
            noted = list(self._noted.items())
        return [
            Copy(operation, nbytes, count, filename, lineno, function)
            for (operation, filename, lineno, function), (nbytes, count) in noted
        ]

    def _own_lock(self) -> threading.Lock:
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
        return self._lock

    def _ask(self, operation: str, nbytes: int | None) -> None:
        limit = self._limit_bytes
        # Before its size is known, a copy is one byte at least.
        if limit is not None and self._nbytes + (1 if nbytes is None else nbytes) > limit:
            size = "at least 1 byte" if nbytes is None else _amount(nbytes)
            so_far = f", after {_amount(self._nbytes)} of others" if self._nbytes else ""
            raise CopyRequired(
                f"{operation} copies {size}{so_far}, and a trace with limit_bytes={limit} is open"
            )

    def _add(self, operation: str, nbytes: int, place: tuple[str, int, str]) -> None:
        key = (operation, *place)
        with self._own_lock():
            before, count = self._noted.get(key, (0, 0))
            self._noted[key] = (before + nbytes, count + 1)
            self._nbytes += nbytes

    def __len__(self) -> int:
        return len(self._noted)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Copy: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Copy]: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Copy | Sequence[Copy]:
        return self._records()[key]

    def __iter__(self) -> Iterator[Copy]:
        return iter(self._records())

    def __repr__(self) -> str:
        count = sum(record.count for record in self._records())
        copies = "1 copy" if count == 1 else f"{count:,} copies"
        return f"<ndlens.Copies: {_amount(self.nbytes)} in {copies}>"

    def __str__(self) -> str:
        records = self._records()
        if not records:
            return "no copies"
        rows = [("bytes", "copies", "operation", "where")]
        rows += [
            (
                f"{record.nbytes:,}",
                f"{record.count:,}",
                record.operation,
                f"{record.filename}:{record.lineno}, in {record.function}",
            )
            for record in records
        ]
        rows.append((f"{self.nbytes:,}", f"{sum(r.count for r in records):,}", "all", ""))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = (
            f"{row[0]:>{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}"
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)


def _amount(nbytes: int) -> str:
    return f"{nbytes:,} byte{'' if nbytes == 1 else 's'}"


_open: ContextVar[tuple[Copies, ...]] = ContextVar("ndlens.trace", default=())


@contextmanager
def trace(*, limit_bytes: int | None = None) -> Iterator[Copies]:
    """Notes every copy that ndlens makes in a `with` block: its bytes, and the line that asked.

    A copy is elements that ndlens writes to other memory, to a file (`nl.save`) or to Python's
    objects (`tolist`). docs/copies.md lists the operations. Not counted: one element as a Python
    number (`v[3]`), and what others copy out of memory that ndlens shares with them, as
    `torch.tensor(view)`, `bytes(view)` and the system's private pages of a mapped file.

    Copies of the calling thread are noted, or of the asyncio task and the threads it hands its
    context to; a loader's batch where it is handed out, whichever thread made it. A trace inside
    another is noted by both. The copies of other processes are theirs.

    Args:
        limit_bytes: Bytes that may be copied; 0 for none. None for any.

    Returns:
        A context manager that gives the `nl.Copies`, a sequence to look at and to print.

    Raises:
        CopyRequired: With `limit_bytes`, where a copy would exceed it: before the copy is made
            if its size is known before, and before its result is handed out in any case.

    >>> import ndlens as nl
    >>> view = nl.view(bytearray(12)).reshape(3, 4)
    >>> with nl.trace() as copies:
    ...     column = view[:, 1]
    ...     packed = column.copy()
    >>> [(copy.operation, copy.nbytes) for copy in copies]
    [('View.copy', 3)]
    """
    if limit_bytes is not None:
        try:
            limit_bytes = operator.index(limit_bytes)
        except TypeError:
            raise TypeError(f"limit_bytes must be an integer, got {limit_bytes!r}") from None
    if limit_bytes is not None and limit_bytes < 0:
        raise ValueError(f"limit_bytes must be at least 0, got {limit_bytes}")
    copies = Copies(limit_bytes)
    _open.set((*_open.get(), copies))
    _ndlens._open_trace(_ask, _note)
    try:
        yield copies
    finally:
        _ndlens._close_trace()
        # Not by a token: the block may end in another context than it began in.
        _open.set(tuple(other for other in _open.get() if other is not copies))


def open_traces() -> tuple[Copies, ...]:
    """The traces that are open in this context, the outermost first."""
    return _open.get()


def _ask(operation: str, nbytes: int | None) -> None:
    for copies in _open.get():
        copies._ask(operation, nbytes)


def _note(operation: str, nbytes: int) -> None:
    traces = _open.get()
    if traces:
        place = _place(sys._getframe(1))
        for copies in traces:
            copies._add(operation, nbytes, place)


# Modules that only pass a call on, with those inside them.
_PASSING = ("ndlens", "copy", "copyreg", "pickle", "multiprocessing")


def _place(frame: FrameType | None) -> tuple[str, int, str]:
    """The innermost line that is not of ndlens, or of modules that only pass a call on."""
    start, outside = frame, None
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        package = name.partition(".")[0]
        if package not in _PASSING:
            outside = frame
            break
        if outside is None and package != "ndlens":
            outside = frame
        frame = frame.f_back
    found = outside or start
    if found is None:
        return "?", 0, "?"
    return found.f_code.co_filename, found.f_lineno, found.f_code.co_qualname
