"""One measurement in a fresh interpreter, so that nothing of another one is in its memory.

The parent starts `main` in a new process and reads one JSON object a line from a pipe as they come.
If the process ends by a signal or does not end, that is a result, too: the last thing the parent
hears of it. The child is in a session of its own, so that one signal ends it with all of its
workers, and Ctrl-C reaches only the parent, which sees to that.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["main", "run"]

# Modules are found where the parent finds them.
PROGRAM = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"


def run(
    task: str, arguments: dict[str, Any], timeout_seconds: float
) -> Generator[dict[str, Any], None, None]:
    """Call the generator `task` (".module:name" of this package) in a new process.

    Gives what the task yields and, last, `{"ended": how, "signal": whether by one}` if it did not
    end well: the name of a signal, "no answer in 60 s", or the last line of an exception.
    """
    read, write = os.pipe()
    program = PROGRAM.format(path=sys.path, module=__name__)
    with (
        open(read) as reports,  # noqa: PTH123
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-c", program, task, json.dumps(arguments), str(write)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=[write],
            start_new_session=True,
        ) as process,
    ):
        late = threading.Event()

        def end_late() -> None:
            late.set()
            _end(process)

        timer = threading.Timer(timeout_seconds, end_late)
        timer.daemon = True
        try:
            os.close(write)
            timer.start()
            for line in reports:
                yield json.loads(line)
            status = process.wait()
        finally:
            timer.cancel()
            _end(process)
        if late.is_set():
            yield {"ended": f"no answer in {timeout_seconds:.0f} s", "signal": False}
        elif status < 0:
            yield {"ended": signal.Signals(-status).name, "signal": True}
        elif status:
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            text = lines[-1] if lines else f"it ended with status {status}"
            yield {"ended": text, "signal": False}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the session of a process: it and all of its workers, also if it has ended itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    """Run the task that the arguments of this process name, and report what it yields."""
    import resource

    task, arguments, descriptor = sys.argv[1:]
    # A crash is a result, and leaves no file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.set_inheritable(int(descriptor), False)
    module, _, name = task.partition(":")
    function = getattr(importlib.import_module(module, __package__), name)
    with os.fdopen(int(descriptor), "w", buffering=1) as reports:
        for report in function(**json.loads(arguments)):
            reports.write(json.dumps(report) + "\n")
    # What is left to do at an orderly end is no part of what was measured.
    sys.stderr.flush()
    os._exit(0)
