"""What builds the documentation as a site: its pages of the repository, its check of links."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import griffe
import pytest
from markdown import Markdown

SITE = Path(__file__).parents[2] / "docs" / "_site"
sys.path.insert(0, str(SITE))

# They are on the path only now.
import hooks  # noqa: E402
import link_check  # noqa: E402
import names  # noqa: E402
import repository  # noqa: E402
import stubs  # noqa: E402


@pytest.mark.parametrize(
    ("page", "link", "place"),
    [
        ("docs/files.md", "views.md", "views.md"),
        ("docs/reference/files.md", "../files.md", "files.md"),
        ("docs/files.md", "../ARCHITECTURE.md", "project/architecture.md"),
        ("ARCHITECTURE.md", "docs/decisions/README.md", "decisions/README.md"),
        ("ARCHITECTURE.md", "UNSAFE.md", "project/unsafe.md"),
        ("docs/speed.md", "../benches/instructions.py", "source/benches/instructions.py.md"),
        ("docs/speed.md", "../benches", "source/benches/index.md"),
    ],
)
def test_a_link_to_a_file_of_the_repository_leads_to_its_page(
    page: str, link: str, place: str
) -> None:
    path = repository.target(PurePosixPath(page), link)
    assert path is not None
    assert repository.place(path) == place


@pytest.mark.parametrize(
    "link", ["https://pytorch.org", "mailto:a@b.org", "#top", "/absolute", "../../outside.md"]
)
def test_a_link_that_leads_out_of_the_repository_stays_as_it_is(link: str) -> None:
    assert repository.target(PurePosixPath("docs/files.md"), link) is None


def test_a_folder_brings_pages_of_the_files_that_it_lists() -> None:
    paths = repository.closure([PurePosixPath("crates/ndlens/examples")])
    assert PurePosixPath("crates/ndlens/examples/loader.rs") in paths
    assert "- [loader.rs](loader.rs)" in repository.shown(PurePosixPath("crates/ndlens/examples"))


def test_a_file_with_fences_is_shown_whole() -> None:
    page = repository.shown(PurePosixPath("README.md"))
    assert '\n````markdown linenums="1"\n# ndlens\n' in page
    assert page.endswith("\n````\n")


@pytest.mark.parametrize(
    ("code", "is_shown"),
    [
        ("docs/_site/hooks.py", False),
        ("benches/nothing.py", False),
        (".venv/bin/python", False),
        ("Makefile", False),
        ("tests/house/check.py", True),
        ("python/ndlens/loader.py", True),
    ],
)
def test_code_that_names_a_file_of_the_repository_is_known(code: str, is_shown: bool) -> None:
    assert repository.is_shown(code) == is_shown
    named = list(repository.linked(PurePosixPath("docs/files.md"), f"See `{code}`."))
    assert named == ([PurePosixPath(code)] if is_shown else [])


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("nl.view", "ndlens.view"),
        ("nl.view(obj)", "ndlens.view"),
        ("nl.torch.Dataset", "ndlens.torch.Dataset"),
        ("T.RandomCrop(8)", "ndlens.transforms.RandomCrop"),
        ("ndlens.errors", "ndlens.errors"),
        ("Loader.epoch", "ndlens.Loader.epoch"),
        ("View.windows", "ndlens.View.windows"),
        ("View", "ndlens.View"),
        ("nl.CopyRequired", "ndlens.errors.CopyRequired"),
        ("CopyRequired", "ndlens.errors.CopyRequired"),
        ("view.torch()", None),
        ("view", None),
        ("np.take", None),
        ("nl.open(a).shape", None),
        ("nl", None),
    ],
)
def test_code_that_names_something_of_ndlens_leads_to_the_reference(
    code: str, name: str | None
) -> None:
    assert names.documented_as(code) == name


def test_names_are_links_but_not_in_headings_links_and_programs() -> None:
    text = "# `nl.view`\n\n`nl.open` [`nl.save`](x.md) `docs/files.md`\n\n    nl.share\n"
    html = Markdown(extensions=[names.NameLinks()]).convert(text)
    assert html == (
        "<h1><code>nl.view</code></h1>\n"
        '<p><autoref identifier="ndlens.open" optional=""><code>nl.open</code></autoref> '
        '<a href="x.md"><code>nl.save</code></a> '
        '<a href="source:docs/files.md"><code>docs/files.md</code></a></p>\n'
        "<pre><code>nl.share\n</code></pre>"
    )


def test_a_folder_in_the_navigation_stands_for_its_other_pages(tmp_path: Path) -> None:
    for name in ("a/2.md", "a/1.md", "a/3.md", "a/x.png", "b/1.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    nav = ["index.md", {"A": ["a/3.md", "a/"]}, {"B": "b/"}, {"C": ["none/"]}, {"D": "d.md"}]
    assert hooks.expanded(nav, tmp_path) == [
        "index.md",
        {"A": ["a/3.md", "a/1.md", "a/2.md"]},
        {"B": ["b/1.md"]},
        {"C": []},
        {"D": "d.md"},
    ]


INDEX = '<html><body id="top"><a href="other.html#there">x</a>{}</body></html>'
OTHER = '<html><body><p id="there"></p></body></html>'


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ("", None),
        ('<a href="https://pytorch.org/x">x</a> <a href="#top">x</a> <a href="?q=a">x</a>', None),
        ('<link rel="canonical" href="https://example.org/">', None),
        ('<img src="data:image/png;base64,AAAA">', None),
        ('<a href="none.html">x</a>', "index.html: there is no none.html"),
        (
            '<a href="other.html#elsewhere">x</a>',
            "index.html: there is no other.html#elsewhere: the page is there, the anchor is not",
        ),
        (
            '<a href="#elsewhere">x</a>',
            "index.html: there is no #elsewhere: the page is there, the anchor is not",
        ),
        ('<a href="/other.html">x</a>', "index.html: /other.html needs a server"),
        ('<a href="../secret">x</a>', "index.html: there is no ../secret"),
        (
            '<script src="https://unpkg.com/x.js"></script>',
            "index.html loads https://unpkg.com/x.js",
        ),
        ('<img src="//example.org/x.png" />', "index.html loads //example.org/x.png"),
        ('<img src="x.png">', "index.html: there is no x.png"),
    ],
)
def test_the_check_names_what_is_wrong_with_a_page(
    html: str, problem: str | None, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(INDEX.format(html))
    (tmp_path / "other.html").write_text(OTHER)
    assert list(link_check.problems(tmp_path)) == ([problem] if problem else [])


def test_the_check_names_a_style_that_loads_a_font(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(OTHER)
    (tmp_path / "a.css").write_text('@import url("https://fonts.example/x.css"); a{url(../x.svg)}')
    assert list(link_check.problems(tmp_path)) == ["a.css loads https://fonts.example/x.css"]


def test_a_folder_without_pages_is_no_site(tmp_path: Path) -> None:
    assert list(link_check.problems(tmp_path)) == [f"{tmp_path} has no page"]


def test_examples_of_a_docstring_are_a_section_at_its_end() -> None:
    text = "Sums.\n\n>>> f(1)\n1\n\nArgs:\n    x: A number.\n\n>>> f(2)\n2"
    assert stubs.with_examples(text) == (
        "Sums.\n\nArgs:\n    x: A number.\n\nExamples:\n    >>> f(1)\n    1\n\n    >>> f(2)\n    2"
    )
    assert stubs.with_examples("No example.") == "No example."


STUB = '''
from typing import Any, NoReturn, TypeAlias, TypeVar, overload

_Key = TypeVar("_Key")
_Path: TypeAlias = str | bytes
_Paths: TypeAlias = list[_Path] | None

def before() -> None: ...
@overload
def open(path: _Path, mode: int = 0) -> str | Any:
    """Opens.

    Args:
        path: A path.
        mode: A mode.
    """

@overload
def open(path: _Paths, mode: Any = 0, *more: int) -> list[str]: ...
@overload
def open(path: dict[str, int]) -> NoReturn: ...
def after(*paths: _Path) -> _Key: ...
'''


def test_overloads_are_one_function_with_the_types_of_all_and_no_private_names(
    tmp_path: Path,
) -> None:
    (tmp_path / "stubbed").mkdir()
    (tmp_path / "stubbed" / "__init__.py").touch()
    (tmp_path / "stubbed" / "native.pyi").write_text(STUB)
    extensions = griffe.load_extensions(stubs.Stubs)
    package = griffe.load("stubbed", search_paths=[tmp_path], extensions=extensions)
    module = package["native"]
    members = [name for name in module.members if name in ("before", "open", "after")]
    assert members == ["before", "open", "after"]
    opened = module["open"]
    assert opened.docstring is not None
    assert {one.name: str(one.annotation) for one in opened.parameters} == {
        "path": "str | bytes | list[str | bytes] | None",
        "mode": "Any",
    }
    shown = [
        ([str(one.annotation) for one in overload.parameters], str(overload.returns))
        for overload in opened.overloads
    ]
    assert shown == [
        (["str | bytes", "int"], "str | Any"),
        (["list[str | bytes] | None", "Any", "int"], "list[str]"),
        (["dict[str, int]"], "NoReturn"),
    ]
    assert [(str(one.annotation), one.default) for one in module["after"].parameters] == [
        ("str | bytes", None)
    ]
    assert str(module["after"].returns) == "_Key"
