"""Handlers for the interpreter's end and for forks, and imports ahead of both.

An import holds locks of its thread. A child that is forked meanwhile waits for these locks forever.
So everything that ndlens needs later is imported here: its own modules, and the modules of the
standard library that the compiled half calls.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import struct

from . import _arrays, _ndlens, _sending, _torchvision, errors

# Named, so that no linter takes them for unused.
_AHEAD = (importlib.util, json, struct, _arrays, _sending, _torchvision, errors)

# Only `atexit` holds the gate: it closes when `atexit` drops it, after the last handler.
atexit.register(_ndlens._Gate().note_exit)
os.register_at_fork(after_in_child=_ndlens._forget_threads)
