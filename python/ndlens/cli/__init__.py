"""The command `ndlens`: what a doubter can check in a minute.

A command is a module of this package with three names:

    SUMMARY                    what it does, in one line
    add_arguments(parser)      its arguments, for argparse
    run(arguments, progress)   does it, and gives a `Report`

`COMMANDS` lists them. Such a module imports NumPy, torch and the like only in `run`, so that
`ndlens --help` is quick. A report is data; `render.py` alone decides how it looks: tables for
people (with rich where it is installed), Markdown, or JSON.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

from .. import __version__
from .progress import Progress
from .render import FORMATS, render
from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .report import Report

__all__ = ["main"]

# Each is a module of this package.
COMMANDS: tuple[str, ...] = ("audit", "bench", "inspect", "pack", "preview")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `ndlens`; those of the process if not given.

    Returns:
        The status for the shell: 0, 1 where the command found a fault, 2 where it could not run.
    """
    parser = argparse.ArgumentParser(
        prog="ndlens", description="Zero-copy views and a loader without the GIL."
    )
    parser.add_argument("--version", action="version", version=f"ndlens {__version__}")
    commands = parser.add_subparsers(metavar="command")
    for name in COMMANDS:
        module = importlib.import_module(f".{name}", __package__)
        command = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        module.add_arguments(command)
        look = command.add_mutually_exclusive_group()
        for format in FORMATS:
            if format != "text":
                look.add_argument(
                    f"--{format}",
                    dest="format",
                    action="store_const",
                    const=format,
                    default="text",
                    help=f"print the report as {FORMATS[format]}",
                )
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help(sys.stderr)
        return 2
    try:
        with Progress() as progress:
            report: Report = options.run(options, progress)
    except Failure as failure:
        print(f"ndlens: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    try:
        render(report, options.format, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # `ndlens inspect .. | head`
        # What is left in the buffer must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.status
