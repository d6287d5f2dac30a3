"""What `nl.Loader` promises: its batches, their memory, its threads, its errors."""

from __future__ import annotations

import contextlib
import gc
import itertools
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ndlens as nl
from ndlens import transforms as T

ALL_WORKERS = [0, 1, 2, 7]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

AUGMENT: list[T.Transform] = [
    T.RandomCrop((19, 23)),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(0.3),
    T.CenterCrop(17),
    T.ToDtype("float32", scale=True),
    T.Normalize(MEAN, STD),
    T.ChannelsFirst(),
]


def pictures(n: int = 50, height: int = 24, width: int = 31, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), np.uint8)


def run_python(program: str, *args: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """In a process of its own, where a signal that kills is seen and a hang is ended."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def succeeds(program: str, *args: str) -> str:
    done = run_python(program, *args)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def workers_alive() -> int:
    """Threads that ndlens started. The kernel lists a thread a moment longer than it can be joined."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text())
    return sum(name.startswith("ndlens-") for name in names)


def eventually(done: Callable[[], bool]) -> bool:
    """Whether it becomes true within a second."""
    end = time.monotonic() + 1
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


# Structure.


def test_one_field_gives_batches_that_are_one_tensor() -> None:
    a = pictures(10)
    batches = list(nl.Loader(nl.view(a), batch_size=4))
    assert [type(batch) for batch in batches] == [torch.Tensor] * 3
    assert torch.equal(torch.cat(batches), torch.from_numpy(a))


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_tuple_or_list_of_fields_gives_batches_that_are_tuples(kind: type) -> None:
    a, labels = pictures(10), np.arange(10)
    for batch in nl.Loader(kind([nl.view(a), labels]), batch_size=5):
        assert type(batch) is tuple
        images, numbers = batch
        assert images.shape == (5, 24, 31, 3)
        assert numbers.dtype == torch.int64
        assert torch.equal(images, torch.from_numpy(a)[numbers])


def test_a_dict_of_fields_gives_dicts_with_the_same_keys_in_the_same_order() -> None:
    a = np.arange(6)
    key = object()
    fields: dict[Any, Any] = {"z": a, ("a", 1): a * 2, 7: a * 3, None: a * 4, key: a * 5}
    for number, batch in enumerate(nl.Loader(fields, batch_size=3)):
        assert type(batch) is dict
        assert list(batch) == ["z", ("a", 1), 7, None, key]
        assert [int(part[1]) for part in batch.values()] == [
            (3 * number + 1) * times for times in range(1, 6)
        ]


def test_a_tuple_of_one_field_stays_a_tuple() -> None:
    (batch,) = nl.Loader((np.arange(3),), batch_size=3)
    assert type(batch) is tuple
    assert batch[0].tolist() == [0, 1, 2]


def test_fields_are_whatever_a_view_can_be_made_of() -> None:
    fields = {
        "view": nl.view(bytes(range(6))),
        "bytes": bytes(range(6)),
        "bytearray": bytearray(range(6)),
        "memoryview": memoryview(bytes(range(6))),
        "numpy": np.arange(6, dtype=np.uint8),
        "torch": torch.arange(6, dtype=torch.uint8),
        "transposed": torch.arange(12, dtype=torch.uint8).reshape(2, 6).t()[:, 0],
    }
    for batch in nl.Loader(fields, batch_size=6, num_workers=1):
        assert [part.tolist() for part in batch.values()] == [list(range(6))] * len(fields)


def test_each_field_has_its_own_transforms_and_none_leaves_it_as_it_is() -> None:
    a, labels = pictures(4), np.arange(4)
    steps = [T.ToDtype("float32", scale=True), T.ChannelsFirst()]
    as_dict = nl.Loader({"x": a, "y": labels, "z": labels}, batch_size=4, transforms={"x": steps, "z": None})
    (batch,) = as_dict
    assert (batch["x"].shape, batch["x"].dtype) == ((4, 3, 24, 31), torch.float32)
    assert (batch["y"].dtype, batch["z"].dtype) == (torch.int64, torch.int64)
    ((images, numbers),) = nl.Loader((a, labels), batch_size=4, transforms=(steps, None))
    assert torch.equal(images, batch["x"])
    assert torch.equal(numbers, torch.arange(4))
    (single,) = nl.Loader(a, batch_size=4, transforms=steps)
    assert torch.equal(single, batch["x"])


def test_transforms_find_their_field_by_a_key_of_any_kind() -> None:
    a = pictures(2)
    (batch,) = nl.Loader({1: a, "1": a}, batch_size=2, transforms={1: [T.ChannelsFirst()]})
    assert batch[1].shape == (2, 3, 24, 31)
    assert batch["1"].shape == (2, 24, 31, 3)


@pytest.mark.parametrize(
    ("output", "kind"),
    [("torch", torch.Tensor), ("numpy", np.ndarray), ("view", nl.View), (None, torch.Tensor)],
)
def test_output_says_what_the_parts_of_a_batch_are(output: Any, kind: type) -> None:
    a = pictures(5)
    for start, batch in enumerate(nl.Loader({"x": a}, batch_size=2, output=output)):
        assert type(batch["x"]) is kind
        assert np.array_equal(np.asarray(batch["x"]), a[2 * start : 2 * start + 2])


def test_batches_may_be_written_and_their_source_stays_as_it_is() -> None:
    source = bytes(range(8))
    for output in ("torch", "numpy", "view"):
        for batch in nl.Loader(source, batch_size=4, output=output):
            np.asarray(batch)[:] = 99
            assert np.asarray(batch).tolist() == [99] * 4
    assert source == bytes(range(8))


@pytest.mark.parametrize(
    "dtype", ["?", "B", "b", "H", "h", "I", "i", "L", "l", "Q", "q", "e", "f", "d", "F", "D"]
)
def test_dtypes_come_through_as_they_are(dtype: str) -> None:
    a = np.arange(12).astype(dtype).reshape(4, 3)
    (batch,) = nl.Loader(a, batch_size=4)
    assert batch.numpy().dtype == a.dtype
    assert np.array_equal(batch.numpy(), a)
    (array,) = nl.Loader(a, batch_size=4, output="numpy")
    assert array.dtype == a.dtype
    assert np.array_equal(array, a)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_dtypes_that_numpy_lacks_come_through_too(dtype: torch.dtype) -> None:
    source = torch.arange(6.0).reshape(3, 2).to(dtype)
    (batch,) = nl.Loader(source, batch_size=3)
    assert batch.dtype == dtype
    assert torch.equal(batch.view(torch.uint8), source.view(torch.uint8))


def test_records_strings_and_big_endian_numbers_come_through_as_numpy_arrays() -> None:
    records = np.array([(1, 2.5, b"ab"), (3, 4.5, b"cd")], [("i", "i4"), ("x", ">f8"), ("s", "S3")])
    for a in [records, np.array(["häh", "no"]), np.arange(3, dtype=">i2"), np.array([b"a", b"bc"])]:
        (batch,) = nl.Loader(a, batch_size=len(a), output="numpy")
        assert batch.dtype == a.dtype
        assert np.array_equal(batch, a)


def test_what_torch_has_no_dtype_for_says_so() -> None:
    with pytest.raises(TypeError, match=r'^field "items": torch has no dtype for >h$'):
        nl.Loader(np.arange(3, dtype=">i2"))


# Which items, in which order.


def test_the_last_batch_is_short_or_dropped() -> None:
    a = np.arange(11)
    for workers in ALL_WORKERS:
        keep = nl.Loader(a, batch_size=4, num_workers=workers)
        assert [batch.tolist() for batch in keep] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
        drop = nl.Loader(a, batch_size=4, num_workers=workers, drop_last=True)
        assert [batch.tolist() for batch in drop] == [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert (len(keep), len(drop)) == (3, 2)


def test_a_batch_larger_than_the_data_set_is_all_of_it_or_nothing() -> None:
    for batch_size in (4, 1000, 2**62):
        for workers in ALL_WORKERS:
            loader = nl.Loader(np.arange(3), batch_size=batch_size, num_workers=workers)
            assert len(loader) == 1
            assert [batch.tolist() for batch in loader] == [[0, 1, 2]]
            loader = nl.Loader(np.arange(3), batch_size=batch_size, num_workers=workers, drop_last=True)
            assert len(loader) == 0
            assert list(loader) == []


def test_the_defaults_are_those_of_torchs_data_loader() -> None:
    data = torch.arange(5)
    theirs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data))
    ours = nl.Loader((data,))
    assert len(ours) == len(theirs)
    for got, (expected,) in zip(ours, theirs, strict=True):
        assert torch.equal(got[0], expected)
    assert repr(ours) == "<ndlens.Loader batches=5 batch_size=1 shuffle=False num_workers=0>"


def test_a_running_epoch_knows_how_many_batches_are_left() -> None:
    for workers in ALL_WORKERS:
        epoch = iter(nl.Loader(np.arange(10), batch_size=3, num_workers=workers))
        assert iter(epoch) is epoch
        for left in (4, 3, 2, 1):
            assert epoch.__length_hint__() == left
            next(epoch)
        assert epoch.__length_hint__() == 0
        assert next(epoch, None) is None
        assert next(epoch, None) is None


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 300),
    batch_size=st.integers(1, 50),
    workers=st.sampled_from(ALL_WORKERS),
    prefetch=st.integers(1, 6),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
)
def test_batches_are_the_source_cut_in_order_or_each_item_once(
    n: int, batch_size: int, workers: int, prefetch: int, drop_last: bool, shuffle: bool, seed: int
) -> None:
    loader = nl.Loader(
        np.arange(n) * 3,
        batch_size=batch_size,
        num_workers=workers,
        prefetch_factor=prefetch,
        drop_last=drop_last,
        shuffle=shuffle,
        seed=seed,
        output="numpy",
    )
    batches = list(loader)
    assert len(batches) == len(loader)
    taken = n // batch_size * batch_size if drop_last else n
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * max(len(loader) - 1, 0)
    items = np.concatenate([*batches, np.arange(0)])
    assert len(items) == taken
    if shuffle:
        assert len(np.unique(items)) == taken
        assert set(items.tolist()) <= set(range(0, 3 * n, 3))
    else:
        assert np.array_equal(items, np.arange(taken) * 3)


def order(loader: nl.Loader) -> list[int]:
    return [int(item) for batch in loader for item in batch]


@pytest.mark.parametrize("n", [100, 5000])
def test_each_epoch_has_its_own_order_and_set_epoch_brings_it_back(n: int) -> None:
    loader = nl.Loader(np.arange(n), batch_size=64, shuffle=True, seed=5)
    assert loader.epoch == 0
    orders = [order(loader) for _ in range(3)]
    assert loader.epoch == 3
    for one, other in itertools.combinations([*orders, list(range(n))], 2):
        assert one != other
    for epoch in (2, 0, 1):
        loader.set_epoch(epoch)
        assert order(loader) == orders[epoch]
        assert loader.epoch == epoch + 1
    again = nl.Loader(np.arange(n), batch_size=7, shuffle=True, seed=5, num_workers=2)
    again.set_epoch(1)
    assert order(again) == orders[1]


def test_epochs_go_up_to_32_bits() -> None:
    loader = nl.Loader(np.arange(50), shuffle=True)
    loader.set_epoch(2**32 - 1)
    last = order(loader)
    assert loader.epoch == 0
    assert sorted(last) == list(range(50))
    for wrong in (-1, 2**32):
        with pytest.raises(OverflowError):
            loader.set_epoch(wrong)


def test_seeds_order_and_draw_differently() -> None:
    a = pictures()
    first, second = (
        list(nl.Loader(a, batch_size=10, transforms=[T.RandomCrop(8)], seed=seed)) for seed in (1, 2)
    )
    assert not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    orders = [order(nl.Loader(np.arange(100), shuffle=True, seed=seed)) for seed in (0, 1, 2**63, 2**64 - 1)]
    assert len({tuple(one) for one in orders}) == 4


def test_epochs_draw_differently_also_unshuffled() -> None:
    loader = nl.Loader(pictures(), batch_size=50, transforms=[T.RandomCrop(8)])
    ((first,), (second,)) = (list(loader), list(loader))
    assert not torch.equal(first, second)


# The same batches, whoever makes them.


@pytest.mark.parametrize("shape", [(50, 24, 31), (12, 300, 320)], ids=["small items", "items of many chunks"])
def test_batches_are_bit_identical_for_any_number_of_workers_and_prefetch(
    shape: tuple[int, int, int],
) -> None:
    a, labels = pictures(*shape), np.arange(shape[0])
    crop = (shape[1] - 5, shape[2] - 8)

    def epochs(**settings: Any) -> list[dict[str, torch.Tensor]]:
        transforms = {"image": [T.RandomCrop(crop), *AUGMENT[1:3], *AUGMENT[4:]]}
        loader = nl.Loader(
            {"image": a, "label": labels},
            batch_size=8,
            shuffle=True,
            seed=9,
            transforms=transforms,
            **settings,
        )
        return [batch for _ in range(2) for batch in loader]

    expected = epochs()
    assert len(expected) == 2 * -(-shape[0] // 8)
    for workers in ALL_WORKERS:
        for prefetch in (1, 2, 5):
            got = epochs(num_workers=workers, prefetch_factor=prefetch)
            for one, other in zip(got, expected, strict=True):
                assert torch.equal(one["image"].view(torch.int32), other["image"].view(torch.int32))
                assert torch.equal(one["label"], other["label"])


def by_item(loader: nl.Loader) -> dict[int, bytes]:
    return {
        int(n): image.tobytes()
        for images, numbers in loader
        for image, n in zip(images, numbers, strict=True)
    }


def test_an_items_draws_do_not_depend_on_its_batch_or_place() -> None:
    a = pictures()

    def items(**settings: Any) -> dict[int, bytes]:
        loader = nl.Loader((a, np.arange(50)), transforms=(AUGMENT, None), seed=4, output="numpy", **settings)
        loader.set_epoch(6)
        return by_item(loader)

    expected = items()
    assert len(set(expected.values())) == 50
    for batch_size, shuffle, workers in itertools.product((3, 50), (False, True), (0, 3)):
        assert items(batch_size=batch_size, shuffle=shuffle, num_workers=workers) == expected


def test_two_fields_draw_independently() -> None:
    a = np.arange(32 * 32, dtype=np.int32).reshape(32, 32)
    a = np.broadcast_to(a, (2000, 32, 32))
    (first, second), *_ = nl.Loader(
        (a, a), batch_size=2000, transforms=([T.RandomCrop(1)], [T.RandomCrop(1)])
    )
    same = int((first == second).sum())
    assert same < 20, f"{same} of 2000 items drew the same of 1024 places"
    correlation = np.corrcoef(first.ravel() // 32, second.ravel() // 32)[0, 1]
    assert abs(correlation) < 0.1


def test_a_field_draws_the_same_with_or_without_a_field_after_it() -> None:
    a = pictures(10)
    (alone,) = nl.Loader((a,), batch_size=10, transforms=(AUGMENT,))
    (both,) = nl.Loader((a, a), batch_size=10, transforms=(AUGMENT, AUGMENT))
    assert torch.equal(alone[0], both[0])


# Memory.


@pytest.mark.parametrize("workers", ALL_WORKERS)
@pytest.mark.parametrize("output", ["torch", "numpy", "view"])
def test_a_batch_is_yours_until_you_drop_it(workers: int, output: Any) -> None:
    def loader() -> nl.Loader:
        return nl.Loader(
            {"image": pictures()},
            batch_size=3,
            shuffle=True,
            num_workers=workers,
            transforms={"image": AUGMENT},
            output=output,
        )

    kept = list(loader())
    addresses = {np.asarray(batch["image"]).ctypes.data for batch in kept}
    assert len(addresses) == len(kept) == 17
    for mine, fresh in zip(kept, loader(), strict=True):
        assert np.array_equal(np.asarray(mine["image"]), np.asarray(fresh["image"]))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("output", ["torch", "numpy", "view"])
def test_one_row_of_a_batch_keeps_its_memory(workers: int, output: Any) -> None:
    loader = nl.Loader({"image": pictures()}, batch_size=5, shuffle=True, num_workers=workers, output=output)
    batch = next(iter(loader))
    row = batch["image"][0]
    before = np.asarray(row).copy()
    del batch
    gc.collect()
    for _ in range(5):
        for batch in loader:
            np.asarray(batch["image"])[:] = 0
    assert np.array_equal(np.asarray(row), before)


@pytest.mark.parametrize("workers", ALL_WORKERS)
def test_the_pool_does_not_grow_while_batches_are_dropped(workers: int) -> None:
    prefetch = 2
    loader = nl.Loader(pictures(), batch_size=5, num_workers=workers, prefetch_factor=prefetch)
    nbytes = 5 * 24 * 31 * 3
    assert loader.pool_nbytes == 0
    for _ in range(20):
        for _batch in loader:
            pass
        del _batch
    # The batch in the loop's hand, the next one, and those made ahead.
    most = 2 + (prefetch if workers else 0)
    assert nbytes <= loader.pool_nbytes <= most * nbytes
    assert loader.pool_nbytes % nbytes == 0


def test_the_pool_is_the_same_after_every_epoch_without_workers() -> None:
    loader = nl.Loader(pictures(), batch_size=5)
    sizes = []
    for _ in range(5):
        for _batch in loader:
            pass
        sizes.append(loader.pool_nbytes)
    assert sizes == [2 * 5 * 24 * 31 * 3] * 5


@pytest.mark.parametrize("workers", ALL_WORKERS)
def test_the_pool_grows_by_the_batches_you_keep_and_uses_them_again(workers: int) -> None:
    loader = nl.Loader(np.arange(100), batch_size=10, num_workers=workers)
    kept = list(loader)
    assert loader.pool_nbytes == 10 * 80
    more = list(loader)
    assert loader.pool_nbytes == 20 * 80
    del kept, more
    for _ in range(3):
        kept = list(loader)
        assert loader.pool_nbytes == 20 * 80
        del kept


def test_a_dropped_batch_gives_its_memory_to_a_next_one() -> None:
    loader = nl.Loader(pictures(), batch_size=5)
    addresses = {batch.data_ptr() for _ in range(3) for batch in loader}
    assert len(addresses) == 2


def test_batches_outlive_the_loader() -> None:
    a = pictures()
    batches = list(nl.Loader(a, batch_size=7, num_workers=2))
    expected = torch.from_numpy(a.copy())
    del a
    gc.collect()
    assert torch.equal(torch.cat(batches), expected)


def test_a_loader_lives_as_long_as_its_epoch() -> None:
    for workers in (0, 2):
        epoch = iter(
            nl.Loader(np.arange(100).repeat(1000).reshape(100, 1000), batch_size=3, num_workers=workers)
        )
        gc.collect()
        assert [int(row[0]) for batch in epoch for row in batch] == list(range(100))


def test_a_field_is_held_while_the_loader_lives_and_released_after() -> None:
    data = bytearray(range(10))
    loader = nl.Loader(data, num_workers=2)
    epoch = iter(loader)
    next(epoch)
    del loader
    with pytest.raises(BufferError, match="Existing exports of data: object cannot be re-sized"):
        data.append(0)
    del epoch
    data.append(0)


def test_an_array_of_python_objects_is_refused_since_batches_hold_no_references() -> None:
    program = """
        import gc, numpy as np, ndlens as nl
        objects = np.array([f"item {i}" * 50 for i in range(1000)], dtype=object)
        try:
            batch = next(iter(nl.Loader(objects, batch_size=1000, output="numpy")))
        except (TypeError, ValueError, BufferError):
            print("refused")
        else:
            del objects
            gc.collect()
            other = [bytes(120) for _ in range(5000)]
            print(str(batch[500])[:8])
    """
    assert succeeds(program) == "refused\n"


# Threads.


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_leaving_a_loop_early_ends_its_threads_and_the_next_epoch_is_whole(workers: int) -> None:
    assert eventually(lambda: workers_alive() == 0)
    loader = nl.Loader(np.arange(1000), batch_size=2, num_workers=workers)
    for number, _batch in enumerate(loader):
        if number == 3:
            assert eventually(lambda: workers_alive() == workers)
            break
    assert eventually(lambda: workers_alive() == 0)
    assert sum(len(batch) for batch in loader) == 1000
    assert eventually(lambda: workers_alive() == 0)


def test_threads_end_with_the_last_batch_though_the_epoch_is_kept() -> None:
    assert eventually(lambda: workers_alive() == 0)
    epoch = iter(nl.Loader(np.arange(10), num_workers=3))
    assert eventually(lambda: workers_alive() == 3)
    assert len(list(epoch)) == 10
    assert eventually(lambda: workers_alive() == 0)
    assert list(epoch) == []


def test_an_epoch_never_taken_from_ends_too() -> None:
    assert eventually(lambda: workers_alive() == 0)
    for _ in range(20):
        iter(nl.Loader(pictures(), batch_size=3, num_workers=4, prefetch_factor=8))
    assert eventually(lambda: workers_alive() == 0)


def test_workers_are_named_so_that_tools_show_them() -> None:
    epoch = iter(nl.Loader(np.arange(10), num_workers=2))

    def names() -> set[str]:
        return {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}

    # A thread names itself, a moment after it started.
    assert eventually(lambda: names() >= {"ndlens-0", "ndlens-1"})
    del epoch


@pytest.mark.parametrize("workers", [0, 2])
def test_two_epochs_of_one_loader_may_run_at_once(workers: int) -> None:
    def loader() -> nl.Loader:
        return nl.Loader(np.arange(500), batch_size=7, shuffle=True, num_workers=workers, output="numpy")

    expected = loader()
    first, second = (list(expected), list(expected))
    mine = loader()
    pairs = list(zip(mine, mine, strict=True))
    assert [one.tolist() for one, _ in pairs] == [batch.tolist() for batch in first]
    assert [other.tolist() for _, other in pairs] == [batch.tolist() for batch in second]


def in_threads(count: int, work: Callable[[int], object]) -> list[Any]:
    results: list[Any] = [None] * count

    def run(at: int) -> None:
        try:
            results[at] = work(at)
        except BaseException as error:
            results[at] = error

    running = [threading.Thread(target=run, args=(at,)) for at in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return results


@pytest.mark.parametrize("workers", [0, 3])
def test_one_epoch_shared_by_threads_gives_each_batch_once(workers: int) -> None:
    epoch = iter(nl.Loader(np.arange(3000), batch_size=3, num_workers=workers, output="view"))
    results = in_threads(6, lambda _: [batch.tolist() for batch in epoch])
    assert sorted(itertools.chain(*results)) == [[i, i + 1, i + 2] for i in range(0, 3000, 3)]


def test_one_loader_serves_many_threads_an_epoch_each() -> None:
    loader = nl.Loader(np.arange(400), batch_size=9, shuffle=True, num_workers=2)
    expected = [order(loader) for _ in range(6)]
    loader.set_epoch(0)
    results = in_threads(6, lambda _: order(loader))
    assert sorted(results) == sorted(expected)


def test_an_epoch_may_be_dropped_by_another_thread_than_the_one_that_began_it() -> None:
    assert eventually(lambda: workers_alive() == 0)
    epochs = [iter(nl.Loader(pictures(), batch_size=3, num_workers=2)) for _ in range(5)]
    in_threads(5, lambda _: next(epochs.pop()).sum())
    assert epochs == []
    assert eventually(lambda: workers_alive() == 0)


INTERRUPTED = """
    import os, signal, sys, threading, time
    import numpy as np, ndlens as nl
    rows = np.broadcast_to(np.zeros(1, np.uint8), (10**12, 1))
    loader = nl.Loader(rows, batch_size=int(sys.argv[2]), num_workers=int(sys.argv[1]), output="view")
    def interrupt():
        time.sleep(0.2)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    sent = []
    threading.Thread(target=interrupt).start()
    try:
        for batch in loader:
            pass
    finally:
        print(f"{time.monotonic() - sent[0]:.3f}")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_ctrl_c_ends_a_long_epoch_at_once(workers: str) -> None:
    done = run_python(INTERRUPTED, workers, "4")
    assert done.stderr.rstrip().endswith("KeyboardInterrupt"), done.stderr
    assert "Traceback" in done.stderr
    assert float(done.stdout) < 0.5
    # Python dies of the signal it was sent.
    assert done.returncode == -2


def test_ctrl_c_ends_the_wait_for_a_long_batch() -> None:
    # Some seconds of work; dropping the epoch waits for the chunk in hand, which is a small part of it.
    done = run_python(INTERRUPTED, "2", "100000000")
    assert done.stderr.rstrip().endswith("KeyboardInterrupt"), done.stderr
    assert float(done.stdout) < 1.0
    assert done.returncode == -2


FORKED = """
    import os, signal, sys
    import numpy as np, ndlens as nl
    workers = int(sys.argv[1])
    loader = nl.Loader(np.arange(5000), batch_size=2, num_workers=workers, output="view")
    epoch = iter(loader)
    first = next(epoch).tolist()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        print(epoch.__length_hint__())
        try:
            print(next(epoch).tolist())
        except Exception as error:
            print(type(error).__name__, error)
            print(next(epoch, "over"))
        print(sum(len(batch) for batch in loader), flush=True)
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert first == [0, 1]
    print("child", status, "parent", sum(len(batch) for batch in epoch))
"""


@pytest.mark.parametrize("workers", ["1", "2", "7"])
def test_an_epoch_that_crossed_a_fork_says_so_and_a_new_one_works(workers: str) -> None:
    assert succeeds(FORKED, workers).splitlines() == [
        "0",
        "RuntimeError this epoch was started before a fork and its worker threads are in the parent; "
        "start a new one here",
        "over",
        "5000",
        "child 0 parent 4998",
    ]


def test_an_epoch_without_workers_goes_on_after_a_fork() -> None:
    assert succeeds(FORKED, "0").splitlines() == ["2499", "[2, 3]", "5000", "child 0 parent 4998"]


def test_a_fork_while_workers_are_busy_leaves_a_loader_that_works() -> None:
    # A worker may hold any lock at the moment of the fork; the child must not wait for it.
    program = """
        import os, signal
        import numpy as np, ndlens as nl
        loader = nl.Loader(np.arange(10**6), batch_size=1, num_workers=7, prefetch_factor=64, output="view")
        small = []
        for trial in range(150):
            epoch = iter(loader)
            for _ in range(trial % 40):
                next(epoch)
            child = os.fork()
            if child == 0:
                signal.alarm(5)
                new = iter(loader)
                assert next(new).tolist() == [0]
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status == 0, f"trial {trial}: the child ended with {status}"
    """
    succeeds(program)


def test_a_fork_while_another_thread_waits_for_a_batch_says_so_too() -> None:
    program = """
        import os, signal, sys, threading, time
        import numpy as np, ndlens as nl
        rows = np.broadcast_to(np.zeros(1, np.uint8), (10**9, 1))
        epoch = iter(nl.Loader(rows, batch_size=10**8, num_workers=1, output="view"))
        threading.Thread(target=next, args=(epoch,), daemon=True).start()
        time.sleep(0.12)  # between two looks for Ctrl-C
        child = os.fork()
        if child == 0:
            signal.alarm(2)
            try:
                next(epoch)
            except Exception as error:
                print(str(error)[:36], flush=True)
            del epoch
            os._exit(0)
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        os._exit(0)
    """
    assert succeeds(program) == "this epoch was started before a fork\nchild 0\n"


# Files that shrink.


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_file_that_shrinks_under_an_epoch_ends_it_with_an_error_that_names_it(
    workers: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(40 * 4096, dtype=np.uint8).reshape(40, 4096))
    program = """
        import os, sys, time
        import ndlens as nl
        path, workers = sys.argv[1], int(sys.argv[2])
        fields = {"label": bytes(40), "image": nl.open(path)}
        loader = nl.Loader(fields, batch_size=4, num_workers=workers, prefetch_factor=2, output="numpy")
        epoch = iter(loader)
        batches = [next(epoch)]
        time.sleep(0.3)  # the workers are two batches ahead and wait
        os.truncate(path, 5000)
        try:
            for batch in epoch:
                batches.append(batch)
        except nl.TruncatedError as error:
            print(len(batches), error)
        assert list(epoch) == []
        print("over")
        try:
            next(iter(loader))
        except nl.TruncatedError as error:
            print(error)
    """
    made = 1 if workers == "0" else 3

    def refusal(item: int) -> str:
        end = 128 + (item + 1) * 4096
        reason = f"{path}: file has 5000 bytes, expected at least {end}: it was truncated while mapped"
        return f'field "image", item {item}: {reason}'

    # Item 0 is still all there.
    expected = [f"{made} {refusal(made * 4)}", "over", refusal(1)]
    assert succeeds(program, str(path), workers).splitlines() == expected


# Layouts.


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a[::2],
        lambda a: a[::-1],
        lambda a: a[:, ::-1, ::-3],
        lambda a: a[:, :, :, ::-1],
        lambda a: a.transpose(0, 2, 1, 3),
        lambda a: a.transpose(3, 1, 2, 0),
        lambda a: a[:, 3:20, 5:30, 1:],
        lambda a: a[:, 5],
        lambda a: a[..., 1],
        lambda a: np.broadcast_to(a[:1], (9, *a.shape[1:])),
        lambda a: np.asfortranarray(a),
        lambda a: a[:, :0],
    ],
)
def test_rows_of_any_strides_are_taken_as_they_are(make: Callable[[Any], Any]) -> None:
    a = make(pictures(10))
    for source in (a, nl.view(a)):
        for workers in (0, 2):
            batches = list(nl.Loader(source, batch_size=4, num_workers=workers, output="numpy"))
            assert all(batch.flags.c_contiguous for batch in batches)
            assert np.array_equal(np.concatenate(batches), a)


def test_views_that_torch_cannot_take_make_batches_that_it_can() -> None:
    v = nl.view(pictures(6)).flip(0, 2)
    with pytest.raises(nl.CopyRequired):
        v.torch()
    (batch,) = nl.Loader(v, batch_size=6)
    assert np.array_equal(batch.numpy(), pictures(6)[::-1, :, ::-1])


def test_windows_of_a_series_are_items() -> None:
    series = np.random.default_rng(0).normal(size=(1000, 5)).astype(np.float32)
    windows = nl.view(series).windows(64, step=3)
    loader = nl.Loader(windows, batch_size=32, shuffle=True, num_workers=2, output="numpy", seed=1)
    starts = order(nl.Loader(np.arange(len(windows)), batch_size=32, shuffle=True, seed=1))
    assert len(starts) == len(windows) == 313
    got = np.concatenate(list(loader))
    assert np.array_equal(got, np.stack([series[3 * k : 3 * k + 64] for k in starts]))


def test_rows_of_a_feature_matrix_are_items_also_normalised() -> None:
    matrix = np.random.default_rng(0).normal(size=(100, 33))
    transforms = [T.ToDtype("float32"), T.Normalize(0.5, 2.0)]
    (batch,) = nl.Loader(matrix, batch_size=100, transforms=transforms)
    expected = (torch.from_numpy(matrix).float() - torch.tensor(0.5)) / torch.tensor(2.0)
    assert torch.equal(batch, expected)


def test_items_may_be_empty() -> None:
    for shape in [(7, 0), (7, 4, 0, 3), (7, 0, 0)]:
        for workers in (0, 2):
            batches = list(nl.Loader(np.zeros(shape, np.float32), batch_size=3, num_workers=workers))
            assert [tuple(batch.shape) for batch in batches] == [
                (3, *shape[1:]),
                (3, *shape[1:]),
                (1, *shape[1:]),
            ]


def test_a_view_of_one_number_is_no_data_set_whatever_holds_it() -> None:
    expected = 'field "items" has no axis to take items from: its view has rank 0'
    for number in (torch.tensor(3), nl.view(bytes(1)).reshape(()), np.array(3)):
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole text is compared
            nl.Loader(number)
        assert str(raised.value) == expected, type(number)


# Errors.

IMAGES = np.zeros((4, 8, 8, 3), np.uint8)
TO_FLOAT = T.ToDtype("float32", scale=True)
REFUSED: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (np.zeros((0, 3)), {}, ValueError, 'the data set is empty: field "items" has no items'),
    (
        {"a": np.zeros(0), "b": np.zeros(0)},
        {},
        ValueError,
        'the data set is empty: field "a" has no items',
    ),
    (
        {"image": IMAGES, "label": IMAGES[:3]},
        {},
        ValueError,
        'fields have different lengths: "image" has 4 items, "label" has 3',
    ),
    ((IMAGES, IMAGES[:0]), {}, ValueError, 'fields have different lengths: "0" has 4 items, "1" has 0'),
    (
        {"a": IMAGES, "b": torch.tensor(3)},
        {},
        ValueError,
        'field "b" has no axis to take items from: its view has rank 0',
    ),
    ({}, {}, ValueError, "a loader needs at least one field"),
    ((), {}, ValueError, "a loader needs at least one field"),
    ([], {}, ValueError, "a loader needs at least one field"),
    (
        3,
        {},
        TypeError,
        'field "items": nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got int',
    ),
    (
        {"name": ["a", "b"]},
        {},
        TypeError,
        'field "name": nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got list',
    ),
    (
        [IMAGES, None],
        {},
        TypeError,
        'field "1": nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got NoneType',
    ),
    (
        {"t": torch.zeros(3, requires_grad=True)},
        {},
        BufferError,
        'field "t": Can\'t export tensors that require gradient, use tensor.detach()',
    ),
    (IMAGES, {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    (IMAGES, {"batch_size": -3}, ValueError, "batch_size must be at least 1, got -3"),
    (IMAGES, {"batch_size": 2.0}, TypeError, "'float' object cannot be interpreted as an integer"),
    (IMAGES, {"num_workers": -1}, ValueError, "num_workers must be at least 0, got -1"),
    (IMAGES, {"num_workers": None}, TypeError, "'NoneType' object cannot be interpreted as an integer"),
    (IMAGES, {"prefetch_factor": 0}, ValueError, "prefetch_factor must be at least 1, got 0"),
    (IMAGES, {"prefetch_factor": -1}, ValueError, "prefetch_factor must be at least 1, got -1"),
    (IMAGES, {"seed": -1}, ValueError, "seed must be between 0 and 2**64 - 1, got -1"),
    (IMAGES, {"seed": 2**64}, ValueError, f"seed must be between 0 and 2**64 - 1, got {2**64}"),
    (
        IMAGES,
        {"output": "jax"},
        ValueError,
        'unknown output "jax": expected "torch", "numpy", "view" or None',
    ),
    (IMAGES, {"workers": 2}, TypeError, "Loader.__new__() got an unexpected keyword argument 'workers'"),
    (
        {"image": IMAGES, "label": IMAGES},
        {"transforms": {"img": []}},
        ValueError,
        'transforms names field "img", but the fields are ["image", "label"]',
    ),
    (
        {"image": IMAGES},
        {"transforms": [T.ChannelsFirst()]},
        TypeError,
        "transforms must be a dict of lists, since fields is a dict",
    ),
    (
        (IMAGES, IMAGES),
        {"transforms": ([],)},
        ValueError,
        "transforms has 1 entries for 2 fields; None leaves one as it is",
    ),
    (
        IMAGES,
        {"transforms": 5},
        TypeError,
        'transforms of field "items": expected a list of transforms, got int',
    ),
    (
        IMAGES,
        {"transforms": T.ChannelsFirst()},
        TypeError,
        'transforms of field "items": expected a list of transforms, got ChannelsFirst',
    ),
    (
        IMAGES,
        {"transforms": {"items": []}},
        TypeError,
        'transforms of field "items": str is not a transform of ndlens.transforms',
    ),
    (
        IMAGES,
        {"transforms": [torch.nn.Identity()]},
        TypeError,
        'transforms of field "items": torch.nn.modules.linear.Identity is not a transform of ndlens.transforms',
    ),
    (
        IMAGES,
        {"transforms": [T.ChannelsFirst]},
        TypeError,
        'transforms of field "items": type is not a transform of ndlens.transforms',
    ),
    (
        {"image": IMAGES},
        {"transforms": {"image": [T.RandomCrop((9, 4))]}},
        ValueError,
        'field "image": RandomCrop(9, 4) is larger than the image, which has height 8 and width 8',
    ),
    (
        IMAGES,
        {"transforms": [T.CenterCrop(5), T.RandomCrop((4, 6))]},
        ValueError,
        'field "items": RandomCrop(4, 6) is larger than the image, which has height 5 and width 5',
    ),
    (
        IMAGES[:, :, 0, 0],
        {"transforms": [T.RandomHorizontalFlip()]},
        ValueError,
        'field "items": RandomHorizontalFlip needs items of shape (height, width) or (height, width, channels), '
        "got [8]; bring the axes into this order with permute or reshape",
    ),
    (
        IMAGES[..., 0],
        {"transforms": [T.ChannelsFirst()]},
        ValueError,
        'field "items": ChannelsFirst needs items of shape (height, width, channels), got [8, 8]; '
        "add a channel axis with view[..., None]",
    ),
    (
        IMAGES,
        {"transforms": [T.ChannelsFirst(), T.ChannelsFirst()]},
        ValueError,
        'field "items": ChannelsFirst comes twice: the channels are first already',
    ),
    (
        IMAGES,
        {"transforms": [T.Normalize(0, 1)]},
        ValueError,
        'field "items": normalize needs a floating-point dtype, got uint8; '
        'put ToDtype("float32", scale=True) before it',
    ),
    (
        IMAGES,
        {"transforms": [TO_FLOAT, T.Normalize((0, 0), 1)]},
        ValueError,
        'field "items": normalize got 2 values of mean, expected 1 or 3',
    ),
    (
        IMAGES,
        {"transforms": [TO_FLOAT, T.Normalize(0, ())]},
        ValueError,
        'field "items": normalize got 0 values of std, expected 1 or 3',
    ),
    (
        IMAGES[..., 0],
        {"transforms": [TO_FLOAT, T.Normalize(MEAN, STD)]},
        ValueError,
        'field "items": normalize got 3 values of mean, expected 1',
    ),
    (
        IMAGES,
        {"transforms": [TO_FLOAT, T.Normalize(0, (1, 0, 1))]},
        ValueError,
        'field "items": normalize needs a std other than 0, got 0 at position 1',
    ),
    (
        IMAGES,
        {"transforms": [T.RandomHorizontalFlip(1.5)]},
        ValueError,
        'field "items": RandomHorizontalFlip: p must be between 0 and 1, got 1.5',
    ),
    (
        IMAGES,
        {"transforms": [T.RandomVerticalFlip(float("nan"))]},
        ValueError,
        'field "items": RandomVerticalFlip: p must be between 0 and 1, got NaN',
    ),
    (
        IMAGES,
        {"transforms": [T.ToDtype("int32")]},
        ValueError,
        'field "items": cannot convert uint8 to int32: the target must be float16, bfloat16, float32 or float64',
    ),
    (
        IMAGES.astype("c8"),
        {"transforms": [T.ToDtype("float32")]},
        ValueError,
        'field "items": cannot convert complex64 to float32: only bool, integers and floats of 16 to 64 bits can be '
        "converted",
    ),
]


@pytest.mark.parametrize(("fields", "settings", "kind", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_what_cannot_be_loaded_is_refused_before_the_first_batch(
    fields: Any, settings: dict[str, Any], kind: type[Exception], text: str
) -> None:
    assert eventually(lambda: workers_alive() == 0)
    with pytest.raises(kind) as raised:
        nl.Loader(fields, **{"num_workers": 2, **settings})
    assert type(raised.value) is kind
    assert str(raised.value) == text
    assert workers_alive() == 0


@pytest.mark.parametrize("seed", [2**127, -(2**200), 2**200])
def test_a_seed_is_out_of_range_however_far(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"^seed must be between 0 and 2\*\*64 - 1, got {seed}\b"):
        nl.Loader(IMAGES, seed=seed)


def test_the_error_of_a_field_is_caused_by_the_one_that_says_more() -> None:
    with pytest.raises(TypeError) as raised:
        nl.Loader({"x": "text"})
    assert type(raised.value.__cause__) is TypeError
    assert str(raised.value.__cause__).endswith("got str")


def test_an_error_class_that_takes_more_than_a_message_comes_through_as_itself() -> None:
    class Rude:
        def __dlpack__(self, **_: object) -> object:
            raise UnicodeDecodeError("utf-8", b"x", 0, 1, "rude")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    with pytest.raises(UnicodeDecodeError, match="rude"):
        nl.Loader({"x": Rude()})


def test_loaders_and_epochs_end_with_the_interpreter() -> None:
    program = """
        import numpy as np, ndlens as nl
        rows = np.zeros((1000, 1000))
        loader = nl.Loader(rows, batch_size=5, num_workers=4, output="view")
        epoch = iter(loader)
        batch = next(epoch)
        print("done")
    """
    assert succeeds(program) == "done\n"


def test_a_loader_may_be_weakly_referenced_and_goes_when_dropped() -> None:
    loader = nl.Loader(np.arange(3))
    reference = weakref.ref(loader)
    del loader
    gc.collect()
    assert reference() is None


def test_other_python_threads_run_while_batches_are_made() -> None:
    counted = 0
    stop = False

    def count() -> None:
        nonlocal counted
        while not stop:
            counted += 1

    a = np.broadcast_to(pictures(1, 512, 512), (4000, 512, 512, 3))
    loader = nl.Loader(a, batch_size=1000, transforms=[TO_FLOAT, T.CenterCrop(128)], output="view")
    thread = threading.Thread(target=count)
    thread.start()
    assert sum(len(batch) for batch in loader) == 4000
    stop = True
    thread.join()
    assert counted > 1000


def test_asking_how_much_is_left_never_waits_for_the_thread_that_takes_it() -> None:
    program = """
        import operator, threading
        import ndlens as nl
        for workers in (0, 2):
            for _ in range(200):
                # The loader is gone at once: the end of the epoch is also the end of the bytearray's export.
                epoch = iter(nl.Loader(bytearray(64), batch_size=4, num_workers=workers, output="view"))
                stop = threading.Event()
                def ask():
                    while not stop.is_set():
                        operator.length_hint(epoch)
                asker = threading.Thread(target=ask)
                asker.start()
                for _ in epoch:
                    pass
                stop.set()
                asker.join()
        print("done")
    """
    assert succeeds(program) == "done\n"


def test_forks_while_threads_use_a_loader_leave_it_working_in_every_child() -> None:
    program = """
        import os, signal, threading
        import numpy as np, ndlens as nl
        loader = nl.Loader(np.arange(4096, dtype=np.uint8), batch_size=2, output="view")
        kept = next(iter(loader))
        stop = threading.Event()
        def use():
            while not stop.is_set():
                for batch in loader:
                    pass
        threads = [threading.Thread(target=use) for _ in range(2)]
        for thread in threads:
            thread.start()
        failures = 0
        for _ in range(400):
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                good = next(iter(loader)).tolist() == [0, 1]
                del kept
                os._exit(0 if good else 1)
            failures += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        stop.set()
        for thread in threads:
            thread.join()
        print(failures)
    """
    assert succeeds(program) == "0\n"


def test_fields_may_change_while_they_are_looked_at() -> None:
    fields: dict[str, Any] = {}

    class Meddler:
        def __dlpack_device__(self) -> tuple[int, int]:
            fields["late"] = np.zeros(3)
            return (1, 0)

        def __dlpack__(self, **keywords: Any) -> Any:
            return torch.arange(3).__dlpack__(**keywords)

    fields.update({"first": Meddler(), "second": np.arange(3)})
    batch = next(iter(nl.Loader(fields, batch_size=3)))
    assert {name: part.tolist() for name, part in batch.items()} == {"first": [0, 1, 2], "second": [0, 1, 2]}


def test_draws_follow_a_fields_name_and_not_its_place() -> None:
    crop = [T.RandomCrop(8)]
    images = np.arange(4 * 16 * 16, dtype=np.uint16).reshape(4, 16, 16)
    ahead = nl.Loader({"a": images, "b": images}, batch_size=4, transforms={"a": crop, "b": crop})
    behind = nl.Loader({"b": images, "a": images}, batch_size=4, transforms={"a": crop, "b": crop})
    one, other = next(iter(ahead)), next(iter(behind))
    assert torch.equal(one["a"], other["a"])
    assert torch.equal(one["b"], other["b"])
    assert not torch.equal(one["a"], one["b"])


def test_statistics_of_no_channels_are_refused_also_where_there_are_none() -> None:
    message = r'^field "items": normalize got 0 values of mean, expected 1$'
    with pytest.raises(ValueError, match=message):
        nl.Loader(np.zeros((4, 5, 5, 0), np.uint8), transforms=[T.ToDtype("float32"), T.Normalize([], [])])
