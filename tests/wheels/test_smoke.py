"""The program that `make wheels-check` runs with each wheel, here with the module in place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SMOKE = Path(__file__).with_name("smoke.py")


def test_the_program_for_wheels_passes_with_the_module_in_place(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", SMOKE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("ndlens ")
    assert len(rest) == 5
    assert all(line.startswith("ok: ") for line in rest)
