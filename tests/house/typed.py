"""What type checkers infer of ndlens; `make lint` runs mypy on it. Nothing here runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import torch

import ndlens as nl
from ndlens import transforms as T


def views(obj: Any) -> None:
    view = nl.view(obj)
    assert_type(view, nl.View)
    assert_type(view[1:3], nl.View)
    assert_type(view[..., 0], nl.View)
    assert_type(view[0, :, None], nl.View)
    assert_type(view[:, 0], nl.View)
    # An element, or a view of the other axes.
    assert_type(view[0], Any)
    assert_type(view[0, 1], Any)
    assert_type(view.permute(2, 0, 1).flip(0), nl.View)
    assert_type(view.shape, tuple[int, ...])
    assert_type(view.numpy(), np.ndarray[Any, Any])
    assert_type(view.torch(), torch.Tensor)
    assert_type(next(iter(view)), Any)


def files(path: Path) -> None:
    # Mostly a view; what is another thing is known by isinstance.
    opened = nl.open(path)
    assert_type(opened, nl.View | Any)
    assert_type(opened.shape, tuple[int, ...] | Any)
    view: nl.View = nl.open(path)
    assert_type(view, nl.View)
    model = nl.open(path / "model.safetensors")
    assert isinstance(model, nl.Arrays)
    assert_type(model, nl.Arrays)
    assert_type(model.metadata, dict[str, str])
    assert_type(nl.open([path, path], dtype="float32"), nl.Shards)
    assert_type(nl.open([path, path]), nl.Shards | Any)
    nl.open(path, mode="w")  # type: ignore[call-overload]  # another mode


def items(obj: Any) -> None:
    assert_type(nl.windows(obj, 3), nl.Items)
    assert_type(nl.windows(obj, 3, horizon=1), tuple[nl.Items, nl.Items])
    assert_type(nl.ragged(obj)[2:], nl.Items)


def batches(images: np.ndarray[Any, Any], labels: torch.Tensor) -> None:
    fields = {"image": images, "label": labels}
    for batch in nl.Loader(fields, batch_size=4, shuffle=True):
        assert_type(batch, dict[str, torch.Tensor])
    for several in nl.Loader((images, labels), output="numpy"):
        assert_type(several, tuple[np.ndarray[Any, Any], ...])
    for one in nl.Loader(images, output="view", num_workers=2):
        assert_type(one, nl.View)
    for tensor in nl.Loader(labels):
        assert_type(tensor, torch.Tensor)
    for with_params in nl.Loader(images, return_params=True):
        assert_type(with_params, tuple[Any, ...])


def annotated(loader: nl.Loader[dict[str, torch.Tensor]], any_loader: nl.Loader) -> None:
    assert_type(next(iter(loader)), dict[str, torch.Tensor])
    assert_type(next(iter(any_loader)), Any)
    assert_type(loader.batch_size, int)
    assert_type(loader.indices(0), nl.View)


def transforms(images: np.ndarray[Any, Any]) -> None:
    steps = [T.RandomCrop(8), T.ToDtype("float32", scale=True), T.ChannelsFirst()]
    nl.Loader(images, transforms=steps)
    nl.Loader(images, transforms=T.Compose(steps))
    nl.Loader({"a": images}, transforms={"a": steps, "b": None}, channels="last")
    nl.Loader((images, images), transforms=(steps, None), joint=(0, 1), channels=("first", None))
    nl.Loader(images, stores="fast")  # type: ignore[call-overload]  # another word
    nl.Loader(images, batchsize=4)  # type: ignore[call-overload]  # no such keyword
    assert_type(T.RandomCrop(8).size, tuple[int, int])


def data_sets(images: np.ndarray[Any, Any]) -> None:
    dataset = nl.torch.Dataset({"image": images})
    assert_type(dataset[0], dict[str, torch.Tensor])
    assert_type(nl.torch.Dataset((images, images))[0], tuple[torch.Tensor, ...])
    assert_type(nl.torch.Dataset(images)[0], torch.Tensor)
