"""Runs the Rust tests, and the Python tests at the border to C, under AddressSanitizer.

`make asan` does both; `--rust` and `--python` one of them. Stable Rust has the sanitizer behind
`RUSTC_BOOTSTRAP`. Its runtime is linked into executables alone, and Python is not ours, so there
gcc's runtime is loaded before all else (`LD_PRELOAD`): both implement the same interface, version
8. Python allocates with malloc then, so that objects that are used after they were freed are found
too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "target" / "asan"
PLATFORM = "x86_64-unknown-linux-gnu"
CRATES = ["ndlens-core", "ndlens-kernels", "ndlens-store", "ndlens-transforms", "ndlens-loader"]

# Tests that hand memory over and take it: what is compiled by others is not instrumented, but its
# allocations are watched.
FOLDERS = ["tests/views", "tests/interop", "tests/files", "tests/processes", "tests/loader"]

# Left out, with the reason.
LEFT_OUT = {
    "tests/interop/test_copies_of_operations.py": "starts some hundred processes and counts memory",
    "tests/interop/test_jax.py": "JAX alone takes minutes to load",
    "tests/interop/test_tvm_ffi.py": "compiles with flags of its own",
    "tests/processes/test_exits.py": "threads that the interpreter froze are not joined",
    "tests/processes/test_leaks.py": "counts blocks that the sanitizer keeps for later",
    "tests/processes/test_memory.py": "counts resident memory, of which the sanitizer needs more",
    "tests/files/test_many_files.py": "counts resident memory",
}
# Tests that bound the address space, of which the sanitizer takes 16 TB, or count memory; tests
# that expect a signal, in whose place it ends the process; and tests that fork beside threads,
# since its allocator, unlike glibc's, does not hold its locks over a fork.
NOT_HERE = (
    "not memory and not resident and not addresses and not larger and not import"
    " and not nothing_behind and not times_its_size and not lost_ones_of_a_shared_map"
    " and not a_fork_while and not both_sides_of_a_thousand_forks"
)

OPTIONS = ":".join(
    [
        # ndlens handles lost pages itself.
        "handle_sigbus=0",
        # An allocation that fails is an error that tests ask for.
        "allocator_may_return_null=1",
        "detect_stack_use_after_return=1",
        "strict_string_checks=1",
    ]
)

# Memory that is never freed, on purpose: after a fork a child's value takes the place of its
# parent's, which a thread may have held (decision 26).
NEVER_FREED = "leak:ndlens_store::os::process::PerProcess\n"


# Reads behind its memory.
PLANTED = """
#[unsafe(no_mangle)]
pub extern "C" fn read_at(place: usize) -> u32 {
    let bytes = std::hint::black_box(vec![1u8; 16]);
    u32::from(unsafe { *bytes.as_ptr().add(place) })
}
"""


def sanitized() -> dict[str, str]:
    flags = "-Zsanitizer=address -Cforce-frame-pointers=yes"
    return os.environ | {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": flags}


def run(command: list[str], environment: dict[str, str]) -> int:
    print("$", " ".join(command), flush=True)
    began = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    print(f"status {status} after {time.monotonic() - began:.0f} s", flush=True)
    return status


def rust() -> int:
    """The tests of the crates, with the leaks of each."""
    packages = [word for crate in CRATES for word in ("-p", crate)]
    command = ["cargo", "test", "--target", PLATFORM, "--target-dir", str(BUILT), *packages]
    # Without documentation tests: each is a program of its own, and is linked as one.
    command += ["--lib", "--tests", "--no-fail-fast"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as suppressions:
        suppressions.write(NEVER_FREED)
        suppressions.flush()
        environment = sanitized() | {
            "ASAN_OPTIONS": OPTIONS + ":detect_leaks=1",
            "LSAN_OPTIONS": f"suppressions={suppressions.name}:print_suppressions=0",
        }
        return run(command, environment)


def runtime() -> str:
    """What is loaded before all else: gcc's runtime, and the library of C++.

    The runtime replaces the function that throws exceptions of C++, and looks for the original when
    it starts. Python itself does not load that library, but torch does, later.
    """
    if shutil.which("cc") is None:
        sys.exit("make asan needs gcc's AddressSanitizer, and there is no `cc` here")
    paths = []
    for library, package in (("libasan.so", "gcc"), ("libstdc++.so.6", "libstdc++6")):
        found = subprocess.run(
            ["cc", f"-print-file-name={library}"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        if not Path(found).is_absolute():
            sys.exit(
                f"make asan needs {library}, and `cc` does not find it: on Debian and Ubuntu,"
                f" apt-get install {package}"
            )
        paths.append(str(Path(found).resolve()))
    return " ".join(paths)


def prove(environment: dict[str, str]) -> None:
    """Ends the program unless a read behind the memory of a loaded library is found."""
    with tempfile.TemporaryDirectory() as directory:
        source, library = Path(directory, "planted.rs"), Path(directory, "planted.so")
        source.write_text(PLANTED)
        build = ["rustc", *sanitized()["RUSTFLAGS"].split(), "--crate-type=cdylib"]
        build += [str(source), "-o", str(library)]
        subprocess.run(build, check=True, env=sanitized())
        for place, expected in (15, "read 1"), (16, "heap-buffer-overflow"):
            program = f"import ctypes; print('read', ctypes.CDLL('{library}').read_at({place}))"
            done = subprocess.run(
                [sys.executable, "-c", program],
                check=False,
                capture_output=True,
                text=True,
                env=environment,
            )
            if expected not in done.stdout + done.stderr:
                sys.exit(f"the sanitizer does not work in Python: no {expected!r}\n{done.stderr}")


def python() -> int:
    """The Python tests, with a module that was built with the sanitizer."""
    preload = runtime()
    command = ["cargo", "build", "-p", "ndlens-python", "--target", PLATFORM]
    command += ["--target-dir", str(BUILT)]
    environment = sanitized() | {"PYO3_BUILD_EXTENSION_MODULE": "1", "PYO3_PYTHON": sys.executable}
    if run(command, environment) != 0:
        return 1
    # The package as it is, with the other module in it.
    package = BUILT / "python" / "ndlens"
    shutil.rmtree(package, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "python" / "ndlens", package, ignore=ignored)
    shutil.copyfile(BUILT / PLATFORM / "debug" / "lib_ndlens.so", package / "_ndlens.so")
    # What the interpreter itself never frees is not ours: `make leaks` counts instead.
    environment = os.environ | {
        "ASAN_OPTIONS": OPTIONS + ":detect_leaks=0",
        "LD_PRELOAD": preload,
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(package.parent),
    }
    prove(environment)
    check = "import ndlens._ndlens as m, sys; sys.exit('target/asan' not in m.__file__)"
    if run([sys.executable, "-c", check], environment) != 0:
        return 1
    ignore = [f"--ignore={path}" for path in LEFT_OUT]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=600"]
    return run([*command, *FOLDERS, *ignore, "-k", NOT_HERE], environment)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rust", action="store_true", help="only the tests of the crates")
    parser.add_argument("--python", action="store_true", help="only the Python tests")
    arguments = parser.parse_args()
    both = arguments.rust == arguments.python
    status = 0
    if arguments.rust or both:
        status |= rust()
    if arguments.python or both:
        status |= python()
    return status


if __name__ == "__main__":
    sys.exit(main())
