"""Numbers of transforms, checked where they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

import ndlens as nl
from ndlens import transforms as T

IMAGES = np.zeros((2, 8, 9, 3), np.uint8)


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan, math.inf, -math.inf, 2])
@pytest.mark.parametrize(
    "kind", [T.RandomHorizontalFlip, T.RandomVerticalFlip, T.RandomGrayscale, T.RandomErasing]
)
def test_what_is_no_probability_is_refused(kind: Callable[[Any], T.Transform], p: float) -> None:
    with pytest.raises(ValueError, match="p must be") as error:
        kind(p)
    assert str(error.value) == f"p must be between 0 and 1, got {p!r}"


@pytest.mark.parametrize("p", [0, 1, 0.25, True, np.float32(0.5), torch.tensor(0.5)])
def test_any_number_is_a_probability(p: Any) -> None:
    assert T.RandomHorizontalFlip(p).p == float(p)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: T.Normalize(0, (1, 0, 1)), "std must not be 0, got (1.0, 0.0, 1.0)"),
    (lambda: T.Standardize(0, 0), "std must not be 0, got (0.0,)"),
    (lambda: T.Normalize(0, ()), "std must be one or more finite numbers, got ()"),
    (
        lambda: T.Normalize([0, math.nan], 1),
        "mean must be one or more finite numbers, got (0.0, nan)",
    ),
    (lambda: T.Standardize(0, math.inf), "std must be one or more finite numbers, got (inf,)"),
    (lambda: T.Normalize([1, 2], [1, 2, 3]), "mean and std must be as many, got 2 and 3"),
    (lambda: T.RandomResizedCrop(4, scale=(0, 1)), "scale must be above 0, got (0, 1)"),
    (
        lambda: T.RandomResizedCrop(4, scale=(1, 0.5)),
        "scale must be two numbers, the lower first, got (1, 0.5)",
    ),
    (
        lambda: T.RandomResizedCrop(4, ratio=(1,)),
        "ratio must be two numbers, the lower first, got (1,)",
    ),
    (
        lambda: T.RandomResizedCrop(4, ratio=(1, math.inf)),
        "ratio must be two numbers, the lower first, got (1, inf)",
    ),
    (lambda: T.RandomErasing(scale=(0.1, 1.5)), "scale must be between 0 and 1, got (0.1, 1.5)"),
    (lambda: T.RandomErasing(scale=(-0.1, 0.5)), "scale must be between 0 and 1, got (-0.1, 0.5)"),
    (lambda: T.RandomErasing(ratio=(0, 1)), "ratio must be above 0, got (0, 1)"),
    (lambda: T.ColorJitter(saturation=(-1, 1)), "saturation must not be negative, got (-1, 1)"),
    (lambda: T.ColorJitter(hue=0.6), "hue must be between -0.5 and 0.5, got 0.6"),
    (
        lambda: T.ColorJitter(math.inf),
        "brightness must be two numbers, the lower first, got (0.0, inf)",
    ),
    (
        lambda: T.RandomScale(2, 1),
        "low and high must be finite numbers, low no more than high, got 2 and 1",
    ),
    (
        lambda: T.RandomScale(0, math.nan),
        "low and high must be finite numbers, low no more than high, got 0 and nan",
    ),
    (lambda: T.RandomJitter(-1), "sigma must be a finite number from 0 on, got -1"),
    (lambda: T.RandomJitter(math.nan), "sigma must be a finite number from 0 on, got nan"),
    (lambda: T.Crop(-1, 0, 1, 1), "top must be at least 0, got -1"),
    (lambda: T.Crop(0, 0, 1, 0), "width must be at least 1, got 0"),
    (
        lambda: T.Resize(4, max_size=4),
        (
            "max_size goes with one number, the shorter side, and is above it, or with None; got"
            " size 4 and max_size 4"
        ),
    ),
    (
        lambda: T.Resize((4, 5), max_size=9),
        (
            "max_size goes with one number, the shorter side, and is above it, or with None; "
            "got size (4, 5) and max_size 9"
        ),
    ),
    (lambda: T.Resize(None), "size is None: give the longer side as max_size"),
]


@pytest.mark.parametrize(
    ("make_transform", "message"), REFUSED, ids=[message for _, message in REFUSED]
)
def test_a_number_that_cannot_be_is_refused_where_it_is_written(
    make_transform: Callable[[], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=r"must|size") as error:
        make_transform()
    assert str(error.value) == message


def test_a_word_is_no_number() -> None:
    with pytest.raises(TypeError, match=r"^p must be a number, got '0.5'$"):
        T.RandomHorizontalFlip("0.5")  # type: ignore[arg-type]


NO_INTEGERS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda value: T.Crop(0, value, 1, 1), "left"),
    (lambda value: T.CenterCrop((4, value)), "size"),
    (lambda value: T.Resize(value), "size"),
    (lambda value: T.Resize(4, max_size=value), "max_size"),
    (lambda value: T.Pad((1, value)), "padding"),
    (lambda value: T.RandomQuarterTurn([90, value]), "degrees"),
    (lambda value: T.MixUp(value), "num_classes"),
]


@pytest.mark.parametrize(("make_transform", "name"), NO_INTEGERS)
def test_a_float_where_an_integer_belongs_is_refused_by_name(
    make_transform: Callable[[Any], Any], name: str
) -> None:
    with pytest.raises(TypeError) as error:
        make_transform(64.0)
    assert str(error.value) == f"{name} must be an integer, got 64.0"


TO_FLOAT = T.ToDtype("float32", scale=True)


@pytest.mark.parametrize(
    ("items", "transforms", "message"),
    [
        (
            IMAGES,
            [T.Standardize(0, 1)],
            (
                'Standardize needs a floating-point dtype, got uint8; put ToDtype("float32",'
                " scale=True) before it"
            ),
        ),
        (
            IMAGES.reshape(2, 72, 3),
            [TO_FLOAT, T.Normalize([0] * 3, [1] * 3)],
            (
                "Normalize got 3 values of mean, expected 1: items of shape [72, 3] have no axis of"
                " channels; Standardize takes one value for each feature of the last axis"
            ),
        ),
        (
            IMAGES.reshape(2, 72, 3),
            [v2.ToDtype(torch.float32), v2.Normalize([0] * 3, [1] * 3)],
            (
                "Normalize got 3 values of mean, expected 1: items of shape [72, 3] have no axis of"
                " channels; Standardize takes one value for each feature of the last axis"
            ),
        ),
        (
            IMAGES.reshape(2, 72, 3),
            [TO_FLOAT, T.Standardize([0] * 2, [1] * 2)],
            "Standardize got 2 values of mean, expected 1 or 3",
        ),
        (
            IMAGES,
            [T.Resize(2**30)],
            (
                "Resize: cannot resize to 1073741824 x 1207959552 in 3 channels: each must be at"
                " least 1 and below 2^24"
            ),
        ),
        (
            IMAGES.astype(np.int64),
            [T.RandomResizedCrop(4)],
            (
                'RandomResizedCrop: cannot resize int64 by "bilinear", expected uint8 or float32:'
                ' put ToDtype("float32") before it, or take interpolation="nearest", which copies'
                " elements of any dtype"
            ),
        ),
        (
            np.zeros((2, 5), np.uint8),
            v2.Compose([v2.ToDtype(torch.float32), v2.RandomHorizontalFlip()]),
            (
                "RandomHorizontalFlip needs items of shape (height, width) or (height, width,"
                " channels), got [5]; bring the axes into this order with reshape; if these are"
                " encoded images, give nl.images(items)"
            ),
        ),
    ],
)
def test_an_error_names_the_transform_that_was_written(
    items: Any, transforms: Any, message: str
) -> None:
    with pytest.raises(ValueError, match="items") as error:
        nl.Loader(items, transforms=transforms)
    assert str(error.value) == f'field "items": {message}'


@pytest.mark.parametrize(
    ("fields", "transforms", "message"),
    [
        (
            {"image": IMAGES, "label": np.arange(2)},
            [T.RandomCrop(4), TO_FLOAT],
            (
                "transforms must be a dict of lists, since fields is a dict: name the fields that a"
                ' list is for, transforms={"image": [..]}'
            ),
        ),
        (
            {"image": IMAGES, "label": np.arange(2)},
            v2.Compose([v2.RandomCrop(4)]),
            (
                "transforms must be a dict of lists, since fields is a dict: name the fields that a"
                ' list is for, transforms={"image": [..]}'
            ),
        ),
        (
            (IMAGES, np.arange(2)),
            [T.RandomCrop(4), TO_FLOAT],
            (
                "transforms must hold one list or None for each of 2 fields, since fields is a"
                " sequence: transforms=([..], None)"
            ),
        ),
        (
            (IMAGES, np.arange(2)),
            v2.Compose([v2.RandomCrop(4), v2.ToImage()]),
            (
                "transforms must hold one list or None for each of 2 fields, since fields is a"
                " sequence: transforms=([..], None)"
            ),
        ),
        (
            IMAGES,
            T.RandomCrop(4),
            (
                'transforms of field "items": expected a list of transforms, got RandomCrop: put it'
                " in one, [RandomCrop(..)]"
            ),
        ),
    ],
)
def test_one_list_for_several_fields_is_refused_with_what_to_type(
    fields: Any, transforms: Any, message: str
) -> None:
    with pytest.raises(TypeError) as error:
        nl.Loader(fields, transforms=transforms)
    assert str(error.value) == message


def test_a_compose_for_each_field_of_a_tuple_is_taken() -> None:
    both = (v2.Compose([v2.CenterCrop(4)]), None)
    ((images, labels),) = nl.Loader((IMAGES, np.arange(2)), batch_size=2, transforms=both)
    assert images.shape == (2, 3, 4, 4)
    assert labels.tolist() == [0, 1]


def test_ctrl_c_while_transforms_are_read_is_raised_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_self: T.Transform) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(T.RandomGrayscale, "_arguments", interrupted)
    with pytest.raises(KeyboardInterrupt) as error:
        nl.Loader(IMAGES, batch_size=1, transforms=[T.RandomGrayscale(0.5)])
    assert (str(error.value), error.value.__cause__) == ("", None)
