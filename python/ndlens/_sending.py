"""Views that are sent to another process.

A pickled view of shared memory is a handle and keeps no memory alive: a sender that drops the view
frees the memory before it is received. A pickler does not say where a pickle goes, but
multiprocessing has a pickler for messages, and so has loky. Here they are set up to hold what they
send until it is received.

Neither is imported for it: each is looked up when a view is made that could be sent.
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

# Seconds that a finished worker waits for what it sent to be received: long enough for a busy
# receiver, short enough for a receiver that joins the worker first.
_PATIENCE = 10.0

# Seconds for which picklers made before the registration may be at work: more than it takes to
# pickle a message.
_LATE = 1.0

_registered: set[str] = set()
_late_until = 0.0
_registered_for_forks = False
_waits_at_exit = -1


def register(late: bool = False) -> bool:
    """Registers with the picklers that are imported.

    Args:
        late: Whether a view is being pickled now.

    Returns:
        Whether a pickler may be at work that was made before the registration.
    """
    global _late_until
    for name in _PICKLERS:
        if name not in _registered and (module := sys.modules.get(name)) is not None:
            # Another thread may be half-way through importing it.
            if (tell := getattr(module, "register", None)) is None:
                continue
            # In this order: a thread that sees the registration sees that it is late.
            if late:
                _late_until = time.monotonic() + _LATE
            tell(_ndlens.View, _ndlens._reduce_sent)
            _registered.add(name)
    _wait_at_exit()
    return late and time.monotonic() < _late_until


def _wait_at_exit() -> None:
    """Makes a finished worker wait until what it sent is received: its memory ends with it.

    It must be called before the worker finishes: what is in queues then is pickled too late.
    """
    global _registered_for_forks, _waits_at_exit
    if _waits_at_exit == os.getpid() or "multiprocessing.reduction" not in _registered:
        return
    from multiprocessing import process, util

    if not _registered_for_forks:
        _registered_for_forks = True
        # Called when a worker begins, however it was started; finalizers must be registered after
        # it.
        util.register_after_fork(sys.modules[__name__], lambda _: _wait_at_exit())
    if process.parent_process() is not None:
        _waits_at_exit = os.getpid()
        # After the feeders of queues, which have -5, have written everything.
        util.Finalize(None, _ndlens._wait_for_receipts, args=(_PATIENCE,), exitpriority=-100)
