"""Transforms of series and rows: items of any rank, of floating-point numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.images import FLOATS, Array, equal, made, photograph, torch_dtype

import ndlens as nl
from ndlens import transforms as T

SHAPES: list[tuple[int, ...]] = [(), (5,), (30, 4), (6, 7, 4), (2, 3, 4, 5)]


def series(shape: tuple[int, ...], count: int = 8, dtype: str = "float32") -> torch.Tensor:
    numbers = np.random.default_rng(len(shape)).normal(size=(count, *shape))
    return torch.from_numpy(numbers).to(torch_dtype(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_standardize_is_for_each_feature_of_the_last_axis(
    shape: tuple[int, ...], dtype: str
) -> None:
    items = series(shape, dtype=dtype)
    features = shape[-1] if shape else 1
    rng = np.random.default_rng(1)
    mean, std = rng.normal(size=features).tolist(), rng.uniform(0.1, 2, features).tolist()
    as_dtype = [torch.tensor(numbers, dtype=items.dtype) for numbers in (mean, std)]
    mean_tensor, std_tensor = as_dtype if shape else [t[0] for t in as_dtype]
    assert equal(made(items, T.Standardize(mean, std)), (items - mean_tensor) / std_tensor)
    one = [torch.tensor(number, dtype=items.dtype) for number in (0.3, 0.7)]
    assert equal(made(items, T.Standardize(0.3, 0.7)), (items - one[0]) / one[1])


def test_standardize_and_what_stands_beside_it_each_have_their_axis() -> None:
    items = series((6, 3))
    mean, std = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.25, 2.0])
    once = (items - mean) / std
    steps = [T.Standardize(mean, std), T.Normalize(0.5, 2)]
    assert equal(made(items, *steps), (once - 0.5) / 2)
    assert equal(made(items, *steps[::-1]), ((items - 0.5) / 2 - mean) / std)
    assert equal(made(items, T.Standardize(mean, std), T.ToDtype("float64")), once.double())
    # The channels of an image are its last axis, wherever ChannelsFirst takes them.
    image = photograph("coffee.png")[None, :9, :8]
    floats = [T.ToDtype("float32", scale=True)]
    both = [
        made(image, *floats, kind([0.1, 0.2, 0.3], 0.5), T.ChannelsFirst())
        for kind in (T.Standardize, T.Normalize)
    ]
    assert equal(*both)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_scale_is_one_factor_for_an_item(shape: tuple[int, ...], dtype: str) -> None:
    items = series(shape, 200, dtype)
    got = made(items, T.RandomScale(0.5, 2))
    factors = made(torch.ones_like(items, dtype=torch.float64), T.RandomScale(0.5, 2))
    flat = factors.reshape(200, -1)
    assert bool((flat == flat[:, :1]).all())
    assert len(flat[:, 0].unique()) == 200
    factor = factors if dtype == "float64" else factors.float()
    wide = items if dtype == "float64" else items.float()
    assert equal(got, (wide * factor).to(items.dtype))


def test_factors_are_uniform_over_their_interval() -> None:
    factors = made(np.ones((4000,), np.float64), T.RandomScale(-1, 3)).numpy()
    counts = np.histogram(factors, bins=20, range=(-1, 3))[0]
    assert counts.sum() == 4000
    # 19 degrees of freedom: 1 seed in 1000 exceeds 43.8, and these are fixed.
    assert float(((counts - 200) ** 2 / 200).sum()) < 43.8
    features = made(np.ones((500, 3, 8)), T.RandomScale(-1, 3, per_feature=True)).numpy()
    assert (features == features[:, :1]).all()
    counts = np.histogram(features[:, 0], bins=20, range=(-1, 3))[0]
    assert float(((counts - 200) ** 2 / 200).sum()) < 43.8
    assert len(np.unique(features)) == 4000


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_jitter_adds_normal_numbers(dtype: str) -> None:
    items = torch.zeros(50, 40, 100, dtype=torch_dtype(dtype))
    noise = made(items, T.RandomJitter(0.25)).double()
    count = noise.numel()
    assert abs(float(noise.mean())) < 5 * 0.25 / math.sqrt(count)
    assert abs(float(noise.std()) / 0.25 - 1) < 5 / math.sqrt(2 * count) + 0.001
    # The normal distribution's own shares of what is within one, two and three standard deviations.
    for within, share in [(1, 0.682689), (2, 0.954500), (3, 0.997300)]:
        got = float((noise.abs() < within * 0.25).double().mean())
        assert abs(got - share) < 5 * math.sqrt(share * (1 - share) / count) + 0.002
    assert abs(float((noise[:, :, 1:] * noise[:, :, :-1]).mean())) < 5 * 0.0625 / math.sqrt(count)
    wide = made(items.double(), T.RandomJitter(0.25))
    assert torch.equal(wide.to(items.dtype).double(), noise)


@pytest.mark.parametrize("transform", [T.RandomJitter(1.0), T.RandomScale(0, 1, per_feature=True)])
def test_what_is_drawn_is_a_function_of_seed_epoch_item_and_element(transform: T.Transform) -> None:
    items = np.ones((12, 3, 5, 4), np.float32)

    def run(seed: int = 0, epoch: int = 0, workers: int = 0, *transforms: T.Transform) -> Array:
        loader = nl.Loader(
            items,
            batch_size=5,
            seed=seed,
            num_workers=workers,
            transforms=transforms or [transform],
        )
        loader.set_epoch(epoch)
        return np.concatenate([batch.numpy() for batch in loader])

    reference = run()
    assert np.array_equal(run(workers=2), reference)
    for other in (run(seed=1), run(epoch=1), reference[::-1]):
        assert (other != reference).mean() > 0.9
    # ChannelsFirst moves what was drawn with its element.
    assert np.array_equal(
        run(0, 0, 0, transform, T.ChannelsFirst()), reference.transpose(0, 3, 1, 2)
    )
    between = [transform, T.ChannelsFirst(), T.Normalize(0.0, 1.0)]
    assert np.array_equal(run(0, 0, 0, *between), reference.transpose(0, 3, 1, 2))
    # Two of a kind are two.
    twice = run(0, 0, 0, transform, transform)
    assert (twice != reference).mean() > 0.9


@pytest.mark.parametrize(
    ("dtype", "transform", "text"),
    [
        (
            "int32",
            T.RandomJitter(1),
            (
                'RandomJitter needs a floating-point dtype, got int32; put ToDtype("float32")'
                " before it"
            ),
        ),
        (
            "uint8",
            T.RandomScale(0, 1),
            (
                'RandomScale needs a floating-point dtype, got uint8; put ToDtype("float32",'
                " scale=True) before it"
            ),
        ),
        ("float32", T.Standardize([1, 2], 1), "Standardize got 2 values of mean, expected 1 or 4"),
    ],
)
def test_what_cannot_be_done_to_rows_says_why(
    dtype: Any, transform: T.Transform, text: str
) -> None:
    with pytest.raises(ValueError, match="got") as error:
        nl.Loader(np.zeros((2, 3, 4), dtype), transforms=[transform])
    assert str(error.value) == f'field "items": {text}'


def test_features_are_standardized_before_what_moves_them() -> None:
    rows = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    mean, std = [0, 10, 20, 30, 40, 50], [1, 2, 3, 4, 5, 6]
    expected = (rows - np.array(mean, np.float32)) / np.array(std, np.float32)
    standardize = T.Standardize(mean, std)
    (flipped,) = nl.Loader(
        rows, transforms=[standardize, T.RandomHorizontalFlip(1.0)], output="numpy"
    )
    assert np.array_equal(flipped, expected[..., ::-1])
    (cropped,) = nl.Loader(rows, transforms=[standardize, T.Crop(0, 1, 4, 4)], output="numpy")
    assert np.array_equal(cropped, expected[..., 1:5])
    after = [T.Crop(0, 1, 4, 4), T.Standardize(mean[1:5], std[1:5])]
    (cropped,) = nl.Loader(rows, transforms=after, output="numpy")
    assert np.array_equal(cropped, expected[..., 1:5])
