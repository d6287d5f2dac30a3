"""Writes the tables of `ndlens audit` into the documents that show them.

    python tests/docs/audit_tables.py [--gb 1]

A table stands between `<!-- ndlens audit: NAME -->` and `<!-- end -->`. `tests/cli/test_audit.py`
holds what is there, figures aside, against what the program finds.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ndlens.cli import audit
from ndlens.cli.progress import Progress
from ndlens.cli.render import markdown
from ndlens.cli.report import Report

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "audit.md")
TITLE_AS_HEADING = re.compile(r"(\n## (.+)\n\n<!-- ndlens audit: \w+ -->\n\n)\*\*\2\*\*\n\n")
BLOCK = re.compile(r"(<!-- ndlens audit: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SETTING = "setting"  # the sentences at the end


def texts(report: Report) -> dict[str, str]:
    """What stands in each block; the setting only of a whole audit."""
    tables = {table.name: markdown(table) for table in report.tables}
    if set(report.data["parts"]) != set(audit.PARTS):
        return tables
    return tables | {
        SETTING: "".join(
            textwrap.fill(note, 100, initial_indent="- ", subsequent_indent="  ") + "\n"
            for note in report.notes
        )
    }


def write(report: Report) -> Iterator[Path]:
    """Replaces what was measured in all documents; gives the documents that changed."""
    new = texts(report)

    def block_now(block: re.Match[str]) -> str:
        start, name, _, end = block.groups()
        return f"{start}\n{new[name]}\n{end}" if name in new else block[0]

    for document in DOCUMENTS:
        old = document.read_text()
        text = TITLE_AS_HEADING.sub(r"\1", BLOCK.sub(block_now, old))
        if text != old:
            document.write_text(text)
            yield document


def published(document: Path) -> dict[str, list[list[str]]]:
    """The tables in a document, by name: rows of cells, the columns first."""
    tables = {}
    for _, name, text, _ in BLOCK.findall(document.read_text()):
        lines = [line for line in text.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        if lines:
            tables[name] = [rows[0], *rows[2:]]
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    audit.add_arguments(parser)
    options = parser.parse_args()
    with Progress() as progress:
        report = audit.run(options, progress)
    for document in write(report):
        print(document.relative_to(ROOT))
    sys.exit(report.status)


if __name__ == "__main__":
    main()
