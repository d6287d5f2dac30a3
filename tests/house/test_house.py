"""Rules for the sources: no circles of imports, no long lines or files; tests of the checks."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from tests.house import check, graph, python_imports, rust_imports

ROOMS = [*check.crates(check.ROOT), "python"]
FILES = check.tracked(check.ROOT)


@pytest.mark.parametrize("room", ROOMS)
def test_no_files_import_each_other_in_a_circle(room: str) -> None:
    assert check.circles(check.ROOT, room) == []


def test_no_line_ends_beyond_the_margin() -> None:
    assert list(check.lines_beyond(check.ROOT, FILES)) == []


def test_no_two_types_have_one_name() -> None:
    assert list(check.names_of_several(check.ROOT)) == []


def test_no_file_is_longer_than_one_reads_in_a_sitting() -> None:
    assert list(check.files_beyond(check.ROOT, FILES)) == []


# The checks themselves, on sources with a fault and without.


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


def names(folder: Path, found: list[list[Path]]) -> list[list[str]]:
    return [[str(file.relative_to(folder)) for file in circle] for circle in found]


CIRCLES: dict[str, tuple[dict[str, str], list[str]]] = {
    "use crate": (
        {
            "lib.rs": "mod a; mod b;",
            "a.rs": "use crate::b::B; pub struct A;",
            "b.rs": "use crate::a::A; pub struct B;",
        },
        ["a.rs", "b.rs"],
    ),
    "use super": (
        {
            "lib.rs": "mod m;",
            "m/mod.rs": "mod a; mod b;",
            "m/a.rs": "use super::b::B; pub struct A;",
            "m/b.rs": "use super::a::A; pub struct B;",
        },
        ["m/a.rs", "m/b.rs"],
    ),
    "nested groups": (
        {
            "lib.rs": "mod m;",
            "m/mod.rs": "pub mod a; pub mod b;",
            "m/a.rs": "use crate::{m::{b::{B, C as D}, b as other}}; pub struct A;",
            "m/b.rs": "use std::{fmt, io}; use super::{a::{self, A}}; pub struct B; pub struct C;",
        },
        ["m/a.rs", "m/b.rs"],
    ),
    "paths in code": (
        {
            "lib.rs": "mod a; mod b;",
            "a.rs": "pub fn a() { crate::b::b() }",
            "b.rs": "pub fn b() { super::a::a() }",
        },
        ["a.rs", "b.rs"],
    ),
    "paths through an imported module": (
        {
            "lib.rs": "mod a; mod b;",
            "a.rs": "use crate::b; pub fn a() { b::b() }",
            "b.rs": "use crate::a; pub fn b() { a::a() }",
        },
        ["a.rs", "b.rs"],
    ),
    "a name that the crate's root re-exports": (
        {
            "lib.rs": "mod a; mod b; pub use a::A; pub use b::B;",
            "a.rs": "use crate::B; pub struct A;",
            "b.rs": "use crate::A; pub struct B;",
        },
        ["a.rs", "b.rs"],
    ),
    "a name that is re-exported with all others": (
        {
            "lib.rs": "mod m; mod c;",
            "m/mod.rs": "mod a; pub use a::*;",
            "m/a.rs": "use crate::c::C; pub struct A;",
            "c.rs": "use crate::m::A; pub struct C;",
        },
        ["c.rs", "m/a.rs"],
    ),
    "all names of the parent, of which some are used": (
        {
            "lib.rs": "mod m;",
            "m/mod.rs": "mod a; pub struct Parent; pub fn f() -> a::A { a::A }",
            "m/a.rs": "use super::*; pub struct A; impl From<A> for Parent {}",
        },
        ["m/a.rs", "m/mod.rs"],
    ),
    "a parent that uses what it re-exports": (
        {
            "lib.rs": "mod m;",
            "m/mod.rs": "mod a; pub use a::A; pub struct Parent(A);",
            "m/a.rs": "use super::Parent; pub struct A;",
        },
        ["m/a.rs", "m/mod.rs"],
    ),
    "three files": (
        {
            "lib.rs": "mod a; mod b; mod c;",
            "a.rs": "use crate::b::B; pub struct A;",
            "b.rs": "use crate::c::C; pub struct B;",
            "c.rs": "use crate::a::A; pub struct C;",
        },
        ["a.rs", "b.rs", "c.rs"],
    ),
    "what a macro defines": (
        {
            "lib.rs": "mod a; mod b;",
            "a.rs": "use crate::b::Made; pub struct A;",
            "b.rs": "use crate::a::A; make! { Made }",
        },
        ["a.rs", "b.rs"],
    ),
    "a module between braces": (
        {
            "lib.rs": "mod a; mod b;",
            "a.rs": "mod inner { use crate::b::B; } pub struct A;",
            "b.rs": "mod inner { use super::super::a::A; } pub struct B;",
        },
        ["a.rs", "b.rs"],
    ),
    "after test code with commas": (
        {
            "lib.rs": "mod a; mod b;",
            "a.rs": "#[cfg(test)] fn f<X, Y>(x: X) {} use crate::b::B; pub struct A;",
            "b.rs": "#[cfg(not(test))] use crate::a::A; pub struct B;",
        },
        ["a.rs", "b.rs"],
    ),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_circle_of_rust_files_is_seen(name: str, tmp_path: Path) -> None:
    files, circle = CIRCLES[name]
    found = graph.circles(rust_imports.imports(write(tmp_path, files)))
    assert names(tmp_path, found) == [circle]


STRAIGHT: dict[str, dict[str, str]] = {
    "a parent that re-exports": {
        "lib.rs": "pub mod m;",
        "m/mod.rs": "//! Has `A`.\nmod a; pub use a::A; pub(crate) use a::{B as C}; pub struct P;",
        "m/a.rs": "use super::P; pub struct A; pub struct B;",
    },
    "siblings through their parent": {
        "lib.rs": "mod m;",
        "m/mod.rs": "mod a; mod b; pub use a::A; pub use b::B;",
        "m/a.rs": "use super::B; pub struct A;",
        "m/b.rs": "pub struct B;",
    },
    "test code": {
        "lib.rs": "mod a; mod b;",
        "a.rs": (
            """
            pub struct A;
            #[cfg(test)]
            #[allow(unused)]
            mod tests { use super::*; use crate::b::B; fn f() -> [u8; 3] { crate::b::f() } }
            #[cfg(all(test, loom))] use crate::b::{C, D};
            #[cfg(test)] mod cases;
        """
        ),
        "a/cases.rs": "use crate::b::B;",
        "b.rs": "use crate::a::A; pub struct B; pub struct C; pub struct D;",
    },
    "comments and strings": {
        "lib.rs": "mod a; mod b;",
        "a.rs": (
            r"""
            //! use crate::b::B;
            /* use crate::b::B; /* nested */ use crate::b::B; */
            const TEXT: &str = "use crate::b::B; \" crate::b::B";
            const RAW: &str = r#"crate::b::f() " "#;
            const QUOTE: char = '"'; fn f<'a>(x: &'a str) {} // crate::b::B
            pub struct A;
        """
        ),
        "b.rs": "use crate::a::A; pub struct B;",
    },
    "names of another crate": {
        "lib.rs": "mod a; pub use other::Error;",
        "a.rs": "use crate::Error; use other::b::B; pub struct A;",
    },
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_no_circle_is_seen_where_there_is_none(name: str, tmp_path: Path) -> None:
    assert graph.circles(rust_imports.imports(write(tmp_path, STRAIGHT[name]))) == []


PYTHON_CIRCLES = {
    "from": {"a.py": "from package.b import B\nA = B", "b.py": "from .a import A\nB = 1"},
    "in a function": {
        "a.py": "from package.b import B\nA = B",
        "b.py": "def f():\n    from package.a import A",
    },
    "re-exported": {
        "__init__.py": "from .a import A\nfrom .b import B",
        "a.py": "from package import B\nA = B",
        "b.py": "import package as p\nB = lambda: p.A",
    },
    "modules": {
        "__init__.py": "",
        "a.py": "from package import b\nA = b.B",
        "b.py": "import package.a\nB = lambda: package.a.A",
    },
}


@pytest.mark.parametrize("name", PYTHON_CIRCLES)
def test_a_circle_of_python_modules_is_seen(name: str, tmp_path: Path) -> None:
    package = write(tmp_path, {f"package/{f}": t for f, t in PYTHON_CIRCLES[name].items()})
    found = graph.circles(python_imports.imports(package / "package"))
    assert names(tmp_path, found) == [["package/a.py", "package/b.py"]]


def test_imports_for_types_and_of_extensions_make_no_circle(tmp_path: Path) -> None:
    files = {
        "package/__init__.py": "from .a import A\nfrom ._native import C",
        "package/_native.pyi": "class C: ...",
        "package/a.py": (
            """
            from typing import TYPE_CHECKING
            from package import _native
            if TYPE_CHECKING:
                from package.b import B
            A = _native.C
        """
        ),
        "package/b.py": "from package.a import A\nB = A",
    }
    package = write(tmp_path, files) / "package"
    assert graph.circles(python_imports.imports(package)) == []


LONG = "x" * 101


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        ("a.rs", f"{LONG}\n//! {LONG}\n", [1, 2]),
        ("a.py", f"'{LONG}'", [1]),
        ("a.pyi", f"# {LONG}", [1]),
        ("a.toml", f"\n{LONG}", [2]),
        ("Makefile", f"all:\n\t{LONG}", [2]),
        ("a.md", f"{LONG}\n```python\n{LONG}\n```\n", [1, 3]),
        ("a.md", f"```text\n{LONG}\n```\n```\n{LONG}\n```\n| {LONG} |\n", []),
        ("a.md", f"[{LONG}](https://example.com)", []),
        ("a.rs", f"//! | {LONG} |", []),
        ("a.rs", "x" * 100 + "\n", []),
        ("a.txt", LONG, []),
    ],
)
def test_a_line_beyond_the_margin_is_seen(
    file: str, text: str, lines: list[int], tmp_path: Path
) -> None:
    path = write(tmp_path, {file: text}) / file
    expected = [
        f"{file}:{n}: {len(text.splitlines()[n - 1])} columns, more than 100" for n in lines
    ]
    assert list(check.lines_beyond(tmp_path, [path])) == expected


def test_a_name_that_two_types_have_is_seen(tmp_path: Path) -> None:
    write(
        tmp_path / "crates",
        {
            "one/src/a.rs": "pub struct Kind;\nenum Part {}\npub(crate) trait Only {}\n",
            "one/src/b.rs": "mod c {\n    pub(super) enum Kind {}\n}\npub enum Error {}\n",
            "two/src/a.rs": "struct Part;\npub enum Error {}\n// pub struct Only\n",
        },
    )
    found = list(check.names_of_several(tmp_path))
    assert found == ["crates/one/src/a.rs: Kind names a type of crates/one/src/b.rs as well"]


def test_lines_of_code_are_neither_blank_nor_comments(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.rs": '//! One.\n\nfn f() { // two\n/* three\n*/ g("a\nb");\n}\n',
            "a.py": '"""One.\n\nTwo."""\n\n# Three\nx = """a\nb"""\ndef f():\n    "Four."\n',
        },
    )
    assert check.lines_of_code(tmp_path / "a.rs") == 4
    assert check.lines_of_code(tmp_path / "a.py") == 3


@pytest.mark.parametrize(("count", "fits"), [(600, True), (601, False)])
@pytest.mark.parametrize(("file", "line"), [("a.rs", "f();\n"), ("a.py", "f()\n")])
def test_a_file_that_is_too_long_is_seen(
    file: str, line: str, count: int, fits: bool, tmp_path: Path
) -> None:
    path = write(tmp_path, {file: "\n" * 9 + line * count}) / file
    expected = [] if fits else [f"{file}: {count} lines of code, more than 600"]
    assert list(check.files_beyond(tmp_path, [path])) == expected
