"""Makes the wheels and the source distribution of a release, into dist/: `make wheels`.

    python -m release.wheels
    python -m release.wheels --pythons "3.12 3.14t" --platforms x86_64-unknown-linux-musl

maturin builds for interpreters that are not here, from what it knows of each, and zig links for old
C libraries, so one machine makes the wheels of every Linux platform. A wheel is for one version of
CPython: the buffer protocol is in the stable ABI from 3.11 on, but free-threaded interpreters have
none before 3.15, and slices are faster without it.

The profile that developers use keeps line tables. A wheel is stripped of them: they go to a file
beside it, in dist/debug/, with which a backtrace can be read (RELEASING.md).
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from release import contents, symbols

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15", "3.14t", "3.15t")
# Targets of Rust, and the oldest C library that their wheels run on.
PLATFORMS = {
    "x86_64-unknown-linux-gnu": "manylinux_2_17",
    "aarch64-unknown-linux-gnu": "manylinux_2_17",
    "x86_64-unknown-linux-musl": "musllinux_1_2",
    "aarch64-unknown-linux-musl": "musllinux_1_2",
}


def run(command: list[str | Path], **environment: str) -> None:
    """Runs a command in the root, and ends the program with its output if it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=variables() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        line = shlex.join(str(word) for word in command)
        sys.exit(f"{done.stdout}\nended with status {done.returncode}: {line}")


def variables() -> dict[str, str]:
    """The environment without what would choose another interpreter or profile."""
    chosen = re.compile(r"PYO3_|CARGO_PROFILE_|CARGO_BUILD_|MATURIN_|RUSTFLAGS$|CARGO_TARGET_DIR$")
    kept = {name: value for name, value in os.environ.items() if not chosen.match(name)}
    # The backend is maturin, with one check before it.
    return kept | {"MATURIN_NO_MISSING_BUILD_BACKEND_WARNING": "1"}


def program(name: str) -> Path:
    """A program of this environment."""
    return Path(sys.executable).parent / name


def zig() -> Path:
    """The compiler in the package `ziglang`, which links."""
    found = Path(sysconfig.get_path("purelib"), "ziglang", "zig")
    if not found.exists():
        sys.exit(f"{found} is missing: pip install --constraint constraints.txt --group wheels")
    return found


def add_targets(platforms: list[str]) -> None:
    """Installs the standard libraries of Rust that are missing."""
    libraries = Path(symbols.output("rustc", "--print", "sysroot").strip(), "lib", "rustlib")
    missing = [platform for platform in platforms if not (libraries / platform / "lib").exists()]
    if missing:
        print(f"Installing Rust's standard library for {', '.join(missing)}: 150 MB each")
        run(["rustup", "target", "add", *missing])


def built(python: str, platform: str, out: Path) -> Path:
    """Builds one wheel, with its debug information, and gives its path."""
    fresh = out / "unstripped"
    before = {path: path.stat().st_mtime_ns for path in fresh.glob("*.whl")}
    command: list[str | Path] = [
        *(program("maturin"), "build", "--release", "--zig", "--locked"),
        *("--target", platform, "--compatibility", PLATFORMS[platform]),
        *("--interpreter", python, "--out", fresh),
        # Names the debug information that belongs to a module.
        *("--", "-C", "link-arg=-Wl,--build-id=sha1"),
    ]
    run(command, CARGO_ZIGBUILD_ZIG_PATH=str(zig()))
    new = [path for path in fresh.glob("*.whl") if path.stat().st_mtime_ns != before.get(path)]
    if len(new) != 1:
        sys.exit(f"maturin made {len(new)} wheels for Python {python} on {platform}, not 1")
    return new[0]


def audited(wheel: Path, platform: str) -> list[str]:
    """What auditwheel has against the platform in a wheel's name: one sentence, or none.

    It knows musl by the name that Alpine's library has. zig links to musl's own, `libc.so`, so
    `contents.problems` and maturin alone look at those wheels.
    """
    if PLATFORMS[platform].startswith("musllinux"):
        return []
    tag = f"{PLATFORMS[platform]}_{platform.partition('-')[0]}"
    said = symbols.output(program("auditwheel"), "show", wheel)
    # Its lines are wrapped.
    consistent = f'is consistent with the following platform tag: "{tag}"'
    return [] if consistent in " ".join(said.split()) else [f"auditwheel says: {said}"]


def source(out: Path) -> Path:
    """Builds the source distribution and gives its path."""
    run([program("maturin"), "sdist", "--out", out])
    (made,) = out.glob("*.tar.gz")
    return made


def main() -> int:
    """Builds, strips and checks what was chosen."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pythons", default=" ".join(PYTHONS), help="such as '3.12 3.14t'")
    parser.add_argument("--platforms", default=" ".join(PLATFORMS), help="targets of Rust")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    pythons, platforms = options.pythons.split(), options.platforms.split()
    for name, known, given in (("Python", PYTHONS, pythons), ("platform", PLATFORMS, platforms)):
        for unknown in sorted({*given} - {*known}):
            parser.error(f"no {name} {unknown!r}: choose of {' '.join(known)}")

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / ".gitignore").write_text("*\n")
    add_targets(platforms)
    failed = False
    print(source(options.out).name)
    for platform in platforms:
        for python in pythons:
            start = time.monotonic()
            unstripped = built(python, platform, options.out)
            wheel = symbols.split(unstripped, options.out)
            unstripped.unlink()
            seconds = time.monotonic() - start
            print(f"{wheel.name}  {wheel.stat().st_size / 1e6:.2f} MB  {seconds:.0f} s", flush=True)
            for problem in [*contents.problems(wheel), *audited(wheel, platform)]:
                failed = True
                print(f"  {problem}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
