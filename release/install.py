"""Installs wheels into clean environments and runs tests/wheels/smoke.py there.

    python -m release.install /usr/bin/python3.11 /opt/python3.14t/bin/python3.14t
    python -m release.install --root /srv/arm64 /usr/bin/python3.14

Each interpreter gets the wheel in dist/ that is for it, in an environment that holds nothing else.
With `--root` the interpreters are those of another root directory, such as one of another processor
that qemu runs; the wheel lies in a folder there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "tests" / "wheels" / "smoke.py"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")

# What an interpreter says of itself: the ABI and the platform in the names of its wheels.
QUESTION = """
import json, platform, sys, sysconfig
threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
library = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
abi = f"cp{sys.version_info.major}{sys.version_info.minor}{threads}"
print(json.dumps([abi, library, platform.machine()]))
"""


def output(command: list[str | Path]) -> str:
    """What a command prints; an error of it ends the program."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def wheel_for(folder: Path, interpreter: list[str | Path]) -> Path | None:
    """The wheel in a folder for an interpreter, which may be of another root."""
    abi, library, machine = json.loads(output([*interpreter, "-c", QUESTION]))
    found = sorted(folder.glob(f"*-{abi}-*{library}_*_{machine}.whl"))
    if not found:
        print(f"{' '.join(map(str, interpreter))}: no wheel for {abi} {library} {machine}")
    return found[-1] if found else None


def run_smoke(interpreter: list[str | Path], program: Path, folder: Path) -> bool:
    """Runs the program in a folder, which is not this checkout; it prints what it finds."""
    command = [*interpreter, "-W", "error", program]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


def here(folder: Path, python: str) -> bool:
    """Installs and runs for an interpreter of this machine."""
    wheel = wheel_for(folder, [python])
    if wheel is None:
        return False
    print(f"\n{wheel.name}")
    with tempfile.TemporaryDirectory() as scratch:
        environment = Path(scratch, "environment")
        output([python, "-m", "venv", environment])
        inside = environment / "bin" / "python"
        output([inside, *PIP, "--no-index", wheel])
        shown = output([environment / "bin" / "ndlens", "--version"])
        print(f"the command: {shown.strip()}", flush=True)
        return run_smoke([inside, "-I"], SMOKE, Path(scratch))


def elsewhere(folder: Path, root: Path, python: str) -> bool:
    """Installs and runs for an interpreter of another root."""
    chroot: list[str | Path] = ["chroot", root]
    wheel = wheel_for(folder, [*chroot, python])
    if wheel is None:
        return False
    print(f"\n{wheel.name}, in {root}")
    tag = wheel.stem.split("-")
    with tempfile.TemporaryDirectory(dir=root / "tmp") as scratch:
        version = f"{tag[2][2]}.{tag[2][3:]}"
        chosen = ["--python-version", version, "--abi", tag[3], "--only-binary", ":all:"]
        for platform in tag[4].split("."):
            chosen += ["--platform", platform]
        options = ["--no-index", "--no-deps", *chosen, "--target", scratch]
        output([sys.executable, *PIP, *options, wheel])
        shutil.copy(SMOKE, scratch)
        # Its own folder is the first in which a program looks for modules.
        program = Path("/", Path(scratch).relative_to(root), SMOKE.name)
        return run_smoke([*chroot, python], program, Path(scratch))


def main() -> int:
    """Installs and runs for each interpreter that was given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("interpreters", nargs="+", help="paths of interpreters")
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist", help="folder of wheels")
    parser.add_argument("--root", type=Path, help="root directory of the interpreters")
    options = parser.parse_args()
    failed = []
    for python in options.interpreters:
        if options.root:
            passed = elsewhere(options.wheels, options.root, python)
        else:
            found = shutil.which(python)
            passed = found is not None and here(options.wheels, found)
        if not passed:
            failed.append(python)
    print(f"failed: {' '.join(failed)}" if failed else "all passed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
