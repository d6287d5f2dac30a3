"""What the documents say of the sources, held against the sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "crates").glob("*/src/**/*.rs"))


def crate(source: Path) -> str:
    """The crate of a source file, as the documents name it."""
    return source.relative_to(ROOT / "crates").parts[0].removeprefix("ndlens-")


def inside(source: Path) -> str:
    """The path of a source file in its crate, `view/mod.rs`."""
    return "/".join(source.relative_to(ROOT / "crates").parts[2:])


def listed() -> set[tuple[str, str]]:
    """The modules in the table of UNSAFE.md, as crates and ends of paths."""
    modules = set()
    for row in re.findall(r"^\|(.*)\|$", (ROOT / "UNSAFE.md").read_text(), re.MULTILINE):
        cell = row.split("|")[0]
        room = (cell.split() or [""])[0]
        modules |= {(room, name) for name in re.findall(r"`([\w/]+\.rs)`", cell)}
    return modules


def test_unsafe_md_lists_the_modules_with_unsafe_code_and_only_they() -> None:
    unsafe = set()
    for source in SOURCES:
        text = source.read_text()
        if source.stem != "tests" and re.search(
            r"expect\(\s*unsafe_code|unsafe (\{|impl|fn \w|extern)", text
        ):
            assert re.search(r"#!\[(cfg_attr\(.*?)?expect\(\s*unsafe_code", text, re.DOTALL), (
                f"{source} lifts the lint for the whole module or not at all"
            )
            unsafe.add((crate(source), inside(source)))

    def names(entry: tuple[str, str], module: tuple[str, str]) -> bool:
        return entry[0] == module[0] and f"/{module[1]}".endswith(f"/{entry[1]}")

    modules = listed()
    assert {m for m in unsafe if not any(names(entry, m) for entry in modules)} == set()
    assert {entry for entry in modules if not any(names(entry, m) for m in unsafe)} == set()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{crate(path)}/{inside(path)}")
def test_every_source_file_opens_with_what_is_in_it(source: Path) -> None:
    if source.stem != "tests":
        assert source.read_text().startswith("//! ")
