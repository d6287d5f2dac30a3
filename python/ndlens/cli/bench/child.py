"""The process of one benchmark: what it finds goes back through a pipe.

The command ends the whole group of processes when it is interrupted. If the command itself is
killed, the pipe at this process's standard input ends, and it ends its group.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .ground import Ground, TurnFailed
from .peers import reason_without


def end_with_parent(folder: str) -> None:
    """Wait for the end of standard input, which the command holds open, and leave nothing."""
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run the benchmark that the command names."""
    name, folder, descriptor = sys.argv[1:]
    link: Connection[Any, Any] = Connection(int(descriptor))
    os.set_inheritable(link.fileno(), False)
    settings = link.recv()
    threading.Thread(target=end_with_parent, args=(folder,), daemon=True).start()
    module = importlib.import_module(f"{__package__}.benchmarks.{name}")
    if reason := reason_without(module.PEERS):
        link.send(("left out", reason))
        return
    try:
        for contest in module.run(Ground(Path(folder), link.send), settings):
            link.send(("contest", contest))
    except (AssertionError, TurnFailed) as failure:
        where = traceback.extract_tb(failure.__traceback__)[-1]
        link.send(("failure", str(failure) or f"{where.filename}:{where.lineno}: {where.line}"))
        return
    link.send(("end",))


if __name__ == "__main__":
    main()
