"""What notebooks show of loaders, epochs and data sets; what progress bars ask of them."""

from __future__ import annotations

import io
import itertools
import operator
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.progress import track
from tests.helpers.faces import face_of
from torchvision.transforms import v2
from tqdm import tqdm
from tqdm.auto import tqdm as auto_tqdm

import ndlens as nl
from ndlens import transforms as T

IMAGES = np.zeros((40, 32, 32, 3), np.uint8)
AUGMENT = [
    T.RandomCrop(16),
    T.RandomHorizontalFlip(),
    T.ToDtype("float32", scale=True),
    T.Normalize([0.5] * 3, [0.25] * 3),
    T.ChannelsFirst(),
    T.RandomErasing(),
]


def loader_of(**settings: Any) -> nl.Loader[dict[str, nl.View]]:
    fields: dict[str, Any] = {"image": IMAGES, "label": np.arange(40)}
    given: dict[str, Any] = {"batch_size": 8, "transforms": {"image": AUGMENT}, **settings}
    return nl.Loader(fields, output="view", **given)


def row(text: str) -> str:
    return " ".join(text.split())


def test_a_loader_shows_its_fields_plan_and_memory() -> None:
    text = row(face_of(loader_of(shuffle=True, seed=7, num_workers=2)).text)
    for part in (
        "ndlens.Loader 40 items in 5 batches of 8 epoch 0 is next 2 workers",
        "image uint8 [32, 32, 3] float32 (8, 3, 16, 16) 24.6 KB",
        "RandomCrop → RandomHorizontalFlip → ToDtype(float32, scale=True) · Normalize · "
        "ChannelsFirst → RandomErasing",
        "label int64 [] int64 (8,) 64 bytes a copy",
        "order shuffled anew each epoch (ndlens) · seed 7 · rank 0 of 1",
        "memory 24.6 KB a batch; none is held yet",
    ):
        assert part in text, part


def test_the_memory_of_a_loader_is_that_of_its_batches() -> None:
    loader = loader_of()
    kept = list(loader)
    text = row(face_of(loader).text)
    assert f"123 KB in {len(kept) * 2} slabs, {len(kept) * 2} of them in use" in text
    assert loader.pool_nbytes == 5 * 8 * (3 * 16 * 16 * 4 + 8)
    kept.clear()
    assert "0 of them in use" in row(face_of(loader).text)
    assert "epoch 1 is next" in row(face_of(loader).text)


def test_a_face_begins_no_epoch_and_takes_no_batch() -> None:
    loader = loader_of()
    batches = cast(Any, iter(loader))
    face_of(loader), face_of(batches)
    assert loader.epoch == 0
    next(batches)
    face_of(batches)
    assert len(list(batches)) == 4


def test_a_loader_says_what_else_it_was_given() -> None:
    text = row(face_of(loader_of(channels={"image": "last"}, drop_last=True)).text)
    assert "channels {'image': 'last'}" in text
    assert "last batch dropped if short" in text
    text = row(face_of(loader_of(sampler=[3, 1, 2])).text)
    assert "order of list" in text
    assert "made by the caller" in text


def test_labels_that_are_mixed_are_shown_as_probabilities() -> None:
    loader = nl.Loader(
        {"image": IMAGES, "label": np.arange(40) % 10},
        batch_size=8,
        mix=T.MixUp(num_classes=10),
        transforms={"image": [T.ToDtype("float32", scale=True)]},
    )
    text = row(face_of(loader).text)
    assert "label int64 [] float32 (8, 10) 320 bytes" in text
    assert next(iter(loader))["label"].shape == (8, 10)


def test_torchvisions_transforms_are_shown_as_they_are_compiled() -> None:
    steps = v2.Compose([v2.ToImage(), v2.RandomCrop(16), v2.ToDtype(torch.float32, scale=True)])
    loader = nl.Loader(IMAGES, batch_size=4, transforms=steps)
    text = row(face_of(loader).text)
    assert "RandomCrop → ToDtype(float32, scale=True) · ChannelsFirst" in text
    assert f"float32 {tuple(next(iter(loader)).shape)}" in text


def test_items_of_different_sizes_are_shown_by_their_range() -> None:
    images = nl.ragged([np.zeros((h, 20, 3), np.uint8) for h in (20, 30)])
    loader = nl.Loader(images, transforms=[T.CenterCrop(16)])
    assert "uint8 [20..30, 20, 3]" in face_of(loader).text


def test_an_epoch_shows_what_is_left_of_it() -> None:
    loader = loader_of()
    epoch = cast(nl.Epoch, iter(loader))
    assert "5 batches to come begins with its first batch" in row(face_of(epoch).text)
    next(epoch)
    text = row(face_of(epoch).text)
    assert "ndlens.Epoch 4 batches to come epoch 0" in text
    assert "float32 (3, 16, 16)" in text
    list(epoch)
    assert row(face_of(epoch).text) == "ndlens.Epoch over"


def test_an_epoch_says_where_it_was_resumed() -> None:
    first = loader_of()
    batches = iter(first)
    next(batches), next(batches)
    resumed = loader_of()
    resumed.load_state_dict(first.state_dict())
    epoch = cast(nl.Epoch, iter(resumed))
    next(epoch)
    assert "2 batches to come epoch 0 resumed at item 16" in row(face_of(epoch).text)


def test_a_data_set_shows_its_fields() -> None:
    dataset = nl.torch.Dataset({"image": IMAGES}, {"image": AUGMENT})
    text = row(face_of(dataset).text)
    assert "ndlens.torch.Dataset 40 items draws follow torch.manual_seed" in text
    assert "image uint8 [32, 32, 3] float32 (3, 16, 16) 3.07 KB RandomCrop" in text
    dataset.set_epoch(3)
    assert "draws of epoch 3" in face_of(dataset).text
    assert "40 items" in face_of(loader_of().dataset).text


def test_names_of_fields_are_inert_and_many_fields_are_few_rows() -> None:
    loader = nl.Loader({f"<script>{i}": np.arange(4) for i in range(100)}, batch_size=2)
    face = face_of(loader)
    assert "<script>0" in face.text
    assert "<script" not in cast(Any, loader)._repr_html_()
    assert "and 80 more fields" in face.text
    assert face.tags.count("tr") <= 26


class Endless:
    def __iter__(self) -> Iterator[int]:
        return itertools.cycle(range(40))


def test_progress_bars_know_the_number_of_batches() -> None:
    loader = loader_of()
    for bar in (tqdm, auto_tqdm):
        assert bar(loader, file=io.StringIO()).total == 5
        assert bar(iter(loader), file=io.StringIO()).total == 5
    assert operator.length_hint(loader) == operator.length_hint(iter(loader)) == 5


def shown_by_rich(batches: Any) -> tuple[int, str]:
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    taken = sum(1 for _ in track(batches, console=console, auto_refresh=False))
    return taken, screen.getvalue()


def test_rich_tracks_a_loader_and_an_epoch_to_their_ends() -> None:
    loader = loader_of()
    for batches in (loader, iter(loader)):
        taken, screen = shown_by_rich(batches)
        assert taken == 5
        assert "100%" in screen


def test_the_rest_of_an_epoch_is_the_total_of_its_iterator() -> None:
    loader = loader_of()
    epoch = cast(Any, iter(loader))
    for left in (5, 4, 3):
        assert len(epoch) == operator.length_hint(epoch) == tqdm(epoch, disable=True).total == left
        next(epoch)
    bar = tqdm(epoch, file=io.StringIO())
    assert bar.total == 2
    assert len(list(bar)) == bar.n == 2
    assert len(epoch) == operator.length_hint(epoch) == 0


def resumed_after_two() -> nl.Loader:
    first = loader_of()
    batches = iter(first)
    next(batches), next(batches)
    resumed = loader_of()
    resumed.load_state_dict(first.state_dict())
    return resumed


def test_after_a_resume_the_iterator_has_the_rest_and_the_loader_the_whole() -> None:
    resumed = resumed_after_two()
    rest = cast(Any, iter(resumed))
    assert (len(resumed), len(rest), operator.length_hint(rest)) == (5, 3, 3)
    # What docs/notebooks.md says to write.
    bar = tqdm(rest, total=len(resumed), initial=len(resumed) - len(rest), file=io.StringIO())
    assert len(list(bar)) == 3
    assert bar.n == bar.total == 5
    assert cast(Any, iter(resumed)).__len__() == 5


def test_rich_shows_the_rest_of_a_resumed_epoch() -> None:
    taken, screen = shown_by_rich(iter(resumed_after_two()))
    assert taken == 3
    assert "100%" in screen


def test_an_endless_sampler_has_no_total_and_bars_count_on() -> None:
    loader = loader_of(sampler=Endless())
    with pytest.raises(TypeError, match="has no len"):
        len(loader)
    epoch = cast(Any, iter(loader))
    assert operator.length_hint(loader, -1) == operator.length_hint(epoch, -1) == -1
    bar = tqdm(loader, file=io.StringIO())
    assert bar.total is None
    assert len(list(itertools.islice(bar, 20))) == 20
    assert "20it" in str(bar) or "19it" in str(bar)
    taken, screen = shown_by_rich(itertools.islice(loader, 12))
    assert taken == 12
    assert "100%" not in screen
    assert "batches of 8" in face_of(loader).text


def test_a_sampler_with_a_length_has_a_total() -> None:
    loader = loader_of(sampler=[5, 4, 3, 2, 1, 0, 9, 8, 7])
    assert tqdm(loader, disable=True).total == tqdm(iter(loader), disable=True).total == 2
