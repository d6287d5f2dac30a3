"""Where the channels of images are: `channels=`, and what shapes tell without it."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.images import equal
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import ndlens as nl
from ndlens import transforms as T

# Sides as small as channels, and channels as many as sides.
FIRST: list[Any] = [
    (1, 28, 28),
    (2, 9, 12),
    (3, 4, 4),
    (3, 32, 40),
    (4, 5, 6),
    (12, 32, 32),
    (8, 8, 4),
    (64, 7, 7),
    (9, 9, 9),
]
STEPS: list[Any] = [
    [v2.RandomHorizontalFlip(1.0)],
    [v2.RandomVerticalFlip(1.0), v2.ToDtype(torch.float32, scale=True)],
    [v2.CenterCrop((3, 2)), v2.Pad([1, 2, 3, 0], fill=7)],
    [v2.Resize((6, 7), v2.InterpolationMode.NEAREST_EXACT)],
    [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.25])],
    [v2.ToDtype(torch.float32, scale=True), v2.RandomErasing(1.0, (1e-9, 1e-9)), v2.ToPureTensor()],
]


def images(shape: tuple[int, ...], number: int = 2) -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(shape)).integers(0, 256, (number, *shape), np.uint8)


def batch_of(fields: Any, transforms: Any, **settings: Any) -> Any:
    (batch,) = nl.Loader(fields, batch_size=2, transforms=transforms, **settings)
    return batch


def by_torchvision(items: np.ndarray[Any, Any], steps: list[Any]) -> torch.Tensor:
    return torch.stack([v2.Compose(steps)(torch.from_numpy(item)) for item in items])


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("shape", FIRST, ids=str)
def test_channels_first_images_come_out_as_torchvisions_or_the_error_asks(
    shape: tuple[int, ...], steps: list[Any]
) -> None:
    items = images(shape)
    expected = by_torchvision(items, steps)
    assert equal(batch_of(items, steps, channels="first"), expected)
    assert equal(batch_of(items, v2.Compose(steps), channels="first"), expected)
    try:
        guessed = batch_of(items, steps)
    except ValueError as error:
        assert re.search(  # noqa: PT017  # either is right
            r' must know which axes .* are height and width: say channels="first" if .*'
            r' channels="last" if',
            str(error),
        )
        return
    assert equal(guessed, expected)


@pytest.mark.parametrize(
    "shape", [(28, 28, 1), (5, 6, 3), (16, 20, 2), (32, 40, 4), (3, 40, 3), (9, 9, 9)]
)
def test_channels_last_images_come_out_as_torchvision_makes_them_of_their_planes(
    shape: Any,
) -> None:
    items = images(shape)
    steps = [
        v2.RandomHorizontalFlip(1.0),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5], [0.25]),
    ]
    expected = by_torchvision(items.transpose(0, 3, 1, 2), steps)
    assert equal(batch_of(items, steps, channels="last"), expected)
    if shape[2] < 9 and shape[0] > 4:
        assert equal(batch_of(items, steps), expected)


@pytest.mark.parametrize(
    "steps", [[v2.ToDtype(torch.float32, scale=True)], v2.ToDtype(torch.int16), [v2.Identity()]]
)
@pytest.mark.parametrize(
    "shape", [(), (5,), (3, 9), (3, 32, 40), (32, 40, 3), (6, 7, 8), (2, 3, 4, 5)]
)
def test_a_list_without_a_step_that_needs_axes_permutes_nothing(shape: Any, steps: Any) -> None:
    items = images(shape)
    expected = v2.Compose(steps if isinstance(steps, list) else [steps])(torch.from_numpy(items))
    assert equal(batch_of(items, steps), expected)
    assert equal(batch_of(items, steps, channels="first"), expected)


def test_gray_images_get_the_channel_that_torchvision_gives_them() -> None:
    items = images((28, 20))
    to_image = [v2.ToImage(), v2.RandomHorizontalFlip(1.0), v2.ToDtype(torch.float32, scale=True)]
    for steps in (to_image, [*to_image, v2.Normalize([0.1307], [0.3081])]):
        expected = by_torchvision(items, steps)
        assert expected.shape == (2, 1, 28, 20)
        assert equal(batch_of(items, steps), expected)
    without = [v2.RandomHorizontalFlip(1.0), v2.CenterCrop(9)]
    assert equal(batch_of(items, without), by_torchvision(items, without))
    windows = nl.windows(images((20,), 40)[:, None].squeeze(1), 10)
    (batch,) = nl.Loader(windows, batch_size=31, transforms=[v2.ToImage()])
    assert batch.shape == (31, 1, 10, 20)


@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (1, 28, 28), (16, 64, 64), (64, 64, 5), (3, 4, 4), (7, 7, 7)]
)
@pytest.mark.parametrize(
    "transform",
    [
        T.RandomHorizontalFlip(1.0),
        T.Resize(64),
        T.CenterCrop(2),
        T.Pad(1),
        T.RandomErasing(),
        T.RandomGrayscale(),
    ],
    ids=str,
)
def test_our_own_lists_ask_where_images_may_be_channels_first_or_volumes(
    shape: tuple[int, ...], transform: T.Transform
) -> None:
    with pytest.raises(ValueError, match="must know") as error:
        nl.Loader(images(shape), transforms=[transform])
    assert (
        str(error.value)
        == f'transforms of field "items": {type(transform).__name__} must know which axes of items'
        f' of shape {list(shape)} are height and width: say channels="first" if they are'
        ' (channels, height, width), or volumes of (depth, height, width); say channels="last"'
        " if they are (height, width, channels)"
    )


@pytest.mark.parametrize("shape", FIRST, ids=str)
def test_our_own_lists_do_to_channels_first_images_what_torchvision_does(
    shape: tuple[int, ...],
) -> None:
    items = images(shape)
    ours = [T.RandomHorizontalFlip(1), T.CenterCrop((3, 2)), T.ToDtype("float32", scale=True)]
    theirs = [
        v2.RandomHorizontalFlip(1.0),
        v2.CenterCrop((3, 2)),
        v2.ToDtype(torch.float32, scale=True),
    ]
    expected = by_torchvision(items, theirs)
    assert equal(batch_of(items, ours, channels="first"), expected)
    # They are first already: nothing is turned twice.
    assert equal(batch_of(items, [*ours, T.ChannelsFirst()], channels="first"), expected)
    last = batch_of(items, [*ours, T.ChannelsFirst("channels_last")], channels="first")
    assert torch.equal(last, expected)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_statistics_of_channels_go_to_the_channels() -> None:
    items = images((3, 32, 32))
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    theirs = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
    ours = [T.ToDtype("float32", scale=True), T.Normalize(mean, std)]
    expected = by_torchvision(items, theirs)
    assert equal(batch_of(items, theirs), expected)
    assert equal(batch_of(items, ours, channels="first"), expected)
    with pytest.raises(
        ValueError, match=r"Normalize must know which axes of items of shape \[3, 32, 32\]"
    ):
        nl.Loader(items, transforms=ours)
    # Only the last axis has as many.
    assert batch_of(images((3, 4, 5)), [ours[0], T.Normalize([0.5] * 5, [1.0] * 5)]).shape == (
        2,
        3,
        4,
        5,
    )


def test_plain_images_and_items_of_other_ranks_need_no_word() -> None:
    for shape in [(4, 4, 3), (2, 3, 1), (480, 4, 3), (32, 32, 4), (8, 8), (28, 28)]:
        items = images(shape)
        flipped = batch_of(items, [T.RandomHorizontalFlip(1)], output="numpy")
        assert np.array_equal(flipped, items[:, :, ::-1])
    ragged = nl.ragged([np.zeros((5, 6, 12), np.uint8), np.zeros((7, 9, 12), np.uint8)])
    assert batch_of(ragged, [T.CenterCrop(4)]).shape == (2, 4, 4, 12)
    for transform in (
        T.Standardize(0, 1),
        T.RandomJitter(1),
        T.Normalize(0, 1),
        T.RandomScale(1, 2),
    ):
        floats = images((6, 7, 8)).astype(np.float32)
        assert batch_of(floats, [transform]).shape == (2, 6, 7, 8)
    # Who turns images says how they were.
    turned = batch_of(images((6, 7, 12)), [T.RandomHorizontalFlip(1), T.ChannelsFirst()])
    assert turned.shape == (2, 12, 6, 7)


def test_volumes_are_flipped_slice_by_slice() -> None:
    volumes = images((16, 24, 20))
    flipped = batch_of(volumes, [T.RandomHorizontalFlip(1)], channels="first", output="numpy")
    assert np.array_equal(flipped, volumes[..., ::-1])


def test_each_field_may_have_a_word_of_its_own() -> None:
    first, last, mask = images((5, 9, 8)), images((9, 8, 5)), images((9, 8))
    flip = [T.RandomHorizontalFlip(1)]
    fields = {"first": first, "last": last, "mask": mask, "label": np.arange(2)}
    transforms = dict.fromkeys(["first", "last", "mask"], flip)
    batch = batch_of(
        fields, transforms, channels={"first": "first", "last": "last"}, output="numpy"
    )
    assert np.array_equal(batch["first"], first[..., ::-1])
    assert np.array_equal(batch["last"], last[:, :, ::-1])
    assert np.array_equal(batch["mask"], mask[..., ::-1])
    for channels in [("first", "last"), ["first", "last"]]:
        both = batch_of((first, last), (flip, flip), channels=channels, output="numpy")
        assert np.array_equal(both[0], first[..., ::-1])
        assert np.array_equal(both[1], last[:, :, ::-1])
    # One word is for the images among the fields.
    one = batch_of(
        {"image": first, "mask": mask},
        {"image": flip, "mask": flip},
        channels="first",
        output="numpy",
    )
    assert np.array_equal(one["image"], first[..., ::-1])
    assert np.array_equal(one["mask"], mask[..., ::-1])


@pytest.mark.parametrize(
    ("channels", "error", "message"),
    [
        ("chw", ValueError, 'channels must be "first" or "last", got "chw"'),
        (
            3,
            TypeError,
            (
                'channels must be "first" or "last", or one of them for each field in the structure'
                " of fields, got 3"
            ),
        ),
        (
            {"img": "first"},
            ValueError,
            'channels names field "img", but the fields are ["image", "mask"]',
        ),
        (
            {"image": "chw"},
            ValueError,
            'field "image": channels must be "first" or "last", got "chw"',
        ),
        (
            {"mask": "first"},
            ValueError,
            (
                'transforms of field "mask": channels="first" is of images with three axes, got'
                " items of shape [9, 8]; leave it out for this field"
            ),
        ),
    ],
)
def test_a_word_that_is_none_is_refused(
    channels: Any, error: type[Exception], message: str
) -> None:
    fields = {"image": images((9, 8, 3)), "mask": images((9, 8))}
    with pytest.raises(error) as raised:
        nl.Loader(fields, channels=channels)
    assert str(raised.value) == message
    if not isinstance(channels, dict):
        return
    with pytest.raises(ValueError, match=r"^channels has 1 entries for 2 fields$"):
        nl.Loader(tuple(fields.values()), channels=("last",))


def test_items_that_are_no_rows_of_a_view_are_turned_too() -> None:
    clip = images((9, 8), 20)
    windows = nl.windows(clip, 5)
    (batch,) = nl.Loader(
        windows,
        batch_size=16,
        transforms=[T.RandomHorizontalFlip(1)],
        channels="first",
        output="numpy",
    )
    expected = np.lib.stride_tricks.sliding_window_view(clip, 5, 0).transpose(0, 3, 1, 2)[..., ::-1]
    assert np.array_equal(batch, expected)


def test_torchs_data_set_and_a_replay_take_the_word_too() -> None:
    items = images((5, 9, 8), 4)
    crop = [T.RandomCrop(4), T.RandomHorizontalFlip()]
    dataset = nl.torch.Dataset(items, crop, channels="first")
    dataset = pickle.loads(pickle.dumps(dataset))
    dataset.set_epoch(0)
    (got,) = DataLoader(dataset, batch_size=4, collate_fn=nl.torch.collate)
    ((batch, params),) = nl.Loader(
        items, batch_size=4, transforms=crop, channels="first", return_params=True
    )
    assert torch.equal(got, batch)
    again = T.replay(crop, items, params, channels="first")
    assert np.array_equal(again.numpy(), batch.numpy())
    with pytest.raises(ValueError, match="RandomCrop must know which axes"):
        T.replay(crop, items, params)


@pytest.mark.parametrize("transforms", [None, [T.ToDtype("float32", scale=True)]])
def test_a_rectangle_is_mixed_along_the_images_own_axes(transforms: Any) -> None:
    items, labels = images((3, 32, 40), 8), np.arange(8)
    lists = None if transforms is None else (transforms, None)
    settings: dict[str, Any] = {"batch_size": 8, "transforms": lists, "mix": T.CutMix(8), "seed": 3}
    with pytest.raises(
        ValueError, match=r"CutMix must know which axes of items of shape \[3, 32, 40\]"
    ):
        nl.Loader((items, labels), **settings)
    ((first, _),) = nl.Loader((items, labels), channels="first", **settings)
    ((last, _),) = nl.Loader((items.transpose(0, 2, 3, 1), labels), **settings)
    assert torch.equal(first, last.permute(0, 3, 1, 2))
    assert not torch.equal(first, first.roll(1, 0))


def test_turning_copies_nothing_and_fields_without_transforms_stay_as_they_are() -> None:
    items = images((3, 32, 40), 2)
    assert np.array_equal(batch_of(items, None, channels="first", output="numpy"), items)
    assert np.array_equal(batch_of(items, None, channels="last", output="numpy"), items)
    assert np.array_equal(batch_of(items, [], channels="first", output="numpy"), items)


@pytest.mark.parametrize("shape", [(3, 32, 40), (28, 28)])
def test_a_loader_and_its_state_show_items_as_they_were_given(shape: Any) -> None:
    items = np.zeros((5, *shape), np.uint8)
    transforms = v2.Compose([v2.ToImage(), v2.CenterCrop(8)])
    loader = nl.Loader(items, transforms=transforms, channels="first" if len(shape) == 3 else None)
    sizes = ", ".join(map(str, shape))
    assert loader.state_dict()["fields"] == [f"items uint8 [{sizes}]"]
    assert f"[{sizes}]" in repr(loader)


@pytest.mark.parametrize("shape", ["[3, 32, 40]", "[32, 40, 3]"])
def test_a_state_says_the_shape_as_given_or_as_older_states_with_the_channels_last(
    shape: str,
) -> None:
    items = images((3, 32, 40), 20)
    loader = nl.Loader(
        items,
        batch_size=4,
        transforms=[T.CenterCrop(8)],
        channels="first",
        shuffle=True,
        seed=3,
        output="numpy",
    )
    state = {
        "version": 1,
        "epoch": 1,
        "items_done": 8,
        "items": 20,
        "shuffle": True,
        "order": "ndlens",
        "seed": 3,
        "fields": [f"items uint8 {shape}"],
    }
    loader.set_epoch(1)
    whole = list(loader)
    loader.load_state_dict(state)
    assert loader.state_dict() == {**state, "fields": ["items uint8 [3, 32, 40]"]}
    assert np.array_equal(np.concatenate(list(loader)), np.concatenate(whole[2:]))
    with pytest.raises(ValueError, match=r"its fields: items uint8 \[40, 32, 3\]; this loader's"):
        loader.load_state_dict({**state, "fields": ["items uint8 [40, 32, 3]"]})
