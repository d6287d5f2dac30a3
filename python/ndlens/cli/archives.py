"""The images of tar archives, for the commands that show or pack them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ndlens as nl

from .report import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ENDINGS", "archived", "lacking"]

# The fields of samples that are taken for images: the endings of what ndlens decodes.
ENDINGS = ("jpeg", "jpg", "png", "webp")


def archived(
    samples: nl.Samples, chosen: str | None, others: Iterable[str], *, option: str, skip: bool
) -> tuple[nl.Samples, str]:
    """The samples that have an image and other fields, and the name of the field of images.

    Args:
        samples: What `nl.open` made of the archives.
        chosen: The field of images; None is the only one with an ending of ours.
        others: Fields that samples must have beside it.
        option: The option that names the field, such as "--field".
        skip: Whether samples that lack a field are left out.

    Raises:
        Failure: There is no such field, there are several, or samples lack one.
    """
    listed = f"its fields are {', '.join(map(repr, samples))}"
    if chosen is None:
        names = [name for name in samples if name in ENDINGS]
        if len(names) != 1:
            what = f"{len(names)} fields of images" if names else "no field of images"
            raise Failure(
                f"{samples.path} has {what} ({', '.join(names or ENDINGS)}): say {option} NAME; "
                f"{listed}"
            )
        (chosen,) = names
    if chosen not in samples:
        raise Failure(f"{samples.path} has no field {chosen!r}: {listed}")
    fields = [chosen, *others]
    for name in fields:
        if (without := lacking(samples, name)) and not skip:
            total = len(samples.sample_keys)
            raise Failure(
                f"{samples.path}: {without} of {total} samples have no {name!r}: say --skip to "
                "leave them out"
            )
    selected = samples.select(*fields, missing="skip")
    if not len(selected.sample_keys):
        named = " and ".join(map(repr, fields))
        raise Failure(f"{samples.path}: no sample has {named}")
    return selected, chosen


def lacking(samples: nl.Samples, name: str) -> int:
    """The number of samples that have no field of this name."""
    having: Any = samples.select(name, missing="skip").sample_keys
    return len(samples.sample_keys) - len(having)
