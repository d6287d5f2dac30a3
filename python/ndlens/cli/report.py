"""What a command found, as data: tables and notes for people, one document for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Failure", "Report", "Table"]


class Failure(Exception):
    """A command cannot run. The text says what to do; the shell sees status 2."""


@dataclass
class Table:
    """Rows of text under named columns."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # sentences below it
    name: str = ""  # by which documents take it, if they do


@dataclass
class Report:
    """What a command found."""

    tables: list[Table]
    data: dict[
        str, Any
    ]  # the same and more, as JSON has it: numbers as numbers, with units in names
    notes: list[str] = field(default_factory=list)  # sentences at the end
    status: int = 0  # for the shell: 0, or 1 if a fault was found
