"""What `pip install .` says where the Rust that it needs is missing: `release/build_backend.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
INSTALL = f"install Rust {NEEDED} or newer from https://rustup.rs, then run pip again"


def asked(hook: str, path: Path) -> tuple[int, str]:
    """A hook as pip calls it, with programs of one folder: exit status, standard error."""
    done = subprocess.run(
        [sys.executable, "-c", f"import build_backend; print(build_backend.{hook}())"],
        cwd=ROOT,
        env=os.environ | {"PATH": str(path), "PYTHONPATH": str(ROOT / "release")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr if done.returncode else done.stdout


def rust(folder: Path, says: str, status: int = 0) -> Path:
    """A folder with a cargo and a rustc that says something of itself."""
    for name in ("cargo", "rustc"):
        program = folder / name
        stream = 2 if status else 1
        program.write_text(f"#!/bin/sh\necho '{says}' >&{stream}\nexit {status}\n")
        program.chmod(0o755)
    return folder


@pytest.mark.parametrize("kind", ["wheel", "editable", "sdist"])
def test_without_rust_one_line_says_what_to_install(kind: str, tmp_path: Path) -> None:
    assert asked(f"get_requires_for_build_{kind}", tmp_path) == (
        1,
        f"ndlens is built with Rust, and no cargo is on PATH: {INSTALL}\n",
    )


def test_an_old_rust_is_named_beside_the_one_that_is_needed(tmp_path: Path) -> None:
    path = rust(tmp_path, "rustc 1.80.1 (3f5fd8dd4 2024-08-06)")
    assert asked("get_requires_for_build_wheel", path) == (
        1,
        f"ndlens is built with Rust {NEEDED}, and this is Rust 1.80.1: rustup update\n",
    )


def test_what_a_rust_that_does_not_run_says_is_in_the_line(tmp_path: Path) -> None:
    path = rust(tmp_path, "error: no default toolchain configured", status=1)
    assert asked("get_requires_for_build_wheel", path) == (
        1,
        "ndlens is built with Rust, and rustc does not run here (error: no default toolchain "
        f"configured): {INSTALL}\n",
    )


@pytest.mark.parametrize("says", [f"rustc {NEEDED}.0 (x)", "rustc 9.1.0-nightly (x 2030-01-01)"])
def test_with_the_rust_that_is_needed_nothing_is_required_but_maturin(
    says: str, tmp_path: Path
) -> None:
    assert asked("get_requires_for_build_wheel", rust(tmp_path, says)) == (0, "[]\n")
