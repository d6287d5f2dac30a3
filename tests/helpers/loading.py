"""Images, transforms and programs that the tests of the loader share."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ndlens as nl
from ndlens import transforms as T

ALL_WORKERS = [0, 1, 2, 7]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

AUGMENT: list[T.Transform] = [
    T.RandomCrop((19, 23)),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(0.3),
    T.CenterCrop(17),
    T.ToDtype("float32", scale=True),
    T.Normalize(MEAN, STD),
    T.ChannelsFirst(),
]


def pictures(n: int = 50, height: int = 24, width: int = 31, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), np.uint8)


def run_python(program: str, *args: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Runs code in a separate process: a signal that kills it is reported, and a hang is ended."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def succeeds(program: str, *args: str) -> str:
    done = run_python(program, *args)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def workers_alive() -> int:
    """Threads that ndlens started. The kernel lists a thread for a moment after it was joined."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text())
    return sum(name.startswith("ndlens-") for name in names)


def eventually(done: Callable[[], bool]) -> bool:
    """Whether a condition becomes true within a second."""
    end = time.monotonic() + 1
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def order(loader: nl.Loader) -> list[int]:
    return [int(item) for batch in loader for item in batch]
