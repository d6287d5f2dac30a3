"""Shares, sends and loses arrays for a long time, and fails where shared memory grows.

Each round shares temporaries that nobody keeps, pickles some of them, sends results between two
processes that both drop them, and loses one message. What is held at the end is what lives, a
little for each lost message, and a constant.

`python tests/stress/soak_shared.py --rounds 2000`
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import random
import sys
from collections import deque
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np

import ndlens as nl

# Of a lost message, with its neighbours on the same pages.
LOST_BYTES = 256

# Of a nursery's spare memory in two processes, memory set aside in advance, and what is on its way.
SLACK_BYTES = 24 << 20

ARENAS_MAX = 4


def held() -> tuple[int, int]:
    """How many arenas this process holds, and the bytes of memory that are in them."""
    blocks = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if str(descriptor.readlink()).startswith("/memfd:ndlens"):
                status = descriptor.stat()
                blocks[status.st_ino] = status.st_blocks
        except FileNotFoundError:
            continue
    return len(blocks), 512 * sum(blocks.values())


def answer(connection: Connection) -> None:
    """A worker: checks what comes, keeps the last few, and answers with arrays of its own."""
    kept: deque[nl.View] = deque(maxlen=8)
    while (message := connection.recv()) is not None:
        number, view = message
        assert view.nbytes == 0 or (view[0], view[-1]) == (number % 251, number % 251)
        kept.append(view)
        connection.send((nl.share(np.full(view.nbytes, (number + 1) % 251, "u1")), held()))


def soak(rounds: int, say: Any = print) -> None:
    """Runs so many rounds; raises `AssertionError` where memory or descriptors grow."""
    draws = random.Random(0)
    here, there = multiprocessing.get_context("spawn").Pipe()
    worker = multiprocessing.get_context("spawn").Process(target=answer, args=(there,))
    worker.start()
    live = [nl.share(np.full(24, 7, "u1"))]
    kept: deque[nl.View] = deque(maxlen=8)
    for number in range(rounds):
        for _ in range(6):
            nl.share(np.ones(draws.choice((24, 5_000, 900_000)), "u1"))
            pickle.dumps(nl.share(np.ones(100, "u1")))
        # Pickled as a message is, and never put anywhere.
        ForkingPickler.dumps(nl.share(np.zeros(3)))
        size = draws.choice((24, 5_000, 100_000, 900_000))
        here.send((number, nl.share(np.full(size, number % 251, "u1"))))
        result, (arenas_there, bytes_there) = here.recv()
        assert (result.nbytes, result[-1]) == (size, (number + 1) % 251)
        kept.append(result)
        if number % 50 == 0:
            live.append(nl.share(np.full(24, 7, "u1")))
        arenas, bytes_here = held()
        # Both may hold the other's arenas.
        allowed = 2 * (SLACK_BYTES + LOST_BYTES * (number + 1) + sum(view.nbytes for view in kept))
        if number % max(rounds // 10, 1) == 0:
            say(
                f"round {number}: {arenas} arenas, {bytes_here >> 20} MB; there"
                f" {bytes_there >> 20} MB"
            )
        assert max(bytes_here, bytes_there) <= allowed, (number, bytes_here, bytes_there, allowed)
        assert max(arenas, arenas_there) <= ARENAS_MAX, (number, arenas, arenas_there)
    assert all(view.tolist() == [7] * 24 for view in live)
    here.send(None)
    worker.join()
    assert worker.exitcode == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    soak(parser.parse_args().rounds)
    sys.exit(0)
