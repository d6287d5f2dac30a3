"""The examples in the stub: of the compiled half, which pytest cannot collect as a module."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest

import ndlens as nl

STUB = Path(nl.__file__).with_name("_ndlens.pyi")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(body: list[ast.stmt], prefix: str = "") -> Iterator[doctest.DocTest]:
    """The examples of each docstring of a stub, with the lines where they stand."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        name = prefix + node.name
        # Not cleaned: its lines are those of the file.
        text = ast.get_docstring(node, clean=False)
        if text is not None:
            first = node.body[0].lineno - 1
            test = doctest.DocTestParser().get_doctest(text, {}, name, str(STUB), first)
            if test.examples:
                yield test
        if isinstance(node, ast.ClassDef):
            yield from examples(node.body, f"{name}.")


EXAMPLES = list(examples(ast.parse(STUB.read_text()).body))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_an_example_of_the_stub_gives_what_it_shows(example: doctest.DocTest) -> None:
    doctest.DebugRunner(optionflags=FLAGS).run(example)


def test_examples_of_methods_are_found_with_their_lines() -> None:
    by_name = {example.name: example for example in EXAMPLES}
    assert {"View", "View.windows", "view", "save"} <= set(by_name)
    windows = by_name["View.windows"]
    line = STUB.read_text().splitlines()[(windows.lineno or 0) + windows.examples[0].lineno]
    assert line.strip() == ">>> import ndlens as nl"
