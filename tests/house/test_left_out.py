"""What a Python has no wheel of is left out by name, and the tests that need it say why."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.helpers import left_out

GROUPS = """
[dependency-groups]
demo = ["numpy"]
test = [
    { include-group = "demo" },
    "pytest",
    "scikit-image; python_version < '3.15'", # has no wheel for Python 3.15
    "ray[train]; python_version < '3.14'", # asks for an older Python
]
"""


def test_a_marker_leaves_a_package_out_with_the_comment_behind_it_as_the_reason() -> None:
    image = {"skimage": "scikit-image has no wheel for Python 3.15"}
    assert left_out.left_out(GROUPS, {"python_version": "3.13"}) == {}
    assert left_out.left_out(GROUPS, {"python_version": "3.14"}) == {
        "ray": "ray asks for an older Python"
    }
    assert left_out.left_out(GROUPS, {"python_version": "3.15"}) == image | {
        "ray": "ray asks for an older Python"
    }


def test_a_marker_without_a_reason_is_an_error() -> None:
    with pytest.raises(AssertionError, match="no comment says why: scikit-image; python_version"):
        left_out.left_out(GROUPS.replace(" # has no wheel for Python 3.15", ""))


def test_each_marker_of_pyproject_has_its_reason() -> None:
    assert left_out.marked(left_out.PYPROJECT.read_text())


def test_only_a_module_that_was_not_found_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(left_out.LEFT_OUT, "ray", "ray has no wheel")
    assert left_out.reason(ModuleNotFoundError(name="ray.train")) == "ray has no wheel"
    assert left_out.reason(ModuleNotFoundError(name="rays")) is None
    assert left_out.reason(ImportError(name="ray")) is None
    assert left_out.reason(None) is None
    printed = "Traceback ..\nModuleNotFoundError: No module named 'ray'\n"
    assert left_out.reason_in(printed) == "ray has no wheel"
    assert left_out.reason_in(printed.replace("ray", "rays")) is None


def test_tests_that_import_what_is_left_out_show_the_reason(tmp_path: Path) -> None:
    plugin = """
        from conftest import pytest_make_collect_report, pytest_runtest_makereport
        from tests.helpers import left_out
        left_out.LEFT_OUT["no_such_module"] = "no-such-module has no wheel"
    """
    tests = """
        import pytest

        def test_that_needs_it():
            import no_such_module.inside

        @pytest.fixture
        def made():
            import no_such_module

        def test_with_a_fixture_that_needs_it(made): ...

        def test_that_needs_another():
            import no_such_other_module

        def test_that_needs_none(): ...

        def example():
            '''
            >>> import no_such_module
            '''
    """
    for name, text in (
        ("plugin", plugin),
        ("test_some", tests),
        ("test_file", "import no_such_module"),
        ("test_other_file", "import no_such_other_module"),
    ):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    command = "-m pytest -p plugin -p no:cacheprovider -c /dev/null --doctest-modules -rsfE"
    done = subprocess.run(
        [sys.executable, *command.split(), "--continue-on-collection-errors", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(left_out.PYPROJECT.parent), "."])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    lines = sorted(done.stdout.splitlines())
    assert [line for line in lines if line.startswith("SKIPPED")] == [
        "SKIPPED [1] test_some.py:11: no-such-module has no wheel",
        "SKIPPED [1] test_some.py:19: no-such-module has no wheel",
        "SKIPPED [1] test_some.py:4: no-such-module has no wheel",
        "SKIPPED [2] test_file.py:1: no-such-module has no wheel",
    ], done.stdout
    assert sum(line.startswith("FAILED") for line in lines) == 1
    assert any(line.startswith("ERROR test_other_file.py") for line in lines)
    assert done.returncode == 1
