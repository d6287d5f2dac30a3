"""What the header of an encoded image says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import _ndlens

if TYPE_CHECKING:
    from os import PathLike
    from typing import Any


class ImageInfo(NamedTuple):
    """What the header of an encoded image says: `nl.image_info`."""

    format: str
    """"JPEG", "PNG" or "WebP"."""
    height: int
    """Rows, as stored."""
    width: int
    """Columns, as stored."""
    channels: int
    """Channels of a pixel with `mode="unchanged"`: 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA
    or, of a JPEG, CMYK)."""
    dtype: str
    """"uint8" or "uint16": the dtype with `mode="unchanged"`."""
    orientation: int
    """EXIF 2.32, tag 0x0112, 1 to 8; 1, upright, if there is no such tag. From 5 on the upright
    image has `width` rows and `height` columns."""


def image_info(source: str | PathLike[str] | Any) -> ImageInfo:
    """What the header of a JPEG, PNG or WebP image says, without its pixels.

    There is no limit on the number of pixels.

    Args:
        source: A path, or the encoded bytes: any object that `nl.view` takes, with elements of one
            byte.

    Raises:
        ImageError: The image is damaged or truncated, or of a format or coding that is not decoded.
        OSError: The file cannot be read, such as `FileNotFoundError`.
        TypeError: `source` is neither a path nor bytes.

    >>> import ndlens as nl
    >>> png = bytes.fromhex(
    ...     "89504e470d0a1a0a0000000d49484452000000020000000108020000007b"
    ...     "40e8dd0000000d4944415478da63f8cf0004ff01070001ff3d7d8c490000"
    ...     "000049454e44ae426082"
    ... )
    >>> nl.image_info(png)[:4]
    ('PNG', 1, 2, 3)
    """
    return ImageInfo(*_ndlens._image_header(source))
