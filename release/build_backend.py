"""The build backend: maturin, after a look whether the Rust that it needs is here.

Without it, pip would print how maturin fails, or install a Rust of its own into a temporary folder.
With it, the output of `pip install .` is one line that says what to install.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import maturin

build_editable = maturin.build_editable
build_sdist = maturin.build_sdist
build_wheel = maturin.build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.partition("-")[0].split("."))


def _complaint() -> str | None:
    """What there is to say about Rust here; None if nothing."""
    manifest = tomllib.loads(Path("Cargo.toml").read_text())
    needed = manifest["workspace"]["package"]["rust-version"]
    install = f"install Rust {needed} or newer from https://rustup.rs, then run pip again"
    if not shutil.which("cargo") or not shutil.which("rustc"):
        return f"ndlens is built with Rust, and no cargo is on PATH: {install}"
    done = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    if done.returncode or len(words) < 2:
        said = " ".join(done.stderr.split()) or f"status {done.returncode}"
        return f"ndlens is built with Rust, and rustc does not run here ({said}): {install}"
    if _numbers(words[1]) < _numbers(needed):
        return f"ndlens is built with Rust {needed}, and this is Rust {words[1]}: rustup update"
    return None


def _requirements(config_settings: Any = None) -> list[str]:
    """Nothing but maturin, which pyproject.toml names; ends the program if there is no Rust."""
    if complaint := _complaint():
        sys.exit(complaint)
    return []


# pip calls one of these before any other.
get_requires_for_build_wheel = _requirements
get_requires_for_build_editable = _requirements
get_requires_for_build_sdist = _requirements
