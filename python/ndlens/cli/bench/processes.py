"""Starts the process of a benchmark, listens to it, and ends it with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from ..progress import Progress
    from .contest import Contest
    from .ground import Settings

__all__ = ["Failed", "LeftOut", "contests_of"]


class Failed(Exception):
    """A result was wrong, or the process of a benchmark ended early."""


class LeftOut(Exception):
    """A benchmark cannot run without a package that is not here."""


def contests_of(
    name: str, settings: Settings, folder: Path, progress: Progress
) -> Iterator[Contest]:
    """Run a benchmark, and give each of its contests as soon as it is measured.

    `folder` is for its files. When this generator ends, however it does, no process is left.
    """
    link, theirs = Pipe()
    said = folder / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", f"{__package__}.child"),
                *(name, str(folder), str(theirs.fileno())),
            ],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(theirs.fileno(),),
            # Temporary files of multiprocessing, which a killed process cannot remove.
            env={**os.environ, "TMPDIR": str(folder)},
            # A group of its own: Ctrl-C reaches this process alone, which ends the group.
            start_new_session=True,
        )
    theirs.close()
    try:
        link.send(settings)
        yield from _follow(link, progress)
    except EOFError:
        lines = said.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        status = process.wait()
        raise Failed(f"its process ended with status {status}: {lines[-1]}") from None
    finally:
        # Before the wait, after which the number of the group may be another's.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        link.close()


def _follow(link: Connection[Any, Any], progress: Progress) -> Iterator[Contest]:
    while True:
        kind, *rest = link.recv()
        if kind == "steps":
            label, total = rest
            for _ in progress.of(_steps(link, total), total, label):
                pass
        elif kind == "contest":
            yield rest[0]
        elif kind == "failure":
            raise Failed(rest[0])
        elif kind == "left out":
            raise LeftOut(rest[0])
        else:
            return


def _steps(link: Connection[Any, Any], total: int) -> Iterator[None]:
    for _ in range(total):
        kind, *rest = link.recv()
        if kind == "failure":
            raise Failed(rest[0])
        yield None
