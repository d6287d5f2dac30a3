"""Checks the built site: every link leads somewhere, nothing is loaded from elsewhere.

    python docs/_site/link_check.py site

mkdocs checks links between the pages that it reads. This reads the HTML that it wrote: links of
docstrings, of the theme and of pages that hooks made, their anchors, and what a browser would load.
It also looks for what must be there: a page of the reference for each public name, and a search
index that works from the disk.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes whose address a browser loads while it shows the page.
LOADED = {
    ("audio", "src"),
    ("iframe", "src"),
    ("img", "src"),
    ("link", "href"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("video", "src"),
}
STYLE_LOADS = re.compile(r"""(?:url\(|@import\s)\s*["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The anchors and the addresses of one page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names and where it leads."""
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        # A canonical address is a name; nothing is loaded from it.
        if values.get("rel") not in ("canonical", "next", "prev"):
            self.loads += [value for name, value in values.items() if (tag, name) in LOADED]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Treat `<img .. />` as `<img ..>`."""
        self.handle_starttag(tag, attrs)


def problems(site: Path) -> Iterator[str]:
    """What is wrong with a built site, in lines of text."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site} has no page"
    for path, page in pages.items():
        here = path.relative_to(site)
        for address in page.loads:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                yield f"{here} loads {address}"
            elif fault := dead(site, path, address, pages):
                yield f"{here}: {fault}"
        for address in page.links:
            if fault := dead(site, path, address, pages):
                yield f"{here}: {fault}"
    for style in sorted(site.rglob("*.css")):
        for address in STYLE_LOADS.findall(style.read_text()):
            yield f"{style.relative_to(site)} loads {address}"


def dead(site: Path, page: Path, address: str, pages: dict[Path, Page]) -> str | None:
    """What is wrong with an address, unless it leads out of the site or somewhere in it."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    if parts.path.startswith("/"):
        return f"{address} needs a server"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(site) or not target.is_file():
        return f"there is no {address}"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"there is no {address}: the page is there, the anchor is not"
    return None


def main() -> int:
    """Print what is wrong, and give the status for the shell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="the folder that mkdocs wrote")
    options = parser.parse_args()
    site = options.site.resolve()
    found = list(dict.fromkeys(problems(site)))
    print("\n".join(found) if found else "every link leads somewhere, and nothing is loaded")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
