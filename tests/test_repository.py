"""What the documents say of the sources, held against the sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "crates").glob("*/src/**/*.rs"))
CRATES = {"ndlens-core": "core", "ndlens-store": "store", "ndlens-kernels": "kernels"} | {
    "ndlens-loader": "loader",
    "ndlens-python": "python",
    "ndlens-transforms": "transforms",
}


def crate(source: Path) -> str:
    return CRATES.get(source.relative_to(ROOT / "crates").parts[0], "ndlens")


def listed(document: str, column: int) -> dict[str, set[str]]:
    """Files named in a table's cells, by the crate the first cell names or the last row named."""
    files: dict[str, set[str]] = {}
    room = ""
    for row in re.findall(r"^\|(.*)\|$", (ROOT / document).read_text(), re.MULTILINE):
        cells = row.split("|")
        room = (cells[0].split() or [room])[0].strip("`") or room
        files.setdefault(room, set()).update(re.findall(r"`(\w+\.rs)`", cells[column]))
    return files


def test_unsafe_md_lists_the_modules_with_unsafe_code_and_only_they() -> None:
    unsafe: dict[str, set[str]] = {}
    for source in SOURCES:
        text = source.read_text()
        if source.stem != "tests" and re.search(
            r"expect\(unsafe_code|unsafe (\{|impl|fn|extern)", text
        ):
            assert "#![expect(unsafe_code" in text, (
                f"{source} lifts the lint for the whole module or not at all"
            )
            unsafe.setdefault(crate(source), set()).add(source.name)
    table = {room: files for room, files in listed("UNSAFE.md", 0).items() if files}
    assert table == unsafe


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{crate(path)}/{path.name}")
def test_architecture_md_gives_every_source_file_a_room(source: Path) -> None:
    rooms = listed("ARCHITECTURE.md", 1)
    if source.stem not in ("lib", "mod", "tests", "samples"):
        assert source.name in rooms[crate(source)] | rooms["each"]
