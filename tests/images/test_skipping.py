"""Images that cannot be read or decoded: errors of their items, or left out of their batches."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.helpers.photographs import scene, write

import ndlens as nl
import ndlens.transforms as T

CROP = [T.RandomCrop(36)]
# Of 23: truncated, gone, a directory, a FIFO, no image, and too small for the crop.
BAD = (3, 7, 8, 14, 15, 21)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    paths = write(tmp_path)
    truncated, gone, directory, fifo, text, small = (Path(paths[place]) for place in BAD)
    truncated.write_bytes(truncated.read_bytes()[:300])
    for path in (gone, directory, fifo):
        path.unlink()
    directory.mkdir()
    os.mkfifo(fifo)
    text.write_text("no image")
    Image.fromarray(scene(0, 20, 90)).save(small)
    return paths


def loader(paths: list[str], **settings: Any) -> nl.Loader[Any]:
    fields = {"image": nl.images(paths), "number": np.arange(len(paths))}
    of_all: Any = {
        "batch_size": 5,
        "shuffle": True,
        "seed": 3,
        "transforms": {"image": CROP},
        "output": "numpy",
        "on_error": "skip",
    }
    made: nl.Loader[Any] = nl.Loader(fields, **of_all | settings)
    return made


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_ends_the_epoch_with_an_error_that_names_it(
    paths: list[str], workers: int
) -> None:
    def error_of(place: int) -> BaseException:
        with pytest.raises(Exception) as error:  # noqa: PT011 - of several classes
            list(loader([paths[0], paths[place]], on_error="raise", num_workers=workers))
        prefix = f'field "image", item 1: {paths[place]}: '
        assert str(error.value).startswith(prefix)
        return type(error.value)(str(error.value).removeprefix(prefix))

    truncated, gone, directory, fifo, text, small = map(error_of, BAD)
    assert isinstance(truncated, nl.ImageError)
    assert str(truncated) == "the JPEG image is truncated after 300 bytes"
    assert isinstance(gone, FileNotFoundError)
    assert isinstance(directory, nl.FormatError)
    assert str(directory) == "not a regular file but a directory"
    assert str(fifo) == "not a regular file but a FIFO"
    assert isinstance(text, nl.ImageError)
    assert str(text).startswith("not a JPEG, PNG or WebP image")
    assert isinstance(small, ValueError)
    assert str(small) == (
        "RandomCrop(36, 36) is larger than the image, which has height 20 and width 90"
    )


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_bad_images_are_left_out_of_their_batches(paths: list[str], workers: int) -> None:
    loads = loader(paths, num_workers=workers)
    order = loads.indices(0).tolist()
    made = list(loads)
    assert len(made) == len(loads) == 5
    for number, batch in enumerate(made):
        items = order[number * 5 : number * 5 + 5]
        kept = [item for item in items if item not in BAD]
        assert batch["number"].tolist() == kept
        assert batch["image"].shape == (len(kept), 36, 36, 3)
    good = [place for place in range(23) if place not in BAD]
    # The others are what they are in an epoch without bad ones.
    alone = loader(paths, indices=good, shuffle=False, num_workers=0)
    by_item: dict[int, Any] = {}
    for batch in alone:
        by_item |= dict(zip(batch["number"].tolist(), batch["image"], strict=True))
    for batch in made:
        for item, image in zip(batch["number"].tolist(), batch["image"], strict=True):
            assert np.array_equal(image, by_item[item])


def test_what_was_left_out_is_told_as_batches_are_taken(paths: list[str]) -> None:
    loads = loader(paths, shuffle=False, num_workers=2)
    epoch: Any = iter(loads)
    assert len(epoch.skipped) == len(loads.skipped) == 0
    next(epoch)
    assert [(item, name) for item, name, _ in epoch.skipped.items] == [(3, paths[3])]
    rest = list(epoch)
    assert len(rest) == 4
    assert epoch.skipped.count == loads.skipped.count == len(BAD)
    assert [(item, name) for item, name, _ in loads.skipped.items] == [
        (place, paths[place]) for place in BAD
    ]
    texts = [text for *_, text in loads.skipped.items]
    assert texts[0] == (
        f'field "image", item 3: {paths[3]}: the JPEG image is truncated after 300 bytes'
    )
    assert repr(loads.skipped) == f"<ndlens.Skipped 6 items, the first: {texts[0]}>"
    iter(loads)
    assert loads.skipped.count == len(BAD)
    next(iter(loads))
    assert loads.skipped.count == 1


def test_only_the_first_hundred_are_named(tmp_path: Path) -> None:
    good = write(tmp_path, 1)
    missing = [str(tmp_path / f"missing/{number}") for number in range(250)]
    loads = loader([*good, *missing], shuffle=False, batch_size=251)
    with pytest.warns(UserWarning, match="left out 250 of 251 items"):
        (batch,) = loads
    assert batch["number"].tolist() == [0]
    assert len(loads.skipped) == 250
    assert [name for _, name, _ in loads.skipped.items] == missing[:100]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_of_which_nothing_is_left_is_left_out(tmp_path: Path, workers: int) -> None:
    missing = [str(tmp_path / f"missing{number}") for number in range(7)]
    good = write(tmp_path, 8)
    paths = good[:5] + missing[:5] + good[5:] + missing[5:]
    loads = loader(paths, shuffle=False, num_workers=workers)
    epoch: Any = iter(loads)
    assert len(loads) == len(epoch) == 3
    assert next(epoch)["number"].tolist() == [0, 1, 2, 3, 4]
    state = loads.state_dict()
    assert next(epoch)["number"].tolist() == [10, 11, 12]
    assert len(epoch) == 0
    assert list(epoch) == []
    assert loads.skipped.count == 7
    # The next epoch begins, and a state from before the batch goes on after it.
    assert sum(len(batch["number"]) for batch in loads) == 8
    again = loader(paths, shuffle=False, num_workers=workers)
    again.load_state_dict(state)
    assert [batch["number"].tolist() for batch in again] == [[10, 11, 12]]


@pytest.mark.parametrize("workers", [0, 2])
def test_one_item_in_a_batch_is_left_out_like_any_other(paths: list[str], workers: int) -> None:
    loads = loader(paths, batch_size=1, num_workers=workers, seed=3)
    numbers = sorted(number for batch in loads for number in batch["number"].tolist())
    assert numbers == [place for place in range(23) if place not in BAD]
    # A sampler's items, and the last batches of the epoch.
    loads = loader(paths, batch_size=1, num_workers=workers, shuffle=False, sampler=[3, 0, 7, 8])
    assert [batch["number"].tolist() for batch in loads] == [[0]]
    assert loads.skipped.count == 3


def test_a_batch_that_ranks_or_an_index_ask_for_is_an_error_if_nothing_is_left(
    tmp_path: Path,
) -> None:
    paths = write(tmp_path, 5) + [str(tmp_path / f"missing{number}") for number in range(5)]
    message = (
        "no item of batch 1 is left: all {} failed; the first: "
        f'field "image", item {{}}: {paths[5]}: No such file or directory (os error 2)'
    )
    for workers in (0, 2):
        # All ranks must take as many batches.
        loads = loader(
            paths, shuffle=False, batch_size=2, num_workers=workers, rank=1, world_size=2
        )
        epoch = iter(loads)
        next(epoch)
        with pytest.raises(FileNotFoundError) as error:
            next(epoch)
        assert str(error.value) == message.format(2, 5)
    loads = loader(paths, shuffle=False)
    planned = list(loads.batch_sampler)
    with pytest.raises(FileNotFoundError) as error:
        loads.dataset.__getitems__(planned[1])
    assert str(error.value) == message.format(5, 5)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_in_the_middle(paths: list[str], workers: int) -> None:
    first = loader(paths, num_workers=workers)
    begun = iter(first)
    next(begun), next(begun)
    state = first.state_dict()
    rest = list(begun)
    second = loader(paths, num_workers=workers)
    second.load_state_dict(state)
    again = list(second)
    assert len(again) == len(rest) == 3
    for one, other in zip(again, rest, strict=True):
        assert np.array_equal(one["number"], other["number"])
        assert np.array_equal(one["image"], other["image"])


def test_ranks_take_the_items_that_they_take_without_bad_images(paths: list[str]) -> None:
    seen: list[int] = []
    for rank in range(3):
        loads = loader(paths, rank=rank, world_size=3, remainder="keep", batch_size=4)
        items = loads.indices(0).tolist()
        got = [number for batch in loads for number in batch["number"].tolist()]
        assert got == [item for item in items if item not in BAD]
        seen += got
    assert sorted(seen) == [place for place in range(23) if place not in BAD]


def test_parameters_and_mixed_labels_are_those_of_the_items_that_are_left(
    paths: list[str],
) -> None:
    settings: Any = {"transforms": {"image": [*CROP, T.ToDtype("float32", scale=True)]}}
    for workers in (0, 3):
        with_params = list(loader(paths, return_params=True, num_workers=workers, **settings))
        for batch, params in with_params:
            assert len(params["image"]) == len(batch["image"]) == len(batch["number"])
        mixed = loader(
            paths,
            mix=T.MixUp(num_classes=23),
            mix_labels="number",
            num_workers=workers,
            return_params=True,
            **settings,
        )
        plain = list(loader(paths, num_workers=workers, **settings))
        for (batch, _, drawn), unmixed in zip(mixed, plain, strict=True):
            share = drawn["MixUp"]["lam"]
            labels = np.eye(23, dtype="f4")[unmixed["number"]]
            expected = labels * share + np.roll(labels, 1, 0) * (1 - share)
            assert np.allclose(batch["number"], expected, atol=1e-6)
            images = unmixed["image"] * share + np.roll(unmixed["image"], 1, 0) * (1 - share)
            assert np.allclose(batch["image"], images, atol=1e-5)


def test_batches_in_the_memory_of_the_caller_are_shorter_too(paths: list[str]) -> None:
    expected = list(loader(paths, output="torch"))
    for settings in ({"device": "cpu"}, {"pin_memory": True}):
        with pytest.warns() if "pin_memory" in settings else contextlib.nullcontext():
            got = list(loader(paths, output="torch", num_workers=2, **settings))
        for one, other in zip(got, expected, strict=True):
            assert torch.equal(one["image"], other["image"])
            assert torch.equal(one["number"], other["number"])


def test_the_data_set_of_a_loader_leaves_them_out_too(paths: list[str]) -> None:
    loads = loader(paths, output="torch")
    expected = list(loader(paths, output="torch"))
    for workers in (0, 2):
        torchs = torch.utils.data.DataLoader(
            loads.dataset,
            batch_sampler=loads.batch_sampler,
            collate_fn=loads.collate_fn,
            num_workers=workers,
        )
        loads.set_epoch(0)
        for one, other in zip(torchs, expected, strict=True):
            assert torch.equal(one["image"], other["image"])
            assert torch.equal(one["number"], other["number"])
    loads.set_epoch(0)
    samples = loads.dataset.__getitems__([2, 3, 4])
    assert [sample["number"].item() for sample in samples] == [2, 4]


def test_arrays_are_left_out_too(tmp_path: Path) -> None:
    sizes = [(40, 50), (20, 20), (36, 36), (90, 10)]
    arrays = nl.ragged([scene(place, *size) for place, size in enumerate(sizes)])
    images: Any = {"image": arrays, "number": np.arange(4)}
    with pytest.raises(ValueError, match="larger than the image"):
        nl.Loader(images, transforms={"image": CROP}, on_error="skip")
    masked: Any = {"image": arrays, "other": nl.ragged([scene(9, 40, 50)] * 4)}
    crop = [T.RandomCrop(8)]
    loads = nl.Loader(
        masked,
        batch_size=4,
        transforms={"image": crop, "other": crop},
        joint=("image", "other"),
        on_error="skip",
        output="numpy",
    )
    (batch,) = loads
    assert len(batch["image"]) == 1
    assert [item for item, *_ in loads.skipped.items] == [1, 2, 3]


def test_a_file_that_changes_during_an_epoch_is_read_as_it_is_then(tmp_path: Path) -> None:
    paths = write(tmp_path, 4)
    loads = loader(paths, batch_size=1, shuffle=False, on_error="raise")
    epoch = iter(loads)
    next(epoch)
    Path(paths[1]).write_bytes(b"")
    Path(paths[2]).unlink()
    Image.fromarray(scene(77, 36, 36)).save(paths[3], format="png")
    with pytest.raises(nl.ImageError, match="not a JPEG, PNG or WebP image"):
        next(epoch)
    epoch = iter(loader(paths[3:], batch_size=1, shuffle=False))
    assert np.array_equal(next(epoch)["image"][0], scene(77, 36, 36))


def test_other_words_are_refused(paths: list[str]) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole text is compared
        loader(paths, on_error="ignore")
    assert str(error.value) == 'unknown on_error "ignore": expected "raise" or "skip"'
    with pytest.raises(TypeError) as refused:
        nl.torch.Dataset(nl.images(paths), CROP, on_error="skip")  # type: ignore[call-overload]
    assert "nl.Loader leaves items out" in str(refused.value)


def test_descriptors_that_run_out_are_no_error_of_an_item(tmp_path: Path) -> None:
    paths = write(tmp_path, 4)
    loads = loader(paths, shuffle=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    epoch = iter(loads)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as error:
            next(epoch)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert str(error.value).startswith(f'field "image", item 0: {paths[0]}: ')


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_leaves_out_more_than_one_percent_warns_when_it_ends(
    tmp_path: Path, workers: int
) -> None:
    (good,) = write(tmp_path, 1)

    def epoch(bad: int, all_items: int) -> nl.Loader[Any]:
        paths = [good] * (all_items - bad) + [str(tmp_path / "missing")] * bad
        return loader(paths, batch_size=50, num_workers=workers)

    # Warnings are errors in these tests.
    list(epoch(9, 100))
    list(epoch(10, 1000))
    many = epoch(11, 1000)
    for number in range(2):
        batches = iter(many)
        for _ in range(20):
            next(batches)
        with pytest.warns(UserWarning, match="left out 11 of 1000 items") as warned:
            assert next(batches, None) is None
        assert next(batches, None) is None
        (item, path, text), *_ = many.skipped.items
        assert [str(warning.message) for warning in warned] == [
            f'on_error="skip" left out 11 of 1000 items of this epoch; loader.skipped tells which; '
            f"the first: {text}"
        ]
        assert warned[0].filename == __file__
        assert f"item {item}: {path}: " in text
        assert many.epoch == number + 1
