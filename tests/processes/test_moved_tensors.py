"""torch moves the memory of tensors that it shares: old memory stays, and views say so."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing
from tests.helpers.consumers import from_dlpack, memory
from tests.helpers.programs import run, run_file
from torch.utils.data import TensorDataset

import ndlens as nl

ITEMS, WIDTH = 64, 1 << 12
ROWS = np.arange(ITEMS * WIDTH, dtype=np.int32).reshape(ITEMS, WIDTH)


def share_by_name(tensor: torch.Tensor) -> None:
    torch.multiprocessing.set_sharing_strategy("file_system")
    try:
        tensor.share_memory_()
    finally:
        torch.multiprocessing.set_sharing_strategy("file_descriptor")


MOVES: dict[str, Callable[[torch.Tensor], object]] = {
    "share_memory_": torch.Tensor.share_memory_,
    "share_memory_ by name": share_by_name,
    "share_memory_ of a slice": lambda tensor: tensor[1:].share_memory_(),
    "share_memory_ of the storage": lambda tensor: tensor.untyped_storage().share_memory_(),
    "share_memory_ of a parameter": (
        lambda tensor: torch.nn.Parameter(tensor, False).share_memory_()
    ),
    "a message": ForkingPickler.dumps,
    "a data set in a message": lambda tensor: ForkingPickler.dumps(TensorDataset(tensor)),
}

ARRAYS: dict[str, Callable[[torch.Tensor], Any]] = {
    "numpy": lambda batch: batch.numpy(),
    "numpy of a slice": lambda batch: batch[1:].numpy(),
    "numpy of a row": lambda batch: batch[2].numpy(),
    "numpy of a detached tensor": lambda batch: batch.detach().numpy(),
    "numpy of another shape": lambda batch: batch.reshape(-1).numpy(),
    "numpy by force": lambda batch: batch.numpy(force=True),
    "asarray": np.asarray,
    "a memoryview": lambda batch: memory(batch.numpy()),
    "an array by DLPack": np.from_dlpack,
    "an array by DLPack of a slice": lambda batch: np.from_dlpack(batch[1:]),
    "a tensor by DLPack": from_dlpack,
    "a tensor by NumPy": lambda batch: torch.from_numpy(batch.numpy()),
    "an array of a view": lambda batch: nl.view(batch).numpy(),
}


def elements(array: Any) -> Any:
    return array.clone().numpy() if isinstance(array, torch.Tensor) else np.array(array)


def batches(**settings: Any) -> Iterator[Any]:
    return iter(nl.Loader(nl.view(ROWS), batch_size=8, **settings))


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("take", ARRAYS)
def test_an_array_of_a_batch_is_never_overwritten_though_torch_moves_the_batch(
    take: str, move: str
) -> None:
    epoch = batches()
    batch = next(epoch)
    array = ARRAYS[take](batch)
    before = elements(array)
    MOVES[move](batch)
    assert batch.is_shared()
    del batch
    gc.collect()
    assert sum(len(batch) for batch in epoch) == ITEMS - 8
    assert np.array_equal(elements(array), before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_nor_is_one_that_was_made_without_gradients(mode: Callable[[], Any]) -> None:
    with mode():
        epoch = batches()
        batch = next(epoch)
        arrays = [batch[1:].numpy(), batch.numpy()]
        batch.share_memory_()
        del batch
        assert sum(len(batch) for batch in epoch) == ITEMS - 8
    assert np.array_equal(arrays[1], ROWS[:8])
    assert np.array_equal(arrays[0], ROWS[1:8])


def test_an_array_of_a_batch_that_goes_through_a_queue_is_never_overwritten() -> None:
    queue: Any = torch.multiprocessing.Queue()
    epoch = batches(num_workers=1)
    arrays = []
    for batch in epoch:
        arrays.append(batch.numpy())
        queue.put(batch)
        received = queue.get(timeout=30)
        assert received.is_shared()
        assert torch.equal(received, batch)
    assert np.array_equal(np.concatenate(arrays), ROWS)


def test_a_batch_that_is_resized_leaves_its_arrays_as_they_are() -> None:
    epoch = batches()
    batch = next(epoch)
    array = batch.numpy()
    resizes: list[Callable[[], object]] = [
        lambda: batch.resize_(1 << 20),
        lambda: batch.untyped_storage().resize_(0),
    ]
    for resize in resizes:
        with pytest.raises(RuntimeError, match="Trying to resize storage that is not resizable"):
            resize()
    assert sum(len(batch) for batch in epoch) == ITEMS - 8
    assert np.array_equal(array, ROWS[:8])


def test_memory_of_a_batch_that_was_moved_is_used_again_once_nothing_shows_it() -> None:
    addresses = set()
    epoch = iter(nl.Loader(nl.view(ROWS), batch_size=1))
    for batch in epoch:
        addresses.add(batch.data_ptr())
        array = batch.numpy()
        batch.share_memory_()
        del batch, array
    assert len(addresses) <= 8


class Owner(np.ndarray[Any, Any]):
    """An array that can be watched."""


@pytest.mark.parametrize("move", MOVES)
def test_a_tensor_of_a_view_holds_the_owner_while_an_array_of_it_lives(move: str) -> None:
    owner = ROWS.copy().view(Owner)
    died = weakref.ref(owner)
    tensor = nl.view(owner).torch()
    del owner
    array = tensor.numpy()
    MOVES[move](tensor)
    gc.collect()
    assert died() is not None
    assert np.array_equal(array, ROWS)
    tensor.fill_(7)
    assert np.array_equal(array, ROWS)
    del tensor, array
    gc.collect()
    assert died() is None


def test_tensors_of_views_are_saved_copied_and_pickled_as_any_other() -> None:
    tensor = nl.view(ROWS.copy()).torch()
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    assert torch.equal(torch.load(file), tensor)
    for other in (tensor.clone(), copy.deepcopy(tensor), copy.copy(tensor)):
        assert torch.equal(other, tensor)


SOURCES: dict[str, Callable[[torch.Tensor], nl.View]] = {
    "a tensor": nl.view,
    "a slice": lambda tensor: nl.view(tensor[1:]),
    "a view of it, sliced": lambda tensor: nl.view(tensor)[1:, ::2],
    "a parameter": lambda tensor: nl.view(torch.nn.Parameter(tensor, False)),
    "an array of it": lambda tensor: nl.view(tensor.numpy()),
    "a slice of an array of it": lambda tensor: nl.view(tensor.numpy()[1:][::2]),
    "a memoryview of an array of it": lambda tensor: nl.view(memory(tensor.numpy())),
    "an array of a view of it": lambda tensor: nl.view(nl.view(tensor).numpy()),
}

MOVED = (
    r"^the memory of this view was moved: torch moved the tensor's memory after this view was made "
    r"\(share_memory_\(\), a queue and a worker's arguments do that\): make the view again, or"
    r" share the "
    r"tensor first$"
)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_view_says_that_torch_moved_its_tensor_and_arrays_of_it_stay_as_they_are(
    source: str, move: str
) -> None:
    tensor = torch.from_numpy(ROWS).clone()
    view = SOURCES[source](tensor)
    before, array = view.tolist(), view.numpy()
    MOVES[move](tensor)
    # What is allocated now would get the old memory.
    junk = [torch.full((ITEMS, WIDTH), -1, dtype=torch.int32) for _ in range(4)]
    for use in (
        view.tolist,
        view.tobytes,
        view.copy,
        view.numpy,
        lambda: view.torch(readonly="allow"),
        lambda: view.__dlpack__(max_version=(1, 0)),
        lambda: from_dlpack(view),
        lambda: memory(view),
        lambda: np.asarray(view),
        lambda: view.__array_interface__,
        lambda: view[0, 0],
        lambda: view[1:].tolist(),
        lambda: next(iter(view[0])),
        lambda: view.fill(1),
        lambda: view.__setitem__(0, 1),
        view.verify,
    ):
        with pytest.raises(nl.MovedError, match=MOVED):
            use()
    assert array.tolist() == before
    assert len(junk) == 4
    again = SOURCES[source](tensor)
    assert again.tolist() == before
    tensor.fill_(3)
    assert set(
        again.reshape(-1).tolist() if again.c_contiguous else again.copy().reshape(-1).tolist()
    ) == {3}


def test_a_view_of_what_is_shared_already_goes_on_after_it_is_sent() -> None:
    tensor = torch.zeros(4, 1024).share_memory_()
    view = nl.view(tensor)
    ForkingPickler.dumps(tensor)
    tensor.share_memory_()
    tensor.fill_(2)
    assert view[3, 7] == 2


def test_a_tensor_whose_memory_torch_did_not_allocate_stays_where_it_is_while_a_view_lives() -> (
    None
):
    for array in (ROWS.copy(), np.frombuffer(bytearray(4096), np.uint8)):
        tensor = torch.from_numpy(array)
        address = tensor.data_ptr()
        view = nl.view(tensor)
        for move in MOVES.values():
            with pytest.raises(
                BufferError,
                match=(
                    r"^ndlens views this tensor's memory, which torch would free when it moves the"
                    r" tensor to shared "
                    r"memory: call share_memory_\(\) before nl.view, or give nl.view a clone\(\) of"
                    # Python 3.14 adds notes of what it was serializing.
                    r" the tensor(\n|$)"
                ),
            ):
                move(tensor)
        assert tensor.data_ptr() == address
        assert view.tolist() == array.tolist()
        del view
        tensor.share_memory_()
        assert tensor.is_shared()
        assert "_share_fd_cpu_" not in vars(tensor.untyped_storage())


def test_a_batch_that_is_viewed_may_be_moved() -> None:
    batch = next(batches())
    view = nl.view(batch)
    array = view.numpy()
    batch.share_memory_()
    assert np.array_equal(array, ROWS[:8])
    with pytest.raises(nl.MovedError, match=MOVED):
        view.tolist()


def test_a_tensor_that_was_viewed_cannot_be_resized() -> None:
    tensor = torch.arange(1000)
    view = nl.view(tensor)
    for resize in (lambda: tensor.resize_(1 << 20), lambda: tensor.untyped_storage().resize_(0)):
        with pytest.raises(RuntimeError, match="Trying to resize storage that is not resizable"):
            resize()
    assert view.tolist() == list(range(1000))
    empty = torch.empty(0)
    assert nl.view(empty).shape == (0,)
    assert empty.resize_(4).shape == (4,)


def test_a_view_keeps_the_storage_that_its_tensor_is_taken_from() -> None:
    for replace in (
        lambda tensor: tensor.set_(torch.zeros(3)),
        lambda tensor: setattr(tensor, "data", torch.zeros(3)),
    ):
        tensor = torch.arange(100_000.0)
        view = nl.view(tensor)
        replace(tensor)
        junk = [torch.full((100_000,), -1.0) for _ in range(4)]
        assert view[:3].tolist() == [0, 1, 2]
        assert len(junk) == 4


def test_a_storage_and_its_tensors_are_freed_with_the_view() -> None:
    tensor = torch.arange(1000)
    died = weakref.ref(tensor.untyped_storage())
    view = nl.view(tensor)
    again = nl.view(tensor)
    del tensor
    gc.collect()
    assert died() is not None
    assert view == again
    del view
    assert died() is not None
    del again
    gc.collect()
    assert died() is None


def test_a_running_loader_stops_with_the_field_that_torch_moved() -> None:
    for num_workers in (0, 2):
        for field_of in (lambda tensor: tensor, nl.view, torch.Tensor.numpy):
            tensor = torch.from_numpy(ROWS).clone()
            epoch = iter(
                nl.Loader({"row": field_of(tensor)}, batch_size=4, num_workers=num_workers)
            )
            assert next(epoch)["row"][0, 5] == 5
            tensor.share_memory_()
            with pytest.raises(
                nl.MovedError, match=r'field "row", item \d+: the memory of this view was moved'
            ):
                list(epoch)


def test_a_loader_says_it_when_an_epoch_starts() -> None:
    tensor = torch.from_numpy(ROWS).clone()
    loader = nl.Loader(tensor, batch_size=4, num_workers=1)
    assert len(list(loader)) == 16
    tensor.share_memory_()
    with pytest.raises(nl.MovedError, match="the memory of this view was moved"):
        next(iter(loader))


def test_tensors_that_are_moved_under_running_threads_crash_nothing() -> None:
    script = """
        import numpy as np, torch, ndlens as nl

        for round in range(6):
            tensor = torch.arange(1 << 22, dtype=torch.int32).reshape(1 << 12, 1 << 10)
            epoch = iter(nl.Loader(tensor, batch_size=64, num_workers=2, prefetch_factor=4))
            next(epoch)
            tensor.share_memory_()
            try:
                for place, batch in enumerate(epoch, 1):
                    assert batch[0, 0] == place << 16
            except nl.MovedError:
                pass
    """
    assert run(script) == (0, "", "")


def test_a_stock_data_loader_that_spawns_its_workers_takes_what_a_loader_reads(
    tmp_path: Any,
) -> None:
    script = """
        import torch, ndlens as nl
        from torch.utils.data import DataLoader, TensorDataset

        def main():
            tensor = torch.arange(1 << 20).reshape(64, -1)
            loader = nl.Loader(tensor, batch_size=8)
            stock = DataLoader(
                TensorDataset(tensor), 8, num_workers=1, multiprocessing_context="spawn"
            )
            kept = next(iter(loader)).numpy()
            assert sum(len(batch) for batch, in stock) == 64
            assert kept[7, 5] == tensor[7, 5]
            try:
                next(iter(loader))
            except nl.MovedError:
                print("moved")

        if __name__ == "__main__":
            main()
    """
    assert run_file(tmp_path, script) == (0, "moved\n", "")


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)"])
def test_the_interpreter_ends_with_watched_tensors_and_batches_alive(ending: str) -> None:
    script = f"""
        import sys, numpy as np, torch, ndlens as nl
        tensor = torch.arange(1 << 16).reshape(64, -1)
        view = nl.view(tensor)
        moved = torch.arange(1 << 16)
        old = nl.view(moved)
        moved.share_memory_()
        epoch = iter(nl.Loader(view, batch_size=2, num_workers=2))
        batch = next(epoch)
        array = batch.numpy()
        batch.share_memory_()
        sys.kept = [view.torch(), array, old]
        {ending}
    """
    assert run(script) == (0, "", "")
