"""Batches in pinned memory and on a device.

They run on the machine's accelerator, or on a stand-in if it has none.
"""

from __future__ import annotations

import itertools
import operator
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers import accelerator as accelerators
from tests.helpers.accelerator import Accelerator
from tests.helpers.photographs import write

import ndlens as nl
from ndlens import transforms as T
from ndlens.torch import _device


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Accelerator]:
    yield Accelerator(monkeypatch, real=accelerators.found())
    monkeypatch.undo()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without an accelerator."""
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available=False: None
    )


def images(items: int = 10) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 256, (items, 12, 14, 3), dtype=np.uint8)


def fields(items: int = 10) -> dict[str, Any]:
    return {"image": images(items), "label": np.arange(items)}


def chain(*layout: Any, dtype: str = "float32") -> dict[str, list[T.Transform]]:
    normalize = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return {
        "image": [
            T.RandomCrop(8),
            T.RandomHorizontalFlip(),
            *layout,
            T.ToDtype(dtype, scale=True),
            normalize,
        ]
    }


SETTINGS: dict[str, Any] = {"batch_size": 4, "shuffle": True, "seed": 5}


def same(there: torch.Tensor, here: torch.Tensor) -> bool:
    """Whether a tensor of the device has the elements of one in memory."""
    return torch.equal(there.cpu(), here)


def equal(a: Any, b: Any) -> bool:
    return bool(a.keys() == b.keys() and all(same(a[key], b[key]) for key in a))


# Pinned memory


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_batches_are_made_on_the_very_tensors_that_torch_pinned(
    accelerator: Accelerator, num_workers: int
) -> None:
    channels_last = T.ChannelsFirst(memory_format="channels_last")
    settings = {**SETTINGS, "transforms": chain(channels_last), "num_workers": num_workers}
    expected = list(nl.Loader(fields(), **settings))
    loader = nl.Loader(fields(), **settings, pin_memory=True)
    assert loader.pin_memory
    for epoch in range(2):
        batches = list(loader)
        assert len(batches) == len(expected) == 3
        for batch, other in zip(batches, expected, strict=True):
            if epoch == 0:
                assert equal(batch, other)
            assert batch["image"].is_contiguous(memory_format=torch.channels_last)
            # The storage is torch's, so torch knows when copies from it are done.
            for part in batch.values():
                assert any(
                    part.untyped_storage()._cdata == own.untyped_storage()._cdata
                    for own in accelerator.pinned
                )
    # No batch in one epoch shares memory with another, and none more is pinned than there are
    # batches.
    assert len(accelerator.pinned) == 2 * 2 * 3
    assert loader.pool_nbytes == 0


def test_no_more_memory_is_pinned_than_batches_are_ahead(accelerator: Accelerator) -> None:
    loader = nl.Loader(images(40), batch_size=4, num_workers=2, prefetch_factor=3, pin_memory=True)
    batches = iter(loader)
    for taken in range(4):
        next(batches)
        assert len(accelerator.pinned) == taken + 3
    del batches
    assert len(accelerator.pinned) == 6


def test_pinned_memory_goes_back_to_torch_with_the_last_tensor(accelerator: Accelerator) -> None:
    (batch,) = nl.Loader(images(4), batch_size=4, pin_memory=True)
    base = accelerator.pinned.pop()
    storage = torch.multiprocessing.reductions.StorageWeakRef(base.untyped_storage())
    del base
    row = batch[0]
    del batch
    assert not storage.expired()
    del row
    assert storage.expired()


def test_an_error_in_pinned_memory_comes_in_its_place(accelerator: Accelerator) -> None:
    labels = np.arange(6)
    sampler = [0, 1, 2, 3]
    loader = nl.Loader(labels, batch_size=2, num_workers=1, sampler=sampler, pin_memory=True)
    batches = iter(loader)
    assert next(batches).tolist() == [0, 1]
    assert next(batches).tolist() == [2, 3]
    assert list(batches) == []


def test_memory_that_torch_cannot_pin_is_torchs_error(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = nl.Loader(images(), batch_size=4, num_workers=2, pin_memory=True)

    def fails(*size: Any, **keywords: Any) -> torch.Tensor:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch, "empty", fails)
    batches = iter(loader)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^CUDA error: out of memory$"):
            next(batches)
    monkeypatch.setattr(torch, "empty", accelerators.EMPTY)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_threads_may_share_an_epoch_in_pinned_memory(
    accelerator: Accelerator, num_workers: int
) -> None:
    loader = nl.Loader(
        np.arange(400), batch_size=2, num_workers=num_workers, prefetch_factor=1, pin_memory=True
    )
    batches = iter(loader)
    with ThreadPoolExecutor(4) as pool:
        taken = pool.map(lambda _: [batch.tolist() for batch in batches], range(4))
        numbers = [number for of_thread in taken for batch in of_thread for number in batch]
    assert sorted(numbers) == list(range(400))
    # Whoever was last to say so, all are handed out.
    state = loader.state_dict()
    assert (state["epoch"], next(iter(loader)).tolist()) == (1, [0, 1])


def test_memory_is_pinned_on_the_cpu_whatever_the_default_device_is(
    accelerator: Accelerator,
) -> None:
    loader = nl.Loader(np.arange(4), batch_size=2, pin_memory=True)
    torch.set_default_device("meta")
    try:
        batch = next(iter(loader))
    finally:
        torch.set_default_device(None)
    assert batch.tolist() == [0, 1]


@pytest.mark.usefixtures("without")
def test_without_an_accelerator_pinning_warns_and_does_nothing() -> None:
    with pytest.warns(
        UserWarning, match=r"^pin_memory=True has no effect: torch finds no accelerator"
    ):
        loader = nl.Loader(images(), batch_size=4, pin_memory=True)
    assert not loader.pin_memory
    assert torch.equal(next(iter(loader)), torch.from_numpy(images()[:4]))


@pytest.mark.parametrize("settings", [{"pin_memory": True}, {"device": "cpu"}])
def test_only_tensors_are_pinned_or_sent(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r'^pin_memory and device are for output="torch"$'):
        nl.Loader(images(), output="numpy", **settings)


# Devices


@pytest.mark.usefixtures("without")
def test_the_cpu_is_where_batches_are_made() -> None:
    loader = nl.Loader(fields(), **SETTINGS, transforms=chain(), device="cpu")
    assert not loader.pin_memory
    for batch, other in zip(
        loader, nl.Loader(fields(), **SETTINGS, transforms=chain()), strict=True
    ):
        assert equal(batch, other)


@pytest.mark.usefixtures("without")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^device is 'cuda', but torch finds no accelerator$"):
        nl.Loader(images(), device="cuda")
    with pytest.raises(RuntimeError, match="device type"):
        nl.Loader(images(), device="gramophone")


def test_a_device_of_another_kind_or_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Accelerator(monkeypatch, "cuda")
    with pytest.raises(ValueError, match=r"^device is 'xpu:1', but torch finds 'cuda'$"):
        nl.Loader(images(), device="xpu:1")
    with pytest.raises(ValueError, match=r"^device is 'cuda:1', but torch finds 1 of these$"):
        nl.Loader(images(), device=torch.device("cuda", 1))


LAYOUTS: list[list[Any]] = [
    [],
    [T.ChannelsFirst()],
    [T.ChannelsFirst(memory_format="channels_last")],
]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_what_is_computed_on_a_device_is_what_the_loader_computes(
    accelerator: Accelerator, num_workers: int, layout: list[Any], dtype: str
) -> None:
    settings = {**SETTINGS, "transforms": chain(*layout, dtype=dtype), "num_workers": num_workers}
    expected = list(nl.Loader(fields(), **settings))
    loader = nl.Loader(fields(), **settings, device=accelerator.device)
    assert loader.pin_memory
    accelerator.copies()
    batches = list(loader)
    assert len(batches) == len(expected) == 3
    for batch, other in zip(batches, expected, strict=True):
        assert equal(batch, other)
        assert batch["image"].stride() == other["image"].stride()
    # Bytes went over the wire, and integers as they are.
    assert [line for line in accelerator.log if "copy" in line] == ["copy uint8", "copy int64"] * 3
    assert len(accelerator.recorded) == 6


@pytest.mark.parametrize(
    "source", ["uint8", "int8", "uint16", "int16", "int32", "uint32", "bool", "float16"]
)
@pytest.mark.parametrize("scale", [True, False])
def test_numbers_of_any_dtype_are_converted_as_the_loader_does(
    accelerator: Accelerator, source: str, scale: bool
) -> None:
    numbers = np.random.default_rng(4).integers(0, 100, (6, 50)).astype(source)
    settings: dict[str, Any] = {"batch_size": 3, "transforms": [T.ToDtype("float64", scale=scale)]}
    expected = list(nl.Loader(numbers, **settings))
    loader = nl.Loader(numbers, **settings, device=accelerator.device)
    accelerator.copies()
    assert all(same(batch, other) for batch, other in zip(loader, expected, strict=True))
    assert f"copy {source}" in accelerator.log


def test_values_that_something_needs_are_computed_before(accelerator: Accelerator) -> None:
    transforms = [T.ToDtype("float32", scale=True), T.RandomErasing(p=1.0)]
    loader = nl.Loader(images(), batch_size=4, transforms=transforms, device=accelerator.device)
    expected = list(nl.Loader(images(), batch_size=4, transforms=transforms))
    accelerator.copies()
    assert all(same(batch, other) for batch, other in zip(loader, expected, strict=True))
    assert "copy float32" in accelerator.log


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("mix", [T.MixUp(10), T.CutMix(10)])
@pytest.mark.parametrize("keyword", ["pin_memory", "device"])
def test_mixed_batches_are_pinned_and_sent_with_their_soft_labels(
    accelerator: Accelerator, num_workers: int, mix: Any, keyword: str
) -> None:
    settings: dict[str, Any] = {keyword: True if keyword == "pin_memory" else accelerator.device}
    own = {
        **SETTINGS,
        "transforms": chain(),
        "mix": mix,
        "return_params": True,
        "num_workers": num_workers,
    }
    expected = list(nl.Loader(fields(), **own))
    for (batch, *drawn), (other, *of_other) in zip(
        nl.Loader(fields(), **own, **settings), expected, strict=True
    ):
        assert equal(batch, other)
        assert batch["label"].shape[1:] == (10,)
        assert drawn == of_other
        if "pin_memory" in settings:
            storages = {pinned.untyped_storage()._cdata for pinned in accelerator.pinned}
            assert {part.untyped_storage()._cdata for part in batch.values()} <= storages


def test_the_next_batch_is_on_its_way_while_one_is_used(accelerator: Accelerator) -> None:
    loader = nl.Loader(np.arange(6), batch_size=2, num_workers=1, device=accelerator.device)
    accelerator.copies()
    sent = ["on the side stream", "copy int64", "off it", "event"]
    batches: Any = iter(loader)
    assert next(batches).tolist() == [0, 1]
    while not batches._sent:
        time.sleep(0.001)
        batches._look_ahead()
    # Two are sent, and the current stream waits for the one that was asked for.
    assert accelerator.log in ([*sent, "wait", *sent], [*sent, *sent, "wait"])
    assert next(batches).tolist() == [2, 3]
    assert accelerator.log.count("wait") == 2


def test_a_batch_on_its_way_is_not_handed_out_yet(accelerator: Accelerator) -> None:
    for num_workers in (0, 2):
        loader = nl.Loader(
            np.arange(10), batch_size=2, num_workers=num_workers, device=accelerator.device
        )
        batches = iter(loader)
        first = next(batches).tolist()
        state = loader.state_dict()
        resumed = nl.Loader(np.arange(10), batch_size=2)
        resumed.load_state_dict(state)
        rest = [number for batch in resumed for number in batch.tolist()]
        assert first + rest == list(range(10))
        # And all of them at the end.
        assert sum(len(batch) for batch in batches) == 8
        assert loader.state_dict()["epoch"] == 1


def test_an_error_comes_when_its_batch_is_due(accelerator: Accelerator, tmp_path: Any) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((64, 4096), np.uint8))
    rows = nl.open(path)
    with path.open("r+b") as file:
        file.truncate(128 + 4096 * 40)
    loader = nl.Loader(
        rows, batch_size=8, num_workers=2, prefetch_factor=4, device=accelerator.device
    )
    batches = iter(loader)
    for _ in range(5):
        assert next(batches).shape == (8, 4096)
    with pytest.raises(nl.TruncatedError):
        next(batches)
    assert list(batches) == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_batch_that_cannot_be_sent_is_not_handed_out_and_ends_the_epoch(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch, num_workers: int
) -> None:
    loader = nl.Loader(
        np.arange(10), batch_size=2, num_workers=num_workers, device=accelerator.device
    )
    batches = iter(loader)
    assert next(batches).tolist() == [0, 1]

    def fails(*arguments: Any, **keywords: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(torch.Tensor, "to", fails)
    # One may be on its way already.
    with pytest.raises(torch.OutOfMemoryError):
        list(itertools.islice(batches, 2))
    assert list(batches) == []
    assert operator.length_hint(batches) == 0
    monkeypatch.undo()
    resumed = nl.Loader(np.arange(10), batch_size=2)
    resumed.load_state_dict(loader.state_dict())
    assert next(iter(resumed)).tolist() in ([2, 3], [4, 5])


def test_parameters_come_with_their_batch(accelerator: Accelerator) -> None:
    settings = {**SETTINGS, "transforms": chain(), "return_params": True, "num_workers": 2}
    expected = list(nl.Loader(fields(), **settings))
    for (batch, params), (other, own) in zip(
        nl.Loader(fields(), **settings, device=accelerator.device), expected, strict=True
    ):
        assert equal(batch, other)
        assert params == own


def test_length_hint_counts_what_is_on_its_way(accelerator: Accelerator) -> None:
    batches = iter(nl.Loader(np.arange(6), batch_size=2, num_workers=1, device=accelerator.device))
    for left in (3, 2, 1, 0):
        assert operator.length_hint(batches) == left
        next(batches, None)


def test_a_chip_whose_memory_is_the_hosts_needs_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = _device.Wire(torch.device("mps"), [None])
    monkeypatch.setattr(torch.Tensor, "to", lambda part, device, **keywords: part.clone())
    part = torch.arange(3)
    sent = wire.send([part], [], None)
    assert sent.event is None
    assert torch.equal(wire.receive(sent)[0], part)
    Accelerator(monkeypatch, "mps")
    assert not _device.pins(True, None)


def test_a_trace_has_a_batch_and_its_copy_to_the_device(accelerator: Accelerator) -> None:
    loader = nl.Loader(np.arange(6), batch_size=3, device=accelerator.device)
    with nl.trace() as copies:
        assert len(list(loader)) == 2
    noted = [(record.operation, record.nbytes, record.count) for record in copies]
    assert noted == [("Loader batch", 48, 2), (f"Loader batch to {accelerator.device}", 48, 2)]
    assert {record.filename for record in copies} == {__file__}


@pytest.mark.parametrize("workers", [0, 2])
def test_items_that_are_left_out_are_left_out_in_pinned_memory_too(
    accelerator: Accelerator, tmp_path: Path, workers: int
) -> None:
    paths = write(tmp_path, 11)
    Path(paths[4]).write_bytes(b"no image")
    fields = {"image": nl.images(paths), "number": np.arange(11)}
    settings: Any = {
        "batch_size": 3,
        "transforms": {"image": [T.CenterCrop(30), T.ToDtype("float32", scale=True)]},
        "on_error": "skip",
    }
    expected = list(nl.Loader(fields, **settings))
    for memory in ({"device": accelerator.device}, {"pin_memory": True}):
        epoch: Any = iter(nl.Loader(fields, num_workers=workers, **memory, **settings))
        got = list(epoch)
        assert [len(batch["number"]) for batch in got] == [3, 2, 3, 2]
        for one, other in zip(got, expected, strict=True):
            assert same(one["image"], other["image"])
            assert same(one["number"], other["number"])
        assert [item for item, *_ in epoch.skipped.items] == [4]
    assert accelerator.pinned
