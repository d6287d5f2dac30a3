"""Ends the interpreter in every way while ndlens is at work, and looks at how it ended.

Each way is a program of its own, run several times: `python -m tests.stress.exits --runs 5`.
`--random 200` adds programs that end at a random moment: `random_exits.py`. A process that is ended
by a signal it was not sent, that hangs, or that says anything on standard error but what the way is
about fails.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from tests.stress.random_exits import end_many

# Seconds, far more than any takes.
HANGS_AFTER = 60

BEGIN = """
    import atexit, multiprocessing, os, pickle, signal, sys, threading, time, warnings
    import numpy as np
    import ndlens as nl
    from ndlens import transforms as T

    # A shell that starts programs in the background has them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore", DeprecationWarning)
    x = np.zeros((64, 3000), "u1")
    images = np.zeros((64, 32, 32, 3), "u1")
    crop = [T.RandomCrop(16), T.ToDtype("float32", scale=True)]

    def loader(workers=2, **options):
        return nl.Loader(
            images, batch_size=4, num_workers=workers, transforms=crop, output="view", **options
        )

    def daemons(work, count=3):
        def run():
            while True:
                work()
        for _ in range(count):
            threading.Thread(target=run, daemon=True).start()
        time.sleep(0.03 + os.getpid() % 7 / 100)
"""


# What the C++ runtime says, and all that it says.
ABORT_OF_CPP = r"(terminate called (without an active exception|recursively)\n)+"


@dataclass(frozen=True)
class Way:
    """A way to end, the exit status it has, and what may stand on standard error."""

    script: str
    status: int = 0
    says: str = ""
    # Whether torch's own frames may end the process: a daemon thread that makes or frees tensors
    # when the interpreter ends is unwound through C++ that allows no exception. torch alone does
    # so. ndlens has no C++, and an unwinding through Rust says something else.
    torch_may_abort: bool = False


WAYS = {
    "at the end of the program, epochs open": Way("""
        kept = [iter(loader(workers)) for workers in (0, 2)]
        batches = [next(epoch) for epoch in kept]
        shared = nl.share({"x": x}), nl.view(x), memoryview(nl.view(x)), nl.view(x).__dlpack__()
    """),
    "by sys.exit in an epoch": Way(
        """
        for batch in loader():
            sys.exit(3)
        """,
        status=3,
    ),
    "by an exception in an epoch": Way(
        """
        for batch in loader():
            raise RuntimeError("over")
        """,
        status=1,
        says=r"Traceback .*RuntimeError: over\n",
    ),
    "by os._exit beside daemon threads": Way(
        """
        daemons(lambda: list(loader()))
        os._exit(4)
        """,
        status=4,
    ),
    "by SIGTERM in an epoch": Way(
        """
        for batch in loader():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        """,
        status=-15,
    ),
    "by Ctrl-C in an epoch": Way(
        """
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        while True:
            for batch in loader():
                pass
        """,
        status=-2,
        says=r"Traceback .*KeyboardInterrupt\n",
    ),
    "beside daemon threads that make loaders": Way("""
        daemons(lambda: nl.Loader(x, batch_size=4, output="view"))
        daemons(lambda: loader(sampler=list(range(64)), return_params=True))
    """),
    "beside daemon threads in epochs": Way("""
        daemons(lambda: list(loader()))
        daemons(lambda: list(loader(0, sampler=range(64), return_params=True)))
        shared = loader()
        daemons(lambda: list(shared))
    """),
    "beside daemon threads that share, pickle and look for names": Way("""
        kept = nl.share(x)
        daemons(lambda: (nl.share(x), pickle.loads(pickle.dumps(kept))))
        daemons(lambda: nl.share(lambda: x, name=f"exits-{os.getpid()}"), 2)
        daemons(lambda: nl.attach(f"never-{os.getpid()}", timeout=None), 2)
    """),
    "beside daemon threads that hand views to NumPy, DLPack and files": Way("""
        path = os.path.join(os.path.dirname(__file__), "x.npy")
        nl.save(path, x)
        class Python:
            def __init__(self): self.array = np.zeros(1000)
            def __dlpack__(self, **options): return self.array.__dlpack__(**options)
            def __dlpack_device__(self): return (1, 0)
        daemons(lambda: np.from_dlpack(nl.view(Python())) + nl.view(x).copy().numpy().sum())
        daemons(lambda: nl.open(path).numpy().sum())
        daemons(lambda: nl.explain(nl.view(x)[:, ::-1], "torch"))
    """),
    "beside daemon threads that take tensors, a DataLoader's workers at work": Way(
        """
        import torch
        from torch.utils.data import DataLoader

        def tensors():
            fields, crops = {"x": images, "y": x}, {"x": crop}
            for batch in nl.Loader(fields, batch_size=4, num_workers=2, transforms=crops):
                nl.view(batch["x"]).copy()
        if __name__ == "__main__":
            dataset = nl.torch.Dataset({"x": images, "y": x})
            stock = DataLoader(dataset, batch_size=4, num_workers=2, collate_fn=nl.torch.collate)
            batches = iter(stock)
            kept = [next(batches), next(batches)]
            daemons(tensors)
            # Of torch nothing is computed there: its own frames end the process as Rust's would.
            daemons(lambda: nl.view(x).torch().shape)
    """,
        torch_may_abort=True,
    ),
    "with handlers at exit that use ndlens beside daemon threads": Way("""
        def handler():
            assert sum(len(batch) for batch in loader()) == 64
            shared = nl.share(x)
            assert pickle.loads(pickle.dumps(shared)).shape == (64, 3000)
            print("handled", flush=True)
        atexit.register(handler)
        daemons(lambda: list(loader()))
        """),
    "by forked children, and their parent, beside threads": Way("""
        daemons(lambda: list(loader()))
        daemons(lambda: nl.share(x))
        for status in range(4):
            child = os.fork()
            if child == 0:
                assert sum(len(batch) for batch in loader()) == 64
                sys.exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
    """),
    "by workers of multiprocessing that end": Way("""
        def work(queue):
            daemons(lambda: list(loader()))
            queue.put(nl.share(x))
            raise SystemExit(5)
        if __name__ == "__main__":
            for method in ("fork", "spawn"):
                context = multiprocessing.get_context(method)
                queue = context.Queue()
                workers = [context.Process(target=work, args=(queue,)) for _ in range(2)]
                for worker in workers: worker.start()
                for worker in workers: assert queue.get().shape == (64, 3000)
                for worker in workers: worker.join()
                assert [worker.exitcode for worker in workers] == [5, 5]
                # A queue whose feeder pickles while exit handlers run.
                queue.put(nl.share(x))
    """),
}


def end(way: Way, directory: Path) -> str:
    """Runs a program of this way once; gives what was wrong."""
    program = directory / "program.py"
    program.write_text(textwrap.dedent(BEGIN) + textwrap.dedent(way.script))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(program)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"hangs for {HANGS_AFTER} s"
    if way.torch_may_abort and re.fullmatch(ABORT_OF_CPP, done.stderr):
        return ""
    if done.returncode != way.status:
        return f"exit status {done.returncode}, expected {way.status}: {done.stderr[-2000:]}"
    if not re.fullmatch(way.says, done.stderr, re.DOTALL):
        return f"said {done.stderr[-2000:]!r}"
    return ""


def main(runs: int, at_random: int, seed: int) -> int:
    """Runs each way so often, and prints a line for each; then as many at random moments."""
    failed = end_many(at_random, seed) if at_random else 0
    with tempfile.TemporaryDirectory() as directory:
        for name, way in WAYS.items() if runs else ():
            began = time.monotonic()
            wrong = [problem for _ in range(runs) if (problem := end(way, Path(directory)))]
            failed += len(wrong)
            seconds = (time.monotonic() - began) / runs
            print(
                f"{runs - len(wrong)} of {runs} end well, {seconds:4.1f} s each: {name}",
                *wrong,
                sep="\n  ",
            )
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each way")
    parser.add_argument("--random", type=int, default=0, help="programs that end at any moment")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them")
    arguments = parser.parse_args()
    sys.exit(main(arguments.runs, arguments.random, arguments.seed))
