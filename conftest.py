"""Runs the Python blocks of README.md and of docs, so that what it shows is what happens.

The blocks of a file are one program, cut at the fences: a block sees the names of those before it.
It runs in an empty directory.

A block with a title, ```python title="train.py" or another language, is a file instead. The files
of a page and the commands of its console blocks are a second test: each command must succeed and
print what the block shows. Three dots stand for anything.

A test that imports a package that pyproject.toml leaves out on this Python is left out for the
reason that stands there.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.helpers import left_out

# What mkdocs calls, which imports itself by other names.
collect_ignore = ["docs/_site"]

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLED = re.compile(r'^```\w+ title="([\w.]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A name of shared memory, without its end quote.
NAME = re.compile(r'nl\.(share\([^\n]*name=|attach\()"[\w-]+')


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Leaves out a file that imports what is left out."""
    report = yield
    if report.failed and report.call and report.call.excinfo:
        error = report.call.excinfo.value
        if why := left_out.reason(error.__cause__ or error):
            report.outcome = "skipped"
            report.longrepr = (str(collector.path), 1, f"Skipped: {why}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leaves out a test that imports what is left out, or has a fixture that does."""
    report = yield
    if report.failed and call.excinfo:
        error = call.excinfo.value
        if isinstance(error, doctest.UnexpectedException):
            error = error.exc_info[1]
        if why := left_out.reason(error):
            path, line, _ = item.location
            report.outcome = "skipped"
            report.longrepr = (path, (line or 0) + 1, f"Skipped: {why}")
    return report


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".md":
        return None
    return MarkdownFile.from_parent(parent, path=file_path)


class MarkdownFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        text = self.path.read_text()
        if FENCE.search(text):
            yield MarkdownProgram.from_parent(self, name="python")
        if TITLED.search(text):
            console = MarkdownConsole.from_parent(self, name="console")
            # Its commands start interpreters that import torch.
            console.add_marker(pytest.mark.timeout(300))
            yield console


class MarkdownProgram(pytest.Item):
    def runtest(self) -> None:
        program = with_own_names(keep_only_python(self.path.read_text()))
        with (
            tempfile.TemporaryDirectory() as directory,
            pytest.MonkeyPatch.context() as monkeypatch,
        ):
            monkeypatch.chdir(directory)
            exec(compile(program, self.path, "exec"), {"__name__": "__main__"})

    # The types in the signature of the method it overrides are private to pytest.
    def repr_failure(  # type: ignore[override]
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> object:
        excinfo.traceback = excinfo.traceback.cut(path=self.path)
        return super().repr_failure(excinfo)


class MarkdownConsole(pytest.Item):
    def runtest(self) -> None:
        text = self.path.read_text()
        commands = [command for block in CONSOLE.findall(text) for command in commands_of(block)]
        assert commands, f"{self.path}: no console block runs the files of the page"
        # The programs of this interpreter's environment, such as torchrun.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with tempfile.TemporaryDirectory() as directory:
            for name, program in TITLED.findall(text):
                Path(directory, name).write_text(with_own_names(program))
            for command, shown in commands:
                done = subprocess.run(
                    command,
                    shell=True,
                    cwd=directory,
                    env=os.environ | {"PATH": path},
                    capture_output=True,
                    text=True,
                    timeout=100,
                    check=False,
                )
                if why := left_out.reason_in(done.stderr):
                    pytest.skip(why)
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
                same = doctest.OutputChecker().check_output(shown, done.stdout, doctest.ELLIPSIS)
                assert same, f"{command}\nprints:\n{done.stdout}\nand the page shows:\n{shown}"


def commands_of(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output that is shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def keep_only_python(markdown: str) -> str:
    """Empties every line outside a Python block, so that line numbers stay what they are."""
    program, end = "", 0
    for block in FENCE.finditer(markdown):
        program += "\n" * markdown.count("\n", end, block.start(1)) + block[1]
        end = block.end(1)
    return program


def with_own_names(program: str) -> str:
    """Gives shared memory names of this process, since two runs at once would find each other's."""
    return NAME.sub(rf"\g<0>-{os.getpid()}", program)
