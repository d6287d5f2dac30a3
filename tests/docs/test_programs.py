"""The programs in examples: each asserts what it shows, and prints it.

`examples/demo.py` is `make demo`. A program that cannot run here fails its test: it is not skipped,
unless it imports what pyproject.toml leaves out on this Python.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers import left_out

EXAMPLES = Path(__file__).parents[2] / "examples"

# What each prints, which it prints only after it has asserted it.
SHOWN = {
    "c_function.py": ["ctypes: a crop (32, 32, 3)", "cffi: a crop (16, 64, 2)"],
    "numba_function.py": [
        "histogram of a crop, strides (192, 3, 1): nothing copied",
        "a mirrored crop, strides (192, -3, 1), halved in place: the map shows it",
        "a read-only view: numba refuses to write to it",
    ],
    "onnx_inference.py": [
        "rows 16 to 80 of a frame, (1, 64, 128, 3): shared, onnxruntime reads the map",
        "a square of a frame, (1, 64, 64, 3): 12288 bytes copied, once",
        "6 crops as float32 in batches of 4: written once, each batch shared",
    ],
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_runs_and_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if why := left_out.reason_in(done.stderr):
        pytest.skip(why)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(SHOWN[name])
    for line, shown in zip(lines, SHOWN[name], strict=True):
        assert line.startswith(shown)


def test_every_example_has_a_test() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SHOWN, "demo.py"}
