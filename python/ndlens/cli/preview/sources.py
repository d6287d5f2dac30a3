"""What is shown: arrays that `nl.open` opens, or photographs that `nl.images` decodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ndlens as nl

from ..report import Failure
from ..units import size_text

if TYPE_CHECKING:
    import argparse

__all__ = ["Source", "opened"]

_PHOTOGRAPHS = (".jpeg", ".jpg", ".png", ".webp")
_NAMES_SHOWN = 12
_MOST_DECODED_BYTES = 4_000_000_000  # all photographs of a sheet are in memory at once


@dataclass
class Source:
    """A field of a loader."""

    fields: Any  # as a loader takes them: one array, or a dict of one
    array: Any  # the array itself
    notes: list[str] = field(default_factory=list)
    names: list[str] | None = None  # of the items, if they have names

    def structured(self, setting: Any) -> Any:
        """A setting of the field in the structure of the fields."""
        if isinstance(self.fields, dict) and setting is not None:
            return dict.fromkeys(self.fields, setting)
        return setting


def opened(arguments: argparse.Namespace) -> Source:
    """The items that the arguments name.

    Raises:
        Failure: There are none, or they are not images.
    """
    path = Path(arguments.path)
    if path.is_dir():
        return _photographs(_in_folder(path), arguments)
    if path.suffix.lower() in _PHOTOGRAPHS and path.is_file():
        return _photographs([path], arguments)
    shape = None
    if arguments.shape is not None:
        try:
            shape = [int(size) for size in arguments.shape.strip("()").split(",") if size.strip()]
        except ValueError as error:
            raise Failure(f"--shape must be numbers, such as -1,480,640,3: {error}") from error
        if arguments.dtype is None:
            raise Failure("--shape is of raw bytes: give --dtype, too")
    raw = {} if arguments.dtype is None else {"dtype": arguments.dtype, "shape": shape}
    try:
        array = nl.open(arguments.path, "r", **raw)
    except (OSError, ValueError, TypeError) as error:
        raise Failure(str(error)) from error
    if not isinstance(array, nl.Arrays):
        if arguments.field is not None:
            raise Failure(f"--field: {arguments.path} is one array, without names")
        return _checked(Source(array, array))
    name = arguments.field if arguments.field is not None else _only_images(array)
    try:
        chosen = array[name]
    except KeyError:
        raise Failure(f"{arguments.path} has no array {name!r}: {_listed(list(array))}") from None
    except nl.FormatError as error:
        raise Failure(str(error)) from error
    note = f'the field is {{"{name}": ..}}: draws depend on the name of a field'
    return _checked(Source({name: chosen}, chosen, [note]))


def _only_images(arrays: nl.Arrays) -> str:
    """The name of the only array of a file that may hold images."""
    names = []
    for name in arrays:
        _, shape = arrays.info(name)
        if len(shape) in (3, 4) or name.endswith("/ragged") or _is_ragged(arrays, name):
            names.append(name)
    if len(names) == 1:
        return names[0]
    what = f"{len(names)} arrays that may be images" if names else "no array that may be images"
    listed = _listed(names or list(arrays))
    raise Failure(f"{arrays.path} has {what}: give --field NAME; {listed}")


def _is_ragged(arrays: nl.Arrays, name: str) -> bool:
    return len(arrays) < 1000 and isinstance(arrays[name], nl.Items)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"its arrays are {', '.join(map(repr, names[:_NAMES_SHOWN]))}{more}"


def _checked(source: Source) -> Source:
    shape = source.array.shape
    if len(shape) not in (3, 4) or not shape[0]:
        raise Failure(
            f"items of shape {tuple(shape[1:])} are not images: an array of shape (items, height, "
            "width), (items, height, width, channels) or (items, channels, height, width) is needed"
        )
    return source


def _in_folder(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.suffix.lower() in _PHOTOGRAPHS]
    if not found:
        raise Failure(
            f"{folder} has no photograph that ndlens decodes ({', '.join(_PHOTOGRAPHS)}); for "
            f"arrays give a file, or a quoted pattern such as '{folder}/*.npy'"
        )
    return sorted(found)


def _photographs(paths: list[Path], arguments: argparse.Namespace) -> Source:
    """Photographs as items of different sizes; only those that are shown are decoded."""
    import numpy as np

    chosen = nl.Loader(
        np.arange(len(paths)),
        shuffle=arguments.shuffle,
        seed=arguments.seed,
        num_samples=min(arguments.count, len(paths)),
        rank=0,
        world_size=1,
        output="view",
    )
    images = nl.images(paths)
    decoded: dict[int, Any] = {}
    nbytes = 0
    for epoch in range(arguments.epochs):
        for number in chosen.indices(epoch).tolist():
            if number in decoded:
                continue
            try:
                info = nl.image_info(paths[number])
                nbytes += 3 * info.width * info.height
                if nbytes > _MOST_DECODED_BYTES and decoded:
                    raise Failure(
                        f"{len(decoded) + 1} photographs are more than "
                        f"{size_text(_MOST_DECODED_BYTES)} decoded: say --count {len(decoded)}"
                    )
                decoded[number] = images[number]
            except (OSError, nl.ImageError, MemoryError) as error:
                raise Failure(str(error)) from error
    # An item's draws depend on its number, so the others keep their places.
    other = next(iter(decoded.values()))
    items = nl.ragged([decoded.get(number, other) for number in range(len(paths))])
    return Source(items, items, [], [path.name for path in paths])
