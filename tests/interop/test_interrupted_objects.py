"""Ctrl-C, and memory that runs out, in a method of an object that was given to ndlens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ndlens as nl
from ndlens import transforms as T

ARRAY = np.arange(24, dtype="i8").reshape(4, 6)
IMAGES = np.zeros((4, 8, 8, 3), "u1")

CALLS: dict[str, Callable[[Any], Any]] = {
    "view": lambda x: nl.view(x),
    "index": lambda x: nl.view(ARRAY)[x],
    "index of several axes": lambda x: nl.view(ARRAY)[0, x],
    "slice": lambda x: nl.view(ARRAY)[x:],
    "assignment": lambda x: nl.view(ARRAY.copy()).__setitem__(0, x),
    "assignment of an element": lambda x: nl.view(ARRAY.copy()).__setitem__((0, 0), x),
    "equality": lambda x: nl.view(ARRAY) == x,
    "membership": lambda x: x in nl.view(ARRAY),
    "reshape": lambda x: nl.view(ARRAY).reshape(x),
    "permute": lambda x: nl.view(ARRAY).permute(x),
    "squeeze": lambda x: nl.view(ARRAY).squeeze(x),
    "flip": lambda x: nl.view(ARRAY).flip(x),
    "take": lambda x: nl.view(ARRAY).take(x),
    "take of a list": lambda x: nl.view(ARRAY).take([x]),
    "explain": lambda x: nl.explain(x, "torch"),
    "holders": lambda x: nl.view(ARRAY).holders() and nl.may_share_memory(ARRAY, x),
    "empty_shared": lambda x: nl.empty_shared(x, "u1"),
    "share": lambda x: nl.share(x),
    "ragged": lambda x: nl.ragged([x]),
    "ragged with offsets": lambda x: nl.ragged(ARRAY.ravel(), offsets=x, shapes=[(24,)]),
    "ragged with shapes": lambda x: nl.ragged(ARRAY.ravel(), shapes=x),
    "ragged with a list of shapes": lambda x: nl.ragged(ARRAY.ravel(), shapes=[(2, 3), x]),
    "subset": lambda x: nl.subset(ARRAY, x),
    "subset by a list": lambda x: nl.subset(ARRAY, [0, x]),
    "items": lambda x: nl.subset(ARRAY, [0, 2])[x],
    "split": lambda x: nl.split(ARRAY, x),
    "split into a list": lambda x: nl.split(ARRAY, [1, x]),
    "split by groups": lambda x: nl.split(ARRAY, [0.5, 0.5], groups=x),
    "split by a list of groups": lambda x: nl.split(ARRAY, [0.5, 0.5], groups=[x, 1, 2, x]),
    "windows by groups": lambda x: nl.windows(ARRAY, 2, groups=x),
    "windows by a list of groups": lambda x: nl.windows(ARRAY, 2, groups=[2, x]),
    "windows by lengths": lambda x: nl.windows(ARRAY, 2, lengths=x),
    "windows by ids": lambda x: nl.windows(ARRAY, 2, ids=x),
    "windows with a target": lambda x: nl.windows(ARRAY, 2, horizon=1, target=x),
    "a loader": lambda x: nl.Loader(x, batch_size=1),
    "a loader of several": lambda x: nl.Loader((ARRAY, x), batch_size=1),
    "a loader's batch size": lambda x: nl.Loader(ARRAY, batch_size=x),
    "a loader's seed": lambda x: nl.Loader(ARRAY, batch_size=1, shuffle=True, seed=x),
    "a loader's transforms": lambda x: nl.Loader(IMAGES, batch_size=1, transforms=x),
    "transforms of several": lambda x: nl.Loader((IMAGES, ARRAY), batch_size=1, transforms=x),
    "a loader's indices": lambda x: nl.Loader(ARRAY, batch_size=1, indices=x),
    "a loader's sampler": lambda x: list(nl.Loader(ARRAY, batch_size=1, sampler=[x])),
    "a transform's argument": lambda x: nl.Loader(
        IMAGES, batch_size=1, transforms=[T.RandomCrop(x)]
    ),
    "open": lambda x: nl.open(x),
}


def hostile(raising: str, error: type[BaseException]) -> tuple[Any, list[BaseException]]:
    """An object of which one method or attribute raises, and what it has raised."""
    raised: list[BaseException] = []

    def fails(*_: Any, **__: Any) -> Any:
        raised.append(error("in an object"))
        raise raised[-1]

    members: dict[str, Any] = {"__hash__": lambda _: 1}
    if raising == "__getitem__":
        members["__len__"] = lambda _: 2
    if raising == "__dlpack__":
        members["__dlpack_device__"] = lambda _: (1, 0)
    if raising == "__dlpack_device__":
        members["__dlpack__"] = lambda *_, **__: None
    attribute = raising.startswith("__array_") or not raising.startswith("__")
    members[raising] = property(fails) if attribute else fails
    return type("Hostile", (), members)(), raised


MEMBERS = [
    "__index__",
    "__float__",
    "__bool__",
    "__iter__",
    "__len__",
    "__getitem__",
    "__eq__",
    "__dlpack__",
    "__dlpack_device__",
    "__array__",
    "__array_interface__",
    "__array_struct__",
    "__fspath__",
    "dtype",
    "shape",
    "to_numpy",
]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("name", CALLS)
def test_what_an_object_raises_is_not_taken_for_a_wrong_type(
    name: str, error: type[BaseException]
) -> None:
    lost, asked = [], []
    for member in MEMBERS:
        given, raised = hostile(member, error)
        caught: BaseException | None = None
        try:
            CALLS[name](given)
        except BaseException as other:
            caught = other
        if raised:
            asked.append(member)
            is_same = caught is raised[-1] if error is KeyboardInterrupt else True
            if not (isinstance(caught, error) and is_same and len(raised) == 1):
                lost.append((member, repr(caught)))
    assert asked, "no method of the object was asked"
    assert not lost
