"""Tasks for `ndlens.cli.audit.child`, which ends in every way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any


def well(number: int) -> Iterator[dict[str, Any]]:
    print("what a library prints is no report")
    yield {"number": number}
    yield {"number": number + 1}


def by_signal() -> Iterator[dict[str, Any]]:
    yield {"number": 1}
    os.kill(os.getpid(), signal.SIGABRT)


def by_exception() -> Iterator[dict[str, Any]]:
    yield {"number": 1}
    raise ValueError("no such thing")


def never() -> Iterator[dict[str, Any]]:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield {"worker": worker.pid}
    time.sleep(600)
