"""The items of a sheet: as they are, and as a loader makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ndlens as nl
from ndlens import transforms as T
from ndlens._torchvision import lowered

from ..report import Failure
from .sources import first_numbers

if TYPE_CHECKING:
    import argparse

    from numpy import ndarray

    from .sources import Source

__all__ = ["Item", "Made", "made_items"]

Pixels = Any  # (height, width) or (height, width, channels), of any dtype


@dataclass
class Made:
    """An item as the loader made it in an epoch."""

    epoch: int
    pixels: ndarray[Any, Any]
    params: dict[str, Any]
    box: tuple[int, int, int, int] | None = None  # left, top, width, height in the sheet


@dataclass
class Item:
    """An item of the source."""

    number: int
    name: str
    pixels: ndarray[Any, Any]
    made: list[Made] = field(default_factory=list)
    box: tuple[int, int, int, int] | None = None
    crop: dict[str, int] | None = None  # what the first transform keeps, if that is known


def made_items(
    items: list[Item], source: Source, steps: Any, epoch: int, arguments: argparse.Namespace
) -> None:
    """Adds what a loader gives in an epoch to the items.

    In the first epoch, items are those that the loader gives first, in its order. In later ones
    they are looked up, so that each is beside itself.
    """
    count = min(arguments.count, len(source.array))
    if not steps and None in source.array.shape:
        # A batch has one size, which nothing gives them: there are the originals alone.
        numbers = source.numbers or first_numbers(len(source.array), arguments)
        _originals(items, source, numbers, arguments.channels == "first")
        return
    settings: dict[str, Any] = {
        "seed": arguments.seed,
        "channels": source.structured(arguments.channels),
        "return_params": True,
        "output": "numpy",
        "rank": 0,
        "world_size": 1,
        "batch_size": count,
        "transforms": source.structured(steps or None),
    }
    order: dict[str, Any] = {"shuffle": arguments.shuffle, "num_samples": count}
    chosen = [item.number for item in items] or source.numbers
    if chosen is not None:
        # The draws of an item do not depend on its place in the order.
        order = {"sampler": chosen}
    try:
        loader = nl.Loader(source.fields, **settings, **order)
        numbers = chosen or loader.indices(epoch).tolist()
        loader.set_epoch(epoch)
        batch, params = next(iter(loader))
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise Failure(_with_option(str(error))) from error
    if isinstance(source.fields, dict):
        (batch,), (params,) = batch.values(), params.values()
    source_first = _source_is_first(source, steps, arguments.channels)
    made_first = source_first or "ChannelsFirst" in loader._core._fields()[0]["last"]
    _originals(items, source, numbers, source_first)
    for item, pixels, drawn in zip(items, batch, params, strict=True):
        if epoch == 0 and arguments.epochs == 1 and _crops_first(steps):
            item.crop = next(iter(drawn.values()))
        item.made.append(Made(epoch, _channels_last(pixels, made_first).copy(), drawn))


def _originals(
    items: list[Item], source: Source, numbers: list[int], is_first: bool = False
) -> None:
    """Adds the items as they are, unless they are there."""
    if items:
        return
    for number in numbers:
        original = source.array[number].numpy()
        name = str(number) if source.names is None else source.names[number]
        items.append(Item(number, name, _channels_last(original, is_first)))


def _crops_first(steps: Any) -> bool:
    """Whether the first transform crops the item itself, not an image that was padded for it."""
    ours, _, _ = lowered(steps)
    first = ours[0] if isinstance(ours, list) and ours else None
    if isinstance(first, T.RandomCrop):
        return not any(first.padding) and not first.pad_if_needed
    return isinstance(first, T.RandomResizedCrop)


def _with_option(message: str) -> str:
    if 'channels="first"' in message or 'channels="last"' in message:
        return f"{message} (here: --channels first or --channels last)"
    return message


def _channels_last(pixels: ndarray[Any, Any], is_first: bool) -> ndarray[Any, Any]:
    return pixels.transpose(1, 2, 0) if is_first and pixels.ndim == 3 else pixels


def _source_is_first(source: Source, steps: Any, channels: str | None) -> bool:
    """Whether the loader takes the channels of the items to come first.

    A crop to one pixel leaves the channels, and so shows where the loader sees them.
    """
    shape = source.array.shape
    if channels is not None or len(shape) < 4:
        return channels == "first" and len(shape) == 4
    probe: list[Any] = [T.CenterCrop((1, 1))]
    if _has_torchvisions(steps):
        from torchvision.transforms import v2

        probe = [v2.CenterCrop((1, 1))]
    try:
        made = nl.Loader(source.array, transforms=probe, rank=0, world_size=1, output="view")
    except ValueError as error:
        if not steps:
            raise Failure(
                f"where are the channels of items of shape {tuple(shape[1:])}? Say --channels "
                "first or --channels last"
            ) from error
        # The list says it: see docs/channels.md.
        return False
    made_shape = made._core._fields()[0]["shape"]
    if made_shape[1:] == (1, 1) and made_shape[0] != shape[3]:
        return True
    return bool(made_shape[0] == shape[1] and made_shape[1:] == (1, 1) and shape[1] < shape[3])


def _has_torchvisions(steps: Any) -> bool:
    listed = steps if isinstance(steps, list) else [steps]
    return any(type(step).__module__.partition(".")[0] == "torchvision" for step in listed)
