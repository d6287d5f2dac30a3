"""What the pages of the documentation promise about themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
# With a separator of thousands or a decimal place: figures, not sizes of crops.
FIGURE = re.compile(r"\b\d+(?:,\d{3}|\.\d)\b")


def test_the_figures_beside_ndlens_in_the_comparison_stand_on_the_page_of_speed() -> None:
    text = (DOCS / "compare.md").read_text()
    table = text[text.index("| | ndlens | beside it |") : text.index("The others of the table")]
    figures = FIGURE.findall(table)
    assert len(figures) >= 10
    speed = set(FIGURE.findall((DOCS / "speed.md").read_text()))
    assert [figure for figure in figures if figure not in speed] == []


# conftest.py runs ```python, and writes what has a title to a file that a console block runs.
@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_python_block_is_one_that_runs(page: Path) -> None:
    fences = re.findall(r"^[ \t]*```(?:py|Py).*$", page.read_text(), re.MULTILINE)
    runs = re.compile(r'```python(?: title="[\w.]+")?')
    assert [fence for fence in fences if not runs.fullmatch(fence)] == []


def test_the_first_page_leads_to_every_page_that_is_read_for_itself() -> None:
    first = (DOCS / "README.md").read_text()
    folders = ("guides", "concepts", "from")
    pages = [page for page in PAGES if page.parent == DOCS or page.parent.name in folders]
    unlisted = [
        str(page.relative_to(DOCS))
        for page in pages
        if page.is_relative_to(DOCS)
        and page.name != "README.md"
        and f"]({page.relative_to(DOCS)})" not in first
    ]
    assert unlisted == []
