"""Holds the sources against the rules of the house; `make lint` fails where one is broken.

    python tests/house/check.py                     # everything
    python tests/house/check.py ndlens-kernels      # one crate, or `python` for the package

The rules: no circle of imports between the files of a crate or of the Python package, no line of
more than 100 columns, no file of more than 600 lines of code, no name that two types of the
workspace have.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# Also as a script, which finds its neighbours only now.
from tests.house import graph, python_imports, rust_imports  # noqa: E402

COLUMNS = 100
LINES_OF_CODE = 600

MARGINS = {".rs", ".py", ".pyi", ".md", ".toml"}
# What a fence in Markdown may hold that was not written but printed.
WRITTEN = {"python", "rust", "toml", "make", "sh", "bash", "console"}
TABLE = re.compile(r"\s*(//[/!]?|#)?\s*\|")
# What other files can name: `pub`, `pub(crate)`, `pub(super)`, at any depth.
TYPE = re.compile(r"^\s*pub(?:\([a-z: ]+\))? (?:unsafe )?(?:struct|enum|trait|union) (\w+)", re.M)
# Each crate has its own, and one never imports another's without its crate.
SHARED_NAMES = {"Error"}
# A build has one of the platforms, which name the same things.
OTHER_PLATFORM = "crates/ndlens-store/src/os/portable/"
ADDRESS = re.compile(r"https?://\S+")


def tracked(root: Path) -> list[Path]:
    """The files of the repository that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True)
    files = (root / name for name in sorted(set(listing.stdout.split("\0"))) if name)
    return [file for file in files if file.is_file()]


def crates(root: Path) -> list[str]:
    return sorted(file.parent.name for file in (root / "crates").glob("*/Cargo.toml"))


def circles(root: Path, room: str) -> list[str]:
    """Circles of imports in a crate, or in the Python package if `room` is "python"."""
    if room == "python":
        source = root / "python" / "ndlens"
        return list(graph.describe(python_imports.imports(source), source))
    source = root / "crates" / room / "src"
    return list(graph.describe(rust_imports.imports(source), source))


def long_lines(file: Path) -> Iterator[tuple[int, int]]:
    """The lines of a file that end beyond the margin: their numbers and lengths.

    Tables, addresses and, in Markdown, what a program printed may be longer.
    """
    fence = ""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        mark = re.match(r"\s*(```+)(\w*)", line) if file.suffix == ".md" else None
        if mark:
            fence = "" if fence else mark[2] or "output"
        elif len(line) > COLUMNS and not (
            (file.suffix in (".md", ".rs") and TABLE.match(line))
            or ADDRESS.search(line)
            or (fence and fence not in WRITTEN)
        ):
            yield number, len(line)


def lines_of_code(file: Path) -> int:
    """The lines of a file that hold code: not blank, no comment, no docstring."""
    if file.suffix == ".rs":
        return rust_lines_of_code(file.read_text())
    text = file.read_text()
    ignored = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*ignored, tokenize.ENDMARKER):
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(ast.Constant(str()), lineno=first, end_lineno=last):
                code.difference_update(range(first, (last or first) + 1))
    return len(code)


def rust_lines_of_code(text: str) -> int:
    """The lines of Rust code: each that holds a token beside comments."""
    code: set[int] = set()
    line, counted = 0, 0
    for _, start, end in rust_imports.placed_tokens(text):
        line, counted = line + text.count("\n", counted, start), start
        code.update(range(line, line + text.count("\n", start, end) + 1))
    return len(code)


def lines_beyond(root: Path, files: list[Path]) -> Iterator[str]:
    for file in files:
        if file.suffix in MARGINS or file.name == "Makefile":
            for number, length in long_lines(file):
                yield f"{file.relative_to(root)}:{number}: {length} columns, more than {COLUMNS}"


def files_beyond(root: Path, files: list[Path]) -> Iterator[str]:
    for file in files:
        count = lines_of_code(file) if file.suffix in (".rs", ".py", ".pyi") else 0
        if count > LINES_OF_CODE:
            yield f"{file.relative_to(root)}: {count} lines of code, more than {LINES_OF_CODE}"


def names_of_several(root: Path) -> Iterator[str]:
    """The public and crate-wide types of Rust that have one name, with their files."""
    files: dict[str, list[Path]] = {}
    for file in sorted((root / "crates").glob("*/src/**/*.rs")):
        if str(file.relative_to(root)).startswith(OTHER_PLATFORM):
            continue
        for name in TYPE.findall(file.read_text()):
            files.setdefault(name, []).append(file.relative_to(root))
    for name, homes in files.items():
        if len(homes) > 1 and name not in SHARED_NAMES:
            yield f"{homes[0]}: {name} names a type of {', '.join(map(str, homes[1:]))} as well"


def report(root: Path, rooms: list[str]) -> Iterator[str]:
    """What breaks a rule, in lines of text; of the whole repository if no room is named."""
    for room in rooms or [*crates(root), "python"]:
        for line in circles(root, room):
            yield f"{room}: {line}"
    files = tracked(root)
    if rooms:
        homes = [root / "python" if room == "python" else root / "crates" / room for room in rooms]
        files = [file for file in files if any(file.is_relative_to(home) for home in homes)]
    yield from lines_beyond(root, files)
    yield from files_beyond(root, files)
    if not rooms:
        yield from names_of_several(root)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", help="crates, or `python`; all if none is named")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository to look at")
    options = parser.parse_args()
    root = options.root.resolve()
    lines = list(report(root, options.rooms))
    print("\n".join(lines) if lines else "no rule is broken")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
