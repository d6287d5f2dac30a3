"""How far a command is, on standard error: a bar with rich, a line of text without."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self, TypeVar

    Item = TypeVar("Item")

__all__ = ["Progress"]


class Progress:
    """Shows which step of how many is under way, where standard error is a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def of(self, items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
        """Each of `items`, with the bar `label` one step further after it is done."""
        if not sys.stderr.isatty():
            yield from items
            return
        try:
            from rich.console import Console
            from rich.progress import Progress as Bar
        except ImportError:
            for done, item in enumerate(items):
                print(f"\r{label}: {done + 1} of {total}", end="", file=sys.stderr, flush=True)
                yield item
            print(file=sys.stderr)
            return
        if self._bar is None:
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
        task = self._bar.add_task(label, total=total)
        for item in items:
            yield item
            self._bar.advance(task)
        self._bar.remove_task(task)
