"""Views on their way to another process.

A pickled view of shared memory is a handle, and holds nothing: who drops the view after sending it
frees the memory before it is received. A pickler cannot be asked where a pickle goes, but
multiprocessing has one of its own for messages, and so has loky. They are told here to hold what
they send until it is received.

Neither is imported for it: each is looked for when a view is made that could be sent.
"""

from __future__ import annotations

import os
import sys
import time

from . import _ndlens

# Where picklers for messages take registrations. concurrent.futures, torch.multiprocessing and Pool
# use the first.
_PICKLERS = (
    "multiprocessing.reduction",
    "joblib.externals.loky.backend.reduction",
    "loky.backend.reduction",
)

# How long a worker that is done waits for what it sent to be received: long enough for a busy
# receiver, short enough for one who joins the worker first. Seconds.
_PATIENCE = 10.0

# Picklers made before their module was told do not know yet. Seconds: more than it takes to pickle
# a message.
_LATE = 1.0

_registered: set[str] = set()
_late_until = 0.0
_registered_for_forks = False
_waits_at_exit = -1


def register(late: bool = False) -> bool:
    """Tells the picklers that are imported; gives whether one may be at work that was not told.

    `late` says that a view is being pickled now.
    """
    global _late_until
    for name in _PICKLERS:
        if name not in _registered and (module := sys.modules.get(name)) is not None:
            # Another thread may be half-way through importing it.
            if (tell := getattr(module, "register", None)) is None:
                continue
            tell(_ndlens.View, _ndlens._reduce_sent)
            _registered.add(name)
            if late:
                _late_until = time.monotonic() + _LATE
    _wait_at_exit()
    return late and time.monotonic() < _late_until


def _wait_at_exit() -> None:
    """Lets a worker that is done live until what it sent is received: its memory goes with it.

    To be said before the worker is done: what is in queues then is pickled when it is too late to
    say so.
    """
    global _registered_for_forks, _waits_at_exit
    if _waits_at_exit == os.getpid() or "multiprocessing.reduction" not in _registered:
        return
    from multiprocessing import process, util

    if not _registered_for_forks:
        _registered_for_forks = True
        # A worker begins with it, however it was started; what waits at its exit must be said
        # after.
        util.register_after_fork(sys.modules[__name__], lambda _: _wait_at_exit())
    if process.parent_process() is not None:
        _waits_at_exit = os.getpid()
        # After the feeders of queues, which have -5, have written everything.
        util.Finalize(None, _ndlens._wait_for_receipts, args=(_PATIENCE,), exitpriority=-100)
