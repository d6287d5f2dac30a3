"""Threads that use ndlens side by side, on Pythons with and without the GIL."""

from __future__ import annotations

import sysconfig

import pytest
from tests.helpers.programs import run as run_program
from tests.stress.threads import WORKS, run


@pytest.mark.parametrize("name", WORKS)
def test_threads_side_by_side_get_right_results(name: str) -> None:
    # `make stress` runs each for half a minute.
    says, wrong = run(name, threads=6, seconds=1, seed=0)
    assert wrong == ""
    assert says.endswith(" rounds")


def test_import_ndlens_leaves_the_gil_as_it_is() -> None:
    # Whatever the environment says: `make test` keeps it off.
    script = """
        import os, sys
        if os.environ.pop("PYTHON_GIL", None):
            os.execv(sys.executable, sys.orig_argv)
        import ndlens, ndlens.torch, ndlens.testing, ndlens.transforms
        print(getattr(sys, "_is_gil_enabled", lambda: True)())
    """
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert run_program(script) == (0, f"{not free_threaded}\n", "")
