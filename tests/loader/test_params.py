"""What was drawn for a batch, told and done again."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import torch

import ndlens as nl
from ndlens import transforms as T

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
AUGMENT: list[T.Transform] = [
    T.RandomCrop(28, padding=3),
    T.RandomResizedCrop((20, 24)),
    T.RandomHorizontalFlip(),
    T.RandomCrop((20, 20)),
    T.RandomQuarterTurn(),
    T.ToDtype("float32", scale=True),
    T.ChannelsFirst(),
]


def loader(fields: Any, transforms: Any, **settings: Any) -> nl.Loader:
    return nl.Loader(
        fields,
        batch_size=5,
        shuffle=True,
        seed=3,
        transforms=transforms,
        return_params=True,
        **settings,
    )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_batch_made_again_from_its_parameters_is_the_same(num_workers: int) -> None:
    fields = {"image": IMAGES, "place": np.arange(12)}
    for batch, params in loader(fields, {"image": AUGMENT}, num_workers=num_workers):
        assert params["place"] == [{}] * len(batch["place"])
        items = nl.view(IMAGES).take(batch["place"].tolist())
        assert torch.equal(T.replay(AUGMENT, items, params["image"]).torch(), batch["image"])


@pytest.mark.parametrize(
    "transforms",
    [
        [T.ColorJitter(0.4, 0.3, 0.2, 0.1), T.RandomGrayscale(0.5), T.RandomErasing(0.7, value=9)],
        [T.ToDtype("float32"), T.RandomErasing(1.0, value="random"), T.ChannelsFirst()],
        [
            T.ToDtype("float32"),
            T.RandomScale(0, 3),
            T.RandomScale(1, 2, per_feature=True),
            T.RandomJitter(2.0),
        ],
        [T.ToDtype("float64"), T.RandomScale(0.5, 1.5), T.RandomJitter(0.1)],
    ],
)
def test_every_kind_of_parameter_can_be_told_and_done_again(transforms: list[T.Transform]) -> None:
    (made,) = nl.Loader(IMAGES, batch_size=12, seed=5, transforms=transforms, return_params=True)
    batch, params = made
    assert torch.equal(T.replay(transforms, IMAGES, params).torch(), batch)
    assert torch.equal(T.replay(transforms, IMAGES, json.loads(json.dumps(params))).torch(), batch)


def test_parameters_are_numbers_by_the_names_of_their_transforms() -> None:
    for _, params in loader(IMAGES, AUGMENT):
        for item in params:
            assert list(item) == [
                "RandomCrop", "RandomResizedCrop", "RandomHorizontalFlip", "RandomCrop.1",
                "RandomQuarterTurn",
            ]  # fmt: skip
            assert set(item["RandomCrop"]) == {"top", "left", "height", "width"}
            assert 0 <= item["RandomCrop"]["top"] <= 10
            assert item["RandomHorizontalFlip"] in (True, False)
            assert item["RandomQuarterTurn"] in range(4)


def test_they_say_what_was_done() -> None:
    places = np.broadcast_to(np.arange(64 * 64).reshape(64, 64), (100, 64, 64))
    (made,) = nl.Loader(places, batch_size=100, transforms=[T.RandomCrop(5)], return_params=True)
    batch, params = made
    corners = [item["RandomCrop"]["top"] * 64 + item["RandomCrop"]["left"] for item in params]
    assert batch[:, 0, 0].tolist() == corners


def test_another_list_with_the_same_random_transforms_can_be_done_with_them() -> None:
    (made,) = nl.Loader(IMAGES, batch_size=12, transforms=[T.RandomCrop(9)], return_params=True)
    masks = IMAGES[..., 0].astype(np.int64)
    again = T.replay([T.RandomCrop(9)], masks, made[1])
    assert torch.equal(again.torch(), made[0][..., 0].long())


def test_parameters_without_a_version_have_version_1() -> None:
    transforms = [T.RandomCrop(9)]
    (made,) = nl.Loader(IMAGES, batch_size=12, transforms=transforms, return_params=True)
    batch, params = made
    versioned = [{"version": 1, **item} for item in params]
    assert torch.equal(T.replay(transforms, IMAGES, versioned).torch(), batch)


def test_fields_of_a_tuple_have_theirs_in_a_tuple() -> None:
    batch, params = next(iter(loader((IMAGES, IMAGES), (AUGMENT, None))))
    assert isinstance(batch, tuple)
    assert isinstance(params, tuple)
    assert params[1] == [{}] * 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([{}], "got the parameters of 1 items for 2 items"),
        ([{}, {}], "parameters of RandomCrop: there are none"),
        ([{"RandomCrop": True}] * 2, "RandomCrop: these parameters were not drawn for it"),
        (
            [{"RandomCrop": "left"}] * 2,
            "parameters of RandomCrop: they are not of a kind that it draws",
        ),
        ([{"RandomFlip": True}] * 2, "parameters of RandomFlip: there is no such random transform"),
        (
            [{"RandomCrop": {}, "version": 2}] * 2,
            "the parameters have version 2, and this ndlens reads version 1; draw them again with "
            "it, or replay them with the ndlens that drew them",
        ),
        ([{"version": "1"}] * 2, 'the parameters have version "1", and this ndlens reads version'),
        ([3, 4], "the parameters are not a list of dicts with numbers: invalid type: integer `3`"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        T.replay([T.RandomCrop(9)], IMAGES[:2], params)


@pytest.mark.parametrize(
    "rectangle",
    [
        {"top": 30, "left": 0, "height": 9, "width": 9},
        {"top": 0, "left": 0, "height": 8, "width": 9},
        {"top": 2**63, "left": 0, "height": 9, "width": 9},
    ],
)
def test_a_rectangle_that_is_not_there_or_not_of_this_size_is_refused(
    rectangle: dict[str, int],
) -> None:
    with pytest.raises((ValueError, IndexError)):
        T.replay([T.RandomCrop(9)], IMAGES[:1], [{"RandomCrop": rectangle}])


def test_nor_is_one_beyond_the_padding_of_an_image() -> None:
    for top in (30, 2**63 - 1):
        rectangle = {"top": top, "left": 0, "height": 9, "width": 9}
        with pytest.raises(
            ValueError,
            match=r"^field \"items\", item 0: RandomResizedCrop\(\d+, 9\) is larger than",
        ):
            T.replay(
                [T.Pad(2), T.RandomResizedCrop(9)], IMAGES[:1], [{"RandomResizedCrop": rectangle}]
            )


@pytest.mark.parametrize(
    ("transform", "params"),
    [
        (T.RandomCrop((8, 6)), {"RandomCrop": {"top": 0, "left": 0, "height": 6, "width": 8}}),
        (T.RandomQuarterTurn((0, 180)), {"RandomQuarterTurn": 1}),
    ],
)
def test_parameters_of_another_shape_are_refused_though_they_have_as_many_pixels(
    transform: T.Transform, params: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="these parameters were not drawn for it"):
        T.replay([transform], IMAGES[:1, :8], [params])


def test_a_factor_may_be_a_whole_number() -> None:
    rows = np.arange(6, dtype=np.float32).reshape(1, 6)
    assert (
        T.replay([T.RandomScale(0, 9)], rows, [{"RandomScale": 2}]).tolist() == (2 * rows).tolist()
    )


def test_a_result_that_there_is_no_memory_for_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        T.replay([T.Pad(2**22)], IMAGES[:1], [{}])
