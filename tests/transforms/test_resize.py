"""`Resize` and `RandomResizedCrop` beside torchvision v2 on real photographs."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.images import IMAGENET, channels_first, make, photograph
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

import ndlens as nl
from ndlens import transforms as T

IMAGE = photograph("chelsea.png")
# What the largest difference of an antialiased or interpolated resize of uint8 may be.
LEVEL = 1

SIZES: list[Any] = [224, (64, 300), (300, 451), (600, 500), (1, 1), (7, 900), 33]
SMOOTH = ["bilinear", "bicubic"]


def smooth_difference(got: torch.Tensor, expected: torch.Tensor) -> int:
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    return int((got.short() - expected.short()).abs().max())


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", SMOOTH)
@pytest.mark.parametrize("size", SIZES)
def test_a_resize_of_bytes_is_torchvisions_within_a_level(
    size: Any, interpolation: str, antialias: bool
) -> None:
    sides = [size] if isinstance(size, int) else list(size)
    mode = v2.InterpolationMode(interpolation)
    expected = F.resize(channels_first(IMAGE), sides, mode, antialias=antialias)
    got = make(IMAGE, T.Resize(size, interpolation, antialias=antialias), T.ChannelsFirst())
    assert smooth_difference(got, expected) <= LEVEL


@pytest.mark.parametrize("interpolation", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("size", SIZES)
def test_the_nearest_pixel_is_torchvisions(size: Any, interpolation: str) -> None:
    sides = [size] if isinstance(size, int) else list(size)
    expected = F.resize(channels_first(IMAGE), sides, v2.InterpolationMode(interpolation))
    assert torch.equal(make(IMAGE, T.Resize(size, interpolation), T.ChannelsFirst()), expected)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", SMOOTH)
@pytest.mark.parametrize("size", SIZES)
def test_a_resize_of_floats_is_torchvisions(size: Any, interpolation: str, antialias: bool) -> None:
    sides = [size] if isinstance(size, int) else list(size)
    image = IMAGE.astype(np.float32) / 255
    expected = F.resize(
        channels_first(image), sides, v2.InterpolationMode(interpolation), antialias=antialias
    )
    got = make(image, T.Resize(size, interpolation, antialias=antialias), T.ChannelsFirst())
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-5


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_any_number_of_channels_can_be_resized(channels: int) -> None:
    image = np.random.default_rng(channels).integers(0, 256, (37, 53, channels), dtype=np.uint8)
    expected = F.resize(channels_first(image), [20, 60])
    assert smooth_difference(make(image, T.Resize((20, 60)), T.ChannelsFirst()), expected) <= LEVEL
    flat = F.resize(channels_first(image[..., 0]), [20, 60])[0]
    assert smooth_difference(make(image[..., 0], T.Resize((20, 60))), flat) <= LEVEL


@pytest.mark.parametrize(
    ("size", "max_size"), [(100, None), (100, 120), (100, 500), (None, 90), (299, None), (1, None)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_shorter_and_the_longer_side_become_what_torchvision_makes_them(
    size: int | None, max_size: int | None, turned: bool
) -> None:
    image = IMAGE.swapaxes(0, 1).copy() if turned else IMAGE
    expected = v2.Resize(size, max_size=max_size)(channels_first(image))
    got = make(image, T.Resize(size, max_size=max_size), T.ChannelsFirst())
    assert smooth_difference(got, expected) <= LEVEL


def test_the_usual_pipeline_of_evaluation_is_torchvisions() -> None:
    compose = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.RandomHorizontalFlip(1.0),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*IMAGENET),
        ]
    )
    (batch,) = nl.Loader(IMAGE[None], transforms=compose)
    # One level of a byte, divided by the smallest deviation.
    assert (batch[0] - compose(channels_first(IMAGE))).abs().max() <= LEVEL / 255 / min(
        IMAGENET[1]
    ) + 1e-5


def test_what_comes_after_a_resize_is_done_to_the_resized_image() -> None:
    got = make(
        IMAGE,
        T.Resize((60, 80)),
        T.RandomHorizontalFlip(1),
        T.Crop(3, 5, 50, 50),
        T.RandomVerticalFlip(1),
        T.Crop(1, 2, 40, 40),
        T.RandomQuarterTurn([90]),
        T.Pad(2, fill=9),
        T.Resize((30, 31)),
        T.ChannelsFirst(),
    )
    image = F.resize(channels_first(IMAGE), [60, 80])
    image = F.vertical_flip(F.crop(F.horizontal_flip(image), 3, 5, 50, 50))
    image = F.pad(F.rotate(F.crop(image, 1, 2, 40, 40), 90), [2], fill=9)
    # The first resize may differ by a level, and the second by one more.
    assert smooth_difference(got, F.resize(image, [30, 31])) <= 2 * LEVEL


def test_resizing_floats_that_were_converted_is_torchvisions() -> None:
    got = make(
        IMAGE,
        T.ToDtype("float32", scale=True),
        T.Resize(100),
        T.Normalize(*IMAGENET),
        T.ChannelsFirst(),
    )
    image = F.resize(F.to_dtype(channels_first(IMAGE), torch.float32, scale=True), [100])
    assert (got - F.normalize(image, *IMAGENET)).abs().max() < 1e-4


def test_a_random_resized_crop_is_drawn_as_torchvisions() -> None:
    # Each pixel says where it is; the nearest pixel says which were taken.
    places = np.stack(np.meshgrid(np.arange(120), np.arange(160), indexing="ij"), -1).astype(
        np.float32
    )
    items = np.broadcast_to(places, (4000, 120, 160, 2))
    crop = T.RandomResizedCrop((240, 320), (0.1, 0.5), (0.5, 1.5), interpolation="nearest")
    (batch,) = nl.Loader(items, batch_size=4000, transforms=[crop])
    corners = batch[:, [0, -1], [0, -1]].numpy()
    height, width = (corners[:, 1] - corners[:, 0] + 1).T
    area, ratio = height * width / (120 * 160), width / height
    # Rounded to whole pixels: an axis of 40 and more is at most 1.3 % off.
    assert 0.095 < area.min() < 0.12
    assert 0.48 < area.max() < 0.51
    assert 0.48 < ratio.min() < 0.53
    assert 1.42 < ratio.max() < 1.53
    torch.manual_seed(0)
    reference = v2.RandomResizedCrop(1, scale=(0.1, 0.5), ratio=(0.5, 1.5))
    drawn = [reference.make_params([torch.empty(3, 120, 160)]) for _ in range(4000)]
    sizes = np.array([(params["height"], params["width"]) for params in drawn])
    expected_area, expected_ratio = sizes.prod(1) / (120 * 160), sizes[:, 1] / sizes[:, 0]
    for ours, theirs in ((area, expected_area), (np.log(ratio), np.log(expected_ratio))):
        # Kolmogorov and Smirnov: two samples of 4000 of one distribution differ more once in a
        # thousand.
        both = np.sort(np.concatenate([ours, theirs]))
        steps = [
            np.searchsorted(np.sort(sample), both, "right") / 4000 for sample in (ours, theirs)
        ]
        assert np.abs(steps[0] - steps[1]).max() < 1.95 * math.sqrt(2 / 4000)
    # And anywhere: the crop's place among its places is uniform.
    assert abs((corners[:, 0, 0] / np.maximum(120 - height, 1)).mean() - 0.5) < 0.03
    assert abs((corners[:, 0, 1] / np.maximum(160 - width, 1)).mean() - 0.5) < 0.03


@pytest.mark.parametrize(
    ("shape", "box"), [((300, 20), (140, 0, 20, 20)), ((20, 300), (0, 136, 20, 27))]
)
def test_where_no_part_fits_the_middle_is_taken_as_torchvision_takes_it(
    shape: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(np.float32)
    got = make(places, T.RandomResizedCrop(60, (1, 1), (1, 4 / 3), interpolation="nearest"))
    top, left, height, width = box
    expected = F.resized_crop(
        channels_first(places), top, left, height, width, [60, 60], v2.InterpolationMode.NEAREST
    )
    assert torch.equal(got, expected.permute(1, 2, 0))


@pytest.mark.parametrize(
    ("image", "transform", "message"),
    [
        (
            IMAGE[:0],
            T.Resize(4),
            "Resize(1, 1) is larger than the image, which has height 0 and width 451",
        ),
    ],
)
def test_what_cannot_be_resized_says_why(image: Any, transform: T.Transform, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        nl.Loader(image[None], transforms=[transform])


def test_only_bytes_and_single_floats_are_computed_with() -> None:
    for interpolation in ("bilinear", "bicubic"):
        with pytest.raises(ValueError, match="cannot resize") as error:
            nl.Loader(IMAGE[None].astype(np.int32), transforms=[T.Resize(4, interpolation)])
        assert (
            str(error.value)
            == f'field "items": Resize: cannot resize int32 by "{interpolation}", expected uint8 or'
            ' float32: put ToDtype("float32") before it, or take interpolation="nearest", which'
            " copies elements of any dtype"
        )


def test_an_interpolation_is_torchvisions_or_its_name() -> None:
    assert T.Resize(4, v2.InterpolationMode.BICUBIC) == T.Resize(4, "bicubic")
    with pytest.raises(
        ValueError, match=r"interpolation must be one of nearest, .*, got 'lanczos'"
    ):
        T.Resize(4, "lanczos")
    with pytest.raises(ValueError, match="size must be a positive integer or "):
        T.Resize(0)


NEAREST = [
    ("nearest", v2.InterpolationMode.NEAREST),
    ("nearest-exact", v2.InterpolationMode.NEAREST_EXACT),
]
MASKS = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]


@pytest.mark.parametrize(("interpolation", "mode"), NEAREST)
@pytest.mark.parametrize("dtype", [*MASKS, "float16", "float32", "float64"])
def test_masks_of_any_dtype_are_resized_by_the_nearest_pixel_as_torchvision_does(
    dtype: str, interpolation: str, mode: v2.InterpolationMode
) -> None:
    most = {"bool": 2, "int8": 128}.get(dtype, 250)
    masks = np.random.default_rng(0).integers(0, most, (3, 37, 53)).astype(dtype)
    sizes: list[Any] = [(20, 60), (37, 100), (74, 106), (5, 7), 30]
    for size in sizes:
        sides = [size] if isinstance(size, int) else list(size)
        # torch takes them through float32, which holds all of these.
        floats = F.resize(torch.from_numpy(masks.astype(np.float32)), sides, mode).numpy()
        (batch,) = nl.Loader(
            masks, batch_size=3, transforms=[T.Resize(size, interpolation)], output="numpy"
        )
        assert batch.dtype == dtype
        assert np.array_equal(batch, floats.astype(dtype)), (size, interpolation)
        if dtype in ("uint8", "int64", "int32", "uint16"):
            (by_torchvision,) = nl.Loader(masks, batch_size=3, transforms=v2.Resize(sides, mode))
            assert torch.equal(by_torchvision, F.resize(torch.from_numpy(masks), sides, mode))


@pytest.mark.parametrize("interpolation", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint32", "float64"])
def test_numbers_that_no_float32_holds_come_out_as_they_went_in(
    dtype: str, interpolation: str
) -> None:
    places = np.arange(12 * 17).reshape(12, 17)
    highest = 2**52 if dtype == "float64" else int(np.iinfo(dtype).max)
    masks = (np.full((12, 17), highest, dtype) - places.astype(dtype)).astype(dtype)
    index = make(places.astype(np.float32), T.Resize((9, 31), interpolation)).numpy().astype(int)
    flips = [T.RandomHorizontalFlip(1), T.RandomVerticalFlip(1)]
    got = make(masks, T.Resize((9, 31), interpolation), *flips).numpy()
    assert np.array_equal(got, masks.ravel()[index[::-1, ::-1]])
    drawn = [T.RandomResizedCrop((8, 8), interpolation=interpolation)]
    index = make(places.astype(np.float32), *drawn).numpy().astype(int)
    assert np.array_equal(make(masks, *drawn).numpy(), masks.ravel()[index])


def test_channels_of_masks_and_images_in_between_are_resized_exactly_too() -> None:
    mask = np.random.default_rng(1).integers(-(2**62), 2**62, (31, 20, 3))
    expected = F.resize(channels_first(mask % 251), [40, 9], v2.InterpolationMode.NEAREST)
    rows = make(
        np.arange(31 * 20, dtype=np.float32).reshape(31, 20), T.Resize((40, 9), "nearest")
    ).numpy()
    exact = mask.reshape(-1, 3)[rows.astype(int)]
    assert np.array_equal(make(mask, T.Resize((40, 9), "nearest")).numpy(), exact)
    got = make(mask, T.Resize((40, 9), "nearest"), T.ChannelsFirst()).numpy()
    assert np.array_equal(got, exact.transpose(2, 0, 1))
    assert np.array_equal(got % 251, expected.numpy())
    converted = make(mask, T.Resize((40, 9), "nearest"), T.ToDtype("float64")).numpy()
    assert np.array_equal(converted, exact.astype(np.float64))
    padded = make(
        mask, T.Resize((40, 9), "nearest"), T.Pad(2, fill=-7), T.Resize((22, 13), "nearest")
    ).numpy()
    assert (padded[0] == -7).all()
