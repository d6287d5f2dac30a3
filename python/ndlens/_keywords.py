"""Errors for keywords that other libraries have in the place of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def refuse_elsewhere(name: str, given: Iterable[str], elsewhere: Mapping[str, str]) -> None:
    """Refuse keywords of other libraries, and say what to give instead.

    Args:
        name: Name of the function that is called.
        given: Keywords of the call.
        elsewhere: What to give instead of each keyword of other libraries.

    Raises:
        TypeError: One of the keywords is another library's.
    """
    for keyword in given:
        if keyword in elsewhere:
            raise TypeError(
                f"{name}() got an unexpected keyword argument {keyword!r}: {elsewhere[keyword]}"
            )


def refuse_misspelt(name: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse keywords that are nearly one of ours, and say which.

    Args:
        name: Name of the function that is called.
        given: Keywords of the call.
        known: Keywords that it has.

    Raises:
        TypeError: A keyword is not known, and one that is looks like it.
    """
    known = set(known)
    for keyword in given:
        if keyword not in known:
            import difflib

            for near in difflib.get_close_matches(keyword, sorted(known), 1):
                raise TypeError(
                    f"{name}() got an unexpected keyword argument {keyword!r}: did you mean {near}?"
                )
