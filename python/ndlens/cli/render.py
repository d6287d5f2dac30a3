"""A report as text, Markdown or JSON."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from .report import Report, Table

__all__ = ["FORMATS", "render"]

FORMATS = {"text": "tables", "markdown": "tables in Markdown", "json": "one JSON document"}


def render(report: Report, format: str, file: TextIO) -> None:
    """Write `report` to `file` in one of `FORMATS`."""
    if format == "json":
        json.dump(report.data, file, indent=2)
        file.write("\n")
        return
    for table in report.tables:
        file.write(_markdown(table) if format == "markdown" else _text(table, file))
        for note in table.notes:
            file.write(_paragraph(note, format))
        file.write("\n")
    for note in report.notes:
        file.write(_paragraph(note, format))


def _paragraph(text: str, format: str) -> str:
    if format == "markdown":
        return f"\n{text}\n"
    return textwrap.fill(text, min(100, shutil.get_terminal_size().columns)) + "\n"


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return f"**{table.title}**\n\n" + "\n".join(rows) + "\n"


def _text(table: Table, file: TextIO) -> str:
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text
    except ImportError:
        return _plain(table)
    rich = RichTable(title=table.title, title_justify="left", box=SIMPLE_HEAD)
    for column in table.columns:
        rich.add_column(column, overflow="fold")
    for row in table.rows:
        rich.add_row(*map(Text, row))
    # A file or a pipe is as wide as the table needs.
    console = Console(file=file, width=None if file.isatty() else 400)
    with console.capture() as captured:
        console.print(rich)
    return captured.get()


def _plain(table: Table) -> str:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    lines.insert(1, ["-" * width for width in widths])
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([table.title, *text]) + "\n"
