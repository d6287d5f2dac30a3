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
        ("image", TypeError, "joint must be a tuple of fields that draw the same, or a list of such tuples"),
        (("image", "depth"), ValueError, "joint names 'depth', which is no field"),
        ([("image", "depth")], ValueError, "joint names 'depth', which is no field"),
        ([("image", "mask"), ("mask",)], ValueError, 'joint names field "mask" twice'),
    ],
)
def test_groups_that_are_none_are_refused(joint: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        nl.Loader(FIELDS, joint=joint)
