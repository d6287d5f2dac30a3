"""What is shown: arrays that `nl.open` opens, or photographs that `nl.images` decodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ndlens as nl
from ndlens._folder import DECODED

from ..archives import archived
from ..report import Failure
from ..units import size_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["Source", "first_numbers", "opened"]

_PHOTOGRAPHS = tuple(sorted(DECODED))
_WILDCARDS = "*?[{"
# Of items of bytes so many are looked at for an image, since the first may be damaged.
_LOOKED_AT = 16
_NAMES_SHOWN = 12
_MOST_DECODED_BYTES = 4_000_000_000  # all photographs of a sheet are in memory at once


@dataclass
class Source:
    """A field of a loader."""

    fields: Any  # as a loader takes them: one array, or a dict of one
    array: Any  # the array itself
    notes: list[str] = field(default_factory=list)
    names: Sequence[str] | None = None  # of the items, if they have names
    numbers: list[int] | None = None  # of the items to show, if they are chosen here

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
        return _photographs(_in_folder(path), path, arguments)
    if path.suffix.lower() in _PHOTOGRAPHS and path.is_file():
        return _photographs([path], path.parent, arguments)
    if not path.exists():
        if not set(_WILDCARDS).intersection(arguments.path):
            raise Failure(f"{path}: there is no such file or folder")
        if found := _matching(arguments.path):
            return _photographs(found, _fixed_folder(arguments.path), arguments)
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
    if isinstance(array, nl.Samples):
        return _samples(array, arguments)
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
    if _are_encoded(chosen):
        return _images(chosen, None, arguments, {name: f'nl.images(fields["{name}"])'})
    return _checked(Source({name: chosen}, chosen, [note]))


def _only_images(arrays: nl.Arrays) -> str:
    """The name of the only array of a file that may hold images."""
    names = [name for name in arrays if _may_be_images(arrays, name)]
    if len(names) == 1:
        return names[0]
    what = f"{len(names)} arrays that may be images" if names else "no array that may be images"
    listed = _listed(names or list(arrays))
    raise Failure(f"{arrays.path} has {what}: give --field NAME; {listed}")


def _may_be_images(arrays: nl.Arrays, name: str) -> bool:
    try:
        _, shape = arrays.info(name)
    except KeyError:
        # Items of different sizes are several arrays in the file, and none has their name.
        try:
            items = arrays[name]
        except nl.FormatError:
            return False
        return len(items.shape) in (3, 4) or _are_encoded(items)
    return len(shape) in (3, 4)


def _are_encoded(items: Any) -> bool:
    """Whether these are items of bytes, of which one of the first is an encoded image."""
    if not isinstance(items, nl.Items) or len(items.shape) != 2 or items.dtype != "uint8":
        return False
    for number in range(min(len(items), _LOOKED_AT)):
        try:
            nl.image_info(items[number])
        except nl.ImageError:
            continue
        return True
    return False


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


def _matching(pattern: str) -> list[Path]:
    """The photographs that a pattern names, as `nl.images` takes it; none of other files."""
    try:
        found = [Path(path) for path in nl.images(pattern).paths or ()]
    except (OSError, ValueError):
        return []
    return found if found and found[0].suffix.lower() in _PHOTOGRAPHS else []


def _fixed_folder(pattern: str) -> Path:
    """The folder that all files of a pattern are in: what precedes the first wildcard."""
    first = min(pattern.index(mark) for mark in _WILDCARDS if mark in pattern)
    return Path(pattern[:first].rpartition("/")[0] or ("/" if pattern.startswith("/") else "."))


def _photographs(paths: list[Path], folder: Path, arguments: argparse.Namespace) -> Source:
    if arguments.field is not None:
        raise Failure(f"--field: {arguments.path} is of photographs, without names of fields")
    names = [
        (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
        for path in paths
    ]
    return _images(paths, names, arguments, {})


def _samples(samples: nl.Samples, arguments: argparse.Namespace) -> Source:
    """The images of samples in tar archives."""
    selected, name = archived(samples, arguments.field, (), option="--field", skip=arguments.skip)
    code = f'nl.images(samples["{name}"])'
    source = _images(selected[name], selected.sample_keys, arguments, {"image": code})
    without = len(samples.sample_keys) - len(selected.sample_keys)
    if without:
        source.notes.append(f"left out: samples without {name!r}, {without} in all")
    return source


def first_numbers(length: int, arguments: argparse.Namespace) -> list[int]:
    """The numbers of the items that a loader gives first."""
    import numpy as np

    loader = nl.Loader(
        np.arange(length),
        shuffle=arguments.shuffle,
        seed=arguments.seed,
        num_samples=min(arguments.count, length),
        rank=0,
        world_size=1,
        output="view",
    )
    numbers: list[int] = loader.indices(0).tolist()
    return numbers


def _decoded_nbytes(encoded: Any) -> int:
    """The bytes of an image in RGB; 0 of one that cannot be decoded, whose decoding says why."""
    try:
        info = nl.image_info(encoded)
    except (OSError, nl.ImageError):
        return 0
    return 3 * info.width * info.height


def _images(
    encoded: Any,
    names: Sequence[str] | None,
    arguments: argparse.Namespace,
    named: dict[str, str],
) -> Source:
    """Encoded images as items of different sizes; only those that are shown are decoded.

    Args:
        encoded: Paths, or items of bytes.
        names: The names of the images; None if they have none.
        arguments: Those of the command.
        named: The name of the field, and the Python that makes it; empty for one without a name.

    Raises:
        Failure: An image cannot be read or decoded, and is not to be left out.
    """
    images = nl.images(encoded)
    decoded: dict[int, Any] = {}
    notes = [
        f'the field is {{"{field}": {code}}}: draws depend on the name of a field'
        for field, code in named.items()
    ]
    nbytes = 0
    for number in first_numbers(len(images), arguments):
        nbytes += _decoded_nbytes(encoded[number])
        if nbytes > _MOST_DECODED_BYTES and decoded:
            raise Failure(
                f"{len(decoded) + 1} photographs are more than "
                f"{size_text(_MOST_DECODED_BYTES)} decoded: say --count {len(decoded)}"
            )
        try:
            decoded[number] = images[number]
        except MemoryError as error:
            raise Failure(str(error)) from error
        except (OSError, nl.ImageError) as error:
            if not arguments.skip:
                raise Failure(f"{error}; --skip leaves it out") from error
            notes.append(f"left out: {error}")
    if not decoded:
        raise Failure(f"no image can be shown: {'; '.join(notes)}")
    # An item's draws depend on its number, so the others keep their places.
    other = next(iter(decoded.values()))
    items = nl.ragged([decoded.get(number, other) for number in range(len(images))])
    fields = dict.fromkeys(named, items) if named else items
    return Source(fields, items, notes, names, list(decoded))
