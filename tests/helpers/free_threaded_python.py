"""Finds a free-threaded Python, or makes one of CPython's sources; prints its path.

It takes the interpreter that runs it if that is free-threaded, then python3.14t on the PATH, then
the one it made before. `--only` forbids the search: the interpreter was chosen.

What it makes is in `.python-free-threaded/`, a build without profiles, which takes some minutes.
The sources are checked against the SHA-256 of the release before anything in them runs.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE = ROOT / ".python-free-threaded"

# For 3.15t packages that most tests use have no wheels: NumPy's are there, psutil's are not.
NAME = "python3.14t"
VERSION = "3.14.7"
SHA256 = "3b48dac8fb59f62eaa67ac83c1eb12bda1b7a08406dd286e252c11a66be27f81"
# One file: Debian's is the release, unchanged.
ADDRESSES = (
    f"https://www.python.org/ftp/python/{VERSION}/Python-{VERSION}.tar.xz",
    f"http://deb.debian.org/debian/pool/main/p/python3.14/python3.14_{VERSION}.orig.tar.xz",
)
# Seconds without a byte.
SILENT_FOR = 30

# Of which the tests, or what they import, use a module, and Debian's packages of them.
HEADERS = {
    "bzlib.h": "libbz2-dev",
    "ffi.h": "libffi-dev",
    "lzma.h": "liblzma-dev",
    "openssl/ssl.h": "libssl-dev",
    "zlib.h": "zlib1g-dev",
}
MODULES = "bz2, ctypes, ensurepip, lzma, ssl, venv, zlib"


def works(python: Path | str) -> bool:
    """Whether it runs, is free-threaded and can make virtual environments."""
    program = f"import sysconfig, {MODULES}\nraise SystemExit(not sysconfig.get_config_var(%r))"
    try:
        command = [str(python), "-c", program % "Py_GIL_DISABLED"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def missing() -> dict[str, str]:
    """What a build needs and this machine lacks, with Debian's packages of them."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    lacks = {} if compiler else {"a C compiler": "gcc"}
    if not shutil.which("make"):
        lacks["make"] = "make"
    for header, package in HEADERS.items() if compiler else ():
        command = [str(compiler), "-E", "-x", "c", "-"]
        text = f"#include <{header}>\n".encode()
        if subprocess.run(command, input=text, check=False, capture_output=True).returncode != 0:
            lacks[header] = package
    return lacks


def download(file: Path) -> None:
    """Writes the sources to a file, from the first address that has them unchanged."""
    problems = []
    for address in ADDRESSES:
        print(f"Downloading {address} (23 MB)", file=sys.stderr)
        digest = hashlib.sha256()
        try:
            with (
                urllib.request.urlopen(address, timeout=SILENT_FOR) as response,
                file.open("wb") as out,
            ):
                while block := response.read(1 << 20):
                    digest.update(block)
                    out.write(block)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{address}: {error}")
            continue
        if digest.hexdigest() == SHA256:
            return
        problems.append(f"{address}: its SHA-256 is {digest.hexdigest()}, expected {SHA256}")
    raise SystemExit(
        f"no sources of CPython {VERSION} could be downloaded:\n  "
        + "\n  ".join(problems)
        + "\nsay PYTHON=/path/to/a/free-threaded/python"
    )


def run(command: list[str], directory: Path, log: Path) -> None:
    """Runs a step of the build; if it fails, says how its output ends."""
    print(f"$ {' '.join(command)}", file=sys.stderr)
    # The jobs of the make that started this are its own.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    with log.open("ab") as out:
        done = subprocess.run(
            command, cwd=directory, check=False, stdout=out, stderr=out, env=environment
        )
    if done.returncode != 0:
        end = log.read_text(errors="replace").splitlines()[-20:]
        raise SystemExit("\n".join([*end, f"{command[0]} failed; all it said is in {log}"]))


def make() -> None:
    """Downloads, builds and installs it in `.python-free-threaded/`."""
    if lacks := missing():
        raise SystemExit(
            "no free-threaded Python was found, and to build one this machine lacks"
            f" {', '.join(lacks)}: install them (Debian and Ubuntu: apt-get install"
            f" {' '.join(lacks.values())}), or say PYTHON=/path/to/a/free-threaded/python"
        )
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir()
    archive, log = MADE / "sources.tar.xz", MADE / "build.log"
    download(archive)
    with tarfile.open(archive) as sources:
        sources.extractall(MADE, filter="data")
    archive.unlink()
    sources_in = MADE / f"Python-{VERSION}"
    run(["./configure", "--disable-gil", f"--prefix={MADE}"], sources_in, log)
    run(["make", f"-j{os.cpu_count() or 1}"], sources_in, log)
    run(["make", "altinstall"], sources_in, log)
    shutil.rmtree(sources_in)
    if not works(made()):
        raise SystemExit(f"{made()} was built and lacks one of {MODULES}: see {log}")


def made() -> Path:
    return MADE / "bin" / NAME


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="store_true", help="this interpreter or none")
    arguments = parser.parse_args()
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        print(sys.executable)
    elif arguments.only:
        raise SystemExit(
            f"{sys.executable} is not free-threaded: say PYTHON=/path/to/python3.14t, or leave"
            " PYTHON out to have one found or built"
        )
    else:
        python = shutil.which(NAME)
        if python is None or not works(python):
            if not works(made()):
                make()
            python = str(made())
        print(python)


if __name__ == "__main__":
    main()
