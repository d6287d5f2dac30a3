"""`joint=`: fields that draw the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import ndlens as nl
from ndlens import transforms as T

# Each pixel says where it is, in both fields.
PLACES = np.broadcast_to(np.arange(24 * 24, dtype=np.int64).reshape(24, 24), (64, 24, 24))
IMAGES = PLACES[..., None]
CROP = [T.RandomCrop(9), T.RandomHorizontalFlip()]
FIELDS = {"image": IMAGES, "mask": PLACES}


def agree(batch: dict[str, Any]) -> torch.Tensor:
    """For each item, whether its image and its mask show the same places."""
    equal: torch.Tensor = (batch["image"][..., 0] == batch["mask"]).flatten(1).all(1)
    return equal


def batch_of(fields: Any, transforms: Any, joint: Any) -> Any:
    (batch,) = nl.Loader(fields, batch_size=64, transforms=transforms, joint=joint)
    return batch


def test_fields_named_together_are_cropped_and_flipped_alike_and_others_are_not() -> None:
    transforms = {"image": CROP, "mask": CROP}
    assert agree(batch_of(FIELDS, transforms, ("image", "mask"))).all()
    assert agree(batch_of(FIELDS, transforms, [("image", "mask")])).all()
    apart = agree(batch_of(FIELDS, transforms, None))
    assert apart.sum() < 8


def test_other_transforms_around_them_change_nothing() -> None:
    transforms = {"image": [T.RandomVerticalFlip(0), *CROP, T.RandomCrop(9)], "mask": CROP}
    assert agree(batch_of(FIELDS, transforms, ("image", "mask"))).all()


def test_several_groups_draw_apart_from_each_other() -> None:
    fields = {"image": IMAGES, "mask": PLACES, "image 2": IMAGES, "mask 2": PLACES}
    transforms = dict.fromkeys(fields, CROP)
    batch = batch_of(fields, transforms, [("image", "mask"), ("image 2", "mask 2")])
    second = {"image": batch["image 2"], "mask": batch["mask 2"]}
    assert agree(batch).all()
    assert agree(second).all()
    assert agree({"image": batch["image"], "mask": batch["mask 2"]}).sum() < 8


def test_fields_of_a_tuple_are_named_by_their_places() -> None:
    image, mask = batch_of((IMAGES, PLACES), (CROP, CROP), (0, 1))
    assert agree({"image": image, "mask": mask}).all()


@pytest.mark.parametrize("epoch", [None, 3])
def test_torchs_data_set_draws_the_same_for_them_too(epoch: int | None) -> None:
    dataset = nl.torch.Dataset(FIELDS, {"image": CROP, "mask": CROP}, joint=("image", "mask"))
    if epoch is not None:
        dataset.set_epoch(epoch)
    for batch in DataLoader(dataset, batch_size=32, num_workers=1, collate_fn=nl.torch.collate):
        assert agree(batch).all()


@pytest.mark.parametrize(
    ("joint", "error", "message"),
    [
        (
            "image",
            TypeError,
            "joint must be a tuple of fields that draw the same, or a list of such tuples",
        ),
        (("image", "depth"), ValueError, "joint names 'depth', which is not a field"),
        ([("image", "depth")], ValueError, "joint names 'depth', which is not a field"),
        ([("image", "mask"), ("mask",)], ValueError, 'joint names field "mask" twice'),
    ],
)
def test_groups_that_are_none_are_refused(joint: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        nl.Loader(FIELDS, joint=joint)


FLIP, CROP_9 = T.RandomHorizontalFlip(), T.RandomCrop(9)
SMALL = PLACES[:, ::2, ::2]


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (
            [FLIP],
            [T.RandomHorizontalFlip(0.2)],
            'RandomHorizontalFlip draws from p = 0.5 for "image" and from p = 0.2 for "mask"',
        ),
        (
            [FLIP, T.RandomHorizontalFlip(0.3)],
            [FLIP, FLIP],
            'RandomHorizontalFlip draws from p = 0.3 for "image" and from p = 0.5 for "mask"',
        ),
        (
            [CROP_9],
            [T.RandomCrop(8)],
            (
                'RandomCrop draws from crops of 9 x 9 of images of 24 x 24 for "image" and from'
                ' crops of 8 x 8 of images of 24 x 24 for "mask"'
            ),
        ),
        (
            [CROP_9],
            [T.RandomCrop(9, padding=1, pad_if_needed=True)],
            (
                'RandomCrop draws from crops of 9 x 9 of images of 24 x 24 for "image" and from'
                " crops of 9 x 9 of images of 24 x 24, padded by [1, 1, 1, 1] and where needed for"
                ' "mask"'
            ),
        ),
        (
            [CROP_9],
            [T.CenterCrop(20), CROP_9],
            (
                'RandomCrop draws from crops of 9 x 9 of images of 24 x 24 for "image" and from'
                ' crops of 9 x 9 of images of 20 x 20 for "mask"'
            ),
        ),
        (
            [T.RandomResizedCrop(8, interpolation="nearest")],
            [T.RandomResizedCrop(8, (0.5, 1), interpolation="nearest")],
            (
                "RandomResizedCrop draws from scale 0.08 to 1, ratio 0.75 to 1.3333333333333333 of"
                ' images of 24 x 24 for "image" and from scale 0.5 to 1, ratio 0.75 to'
                ' 1.3333333333333333 of images of 24 x 24 for "mask"'
            ),
        ),
        (
            [T.RandomQuarterTurn()],
            [T.RandomQuarterTurn([0, 180])],
            (
                'RandomQuarterTurn draws from degrees [0, 90, 180, 270] for "image" and from'
                ' degrees [0, 180] for "mask"'
            ),
        ),
        (
            [T.RandomErasing(scale=(0.1, 0.2), ratio=(1, 2))],
            [T.RandomErasing(1, scale=(0.1, 0.2), ratio=(1, 2))],
            (
                "RandomErasing draws from p = 0.5, scale 0.1 to 0.2, ratio 1 to 2 of images of 24 x"
                ' 24 for "image" and from p = 1, scale 0.1 to 0.2, ratio 1 to 2 of images of 24 x'
                ' 24 for "mask"'
            ),
        ),
        (
            [T.ToDtype("float32"), T.RandomScale(0, 1)],
            [T.ToDtype("float32"), T.RandomScale(0, 2)],
            'RandomScale draws from factors 0 to 1 for "image" and from factors 0 to 2 for "mask"',
        ),
        (
            [T.ToDtype("float32"), T.ColorJitter(0.5)],
            [T.ToDtype("float32"), T.ColorJitter(hue=0.5)],
            (
                'ColorJitter draws from brightness 0.5 to 1.5 for "image" and from hue -0.5 to 0.5'
                ' for "mask"'
            ),
        ),
    ],
)
def test_fields_that_would_draw_apart_are_refused(image: Any, mask: Any, message: str) -> None:
    with pytest.raises(ValueError, match="are joint") as error:
        nl.Loader(FIELDS, transforms={"image": image, "mask": mask}, joint=("image", "mask"))
    assert (
        str(error.value)
        == f'fields "image" and "mask" are joint, but {message}: give both the same, or remove one'
        " of them from joint"
    )
    nl.Loader(FIELDS, transforms={"image": image, "mask": mask})
    with pytest.raises(ValueError, match="are joint"):
        nl.torch.Dataset(FIELDS, {"image": image, "mask": mask}, joint=("image", "mask"))


def test_another_order_of_what_moves_pixels_is_refused_and_one_of_colours_is_not() -> None:
    transforms = {
        "image": [CROP_9, FLIP, T.RandomErasing()],
        "mask": [FLIP, T.RandomErasing(), CROP_9],
    }
    with pytest.raises(ValueError, match="are joint") as error:
        nl.Loader(FIELDS, transforms=transforms, joint=("image", "mask"))
    assert str(error.value).startswith(
        'fields "image" and "mask" are joint, but RandomErasing draws from'
    )
    transforms = {"image": [CROP_9, FLIP], "mask": [FLIP, T.CenterCrop(24), CROP_9]}
    with pytest.raises(ValueError, match="are joint") as error:
        nl.Loader(FIELDS, transforms=transforms, joint=("image", "mask"))
    assert (
        str(error.value)
        == 'fields "image" and "mask" are joint, but what they draw together comes in different'
        ' orders: RandomCrop, RandomHorizontalFlip for "image" and RandomHorizontalFlip,'
        ' RandomCrop for "mask"'
    )
    colour, to_float = T.ColorJitter(0.5), T.ToDtype("float32")
    transforms = {"image": [to_float, colour, *CROP], "mask": [to_float, *CROP, colour]}
    nl.Loader(FIELDS, transforms=transforms, joint=("image", "mask"))


def test_fields_of_other_sizes_are_refused_where_a_rectangle_is_drawn_until_they_agree() -> None:
    fields = {"image": IMAGES, "mask": SMALL}
    with pytest.raises(
        ValueError, match=r"images of 24 x 24 for \"image\" and .* images of 12 x 12 for \"mask\""
    ):
        nl.Loader(fields, transforms={"image": CROP, "mask": CROP}, joint=("image", "mask"))
    # A flip is the same for any size.
    nl.Loader(fields, transforms={"image": [FLIP], "mask": [FLIP]}, joint=("image", "mask"))
    resized = {"image": CROP, "mask": [T.Resize(24, "nearest"), *CROP]}
    batch = batch_of(fields, resized, ("image", "mask"))
    assert torch.equal(batch["image"][..., 0] // 48, batch["mask"] // 48)


def test_items_of_many_sizes_must_be_of_one_in_both_fields() -> None:
    sizes = [(12, 15), (20, 11), (9, 30)]
    places = [np.arange(h * w, dtype=np.int64).reshape(h, w) for h, w in sizes]
    fields = {"image": nl.ragged([p[..., None] for p in places]), "mask": nl.ragged(places)}
    transforms = {"image": CROP, "mask": CROP}
    for workers in (0, 2):
        loader = nl.Loader(
            fields,
            batch_size=3,
            transforms=transforms,
            joint=("image", "mask"),
            num_workers=workers,
        )
        assert all(agree(batch).all() for _ in range(9) for batch in loader)
    wrong = {**fields, "mask": nl.ragged([places[0], places[1], places[2].T.copy()])}
    message = (
        r'^field "mask", item 2: fields "image" and "mask" are joint, but RandomCrop draws of'
        r" images of \[9, 30\] for "
        r'"image" and of \[30, 9\] for "mask", \(height, width\): they must be of one size$'
    )
    with pytest.raises(ValueError, match=message):
        list(nl.Loader(wrong, batch_size=3, transforms=transforms, joint=("image", "mask")))
    dataset = nl.torch.Dataset(wrong, transforms, joint=("image", "mask"))
    with pytest.raises(ValueError, match="they must be of one size"):
        dataset[2]
