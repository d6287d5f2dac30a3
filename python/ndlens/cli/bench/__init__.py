"""`ndlens bench`: ndlens beside NumPy, PyTorch, torchvision, OpenCV and numba, on this machine.

Each benchmark is a file of `benchmarks/` and runs in a process of its own. What it is compared with
and is not installed is left out by name. Results are checked before they are timed.

    benchmarks/   what is measured, a file each
    ground        turns in fresh interpreters, contestants
      peers       which packages are here
      apart       one turn in a fresh interpreter
    memory        the memory of processes; the limit of memory
    processor     the processor's time of processes
    photographs   files of photographs
    contest       what was measured: figures of every turn, tables, JSON
    chart         contests as a picture
    machine       the machine and versions that figures belong to
    child         the process of one benchmark; `processes` starts and ends it
"""

from __future__ import annotations

import dataclasses
import importlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..report import Failure, Report, Table

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

    from ..progress import Progress
    from .contest import Contest

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Measure ndlens beside the libraries that are installed."

BENCHMARKS = (
    "crop",
    "resized_crop",
    "decode",
    "rows",
    "views",
    "threads",
    "subsets",
    "sharing",
    "opening",
    "order",
    "colour",
    "mixing",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments, for argparse."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a benchmark, or one of its contests, such as crop:float32; all if none is named",
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and end")
    parser.add_argument(
        "--quick", action="store_true", help="a look, not a measurement: few turns, less data"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each contestant")
    parser.add_argument("--seconds", type=float, metavar="S", help="least seconds of a turn")
    parser.add_argument(
        "--size", type=int, metavar="N", help="number of images, rows or items of the data"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="rows: count the processor's seconds, one thread each, for a machine that others use",
    )
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw a chart, such as a PNG")


def run(arguments: argparse.Namespace, progress: Progress) -> Report:
    """Measure what is named."""
    from .peers import find

    if reason := find("numpy"):
        raise Failure(f"the benchmarks use NumPy; {reason}")
    modules = {name: _module(name) for name in BENCHMARKS}
    if arguments.list:
        return _listing(modules)
    wanted = _wanted(arguments.names, modules)
    settings = {
        name: _settings(name, modules[name], keys, arguments) for name, keys in wanted.items()
    }
    _check_chart(arguments.chart)
    return _measure(modules, settings, arguments, progress)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.benchmarks.{name}")


def _summary(module: ModuleType) -> str:
    return (module.__doc__ or "").partition("\n")[0]


def _listing(modules: dict[str, ModuleType]) -> Report:
    rows = [[name, " ".join(module.CONTESTS), _summary(module)] for name, module in modules.items()]
    data = {
        name: {"contests": list(module.CONTESTS), "description": module.__doc__}
        for name, module in modules.items()
    }
    table = Table("Benchmarks", ["benchmark", "contests", "what it measures"], rows)
    return Report([table], {"benchmarks": data})


def _wanted(names: list[str], modules: dict[str, ModuleType]) -> dict[str, frozenset[str]]:
    """The benchmarks that are named, in the order of the list, each with the contests."""
    wanted: dict[str, set[str]] = {}
    whole = set() if names else set(BENCHMARKS)
    for named in names:
        name, _, key = named.partition(":")
        if name not in modules:
            known = ", ".join(BENCHMARKS)
            raise Failure(f"there is no benchmark {name!r}; there are {known}")
        if not key:
            whole.add(name)
        elif key not in modules[name].CONTESTS:
            known = ", ".join(modules[name].CONTESTS)
            raise Failure(f"benchmark {name} has no contest {key!r}; it has {known}")
        else:
            wanted.setdefault(name, set()).add(key)
    return {
        name: frozenset() if name in whole else frozenset(wanted[name])
        for name in BENCHMARKS
        if name in whole or name in wanted
    }


def _settings(
    name: str, module: ModuleType, keys: frozenset[str], arguments: argparse.Namespace
) -> Any:
    settings = module.QUICK if arguments.quick else module.FULL
    changes: dict[str, Any] = {"keys": keys, "cpu_time": arguments.cpu_time}
    for option in ("rounds", "seconds", "size"):
        value = getattr(arguments, option)
        least = settings.least if option == "size" else 1 if option == "rounds" else 0.001
        if value is None:
            continue
        if value < least:
            raise Failure(f"--{option} {value} is too little for {name}: expected {least} or more")
        changes[option] = value
    return dataclasses.replace(settings, **changes)


def _check_chart(path: Path | None) -> None:
    """Before anything is measured: whether a chart can be drawn there."""
    if path is None:
        return
    try:
        import matplotlib
    except ImportError as error:
        raise Failure(f'a chart needs matplotlib: pip install "ndlens[cli]" ({error})') from error
    matplotlib.use("agg")
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.removeprefix(".").lower() not in known:
        raise Failure(f"no chart can be written as {path.name!r}: expected {', '.join(known)}")
    if not path.absolute().parent.is_dir():
        raise Failure(f"there is no folder {path.absolute().parent} for the chart")


def _measure(
    modules: dict[str, ModuleType],
    settings: dict[str, Any],
    arguments: argparse.Namespace,
    progress: Progress,
) -> Report:
    from . import machine
    from .processes import Failed, LeftOut, contests_of

    here = machine.describe()
    report = Report([], {"command": "bench", "quick": arguments.quick, "machine": here})
    found: list[tuple[str, Contest]] = []
    benchmarks: list[dict[str, Any]] = []
    for name, chosen in settings.items():
        start = time.perf_counter()
        entry: dict[str, Any] = {
            "benchmark": name,
            "summary": _summary(modules[name]),
            "settings": {
                "rounds": chosen.rounds,
                "seconds": chosen.seconds,
                "size": chosen.size,
                "cpu_time": chosen.cpu_time,
            },
            "contests": [],
            "left_out": None,
            "failure": None,
        }
        benchmarks.append(entry)
        with tempfile.TemporaryDirectory(prefix="ndlens-bench-") as folder:
            try:
                for contest in contests_of(name, chosen, Path(folder), progress):
                    found.append((name, contest))
                    entry["contests"].append(contest.data())
                    if contest.turns:
                        report.tables.append(_table(name, contest))
                    else:
                        (missing,) = contest.absent.values()
                        report.notes.append(f"Left out: {name}:{contest.key}, since {missing}.")
            except LeftOut as reason:
                entry["left_out"] = str(reason)
                report.notes.append(f"Left out: {name}, since {reason}.")
            except Failed as failure:
                entry["failure"] = str(failure)
                report.notes.append(f"{name} failed: {failure}")
                report.status = 1
        entry["took_seconds"] = round(time.perf_counter() - start, 1)
    report.data["benchmarks"] = benchmarks
    report.notes.append(machine.sentence(here))
    if (load := here["load"]) > machine.BUSY:
        report.notes.append(
            f"Others use this machine (load {load:.1f}). torch suffers most from that, since"
            " its threads wait for each other: do not cite these ratios."
        )
    if arguments.quick:
        report.notes.append("--quick is a look, not a measurement: do not cite these figures.")
    if arguments.chart is not None:
        from .chart import draw

        draw(found, report.notes, arguments.chart)
        report.data["chart"] = str(arguments.chart)
        report.notes.append(f"The chart is {arguments.chart}.")
    return report


def _table(name: str, contest: Contest) -> Table:
    table = contest.table()
    turns = max((len(turns) for turns in contest.turns.values()), default=0)
    plural = {"median": "medians", "least": "least", "most": "most"}
    # The first column is what a contest is about.
    kind = plural[contest.columns[0].statistic] if contest.columns else "medians"
    rounds = f"; {kind} of {turns}" if turns > 1 else ""
    table.title = f"{name}:{contest.key}. {contest.title}{rounds}"
    return table
