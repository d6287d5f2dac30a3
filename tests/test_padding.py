"""Padding, crops that reach beyond the image, and quarter turns, bit for bit as torchvision v2 makes them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from tests.test_transforms import channels_first, make, photograph
from torchvision.transforms.v2 import functional as F

import ndlens as nl
from ndlens import transforms as T

IMAGE = photograph("chelsea.png")[:41, :58]
MODES: list[Any] = ["constant", "edge", "reflect", "symmetric"]


def as_made(image: torch.Tensor) -> torch.Tensor:
    """A (C, H, W) image of torchvision as ours, (H, W, C)."""
    return image.permute(1, 2, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [0, 1, 17, (3, 40), (0, 1, 2, 3), (40, 0, 0, 39)])
def test_pad_is_torchvisions(mode: Any, padding: Any) -> None:
    sides = list(padding) if isinstance(padding, tuple) else padding
    expected = F.pad(channels_first(IMAGE), sides, fill=7 if mode == "constant" else 0, padding_mode=mode)
    assert torch.equal(make(IMAGE, T.Pad(padding, fill=7, padding_mode=mode)), as_made(expected))


def test_a_fill_may_have_a_value_for_each_channel_and_is_of_the_dtype_that_the_image_has_by_then() -> None:
    expected = F.pad(channels_first(IMAGE), [2], fill=[1, 2, 3])
    assert torch.equal(make(IMAGE, T.Pad(2, fill=(1, 2, 3))), as_made(expected))
    halved = F.pad(F.to_dtype(channels_first(IMAGE), torch.float32, scale=True), [2], fill=0.5)
    assert torch.equal(
        make(IMAGE, T.ToDtype("float32", scale=True), T.Pad(2, fill=0.5), T.ChannelsFirst()), halved
    )


@pytest.mark.parametrize("size", [(41, 58), (42, 59), (50, 20), (20, 90), (100, 101)])
def test_a_center_crop_of_a_smaller_image_is_padded_as_torchvisions(size: tuple[int, int]) -> None:
    expected = F.center_crop(channels_first(IMAGE), list(size))
    assert torch.equal(make(IMAGE, T.CenterCrop(size)), as_made(expected))


@pytest.mark.parametrize("mode", MODES)
def test_a_random_crop_of_a_padded_image_is_one_of_its_rectangles_and_each_comes(mode: Any) -> None:
    small = np.arange(5 * 6, dtype=np.uint8).reshape(5, 6, 1)
    items = np.broadcast_to(small, (600, 5, 6, 1))
    (batch,) = nl.Loader(
        items, batch_size=600, transforms=[T.RandomCrop((4, 7), padding=2, fill=99, padding_mode=mode)]
    )
    padded = F.pad(channels_first(small), [2], fill=99 if mode == "constant" else 0, padding_mode=mode)[0]
    rectangles = padded.unfold(0, 4, 1).unfold(1, 7, 1).reshape(-1, 28)
    places = (batch.reshape(600, 1, 28) == rectangles).all(2)
    assert places.any(1).all()
    assert len(rectangles) == 24
    assert places.any(0).all()


def test_an_image_that_is_too_small_is_padded_if_needed_as_torchvision_does() -> None:
    # Both sides get all that is missing, so that the crop has a choice.
    small = np.arange(1, 7, dtype=np.uint8).reshape(2, 3, 1)
    items = np.broadcast_to(small, (200, 2, 3, 1))
    (batch,) = nl.Loader(items, batch_size=200, transforms=[T.RandomCrop(4, pad_if_needed=True)])
    padded = np.pad(small[..., 0], ((2, 2), (1, 1)))
    rectangles = {padded[y : y + 4, x : x + 4].tobytes() for y in range(3) for x in range(2)}
    assert {crop.tobytes() for crop in batch.numpy()} == rectangles
    with pytest.raises(ValueError, match=r"RandomCrop\(4, 4\) is larger than the image, which has height 2 "):
        nl.Loader(items, transforms=[T.RandomCrop(4)])


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90])
def test_a_quarter_turn_is_torchvisions_rotation(degrees: int) -> None:
    square = IMAGE[:, :41]
    expected = F.rotate(channels_first(square), degrees)
    assert torch.equal(make(square, T.RandomQuarterTurn([degrees])), as_made(expected))


def test_padded_images_can_be_flipped_turned_cropped_and_padded_again() -> None:
    square = IMAGE[:, :41]
    got = make(
        square,
        T.Pad((1, 2, 3, 4), fill=9),
        T.RandomHorizontalFlip(1),
        T.RandomVerticalFlip(1),
        T.Crop(1, 0, 44, 44),
        T.RandomQuarterTurn([90]),
        T.Pad(3, padding_mode="reflect"),
        T.Crop(2, 2, 40, 46),
    )
    image = F.pad(channels_first(square), [1, 2, 3, 4], fill=9)
    image = F.rotate(F.crop(F.vertical_flip(F.horizontal_flip(image)), 1, 0, 44, 44), 90)
    image = F.crop(F.pad(image, [3], padding_mode="reflect"), 2, 2, 40, 46)
    assert torch.equal(got, as_made(image))


def test_every_quarter_turn_comes() -> None:
    items = np.broadcast_to(np.arange(4, dtype=np.uint8).reshape(2, 2), (100, 2, 2))
    (batch,) = nl.Loader(items, batch_size=100, transforms=[T.RandomQuarterTurn((0, 90, 270))])
    assert {tuple(image.ravel().tolist()) for image in batch} == {(0, 1, 2, 3), (1, 3, 0, 2), (2, 0, 3, 1)}


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            T.Pad(41, padding_mode="reflect"),
            "Pad: padding [41, 41, 41, 41] (left, top, right, bottom) mirrors more than the image has, "
            "which is 41 high and 58 wide",
        ),
        (
            T.Pad(2**63 - 1),
            "shape [18446744073709551615, 18446744073709551615] with 1-byte elements does not fit the address space",
        ),
        (T.Pad(1, fill=(1, 2)), "Pad: fill has 2 values, expected 1 or one for each of 3 channels"),
        (T.Pad(1, fill=0.5), "Pad: fill 0.5 is no uint8, which the image has at this point"),
        (T.Crop(1, 0, 41, 1), "Crop(42, 1) is larger than the image, which has height 41 and width 58"),
        (
            T.RandomQuarterTurn([90]),
            "RandomQuarterTurn by 90 or 270 degrees needs a square image, got height 41 and width 58; crop it first",
        ),
    ],
)
def test_what_cannot_be_done_says_why(transform: T.Transform, message: str) -> None:
    expected = re.escape(f'field "items": {message}')
    with pytest.raises(ValueError, match=f"^{expected}$"):
        nl.Loader(IMAGE[None], transforms=[transform])


@pytest.mark.parametrize(
    ("make_transform", "message"),
    [
        (lambda: T.Pad(-1), "padding must be 1, 2 or 4 numbers of pixels, got -1"),
        (lambda: T.Pad([1, 2, 3]), r"padding must be 1, 2 or 4 numbers of pixels, got \[1, 2, 3\]"),
        (lambda: T.Pad(1, padding_mode="wrap"), "padding_mode must be one of constant, edge, .*, got 'wrap'"),
        (lambda: T.RandomQuarterTurn([45]), r"degrees must be multiples of 90, got \(45,\)"),
        (lambda: T.RandomQuarterTurn([]), r"degrees must be multiples of 90, got \(\)"),
    ],
)
def test_parameters_that_are_none_are_refused(make_transform: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_transform()


@pytest.mark.parametrize("mode", MODES[1:])
def test_an_image_without_pixels_has_none_to_pad_with(mode: Any) -> None:
    with pytest.raises(ValueError, match=r"larger than the image|mirrors more than the image has"):
        nl.Loader(IMAGE[None, :0], transforms=[T.Pad(1, padding_mode=mode)])
