"""What notebooks show of an object: made by a module of `ndlens._html` that its kind names.

Notebooks are few and imports of ndlens many: so that module is imported when a notebook asks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["face"]


def face(kind: str, obj: Any) -> str:
    """An object in HTML.

    Args:
        kind: Name of a module of `ndlens._html`.
        obj: The object, of the class that the module shows.
    """
    import importlib

    html: str = importlib.import_module(f"._html.{kind}", __package__).html(obj)
    return html
