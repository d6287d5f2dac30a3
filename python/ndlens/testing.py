"""Assertions about memory, for tests.

>>> import ndlens as nl
>>> import ndlens.testing
>>> pixels = bytearray(24)
>>> nl.testing.assert_zero_copy(pixels, nl.view(pixels).reshape(2, 3, 4)[:, ::-1])
>>> nl.testing.assert_zero_copy(pixels, nl.view(pixels).copy())
Traceback (most recent call last):
    ...
AssertionError: b does not lie in the memory of a: it shares no byte with it...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from . import _ndlens, _trace

__all__ = ["assert_no_copies", "assert_zero_copy"]

# The first address, the one after the last, and whether the memory is read-only.
_Extent: TypeAlias = tuple[int, int, bool]


def assert_zero_copy(a: Any, b: Any, *, write: bool = False) -> None:
    """Asserts that `b` shows the memory of `a`: every byte of its elements is one of `a`'s.

    Shapes, strides and dtypes may differ, as those of a crop, a transposed or a reinterpreted view
    do. The answer is exact: elements between those of `a` are not `a`'s.

    Args:
        a: Anything `nl.view` takes: an array, a tensor, a view, a buffer.
        b: Likewise, with at least one element.
        write: Whether to prove it by a write too: a byte is inverted through `b`, or through `a`
            if `b` is read-only, read through the other, and put back. No other thread may use it
            meanwhile.

    Raises:
        AssertionError: Some byte of `b` is not in `a`. The message has the addresses.
        TypeError: `nl.view` does not take `a` or `b`.
        ValueError: `write=True`, and both are read-only.

    >>> import ndlens as nl
    >>> import ndlens.testing
    >>> pixels = nl.view(bytearray(12)).reshape(3, 4)
    >>> nl.testing.assert_zero_copy(pixels, pixels.permute(1, 0)[1:], write=True)
    """
    __tracebackhide__ = True
    of_a, of_b, lies, shares = _ndlens._compare_memory(a, b)
    if of_b[0] == of_b[1]:
        raise AssertionError("b has no elements, which prove nothing")
    if not lies:
        raise AssertionError(_difference(of_a, of_b, shares))
    if not write:
        return
    seen = _ndlens._write_through(a, b)
    if seen is None:
        raise ValueError("write=True needs memory that may be written, and a and b are read-only")
    if not seen:
        raise AssertionError(
            f"a byte written at {of_b[0]:#x} through one is not seen through the other: "
            "the system gave them pages of their own, or another thread wrote meanwhile"
        )


def _difference(a: _Extent, b: _Extent, shares: bool) -> str:
    if not shares:
        why = "it shares no byte with it"
    elif a[0] <= b[0] and b[1] <= a[1]:
        why = "it shares some bytes, and others are between the elements of a"
    else:
        before, after = max(a[0] - b[0], 0), max(b[1] - a[1], 0)
        why = f"it reaches {before:,} bytes before it and {after:,} bytes behind it"
    where = "".join(
        f"\n  {name}: {start:#x} to {end:#x}, {end - start:,} bytes"
        for name, (start, end, _) in (("a", a), ("b", b))
    )
    made = "".join(f"\n{copies}" for copies in _trace.open_traces() if copies)
    traced = f"\ncopies that the open trace has:{made}" if made else ""
    return f"b does not lie in the memory of a: {why}{where}{traced}"


@contextmanager
def assert_no_copies() -> Iterator[_trace.Copies]:
    """Asserts that ndlens copies nothing in a `with` block; `nl.trace` says what counts.

    The block runs to its end, so that the message has all copies.
    `nl.trace(limit_bytes=0)` raises at the first, before it is made.

    Returns:
        A context manager that gives the `nl.Copies`.

    Raises:
        AssertionError: ndlens copied. The message has the copies with their lines.

    >>> import ndlens as nl
    >>> import ndlens.testing
    >>> with nl.testing.assert_no_copies():
    ...     crop = nl.view(bytes(16)).reshape(4, 4)[1:3, 1:3]
    """
    __tracebackhide__ = True
    with _trace.trace() as copies:
        yield copies
    if copies:
        raise AssertionError(f"ndlens copied {copies.nbytes:,} bytes:\n{copies}")
