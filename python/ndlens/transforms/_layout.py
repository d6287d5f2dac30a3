"""The order of the axes of images."""

from __future__ import annotations

from ._base import Transform

__all__ = ["ChannelsFirst"]


class ChannelsFirst(Transform):
    """(height, width, channels) to (channels, height, width).

    Args:
        memory_format: "contiguous", or "channels_last" to turn only the shape and the strides.
            Batches are then what torch calls channels-last,
            `batch.is_contiguous(memory_format=torch.channels_last)`.

    Raises:
        ValueError: `memory_format` is another word.
    """

    memory_format: str = "contiguous"

    def __init__(self, memory_format: str = "contiguous") -> None:
        if memory_format not in ("contiguous", "channels_last"):
            raise ValueError(
                f'memory_format must be "contiguous" or "channels_last", got {memory_format!r}'
            )
        self._set(memory_format=memory_format)
