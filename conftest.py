"""Runs the Python blocks of README.md and of docs, so that what it shows is what happens.

The blocks of a file are one program, cut at the fences: a block sees the names of those before it.
It runs in an empty directory.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# What mkdocs calls, which imports itself by other names.
collect_ignore = ["docs/_site"]

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".md":
        return None
    return MarkdownFile.from_parent(parent, path=file_path)


class MarkdownFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        if FENCE.search(self.path.read_text()):
            yield MarkdownProgram.from_parent(self, name="python")


class MarkdownProgram(pytest.Item):
    def runtest(self) -> None:
        program = keep_only_python(self.path.read_text())
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


def keep_only_python(markdown: str) -> str:
    """Empties every line outside a Python block, so that line numbers stay what they are."""
    program, end = "", 0
    for block in FENCE.finditer(markdown):
        program += "\n" * markdown.count("\n", end, block.start(1)) + block[1]
        end = block.end(1)
    return program
