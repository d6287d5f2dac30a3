"""`MixUp` and `CutMix`: torchvision's, bit for bit; the same batches for any threads."""

from __future__ import annotations

import copy
import itertools
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.images import FLOATS, PHOTOGRAPHS, equal, photograph, torch_dtype
from tests.helpers.loading import ALL_WORKERS, MEAN, STD
from torchvision.transforms import v2

import ndlens as nl
from ndlens import transforms as T

CLASSES = 10
SIDE = 96

IMAGES = np.stack(
    [photograph(name)[y : y + SIDE, y : y + SIDE] for y in (30, 90, 150) for name in PHOTOGRAPHS]
)
LABELS = np.arange(len(IMAGES)) * 7 % CLASSES
FIELDS = {"image": IMAGES, "label": LABELS}

AUGMENT: list[T.Transform] = [
    T.RandomCrop((64, 80)),
    T.RandomHorizontalFlip(),
    T.ToDtype("float32", scale=True),
    T.Normalize(MEAN, STD),
    T.ChannelsFirst(),
]
BOTH = T.RandomChoice([T.CutMix(CLASSES), T.MixUp(CLASSES)])


def loader(mix: Any, fields: Any = None, transforms: Any = None, **settings: Any) -> nl.Loader:
    settings = {"batch_size": 5, "shuffle": True, "seed": 4, "return_params": True} | settings
    transforms = {"image": AUGMENT} if transforms is None and fields is None else transforms
    return nl.Loader(
        FIELDS if fields is None else fields, transforms=transforms, mix=mix, **settings
    )


def unmixed(**settings: Any) -> nl.Loader:
    return loader(None, **settings)


def torchvisions(drawn: dict[str, Any], num_classes: int | None = CLASSES) -> Any:
    """torchvision's transform, made to draw what was drawn here."""
    ((name, params),) = drawn.items()
    kind = v2.MixUp if name.startswith("MixUp") else v2.CutMix
    transform = kind(num_classes=num_classes)
    transform.make_params = lambda _: params | {"box": tuple(params.get("box", ()))}
    return transform


def assert_torchvisions(
    batch: Any, plain: Any, drawn: dict[str, Any], num_classes: int | None = CLASSES
) -> None:
    image, label = torchvisions(drawn, num_classes)(plain["image"], plain["label"])
    assert equal(batch["image"], image)
    assert equal(batch["label"], label)


def whole(batches: Any) -> list[bytes]:
    """Every byte of every batch."""
    return [part.contiguous().numpy().tobytes() for batch, *_ in batches for part in batch.values()]


# torchvision's results.


@pytest.mark.parametrize("mix", [T.MixUp(CLASSES), T.CutMix(CLASSES), BOTH, T.MixUp(CLASSES, 0.2)])
def test_photographs_and_labels_are_mixed_as_torchvision_mixes_them(mix: Any) -> None:
    batches = 0
    kinds: set[str] = set()
    mixing, plain = loader(mix), unmixed()
    for _ in range(6):
        for (batch, params, drawn), (expected, same) in zip(mixing, plain, strict=True):
            assert params == same
            assert_torchvisions(batch, expected, drawn)
            batches, kinds = batches + 1, kinds | drawn.keys()
    assert batches == 18
    assert len(kinds) == (2 if mix is BOTH else 1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mix", [T.MixUp(CLASSES), T.CutMix(CLASSES)])
def test_every_floating_point_dtype_rounds_as_torch_does(mix: Any, dtype: str) -> None:
    steps = {"image": [T.ToDtype(dtype, scale=True), T.ChannelsFirst()]}
    for seed in range(5):
        settings: dict[str, Any] = {"transforms": steps, "seed": seed, "batch_size": 12}
        ((batch, _, drawn),) = loader(mix, **settings)
        ((plain, _),) = unmixed(**settings)
        assert batch["image"].dtype == torch_dtype(dtype)
        assert_torchvisions(batch, plain, drawn)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mix", [T.MixUp(), T.CutMix(), T.MixUp(CLASSES)])
def test_labels_that_are_probabilities_are_mixed_as_they_are(mix: Any, dtype: str) -> None:
    soft = torch.rand(len(IMAGES), CLASSES, generator=torch.Generator().manual_seed(1)).to(
        torch_dtype(dtype)
    )
    fields = {"image": IMAGES, "label": soft}
    steps = {"image": [T.ToDtype("float32")]}
    ((batch, _, drawn),) = loader(mix, fields, steps, batch_size=12)
    ((plain, _),) = loader(None, fields, steps, batch_size=12)
    expected = torchvisions(drawn, None)(plain["image"].permute(0, 3, 1, 2), plain["label"])
    assert equal(batch["image"].permute(0, 3, 1, 2), expected[0])
    assert equal(batch["label"], expected[1])


@pytest.mark.parametrize(
    "last", [T.ChannelsFirst(), T.ChannelsFirst(memory_format="channels_last"), None], ids=str
)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_the_rectangle_is_at_its_place_wherever_the_channels_are(
    last: T.Transform | None, dtype: str
) -> None:
    images = photograph("coffee.png")[:60, :91].astype(dtype)
    images = np.stack([np.roll(images, 9 * i, 1) for i in range(6)])
    fields = {"image": images, "label": np.arange(6)}
    steps = {"image": [T.CenterCrop((50, 71)), *([last] if last else [])]}
    for seed in range(8):
        ((batch, _, drawn),) = loader(T.CutMix(CLASSES), fields, steps, batch_size=6, seed=seed)
        ((plain, _),) = loader(None, fields, steps, batch_size=6, seed=seed)
        if last is None:
            plain["image"] = plain["image"].permute(0, 3, 1, 2)
            batch["image"] = batch["image"].permute(0, 3, 1, 2)
        else:
            assert batch["image"].stride() == plain["image"].stride()
        assert_torchvisions(batch, plain, drawn)


def test_gray_images_without_a_channel_axis_are_mixed_too() -> None:
    fields = {"image": IMAGES[..., 0], "label": LABELS}
    ((batch, _, drawn),) = loader(T.CutMix(CLASSES), fields, batch_size=12)
    ((plain, _),) = loader(None, fields, batch_size=12)
    x1, y1, x2, y2 = drawn["CutMix"]["box"]
    expected = plain["image"].clone()
    expected[:, y1:y2, x1:x2] = plain["image"].roll(1, 0)[:, y1:y2, x1:x2]
    assert equal(batch["image"], expected)


@pytest.mark.parametrize("mix", [T.MixUp(CLASSES), T.CutMix(CLASSES)])
@pytest.mark.parametrize("batch_size", [1, 2, 12, 40])
def test_a_batch_of_any_size_is_mixed_and_a_last_one_that_is_not_full(
    mix: Any, batch_size: int
) -> None:
    mixing, plain = loader(mix, batch_size=batch_size), unmixed(batch_size=batch_size)
    for (batch, _, drawn), (expected, _) in zip(mixing, plain, strict=True):
        assert_torchvisions(batch, expected, drawn)
    odd = loader(mix, batch_size=7)
    assert [len(batch["label"]) for batch, *_ in odd] == [7, 5]


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
)
def test_labels_of_every_integer_dtype_become_probabilities(dtype: str) -> None:
    fields = {"image": IMAGES, "label": LABELS.astype(dtype)}
    ((batch, _, drawn),) = loader(T.CutMix(CLASSES), fields, batch_size=12, shuffle=False)
    hot = torch.nn.functional.one_hot(torch.from_numpy(LABELS), CLASSES).float()
    share = drawn["CutMix"]["lam_adjusted"]
    assert equal(batch["label"], hot.roll(1, 0).mul_(1.0 - share).add_(hot.mul(share)))


def test_rows_that_are_no_images_can_be_mixed_up() -> None:
    rows = np.random.default_rng(0).normal(size=(12, 7)).astype("f4")
    ((batch, _, drawn),) = loader(T.MixUp(CLASSES), (rows, LABELS), batch_size=12, shuffle=False)
    lam, x = drawn["MixUp"]["lam"], torch.from_numpy(rows)
    assert equal(batch[0], x.roll(1, 0).mul_(1.0 - lam).add_(x.mul(lam)))


def test_more_classes_than_fit_a_piece_are_as_few() -> None:
    classes, count = 30_000, 20
    labels = np.arange(count) * 1499
    mix = T.MixUp(classes)
    rows = np.ones((count, 1), "f4")
    made = [
        next(iter(loader(mix, (rows, labels), batch_size=count, num_workers=n)))[0][1]
        for n in (0, 3)
    ]
    assert equal(*made)
    assert made[0].shape == (count, classes)
    torch.testing.assert_close(made[0].sum(1), torch.ones(count))
    assert (made[0] != 0).sum() == 2 * count


# What is drawn.


def test_draws_are_those_of_the_distribution_and_of_the_choice() -> None:
    rows = np.zeros((8000, 2, 2), "f4")
    choice = T.RandomChoice([T.MixUp(3, 0.4), T.CutMix(3, 2.0)], p=[3, 1])
    drawn = [
        next(iter(mixed.items()))
        for *_, mixed in nl.Loader((rows, np.zeros(8000, int)), mix=choice, return_params=True)
    ]
    lams = {
        name: np.array([p["lam"] for kind, p in drawn if kind == name])
        for name in ("MixUp", "CutMix")
    }
    # Four standard errors of 8,000 draws at least.
    assert abs(len(lams["MixUp"]) / 8000 - 0.75) < 0.02
    for name, alpha in (("MixUp", 0.4), ("CutMix", 2.0)):
        assert abs(lams[name].mean() - 0.5) < 0.03
        assert abs(lams[name].var() * 4 * (2 * alpha + 1) - 1) < 0.15


def test_boxes_are_torchvisions_for_their_lam_and_say_what_is_left() -> None:
    images = np.zeros((2000, 12, 30), np.uint8)
    middles = set()
    for *_, mixed in nl.Loader((images, np.zeros(2000, int)), mix=T.CutMix(2), return_params=True):
        params = mixed["CutMix"]
        x1, y1, x2, y2 = params["box"]
        half_width, half_height = (
            int(0.5 * (1.0 - params["lam"]) ** 0.5 * side) for side in (30, 12)
        )
        assert 0 <= x1 <= x2 <= 30
        assert 0 <= y1 <= y2 <= 12
        possible = [
            (x, y)
            for x, y in itertools.product(range(30), range(12))
            if (max(x - half_width, 0), min(x + half_width, 30)) == (x1, x2)
            and (max(y - half_height, 0), min(y + half_height, 12)) == (y1, y2)
        ]
        assert possible
        middles.update(possible[:1] if len(possible) == 1 else [])
        assert params["lam_adjusted"] == 1.0 - (x2 - x1) * (y2 - y1) / (30 * 12)
    assert len(middles) > 200


def test_each_way_draws_for_itself_whatever_stands_beside_it() -> None:
    alone = [mixed["MixUp"] for *_, mixed in loader(T.MixUp(CLASSES), batch_size=1)]
    chosen = [mixed for *_, mixed in loader(BOTH, batch_size=1)]
    assert len({params["lam"] for params in alone}) == len(IMAGES)
    assert any("CutMix" in mixed for mixed in chosen)
    for params, mixed in zip(alone, chosen, strict=True):
        assert mixed.get("MixUp", params) == params
    twice = T.RandomChoice([T.MixUp(CLASSES), T.MixUp(CLASSES)])
    names = {name for *_, mixed in loader(twice, batch_size=1) for name in mixed}
    assert names == {"MixUp", "MixUp.1"}


def test_a_transform_of_probability_0_is_never_chosen() -> None:
    never = T.RandomChoice([T.CutMix(CLASSES), T.MixUp(CLASSES), T.CutMix(CLASSES)], p=[0, 2.5, 0])
    assert {name for *_, mixed in loader(never, batch_size=1) for name in mixed} == {"MixUp"}


def test_epochs_and_seeds_draw_differently() -> None:
    def lams(**settings: Any) -> list[float]:
        mixing = loader(T.MixUp(CLASSES), **settings)
        return [mixed["MixUp"]["lam"] for _ in range(2) for *_, mixed in mixing]

    assert len(set(lams())) == 6
    assert lams() == lams()
    assert not set(lams()) & set(lams(seed=5))


# The same batches, whoever makes them.


@pytest.mark.parametrize("mix", [T.MixUp(CLASSES), T.CutMix(CLASSES), BOTH])
def test_batches_are_identical_for_any_number_of_threads(mix: Any) -> None:
    # Large enough that several threads mix one batch.
    images = np.broadcast_to(IMAGES.repeat(3, 1).repeat(3, 2)[:8], (8, 288, 288, 3))
    images = np.concatenate([images, images[::-1, ::-1]])
    fields = {"image": images, "label": np.arange(16) % CLASSES}
    steps = {"image": [T.RandomCrop(256), T.ToDtype("float32", scale=True), T.ChannelsFirst()]}
    made = [
        [whole(mixing) for _ in range(3)]
        for mixing in (loader(mix, fields, steps, batch_size=6, num_workers=n) for n in ALL_WORKERS)
    ]
    assert all(other == made[0] for other in made)


def test_ranks_mix_what_is_theirs_each_with_draws_of_its_own() -> None:
    lams = []
    for rank in range(2):
        settings: dict[str, Any] = {"rank": rank, "world_size": 2, "batch_size": 3}
        for (batch, _, drawn), (plain, _) in zip(
            loader(BOTH, **settings), unmixed(**settings), strict=True
        ):
            assert_torchvisions(batch, plain, drawn)
            lams.append(next(iter(drawn.values()))["lam"])
    assert len(set(lams)) == 4


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_run_goes_on_in_mid_epoch_with_the_same_batches(num_workers: int) -> None:
    expected = [(whole([batch]), batch[2]) for batch in loader(BOTH, batch_size=2)]
    first = loader(BOTH, batch_size=2, num_workers=num_workers)
    epoch = iter(first)
    made = [next(epoch) for _ in range(2)]
    then = loader(BOTH, batch_size=2, num_workers=num_workers)
    then.load_state_dict(first.state_dict())
    made += list(then)
    assert [(whole([batch]), batch[2]) for batch in made] == expected


def test_orders_by_weights_and_samplers_are_mixed_too_also_in_batches_of_more_than_all_items() -> (
    None
):
    mix = T.MixUp(CLASSES)
    for order in ({"weights": np.ones(len(IMAGES)), "num_samples": 30}, {"sampler": [3] * 30}):
        settings = {"batch_size": 30, "shuffle": False} | order
        ((batch, _, drawn),) = loader(mix, **settings)
        ((plain, _),) = unmixed(**settings)
        assert_torchvisions(batch, plain, drawn)


def test_memory_of_mixed_batches_is_used_again() -> None:
    mixing = loader(T.MixUp(CLASSES), batch_size=4, return_params=False, num_workers=2)
    for _ in range(5):
        for _ in mixing:
            pass
    batch_bytes = 4 * (3 * 64 * 80 * 4 + 8 + CLASSES * 4)
    assert mixing.pool_nbytes <= 4 * batch_bytes


def test_batches_come_without_parameters_unless_they_are_asked_for() -> None:
    batch = next(iter(loader(T.MixUp(CLASSES), return_params=False)))
    assert set(batch) == {"image", "label"}


@pytest.mark.parametrize("output", ["numpy", "view"])
def test_labels_come_as_whatever_batches_are(output: str) -> None:
    batch, _, _ = next(iter(loader(T.MixUp(CLASSES), output=output)))
    assert (batch["label"].shape, str(batch["label"].dtype)) == ((5, CLASSES), "float32")


# Which fields.


def test_several_fields_of_images_are_mixed_alike_and_others_left_alone() -> None:
    fields = {"image": IMAGES, "mask": IMAGES[..., :1], "label": LABELS, "place": np.arange(12)}
    joint, names = ("image", "mask"), ("image", "mask")
    crop = [T.RandomCrop(50), T.ChannelsFirst()]
    steps = {"image": crop, "mask": crop}
    made = loader(T.CutMix(CLASSES), fields, steps, joint=joint, mix_images=names)
    plain = loader(None, fields, steps, joint=joint)
    for (batch, _, _), (before, _) in zip(made, plain, strict=True):
        assert equal(batch["image"][:, :1], batch["mask"])
        assert equal(batch["place"], before["place"])
        assert not torch.equal(batch["image"], before["image"])


def test_fields_are_named_by_their_keys_or_their_places() -> None:
    mix = T.CutMix(CLASSES)
    named = loader(mix, {1: IMAGES, 2: LABELS, 3: LABELS}, mix_images=1, mix_labels=2)
    placed = loader(mix, (IMAGES, LABELS, LABELS), mix_images=[0], mix_labels=1)
    found = loader(mix, {"x": IMAGES, "y": LABELS, "fine_label": LABELS})
    shape = (5, CLASSES)
    assert {key: tuple(part.shape) for key, part in next(iter(named))[0].items()}[2] == shape
    assert [tuple(part.shape) for part in next(iter(placed))[0]] == [
        (5, SIDE, SIDE, 3),
        shape,
        (5,),
    ]
    assert next(iter(found))[0]["fine_label"].shape == shape
    assert next(iter(found))[0]["y"].shape == (5,)


def test_torchvisions_own_are_taken_as_they_are() -> None:
    ours_and_theirs: list[tuple[Any, Any]] = [
        (T.MixUp(CLASSES, 0.3), v2.MixUp(num_classes=CLASSES, alpha=0.3)),
        (T.CutMix(CLASSES), v2.CutMix(num_classes=CLASSES)),
        (BOTH, v2.RandomChoice([v2.CutMix(num_classes=CLASSES), v2.MixUp(num_classes=CLASSES)])),
        (
            T.RandomChoice([T.CutMix(CLASSES), T.MixUp(CLASSES)], p=[0.25, 0.75]),
            v2.RandomChoice([v2.CutMix(num_classes=CLASSES), T.MixUp(CLASSES)], p=[1, 3]),
        ),
    ]
    for ours, theirs in ours_and_theirs:
        assert whole(loader(theirs, batch_size=2)) == whole(loader(ours, batch_size=2))


# What they are.


@pytest.mark.parametrize("mix", [T.MixUp(CLASSES), T.CutMix(CLASSES, 0.5), BOTH])
def test_they_can_be_pickled_copied_compared_and_read(mix: Any) -> None:
    assert pickle.loads(pickle.dumps(mix)) == mix == copy.deepcopy(mix)
    assert eval(repr(mix), vars(T)) == mix
    assert type(mix).__module__ == "ndlens.transforms"


BAD_WEIGHTS: list[tuple[list[float], str]] = [
    ([1], "[1.0]"),
    ([0, 0], "[0.0, 0.0]"),
    ([-1, 2], "[-1.0, 2.0]"),
    ([float("nan"), 1], "[NaN, 1.0]"),
    ([float("inf"), 1], "[inf, 1.0]"),
]

REFUSED: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
    (
        T.MixUp(CLASSES),
        FIELDS,
        {},
        ValueError,
        'field "image": MixUp needs a floating-point dtype, got uint8; put ToDtype("float32", '
        "scale=True) before it",
    ),
    (
        BOTH,
        FIELDS,
        {},
        ValueError,
        'field "image": MixUp needs a floating-point dtype, got uint8; put ToDtype("float32", '
        "scale=True) before it",
    ),
    (T.CutMix(), FIELDS, {"mix_labels": "label"}, ValueError,
        'field "label": labels are numbers of classes: num_classes must be given'),
    (T.CutMix(4), {"image": IMAGES, "label": np.ones((12, 5), "f4")},
        {"mix_labels": "label"}, ValueError,
        'field "label": labels are probabilities of 5 classes, but num_classes is 4'),
    (T.CutMix(4), {"image": IMAGES, "label": np.ones((12, 4), "i4")},
        {"mix_labels": "label"}, ValueError,
        'field "label": labels must be integers of shape [], the numbers of classes, or floats '
        "of shape [classes], "
        "got int32 of shape [4]"),
    (T.CutMix(4), {"image": IMAGES, "label": np.ones(12, bool)},
        {"mix_labels": "label"}, ValueError,
        'field "label": labels must be integers of shape [], the numbers of classes, or floats '
        "of shape [classes], "
        "got bool of shape []"),
    (T.CutMix(4), {"image": IMAGES, "label": IMAGES}, {}, ValueError,
        "cannot tell which field holds the labels to mix: no field looks like it; name it with "
        "mix_labels"),
    (T.MixUp(), FIELDS, {}, ValueError,
        "cannot tell which field holds the labels to mix: no field looks like it; name it with "
        "mix_labels, and if it holds "
        "numbers of classes, give num_classes"),
    (T.CutMix(4), {"image": IMAGES, "a": LABELS, "b": LABELS}, {}, ValueError,
        'cannot tell which field holds the labels to mix: ["a", "b"] could; name it with '
        "mix_labels"),
    (T.CutMix(4), {"image": IMAGES, "mask": IMAGES, "label": LABELS}, {}, ValueError,
        'cannot tell which field holds the images to mix: ["image", "mask"] could; name it with '
        "mix_images"),
    (T.CutMix(4), LABELS, {}, ValueError,
        "cannot tell which field holds the images to mix: no field looks like it; name it with "
        "mix_images"),
    (T.CutMix(4), FIELDS, {"mix_images": ()}, ValueError,
        "cannot tell which field holds the images to mix: no field looks like it; name it with "
        "mix_images"),
    (T.CutMix(4), FIELDS, {"mix_images": "img"}, ValueError,
        "mix_images names 'img', which is not a field"),
    (T.CutMix(4), FIELDS, {"mix_images": ["img"]}, ValueError,
        "mix_images names 'img', which is not a field"),
    (T.CutMix(4), FIELDS, {"mix_labels": 1}, ValueError,
        "mix_labels names 1, which is not a field"),
    (T.CutMix(4), FIELDS, {"mix_images": ("image", "image")}, ValueError,
        'field "image" is named twice among the fields to mix'),
    (T.CutMix(4), FIELDS, {"mix_images": "label", "mix_labels": "label"}, ValueError,
        'field "label" is named twice among the fields to mix'),
    (T.CutMix(4), {"a": IMAGES, "b": IMAGES[:, 2:], "label": LABELS},
        {"mix_images": ("a", "b")}, ValueError,
        'CutMix needs images of one height and width: field "a" has [96, 96], field "b" has [94, '
        "96]"),
    (T.CutMix(4), {"image": IMAGES[:, 0, 0], "label": LABELS}, {}, ValueError,
        'field "image": CutMix needs items of shape (height, width) or (height, width, '
        "channels), with at least one "
        "pixel, got [3]; mix other fields"),
    (T.CutMix(4), {"image": IMAGES[:, :0], "label": LABELS}, {}, ValueError,
        'field "image": CutMix needs items of shape (height, width) or (height, width, '
        "channels), with at least one "
        "pixel, got [0, 96, 3]; mix other fields"),
    (T.RandomChoice([]), FIELDS, {}, ValueError,
        "RandomChoice needs at least one of MixUp and CutMix"),
    (T.RandomChoice([T.CutMix(4), T.CutMix(5)]), FIELDS, {}, ValueError,
        "the transforms of a RandomChoice must agree on num_classes, got 4 and 5"),
    (T.RandomChoice([T.CutMix(), T.CutMix(5)]), FIELDS, {}, ValueError,
        "the transforms of a RandomChoice must agree on num_classes, got None and 5"),
    *(
        (T.RandomChoice([T.CutMix(4), T.CutMix(4)], p=p), FIELDS, {}, ValueError,
            "RandomChoice: p must be one number from 0 on for each of 2 transforms, not all of "
            "them 0, got " + text)
        for p, text in BAD_WEIGHTS
    ),
    (None, FIELDS, {"mix_labels": "label"}, ValueError,
        "mix_images and mix_labels say what to mix: give mix too"),
    (T.CenterCrop(3), FIELDS, {}, TypeError,
        "mix must be MixUp, CutMix or a RandomChoice of them, got CenterCrop"),
    ([T.MixUp(3)], FIELDS, {}, TypeError,
        "mix must be MixUp, CutMix or a RandomChoice of them, got list"),
    (v2.CenterCrop(3), FIELDS, {}, TypeError,
        "mix must be MixUp, CutMix or a RandomChoice of them, got CenterCrop"),
    (T.RandomChoice([T.MixUp(3), v2.CenterCrop(3)]), FIELDS, {}, TypeError,
        "mix: transform 1 must be MixUp, CutMix or a RandomChoice of them, got CenterCrop"),
    (v2.CutMix(num_classes=4, labels_getter=lambda batch: batch["label"]), FIELDS, {}, TypeError,
        "mix: torchvision's CutMix: a labels_getter cannot be compiled; say mix_labels instead"),
    (v2.CutMix(num_classes=0), FIELDS, {}, ValueError,
        "mix: torchvision's CutMix: num_classes must be at least 1, got 0"),
    (T.CutMix(2**62), FIELDS, {}, ValueError,
        "shape [5, 4611686018427387904] with 4-byte elements does not fit the address space"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("mix", "fields", "settings", "kind", "text"), REFUSED, ids=[text[:70] for *_, text in REFUSED]
)
def test_what_cannot_be_mixed_is_refused_before_the_first_batch(
    mix: Any, fields: Any, settings: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        nl.Loader(fields, batch_size=5, mix=mix, **settings)
    assert type(raised.value) is kind
    assert str(raised.value) == text


@pytest.mark.parametrize("kind", [T.MixUp, T.CutMix])
def test_settings_that_cannot_be_are_refused_where_they_are_given(kind: Any) -> None:
    for classes in (0, -3):
        with pytest.raises(ValueError, match=rf"^num_classes must be at least 1, got {classes}$"):
            kind(classes)
    with pytest.raises(TypeError, match=r"^num_classes must be an integer, got 2.5$"):
        kind(2.5)
    for alpha in (0, -1, float("nan"), float("inf")):
        with pytest.raises(
            ValueError, match=rf"^alpha must be a finite number above 0, got {float(alpha)}$"
        ):
            kind(3, alpha)


@pytest.mark.parametrize(
    "transform", [v2.MixUp(num_classes=3), v2.CutMix(num_classes=3), T.MixUp(3), T.CutMix(3), BOTH]
)
def test_in_a_list_for_items_they_say_where_they_belong(transform: Any) -> None:
    name = type(transform).__name__
    message = f"transform 1: {name} mixes whole batches: give it to the loader as mix"
    with pytest.raises(TypeError, match=re.escape(message)):
        nl.Loader(IMAGES, transforms=[v2.CenterCrop(3), transform])


@pytest.mark.parametrize("num_workers", ALL_WORKERS)
@pytest.mark.parametrize(
    ("dtype", "label"), [("i8", 10), ("i8", -1), ("u8", 2**64 - 1), ("i1", -128)]
)
def test_a_label_that_is_no_class_is_an_error_of_its_item(
    num_workers: int, dtype: str, label: int
) -> None:
    labels: Any = LABELS.astype(dtype)
    labels[7] = label
    labels[11] = label
    mixing = nl.Loader(
        {"image": IMAGES, "label": labels},
        batch_size=5,
        mix=T.CutMix(CLASSES),
        num_workers=num_workers,
    )
    batches = iter(mixing)
    assert len(next(batches)["label"]) == 5
    with pytest.raises(ValueError, match=r"^field") as raised:
        next(batches)
    text = (
        f'field "label", item 7: label {label} is not a class: num_classes is 10, so labels are'
        " from 0 to 9"
    )
    assert str(raised.value) == text
    assert list(batches) == []


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(("label", "lost"), [(3, 9), (9, 3)])
def test_of_a_bad_label_and_a_lost_image_the_first_comes_out(
    tmp_path: Path, num_workers: int, label: int, lost: int
) -> None:
    images = np.zeros((12, 64, 64, 4), np.uint8)
    np.save(tmp_path / "images.npy", images)
    view = nl.open(tmp_path / "images.npy")
    labels = np.zeros(12, int)
    labels[label] = 99
    mixing = nl.Loader(
        {"image": view, "label": labels},
        batch_size=12,
        mix=T.CutMix(CLASSES),
        num_workers=num_workers,
    )
    with (tmp_path / "images.npy").open("r+b") as file:
        file.truncate(128 + lost * images[0].nbytes)
    with pytest.raises((ValueError, nl.TruncatedError)) as raised:
        next(iter(mixing))
    assert f"item {min(label, lost)}:" in str(raised.value)
    assert isinstance(raised.value, nl.TruncatedError) == (lost < label)


def test_labels_in_several_files_are_checked_item_by_item(tmp_path: Path) -> None:
    paths: Sequence[Path] = [tmp_path / f"labels-{i}.npy" for i in range(2)]
    np.save(paths[0], LABELS[:6])
    np.save(paths[1], LABELS[6:] + np.array([0, 0, 90, 0, 0, 0]))
    shards = nl.open(str(tmp_path / "labels-*.npy"))
    mixing = nl.Loader((IMAGES, shards), batch_size=6, mix=T.CutMix(CLASSES))
    batches = iter(mixing)
    next(batches)
    with pytest.raises(ValueError, match=r'^field "1", item 8: label 9[0-9] is not a class'):
        next(batches)
