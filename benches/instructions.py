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

    python benches/instructions.py [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "benches/instructions.json"
ISAS = ("avx2", "scalar")
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


def build() -> str:
    """Builds the program that runs kernels, and gives its path, which cargo prints."""
    which = ("--package", "ndlens-kernels", "--bench", "instructions")
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


def count_all() -> Counts:
    program = build()
    kernels = output(program)[0].splitlines()
    return {kernel: {isa: count(program, kernel, isa) for isa in ISAS} for kernel in kernels}


def compiler() -> str:
    return output("rustc", "--version")[0].strip()


def difference(now: float, before: float | None) -> str:
    if before is None:
        return "new"
    change = now / before - 1
    return f"{change:+.1%}" + (" <--" if abs(change) >= WORTH_A_LOOK else "    ")


def print_table(counts: Counts, baseline: dict[str, Any]) -> None:
    print(f"{'':<46}" + "".join(f"{isa:>10}{'change':>12}" for isa in ISAS))
    for kernel, found in counts.items():
        before = baseline["instructions_per_element"].get(kernel, {})
        row = "".join(
            f"{found[isa]:>10.3f}{difference(found[isa], before.get(isa)):>12}" for isa in ISAS
        )
        print(f"{kernel:<46}{row}".rstrip())
    for kernel in baseline["instructions_per_element"].keys() - counts.keys():
        print(f"{kernel:<46}gone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="make these counts the new baseline")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("Instructions per element: left out, since valgrind is not installed")
        return

    print("Instructions per element, and the change against benches/instructions.json", flush=True)
    baseline = json.loads(BASELINE.read_text())
    if baseline["compiler"] != compiler():
        print(f"that was made by {baseline['compiler']}, this by {compiler()}")
    counts = count_all()
    print_table(counts, baseline)
    if arguments.write:
        found = {"compiler": compiler(), "instructions_per_element": counts}
        BASELINE.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
