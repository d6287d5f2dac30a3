"""What a benchmark measured, as data: contestants, the figures of their turns, columns.

A contest is one table and one panel of the chart. It carries the figures of every turn. How they
become one number, and whom each is compared with, is said once, by its columns.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from ..report import Table

__all__ = ["Column", "Contest", "Figures", "Ratio", "beside"]

# The figures of one turn, by name, with units in the names.
Figures = dict[str, float]

STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "median": statistics.median,
    "least": min,
    "most": max,
}


@dataclass(frozen=True)
class Column:
    """A figure of each contestant over its turns."""

    title: str
    figure: str
    spec: str = ",.0f"
    scale: float = 1.0
    statistic: str = "median"


@dataclass(frozen=True)
class Ratio:
    """A figure of each contestant beside that of a subject."""

    title: str
    figure: str
    words: str = "x as fast"
    spec: str = ".2f"
    # Either subject / contestant or contestant / subject.
    numerator: str = "subject"
    # By contestant; those that are compared with none are missing.
    subjects: dict[str, str] = field(default_factory=dict)
    statistic: str = "median"


@dataclass
class Contest:
    """The figures of contestants that took turns."""

    key: str
    title: str
    unit: str  # of the first column, in words
    columns: list[Column | Ratio]
    turns: dict[str, list[Figures]]
    # Contestants that bound others: of the bound, the contestant that it is for.
    limits: dict[str, str] = field(default_factory=dict)
    # Contestants that did not run, and why.
    absent: dict[str, str] = field(default_factory=dict)
    # Figures that are made of medians, by contestant.
    derived: dict[str, Figures] = field(default_factory=dict)
    # Contestants that are ndlens; those with its name, if not given.
    ours: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def better(self) -> str:
        """Whether more or less of the first column is better: rates are "of things a second"."""
        return "more" if self.unit.endswith("/s") else "less"

    def __post_init__(self) -> None:
        """Find the contestants that are ndlens."""
        self.ours = self.ours or [name for name in self.turns if "ndlens" in name]

    def value(self, name: str, figure: str, statistic: str = "median") -> float | None:
        """A figure of a contestant over its turns; None if it has no such figure."""
        if figure in self.derived.get(name, {}):
            return self.derived[name][figure]
        values = [turn[figure] for turn in self.turns[name] if figure in turn]
        return STATISTICS[statistic](values) if values else None

    def ratio(self, column: Ratio, name: str) -> float | None:
        """A contestant's ratio with its subject; None if it has none."""
        subject = column.subjects.get(name)
        if subject not in self.turns:
            return None
        theirs = self.value(name, column.figure, column.statistic)
        reference = self.value(subject, column.figure, column.statistic)
        if theirs is None or reference is None:
            return None
        above, below = reference, theirs
        if column.numerator == "contestant":
            above, below = below, above
        return above / below if below else None

    def share_of_limit(self, limit: str) -> float | None:
        """The part of a limit that its contestant reaches: the median over the rounds."""
        figure = self.columns[0].figure
        pairs = zip(self.turns[self.limits[limit]], self.turns[limit], strict=True)
        shares = [turn[figure] / most[figure] for turn, most in pairs if most[figure]]
        return statistics.median(shares) if shares else None

    def cell(self, column: Column | Ratio, name: str) -> str:
        """What a table shows of a contestant."""
        if isinstance(column, Ratio):
            ratio = self.ratio(column, name)
            return "" if ratio is None else f"{ratio:{column.spec}} {column.words}".rstrip()
        value = self.value(name, column.figure, column.statistic)
        return "" if value is None else f"{value * column.scale:{column.spec}}"

    def sentences(self) -> list[str]:
        """What the numbers alone do not say: shares of limits, notes, who is missing."""
        said = []
        for limit, name in self.limits.items():
            if limit in self.turns and (share := self.share_of_limit(limit)) is not None:
                said.append(f"{name}: {share:.0%} of the memory's limit ({limit}).")
        said += self.notes
        said += [f"Left out: {name}, since {reason}." for name, reason in self.absent.items()]
        return said

    def table(self) -> Table:
        """The contest as a table, a contestant a row."""
        rows = [
            [name, *(self.cell(column, name) for column in self.columns)] for name in self.turns
        ]
        titles = ["", *(column.title for column in self.columns)]
        return Table(self.title, titles, rows, self.sentences())

    def data(self) -> dict[str, object]:
        """The contest for JSON: every turn, medians, ratios."""
        figures = [column for column in self.columns if isinstance(column, Column)]
        ratios = [column for column in self.columns if isinstance(column, Ratio)]
        contestants = {
            name: {
                "turns": turns,
                "summary": {
                    f"{column.statistic}_{column.figure}": value
                    for column in figures
                    if (value := self.value(name, column.figure, column.statistic)) is not None
                },
                "ratios": [
                    {
                        "of": column.title,
                        "figure": column.figure,
                        "subject": column.subjects[name],
                        "numerator": column.numerator,
                        "ratio": self.ratio(column, name),
                    }
                    for column in ratios
                    if column.subjects.get(name) in self.turns
                ],
            }
            for name, turns in self.turns.items()
        }
        return {
            "contest": self.key,
            "title": self.title,
            "contestants": contestants,
            "limits": {
                limit: {"of": name, "share": self.share_of_limit(limit)}
                for limit, name in self.limits.items()
                if limit in self.turns
            },
            "left_out": self.absent,
            "notes": self.notes,
        }


def beside(subject: str, names: list[str]) -> dict[str, str]:
    """Each of `names` compared with `subject`."""
    return {name: subject for name in names if name != subject}
