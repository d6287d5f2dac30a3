"""Every operation copies what is declared of it: by its trace, and by the memory it takes.

The operations are those of `memory_operations.py`. A new one fails here until it is declared.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.declared_copies import COPIES, NOTHING, TAKES_MEMORY
from tests.stress.memory_operations import OPERATIONS

import ndlens as nl

# All operations run in one process, a fork for each.
pytestmark = pytest.mark.timeout(1200)

TRACED = Path(__file__).parents[1] / "stress" / "copies.py"
NAMES = [operation.name for operation in OPERATIONS]

# What a process grows by without a copy: code that is loaded at its first call. Each view is of
# 2 to 4 MB.
LITTLE = {"View": 3 << 19, "others": 5 << 20}


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[dict[str, int], int]]:
    """The copies that a trace notes of each operation, and by how many bytes its process grows."""
    traced = subprocess.run([sys.executable, str(TRACED)], capture_output=True, text=True)
    assert traced.returncode == 0, traced.stderr
    lines = [json.loads(line) for line in traced.stdout.splitlines()]
    return {name: (copies, grown) for name, copies, grown in lines}


def test_every_operation_declares_what_it_copies() -> None:
    assert not set(COPIES) & NOTHING
    assert set(COPIES) | NOTHING == set(NAMES)
    assert set(TAKES_MEMORY) <= NOTHING


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_notes_what_is_declared(
    name: str, said: dict[str, tuple[dict[str, int], int]]
) -> None:
    copies, _ = said[name]
    assert copies == COPIES.get(name, {})


@pytest.mark.parametrize("name", sorted(NOTHING - set(TAKES_MEMORY)))
def test_what_copies_nothing_takes_no_memory(
    name: str, said: dict[str, tuple[dict[str, int], int]]
) -> None:
    _, grown = said[name]
    assert grown < LITTLE.get(name.partition(":")[0], LITTLE["others"])


@pytest.mark.parametrize(
    "name", ["View: ascontiguous", "View: copies", "Loader: transforms: resize", "open: npy"]
)
def test_what_copies_takes_as_much_memory_as_the_trace_says(
    name: str, said: dict[str, tuple[dict[str, int], int]]
) -> None:
    copies, grown = said[name]
    declared = sum(copies.values())
    assert 0.9 * declared < grown < declared + LITTLE["others"]


def documented() -> set[str]:
    """The names in the first column of the table of copies."""
    page = (Path(nl.__file__).parents[2] / "docs" / "copies.md").read_text()
    table = page.split("| operation |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_table_of_the_documentation_has_every_copy() -> None:
    noted = {name for copies in COPIES.values() for name in copies}
    generic = {re.sub(r"^array of .*", "array of <name>", name) for name in noted}
    assert generic <= documented()


def test_the_table_of_the_documentation_has_no_copy_that_is_not_tested() -> None:
    tests = "".join(
        (Path(__file__).parents[1] / test).read_text()
        for test in ("interop/test_trace.py", "loader/test_device.py")
    )
    examples = {
        "<class>.__array__": "Series.__array__",
        "array of <name>": "array of where",
        "Loader batch to <device>": "Loader batch to ",
    }
    noted = {name for copies in COPIES.values() for name in copies}
    for name in documented() - noted:
        assert f'"{examples.get(name, name)}' in tests, name
