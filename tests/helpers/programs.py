"""Programs that tests run in an interpreter of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import ndlens as nl


def run(script: str, *arguments: str, timeout: float = 60) -> tuple[int, str, str]:
    """A script in an interpreter of its own: exit status, standard output, standard error."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr


def run_file(
    directory: Path, script: str, *arguments: str, timeout: float = 60
) -> tuple[int, str, str]:
    """As `run`, from a file in `directory`, which spawned processes can import."""
    program = directory / "program.py"
    program.write_text(textwrap.dedent(script))
    # HOME: some libraries write files there.
    environment = os.environ | {"HOME": str(directory)}
    command = [sys.executable, "-W", "error", str(program), *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=directory,
        env=environment,
    )
    return done.returncode, done.stdout, done.stderr


class Peer:
    """A program in an interpreter of its own that evaluates or executes one line after another.

    It has imported `ndlens as nl`, `os`, `pickle` and `signal`.
    """

    SCRIPT = """
        import os, pickle, signal, sys, traceback
        import ndlens as nl
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                try:
                    result = eval(line)
                except SyntaxError:
                    result = exec(line)
                print(repr(result), flush=True)
            except Exception as error:
                print(f"{type(error).__name__}: {error}", flush=True)
    """

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(self.SCRIPT)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.answer() == "ready"

    @property
    def pid(self) -> int:
        return self.process.pid

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def __call__(self, line: str) -> str:
        self.say(line)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def arenas_held(pid: int | str = "self", label: str = "") -> int:
    """The number of descriptors of shared memory that a process holds."""
    held = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held += str(descriptor.readlink()).startswith(f"/memfd:ndlens{label}")
        except FileNotFoundError:
            continue
    return held


def total(arrays: nl.Arrays, weight: nl.View, queue: Any) -> None:
    """Runs in another process, and puts what it reads of a file into the queue."""
    queue.put((float(arrays["weight"].numpy().sum()), weight.tolist(), arrays["weight"].readonly))
