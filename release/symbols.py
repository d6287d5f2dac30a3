"""Takes the debug information out of a wheel, and keeps it in a file beside.

The module of a wheel has line tables of all its crates: two thirds of its size, which nothing reads
unless a backtrace is printed. `split` makes a wheel without them, and in debug/ a file with them.
The module names that file (`.gnu_debuglink`) and both have the same build id, so that gdb, perf and
Rust's own backtraces find it where it lies beside the module.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath


def output(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def objcopy(*arguments: str | Path) -> None:
    """Runs LLVM's objcopy, which comes with Rust and knows the files of every processor."""
    root = Path(output("rustc", "--print", "sysroot").strip())
    host = next(
        line.removeprefix("host: ")
        for line in output("rustc", "--version", "--verbose").splitlines()
        if line.startswith("host: ")
    )
    tool = root / "lib" / "rustlib" / host / "bin" / "rust-objcopy"
    if not tool.exists():
        sys.exit(f"{tool} is missing: this Rust has no rust-objcopy; rustup's has one")
    # It does not find its LLVM by itself.
    libraries = {"LD_LIBRARY_PATH": str(root / "lib")}
    subprocess.run([tool, *arguments], env=os.environ | libraries, check=True)


def module_name(wheel: zipfile.ZipFile) -> str:
    """The path in a wheel of its one compiled module."""
    (name,) = (name for name in wheel.namelist() if name.endswith(".so"))
    return name


def row(name: str, content: bytes) -> str:
    """The line of RECORD for a file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}"


def separate(module: Path) -> Path:
    """Moves the debug information of a module to a file beside it, whose path it gives."""
    debug = module.with_name(module.name + ".debug")
    objcopy("--only-keep-debug", "--compress-debug-sections=zlib", module, debug)
    objcopy("--strip-all", f"--add-gnu-debuglink={debug}", module)
    return debug


def split(unstripped: Path, out: Path) -> Path:
    """A copy of a wheel in `out` without debug information, which goes to out/debug/.

    Args:
        unstripped: The wheel as maturin built it.
        out: Folder for the copy, which has the same name.

    Returns:
        The path of the copy.
    """
    wheel = out / unstripped.name
    kept = out / "debug" / unstripped.stem
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(unstripped) as old:
        name = module_name(old)
        module = Path(scratch, PurePosixPath(name).name)
        module.write_bytes(old.read(name))
        debug = separate(module)
        (kept / debug.name).write_bytes(debug.read_bytes())
        with zipfile.ZipFile(wheel, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                if entry.filename == name:
                    content = module.read_bytes()
                elif entry.filename.endswith(".dist-info/RECORD"):
                    lines = content.decode().splitlines()
                    content = "".join(
                        (row(name, module.read_bytes()) if line.startswith(f"{name},") else line)
                        + "\n"
                        for line in lines
                    ).encode()
                new.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return wheel
