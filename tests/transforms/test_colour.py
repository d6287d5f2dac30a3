"""Changes of colour: on real photographs as torchvision v2 makes them, drawn as it draws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.images import PHOTOGRAPHS, Array, channels_first, made, make, photograph
from torchvision.transforms.v2 import functional as F

import ndlens as nl
from ndlens import transforms as T

FACTORS = [0.0, 0.2, 0.75, 1.3, 2.0]
HUES = [-0.5, -0.21, 0.003, 0.1, 0.5]

CASES: list[tuple[str, Any, float]] = [
    *(("brightness", F.adjust_brightness, factor) for factor in FACTORS),
    *(("contrast", F.adjust_contrast, factor) for factor in FACTORS),
    *(("saturation", F.adjust_saturation, factor) for factor in FACTORS),
    *(("hue", F.adjust_hue, factor) for factor in HUES),
]


def middle(name: str) -> Array:
    """The middle of a photograph, where torch's sum of grays is exact; whole vectors wide."""
    image = photograph(name)
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    return image[top : top + 224, left : left + 224]


def as_floats(image: Array) -> Array:
    return image.astype(np.float32) / 255


def close(got: torch.Tensor, expected: torch.Tensor) -> bool:
    return got.shape == expected.shape and bool(((got - expected).abs() <= 1e-6).all())


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(("part", "adjust", "factor"), CASES)
def test_each_adjustment_of_bytes_is_bit_for_bit_torchvisions(
    name: str, part: str, adjust: Any, factor: float
) -> None:
    image = middle(name)
    got = make(image, T.ColorJitter(**{part: (factor, factor)}), T.ChannelsFirst())
    assert torch.equal(got, adjust(channels_first(image), factor))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(("part", "adjust", "factor"), CASES)
def test_each_adjustment_of_floats_is_torchvisions(
    name: str, part: str, adjust: Any, factor: float
) -> None:
    image = as_floats(middle(name))
    got = make(image, T.ColorJitter(**{part: (factor, factor)}), T.ChannelsFirst())
    expected = adjust(channels_first(image), factor)
    # Only a mean is summed in another order.
    assert close(got, expected) if part == "contrast" else torch.equal(got, expected)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_contrast_of_a_large_image_is_within_a_level(name: str) -> None:
    image = photograph(name)
    for factor in FACTORS:
        got = make(image, T.ColorJitter(contrast=(factor, factor)), T.ChannelsFirst())
        expected = F.adjust_contrast(channels_first(image), factor)
        assert int((got.int() - expected.int()).abs().max()) <= 1


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_all_four_come_in_one_of_their_orders(name: str) -> None:
    image = middle(name)
    items = np.broadcast_to(image, (40, *image.shape))
    jitter = T.ColorJitter((1.2, 1.2), (0.8, 0.8), (1.5, 1.5), (0.07, 0.07))
    batch = made(items, jitter, T.ChannelsFirst())
    steps = [
        (F.adjust_brightness, 1.2),
        (F.adjust_contrast, 0.8),
        (F.adjust_saturation, 1.5),
        (F.adjust_hue, 0.07),
    ]
    expected = set()
    for order in itertools.permutations(steps):
        changed = channels_first(image)
        for adjust, factor in order:
            changed = adjust(changed, factor)
        expected.add(changed.contiguous().numpy().tobytes())
    got = {item.numpy().tobytes() for item in batch}
    assert len(got) > 12
    assert got <= expected


def test_each_of_the_24_orders_is_equally_likely() -> None:
    image = middle("astronaut.png")[:9, :11]
    items = np.broadcast_to(image, (4800, *image.shape))
    batch = made(items, T.ColorJitter((1.4, 1.4), (0.6, 0.6), (1.9, 1.9), (0.2, 0.2)))
    _, counts = np.unique(batch.numpy().reshape(4800, -1), axis=0, return_counts=True)
    assert len(counts) == 24
    # 23 degrees of freedom: 1 seed in 1000 exceeds 49.7, and this one is fixed.
    assert float(((counts - 200) ** 2 / 200).sum()) < 49.7


def test_factors_are_uniform_over_their_interval() -> None:
    items = np.full((4000, 1, 1, 3), 0.25, np.float32)
    factors = (
        made(items, T.ColorJitter(brightness=0.5), channels="last")[:, 0, 0, 0].double() / 0.25
    )
    assert 0.5 <= float(factors.min()) < 0.505 < 1.495 < float(factors.max()) <= 1.5
    counts = np.histogram(factors.numpy(), bins=20, range=(0.5, 1.5))[0]
    # 19 degrees of freedom: 1 seed in 1000 exceeds 43.8, and this one is fixed.
    assert float(((counts - 200) ** 2 / 200).sum()) < 43.8


def test_a_number_is_an_interval_around_what_changes_nothing() -> None:
    assert T.ColorJitter(0.4, 0.3, (0.5, 2), 0.1) == T.ColorJitter(
        brightness=(0.6, 1.4), contrast=(0.7, 1.3), saturation=(0.5, 2.0), hue=(-0.1, 0.1)
    )
    assert T.ColorJitter(2).brightness == (0.0, 3.0)
    assert T.ColorJitter(0, (1, 1), None, 0.0) == T.ColorJitter()
    assert repr(T.ColorJitter(hue=0.25)) == "ColorJitter(hue=(-0.25, 0.25))"
    image = middle("coffee.png")
    assert torch.equal(make(image, T.ColorJitter()), torch.from_numpy(image.copy()))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_grayscale_is_torchvisions_and_keeps_three_channels(name: str) -> None:
    for image in (photograph(name), as_floats(photograph(name))):
        got = make(image, T.RandomGrayscale(1), T.ChannelsFirst())
        assert torch.equal(got, F.rgb_to_grayscale(channels_first(image), num_output_channels=3))
        assert torch.equal(make(image, T.RandomGrayscale(0)), torch.from_numpy(image.copy()))


def test_a_grayscale_has_its_probability() -> None:
    items = np.broadcast_to(np.array([10, 20, 30], np.uint8), (4000, 1, 1, 3))
    gray = made(items, T.RandomGrayscale(), channels="last")[:, 0, 0, 0] != 10
    # Five standard deviations.
    assert abs(int(gray.sum()) - 400) < 5 * 19


@pytest.mark.parametrize("channels", [None, 1])
def test_an_image_of_one_channel_has_brightness_and_contrast_only(channels: int | None) -> None:
    gray = middle("rocket.jpg")[..., 0].copy()
    image = gray if channels is None else gray[..., None]
    chw = torch.from_numpy(gray)[None]
    for part, adjust, factor in CASES:
        got = make(image, T.ColorJitter(**{part: (factor, factor)})).reshape(1, 224, 224)
        assert torch.equal(got, adjust(chw, factor)), (part, factor)
    assert torch.equal(make(image, T.RandomGrayscale(1)), torch.from_numpy(image))


def test_a_change_of_colour_stands_anywhere_in_a_recipe() -> None:
    image = photograph("chelsea.png")
    jitter = T.ColorJitter(saturation=(1.6, 1.6))
    normal = [T.ToDtype("float32", scale=True), T.Normalize(0.5, 0.2)]
    got = make(
        image, T.CenterCrop(200), T.RandomHorizontalFlip(1), jitter, *normal, T.ChannelsFirst()
    )
    cropped = F.horizontal_flip(F.center_crop(channels_first(image), [200, 200]))
    changed = F.to_dtype(F.adjust_saturation(cropped, 1.6), torch.float32, scale=True)
    assert torch.equal(got, F.normalize(changed, [0.5] * 3, [0.2] * 3))
    # After a conversion it changes floats, and as last step the batch itself.
    floats = F.to_dtype(channels_first(image), torch.float32, scale=True)
    assert torch.equal(
        make(image, normal[0], jitter, T.ChannelsFirst(), T.CenterCrop(100), normal[1]),
        F.normalize(
            F.center_crop(F.adjust_saturation(floats, 1.6), [100, 100]), [0.5] * 3, [0.2] * 3
        ),
    )
    assert torch.equal(
        make(image, normal[0], jitter), F.adjust_saturation(floats, 1.6).permute(1, 2, 0)
    )
    assert torch.equal(make(image, jitter, jitter), make(make(image, jitter), jitter))


def test_the_data_set_itself_is_never_changed() -> None:
    image = photograph("coffee.png")
    before = image.copy()
    made(
        nl.view(image)[None],
        T.ColorJitter(0.9, 0.9, 0.9, 0.5),
        T.RandomGrayscale(1),
        T.RandomErasing(1),
    )
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("make_transform", "text"),
    [
        (lambda: T.ColorJitter(brightness=-0.1), "brightness must not be negative, got -0.1"),
        (
            lambda: T.ColorJitter(contrast=(2, 1)),
            "contrast must be two numbers, the lower first, got (2.0, 1.0)",
        ),
        (lambda: T.ColorJitter(hue=[0.1]), "hue must be two numbers, the lower first, got (0.1,)"),
    ],
)
def test_what_is_no_interval_says_so(make_transform: Any, text: str) -> None:
    with pytest.raises(ValueError, match="must") as error:
        make_transform()
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("image", "transform", "text"),
    [
        (
            np.zeros((1, 4, 4, 3), np.float64),
            T.ColorJitter(0.1),
            "ColorJitter: colours are changed of uint8 and float32 images, got float64",
        ),
        (
            np.zeros((1, 5, 5, 4), np.uint8),
            T.RandomGrayscale(),
            "RandomGrayscale: colours are changed of images with 1 or 3 channels, got 4",
        ),
    ],
)
def test_what_cannot_be_coloured_says_why(image: Array, transform: T.Transform, text: str) -> None:
    with pytest.raises(ValueError, match="got") as error:
        nl.Loader(image, transforms=[transform])
    assert str(error.value) == f'field "items": {text}'
