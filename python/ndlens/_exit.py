"""What is done for the interpreter's end and for forks, and what is imported ahead of both.

An import holds locks of its thread. A child that is forked meanwhile waits for them for good, so
what ndlens needs later is imported here: its own modules, and of the standard library what the
compiled half calls.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import struct

from . import _arrays, _ndlens, _sending, _torchvision, errors

# Named, so that nobody takes them for unused.
_AHEAD = (importlib.util, json, struct, _arrays, _sending, _torchvision, errors)

# Its gate is held by nobody else: it closes when `atexit` lets go of it, after the last handler.
atexit.register(_ndlens._Gate().note_exit)
os.register_at_fork(after_in_child=_ndlens._forget_threads)
