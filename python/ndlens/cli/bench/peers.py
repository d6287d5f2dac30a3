"""The packages that ndlens is compared with: which are here, and why one is not."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["find", "reason_without"]

# What pip calls them, where that is another name.
DISTRIBUTIONS = {"cv2": "opencv-python-headless"}


def find(peer: str) -> str | None:
    """Import a package; the reason why it cannot be, or None."""
    try:
        importlib.import_module(peer)
    except ModuleNotFoundError as error:
        if error.name == peer:
            return f"{peer} is not installed: pip install {DISTRIBUTIONS.get(peer, peer)}"
        return f"{peer} cannot be imported: {error}"
    # A broken installation may raise anything.
    except Exception as error:
        return f"{peer} cannot be imported: {error}"
    return None


def reason_without(peers: Iterable[str]) -> str | None:
    """Why these packages cannot be imported, of the first that cannot; None if all can."""
    return next((reason for reason in map(find, peers) if reason), None)
