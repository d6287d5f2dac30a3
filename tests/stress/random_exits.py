"""Programs that end at a random moment while ndlens is at work.

`exits.py` has the ways to end, each at its place. Here chance chooses the work of the main thread
and of daemon threads, the way, and the moment: `python -m tests.stress.exits --random 200`. Each
program follows from its seed, but the moment is the system's too. A program fails if it

- hangs, or has another exit status than its way, or says anything else on standard error;
- leaves a file that is not whole, a name in /dev/shm, or, unless it was killed, a temporary file.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Seconds, far more than any takes.
HANGS_AFTER = 60
# Seconds until a KeyboardInterrupt that a destructor swallowed is sent again.
AGAIN_AFTER = 5

PROGRAM = """
    import os, pickle, random, signal, sys, threading, time, warnings
    import numpy as np
    import ndlens as nl
    from ndlens import transforms as T

    # A shell that starts programs in the background has them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore", DeprecationWarning)
    seed, directory, way, seconds = sys.argv[1:]
    chance, seconds = random.Random(int(seed)), float(seconds)
    images = np.zeros((64, 32, 32, 3), "u1")
    shared = nl.share(np.ones((64, 3000), "u1"))
    crop = [T.RandomCrop(16), T.ToDtype("float32", scale=True)]
    nl.save(os.path.join(directory, "read.npy"), shared)

    def epoch(workers=2):
        loader = nl.Loader(
            images, batch_size=4, num_workers=workers, transforms=crop, output="view"
        )
        for batch in loader:
            assert batch.shape == (4, 16, 16, 3)

    def save():
        number = threading.get_ident() % 1000
        path = os.path.join(directory, f"{number}.npy")
        nl.save(path, np.full(30_000, time.monotonic()))
        path = os.path.join(directory, f"{number}.safetensors")
        nl.save(path, {"a": np.full(30_000, time.monotonic()), "b": shared})

    def read():
        assert nl.open(os.path.join(directory, "read.npy")).numpy().min() == 1

    def named():
        nl.share(lambda: images, name=f"random-{os.getpid()}-{threading.get_ident()}")

    def sent():
        assert pickle.loads(pickle.dumps(shared)).shape == (64, 3000)

    def views():
        view = nl.view(images)[::-1, 4:, ::2]
        assert np.from_dlpack(view[::-1]).sum() == memoryview(view)[0, 0, 0, 0] == 0
        assert view.copy().shape == view.shape

    works = [epoch, lambda: epoch(0), save, read, named, sent, views, lambda: nl.share(images)]

    def forever(work):
        while True:
            work()

    for _ in range(chance.randrange(4)):
        threading.Thread(target=forever, args=[chance.choice(works)], daemon=True).start()
    work = chance.choice(works)
    kept = iter(nl.Loader(images, batch_size=4, num_workers=2, output="view"))
    batch = next(kept)
    if way == "os._exit":
        threading.Timer(seconds, os._exit, [7]).start()
    try:
        print("at work", flush=True)
        until = time.monotonic() + seconds
        while way not in ("end", "sys.exit", "raise") or time.monotonic() < until:
            work()
    except KeyboardInterrupt:
        if way == "SIGINT":
            raise
        # The library goes on as before.
        epoch(), save(), sent()
    if way == "sys.exit":
        sys.exit(5)
    if way == "raise":
        raise RuntimeError("over")
"""


@dataclass(frozen=True)
class Way:
    """A way to end: the signal that the program gets, its exit status, what it says."""

    status: int
    signal: int = 0
    says: str = ""
    # Nothing that the program holds can be put in order.
    killed: bool = False


WAYS = {
    "end": Way(0),
    "sys.exit": Way(5),
    "raise": Way(1, says=r"Traceback .*RuntimeError: over\n"),
    "os._exit": Way(7, killed=True),
    "SIGINT": Way(-signal.SIGINT, signal.SIGINT, r"Traceback .*KeyboardInterrupt\n"),
    "SIGINT, caught": Way(0, signal.SIGINT),
    "SIGTERM": Way(-signal.SIGTERM, signal.SIGTERM, killed=True),
    "SIGKILL": Way(-signal.SIGKILL, signal.SIGKILL, killed=True),
}


def names_in_shared_memory() -> set[str]:
    return {entry.name for entry in Path("/dev/shm").glob("*ndlens*")}


def damage(directory: Path, killed: bool) -> str:
    """What is wrong with the files that a program left."""
    for file in directory.iterdir():
        if file.name.startswith("."):
            if not killed:
                return f"left {file.name}"
        elif file.suffix == ".npy":
            array = np.load(file)
            if array.size == 0 or (array != array.flat[0]).any():
                return f"{file.name} is not whole"
        elif file.suffix == ".safetensors":
            header = int.from_bytes(file.read_bytes()[:8], "little")
            if file.stat().st_size != 8 + header + 240_000 + 192_000:
                return f"{file.name} is not whole"
    return ""


def end_at_random(seed: int) -> tuple[str, str]:
    """Runs the program of a seed; gives its way to end, and what was wrong."""
    chance = random.Random(f"end {seed}")
    name = chance.choice(list(WAYS))
    way, seconds = WAYS[name], chance.uniform(0, 0.4)
    before = names_in_shared_memory()
    with tempfile.TemporaryDirectory() as scratch:
        program, directory = Path(scratch, "program.py"), Path(scratch, "files")
        program.write_text(textwrap.dedent(PROGRAM))
        directory.mkdir()
        command = [sys.executable, str(program), str(seed), str(directory), name, str(seconds)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            wrong = _ended(process, way, seconds)
        wrong = wrong or damage(directory, way.killed)
    if left := names_in_shared_memory() - before:
        wrong = wrong or f"left {sorted(left)} in /dev/shm"
    return name, wrong


def _ended(process: subprocess.Popen[str], way: Way, seconds: float) -> str:
    assert process.stdout is not None
    if process.stdout.readline() == "at work\n" and way.signal:
        time.sleep(seconds)
        process.send_signal(way.signal)
    try:
        try:
            _, error = process.communicate(timeout=AGAIN_AFTER if way.signal else HANGS_AFTER)
        except subprocess.TimeoutExpired:
            process.send_signal(way.signal)
            _, error = process.communicate(timeout=HANGS_AFTER)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"hangs for {HANGS_AFTER} s"
    if process.returncode != way.status:
        return f"exit status {process.returncode}, expected {way.status}: {error[-2000:]}"
    return "" if re.fullmatch(way.says, error, re.DOTALL) else f"said {error[-2000:]!r}"


def end_many(runs: int, seed: int, say: Callable[[str], None] = print) -> int:
    """Runs programs of as many seeds, from this one on; gives how many failed."""
    counts = dict.fromkeys(WAYS, 0)
    failed = 0
    for number in range(seed, seed + runs):
        name, wrong = end_at_random(number)
        counts[name] += 1
        if wrong:
            failed += 1
            say(f"seed {number}, {name}: {wrong}")
    shares = ", ".join(f"{count} by {name}" for name, count in counts.items())
    say(f"{runs - failed} of {runs} end well at random moments: {shares}")
    return failed
