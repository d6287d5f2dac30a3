"""A warning for images and masks that are cropped and flipped apart.

Fields draw for themselves unless `joint` names them. That is right for two views of one image, and
wrong for an image and its mask, whose pixels then no longer lie on each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ._ndlens import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Random transforms that move pixels, of ndlens and of torchvision.
_MOVE_PIXELS = frozenset(
    {
        "RandomCrop",
        "RandomHorizontalFlip",
        "RandomQuarterTurn",
        "RandomResizedCrop",
        "RandomVerticalFlip",
    }
)


def _moves(transforms: Any) -> Iterator[str]:
    """The names of the random transforms that move pixels, in a list or a `Compose`."""
    steps = getattr(transforms, "transforms", transforms)
    for step in steps if isinstance(steps, list | tuple) else [steps]:
        name = type(step).__name__
        if name in _MOVE_PIXELS:
            yield name
        elif name == "Compose":
            yield from _moves(step)


def warn_of_separate_draws(fields: Any, transforms: Any, stacklevel: int) -> None:
    """Warn if several fields of images share a random transform that moves pixels.

    Several fields of one `Images` object are views of the same images, and no reason to warn.

    Args:
        fields: The fields of a loader.
        transforms: Their transforms, in the same structure.
        stacklevel: As that of `warnings.warn`, of the function that calls this one.
    """
    if isinstance(fields, Mapping) and isinstance(transforms, Mapping):
        named = [(name, field, transforms.get(name)) for name, field in fields.items()]
    elif isinstance(fields, tuple | list) and isinstance(transforms, tuple | list):
        named = [
            (place, field, steps)
            for place, (field, steps) in enumerate(zip(fields, transforms, strict=False))
        ]
    else:
        return
    images = [
        (name, field, set(_moves(steps))) for name, field, steps in named if type(field) is Images
    ]
    for place, (name, field, moves) in enumerate(images):
        for before, other, others in images[:place]:
            if field is not other and (shared := sorted(moves & others)):
                import warnings

                warnings.warn(
                    f"fields {before!r} and {name!r} draw {shared[0]} each for itself, so an image "
                    f"and its mask no longer match: give joint=({before!r}, {name!r}) if they "
                    "belong together, or joint=() if not",
                    UserWarning,
                    stacklevel + 1,
                )
                return
