"""Every operation of `ndlens` where memory runs out gives its result or a typed error.

Each runs in a process of its own, whose address space is limited to what it has and a margin.
Margins go from one that nothing fits to one that all fits, so that each large allocation fails
once. A build with the feature `failing-allocator` is stricter: in it each allocation of ndlens that
is not small fails once, and all allocations of any size fail from some places on.

    python tests/stress/memory_sweep.py --only sampler
    python tests/stress/memory_sweep.py --module target/release/lib_ndlens.so
"""

from __future__ import annotations

import argparse
import errno
import importlib.util
import itertools
import os
import resource
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.stress.memory_operation import Operation
from tests.stress.memory_operations import OPERATIONS

MIB = 1 << 20
MARGINS = [0, MIB // 4, *(MIB << k for k in range(9))]
# What is smaller may be small and constant; CONTRIBUTING.md has the rule.
SMALL_BYTES = 16 << 10
# Places from which on every allocation fails, evenly over all that an operation makes.
PLACES = 12
SECONDS = 30
# More than any operation needs that is not refused.
ENOUGH = 1 << 30


# Operations by the start of their names, what may become of them, and why: what is not ours to
# mend.
EXCEPTIONS = {
    (
        "Loader: ",
        "exit code 127",
    ): "glibc ends the process where a new thread has no memory for its locals",
}


class Outcome(NamedTuple):
    """What became of an operation: `text` says it, `ended` whether as it should."""

    ended: bool
    text: str


def load(module: Path | None) -> dict[str, Any]:
    """The names that operations use; `module` is a build of `ndlens._ndlens`, by default ours."""
    if module is not None:
        spec = importlib.util.spec_from_file_location("ndlens._ndlens", module)
        assert spec is not None
        assert spec.loader is not None
        extension = importlib.util.module_from_spec(spec)
        sys.modules["ndlens._ndlens"] = extension
        spec.loader.exec_module(extension)
    names: dict[str, Any] = {}
    exec(
        "import copy, gc, io, itertools, pickle, random\nimport numpy as np\nimport torch\n", names
    )
    exec("import ndlens as nl\nimport ndlens.torch\nfrom ndlens import transforms as T\n", names)
    names["nl"]._ndlens = sys.modules["ndlens._ndlens"]
    exec("from multiprocessing.reduction import ForkingPickler\n", names)
    return names


def is_typed(error: BaseException) -> bool:
    """Whether an error says that memory, threads or addresses ran out."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in {errno.ENOMEM, errno.EAGAIN, errno.ENOSPC}
    # A thread that cannot be started; what torch's allocator says.
    shortages = [
        "cannot start worker",
        "not enough memory",
        "can't allocate memory",
        "Cannot allocate memory",
    ]
    return isinstance(error, RuntimeError) and any(shortage in str(error) for shortage in shortages)


def attempt(operation: Operation, names: dict[str, Any], limit: Callable[[], None]) -> Outcome:
    """Runs it in a fork of this process, where `limit` is called after the set-up."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            os.write(writing, run(operation, names, limit).encode()[:1000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Outcome(False, signal.Signals(os.WTERMSIG(status)).name)
    if not text:
        return Outcome(False, f"exit code {os.WEXITSTATUS(status)}")
    return Outcome(not text.startswith("!"), text)


def run(operation: Operation, names: dict[str, Any], limit: Callable[[], None]) -> str:
    """What an operation gives as text, which starts with "!" where it should not be."""
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        exec(textwrap.dedent(operation.setup), names)
        code = compile(textwrap.dedent(operation.code), operation.name, "exec")
        limit()
        try:
            exec(code, names)
        except BaseException as error:
            shown = f"{type(error).__name__}: {error}"[:300]
            refused = type(error).__name__ == operation.refusal
            error.__traceback__ = None
            return shown if is_typed(error) or refused else f"!{shown}"
        finally:
            count = getattr(sys.modules["ndlens._ndlens"], "_count_allocations", None)
            if count is not None:
                # From here on none fails.
                count()
            unlimited = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (unlimited, unlimited))
        return f"result {names.get('result')!r}"[:300]


def leave(margin: int) -> None:
    """Limits this process to so many bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + margin, resource.RLIM_INFINITY)
    )


def limits(
    operation: Operation, names: dict[str, Any], margins: list[int]
) -> Iterator[tuple[str, Outcome]]:
    """The operation under each margin, and what became of it."""
    for margin in margins:
        outcome = attempt(operation, names, partial(leave, margin))
        yield f"{margin / MIB:g} MiB", outcome


def failures(
    operation: Operation, names: dict[str, Any], most: int
) -> Iterator[tuple[str, Outcome]]:
    """The operation with each allocation (or the first and last ones) failing, and its outcome."""
    extension = sys.modules["ndlens._ndlens"]
    count = count_allocations(operation, names)
    for nth in {*range(min(count, most)), *range(max(count - most, 0), count)}:
        fail = partial(extension._fail_allocation, nth, SMALL_BYTES)
        outcome = attempt(operation, names, fail)
        yield f"allocation {nth}", outcome
    count = count_allocations(operation, names, 0)
    for nth in sorted({count * place // PLACES for place in range(PLACES)}):
        fail = partial(extension._fail_allocation, nth, 0, lasting=True)
        outcome = attempt(operation, names, fail)
        yield f"allocation {nth} and all after it", outcome


def count_allocations(
    operation: Operation, names: dict[str, Any], least_bytes: int = SMALL_BYTES
) -> int:
    """How many allocations of at least so many bytes it makes."""
    extension = sys.modules["ndlens._ndlens"]
    code = (
        f"try:\n{textwrap.indent(textwrap.dedent(operation.code), ' ')}\nexcept BaseException:"
        " pass\n"
    )
    counting = operation._replace(code=f"{code}result = nl._ndlens._count_allocations()")
    outcome = attempt(counting, names, lambda: extension._fail_allocation(sys.maxsize, least_bytes))
    # One that ends the process has failed already.
    return int(outcome.text.removeprefix("result ")) if outcome.text.startswith("result ") else 0


def reason_for(operation: Operation, outcome: Outcome) -> str | None:
    """Why an operation may end so, where it may."""
    for (name, text), reason in EXCEPTIONS.items():
        if operation.name.startswith(name) and outcome.text == text:
            return reason
    return None


def sweep(operation: Operation, names: dict[str, Any], margins: list[int], most: int) -> list[str]:
    """What went wrong with an operation, in sentences."""
    whole = attempt(operation, names, lambda: leave(ENOUGH))
    wrong = [] if whole.ended else [f"{operation.name}: with enough: {whole.text}"]
    injected = hasattr(sys.modules["ndlens._ndlens"], "_fail_allocation")
    tried = limits(operation, names, margins)
    if injected and whole.ended:
        tried = itertools.chain(tried, failures(operation, names, most))
    excepted: dict[tuple[str, str], int] = {}
    for where, outcome in tried:
        reason = reason_for(operation, outcome)
        if reason is not None:
            excepted[outcome.text, reason] = excepted.get((outcome.text, reason), 0) + 1
        elif not outcome.ended:
            wrong.append(f"{operation.name}: {where}: {outcome.text}")
        elif outcome.text.startswith("result") and outcome != whole:
            wrong.append(f"{operation.name}: {where}: {outcome.text} where it is {whole.text}")
    for (text, reason), count in excepted.items():
        print(f"{operation.name}: excepted: {text}, {count} times: {reason}", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", type=Path, help="a build of ndlens._ndlens to try")
    parser.add_argument(
        "--only", nargs="*", default=[""], help="operations with one of these in their name"
    )
    parser.add_argument("--margins", type=float, nargs="*", help="in MiB; none for none")
    parser.add_argument(
        "--most", type=int, default=40, help="allocations of an operation that are made to fail"
    )
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    names = load(arguments.module)
    margins = (
        MARGINS
        if arguments.margins is None
        else [int(margin * MIB) for margin in arguments.margins]
    )
    chosen = [
        operation
        for operation in OPERATIONS
        if any(part in operation.name for part in arguments.only)
    ]
    start, wrong = time.monotonic(), 0
    for operation in chosen:
        began = time.monotonic()
        found = sweep(operation, names, margins, arguments.most)
        wrong += len(found)
        for sentence in found if arguments.verbose else found[:1]:
            print(sentence, f"(and {len(found) - 1} more)" if len(found) > 1 else "", flush=True)
        if arguments.verbose:
            seconds = time.monotonic() - began
            allocations = count_allocations(operation, names) if arguments.module else "?"
            print(f"{operation.name}: {seconds:.1f} s, {allocations} allocations", flush=True)
    seconds = time.monotonic() - start
    print(f"{len(chosen)} operations, {wrong} failures, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
