"""The main interpreter is the one that ndlens runs in.

Python 3.12 and newer refuse to load the compiled half in another one. Python 3.11 loads it there,
with the classes of the main interpreter, whose objects must not be touched from elsewhere.
"""

from __future__ import annotations

import importlib
import sys

REFUSAL = (
    "ndlens does not run in a subinterpreter: import it in the main interpreter, "
    "and give the subinterpreter memoryview(view), which shares the memory"
)

if sys.version_info < (3, 12):
    try:
        _interpreters = importlib.import_module("_xxsubinterpreters")  # has no stub
    except ImportError:  # a Python without them
        pass
    else:
        if _interpreters.get_current() != _interpreters.get_main():
            raise ImportError(REFUSAL)

try:
    from . import _ndlens as _ndlens
except ImportError as _error:
    if "subinterpreters" in str(_error):
        raise ImportError(REFUSAL) from _error
    raise
