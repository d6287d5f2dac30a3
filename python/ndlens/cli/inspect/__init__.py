"""`ndlens inspect`: what is in files, and who takes it without a copy."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from ..report import Report, Table
from ..units import size_text

if TYPE_CHECKING:
    import argparse

    from ..progress import Progress
    from .consumers import Consumer, Taken
    from .files import ArrayFacts, FileFacts

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Show what is in files, and whether torch, NumPy and JAX take it without a copy."

# A terminal shows so many arrays of a file; a checkpoint may have 10,000.
ROWS_ON_A_TERMINAL = 60
# So many arrays are named beside a reason.
NAMES_OF_A_REASON = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ndlens inspect`."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help=".npy, .npz, .safetensors, .tar, *.index.json, a folder of such, or a quoted pattern",
    )
    parser.add_argument(
        "--mode",
        choices=("c", "r"),
        default="c",
        help='as nl.open is given: "c" (default) is writable in memory, "r" is read-only',
    )
    parser.add_argument(
        "--facts",
        action="store_true",
        help="only what the file says: import neither torch nor NumPy nor JAX",
    )
    parser.add_argument("--all", action="store_true", help="every array, also on a terminal")


def run(arguments: argparse.Namespace, progress: Progress) -> Report:
    """Open each file and try each consumer on each array."""
    from . import consumers as trying
    from . import files as reading

    takers = [] if arguments.facts else trying.consumers()
    named = list(reading.expand(arguments.files))
    report = Report([], {"command": "inspect", "mode": arguments.mode, "files": []})
    failed = Table("Files that cannot be read", ["file", "why"])
    for path, error in progress.of(named, len(named), "files"):
        if error is None:
            facts = reading.read_facts(path, arguments.mode)
        else:
            facts = reading.FileFacts(path, error=error)
        tried = [
            {} if array.view is None else {taker.name: taker.try_(array.view) for taker in takers}
            for array in facts.arrays
        ]
        report.data["files"].append(_data(facts, tried))
        if facts.error is not None:
            failed.rows.append([path, facts.error])
        else:
            short = sys.stdout.isatty() and arguments.format == "text" and not arguments.all
            report.tables.append(_table(facts, tried, takers, short))
        if facts.error is not None or any(array.layout == "?" for array in facts.arrays):
            report.status = 1
    if failed.rows:
        report.tables.append(failed)
    report.notes += [
        f"{taker.name} is {taker.missing}." for taker in takers if taker.missing is not None
    ]
    return report


def _table(
    facts: FileFacts, tried: list[dict[str, Taken]], takers: list[Consumer], short: bool
) -> Table:
    columns = ["name", "dtype", "shape", "layout", "size", "aligned to"]
    table = Table(_title(facts), columns + [taker.name for taker in takers])
    shown = ROWS_ON_A_TERMINAL if short else len(facts.arrays)
    for array, taken in zip(facts.arrays[:shown], tried, strict=False):
        table.rows.append(
            [
                array.name or "(the array)",
                array.dtype,
                _shape(array.shape),
                array.layout,
                "?" if array.nbytes is None else size_text(array.nbytes),
                "?" if array.alignment_bytes is None else f"{array.alignment_bytes} B",
                *(_cell(array, taken.get(taker.name), taker) for taker in takers),
            ]
        )
    if shown < len(facts.arrays):
        more = len(facts.arrays) - shown
        table.notes.append(f"{more:,} more arrays are not shown: say --all.")
    if facts.samples is not None:
        table.notes += _presence(facts.arrays, facts.samples)
    if len(facts.arrays) > 1:
        table.notes.append(_by_dtype(facts.arrays))
    table.notes += [f"Metadata: {key} = {value!r}." for key, value in facts.metadata.items()]
    table.notes += _reasons(facts, tried)
    return table


def _title(facts: FileFacts) -> str:
    count = len(facts.arrays)
    what = "array" if facts.samples is None else "field"
    samples = [] if facts.samples is None else [f"{facts.samples:,} samples"]
    parts = [
        facts.format or "?",
        *samples,
        f"{count:,} {what}{'' if count == 1 else 's'}",
        "?" if facts.nbytes is None else size_text(facts.nbytes),
    ]
    if facts.mapped is not None:
        parts.append("mapped" if facts.mapped else "read into memory")
    return f"{facts.path}: {', '.join(parts)}"


def _presence(fields: list[ArrayFacts], samples: int) -> list[str]:
    """In how many samples each field is: a sentence for those that some samples lack."""
    notes = [
        f"{field.name}: present in {field.shape[0]:,} of {samples:,} samples."
        for field in fields
        if field.shape[0] != samples
    ]
    return notes or [f"Each field is present in all {samples:,} samples."]


def _cell(array: ArrayFacts, taken: Taken | None, taker: Consumer) -> str:
    if taker.missing is not None:
        return "-"
    return "no" if taken is None else "yes" if taken.zero_copy else "no"


def _shape(shape: tuple[int | None, ...]) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def _by_dtype(arrays: list[ArrayFacts]) -> str:
    total: dict[str, list[int]] = {}
    for array in arrays:
        entry = total.setdefault(array.dtype, [0, 0])
        entry[0] += 1
        entry[1] += array.nbytes or 0
    return (
        "In all: "
        + ", ".join(
            f"{count:,} of {dtype} ({size_text(nbytes)})"
            for dtype, (count, nbytes) in sorted(total.items())
        )
        + "."
    )


def _reasons(facts: FileFacts, tried: list[dict[str, Taken]]) -> list[str]:
    """Why arrays are not taken: each reason once, with the names that it is about.

    Reasons that differ in numbers are one reason.
    """
    about: dict[tuple[str | None, str], tuple[str, list[str]]] = {}

    def note(about_whom: str | None, reason: str, name: str) -> None:
        about.setdefault((about_whom, re.sub(r"\d+", "#", reason)), (reason, []))[1].append(name)

    arrays = facts.arrays
    for array, taken in zip(arrays, tried, strict=True):
        if array.error is not None:
            note(None, array.error, array.name or facts.path)
        for consumer, answer in taken.items():
            if answer.zero_copy is False:
                note(consumer, answer.reason or "?", array.name)
    return [
        f"{names[0]}: {reason}{_likewise(names[1:], len(arrays))}"
        if about_whom is None
        else f"{_said_of(about_whom, reason)}{_about(names, len(arrays))}"
        for (about_whom, _), (reason, names) in about.items()
    ]


def _said_of(consumer: str, reason: str) -> str:
    """`reason` with its subject once: some reasons begin with it, as `nl.explain` spells it."""
    subject = f"{consumer.lower()} "
    if reason.startswith(subject):
        return f"{consumer} {reason.removeprefix(subject)}"
    return f"{consumer}: {reason}"


def _about(names: list[str], count: int) -> str:
    if count == 1:
        return ""
    return f" ({names[0]}{_likewise(names[1:], count).replace(' (', '; ') or ')'}"


def _likewise(others: list[str], count: int) -> str:
    if not others:
        return ""
    if len(others) + 1 == count:
        return " (likewise all others)"
    more = len(others) - NAMES_OF_A_REASON
    listed = ", ".join(others[:NAMES_OF_A_REASON])
    return f" (likewise {listed} and {more:,} more)" if more > 0 else f" (likewise {listed})"


def _data(facts: FileFacts, tried: list[dict[str, Taken]]) -> dict[str, Any]:
    return {
        "path": facts.path,
        "error": facts.error,
        "format": facts.format,
        "nbytes": facts.nbytes,
        "mapped": facts.mapped,
        "metadata": facts.metadata,
        "samples": facts.samples,
        "arrays": [
            {
                "name": array.name,
                "dtype": array.dtype,
                "shape": array.shape,
                "layout": array.layout,
                "strides_bytes": array.strides_bytes,
                "nbytes": array.nbytes,
                "alignment_bytes": array.alignment_bytes,
                "error": array.error,
                "zero_copy": {name: answer.zero_copy for name, answer in taken.items()},
                "reasons": {name: answer.reason for name, answer in taken.items() if answer.reason},
            }
            for array, taken in zip(facts.arrays, tried, strict=True)
        ],
    }
