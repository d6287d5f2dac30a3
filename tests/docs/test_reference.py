"""The reference of the site: it has every public name, no other, and says what each takes."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "docs" / "_site"))

# They are on the path only now.
import command_tables  # noqa: E402
import stubs  # noqa: E402

MODULES = [
    "ndlens",
    "ndlens.errors",
    "ndlens.testing",
    "ndlens.torch",
    "ndlens.transforms",
]
# What has a page of its own, which lists its names.
PAGES = {"ndlens.transforms"}
# Made by functions of ndlens alone.
WITHOUT_CONSTRUCTOR = {
    "ndlens.Arrays",
    "ndlens.Copies",
    "ndlens.Copy",
    "ndlens.Holder",
    "ndlens.Holders",
    "ndlens.ImageFolder",
    "ndlens.SampleKeys",
    "ndlens.Samples",
}

SHOWN = [
    (page.name, name)
    for page in sorted(REFERENCE.glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)
]


def public(module: str) -> set[str]:
    """The public names of a module, each as the reference shows it."""
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module
    ]
    return {home(found, name) for name in names}


def home(module: Any, name: str) -> str:
    """The name under which the reference shows an object: errors are in `ndlens` too."""
    defined = getattr(getattr(module, name), "__module__", None)
    return f"ndlens.errors.{name}" if defined == "ndlens.errors" else f"{module.__name__}.{name}"


PUBLIC = set().union(*map(public, MODULES)) - PAGES


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_the_reference_shows_every_public_name_once(name: str) -> None:
    pages = [page for page, shown in SHOWN if shown == name]
    assert len(pages) == 1, f"{name} needs one `::: {name}` in docs/reference, not in {pages}"


@pytest.mark.parametrize(("page", "name"), SHOWN)
def test_the_reference_shows_no_name_that_is_not_public(page: str, name: str) -> None:
    assert name in PUBLIC, f"docs/reference/{page} shows {name}"


def test_the_pages_of_the_reference_are_in_its_table() -> None:
    table = re.findall(r"^\| \[[^]]*\]\((\S+\.md)\)", (REFERENCE / "README.md").read_text(), re.M)
    assert set(table) == {page.name for page in REFERENCE.glob("*.md")} - {"README.md"}


# What the reference reads.

PACKAGE = griffe.load(
    "ndlens",
    search_paths=[ROOT / "python"],
    allow_inspection=False,
    docstring_parser="google",
    extensions=griffe.load_extensions(stubs.Stubs),
)


def read(name: str) -> griffe.Object:
    found = PACKAGE[name.removeprefix("ndlens.")]
    return found.final_target if isinstance(found, griffe.Alias) else found


def documentable() -> Iterator[tuple[str, griffe.Object]]:
    """The objects of the reference, and the public members of its classes."""
    for _, name in SHOWN:
        thing = read(name)
        yield name, thing
        if isinstance(thing, griffe.Class):
            for member, inside in thing.members.items():
                # The fields of a transform are the arguments that it was made with.
                is_field = isinstance(inside, griffe.Attribute) and "property" not in inside.labels
                if not member.startswith("_") and not is_field:
                    assert isinstance(inside, griffe.Object), member
                    yield f"{name}.{member}", inside


DOCUMENTABLE = dict(documentable())


def taken(thing: griffe.Object) -> list[str]:
    """The parameters of a function, or of the constructor of a class."""
    if isinstance(thing, griffe.Class):
        constructor = thing.members.get("__init__")
        return taken(constructor) if isinstance(constructor, griffe.Function) else []
    if not isinstance(thing, griffe.Function):
        return []
    return [one.name for one in thing.parameters if one.name not in ("self", "cls")]


@pytest.mark.parametrize("name", DOCUMENTABLE)
def test_an_item_of_the_reference_says_what_it_is_and_what_it_takes(name: str) -> None:
    thing = DOCUMENTABLE[name]
    assert thing.docstring is not None, f"{name} has no docstring"
    assert re.match(r"[\"`A-Z0-9(]", thing.docstring.value), f"{name} has no summary"
    described = [
        parameter.name.lstrip("*")
        for section in thing.docstring.parsed
        if isinstance(section, griffe.DocstringSectionParameters)
        for parameter in section.value
    ]
    assert described == ([] if name in WITHOUT_CONSTRUCTOR else taken(thing))


def test_every_member_of_a_class_is_in_what_the_reference_reads() -> None:
    for _, name in SHOWN:
        thing = read(name)
        if isinstance(thing, griffe.Class):
            module, _, last = name.rpartition(".")
            members = vars(getattr(importlib.import_module(module), last))
            assert {one for one in members if not one.startswith("_")} <= set(thing.members), name


@pytest.mark.parametrize("name", sorted(WITHOUT_CONSTRUCTOR))
def test_what_has_no_constructor_for_users_shows_none(name: str) -> None:
    directives = "\n".join(page.read_text() for page in REFERENCE.glob("*.md"))
    options = directives.split(f"::: {name}\n    options:\n")[1].split("\n\n")[0]
    assert "merge_init_into_class: false" in options


def test_a_function_of_overloads_alone_is_read_in_its_place() -> None:
    members = list(read("ndlens.View").members)
    assert members.index("permute") < members.index("swapaxes") < members.index("reshape")
    permute = read("ndlens.View.permute")
    assert isinstance(permute, griffe.Function)
    assert len(permute.overloads or []) == 2


def test_the_page_of_commands_has_the_arguments_that_they_take() -> None:
    assert command_tables.PAGE.read_text() == command_tables.page(), (
        "run python docs/_site/command_tables.py --write"
    )


def test_every_crate_must_document_its_public_items() -> None:
    lints = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["lints"]
    # clippy runs with `-D warnings`, which makes an error of it.
    assert lints["rust"]["missing_docs"] == "warn"
    crates = sorted((ROOT / "crates").glob("*/Cargo.toml"))
    assert len(crates) > 1
    for crate in crates:
        assert tomllib.loads(crate.read_text())["lints"] == {"workspace": True}, crate
