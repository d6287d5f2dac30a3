"""What a trace says of every operation of `memory_operations.py`, and how much memory it takes.

    python tests/stress/copies.py --only "View: copy"

Each operation runs in a fork of this process. Prints a JSON object for each: the operations that
`nl.trace` noted with their bytes, and by how much the process grew at most meanwhile, which is
measured by the system.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import textwrap
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.stress.memory_operation import Operation
from tests.stress.memory_operations import OPERATIONS
from tests.stress.memory_sweep import ENOUGH, attempt, leave, load

# mallopt's M_MMAP_THRESHOLD: blocks of this size or more are the system's, and new in each case.
THRESHOLD = -3
BLOCK_BYTES = 1 << 16

TRACED = """
import builtins, contextlib, json, pathlib
def status(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) << 10
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
refusal = getattr(nl, {refusal!r}, None) or getattr(builtins, {refusal!r})
with nl.trace() as noted, contextlib.suppress(MemoryError, refusal):
{code}
grown = status("VmHWM") - before
print(json.dumps([{name!r}, {{copy.operation: copy.nbytes for copy in noted}}, grown]), flush=True)
"""


def traced(operation: Operation) -> Operation:
    """The operation inside a trace, whose result it prints."""
    code = TRACED.format(
        refusal=operation.refusal or "MemoryError",
        code=textwrap.indent(textwrap.dedent(operation.code), "    "),
        name=operation.name,
    )
    return operation._replace(code=code)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="*", default=[""], help="operations with one of these in their name"
    )
    arguments = parser.parse_args()
    ctypes.CDLL(None).mallopt(THRESHOLD, BLOCK_BYTES)
    names = load(None)
    failed = 0
    for operation in OPERATIONS:
        if not any(part in operation.name for part in arguments.only):
            continue
        outcome = attempt(traced(operation), names, partial(leave, ENOUGH))
        if not outcome.ended:
            failed += 1
            print(f"{operation.name}: {outcome.text}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
