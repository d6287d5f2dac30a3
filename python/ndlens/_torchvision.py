"""torchvision's transforms as ours: a `v2.Compose`, or a list of v2 transforms.

A transform is recognised by its class's name and module; torchvision is not imported for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import transforms as T

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _fill(transform: Any) -> Any:
    fill = transform.fill
    if isinstance(fill, dict):
        raise TypeError("a fill for each type of input cannot be compiled; give one for all")
    return 0 if fill is None else fill


def _crop_padding(transform: Any) -> Any:
    if transform.padding is None:
        return None
    # RandomCrop keeps it in another order than it takes it.
    left, right, top, bottom = transform.padding
    return left, top, right, bottom


def _dtype(transform: Any) -> Any:
    if isinstance(transform.dtype, dict):
        raise TypeError("a dtype for each type of input cannot be compiled; give one for all")
    return transform.dtype


def _nothing(_: Any) -> None:
    return None


# Our transform for each class of torchvision.transforms.v2.
_KNOWN: dict[str, Callable[[Any], T.Transform | None]] = {
    "CenterCrop": lambda t: T.CenterCrop(t.size),
    "ColorJitter": lambda t: T.ColorJitter(t.brightness, t.contrast, t.saturation, t.hue),
    "ConvertImageDtype": lambda t: T.ToDtype(t.dtype, scale=True),
    "Identity": _nothing,
    "Normalize": lambda t: T.Normalize(t.mean, t.std),
    "Pad": lambda t: T.Pad(t.padding, _fill(t), t.padding_mode),
    "PILToTensor": _nothing,
    "RandomCrop": lambda t: T.RandomCrop(
        t.size, _crop_padding(t), t.pad_if_needed, _fill(t), t.padding_mode
    ),
    "RandomErasing": lambda t: T.RandomErasing(
        t.p, t.scale, t.ratio, "random" if t.value is None else t.value
    ),
    "RandomGrayscale": lambda t: T.RandomGrayscale(t.p),
    "RandomHorizontalFlip": lambda t: T.RandomHorizontalFlip(t.p),
    "RandomResizedCrop": lambda t: T.RandomResizedCrop(
        t.size, t.scale, t.ratio, t.interpolation, t.antialias
    ),
    "RandomVerticalFlip": lambda t: T.RandomVerticalFlip(t.p),
    "Resize": lambda t: T.Resize(t.size, t.interpolation, t.max_size, t.antialias),
    "ToDtype": lambda t: T.ToDtype(_dtype(t), t.scale),
    "ToImage": _nothing,
    "ToPureTensor": _nothing,
    "ToTensor": lambda _: T.ToDtype("float32", scale=True),
}

# The classes that make a (channels, height, width) image of an array.
_MAKES_IMAGES = {"PILToTensor", "ToImage", "ToTensor"}

_MODULE = "torchvision.transforms.v2"
_PRESETS = "torchvision.transforms._presets"

_LISTED = "docs/transforms.md lists what can"
# What to do instead of transforms that are not compiled.
_INSTEAD = {
    "Lambda": "apply the function to the batch, or to the array before",
    "RGB": 'nl.images gives RGB with mode="RGB", its default: leave it out',
    "Grayscale": 'nl.images gives grey with mode="L"',
}


# Our transform for each class of torchvision that mixes batches.
_MIXES: dict[str, Callable[..., T.BatchTransform]] = {"CutMix": T.CutMix, "MixUp": T.MixUp}


def _is_torchvisions(transform: Any) -> bool:
    return type(transform).__module__.partition(".")[0] == "torchvision"


def _in_place_of_preset(preset: Any) -> str:
    """What to give in place of the transforms of a model's weights."""
    if type(preset).__name__ != "ImageClassification":
        return f"is a preset: give its steps as a list; {_LISTED}"

    def size(of: Any) -> str:
        sizes = list(of) if isinstance(of, list | tuple) else [of]
        return str(sizes[0] if len(sizes) == 1 else tuple(sizes))

    interpolation = getattr(preset.interpolation, "value", preset.interpolation)
    how = "" if interpolation == "bilinear" else f', "{interpolation}"'
    how += "" if preset.antialias else ", antialias=False"
    return (
        f"is a preset: give its steps in place of it, [T.Resize({size(preset.resize_size)}{how}), "
        f'T.CenterCrop({size(preset.crop_size)}), T.ToDtype("float32", scale=True), '
        f"T.Normalize({list(preset.mean)}, {list(preset.std)}), T.ChannelsFirst()], where T is "
        "ndlens.transforms"
    )


def _lowered(transform: Any, place: str) -> T.Transform | None:
    name = type(transform).__name__
    if not type(transform).__module__.startswith(_MODULE):
        if type(transform).__module__ == _PRESETS:
            raise TypeError(f"{place}: torchvision's {name} {_in_place_of_preset(transform)}")
        raise TypeError(f"{place}: {name} is of torchvision's first transforms; use {_MODULE}")
    if name in _MIXES:
        raise TypeError(f"{place}: {name} mixes whole batches: give it to the loader as mix")
    if name not in _KNOWN:
        raise TypeError(
            f"{place}: torchvision's {name} cannot be compiled; {_INSTEAD.get(name, _LISTED)}"
        )
    try:
        return _KNOWN[name](transform)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}: torchvision's {name}: {error}") from error


def _flattened(transforms: Any, place: str) -> Iterable[tuple[Any, str]]:
    steps = transforms.transforms if type(transforms).__name__ == "Compose" else transforms
    for number, step in enumerate(steps):
        at = f"{place}.{number}" if place else f"transform {number}"
        if _is_torchvisions(step) and type(step).__name__ == "Compose":
            yield from _flattened(step, at)
        else:
            yield step, at


def is_one_list(transforms: Any) -> bool:
    """Whether these are the transforms of one field, not lists of them for several fields."""
    if _is_torchvisions(transforms) or isinstance(transforms, T.Transform):
        return True
    members = list(transforms)
    for_fields = any(member is None or isinstance(member, list | tuple) for member in members)
    steps = (member for member in members if type(member).__name__ != "Compose")
    return not for_fields and any(
        isinstance(step, T.Transform) or _is_torchvisions(step) for step in steps
    )


def lowered(transforms: Any) -> tuple[Any, bool, bool]:
    """Our transforms for a list or a `Compose` of torchvision's.

    Returns:
        The list, or `transforms` if it has none of torchvision's; whether any is torchvision's,
        whose images are channels-first; and whether one makes images of arrays.

    Raises:
        TypeError: A transform cannot be compiled; the error says which.
    """
    if isinstance(transforms, list | tuple):
        for number, step in enumerate(transforms):
            if isinstance(step, T.BatchTransform):
                name = type(step).__name__
                raise TypeError(
                    f"transform {number}: {name} mixes whole batches: give it to the loader as mix"
                )
    if _is_torchvisions(transforms):
        transforms = transforms if type(transforms).__name__ == "Compose" else [transforms]
    elif not isinstance(transforms, list | tuple) or not any(map(_is_torchvisions, transforms)):
        return transforms, False, False
    ours: list[Any] = []
    makes_images = False
    for step, place in _flattened(transforms, ""):
        makes_images |= _is_torchvisions(step) and type(step).__name__ in _MAKES_IMAGES
        if (transform := _lowered(step, place) if _is_torchvisions(step) else step) is not None:
            ours.append(transform)
    return ours, True, makes_images


def _lowered_mix(mix: Any, place: str) -> T.BatchTransform:
    if isinstance(mix, T.MixUp | T.CutMix):
        return mix
    name = type(mix).__name__
    if not _is_torchvisions(mix) or name not in _MIXES:
        raise TypeError(f"{place} must be MixUp, CutMix or a RandomChoice of them, got {name}")
    if getattr(mix._labels_getter, "__name__", "") != "_find_labels_default_heuristic":
        raise TypeError(
            f"{place}: torchvision's {name}: a labels_getter cannot be compiled; "
            "say mix_labels instead"
        )
    try:
        return _MIXES[name](mix.num_classes, mix.alpha)
    except ValueError as error:
        raise ValueError(f"{place}: torchvision's {name}: {error}") from error


def lowered_mix(mix: Any) -> tuple[list[T.BatchTransform], list[float] | None]:
    """Our transforms for a mixing of batches, and the probability of each in proportion.

    Raises:
        TypeError: `mix` does not mix batches, or is of torchvision and has a `labels_getter`.
    """
    if isinstance(mix, T.RandomChoice) or (
        _is_torchvisions(mix) and type(mix).__name__ == "RandomChoice"
    ):
        several = [
            _lowered_mix(one, f"mix: transform {number}")
            for number, one in enumerate(mix.transforms)
        ]
        return several, None if mix.p is None else list(mix.p)
    return [_lowered_mix(mix, "mix")], None
