"""Links from names in code, such as `nl.view` and `benches/instructions.py`, to what they name.

On GitHub and in `help` they are code alone. On the site each leads to the place that documents it,
if there is one, or to the file.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

import repository
from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

# As the documentation imports them.
MODULES = {"nl": "ndlens", "ndlens": "ndlens", "T": "ndlens.transforms"}
CLASSES = {"Arrays", "Copies", "Holders", "Items", "Loader", "Shards", "View"}
ERRORS = {
    "CopyRequired",
    "FormatError",
    "MovedError",
    "ReadOnlyError",
    "StaleHandleError",
    "ImageError",
    "TruncatedError",
}
NAME = re.compile(r"(?P<path>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(.*\))?")
# In these a name is a link already, or no place for one.
CLOSED = {"a", "autoref", "pre", "h1", "h2", "h3", "h4", "h5", "h6"}


def documented_as(code: str) -> str | None:
    """The name under which the reference would have what a piece of code names."""
    match = NAME.fullmatch(code)
    if match is None:
        return None
    first, _, rest = match["path"].partition(".")
    if first in MODULES and rest:
        return f"ndlens.errors.{rest}" if rest in ERRORS else f"{MODULES[first]}.{rest}"
    if first in ERRORS and not rest:
        return f"ndlens.errors.{first}"
    return f"ndlens.{match['path']}" if first in CLASSES else None


def link_of(code: str) -> Element | None:
    """The element that leads from a piece of code to what it names, empty."""
    name = documented_as(code)
    if name is not None:
        return Element("autoref", {"identifier": name, "optional": ""})
    if repository.is_shown(code) or repository.is_page(code):
        return Element("a", {"href": f"source:{code}"})
    return None


class Names(Treeprocessor):
    """Wraps code that names something in a link. One to the reference may lead nowhere."""

    # After the step that makes elements of inline Markdown, which has priority 20.
    PRIORITY = 6

    def run(self, root: Element) -> None:
        """Wrap the names of one page, or of one docstring."""
        for place, child in enumerate(list(root)):
            reference = link_of(child.text or "") if child.tag == "code" else None
            if reference is not None:
                reference.tail, child.tail = child.tail, None
                reference.append(child)
                root[place] = reference
            elif child.tag not in CLOSED:
                self.run(child)


class NameLinks(Extension):
    """The Markdown extension of `Names`."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown's name
        """Register the step."""
        md.treeprocessors.register(Names(md), "name_links", Names.PRIORITY)
