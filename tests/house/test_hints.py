"""What somebody who comes from another library types first, and what it says."""

from __future__ import annotations

import inspect
import re
import typing
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ndlens as nl
from ndlens import transforms as T


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("load", "nl.open(path) opens arrays in files"),
        (
            "DataLoader",
            "nl.Loader(fields, batch_size=..) makes batches; "
            "nl.torch.Dataset is for torch's own DataLoader",
        ),
        ("memmap", "nl.open(path, dtype=.., shape=..) opens raw bytes in a file"),
        ("from_numpy", "nl.view(obj) is a view of an array, without a copy"),
    ],
)
def test_a_name_of_another_library_says_what_it_is_here(name: str, hint: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(nl, name)
    assert str(caught.value) == f"module 'ndlens' has no attribute {name!r}: {hint}"


def test_any_other_name_is_just_not_there() -> None:
    for module in (nl, T):
        with pytest.raises(AttributeError) as caught:
            _ = module.nonesuch
        assert str(caught.value) == f"module '{module.__name__}' has no attribute 'nonesuch'"
        assert not hasattr(module, "nonesuch")


def test_the_hints_name_what_there_is() -> None:
    for hint in nl._ELSEWHERE.values():
        for path in re.findall(r"nl\.([\w.]*\w)", hint):
            thing: Any = nl
            for part in path.split("."):
                thing = getattr(thing, part)
    for hint in T._ELSEWHERE.values():
        for name in re.findall(r"([A-Z]\w+)\(", hint):
            assert name in T.__all__
    assert not set(nl._ELSEWHERE) & set(nl.__all__)
    assert not set(T._ELSEWHERE) & set(T.__all__)


def test_compose_is_a_list() -> None:
    steps = [T.RandomCrop(2), T.RandomHorizontalFlip()]
    assert T.Compose(steps) == steps
    assert T.Compose([T.Compose(steps[:1]), steps[1]]) == steps
    images = np.zeros((4, 5, 5), "u1")
    (batch,) = nl.Loader(images, batch_size=4, transforms=T.Compose(steps), output="numpy")
    assert batch.shape == (4, 2, 2)
    (both,) = nl.Loader(
        {"x": images, "y": images}, batch_size=4, transforms={"x": T.Compose(steps)}, output="numpy"
    )
    assert (both["x"].shape, both["y"].shape) == ((4, 2, 2), (4, 5, 5))


def test_compose_takes_transforms() -> None:
    text = (
        r"^Compose takes a list of transforms, got RandomCrop: put it in one, \[RandomCrop\(..\)\]$"
    )
    with pytest.raises(TypeError, match=text):
        T.Compose(T.RandomCrop(2))  # type: ignore[arg-type]  # what is refused
    with pytest.raises(TypeError, match=r"^Compose takes transforms, got None: leave it out$"):
        T.Compose([T.RandomCrop(2), None])
    from torchvision.transforms import v2

    flip = v2.RandomHorizontalFlip()
    assert T.Compose([flip, [v2.Compose([flip])]])[0] is flip


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("ab", "Compose takes a list of transforms, got 'ab'"),
        (3, "Compose takes a list of transforms, got 3"),
        ({"x": []}, "Compose takes a list of transforms, got {'x': []}"),
        (["ab"], "Compose takes transforms, got 'ab'"),
        ([[3]], "Compose takes transforms, got 3"),
        ([len], "Compose takes transforms, got <built-in function len>"),
        (
            [T.ChannelsFirst],
            "Compose takes transforms, got the class ChannelsFirst: ChannelsFirst(..)",
        ),
    ],
)
def test_compose_refuses_what_is_no_transform(given: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        T.Compose(given)
    assert str(caught.value) == text


IMAGENET = "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)"


@pytest.mark.parametrize(
    ("kind", "arguments", "text"),
    [
        (
            T.Standardize,
            (),
            "Standardize needs mean and std: numbers for each feature of the last axis, or one for "
            "all, such as mean=x.mean(axis=0), std=x.std(axis=0)",
        ),
        (
            T.Normalize,
            ((0.5,),),
            "Normalize needs std: numbers for each channel, or one for all. "
            f"ImageNet's are {IMAGENET}",
        ),
        (
            T.Normalize,
            ("imagenet",),
            f"Normalize: mean must be numbers, got 'imagenet': ImageNet's are {IMAGENET}",
        ),
        (T.Normalize, (0.5, "cifar"), "Normalize: std must be numbers, got 'cifar'"),
    ],
)
def test_statistics_that_are_missing_say_what_to_give(
    kind: Any, arguments: tuple[Any, ...], text: str
) -> None:
    with pytest.raises(TypeError) as caught:
        kind(*arguments)
    assert str(caught.value) == text


@pytest.mark.parametrize("kind", [T.Normalize, T.Standardize, T.MixUp, T.CutMix])
def test_a_keyword_that_there_is_not_names_the_class_and_the_keyword(kind: Any) -> None:
    with pytest.raises(TypeError) as caught:
        kind(zz=1)
    name = kind.__name__
    assert str(caught.value) == f"{name}.__init__() got an unexpected keyword argument 'zz'"
    with pytest.raises(TypeError, match=rf"^{name}.__init__\(\) takes .* 4 were given$"):
        kind(1, 1, 1)


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("transform", "give transforms=, a list for each field"),
        ("target_transform", "give transforms=, a list for each field"),
        ("batch_size", "give it to the DataLoader"),
    ],
)
def test_keywords_of_other_data_sets_say_what_to_give(keyword: str, hint: str) -> None:
    dataset: Any = nl.torch.Dataset
    with pytest.raises(TypeError) as caught:
        dataset(bytes(4), **{keyword: None})
    assert str(caught.value) == (
        f"Dataset.__init__() got an unexpected keyword argument {keyword!r}: {hint}"
    )
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'zz'$"):
        dataset(bytes(4), zz=None)


def test_items_say_how_they_become_one_array() -> None:
    items = nl.ragged([np.zeros((2, 3), "u1"), np.zeros((2, 3), "u1")])
    with pytest.raises(AttributeError) as caught:
        _ = items.numpy  # type: ignore[attr-defined]  # what is asked for
    stacked = "numpy.stack([item.numpy() for item in items])"
    assert str(caught.value) == (
        "'ndlens.Items' object has no attribute 'numpy': items may differ in size; "
        f"if they do not, {stacked} is an array of them"
    )
    assert eval(stacked, {"numpy": np, "items": items}).shape == (2, 2, 3)
    assert not hasattr(items, "torch")
    with pytest.raises(AttributeError, match=r"^'ndlens.Items' object has no attribute 'other'$"):
        _ = items.other  # type: ignore[attr-defined]  # what is asked for


def test_shards_say_how_they_become_one_array(tmp_path: Any) -> None:
    paths = [tmp_path / f"{n}.npy" for n in range(2)]
    for path in paths:
        np.save(path, np.zeros((2, 3)))
    shards = nl.open(paths)
    with pytest.raises(AttributeError) as caught:
        _ = shards.torch  # type: ignore[union-attr]  # what is asked for
    stacked = "torch.cat([shard.torch() for shard in shards.shards])"
    assert str(caught.value) == (
        "'ndlens.Shards' object has no attribute 'torch': shards are in 2 files; "
        f"{stacked} is a copy of them in one array"
    )
    assert eval(stacked, {"torch": torch, "shards": shards}).shape == (4, 3)


LISTS: dict[str, list[Any]] = {
    "images": [np.zeros((12, 12, 3), "u1") for _ in range(8)],
    "tall images": [np.zeros((8192, 2, 1), "u1")] * 8,
    "images with alpha": [np.zeros((64, 9, 4), "f4")] * 8,
    "channels-first images": [torch.zeros(3, 12, 12)] * 8,
    "grey images": [torch.zeros(12, 12)] * 13,
    "rows": [np.zeros(16) for _ in range(17)],
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_items_is_not_taken_for_fields(name: str) -> None:
    items = LISTS[name]
    shape, dtype = tuple(items[0].shape), items[0].dtype
    text = (
        f"fields is a list of {len(items)} arrays, each of shape {shape} and {dtype}, which look "
        "like items: give numpy.stack(items), or tuple(fields) if each is a field"
    )
    for make in (nl.Loader, nl.torch.Dataset, lambda fields: nl.subset(fields, [0])):
        with pytest.raises(ValueError, match=re.escape(text)):
            make(items)
        make(tuple(items))


def test_a_list_of_pictures_is_not_taken_for_fields() -> None:
    pictures = [Image.new("RGB", (12, 8)) for _ in range(9)]
    with pytest.raises(ValueError, match=r"^fields is a list of 9 arrays, .* \(12, 8\) and RGB"):
        nl.Loader(pictures)
    assert len(nl.Loader(np.stack([np.asarray(picture) for picture in pictures]))) == 9


def test_a_list_that_may_be_fields_is_taken_for_them() -> None:
    for fields in (
        [np.zeros(16) for _ in range(16)],  # columns of a table
        [np.zeros((12, 12)) for _ in range(7)],
        [np.zeros((1000, 4))] * 8,  # features
        [np.zeros((8, 4))] * 8,
        [torch.zeros(12, 12)] * 12,
        [np.zeros((8193, 6, 3))] * 8,  # a longer first axis counts items
        [np.zeros((12, 6, 5))] * 8,
        [nl.view(bytes(9)).reshape(3, 3)] * 8,
        [nl.view(bytes(144)).reshape(4, 12, 3)] * 8,
        [nl.windows(np.zeros(4), 3)] * 8,
        [np.zeros((12, 12)) for _ in range(8)] + [np.zeros(12)],
        [np.zeros((12, 12), dtype) for dtype in ("u1", "f4") for _ in range(4)],
    ):
        loader = nl.Loader(fields, output="numpy", batch_size=2)
        assert len(next(iter(loader))) == len(fields)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (0, 12, 3)])
def test_a_list_of_empty_arrays_is_an_empty_data_set(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="empty"):
        nl.Loader([np.zeros(shape)] * 8)


def test_a_list_of_ragged_fields_is_taken_for_fields() -> None:
    loader = nl.Loader([nl.ragged([np.zeros(3), np.zeros(3)])] * 8, output="numpy", batch_size=2)
    assert len(next(iter(loader))) == 8


def test_annotations_are_resolved_with_the_names_of_typing() -> None:
    functions = [nl.split, nl.subset, nl.Arrays.__getitem__, T.Compose]
    functions += [vars(T)[name].__init__ for name in T.__all__ if isinstance(vars(T)[name], type)]
    for function in functions:
        typing.get_type_hints(function, vars(typing))
    from ndlens import _typing

    names = vars(typing) | vars(_typing)
    assert typing.get_type_hints(nl.Loader.__init__, names)["shuffle"] is bool
    assert "num_workers" in inspect.signature(nl.Loader, globals=names, eval_str=True).parameters
    typing.get_type_hints(T.replay, names)
