"""Random transforms applied again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._ndlens import View, _replay
from ._base import Transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

__all__ = ["replay"]


def replay(
    transforms: Iterable[Transform],
    items: Any,
    params: Sequence[dict[str, Any]],
    *,
    channels: Literal["first", "last"] | None = None,
) -> View:
    """Does `transforms` to the rows of `items` with parameters that were drawn before.

    For example, a mask is cropped as its image was.

    Args:
        transforms: The transforms, as a loader takes them.
        items: Rows of shape (items, ...), anything `nl.view` takes; or `nl.Items`, `nl.Shards` or
            `nl.Images`.
        params: A dict for each item, as a loader with `return_params=True` gives them for these
            transforms, or for others with the same random ones. Its key "version" is that of the
            form of the parameters; without it, and in this ndlens, it is 1.
        channels: As in `nl.Loader`.

    Returns:
        A view of shape (items, ...).

    Raises:
        ValueError: Parameters do not fit the transforms or the items, or have an unknown version.
    """
    return _replay(transforms, items, list(params), channels)
