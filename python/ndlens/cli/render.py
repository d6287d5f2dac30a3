"""A report as text, Markdown or JSON."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from .report import Report, Table

__all__ = ["FORMATS", "markdown", "render"]

FORMATS = {"text": "tables", "markdown": "tables in Markdown", "json": "one JSON document"}

MOST_ROWS_FOR_RICH = 1_000
WIDTH = 100  # columns of a paragraph


def render(report: Report, format: str, file: TextIO) -> None:
    """Write `report` to `file` in one of `FORMATS`."""
    if format == "json":
        json.dump(report.data, file, indent=2)
        file.write("\n")
        return
    parts = []
    for table in report.tables:
        if format == "markdown":
            parts.append(markdown(table) + "\n")
            continue
        table = _printable(table)
        parts.append(_text(table, file))
        parts += [_paragraph(note, format) for note in table.notes]
        parts.append("\n")
    parts += [_paragraph(_visible(note), format) for note in report.notes]
    encoding = file.encoding or "utf-8"
    file.write("".join(parts).encode(encoding, "backslashreplace").decode(encoding))


def markdown(table: Table) -> str:
    """A table in Markdown: its title, its rows, its notes."""
    table = _printable(table)
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    notes = [_paragraph(note, "markdown") for note in table.notes]
    return f"**{table.title}**\n\n" + "\n".join(rows) + "\n" + "".join(notes)


def _visible(text: str) -> str:
    """`text` with escapes for what does not print: names in files could move the cursor."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _printable(table: Table) -> Table:
    return replace(
        table,
        title=_visible(table.title),
        rows=[[_visible(cell) for cell in row] for row in table.rows],
        notes=[_visible(note) for note in table.notes],
    )


def _paragraph(text: str, format: str) -> str:
    if format == "markdown":
        return f"\n{_filled(text, WIDTH)}\n"
    return _filled(text, min(WIDTH, shutil.get_terminal_size().columns)) + "\n"


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def _text(table: Table, file: TextIO) -> str:
    # A file or a pipe gets neither colours nor folded lines, and rich takes a millisecond for a
    # row: there is nothing for it to do.
    if not file.isatty() or len(table.rows) > MOST_ROWS_FOR_RICH:
        return _plain(table)
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text
    except ImportError:
        return _plain(table)
    # Two spaces between columns: what fits a pipe's line fits a terminal of the same width.
    rich = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in table.columns:
        rich.add_column(Text(column), overflow="fold")
    for row in table.rows:
        rich.add_row(*map(Text, row))
    console = Console(file=file)
    with console.capture() as captured:
        # Not as rich's title, which is folded to the width of the table.
        console.print(Text(table.title, style="italic"), soft_wrap=True)
        console.print(rich)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _plain(table: Table) -> str:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    lines.insert(1, ["-" * width for width in widths])
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([table.title, *text]) + "\n"
