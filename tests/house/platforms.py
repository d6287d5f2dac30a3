"""Checks the crates for platforms that cannot run here: `make platforms`.

    python -m tests.house.platforms                          # all targets
    python -m tests.house.platforms aarch64-apple-darwin     # one

rustc and clippy compile for a target whose standard library rustup has, without a linker. The
crates from ndlens-store up need Linux or macOS; for others their build must be refused, in words.

A target that rustup cannot add, without a network for one, is named and left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

ANYWHERE = ("ndlens-core", "ndlens-kernels", "ndlens-codecs", "ndlens-transforms")
WHOLE = (*ANYWHERE, "ndlens-store", "ndlens-loader", "ndlens", "ndlens-python")
TARGETS = {
    "aarch64-apple-darwin": WHOLE,
    "x86_64-apple-darwin": WHOLE,
    "x86_64-pc-windows-msvc": ANYWHERE,
    "x86_64-unknown-freebsd": ANYWHERE,
}
REFUSAL = "ndlens-store, and what is built on it, needs Linux or macOS"

# An interpreter of the target, as far as pyo3 asks about it.
INTERPRETER = """\
implementation=CPython
version=3.12
shared=true
pointer_width=64
suppress_build_script_link_lines=true
"""


def added(target: str) -> str | None:
    """Why rustup has no standard library for the target; None if it has."""
    try:
        result = subprocess.run(
            ["rustup", "target", "add", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
    except FileNotFoundError:
        return "rustup is not installed"
    except subprocess.TimeoutExpired:
        return "rustup has not added it in 300 s"
    said = result.stderr.strip().splitlines() or ["rustup failed"]
    return said[-1] if result.returncode else None


def check(target: str, crates: tuple[str, ...], environment: dict[str, str]) -> str | None:
    """What is wrong with the crates on a target; None if nothing is."""
    packages = [argument for crate in crates for argument in ("-p", crate)]
    command = ["cargo", "clippy", "--quiet", "--target", target, *packages]
    result = subprocess.run(
        [*command, "--", "-D", "warnings"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    return result.stderr if result.returncode else None


def refused(target: str) -> str | None:
    """What is wrong with the refusal of ndlens-store; None if nothing is."""
    result = subprocess.run(
        ["cargo", "check", "--quiet", "--target", target, "-p", "ndlens-store"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if result.returncode and REFUSAL in result.stderr:
        return None
    return f"ndlens-store is not refused in words:\n{result.stderr}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="all if none is named")
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        interpreter = Path(directory) / "interpreter.txt"
        interpreter.write_text(INTERPRETER)
        environment = {**os.environ, "PYO3_CONFIG_FILE": str(interpreter)}
        for target in parser.parse_args().targets or TARGETS:
            crates = TARGETS[target]
            reason = added(target)
            if reason is not None:
                print(f"{target}: not checked: {reason}", flush=True)
                continue
            problem = check(target, crates, environment)
            if problem is None and crates != WHOLE:
                problem = refused(target)
            wrong += problem is not None
            print(f"{target}: {problem or ', '.join(crates)}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
