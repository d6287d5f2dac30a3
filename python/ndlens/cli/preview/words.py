"""The drawn parameters of an item in words."""

from __future__ import annotations

from typing import Any

__all__ = ["drawn_text"]


def drawn_text(params: dict[str, Any]) -> list[str]:
    """A line for each random transform.

    Args:
        params: What a loader with `return_params=True` gives for an item.
    """
    return [f"{name} {_value(value, name)}" for name, value in params.items()]


def _value(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and "QuarterTurn" in name:
        return f"{90 * value} degrees"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict) and {"top", "left", "height", "width"} <= set(value):
        size = f"{value['height']} x {value['width']}"
        return f"{size} at {value['top']}, {value['left']}"
    if isinstance(value, dict) and {"key", "item"} <= set(value):
        return "noise"
    if isinstance(value, dict):
        return ", ".join(f"{key.lower()} {_value(each, name)}" for key, each in value.items())
    if isinstance(value, list):
        parts = [_value(each, name) for each in value if each is not None]
        return ", ".join(parts) or "no"
    return str(value)
