"""The results of an audit as tables, and in sentences what it could not check."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import ndlens as nl

from ..process_memory import ROLLUP
from ..report import Report, Table
from ..units import size_text, time_text
from .cases import CASES, COUNT_OF_MAPPED, IMAGE_BYTES
from .handoffs import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["report"]

LIBRARIES = {"numpy": "NumPy", "torch": "torch", "jax": "JAX"}
LONGEST_ERROR = 160
# Extra memory below these counts as none: Python's own objects, and, with worker processes, what
# two starts of an interpreter differ in.
NOISE_BYTES, NOISE_BYTES_OF_PROCESSES = 1_000_000, 10_000_000
OPENED = "For the mapped file, nl.view(a) is nl.open(path)."
# The methods of the recipe that ndlens answers to, what it says of each, and ours.
RECIPE = {
    "memoryview(a)": "shared",
    "torch.from_numpy(a)": "shared, no RAM",
    "torch.frombuffer(memoryview(a))": "shared, no RAM",
    "torch.as_tensor(a)": "shared, no RAM",
    "torch.tensor(a)": "copied, full size",
    "nl.view(a).torch()": "",
}


def report(results: dict[str, Any]) -> Report:
    """Make a report of what `run` has measured."""
    tables = []
    if results["handoffs"]:
        tables += [
            _summary(results),
            _verdicts(results["handoffs"]),
            _costs(results),
            _writes(results["handoffs"]),
            _errors(results["handoffs"]),
        ]
    if results["processes"]:
        tables.append(_processes(results))
    if results["epoch"]:
        tables.append(_epoch(results))
    faults = list(_faults(results))
    return Report(
        [table for table in tables if table.rows],
        results | {"versions": _versions(results), "faults": faults},
        [*faults, *_setting(results), *_unchecked(results)],
        status=1 if faults else 0,
    )


def _verdict(outcome: dict[str, Any] | None) -> str:
    if outcome is None:
        return "-"
    verdict: str = outcome["verdict"]
    if verdict == "ends the process":
        return f"ends the process: {outcome['error']}"
    if verdict in ("refused", "not measured"):
        return verdict
    details = ["" if outcome["shape_kept"] else ", flat"]
    details.append("" if outcome["numbers_kept"] else ", other numbers")
    return verdict + "".join(details)


def _memory(outcome: dict[str, Any] | None) -> str:
    if outcome is None or "seconds" not in outcome:
        return _verdict(outcome)
    extra = outcome["extra_bytes"]
    if extra is not None and max(abs(extra), outcome["nbytes"]) < NOISE_BYTES:
        # Not 0: of so small an array a copy is not more.
        return f"under {size_text(NOISE_BYTES)}"
    return "?" if extra is None else _extra(extra)


def _extra(nbytes: int, noise_bytes: int = NOISE_BYTES) -> str:
    return "0" if abs(nbytes) < noise_bytes else size_text(nbytes)


def _time(outcome: dict[str, Any] | None) -> str:
    return "-" if outcome is None or "seconds" not in outcome else time_text(outcome["seconds"])


def _summary(results: dict[str, Any]) -> Table:
    table = Table(
        f"The recipe's methods, with images of {size_text(results['nbytes'])}",
        [
            "method",
            "the recipe says",
            "whole array",
            "crop",
            "crop: extra RAM",
            "read-only map, written",
        ],
        name="summary",
    )
    for method, claim in RECIPE.items():
        row = results["handoffs"].get(method)
        if row is not None:
            cases = row["cases"]
            table.rows.append(
                [
                    method,
                    claim or "-",
                    _verdict(cases.get("contiguous")),
                    _verdict(cases.get("crop")),
                    _memory(cases.get("crop")),
                    cases.get("mapped", {}).get("write", "-"),
                ]
            )
    return table


def _verdicts(rows: dict[str, Any]) -> Table:
    table = Table("Shared, copied or refused", ["method", *CASES], notes=[OPENED], name="verdicts")
    for method, row in rows.items():
        cells = [_verdict(row["cases"].get(case)) for case in CASES]
        table.rows.append([method, *cells])
    return table


def _costs(results: dict[str, Any]) -> Table:
    table = Table(
        f"What a hand-off costs, of an array of {size_text(results['nbytes'])}",
        ["method", "whole: extra RAM", "whole: time", "crop: extra RAM", "crop: time"],
        name="costs",
    )
    for method, row in results["handoffs"].items():
        whole, crop = (row["cases"].get(case) for case in ("contiguous", "crop"))
        table.rows.append([method, _memory(whole), _time(whole), _memory(crop), _time(crop)])
    return table


def _writes(rows: dict[str, Any]) -> Table:
    table = Table(
        "What a write through the result does to read-only memory",
        ["method", "read-only array", "mapped file"],
        notes=[OPENED],
        name="writes",
    )
    for method, row in rows.items():
        done = [row["cases"].get(case, {}).get("write", "-") for case in ("read-only", "mapped")]
        table.rows.append([method, *done])
    return table


def _errors(rows: dict[str, Any]) -> Table:
    """Each error once, with the methods and cases that raise it; errors differ in numbers."""
    raised: dict[str, tuple[str, dict[str, list[str]]]] = {}
    for method, row in rows.items():
        for case, outcome in row["cases"].items():
            if outcome.get("verdict") == "refused":
                error = outcome["error"]
                _, where = raised.setdefault(re.sub(r"[\d,]+", "#", error), (error, {}))
                where.setdefault(method, []).append(case)
    table = Table("What refusals say", ["method", "case", "error"], name="errors")
    for error, where in raised.values():
        short = error if len(error) <= LONGEST_ERROR else error[: LONGEST_ERROR - 3] + "..."
        for place, (method, cases) in enumerate(where.items()):
            table.rows.append([method, ", ".join(cases), '"' if place else short])
    return table


def _processes(results: dict[str, Any]) -> Table:
    table = Table(
        f"An array of {size_text(results['nbytes'])} that two worker processes read",
        ["start", "array", "pickled", "first item", "of one page", "extra RAM"],
        notes=[f"The file of nl.open has {size_text(COUNT_OF_MAPPED * IMAGE_BYTES)}."],
        name="processes",
    )
    for row in results["processes"]:
        if row["failed"] is not None:
            cells = [row["failed"], "-", "-", "-"]
        else:
            extra = row["extra_bytes"]
            cells = [
                size_text(row["pickled_bytes"]) if row["pickled_bytes"] else "nothing",
                time_text(row["first_item_seconds"]),
                time_text(row["first_item_seconds_of_a_page"]),
                "?" if extra is None else _extra(extra, NOISE_BYTES_OF_PROCESSES),
            ]
        table.rows.append([row["start"], row["array"], *cells])
    return table


def _epoch(results: dict[str, Any]) -> Table:
    table = Table(
        f"An epoch of {size_text(results['nbytes'])} of images: crop, flip, to float32",
        ["loader", "images/s", "first batch", "extra RAM"],
        name="epoch",
    )
    for loader, row in results["epoch"].items():
        if row["failed"] is not None:
            cells = [row["failed"], "-", "-"]
        else:
            extra = row.get("extra_bytes")
            cells = [
                f"{row['images_per_second']:,.0f}",
                time_text(row["first_batch_seconds"]),
                "?" if extra is None else _extra(extra),
            ]
        table.rows.append([loader, *cells])
    return table


def _faults(results: dict[str, Any]) -> Iterator[str]:
    for method, row in results["handoffs"].items():
        for case, outcome in row["cases"].items():
            if outcome["verdict"] == "contradictory":
                yield (
                    f"The proof for {method}, {case} fails: same address "
                    f"{outcome['same_address']}, writes seen {outcome['writes_seen']}."
                )


def _versions(results: dict[str, Any]) -> dict[str, Any]:
    versions: dict[str, Any] = {"ndlens": nl.__version__, "python": platform.python_version()}
    for module in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            if module not in results["missing"]:
                versions[module] = version(module)
    for row in results["handoffs"].values():
        versions |= row["versions"]
    return versions


def _setting(results: dict[str, Any]) -> Iterator[str]:
    versions = _versions(results)
    named = [
        f"{LIBRARIES[module]} {versions[module]}" for module in LIBRARIES if module in versions
    ]
    yield (
        f"Measured in {results['seconds']:.0f} s with "
        + ", ".join([f"ndlens {versions['ndlens']}", f"Python {versions['python']}", *named])
        + f" on {platform.system()} {platform.release()}, {platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} CPUs."
    )


def _unchecked(results: dict[str, Any]) -> Iterator[str]:
    """What the audit could not check here, and why."""
    for module in results["missing"]:
        rows = [name for name, method in METHODS.items() if module in method.needs]
        yield (
            f"Not checked: what needs {LIBRARIES[module]}, which is not installed "
            f"({', '.join(rows)})."
        )
    here = "Every array was in main memory."
    if _versions(results).get("gpu") is False:
        here = "torch finds none on this machine."
    yield f"Not checked: copies to a GPU. {here}"
    if not ROLLUP.exists():
        yield f"Not checked: memory. The system has no {ROLLUP}."
    for method, row in results["handoffs"].items():
        if row["failed"] is not None:
            yield f"Not checked: {method}. Its process ended before any case: {row['failed']}."
        for case, outcome in row["cases"].items():
            if outcome["verdict"] == "not measured":
                yield f"Not checked: {method}, {case}. {outcome['error']}."
    left_out = [part for part in ("handoffs", "processes", "epoch") if part not in results["parts"]]
    if left_out:
        yield f"Not checked, as asked: {', '.join(left_out)}."
    yield (
        "Not checked: whether other versions and machines behave alike, and whether memory that "
        "was shared stays so."
    )
