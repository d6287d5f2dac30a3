"""Items that are no rows of one view: windows of several series, images of different sizes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

import ndlens as nl
from ndlens import transforms as T

SERIES = np.random.default_rng(0).normal(size=(50, 3)).astype("f4")
LENGTHS = [20, 3, 0, 27]


def expected_windows(size: int, step: int, horizon: int) -> tuple[list[Any], list[Any]]:
    past, future, start = [], [], 0
    for length in LENGTHS:
        for at in range(start, start + length - size - horizon + 1, step):
            past.append(SERIES[at : at + size])
            future.append(SERIES[at + size : at + size + horizon])
        start += length
    return past, future


@pytest.mark.parametrize(("size", "step", "horizon"), [(5, 1, 2), (3, 2, 1), (1, 1, 1), (20, 7, 5)])
def test_windows_and_what_follows_them_stay_within_their_group(
    size: int, step: int, horizon: int
) -> None:
    past, future = expected_windows(size, step, horizon)
    offsets = np.cumsum([0, *LENGTHS])
    parts = np.split(SERIES, offsets[1:-1])
    for series, groups in (
        (SERIES, LENGTHS),
        (SERIES, offsets),
        (parts, None),
        (SERIES, tuple(LENGTHS)),
    ):
        inputs, targets = nl.windows(series, size, step, horizon=horizon, groups=groups)
        assert (len(inputs), len(targets)) == (len(past), len(future))
        for at in range(len(past)):
            np.testing.assert_array_equal(inputs[at].numpy(), past[at])
            np.testing.assert_array_equal(targets[at].numpy(), future[at])
    assert (inputs.item_shape, targets.item_shape, inputs.dtype) == (
        (size, 3),
        (horizon, 3),
        "float32",
    )


def test_windows_of_one_series_are_those_of_its_view() -> None:
    items = nl.windows(SERIES, 7, 3)
    assert isinstance(items, nl.Items)
    np.testing.assert_array_equal(
        [items[i].numpy() for i in range(len(items))], nl.view(SERIES).windows(7, 3).numpy()
    )
    assert nl.shares_memory(items[-1], SERIES)
    with pytest.raises(IndexError, match=r"^item 15 of 15 items$"):
        items[15]


def test_a_loader_takes_windows_and_horizons_as_fields() -> None:
    past, future = expected_windows(4, 1, 2)
    inputs, targets = nl.windows(SERIES, 4, horizon=2, groups=LENGTHS)
    loader = nl.Loader(
        {"x": inputs, "y": targets}, batch_size=8, shuffle=True, num_workers=2, output="numpy"
    )
    places = loader.indices(0).tolist()
    batches = list(loader)
    np.testing.assert_array_equal(
        np.concatenate([batch["x"] for batch in batches]), [past[i] for i in places]
    )
    np.testing.assert_array_equal(
        np.concatenate([batch["y"] for batch in batches]), [future[i] for i in places]
    )
    assert loader.state_dict()["fields"] == ["x float32 [4, 3]", "y float32 [2, 3]"]


def test_a_trillion_windows_are_not_listed() -> None:
    series = np.broadcast_to(np.float32(1), (2**40,))
    assert len(nl.windows(series, 512)) == 2**40 - 511


def test_items_go_to_the_workers_of_a_data_loader() -> None:
    past, future = expected_windows(4, 1, 2)
    dataset = nl.torch.Dataset(nl.windows(SERIES, 4, horizon=2, groups=LENGTHS))
    loader = DataLoader(
        dataset,
        batch_size=5,
        num_workers=1,
        collate_fn=nl.torch.collate,
        multiprocessing_context="spawn",
    )
    x, y = next(iter(loader))
    np.testing.assert_array_equal(x, past[:5])
    np.testing.assert_array_equal(y, future[:5])


IMAGES = [
    np.random.default_rng(n).integers(0, 256, (3 + n % 4, 5 + n % 3, 3), np.uint8)
    for n in range(12)
]


def packed(gap: int = 0) -> tuple[Any, Any, Any]:
    """Flat pixels, N + 1 offsets, shapes."""
    pieces = [np.concatenate([image.reshape(-1), np.zeros(gap, np.uint8)]) for image in IMAGES]
    offsets = np.cumsum([0] + [len(piece) for piece in pieces])
    return np.concatenate(pieces), offsets, np.array([image.shape for image in IMAGES])


def test_ragged_items_are_the_images_they_were_made_of() -> None:
    flat, offsets, shapes = packed(gap=4)
    dense, _, _ = packed()
    sources = [
        nl.ragged(IMAGES),
        nl.ragged(flat, offsets=offsets, shapes=shapes),
        nl.ragged(flat, offsets=offsets[:-1].tolist(), shapes=shapes.tolist()),
        nl.ragged(dense, shapes=[image.shape for image in IMAGES]),
    ]
    for source in sources:
        again = pickle.loads(pickle.dumps(source))
        assert (len(source), source.item_shape, source.dtype) == (12, (None, None, 3), "uint8")
        assert (
            repr(source)
            == repr(again)
            == "<ndlens.Items items=12 item_shape=[3..6, 5..7, 3] dtype=uint8>"
        )
        for at, image in enumerate(IMAGES):
            np.testing.assert_array_equal(source[at].numpy(), image)
            np.testing.assert_array_equal(again[at].numpy(), image)
    assert nl.shares_memory(sources[0][3], IMAGES[3])
    assert nl.shares_memory(sources[1][3], flat)


def test_ragged_items_of_one_size_make_batches() -> None:
    items = nl.ragged([image[:3, :5] for image in IMAGES])
    batch = next(iter(nl.Loader(items, batch_size=12, output="numpy")))
    np.testing.assert_array_equal(batch, [image[:3, :5] for image in IMAGES])


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: nl.Loader({"image": nl.ragged(IMAGES)}),
        ValueError,
        (
            'field "image": items have different shapes, [3..6, 5..7, 3], and a batch has one: a'
            " transform is needed that makes them one size, by cropping or resizing"
        ),
    ),
    (
        lambda: nl.ragged(np.zeros((40, 6, 6, 3), "u1")),
        TypeError,
        (
            "ragged takes a list of views, each an item, or packed elements with the shapes of"
            " items, got one numpy.ndarray"
        ),
    ),
    (
        lambda: np.asarray(nl.ragged(IMAGES)),
        TypeError,
        (
            f"{len(IMAGES)} items are not an array: index them, as in numpy.stack([item.numpy() for"
            " item in items])"
        ),
    ),
    (
        lambda: nl.Loader(nl.ragged([])),
        ValueError,
        'the data set is empty: field "items" has no items',
    ),
    (
        lambda: nl.ragged([IMAGES[0], IMAGES[1][..., 0]]),
        ValueError,
        (
            "item 1 has uint8 of rank 2, but those before it uint8 of rank 3: only axes 0 and 1 may"
            " differ"
        ),
    ),
    (
        lambda: nl.ragged([IMAGES[0], IMAGES[1][..., :1]]),
        ValueError,
        "item 1 has shape [4, 6, 1], but those before it [3, 5, 3]: only axes 0 and 1 may differ",
    ),
    (
        lambda: nl.ragged(bytes(10), shapes=[(4,), (7,)]),
        ValueError,
        (
            "item 1 of shape [7] starts at element 4 and does not end by element 10, where its"
            " memory ends"
        ),
    ),
    (
        lambda: nl.ragged(bytes(10), offsets=[0], shapes=[(4,), (3,), (3,)]),
        ValueError,
        "offsets must be 3 or 4 for 3 items, got 1",
    ),
    (
        lambda: nl.ragged(np.zeros((4, 4)), shapes=[(4, 4)]),
        ValueError,
        "items must lie in a packed view of one axis, got shape [4, 4] with strides [32, 8]",
    ),
    (
        lambda: nl.ragged(bytes(4), offsets=[0]),
        TypeError,
        "offsets are the places of items of given shapes: give shapes too",
    ),
    (
        lambda: nl.ragged(bytes(4), shapes=[4]),
        TypeError,
        "shapes must be tuples of sizes, one for each item, got [4]",
    ),
    (
        lambda: nl.ragged(bytes(4), offsets=[-1], shapes=[(4,)]),
        TypeError,
        "offsets must be integers from 0 on, got [-1]",
    ),
    (
        lambda: nl.ragged([IMAGES[0], 3]),
        TypeError,
        (
            "item 1: nl.view needs an object with the buffer protocol, DLPack or"
            " __array_interface__, got int; numpy.asarray(..) makes an array of it"
        ),
    ),
    (lambda: nl.windows([], 3), ValueError, "there is no series to take windows of"),
    (lambda: nl.windows(SERIES, 0), ValueError, "window size must be at least 1, got 0"),
    (lambda: nl.windows(SERIES, 3, 0), ValueError, "window step must be at least 1, got 0"),
    (
        lambda: nl.windows(SERIES, 30, horizon=2, groups=LENGTHS),
        ValueError,
        (
            "no window fits: a window of 30 and a horizon of 2 need 32 steps, but the longest"
            " series or group has 27"
        ),
    ),
    (
        lambda: nl.windows(SERIES, 3, groups=[20, 20]),
        ValueError,
        (
            "groups must be lengths that add up to the 50 steps of the series or offsets from 0 to"
            " 50: got 2 numbers that add up to 40"
        ),
    ),
    (
        lambda: nl.windows([SERIES, SERIES], 3, groups=[20, 20]),
        ValueError,
        "groups divide one series, got 2 series, which are groups already",
    ),
    (
        lambda: nl.windows([SERIES, SERIES[:, :2]], 3),
        ValueError,
        "series 1 has steps of float32 [2], but series 0 of float32 [3]",
    ),
    (
        lambda: nl.windows([SERIES, np.array(1.0)], 3),
        ValueError,
        "series 1 has no axis: its view has rank 0",
    ),
    (
        lambda: nl.windows(SERIES, 3, groups="ab"),
        TypeError,
        "groups must be integers from 0 on, got 'ab'; the id of each step, of any kind, is ids=",
    ),
]


@pytest.mark.parametrize(("make", "kind", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_items_that_cannot_be_are_refused(
    make: Callable[[], Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        make()
    assert (type(raised.value), str(raised.value)) == (kind, text)


def test_photographs_of_different_sizes_become_batches_by_cropping_or_resizing() -> None:
    photographs = [np.full((200 + 9 * i, 330 - 7 * i, 3), i, np.uint8) for i in range(12)]
    for transforms in (
        [T.RandomResizedCrop(64)],
        [T.Resize(70), T.CenterCrop(64)],
        [T.RandomCrop(64)],
        [T.CenterCrop(300), T.Resize((64, 64), "nearest")],
        [
            T.RandomHorizontalFlip(),
            T.Pad(3),
            T.RandomCrop((64, 64)),
            T.ToDtype("float32"),
            T.ChannelsFirst(),
        ],
    ):
        loader = nl.Loader(
            nl.ragged(photographs), batch_size=6, transforms=transforms, num_workers=2
        )
        for start, batch in zip((0, 6), loader, strict=True):
            assert {64} <= set(batch.shape) <= {6, 64, 3}
            for i, image in enumerate(batch, start):
                # Padding aside, which is 0, each has one colour.
                assert set(image.unique().tolist()) <= {0, i}
                assert i == 0 or i in image


def test_a_photograph_that_is_too_small_is_named_by_the_error() -> None:
    photographs = [np.zeros((100, 100, 3), np.uint8), np.zeros((60, 100, 3), np.uint8)]
    with pytest.raises(
        ValueError, match="RandomCrop\\(64, 64\\) is larger than the image, which has height 60"
    ):
        nl.Loader(nl.ragged(photographs), transforms=[T.RandomCrop(64)])
    for undecided in ([], [T.Pad(3)], [T.Resize(64)]):
        with pytest.raises(ValueError, match="items have different shapes"):
            nl.Loader(nl.ragged(photographs), transforms=undecided)
