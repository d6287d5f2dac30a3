"""torchvision's own transforms, given as they are."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.helpers.images import channels_first, equal, photograph
from torchvision import transforms as v1
from torchvision.models import ResNet18_Weights
from torchvision.models.segmentation import FCN_ResNet50_Weights
from torchvision.transforms import v2

import ndlens as nl
from ndlens import transforms as T

IMAGE = photograph("coffee.png")[:90, :120]


def made(transforms: Any) -> torch.Tensor:
    (batch,) = nl.Loader(IMAGE[None], transforms=transforms)
    image: torch.Tensor = batch[0]
    return image


@pytest.mark.parametrize(
    "steps",
    [
        [v2.ToImage(), v2.CenterCrop(64), v2.ToDtype(torch.float32, scale=True), v2.ToPureTensor()],
        [v2.CenterCrop((100, 130)), v2.ConvertImageDtype(torch.float16)],
        [v2.Pad([3, 5], fill=7), v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip(1.0)],
        [v2.RandomCrop((94, 126), padding=[3, 2], padding_mode="reflect"), v2.Identity()],
        [v2.RandomCrop((99, 123), padding=[1, 2, 2, 7], fill=3)],
        [v2.Resize(60, antialias=True), v2.CenterCrop(48)],
        [
            v2.ColorJitter(brightness=(1.3, 1.3)),
            v2.ColorJitter(hue=(0.1, 0.1)),
            v2.RandomGrayscale(0.0),
        ],
        [v2.RandomGrayscale(1.0), v2.ColorJitter(contrast=(0.7, 0.7)), v2.RandomErasing(p=0.0)],
        [v2.RandomResizedCrop((90, 120), scale=(1, 1), ratio=(4 / 3, 4 / 3))],
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ],
    ],
)
def test_a_compose_gives_what_torchvision_makes_of_it(steps: list[Any]) -> None:
    expected = v2.Compose(steps)(channels_first(IMAGE))
    assert equal(made(v2.Compose(steps)), expected)
    assert equal(made(steps), expected)
    assert equal(made(v2.Compose([v2.Compose(steps[:1]), *steps[1:]])), expected)


def test_the_list_that_a_preset_s_error_gives_is_its_steps() -> None:
    preset: Any = ResNet18_Weights.DEFAULT.transforms(crop_size=48, resize_size=64)
    with pytest.raises(TypeError) as refused:
        made(preset)
    text = str(refused.value)
    steps = eval(text[text.index("[") : text.index("], where") + 1], {"T": T})
    expected = preset(channels_first(IMAGE))
    assert torch.allclose(made(steps), expected, atol=2.1 / 255 / 0.224)
    bicubic: Any = ResNet18_Weights.DEFAULT.transforms(
        resize_size=64, interpolation=v2.InterpolationMode.BICUBIC, antialias=False
    )
    with pytest.raises(TypeError, match=r'T\.Resize\(64, "bicubic", antialias=False\)'):
        made(bicubic)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [32, 64, 150])
def test_a_resize_of_a_pillow_image_differs_by_two_levels_at_most(mode: str, size: int) -> None:
    of_pillow = v2.Resize(size, v2.InterpolationMode(mode))(Image.fromarray(IMAGE))
    (batch,) = nl.Loader(IMAGE[None], transforms=[T.Resize(size, mode)], output="numpy")
    differences = np.abs(batch[0].astype(int) - np.asarray(of_pillow).astype(int))
    assert differences.max() <= 2


def test_steps_that_make_images_of_pillow_s_do_nothing_to_images() -> None:
    expected = v2.CenterCrop(64)(channels_first(IMAGE))
    assert equal(made([v2.PILToTensor(), v2.CenterCrop(64)]), expected)
    assert equal(made([v2.ToImage(), v2.CenterCrop(64)]), expected)


def test_one_may_be_given_alone_or_among_ours() -> None:
    expected = v2.CenterCrop(64)(channels_first(IMAGE))
    assert equal(made(v2.CenterCrop(64)), expected)
    assert equal(made([v2.CenterCrop(64), T.ChannelsFirst()]), expected)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        (
            v2.Compose([v2.ToImage(), v2.GaussianBlur(3)]),
            (
                "transform 1: torchvision's GaussianBlur cannot be compiled; docs/transforms.md"
                " lists what can"
            ),
        ),
        (
            v2.Compose([v2.Compose([v2.ToImage(), v2.Lambda(torch.abs)])]),
            (
                "transform 0.1: torchvision's Lambda cannot be compiled; apply the function to the"
                " batch, or to the array before"
            ),
        ),
        *(
            (
                [step],
                f"transform 0: torchvision's {type(step).__name__} cannot be compiled;"
                " docs/transforms.md lists what can",
            )
            for step in (
                v2.RandAugment(),
                v2.TrivialAugmentWide(),
                v2.RandomAffine(3),
                v2.RandomApply([v2.RandomCrop(3)]),
            )
        ),
        (
            [v2.RGB()],
            (
                "transform 0: torchvision's RGB cannot be compiled; nl.images gives RGB with"
                ' mode="RGB", its default: leave it out'
            ),
        ),
        (
            [v2.Grayscale()],
            (
                "transform 0: torchvision's Grayscale cannot be compiled; nl.images gives grey"
                ' with mode="L"'
            ),
        ),
        (
            ResNet18_Weights.DEFAULT.transforms(),
            (
                "transform 0: torchvision's ImageClassification is a preset: give its steps in"
                " place of it, [T.Resize(256), T.CenterCrop(224),"
                ' T.ToDtype("float32", scale=True), T.Normalize([0.485, 0.456, 0.406],'
                " [0.229, 0.224, 0.225]), T.ChannelsFirst()], where T is ndlens.transforms"
            ),
        ),
        (
            FCN_ResNet50_Weights.DEFAULT.transforms(),
            (
                "transform 0: torchvision's SemanticSegmentation is a preset: give its steps as"
                " a list; docs/transforms.md lists what can"
            ),
        ),
        (
            [v1.CenterCrop(3)],
            (
                "transform 0: CenterCrop is of torchvision's first transforms; use"
                " torchvision.transforms.v2"
            ),
        ),
        (
            [v2.Pad(1, fill={"others": 3})],
            (
                "transform 0: torchvision's Pad: a fill for each type of input cannot be compiled;"
                " give one for all"
            ),
        ),
        (
            [v2.ToDtype({"others": torch.float32})],
            (
                "transform 0: torchvision's ToDtype: a dtype for each type of input cannot be"
                " compiled; give one for all"
            ),
        ),
    ],
)
def test_what_cannot_be_compiled_is_named(transforms: Any, message: str) -> None:
    expected = re.escape(f'transforms of field "image": {message}')
    with pytest.raises(TypeError, match=f"^{expected}$"):
        nl.Loader({"image": np.zeros((2, 8, 8, 3), np.uint8)}, transforms={"image": transforms})
