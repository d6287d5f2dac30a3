"""Runs the store's tests in a build for Linux that has what macOS has: `make test-portable`.

The build has `--cfg ndlens_portable`: no memfd, no /proc, no guard against shortened files
(`crates/ndlens-store/src/os`). It is in target/portable. The tests are those of files, maps,
handles, and memory that is shared, also under a name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "target" / "portable"
FLAG = "--cfg ndlens_portable"


def main(arguments: list[str]) -> int:
    flags = f"{os.environ.get('RUSTFLAGS', '')} {FLAG}".strip()
    # Nobody debugs this build, which so takes half of the disk.
    environment = {**os.environ, "RUSTFLAGS": flags, "CARGO_PROFILE_DEV_DEBUG": "0"}
    command = ["cargo", "test", "--quiet", "-p", "ndlens-store", "--lib", "--tests"]
    return subprocess.run(
        [*command, "--target-dir", TARGET, *arguments], cwd=ROOT, env=environment
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
