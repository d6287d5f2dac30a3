"""What builds the documentation as a site: its pages of the repository, its check of links."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import pytest

SITE = Path(__file__).parents[2] / "docs" / "_site"
sys.path.insert(0, str(SITE))

# They are on the path only now.
import link_check  # noqa: E402
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
        ("docs/speed.md", "../benches/crop.py", "source/benches/crop.py.md"),
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
