"""Cards, tables and badges. What is given as HTML is escaped already; what is given as text is not.

A name that ends in `html` holds HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .style import STYLE
from .words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["badge", "card", "code", "columns", "facts", "grid", "note", "title"]

_LONG = 44


def code(text: object) -> str:
    """A text as code."""
    text = str(text)
    # A long name is broken anywhere, so that it does not widen its column.
    any_where = " ndl-any" if len(text) > _LONG else ""
    return f'<code class="ndl-m{any_where}">{plain(text)}</code>'


def badge(text: object, *, warns: bool = False) -> str:
    """A few words on a coloured ground."""
    return f'<span class="ndl-badge{" ndl-warn" if warns else ""}">{plain(text)}</span>'


def title(text: object) -> str:
    """A text beside the name of the class."""
    return f'<span class="ndl-title ndl-m">{plain(text)}</span>'


def note(text: object) -> str:
    """A sentence below a table or a drawing."""
    return f'<p class="ndl-note">{plain(text)}</p>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of names, as text, and facts, as HTML."""
    lines = (f"<tr><th>{plain(name)}</th><td>{fact_html}</td></tr>" for name, fact_html in rows)
    return f'<table class="ndl-t"><tbody>{"".join(lines)}</tbody></table>'


def grid(heads: Sequence[str], rows_html: Iterable[Sequence[str]], numbers: Sequence[int]) -> str:
    """A table of HTML under heads that are text; the columns `numbers` are aligned right."""

    def cell(tag: str, place: int, cell_html: str) -> str:
        right = ' class="ndl-n"' if place in numbers else ""
        return f"<{tag}{right}>{cell_html}</{tag}>"

    head = "".join(cell("th", place, plain(text)) for place, text in enumerate(heads))
    body = "".join(
        f"<tr>{''.join(cell('td', place, of_cell) for place, of_cell in enumerate(row))}</tr>"
        for row in rows_html
    )
    return (
        f'<table class="ndl-t ndl-grid"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def columns(*parts_html: str) -> str:
    """Parts side by side, where there is room."""
    return f'<div class="ndl-two">{"".join(f"<div>{part}</div>" for part in parts_html)}</div>'


def card(kind: str, head_html: Iterable[str], body_html: Iterable[str]) -> str:
    """The face of an object of the class `kind`."""
    head = f'<span class="ndl-kind">{plain(kind)}</span>{"".join(head_html)}'
    body = "".join(body_html)
    inside = f'<div class="ndl-body">{body}</div>' if body else ""
    return f'{STYLE}<div class="ndl"><div class="ndl-head">{head}</div>{inside}</div>'
