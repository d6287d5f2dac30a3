"""Instructions of each kernel: a figure that does not depend on the load of the machine.

What it shows. For each kernel the instructions per element it writes, counted by valgrind's
callgrind: the same number each time, however busy the machine. It does not measure memory, but a
kernel that became slower by its own code shows here. Beside each count is its change against the
committed one in benches/instructions.json.

Compared with. The counts of the last commit that wrote them. Another compiler makes other code, so
its name is printed.

How. crates/ndlens-kernels/benches/instructions.rs runs one kernel on one image; callgrind collects
inside its function `measured` alone. Valgrind does not run AVX-512: NDLENS_ISA asks for the AVX2
bodies, and for those that every machine has.

With --aarch64 the program is built for aarch64 and runs in qemu, with the NEON bodies and with
those of plain Rust, for which compilers use NEON too. A plugin, count_instructions.c, counts all
that the program executes, with one run of the kernel and with three: half of the difference is a
run. No time is measured: an emulator has none that means anything.

    python benches/instructions.py [--aarch64] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "benches/instructions.json"
PLUGIN = ROOT / "benches/count_instructions.c"
ISAS = ("avx2", "scalar")
ISAS_OF_AARCH64 = ("neon", "scalar")
AARCH64 = "aarch64-unknown-linux-gnu"
# Versions of the interface that an emulator may ask a plugin for.
PLUGIN_VERSIONS = range(1, 10)
# Programs, and the packages of Debian that have them.
NEEDED = {"valgrind": "valgrind"}
NEEDED_BY_AARCH64 = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "qemu-aarch64": "qemu-user",
    "cc": "gcc",
}
# A smaller change comes from another compiler, or another C library's memcpy.
WORTH_A_LOOK = 0.01

# By kernel, then by instruction set.
Counts = dict[str, dict[str, float]]


def output(*command: str, **environment: str) -> tuple[str, str]:
    """The output of a command, of both streams."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout, done.stderr


def build(*target: str) -> str:
    """Builds the program that runs kernels, and gives its path, which cargo prints."""
    which = ("--package", "ndlens-kernels", "--bench", "instructions", *target)
    command = ("cargo", "build", "--release", *which, "--message-format", "json")
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    messages = map(json.loads, built.stdout.splitlines())
    programs = [message["executable"] for message in messages if message.get("executable")]
    return str(programs[-1])


def count(program: str, kernel: str, isa: str) -> float:
    """Instructions per element."""
    options = ("--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*")
    elements, report = output("valgrind", *options, program, kernel, NDLENS_ISA=isa)
    collected = re.search(r"Collected : (\d+)", report)
    assert collected, report
    return round(int(collected[1]) / int(elements), 3)


def count_all(isas: tuple[str, ...], kernels: list[str], count: Callable[..., float]) -> Counts:
    return {kernel: {isa: count(kernel, isa) for isa in isas} for kernel in kernels}


def count_x86_64() -> Counts:
    program = build()
    kernels = output(program)[0].splitlines()
    return count_all(ISAS, kernels, lambda kernel, isa: count(program, kernel, isa))


def plugin(folder: str, emulator: tuple[str, ...], program: str) -> str:
    """The path of the plugin, built for the emulator at hand."""
    path = f"{folder}/count_instructions.so"
    for version in PLUGIN_VERSIONS:
        options = ("-shared", "-fPIC", "-O2", f"-DPLUGIN_VERSION={version}")
        output("cc", *options, "-o", path, str(PLUGIN))
        command = (*emulator, "-plugin", path, program)
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return path
    raise RuntimeError(f"{emulator[0]} takes no plugin of the versions {PLUGIN_VERSIONS}")


def count_aarch64() -> Counts:
    os.environ.setdefault("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
    program = build("--target", AARCH64)
    emulator = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
    kernels = output(*emulator, program)[0].splitlines()
    with tempfile.TemporaryDirectory() as folder:
        command = (*emulator, "-plugin", plugin(folder, emulator, program), program)

        def count(kernel: str, isa: str) -> float:
            def run(runs: int) -> tuple[int, int]:
                elements, report = output(*command, kernel, str(runs), NDLENS_ISA=isa)
                counted = re.search(r"instructions: (\d+)", report)
                assert counted, report
                return int(counted[1]), int(elements)

            (once, elements), (three_times, _) = run(1), run(3)
            return round((three_times - once) / 2 / elements, 3)

        return count_all(ISAS_OF_AARCH64, kernels, count)


def compiler() -> str:
    return output("rustc", "--version")[0].strip()


def difference(now: float, before: float | None) -> str:
    if before is None:
        return "new"
    change = now / before - 1
    return f"{change:+.1%}" + (" <--" if abs(change) >= WORTH_A_LOOK else "    ")


def print_table(counts: Counts, baseline: dict[str, Any], isas: tuple[str, ...]) -> None:
    print(f"{'':<46}" + "".join(f"{isa:>10}{'change':>12}" for isa in isas))
    for kernel, found in counts.items():
        before = baseline["instructions_per_element"].get(kernel, {})
        row = "".join(
            f"{found[isa]:>10.3f}{difference(found[isa], before.get(isa)):>12}" for isa in isas
        )
        print(f"{kernel:<46}{row}".rstrip())
    for kernel in baseline["instructions_per_element"].keys() - counts.keys():
        print(f"{kernel:<46}gone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="make these counts the new baseline")
    parser.add_argument("--aarch64", action="store_true", help="count those of aarch64, in qemu")
    arguments = parser.parse_args()
    needed = NEEDED_BY_AARCH64 if arguments.aarch64 else NEEDED
    if missing := [program for program in needed if shutil.which(program) is None]:
        missing_packages = " and ".join(needed[program] for program in missing)
        print(f"Instructions per element: left out, since {missing_packages} is not installed")
        return

    print("Instructions per element, and the change against benches/instructions.json", flush=True)
    baselines = json.loads(BASELINE.read_text())
    name, isas = ("aarch64", ISAS_OF_AARCH64) if arguments.aarch64 else ("x86_64", ISAS)
    baseline = baselines[name]
    if baseline["compiler"] != compiler():
        print(f"that was made by {baseline['compiler']}, this by {compiler()}")
    counts = count_aarch64() if arguments.aarch64 else count_x86_64()
    print_table(counts, baseline, isas)
    if arguments.write:
        baselines[name] = {"compiler": compiler(), "instructions_per_element": counts}
        BASELINE.write_text(json.dumps(baselines, indent=2) + "\n")


if __name__ == "__main__":
    main()
