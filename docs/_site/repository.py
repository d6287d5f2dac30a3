"""The repository as pages of the site: what the documentation links to beyond `docs/`.

On GitHub a page links to `../ARCHITECTURE.md` or `../benches/instructions.py` and finds the file.
The site has them too: documents of the root as pages of their own, any other file as a page that
shows it, and a folder as a list of its files. So every link works in both, and offline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
DOCS = PurePosixPath("docs")
PAGES = "source"

# The documents at the root, and where the site has them.
DOCUMENTS = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "RELEASING.md": "project/releasing.md",
    "UNSAFE.md": "project/unsafe.md",
    "README.md": "README.md",
}

LANGUAGES = {
    "": "text",
    ".c": "c",
    ".json": "json",
    ".md": "markdown",
    ".py": "python",
    ".pyi": "python",
    ".rs": "rust",
    ".sh": "sh",
    ".toml": "toml",
    ".txt": "text",
    ".yml": "yaml",
}

LINK = re.compile(r"\]\(\s*([^)\s#]+)")
# A path from the root, in code: `benches/instructions.py`.
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.\w+)`")
# As `names.py` and templates/ name a file, or a line of it.
SOURCE = re.compile(r'href="source:(?P<path>[^"#]+)(?:#(?P<line>\d+))?"')
# Built or cached, not written.
UNWRITTEN = {"__pycache__", ".so", ".pyc"}


def normal(path: PurePosixPath) -> PurePosixPath | None:
    """A path without `..`, or None if it leads out of the repository."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def is_address(link: str) -> bool:
    """Whether a link names a scheme or a place of its own page, and so no file."""
    return link.startswith(("#", "/")) or re.match(r"[a-z][a-z0-9+.-]*:", link) is not None


def target(page: PurePosixPath, link: str) -> PurePosixPath | None:
    """The path in the repository that a link of a page leads to, if it is one."""
    return None if is_address(link) else normal(page.parent / link)


def place(path: PurePosixPath) -> str:
    """The page of the site, as mkdocs names its source, that shows a path of the repository."""
    if str(path) in DOCUMENTS:
        return DOCUMENTS[str(path)]
    if path.is_relative_to(DOCS):
        return str(path.relative_to(DOCS))
    if (ROOT / path).is_dir():
        return f"{PAGES}/{path}/index.md"
    return f"{PAGES}/{path}.md"


def linked(page: PurePosixPath, markdown: str) -> Iterator[PurePosixPath]:
    """The paths beyond the documentation that a page links to."""
    for link in LINK.findall(markdown):
        path = target(page, link)
        if path is None or str(path) in DOCUMENTS or path.is_relative_to(DOCS):
            continue
        if (ROOT / path).exists():
            yield path
    for name in NAMED.findall(markdown):
        if is_shown(name):
            yield PurePosixPath(name)


def is_shown(name: str) -> bool:
    """Whether code is the name of a file beyond the documentation, from the root on."""
    path = PurePosixPath(name)
    if NAMED.fullmatch(f"`{name}`") is None or name.startswith(".") or path.is_relative_to(DOCS):
        return False
    return path.suffix in LANGUAGES and (ROOT / path).is_file()


def modules() -> list[PurePosixPath]:
    """The sources of the Python package, which the reference links to."""
    files = (file for suffix in ("py", "pyi") for file in (ROOT / "python").rglob(f"*.{suffix}"))
    return sorted(PurePosixPath(file.relative_to(ROOT)) for file in files)


def is_page(name: str) -> bool:
    """Whether code is the name of a page of the documentation, from the root on."""
    path = PurePosixPath(name)
    return path.suffix == ".md" and path.is_relative_to(DOCS) and (ROOT / path).is_file()


def closure(paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """The paths, and what their folders list."""
    found: dict[PurePosixPath, None] = {}
    todo = list(paths)
    while todo:
        path = todo.pop()
        if path not in found:
            found[path] = None
            todo.extend(listed(path))
    return sorted(found)


def listed(path: PurePosixPath) -> list[PurePosixPath]:
    """The files and folders in a folder; none in a file."""
    if not (ROOT / path).is_dir():
        return []
    return sorted(
        path / entry.name
        for entry in (ROOT / path).iterdir()
        if not entry.name.startswith(".") and not {entry.name, entry.suffix} & UNWRITTEN
    )


def shown(path: PurePosixPath) -> str:
    """The Markdown of the page that shows a file or a folder."""
    head = f"---\nsearch:\n  exclude: true\nhide: [toc]\n---\n\n# `{path}`\n\n"
    if (ROOT / path).is_dir():
        lines = [f"- [{child.name}]({child.name})" for child in listed(path)]
        return head + "\n".join(lines) + "\n"
    text = (ROOT / path).read_text()
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    language = LANGUAGES.get(path.suffix, "text")
    return f'{head}{fence}{language} linenums="1"\n{text.rstrip()}\n{fence}\n'
