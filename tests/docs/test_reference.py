"""The reference of the site: it has every public name, and no other."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MODULES = ["ndlens", "ndlens.errors", "ndlens.torch", "ndlens.transforms"]
# What stands on a page of its own, name by name.
ON_PAGES = {"ndlens.transforms"}

SHOWN = [
    (page.name, name)
    for page in sorted(REFERENCE.glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)
]


def public(module: str) -> set[str]:
    """The public names of a module, under the module that defines them for users."""
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module
    ]
    return {f"{module}.{name}" for name in names}


def home(name: str) -> str:
    """The name under which the reference shows an object: errors are in `ndlens` too."""
    module, _, last = name.rpartition(".")
    defined = getattr(getattr(importlib.import_module(module), last), "__module__", None)
    return f"ndlens.errors.{last}" if defined == "ndlens.errors" else name


PUBLIC = {home(name) for module in MODULES for name in public(module)} - ON_PAGES


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_the_reference_shows_every_public_name_once(name: str) -> None:
    assert [page for page, shown in SHOWN if shown == name], f"no page of docs/reference has {name}"
    assert len([page for page, shown in SHOWN if shown == name]) == 1


@pytest.mark.parametrize(("page", "name"), SHOWN)
def test_the_reference_shows_no_name_that_is_not_public(page: str, name: str) -> None:
    assert name in PUBLIC, f"docs/reference/{page} shows {name}"


def test_the_pages_of_the_reference_are_in_its_table() -> None:
    table = set(
        re.findall(r"^\| \[[^]]*\]\((\S+\.md)\)", (REFERENCE / "README.md").read_text(), re.M)
    )
    assert table == {page.name for page in REFERENCE.glob("*.md")} - {"README.md"}
