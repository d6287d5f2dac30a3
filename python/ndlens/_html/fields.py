"""The fields of a loader, an epoch or a data set as a table."""

from __future__ import annotations

from typing import Any

from . import page
from .words import byte_count, plain, shape_text

__all__ = ["table"]

_FIELDS_MAX = 20
_STEPS_MAX = 16
_THEN = '<span class="ndl-dim"> → </span>'


def table(fields: list[dict[str, Any]], batch_size: int | None) -> str:
    """What each field is, what a batch of it is, and how it is made.

    Args:
        fields: What `_fields` of the compiled classes gives.
        batch_size: Items in a batch; None for a data set, of which each item is shown.
    """
    sized = "a batch" if batch_size is not None else "an item"
    rows = [_row(field, batch_size) for field in fields[:_FIELDS_MAX]]
    left_out = len(fields) - len(rows)
    more = page.note(f"and {left_out} more fields") if left_out else ""
    grid = page.grid(["field", "items", sized, "bytes", "made by"], rows, [3])
    return grid + _legend(fields) + more


def _row(field: dict[str, Any], batch_size: int | None) -> list[str]:
    shape = field["shape"] if batch_size is None else (batch_size, *field["shape"])
    return [
        page.code(field["name"]),
        page.code(field["source"]),
        page.code(f"{field['dtype']} {shape_text(shape)}"),
        plain(byte_count(field["item_nbytes"] * (batch_size or 1))),
        _steps(field),
    ]


def _steps(field: dict[str, Any]) -> str:
    groups = [f'<span class="ndl-step">{page.code(step)}</span>' for step in _some(field["before"])]
    if field["last"]:
        steps = " · ".join(page.code(step) for step in _some(field["last"]))
        groups.append(f'<span class="ndl-pass" title="one pass">{steps}</span>')
    groups += [
        f'<span class="ndl-step" title="in place">{page.code(step)}</span>'
        for step in _some(field["in_place"])
    ]
    if field["on_device"]:
        steps = " · ".join(page.code(step) for step in _some(field["on_device"]))
        groups.append(f'<span class="ndl-dim">on the device:</span> {steps}')
    return _THEN.join(groups) or '<span class="ndl-dim">a copy</span>'


def _some(steps: list[str]) -> list[str]:
    left_out = len(steps) - _STEPS_MAX
    return [*steps[:_STEPS_MAX], f"{left_out} more"] if left_out > 0 else steps


def _legend(fields: list[dict[str, Any]]) -> str:
    if any(field["last"] for field in fields):
        sample = '<span class="ndl-pass">coloured</span>'
        return f'<p class="ndl-note">{sample} steps are one pass: each element written once</p>'
    return ""
