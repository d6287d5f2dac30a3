"""Threads that begin at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable


def together(*work: Callable[[], object]) -> None:
    """Runs all at once, and raises what any of them raised."""
    barrier, errors = threading.Barrier(len(work)), list[BaseException]()

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
