"""What mkdocs calls while it builds the site: pages of the repository, links to them, navigation.

`repository.py` says which files outside `docs/` are pages. A folder in `nav:` of `mkdocs.yml`, such
as `decisions/`, stands for its pages in order.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

import names
import repository
from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# A warning under mkdocs' name fails a strict build.
log = logging.getLogger("mkdocs.hooks.links")


# Where elements name a file.
ATTRIBUTES = {"a": "href", "img": "src"}


class Links(Treeprocessor):
    """Leads links to files of the repository to their pages of the site."""

    # Before the step of mkdocs that resolves links between pages, which has priority 0.
    PRIORITY = 5

    def __init__(self, md: Markdown, extension: RepositoryLinks) -> None:
        super().__init__(md)
        self.extension = extension

    def run(self, root: Element) -> None:
        """Rewrite the links of one page."""
        here = self.extension.page
        source = source_of(here)
        for element in root.iter():
            attribute = ATTRIBUTES.get(element.tag, "")
            link, hash_mark, anchor = element.get(attribute, "").partition("#")
            path = repository.target(source, link) if link else None
            if path is None:
                continue
            if not (repository.ROOT / path).exists():
                log.warning("%s links to %s, and there is no %s", source, link, path)
                continue
            there = posixpath.relpath(repository.place(path), posixpath.dirname(here) or ".")
            element.set(attribute, there + hash_mark + anchor)


class RepositoryLinks(Extension):
    """The Markdown extension of `Links`. It serves every Markdown of a build, docstrings' too."""

    page = ""
    """The page that is rendered now, as mkdocs names its source."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown's name
        """Register the step."""
        md.treeprocessors.register(Links(md, self), "repository_links", Links.PRIORITY)


extension = RepositoryLinks()
sources: dict[str, PurePosixPath] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds our Markdown extensions, and puts the pages of folders into the navigation."""
    extensions: list[Any] = config.markdown_extensions
    extensions += [extension, names.NameLinks()]
    config.nav = expanded(config.nav or [], Path(config.docs_dir))
    return config


def expanded(nav: list[Any], docs: Path) -> list[Any]:
    """A navigation with the pages of each folder, less those that are listed, in its place."""
    named = set(pages_of(nav))

    def pages(entry: Any) -> list[Any]:
        match entry:
            case dict():
                return [{title: of(inner) for title, inner in entry.items()}]
            case str() if entry.endswith("/"):
                files = sorted((docs / entry).glob("*.md"), key=lambda file: file.name)
                inside = (str(file.relative_to(docs)) for file in files)
                return [file for file in inside if file not in named]
        return [entry]

    def of(entries: Any) -> Any:
        is_page = isinstance(entries, str) and not entries.endswith("/")
        listed = [entries] if isinstance(entries, str) else entries
        return entries if is_page else [page for entry in listed for page in pages(entry)]

    return list(of(nav))


def pages_of(nav: Any) -> list[str]:
    """Every page that a navigation lists."""
    if isinstance(nav, str):
        return [nav]
    inner = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in inner for page in pages_of(entry)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the documents of the root, and the files that any page links to."""
    sources.clear()
    for name, page in repository.DOCUMENTS.items():
        if files.get_file_from_path(page) is None:
            files.append(File.generated(config, page, abs_src_path=str(repository.ROOT / name)))
            sources[page] = PurePosixPath(name)
    texts = {source_of(page.src_uri): page.content_string for page in files.documentation_pages()}
    modules = repository.modules()
    texts |= {path: (repository.ROOT / path).read_text() for path in modules}
    wanted = [path for page, text in texts.items() for path in repository.linked(page, text)]
    for path in repository.closure([*wanted, *modules]):
        place = repository.place(path)
        # The links of a list of files are relative to the folder that it lists.
        sources[place] = path / "index.md" if (repository.ROOT / path).is_dir() else path
        files.append(File.generated(config, place, content=repository.shown(path)))
    return files


def source_of(src_uri: str) -> PurePosixPath:
    """The path in the repository of a page's Markdown."""
    return sources.get(src_uri, repository.DOCS / src_uri)


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Tells the extension whose links come next."""
    extension.page = page.file.src_uri
    if page.is_homepage:
        # On GitHub front matter would be a table above the text.
        page.meta["hide"] = ["navigation", "toc"]
    return markdown


def on_page_content(html: str, page: Page, files: Files, **_: Any) -> str:
    """Leads links to files, and to lines of the sources, to their pages."""

    def line(match: re.Match[str]) -> str:
        file = files.get_file_from_path(repository.place(PurePosixPath(match["path"])))
        assert file is not None, match["path"]
        anchor = f"#__codelineno-0-{match['line']}" if match["line"] else ""
        return f'href="{file.url_relative_to(page.file)}{anchor}"'

    return repository.SOURCE.sub(line, html)


def on_post_build(config: MkDocsConfig) -> None:
    """Removes the page that a server shows for addresses it does not have."""
    (Path(config.site_dir) / "404.html").unlink(missing_ok=True)
