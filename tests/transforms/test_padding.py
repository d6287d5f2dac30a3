"""Padding, crops beyond the image, and quarter turns, bit for bit as torchvision v2 has them."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.images import channels_first, make, photograph
from tests.helpers.loading import succeeds
from torchvision.transforms import v2
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
    expected = F.pad(
        channels_first(IMAGE), sides, fill=7 if mode == "constant" else 0, padding_mode=mode
    )
    assert torch.equal(make(IMAGE, T.Pad(padding, fill=7, padding_mode=mode)), as_made(expected))


def test_a_fill_may_have_a_value_for_each_channel_and_is_of_the_dtype_the_image_has() -> None:
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
        items,
        batch_size=600,
        transforms=[T.RandomCrop((4, 7), padding=2, fill=99, padding_mode=mode)],
    )
    padded = F.pad(
        channels_first(small), [2], fill=99 if mode == "constant" else 0, padding_mode=mode
    )[0]
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
    with pytest.raises(
        ValueError, match=r"RandomCrop\(4, 4\) is larger than the image, which has height 2 "
    ):
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
    assert {tuple(image.ravel().tolist()) for image in batch} == {
        (0, 1, 2, 3),
        (1, 3, 0, 2),
        (2, 0, 3, 1),
    }


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            T.Pad(41, padding_mode="reflect"),
            (
                "Pad: padding [41, 41, 41, 41] (left, top, right, bottom) mirrors more than the"
                " image has, which is 41 high and 58 wide"
            ),
        ),
        (
            T.Pad(2**63 - 1),
            (
                "shape [18446744073709551615, 18446744073709551615] with 1-byte elements does not"
                " fit the address space"
            ),
        ),
        (T.Pad(1, fill=(1, 2)), "Pad: fill has 2 values, expected 1 or one for each of 3 channels"),
        (
            T.Pad(1, fill=0.5),
            "Pad: fill 0.5 is not a value of uint8, the dtype of the image at this point",
        ),
        (
            T.Crop(1, 0, 41, 1),
            "Crop(42, 1) is larger than the image, which has height 41 and width 58",
        ),
        (
            T.RandomQuarterTurn([90]),
            (
                "RandomQuarterTurn by 90 or 270 degrees needs a square image, got height 41 and"
                " width 58; crop it first"
            ),
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
        (
            lambda: T.Pad(1, padding_mode="wrap"),
            "padding_mode must be one of constant, edge, .*, got 'wrap'",
        ),
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


def test_an_image_in_between_is_never_made_however_large() -> None:
    """`CenterCrop(60000)` alone would be 10.8 GB."""
    program = """
        import resource
        import numpy as np
        import ndlens as nl
        from ndlens import transforms as T
        image = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3), np.uint8)
        large = [
            [T.CenterCrop(60000), T.Pad(2, fill=9), T.CenterCrop(52)],
            [
                T.Pad(30000, padding_mode="edge"),
                T.Pad((3, 1), padding_mode="reflect"),
                T.CenterCrop((44, 56)),
            ],
            [
                T.RandomCrop(60000, pad_if_needed=True),
                T.RandomHorizontalFlip(),
                T.Pad(1),
                T.RandomCrop(64),
            ],
            [T.Resize(60000, "nearest"), T.Pad(4, fill=1), T.RandomCrop(64)],
            [
                T.CenterCrop(60000),
                T.ToDtype("float32", scale=True),
                T.Pad(3, fill=0.5),
                T.CenterCrop(56),
            ],
            [
                T.CenterCrop(2**40),
                T.Pad(2**40),
                T.RandomVerticalFlip(1),
                T.RandomQuarterTurn([90]),
                T.CenterCrop(8),
            ],
        ]
        used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = used()
        for steps in large:
            (batch,) = nl.Loader(image, transforms=steps, output="numpy")
        # kB; the margin is the allocator's.
        print(used() - before < 50_000)
    """
    assert succeeds(program) == "True\n"


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_windows_on_windows_show_what_making_each_image_would(data: st.DataObject) -> None:
    """Against NumPy, which makes them all."""
    height, width = data.draw(st.integers(2, 9)), data.draw(st.integers(2, 9))
    image = np.arange(1, height * width + 1, dtype=np.uint8).reshape(height, width)
    expected: Any = image
    steps: list[T.Transform] = []
    if data.draw(st.booleans()):
        steps.append(T.Resize((7, 5), "nearest"))
        expected = F.resize(torch.from_numpy(image)[None], [7, 5], v2.InterpolationMode.NEAREST)[
            0
        ].numpy()
    for _ in range(data.draw(st.integers(1, 6))):
        height, width = expected.shape
        match data.draw(st.sampled_from(["pad", "crop", "flip", "turn", "center", "values"])):
            case "pad":
                mode = data.draw(st.sampled_from(["constant", "edge", "reflect", "symmetric"]))
                most = {"reflect": min(height, width) - 1, "symmetric": min(height, width)}.get(
                    mode, 9
                )
                sides = [data.draw(st.integers(0, most)) for _ in range(4)]
                fill = data.draw(st.integers(0, 255)) if mode == "constant" else 0
                steps.append(T.Pad(sides, fill, mode))
                left, top, right, bottom = sides
                settings = {"constant_values": fill} if mode == "constant" else {}
                widths = ((top, bottom), (left, right))
                # Its overloads want each mode by name.
                expected = np.pad(expected, widths, mode, **settings)  # type: ignore[call-overload]
            case "crop":
                rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
                top, left = (
                    data.draw(st.integers(0, height - rows)),
                    data.draw(st.integers(0, width - columns)),
                )
                steps.append(T.Crop(top, left, rows, columns))
                expected = expected[top : top + rows, left : left + columns]
            case "flip":
                steps.append(T.RandomHorizontalFlip(1))
                expected = expected[:, ::-1]
            case "values":
                steps += [T.ToDtype("float32"), T.Normalize(3, 2)]
                expected = (expected.astype(np.float32) - 3) / 2
            case "turn":
                steps.append(T.RandomQuarterTurn([180]))
                expected = np.rot90(expected, 2)
            case "center":
                size = [data.draw(st.integers(1, 14)), data.draw(st.integers(1, 14))]
                steps.append(T.CenterCrop(size))
                expected = F.center_crop(torch.from_numpy(expected.copy())[None], size)[0].numpy()
    assert np.array_equal(make(image, *steps).numpy(), expected), steps


HUGE = [2**40, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 1]


@pytest.mark.parametrize("huge", HUGE)
@pytest.mark.parametrize(
    "make_transform",
    [
        lambda n: T.RandomCrop(n, pad_if_needed=True),
        lambda n: T.RandomCrop((n, 1), padding=n, pad_if_needed=True),
        lambda n: T.RandomCrop(3, padding=n),
        lambda n: T.RandomCrop(n),
        lambda n: T.CenterCrop(n),
        lambda n: T.CenterCrop((1, n)),
        lambda n: T.Crop(n, n, n, n),
        lambda n: T.Crop(0, 0, 1, n),
        lambda n: T.Pad(n),
        lambda n: T.Pad((0, 0, 0, n), padding_mode="edge"),
        lambda n: T.Pad(n, padding_mode="symmetric"),
        lambda n: T.Resize(n),
        lambda n: T.Resize((1, n), "nearest"),
        lambda n: T.Resize(4, max_size=n),
        lambda n: T.Resize(None, max_size=n),
        lambda n: T.RandomResizedCrop(n),
    ],
)
def test_sizes_beyond_all_images_are_refused_or_seen_only_in_part(
    make_transform: Any, huge: int
) -> None:
    with contextlib.suppress(ValueError):
        nl.Loader(IMAGE[None], transforms=[make_transform(huge)])
    for steps in (
        [make_transform(huge)],
        [T.Pad(huge), make_transform(huge)],
        [make_transform(huge), T.Pad(huge)],
    ):
        try:
            batch = make(IMAGE, *steps, T.CenterCrop(4))
        except (ValueError, MemoryError) as error:
            known = (
                "larger than the image|does not fit|mirrors more|cannot resize|must be|cannot"
                " allocate"
            )
            assert re.search(known, str(error))  # noqa: PT017  # the other outcome is right too
        else:
            assert batch.shape == (4, 4, 3)


@pytest.mark.parametrize("number", [2**63, 2**64, 2**65 + 3, 10**40])
def test_a_number_beyond_64_bits_is_refused_by_the_transform(number: int) -> None:
    message = rf" must be at most 9223372036854775807, got .*{number}"
    makers: list[Any] = [
        T.RandomCrop, T.CenterCrop, T.Resize, T.RandomResizedCrop, T.Pad,
        lambda n: T.RandomCrop(1, padding=n), lambda n: T.Crop(n, 0, 1, 1),
        lambda n: T.Crop(0, n, 1, 1), lambda n: T.Crop(0, 0, n, 1),
        lambda n: T.Crop(0, 0, 1, n), lambda n: T.Resize(1, max_size=n),
    ]  # fmt: skip
    for make_transform in makers:
        with pytest.raises(ValueError, match=message):
            make_transform(number)
    made = make(IMAGE[:41, :41], T.RandomQuarterTurn([360 * number]))
    assert torch.equal(made, torch.from_numpy(IMAGE[:41, :41].copy()))
