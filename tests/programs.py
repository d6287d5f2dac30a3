"""Programs that tests run in an interpreter of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run(script: str) -> tuple[int, str, str]:
    """A script in an interpreter of its own: exit status, standard output, standard error."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr
