"""What benchmarks share: turns, fresh interpreters, contestants that are missing.

Contestants take turns, so that a disturbance of the machine disturbs them all. A turn either is a
function of the benchmark's own process, or runs in a fresh interpreter.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .peers import reason_without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sized
    from pathlib import Path

    from .contest import Figures

__all__ = [
    "Contestant",
    "Ground",
    "Settings",
    "TurnFailed",
    "present",
    "rate_of_epochs",
    "seconds_of",
]


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    rounds: int  # turns of each contestant
    seconds: float = 0.0  # least seconds of a turn, where a turn has no number of its own
    size: int = 0  # images, rows or items of the data
    least: int = 1  # the smallest size
    quick: bool = False
    cpu_time: bool = False  # the processor's seconds, with one thread each
    keys: frozenset[str] = frozenset()  # contests that are wanted; all if empty

    def wants(self, key: str) -> bool:
        """Whether the contest is to run."""
        return not self.keys or key in self.keys


class Contestant(NamedTuple):
    """What makes the batches, and the packages that it takes."""

    make: Callable[..., Any]
    peers: tuple[str, ...] = ()


class TurnFailed(Exception):
    """A fresh interpreter ended with an error."""


class Ground:
    """Lets contestants take turns, and tells the command how far they are."""

    def __init__(self, folder: Path, tell: Callable[[tuple[Any, ...]], None]) -> None:
        self.folder = folder  # for files; the command removes it
        self._tell = tell

    def each(self, label: str, names: Iterable[str], work: Callable[[str], object]) -> None:
        """Do the work for each name."""
        names = list(names)
        self._tell(("steps", label, len(names)))
        for name in names:
            work(name)
            self._tell(("step",))

    def rounds(
        self, label: str, turns: Mapping[str, Callable[[], Figures]], rounds: int
    ) -> dict[str, list[Figures]]:
        """The figures of each contestant in each round.

        Each round begins with another contestant, so that none always has the first turn.
        """
        found: dict[str, list[Figures]] = {name: [] for name in turns}
        self._tell(("steps", label, rounds * len(turns)))
        names = list(turns)
        for number in range(rounds):
            first = number % max(len(names), 1)
            for name in names[first:] + names[:first]:
                found[name].append(turns[name]())
                self._tell(("step",))
        return found

    def apart(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of a module in a fresh interpreter, and give what it returns.

        Arguments and result are what JSON can hold.
        """
        call = json.dumps([function.__module__, function.__name__, arguments])
        return self.program("-m", f"{__package__}.apart", call)

    def program(self, *words: str) -> Any:
        """Run Python with these arguments, and read the JSON in its last line."""
        command = [sys.executable, "-P", *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no message"]
            raise TurnFailed(f"a turn ended with status {done.returncode}: {said[-1]}")
        return json.loads(done.stdout.splitlines()[-1])


def present(contestants: Mapping[str, Contestant]) -> tuple[list[str], dict[str, str]]:
    """The contestants whose packages are here, and the others with the reason."""
    names, absent = [], {}
    for name, contestant in contestants.items():
        reason = reason_without(contestant.peers)
        if reason is None:
            names.append(name)
        else:
            absent[name] = reason
    return names, absent


def rate_of_epochs(batches: Iterable[Sized], at_least_seconds: float) -> float:
    """Run whole epochs for at least `at_least_seconds`; items per second."""
    items, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < at_least_seconds:
        for batch in batches:
            items += len(batch)
    return items / seconds


def seconds_of(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
