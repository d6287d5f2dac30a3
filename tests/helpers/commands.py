"""The command `ndlens`, run as its users run it, or in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ndlens.cli import main

# Python runs it at the start of the process and of every process below: modules are not found,
# as on a machine where they are not installed.
SITECUSTOMIZE = """
import os, sys
from importlib.machinery import PathFinder

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in os.environ["HIDDEN_MODULES"].split():
            return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder()
"""


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    errors: str

    @property
    def data(self) -> Any:
        """The document that `--json` prints."""
        return json.loads(self.out)


def ndlens_here(directory: Path, *arguments: str) -> Done:
    """Runs `ndlens` in `directory`, in this process: quick where torch and JAX are imported."""
    out, errors, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(directory)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = main(arguments)
    finally:
        os.chdir(before)
    return Done(status, out.getvalue(), errors.getvalue())


def environment(directory: Path, hide: Iterable[str] = ()) -> dict[str, str]:
    """An environment without a terminal's width, where the modules of `hide` are not found."""
    cleared = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    # Warnings of torch about the machine are no part of what a command says.
    cleared |= {"TMPDIR": str(directory), "HIDDEN_MODULES": " ".join(hide)}
    if hide:
        hiding = directory / "hiding"
        hiding.mkdir(exist_ok=True)
        (hiding / "sitecustomize.py").write_text(SITECUSTOMIZE)
        cleared["PYTHONPATH"] = str(hiding)
    return cleared


def ndlens(
    directory: Path, *arguments: str, hide: Iterable[str] = (), timeout: float = 100
) -> Done:
    """Runs `ndlens` with `directory` as its folder, also for temporary files."""
    done = subprocess.run(
        [sys.executable, "-m", "ndlens", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=directory,
        env=environment(directory, hide),
    )
    return Done(done.returncode, done.stdout, done.stderr)
