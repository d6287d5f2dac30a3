"""Runs tests of a build for Linux that has what macOS has: `make test-portable`.

    python -m tests.house.portable                  # all
    python -m tests.house.portable --rust           # the crates' alone
    python -m tests.house.portable --python -k name # Python's alone, with arguments for pytest

The build has `--cfg ndlens_portable`: no memfd, no /proc, no guard against shortened files
(`crates/ndlens-store/src/os`). It is in target/portable, and the package beside it is one of links
to the files of python/ndlens.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "target" / "portable"
FLAG = "--cfg ndlens_portable"

# Views, files, the loader and shared memory.
TESTS = (
    "tests/views/test_indexing.py",
    "tests/files/test_open.py",
    "tests/files/test_save.py",
    "tests/loader/test_loader.py",
    "tests/processes/test_named.py",
    "tests/processes/test_pickle.py",
    "tests/processes/test_processes.py",
    "tests/processes/test_share.py",
)

# What Linux alone promises, by the names of tests.
LINUX_ALONE: dict[str, str] = {}


def environment() -> dict[str, str]:
    flags = f"{os.environ.get('RUSTFLAGS', '')} {FLAG}".strip()
    # Speed is not what is tested here.
    return {**os.environ, "RUSTFLAGS": flags, "CARGO_PROFILE_DEV_DEBUG": "0"}


def run(*command: str | Path, **environ: str) -> int:
    return subprocess.run(command, cwd=ROOT, env={**environment(), **environ}).returncode


def package() -> Path:
    """The folder in which Python finds the package of this build."""
    source, home = ROOT / "python" / "ndlens", TARGET / "site" / "ndlens"
    home.mkdir(parents=True, exist_ok=True)
    for old in home.iterdir():
        old.unlink()
    for entry in source.iterdir():
        if entry.suffix != ".so" and entry.name != "__pycache__":
            (home / entry.name).symlink_to(entry)
    (home / "_ndlens.so").symlink_to(TARGET / "debug" / "lib_ndlens.so")
    return home.parent


def main(arguments: list[str]) -> int:
    target = ("--target-dir", TARGET)
    if arguments[:1] != ["--python"]:
        crates = ("-p", "ndlens-store", "-p", "ndlens-loader")
        wrong = run("cargo", "test", "--quiet", *crates, "--lib", "--tests", *target)
        if wrong or arguments[:1] == ["--rust"]:
            return wrong
    if run("cargo", "build", "--quiet", "-p", "ndlens-python", *target):
        return 1
    left_out = [f"--deselect={test}" for test in LINUX_ALONE]
    return run(
        sys.executable, "-m", "pytest", "-q", *TESTS, *left_out, *arguments[1:],
        PYTHONPATH=str(package()),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
