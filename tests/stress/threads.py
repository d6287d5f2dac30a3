"""Uses ndlens from many threads at once and checks every result, on Pythons with and without GIL.

`python -m tests.stress.threads --seconds 30` runs each work for so long; a name or several choose
some. Each work is a process of its own, so that one that crashes or hangs is named.
`tests/processes/test_work_of_threads.py` runs each for a moment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from tests.stress import fork_works, loader_works, memory_works, view_works
from tests.stress.crew import HANGS_AFTER, Crew

THREADS = 8

WORKS = {
    work.__name__: work
    for module in (view_works, memory_works, loader_works, fork_works)
    for work in module.WORKS
}


def run_here(name: str, threads: int, seconds: float, seed: int) -> None:
    """Runs one work in this process; prints how often its threads did it."""
    # With a GIL, threads take turns far more often than usual.
    sys.setswitchinterval(1e-5)
    crew = Crew(threads, seconds, seed)
    WORKS[name](crew)
    print(f"{crew.rounds} rounds", flush=True)


def run(name: str, threads: int, seconds: float, seed: int) -> tuple[str, str]:
    """Runs one work in a process; gives what it printed, and what was wrong."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.stress.threads", "--here", name]
    command += ["--threads", str(threads), "--seconds", str(seconds), "--seed", str(seed)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    limit = seconds + 2 * HANGS_AFTER
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return "", f"hangs for {limit} s"
    if done.returncode != 0 or done.stderr:
        return done.stdout, f"exit status {done.returncode}: {done.stderr[-8000:]}"
    return done.stdout.strip(), ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", choices=[[], *WORKS], help="all if none is named")
    parser.add_argument("--seconds", type=float, default=30, help="of each work")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", metavar="WORK", choices=WORKS, help="one, in this process")
    arguments = parser.parse_args()
    settings = (arguments.threads, arguments.seconds, arguments.seed)
    if arguments.here:
        run_here(arguments.here, *settings)
        return 0
    failed = 0
    for name in arguments.works or WORKS:
        began = time.monotonic()
        says, wrong = run(name, *settings)
        failed += bool(wrong)
        print(f"{name}: {says or 'fails'}, {time.monotonic() - began:.1f} s {wrong}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
