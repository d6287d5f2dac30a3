"""Bytes and seconds as people read them: three digits, and a unit."""

from __future__ import annotations

__all__ = ["size_text", "time_text"]


def size_text(nbytes: float) -> str:
    """Bytes in the largest unit, a power of 1000, of which there is at least one."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(nbytes) < 999.5 or unit == "GB":
            break
        nbytes /= 1000
    return f"{nbytes:.0f} {unit}" if unit == "B" or nbytes >= 9.95 else f"{nbytes:.1f} {unit}"


def time_text(seconds: float) -> str:
    """Seconds in the largest unit, a power of 1000, of which there is at least one."""
    for unit in ("s", "ms", "µs"):
        if seconds >= 1 or unit == "µs":
            break
        seconds *= 1000
    return f"{seconds:.0f} {unit}" if seconds >= 9.95 else f"{seconds:.1f} {unit}"
