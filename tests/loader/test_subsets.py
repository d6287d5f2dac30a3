"""Some items of a data set, and parts of it: `field[indices]`, `nl.subset`, `nl.split`."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from torch.utils.data import DataLoader

import ndlens as nl
from ndlens import transforms as T

N = 60
ROWS = np.random.default_rng(0).normal(size=(N, 5)).astype("f4")
LABELS = np.arange(N) % 4
RAGGED = [np.full((2 + i % 3, 3), i, np.int16) for i in range(N)]
SERIES = np.random.default_rng(1).normal(size=(N + 3, 2))


def any_value(value: Any) -> Any:
    return value


def shards() -> Any:
    """Three files' worth of the rows, without the files."""
    return nl._ndlens._shards_of_views([nl.view(ROWS[:7]), nl.view(ROWS[7:40]), nl.view(ROWS[40:])])


def packed() -> nl.Items:
    flat = np.concatenate([image.reshape(-1) for image in RAGGED])
    return nl.ragged(flat, shapes=np.array([image.shape for image in RAGGED]))


# A field of each kind, and its items one by one.
FIELDS: dict[str, tuple[Callable[[], Any], Callable[[int], Any]]] = {
    "a view": (lambda: nl.view(ROWS), lambda i: ROWS[i]),
    "an array": (lambda: ROWS, lambda i: ROWS[i]),
    "labels": (lambda: nl.view(LABELS), lambda i: LABELS[i]),
    "shards": (shards, lambda i: ROWS[i]),
    "windows": (lambda: nl.windows(SERIES, 4), lambda i: SERIES[i : i + 4]),
    "ragged items": (lambda: nl.ragged(RAGGED), lambda i: RAGGED[i]),
    "packed items": (packed, lambda i: RAGGED[i]),
    "a subset": (
        lambda: nl.subset(np.concatenate([ROWS, ROWS]), np.arange(2 * N - 1, N - 1, -1)),
        lambda i: ROWS[N - 1 - i],
    ),
}

INDICES: dict[str, Any] = {
    "integers": np.array([3, 59, 0, 3, 17]),
    "a list": [3, -1, -60, 3],
    "unsigned bytes": np.array([9, 200 % N, 1], np.uint8),
    "a tensor": torch.tensor([5, -2, 8]),
    "a range": range(2, 50, 7),
    "a view": nl.view(np.array([1, 2, 40])),
    "a mask": LABELS == 2,
    "a list of booleans": (LABELS == 1).tolist(),
    "a mask tensor": torch.from_numpy(LABELS == 3),
    "every other one of an array": np.arange(N)[::-2],
    "a slice": slice(5, 40, 3),
    "a slice backwards": slice(None, None, -7),
    "nothing": [],
    "no slice": slice(4, 4),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("index", INDICES)
def test_a_subset_has_the_items_that_numpy_selects(field: str, index: str) -> None:
    make, item = FIELDS[field]
    indices = INDICES[index]
    # An empty list is one of floats to NumPy.
    nothing = not isinstance(indices, slice) and len(indices) == 0
    expected = np.arange(N)[
        [] if nothing else indices if isinstance(indices, slice) else np.asarray(indices)
    ]
    source = make()
    subsets = [nl.subset(source, indices), nl.subset((source, LABELS), indices)[0]]
    if isinstance(source, nl.Items | nl.Shards):
        subsets.append(source[indices])
    for subset in subsets:
        for some in (subset, pickle.loads(pickle.dumps(subset))):
            assert len(some) == some.shape[0] == len(expected)
            for at, i in enumerate(expected.tolist()):
                np.testing.assert_array_equal(np.asarray(some[at]), item(i))


def test_a_subset_copies_nothing_and_gives_views_of_the_field() -> None:
    rows = np.zeros((1_000_000, 8))
    tracemalloc.start()
    subset = nl.subset(rows, np.arange(0, 1_000_000, 2))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert isinstance(subset, nl.Items)
    assert nl.shares_memory(subset[3], rows[6])
    assert isinstance(nl.subset(rows, slice(3)), nl.View)
    assert isinstance(nl.subset(shards(), slice(3)), nl.Shards)
    assert isinstance(nl.subset(shards(), [1]), nl.Items)
    assert (subset.shape, subset.item_shape, subset.dtype) == ((500_000, 8), (8,), "float64")


def test_structures_come_back_as_they_came() -> None:
    fields = {"x": ROWS, ("y", 1): LABELS}
    subset = nl.subset(fields, [4, 2])
    assert list(subset) == list(fields)
    assert list(subset["y", 1]) == [0, 2]
    assert isinstance(nl.subset((ROWS, LABELS), [1]), tuple)
    assert isinstance(nl.subset([ROWS, LABELS], [1]), list)


def test_subsets_pickle_small(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((100_000, 4), "f4"))
    rows, labels = nl.open(tmp_path / "rows.npy"), nl.share(np.zeros(100_000))
    rng = np.random.default_rng(0)
    sizes = {
        "a range": (np.arange(0, 100_000, 3), 700),
        "most items": (np.sort(rng.permutation(100_000)[:80_000]), 100_000 // 8 + 700),
        "a few items": (np.sort(rng.permutation(100_000)[:100]), 4 * 100 + 700),
        "an order": (rng.permutation(100_000), 4 * 100_000 + 700),
    }
    for name, (indices, most) in sizes.items():
        subset = nl.subset({"x": rows, "y": labels}, indices)
        assert len(pickle.dumps(subset)) < most, name
    train, _ = nl.split({"x": rows, "y": labels}, [0.8, 0.2])
    assert len(pickle.dumps(train)) < 100_000 // 8 + 700


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("field", ["a view", "labels", "shards", "windows", "a subset"])
def test_a_loader_takes_a_subset_as_it_takes_a_copy(field: str, num_workers: int) -> None:
    make, item = FIELDS[field]
    indices = np.random.default_rng(2).integers(-N, N, 41)
    copy = np.stack([item(i) for i in np.arange(N)[indices]])
    options: dict[str, Any] = {
        "batch_size": 7,
        "shuffle": True,
        "seed": 5,
        "num_workers": num_workers,
    }
    got = nl.Loader(nl.subset(make(), indices), **options)
    expected = nl.Loader(copy, **options)
    for _ in range(2):
        for a, b in zip(got, expected, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("nbytes", [4, 12, 64, 250, 1024, 5000])
def test_rows_are_found_in_lists_of_any_kind_whatever_their_size(nbytes: int) -> None:
    rng = np.random.default_rng(nbytes)
    rows = rng.integers(0, 2**31, (3000, nbytes // 4 or 1), np.int32)
    lists = {
        "a split": np.sort(rng.permutation(3000)[:2400]),
        "an order": rng.permutation(3000),
        "far apart": np.sort(rng.permutation(3000)[:41]),
        "spaced": np.arange(2999, 0, -2),
        "often": rng.integers(0, 3000, 2001),
    }
    for name, indices in lists.items():
        for source in (rows, nl.subset(rows, slice(None, None, -1))):
            loader = nl.Loader(
                nl.subset(source, indices),
                batch_size=777,
                shuffle=True,
                num_workers=1,
                output="numpy",
            )
            expected = indices[loader.indices(0).numpy()]
            if source is not rows:
                expected = 2999 - expected
            got = np.concatenate(list(loader))
            np.testing.assert_array_equal(got, rows[expected], err_msg=name)
        dataset = nl.torch.Dataset(nl.subset(rows, indices))
        places = rng.integers(0, len(indices), 600).tolist()
        np.testing.assert_array_equal(dataset[places], rows[indices[places]], err_msg=name)


def test_transforms_draw_for_the_items_of_the_subset() -> None:
    images = np.random.default_rng(3).integers(0, 256, (30, 12, 10, 3), np.uint8)
    indices = np.array([4, 29, 4, 11, 0])
    options: dict[str, Any] = {
        "transforms": [T.RandomCrop(6), T.RandomHorizontalFlip()],
        "batch_size": 5,
    }
    [got] = nl.Loader(nl.subset(images, indices), **options)
    [expected] = nl.Loader(images[indices], **options)
    assert torch.equal(got, expected)


def test_ranks_weights_and_resuming_go_by_the_items_of_the_subset() -> None:
    indices = np.random.default_rng(4).permutation(N)[:37]
    subset = nl.subset({"i": np.arange(N)}, indices)
    taken = []
    for rank in range(3):
        loader = nl.Loader(
            subset,
            batch_size=4,
            shuffle=True,
            rank=rank,
            world_size=3,
            remainder="keep",
            output="numpy",
        )
        taken += [int(i) for batch in loader for i in batch["i"]]
    assert sorted(taken) == sorted(indices.tolist())
    weights = (indices % 2 == 0).astype(float)
    drawn = nl.Loader(subset, batch_size=37, weights=weights, output="numpy")
    assert {int(i) % 2 for batch in drawn for i in batch["i"]} == {0}
    first = nl.Loader(subset, batch_size=5, shuffle=True, output="numpy")
    batches = [batch["i"].tolist() for batch in first]
    second, third = (
        nl.Loader(subset, batch_size=5, shuffle=True, output="numpy") for _ in range(2)
    )
    epoch = iter(second)
    done = [next(epoch)["i"].tolist() for _ in range(3)]
    third.load_state_dict(second.state_dict())
    assert done + [batch["i"].tolist() for batch in third] == batches


def test_a_state_is_of_one_subset_and_not_of_another_of_its_length() -> None:
    loaders = [
        nl.Loader(nl.subset(ROWS, part), shuffle=True) for part in ([1, 5, 7], [1, 5, 8], [1, 5, 8])
    ]
    loaders[2].load_state_dict(loaders[1].state_dict())
    with pytest.raises(
        ValueError,
        match=r'^this state is of another run: the items of field "items" are others than this',
    ):
        loaders[0].load_state_dict(loaders[1].state_dict())


def test_a_torch_data_loader_takes_a_subset_to_its_workers() -> None:
    indices = np.random.default_rng(5).permutation(N)[:20]
    dataset = nl.torch.Dataset(nl.subset((ROWS, LABELS), indices))
    loader = DataLoader(
        dataset,
        batch_size=20,
        num_workers=1,
        collate_fn=nl.torch.collate,
        multiprocessing_context="spawn",
    )
    [(rows, labels)] = loader
    np.testing.assert_array_equal(rows, ROWS[indices])
    np.testing.assert_array_equal(labels, LABELS[indices])


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_cross_validated_by_the_folds_of_scikit_learn(field: str) -> None:
    make, item = FIELDS[field]
    groups = np.arange(N) // 5
    for folds in (
        KFold(4, shuffle=True, random_state=0).split(ROWS),
        StratifiedKFold(4).split(ROWS, LABELS),
        GroupKFold(4).split(ROWS, groups=groups),
    ):
        seen: list[int] = []
        for train, validation in folds:
            parts = [nl.subset({"x": make(), "y": LABELS}, part) for part in (train, validation)]
            assert [len(part["x"]) for part in parts] == [len(train), len(validation)]
            np.testing.assert_array_equal(np.asarray(parts[0]["x"][-1]), item(train[-1]))
            seen += [int(i) for i in validation]
        assert sorted(seen) == list(range(N))


def test_ragged_subsets_say_what_sizes_their_own_items_have() -> None:
    for items in (nl.ragged(RAGGED), packed()):
        assert items.shape == (N, None, 3)
        np.testing.assert_array_equal(items.shapes.numpy(), [image.shape for image in RAGGED])
        same = items[::3]
        assert (same.shape, same.item_shape) == ((20, 2, 3), (2, 3))
        [batch] = nl.Loader(same, batch_size=20, output="numpy")
        np.testing.assert_array_equal(batch, RAGGED[::3])


def test_packed_items_give_their_data_offsets_and_shapes() -> None:
    items = packed()
    assert items.data is not None
    assert items.offsets is not None
    offsets = np.cumsum([0] + [image.size for image in RAGGED])
    np.testing.assert_array_equal(items.offsets.numpy(), offsets[:-1])
    again = nl.ragged(items.data, items.offsets, items.shapes)
    np.testing.assert_array_equal(again[7].numpy(), RAGGED[7])
    some = items[[9, 2]]
    assert some.offsets is not None
    assert some.offsets.tolist() == [offsets[9], offsets[2]]
    assert some.shapes.tolist() == [list(RAGGED[9].shape), list(RAGGED[2].shape)]
    assert items.offsets.readonly
    apart = nl.ragged(RAGGED)
    assert (apart.data, apart.offsets) == (None, None)
    windows = nl.windows(np.broadcast_to(np.float32(0), (2**40,)), 3)
    assert (windows.shapes.shape, windows.shapes[-1].tolist()) == ((2**40 - 2, 1), [3])


# Splits.


def items_of(parts: tuple[Any, ...]) -> list[list[int]]:
    return [[int(part[i]) for i in range(len(part))] for part in parts]


def test_parts_have_their_sizes_and_every_item_is_in_one() -> None:
    cases: list[tuple[Any, list[int]]] = [
        ([0.8, 0.2], [48, 12]),
        ([0.7, 0.2, 0.1], [42, 12, 6]),
        ([1 / 3] * 3, [20] * 3),
        ([50, 9, 1], [50, 9, 1]),
        (np.array([0.5, 0.5]), [30, 30]),
        ([1.0], [60]),
    ]
    for parts, sizes in cases:
        got = items_of(nl.split(np.arange(N), parts, seed=1))
        assert [len(part) for part in got] == sizes
        assert sorted(item for part in got for item in part) == list(range(N))
        assert all(part == sorted(part) for part in got)
    parts_of = [items_of(nl.split(np.arange(N), [0.8, 0.2], seed=seed)) for seed in (0, 0, 1)]
    assert parts_of[0] == parts_of[1] != parts_of[2]


def test_a_split_without_shuffling_is_of_slices() -> None:
    train, validation = nl.split({"x": ROWS, "s": shards()}, [0.8, 0.2], shuffle=False)
    assert isinstance(train["x"], nl.View)
    assert isinstance(train["s"], nl.Shards)
    np.testing.assert_array_equal(train["x"].numpy(), ROWS[:48])
    np.testing.assert_array_equal([row.numpy() for row in validation["s"]], ROWS[48:])
    sessions = np.repeat([5, 3, 9], [10, 20, 30])
    first, rest = nl.split(np.arange(N), [0.5, 0.5], shuffle=False, groups=sessions)
    assert items_of((first, rest)) == [list(range(30)), list(range(30, 60))]


@pytest.mark.parametrize(
    "kind", [list, np.array, lambda names: np.array(names, object), lambda n: np.array(n, "S")]
)
def test_no_group_is_divided_and_every_part_has_its_share_of_classes(
    kind: Callable[[Any], Any],
) -> None:
    patients = [f"patient {i * 7 % 12}" for i in range(N)]
    train, validation = items_of(
        nl.split(np.arange(N), [0.75, 0.25], groups=kind(patients), seed=3)
    )
    assert not {patients[i] for i in train} & {patients[i] for i in validation}
    assert len(validation) == 15
    classes = ["a" if i % 6 else "b" for i in range(N)]
    train, validation = items_of(nl.split(np.arange(N), [0.7, 0.3], stratify=kind(classes), seed=3))
    assert [sum(classes[i] == "b" for i in part) for part in (train, validation)] == [7, 3]
    both = nl.split(np.arange(N), [0.5, 0.5], groups=kind(patients), stratify=kind(classes))
    assert all(0 < len(part) < N for part in both)


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: nl.subset(ROWS, [0, 60]),
        IndexError,
        "index 60 at place 1 is out of bounds for 60 items",
    ),
    (
        lambda: nl.subset(ROWS, [-61]),
        IndexError,
        "index -61 at place 0 is out of bounds for 60 items",
    ),
    (
        lambda: nl.subset(ROWS, [10**30]),
        IndexError,
        "index 9223372036854775807 at place 0 is out of bounds for 60 items",
    ),
    (
        lambda: nl.subset(ROWS, np.zeros(59, bool)),
        IndexError,
        "a boolean index needs one value for each of 60 items, got 59",
    ),
    (
        lambda: nl.subset(ROWS, np.zeros((2, 2), int)),
        IndexError,
        "items are selected along one axis, got indices of shape [2, 2]",
    ),
    (
        lambda: nl.subset(ROWS, np.zeros(2)),
        IndexError,
        "items are selected by integers or booleans, got float64",
    ),
    (
        lambda: nl.subset(ROWS, [0.5]),
        IndexError,
        (
            "items are selected by an integer, a slice, or a list or an array of integers or"
            " booleans, not a list of float"
        ),
    ),
    (
        lambda: nl.subset(ROWS, [True, 1]),
        IndexError,
        (
            "items are selected by an integer, a slice, or a list or an array of integers or"
            " booleans, not a list of bool and int"
        ),
    ),
    (
        lambda: nl.subset(ROWS, np.where(LABELS > 3)),
        IndexError,
        (
            "items are selected by an integer, a slice, or a list or an array of integers or"
            " booleans, not tuple: of what numpy.nonzero and numpy.where give, take [0]"
        ),
    ),
    (
        lambda: nl.split(ROWS, 0.8),  # type: ignore[arg-type]
        TypeError,
        "parts must be one number for each part, such as [0.8, 0.2], got 0.8",
    ),
    (
        lambda: nl.split(ROWS, [0.8, 0.2], seed=None),  # type: ignore[arg-type]
        TypeError,
        "seed must be an integer, got None: shuffle=False cuts the data in its order",
    ),
    (
        lambda: nl.subset(ROWS, "train"),
        IndexError,
        (
            "items are selected by an integer, a slice, or a list or an array of integers or"
            " booleans, not str"
        ),
    ),
    (
        lambda: nl.windows(SERIES, 4)[True],
        IndexError,
        (
            "items are selected by an integer, a slice, or a list or an array of integers or"
            " booleans, not bool"
        ),
    ),
    (
        lambda: nl.windows(SERIES, 4)[1, 2],
        IndexError,
        "items are indexed along one axis; index the item further",
    ),
    (lambda: nl.windows(SERIES, 4)[60], IndexError, "item 60 of 60 items"),
    (
        lambda: nl.subset({"x": ROWS, "y": LABELS[:-1]}, [0]),
        ValueError,
        "fields have different lengths: 'x' has 60 items, 'y' has 59",
    ),
    (
        lambda: nl.subset({"x": ROWS, "y": np.array(1)}, [0]),
        ValueError,
        "field 'y' has no axis to take items from: its view has rank 0",
    ),
    (lambda: nl.subset({}, [0]), ValueError, "there is no field to take items of"),
    (
        lambda: nl.Loader(nl.subset(ROWS, [])),
        ValueError,
        'the data set is empty: field "items" has no items',
    ),
    (
        lambda: nl.split(ROWS, [0.8, 0.1]),
        ValueError,
        "fractions of parts must be above 0 and add up to 1, got [0.8, 0.1], which add up to 0.9",
    ),
    (
        lambda: nl.split(ROWS, [50, 11]),
        ValueError,
        "sizes of parts must add up to the 60 items, got [50, 11], which add up to 61",
    ),
    (lambda: nl.split(ROWS, [0.999, 0.001]), ValueError, "part 1 would have none of 60 items"),
    (
        lambda: nl.split(ROWS, any_value(["a"])),
        TypeError,
        "parts must be a list of fractions, such as [0.8, 0.2], or of numbers of items, got ['a']",
    ),
    (
        lambda: nl.split(ROWS, [0.5, 0.5], groups=[1, 2]),
        ValueError,
        "groups must be one for each item: got 2, expected 60",
    ),
    (
        lambda: nl.split(ROWS, [0.5, 0.5], groups=np.where(LABELS == 3, np.nan, 1.0)),
        ValueError,
        "groups: the one at place 3 is missing (NaN)",
    ),
    (
        lambda: nl.split(ROWS, [0.5, 0.5], stratify=[[1]] * N),
        TypeError,
        "stratify, place 0: unhashable type: 'list'",
    ),
    (
        lambda: nl.split(ROWS, [0.5, 0.5], stratify=np.arange(N) == 7),
        ValueError,
        "stratify: 1 item has the label of item 7, and each of 2 parts needs one",
    ),
    (
        lambda: nl.split(ROWS, [0.5, 0.5], stratify=LABELS, shuffle=False),
        ValueError,
        (
            "stratify needs a shuffled split: in the order of the data, parts have the classes that"
            " stand there"
        ),
    ),
    (
        lambda: nl.split(ROWS, [0.5, 0.5], groups="ab"),
        TypeError,
        "groups must be a list or an array of labels, got 'ab'",
    ),
]


@pytest.mark.parametrize(("make", "kind", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_subsets_and_splits_that_cannot_be_say_why(
    make: Callable[[], Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        make()
    assert (type(raised.value), str(raised.value)) == (kind, text)


def test_damaged_bytes_of_a_selection_are_refused() -> None:
    selection = nl._ndlens._Selection([3, 1, 7], 9)
    maker, (packed, items) = selection.__reduce__()
    assert len(maker(packed, items)) == 3
    with pytest.raises(ValueError, match=r"^these 5 bytes are not a selection of items$"):
        maker(b"\x09" + packed[1:5], items)
    with pytest.raises(IndexError, match=r"^index 7 at place 2 is out of bounds for 5 items$"):
        maker(packed, 5)


# On shared memory.


def test_shared_items_are_the_items_on_one_block_of_shared_memory() -> None:
    inputs, targets = nl.windows(
        SERIES, 4, horizon=2, lengths=[30, N - 27], where=np.arange(len(SERIES)) % 3 == 0
    )
    fields = {
        "apart": nl.ragged(RAGGED),
        "some": packed()[[4, 1, 9]],
        "shards": shards(),
        "rows": nl.subset(ROWS, [5, 2]),
        "inputs": inputs,
        "targets": targets,
        "view": ROWS,
    }
    shared = nl.share(fields)
    for again in (shared, pickle.loads(pickle.dumps(shared))):
        assert list(again) == list(fields)
        for name in ("apart", "some", "inputs", "targets"):
            assert isinstance(again[name], nl.Items)
            assert repr(again[name]) == repr(fields[name])
            for i in range(len(fields[name])):
                np.testing.assert_array_equal(again[name][i].numpy(), fields[name][i].numpy())
        np.testing.assert_array_equal(again["shards"].numpy(), ROWS)
        np.testing.assert_array_equal(again["rows"].numpy(), ROWS[[5, 2]])
    # A window and what follows it are of one copy of the series; ragged items and their places are
    # handles.
    assert nl.may_share_memory(shared["inputs"][0][-1:], shared["targets"][0]) or nl.shares_memory(
        shared["inputs"][1], shared["targets"][0]
    )
    assert len(pickle.dumps(shared["apart"])) < 1500
    assert shared["apart"].data is not None
    assert shared["apart"].data.shape == (sum(image.size for image in RAGGED),)


def test_shared_ragged_items_go_to_a_process_as_handles() -> None:
    items = nl.share(nl.ragged([np.full((1 + i % 5, 400), i, np.int32) for i in range(200)]))
    assert len(pickle.dumps(items)) < 1500
    dataset = nl.torch.Dataset(items[::5])
    loader = DataLoader(
        dataset,
        batch_size=40,
        num_workers=1,
        collate_fn=nl.torch.collate,
        multiprocessing_context="spawn",
    )
    [batch] = loader
    np.testing.assert_array_equal(batch[:, 0, 0], np.arange(0, 200, 5))


def test_windows_are_not_shared_by_name() -> None:
    with pytest.raises(TypeError) as raised:
        nl.share({"series": nl.windows(np.arange(9), 3)}, name="windows")
    assert (
        str(raised.value)
        == "array 'series': windows cannot be shared by name: share their series by name, and make"
        " the windows of what comes back"
    )
