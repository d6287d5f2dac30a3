"""Forks beside threads that use ndlens, and programs that end beside them."""

from __future__ import annotations

import faulthandler
import itertools
import os
import pickle
import random
import re
import signal
import sys
import sysconfig
import tempfile
import warnings
from pathlib import Path

import numpy as np
from tests.stress.crew import Crew
from tests.stress.exits import WAYS, end

import ndlens as nl
from ndlens import transforms as T

# Seconds, far more than a child needs.
CHILD_HANGS_AFTER = 20

# The Python code of ndlens and of this file, in what faulthandler prints.
OURS = re.compile(r"/ndlens/|/fork_works\.py")

IMAGES = np.arange(16 * 9 * 9 * 3, dtype="u1").reshape(16, 9, 9, 3)


def epoch() -> None:
    loader = nl.Loader(
        IMAGES, batch_size=4, num_workers=2, transforms=[T.RandomCrop(4)], output="numpy"
    )
    assert sum(len(batch) for batch in loader) == 16


def share() -> None:
    shared = nl.share(IMAGES)
    assert np.array_equal(pickle.loads(pickle.dumps(shared)).numpy(), IMAGES)


def look() -> None:
    view = nl.view(IMAGES)[::-1, 2:]
    assert np.array_equal(view.numpy(), IMAGES[::-1, 2:])
    assert np.array_equal(np.from_dlpack(view.copy()), IMAGES[::-1, 2:])


def hangs_in_python(stack: str) -> bool:
    """Whether a child waits in code of others for a lock of CPython's.

    Free-threaded CPython locks objects, and a child has the locks that other threads held
    (decision 66).
    """
    innermost = re.search(r'^  File "(.*)", line', stack, re.MULTILINE)
    is_free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return is_free and innermost is not None and not OURS.search(innermost[1])


def forks_beside_threads(crew: Crew) -> None:
    """A child that is forked while other threads share, load, read and look does all of it."""
    warnings.simplefilter("ignore", DeprecationWarning)
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile("w+") as stack:
        path = Path(directory, "x.npy")
        nl.save(path, IMAGES)

        def read() -> None:
            assert np.array_equal(nl.open(path).numpy(), IMAGES)

        def name() -> None:
            named = f"forks-{os.getpid()}-{random.getrandbits(60)}"
            assert nl.share(lambda: IMAGES, name=named)[3, 2, 1, 0] == IMAGES[3, 2, 1, 0]

        def fork(_chance: random.Random) -> None:
            child = os.fork()
            if child == 0:
                try:
                    faulthandler.register(signal.SIGALRM, stack, all_threads=False, chain=True)
                    signal.alarm(CHILD_HANGS_AFTER)
                    for work in (look, share, epoch, read, name):
                        work()
                    os._exit(0)
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                finally:
                    os._exit(1)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status == 0:
                return
            stack.seek(0)
            shown = stack.read()
            if status != -signal.SIGALRM or not hangs_in_python(shown):
                raise AssertionError(f"the child ended with {status}: {shown}")
            stack.truncate(0)
            hung.append(child)

        hung: list[int] = []
        # One thread forks, so that one child writes a stack.
        others = [lambda _, work=work: work() for work in (share, epoch, read, name, look)]
        crew.run(fork, *itertools.islice(itertools.cycle(others), crew.threads - 1))
        if hung:
            print(f"{len(hung)} children hung in CPython, ", end="")


def programs_that_end_beside_daemons(crew: Crew) -> None:
    """A program ends as it should while daemon threads are anywhere in ndlens."""
    names = [name for name in WAYS if "daemon" in name and "tensors" not in name]
    for chance in crew.turns():
        with tempfile.TemporaryDirectory() as directory:
            name = chance.choice(names)
            wrong = end(WAYS[name], Path(directory))
            assert wrong == "", f"{name}: {wrong}"
        crew.rounds += 1


WORKS = [forks_beside_threads, programs_that_end_beside_daemons]
