"""Text that is safe in HTML, and numbers as people read them."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["byte_count", "count", "joined", "plain", "shape_text"]

_LONGEST = 200


def plain(text: object, longest: int = _LONGEST) -> str:
    """A text as HTML shows it, escaped.

    What is not printable, such as a mark that turns the direction of writing, is shown by its
    number. A longer text loses its middle.
    """
    text = str(text)
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}…{text[-half:]}"
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return html.escape(shown)


def count(number: int) -> str:
    """A number with its thousands apart; a large one rounded."""
    if abs(number) < 10**9:
        return f"{number:,}"
    return f"{_float_of(number):.3g}"


def _float_of(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def byte_count(nbytes: int) -> str:
    """Bytes, in units of 1000."""
    if nbytes == 1:
        return "1 byte"
    if nbytes < 1000:
        return f"{nbytes} bytes"
    size = _float_of(nbytes)
    for unit in ("KB", "MB", "GB", "TB", "PB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.3g} {unit}"
    return f"{size:.4g} PB"


def shape_text(shape: Iterable[int | None]) -> str:
    """A shape as Python writes it; "·" for a size that differs. Many axes lose their middle."""
    sizes = ["·" if size is None else str(size) for size in shape]
    if len(sizes) > 8:
        sizes = [*sizes[:5], "…", *sizes[-2:]]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def joined(words: Iterable[str]) -> str:
    """Words with a point between them."""
    return " · ".join(word for word in words if word)
