"""Threads that work side by side for some time, and fail together.

The works of `threads.py` run on these. A thread that fails ends the others after their round, and
its error is raised where the crew was started. A thread that hangs shows where all of them are.
"""

from __future__ import annotations

import faulthandler
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# What a thread does again and again, with random numbers of its own.
Work = Callable[[random.Random], None]

# Seconds after its time in which a crew must end.
HANGS_AFTER = 40


@dataclass
class Crew:
    """So many threads, for so many seconds."""

    threads: int
    seconds: float
    seed: int = 0
    rounds: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Counts the seconds from here on."""
        self.until = time.monotonic() + self.seconds

    def is_over(self) -> bool:
        return bool(self.errors) or time.monotonic() > self.until

    def run(self, *works: Work) -> None:
        """Each thread repeats one of the works, which are dealt out in turn."""
        begin = threading.Barrier(self.threads)
        done = [0] * self.threads

        def repeat(at: int) -> None:
            work, chance = works[at % len(works)], random.Random(self.seed * 1000 + at)
            try:
                begin.wait()
                while not done[at] or not self.is_over():
                    work(chance)
                    done[at] += 1
            except BaseException as error:
                self.errors.append(error)

        self._join([threading.Thread(target=repeat, args=(at,)) for at in range(self.threads)])
        self.rounds += sum(done)

    def together(self, work: Callable[[int], None]) -> None:
        """Each thread does the work once, all at the same time."""
        begin = threading.Barrier(self.threads)

        def once(at: int) -> None:
            try:
                begin.wait()
                work(at)
            except BaseException as error:
                self.errors.append(error)

        self._join([threading.Thread(target=once, args=(at,)) for at in range(self.threads)])
        self.rounds += 1

    def turns(self) -> Iterator[random.Random]:
        """Rounds of a work that starts threads itself, until the time is over; at least one."""
        chance = random.Random(self.seed)
        while True:
            yield chance
            if self.is_over():
                return

    def _join(self, threads: list[threading.Thread]) -> None:
        remaining = max(self.until - time.monotonic(), 0) + HANGS_AFTER
        faulthandler.dump_traceback_later(remaining, exit=True)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        faulthandler.cancel_dump_traceback_later()
        if self.errors:
            raise self.errors[0]
