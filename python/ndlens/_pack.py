"""Images decoded and resized once, in a file that opens mapped: `nl.pack`.

The file is an ordinary `.safetensors`. Its header comes first, but is known last, so room is kept
for it. The images follow as they are made, and the small fields at the end:

    | header, padded with spaces | image, image, .. | offsets, shapes, labels |
    0                            data               end

Beside it a journal has a line for each block of images that is on the disk. A run that was killed
goes on after the last whole line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from . import _ndlens
from ._fields import as_source
from ._folder import ImageFolder
from ._pack_file import PackFile, Plan
from ._torchvision import lowered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

# Images of one block, which are in memory at once: 90 MB of 1 megapixel each, in RGB.
BLOCK = 32
# The key of the names of classes in the file's metadata: a JSON list, in the order of the labels.
CLASSES = "ndlens.classes"


class Packed(NamedTuple):
    """What `nl.pack` wrote."""

    path: str
    """The path of the file."""
    items: int
    """The number of items in it."""
    skipped: list[tuple[int, str]]
    """The number in the source, and the error, of each image that was left out."""


def _fields_of(source: Any) -> tuple[str, _ndlens.Images, dict[str, Any]]:
    """The name of the field of images, the images, and the other fields."""
    if isinstance(source, _ndlens.Images):
        return "image", source, {}
    if not isinstance(source, Mapping):
        raise TypeError(
            "pack takes nl.images(..), nl.image_folder(..) or a dict with one field of images, got "
            f"{type(source).__name__}"
        )
    fields = dict(source)
    of_images = [name for name, field in fields.items() if isinstance(field, _ndlens.Images)]
    if len(of_images) != 1:
        raise TypeError(
            "pack takes a dict with one field of images, nl.images(..), and others that are kept "
            f"as they are; got {len(of_images)} fields of images in {list(fields)}"
        )
    (name,) = of_images
    images = fields.pop(name)
    others = {other: as_source(field) for other, field in fields.items()}
    for other, field in others.items():
        if len(field) != len(images):
            raise ValueError(
                f"fields have different lengths: {name!r} has {len(images)} items, {other!r} has "
                f"{len(field)}"
            )
    return name, images, others


def _metadata_of(source: Any, metadata: Mapping[str, str] | None) -> dict[str, str]:
    """The caller's metadata, and the names of the classes of an image folder."""
    given = dict(metadata or {})
    for key, text in given.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"metadata must be strings by strings, got {key!r}: {text!r}")
    if isinstance(source, ImageFolder):
        if CLASSES in given:
            raise ValueError(f"metadata has {CLASSES!r}, where pack writes the folder's classes")
        given[CLASSES] = json.dumps(source.classes, ensure_ascii=False)
    return given


def _steps_of(
    transforms: Any, quality: int | None, images: _ndlens.Images, threads: int
) -> list[Any]:
    """The transforms as a list of ours; those that cannot be packed are refused."""
    if transforms is None:
        return []
    # An iterator gives them once, and they are read twice.
    given = list(transforms) if isinstance(transforms, Iterator) else transforms
    steps, _, _ = lowered(given)
    _ndlens._prepare_images(images, 0, 0, steps, quality, threads)
    return list(steps)


def _options_of(transforms: Any, quality: int | None, images: _ndlens.Images) -> list[str]:
    """What is done to images, in words: a pack that goes on must do the same."""
    return [repr(step) for step in transforms] + [
        f"quality={quality}",
        f"mode={images.mode}",
        f"orient={images.orient}",
    ]


def _blocks(start: int, total: int) -> Iterator[tuple[int, int]]:
    for first in range(start, total, BLOCK):
        yield first, min(first + BLOCK, total)


def pack(
    source: Any,
    path: str | os.PathLike[str],
    *,
    transforms: Any = (),
    format: Literal["pixels", "jpeg"] = "pixels",
    quality: int = 95,
    num_workers: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    metadata: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Packed:
    """Decodes and transforms images once, and writes them to a `.safetensors` that opens mapped.

    A loader of the packed set decodes nothing, or small JPEGs. `nl.open(path)` gives the fields
    back: the images as `nl.Items` of pixels, of shape (height, width, channels) each, or with
    `format="jpeg"` as `nl.Items` of bytes, which `nl.images(fields["image"])` reads.

    Images are made by threads without the interpreter, and written as they are made: the set may be
    larger than memory. If the process is killed, the same call goes on after the last whole block
    of 32 images; if an image fails, after the last image before it. The file gets its name when it
    is whole and on the disk. A call that is refused leaves no file.

    The names of the classes of an `nl.image_folder` are in the file's metadata, as a JSON list in
    the order of the labels: `json.loads(nl.open(path).metadata["ndlens.classes"])`.

    Args:
        source: `nl.images(..)`, `nl.image_folder(..)`, or a dict with one field of images; other
            fields, such as labels, are kept as they are.
        path: Path of the new file, which ends in ".safetensors". There must be no such file.
        transforms: Transforms of `ndlens.transforms` that draw nothing, such as `[T.Resize(256)]`,
            which makes the shorter side 256, or torchvision's, a list of v2 transforms or a
            `v2.Compose`, as `nl.Loader` takes them. Pixels are kept as (height, width, channels)
            with either. By default none.
        format: "pixels", or "jpeg" for images of uint8 with 1 or 3 channels, which takes about a
            tenth of the bytes, and time when it is loaded.
        quality: Quality of JPEGs, from 1 to 100. Below 90 colours have half the resolution.
        num_workers: Number of threads; by default one for each processor of the process.
        on_error: What happens to an image that cannot be read or decoded: "raise", or "skip", which
            leaves the item out of all fields.
        metadata: Strings for the file's metadata.
        progress: Whether a bar is shown where standard error is a terminal.

    Returns:
        Packed: The path, the number of items, and what was left out.

    Raises:
        FileExistsError: There is a file of this name.
        FileNotFoundError: There is no such folder to write to.
        OSError, ImageError: An image cannot be read or decoded; the error names it. The images
            before it are kept, and the same call goes on after them.
        TypeError: `source` has no field of images or several, or a transform cannot be compiled.
        ValueError: A transform is random, there is no image, or an unfinished file beside the path
            is of other images or other options.

    >>> import os, tempfile
    >>> import ndlens as nl
    >>> from ndlens import transforms as T
    >>> png = bytes.fromhex(
    ...     "89504e470d0a1a0a0000000d49484452000000020000000108020000007b"
    ...     "40e8dd0000000d4944415478da63f8cf0004ff01070001ff3d7d8c490000"
    ...     "000049454e44ae426082"
    ... )
    >>> fields = {"image": nl.images([png, png]), "label": nl.view(b"01")}
    >>> path = os.path.join(tempfile.mkdtemp(), "small.safetensors")
    >>> nl.pack(fields, path, transforms=[T.Resize((4, 6))], progress=False).items
    2
    >>> nl.open(path)["image"][1].shape
    (4, 6, 3)
    """
    if format not in ("pixels", "jpeg"):
        raise ValueError(f'format must be "pixels" or "jpeg", got {format!r}')
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error must be "raise" or "skip", got {on_error!r}')
    jpeg = quality if format == "jpeg" else None
    if jpeg is not None and not 1 <= jpeg <= 100:
        raise ValueError(f"quality must be from 1 to 100, got {quality}")
    if num_workers is None:
        num_workers = len(os.sched_getaffinity(0))
    threads = max(num_workers, 1)
    name, images, others = _fields_of(source)
    if not len(images):
        raise ValueError("there is no image to pack")
    steps = _steps_of(transforms, jpeg, images, threads)
    target = os.fsdecode(path)
    plan = Plan(
        name=name,
        total=len(images),
        fingerprint=f"{_ndlens._fingerprint_of_images(images):016x}",
        options=_options_of(steps, jpeg, images),
        fields=[str(other) for other in others],
        metadata=_metadata_of(source, metadata),
    )
    with PackFile(target, plan, others) as file:
        blocks = list(_blocks(file.done, plan.total))
        for start, stop in _with_bar(blocks, target, show=progress):
            data, dtype, outcomes = _ndlens._prepare_images(
                images, start, stop, steps, jpeg, threads
            )
            failed = None
            if on_error == "raise":
                failed = next((one for one in outcomes if isinstance(one, Exception)), None)
            file.append(start, data, dtype, outcomes, before=failed)
            if failed is not None:
                failed.add_note(file.progress())
                failed.add_note('on_error="skip" leaves such images out')
                raise failed
        skipped = file.finish(others)
    return Packed(target, plan.total - len(skipped), skipped)


def _with_bar(blocks: list[tuple[int, int]], path: str, *, show: bool) -> Iterator[tuple[int, int]]:
    if not show:
        yield from blocks
        return
    from .cli.progress import Progress

    with Progress() as bar:
        name = path.rpartition("/")[2]
        yield from bar.of(blocks, len(blocks), f"packing {name}")
