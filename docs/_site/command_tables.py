"""The tables of `docs/reference/commands.md`: the arguments of each command of `ndlens`.

    python docs/_site/command_tables.py             # prints the page
    python docs/_site/command_tables.py --write     # writes it

A test holds the page against what this gives. It needs the module to be built, which the site does
not; so the page is in the repository.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from ndlens.cli import COMMANDS
from ndlens.cli.render import FORMATS

PAGE = Path(__file__).parents[1] / "reference" / "commands.md"

HEAD = """\
# Commands

The arguments of each command of `ndlens`. [Commands](../commands.md) shows what they print.
"""


def page() -> str:
    """The Markdown of the page."""
    looks = [f"| `--{name}` | | prints {FORMATS[name]} |" for name in FORMATS if name != "text"]
    common = "\n".join(
        [
            "## All commands",
            "",
            "| argument | default | what it does |",
            "|---|---|---|",
            *looks,
            "| `-h`, `--help` | | prints the arguments |",
        ]
    )
    return "\n".join([HEAD, *(section(name) + "\n" for name in COMMANDS), common, ""])


def section(name: str) -> str:
    """The heading and the table of one command."""
    module = importlib.import_module(f"ndlens.cli.{name}")
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    summary = module.SUMMARY[:1].upper() + module.SUMMARY[1:]
    head = [f"## ndlens {name}", "", f"{summary.removesuffix('.')}.", ""]
    rows = list(arguments(parser))
    table = ["| argument | default | what it does |", "|---|---|---|", *rows]
    return "\n".join(head + table if rows else head[:-1])


def arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A row for each argument of a parser."""
    # argparse has no public list of them.
    for action in parser._actions:
        names = action.option_strings or [str(action.metavar or action.dest)]
        if action.choices is not None:
            value = f" {{{','.join(map(str, action.choices))}}}"
        elif action.nargs == 0 or not action.option_strings:
            value = ""
        else:
            value = f" {action.metavar or action.dest.upper()}"
        shown = ", ".join(f"`{name}{value}`" for name in names)
        no_default = action.default in (None, False, argparse.SUPPRESS) or action.nargs == 0
        default = "" if no_default else f" `{action.default}`"
        texts = vars(action) | {"prog": "ndlens"}
        meaning = re.sub(r"([|*_<`\[\\])", r"\\\1", (action.help or "") % texts)
        yield f"| {shown} |{default} | {meaning} |"


def main() -> None:
    """Print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the page")
    if parser.parse_args().write:
        PAGE.write_text(page())
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
