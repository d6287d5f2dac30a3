"""`nl.torch.Dataset` in torch's DataLoader: the same batches, in memory that is used again."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from tests.helpers.programs import run, run_file
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, SequentialSampler, Subset

import ndlens as nl
from ndlens import transforms as T

ITEMS = 60
IMAGES = np.random.default_rng(0).integers(0, 256, (ITEMS, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(ITEMS)
TRANSFORMS = {
    "image": [T.RandomCrop(5), T.RandomHorizontalFlip(), T.ToDtype("float32", scale=True)]
}
START_METHODS = ["fork", "spawn", "forkserver"]


def fields() -> dict[str, Any]:
    return {"image": nl.share(IMAGES), "label": nl.share(LABELS)}


def dataset_of(seed: int = 3) -> nl.torch.Dataset:
    return nl.torch.Dataset(fields(), TRANSFORMS, seed=seed)


def loader_over(dataset: Any, **settings: Any) -> DataLoader[Any]:
    defaults: dict[str, Any] = {"batch_size": 8, "collate_fn": nl.torch.collate}
    return DataLoader(dataset, **(defaults | settings))


def images_of(batches: Any) -> dict[int, bytes]:
    return {
        label: image.numpy().tobytes()
        for batch in batches
        for image, label in zip(batch["image"], batch["label"].tolist(), strict=True)
    }


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_with_an_epoch_batches_are_those_of_a_loader_bit_by_bit(num_workers: int) -> None:
    dataset = dataset_of()
    expected = nl.Loader(fields(), batch_size=8, seed=3, transforms=TRANSFORMS)
    for epoch in (0, 1, 7):
        dataset.set_epoch(epoch)
        expected.set_epoch(epoch)
        batches = list(loader_over(dataset, num_workers=num_workers))
        assert len(batches) == 8
        for got, want in zip(batches, expected, strict=True):
            assert got.keys() == want.keys()
            for name in want:
                assert torch.equal(got[name], want[name])
                assert got[name].dtype == want[name].dtype


@pytest.mark.parametrize("method", START_METHODS)
def test_any_start_method_gives_them_and_persistent_workers_see_the_epoch_change(
    method: str,
) -> None:
    dataset = dataset_of()
    loader = loader_over(
        dataset,
        num_workers=2,
        shuffle=True,
        persistent_workers=True,
        multiprocessing_context=method,
    )
    for epoch in (4, 5):
        dataset.set_epoch(epoch)
        expected = nl.Loader(fields(), seed=3, transforms=TRANSFORMS)
        expected.set_epoch(epoch)
        assert images_of(loader) == images_of(expected)


def test_a_collate_function_of_torch_gives_the_same_batches() -> None:
    dataset = dataset_of()
    dataset.set_epoch(0)
    expected = list(loader_over(dataset))
    for num_workers in (0, 2):
        batches = list(loader_over(dataset, num_workers=num_workers, collate_fn=None))
        for got, want in zip(batches, expected, strict=True):
            assert torch.equal(got["image"], want["image"])
            assert torch.equal(got["label"], want["label"])


def test_other_data_sets_and_samplers_on_top_of_it_work() -> None:
    dataset = dataset_of()
    dataset.set_epoch(0)
    images = images_of(loader_over(dataset))
    subset = Subset(dataset, [5, 3, 59])
    assert images_of(loader_over(subset, num_workers=1)) == {
        label: images[label] for label in (5, 3, 59)
    }
    assert images_of(loader_over(ConcatDataset([dataset, subset]), num_workers=1)) == images
    whole = BatchSampler(SequentialSampler(dataset), 7, drop_last=False)
    assert images_of(loader_over(dataset, batch_size=None, sampler=whole)) == images
    samples = list(loader_over(dataset, batch_size=None))
    assert [int(sample["label"]) for sample in samples] == list(range(ITEMS))
    assert samples[7]["image"].numpy().tobytes() == images[7]


def test_items_are_found_as_in_a_list() -> None:
    dataset = dataset_of()
    assert len(dataset) == ITEMS
    assert int(dataset[-1]["label"]) == ITEMS - 1
    assert dataset[np.int64(3)]["label"].shape == ()
    for index in (ITEMS, -ITEMS - 1):
        with pytest.raises(IndexError, match=f"item {index} of a data set of {ITEMS}"):
            dataset[index]


def test_structures_are_mirrored() -> None:
    single = nl.torch.Dataset(LABELS)
    assert [batch.tolist() for batch in loader_over(single, batch_size=30, num_workers=1)][
        1
    ] == LABELS[30:].tolist()
    pair = nl.torch.Dataset((IMAGES, LABELS), ([T.CenterCrop(4)], None))
    image, label = next(iter(loader_over(pair, num_workers=1)))
    assert (image.shape, label.shape) == ((8, 4, 4, 3), (8,))


def draws(loader: Any) -> list[tuple[int, ...]]:
    """Where each item's noise was cut out: one number for each item."""
    return [tuple(batch.reshape(-1).tolist()) for batch in loader]


def noise() -> nl.torch.Dataset:
    # 1 of 2**20 places, and each place has its own number: two that agree drew the same.
    places = nl.share(np.arange(1 << 20, dtype=np.int32).reshape(1024, 1024))
    return nl.torch.Dataset(places.broadcast_to(16, 1024, 1024)[..., None], [T.RandomCrop(1)])


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_without_an_epoch_no_two_workers_and_no_two_epochs_draw_the_same(
    num_workers: int, persistent: bool
) -> None:
    loader = loader_over(
        noise(),
        batch_size=2,
        num_workers=num_workers,
        persistent_workers=persistent and num_workers > 0,
    )
    drawn = [number for _ in range(4) for batch in draws(loader) for number in batch]
    assert len(drawn) == 64
    assert len(set(drawn)) >= 63  # one pair may meet by chance, once in 500 runs


def test_without_an_epoch_draws_follow_torchs_seed() -> None:
    def run() -> list[tuple[int, ...]]:
        torch.manual_seed(11)
        return draws(loader_over(noise(), num_workers=2))

    assert run() == run()


def shared_memory_files() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}


def test_workers_use_their_memory_again_and_leave_nothing_behind() -> None:
    frames = nl.share(np.zeros((64, 1 << 20), np.uint8))
    before, files = set(psutil.Process().open_files()), shared_memory_files()
    loader = loader_over(
        nl.torch.Dataset(frames),
        batch_size=1,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    for _ in range(4):
        for batch in loader:
            assert batch.shape == (1, 1 << 20)
    (worker,) = loader._iterator._workers  # type: ignore[union-attr]
    arenas = [link for link in links_of(worker.pid) if "memfd:ndlens" in link]
    # For 256 batches: two made ahead, some in use or on their way; the data and the epoch.
    assert 3 <= len(arenas) <= 8
    assert shared_memory_files() == files
    assert set(psutil.Process().open_files()) == before


def links_of(pid: int) -> list[str]:
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except FileNotFoundError:
            continue
    return links


def test_a_batch_is_yours_until_you_drop_it_also_when_its_worker_is_gone() -> None:
    dataset = dataset_of()
    dataset.set_epoch(0)
    expected = images_of(loader_over(dataset))
    kept = list(loader_over(dataset, num_workers=2, prefetch_factor=1))
    assert images_of(kept) == expected
    kept[0]["image"].fill_(7)
    assert (kept[0]["image"] == 7).all()
    assert images_of(kept[1:]).items() <= expected.items()


def test_a_batch_is_received_once() -> None:
    dataset = nl.torch.Dataset(nl.share(np.arange(60)[:, None] + np.zeros(5000, np.int64)))
    sent = pickle.dumps(dataset._gatherer.batch_to_send([1, 2], 0, 0))
    assert len(sent) < 300
    assert pickle.loads(sent)[:, 0].tolist() == [1, 2]
    with pytest.raises((ValueError, nl.StaleHandleError), match=r"received before|gone"):
        pickle.loads(sent)


def test_a_data_set_travels_as_handles() -> None:
    assert len(pickle.dumps(dataset_of())) < 2000
    dataset = dataset_of()
    dataset.set_epoch(2)
    copy = pickle.loads(pickle.dumps(dataset))
    assert images_of(loader_over(copy)) == images_of(loader_over(dataset))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nl.torch.Dataset({"a": IMAGES, "b": LABELS[:5]}), "fields have different lengths"),
        (lambda: nl.torch.Dataset(IMAGES, [T.RandomCrop(9)]), "larger than the image"),
        (lambda: nl.torch.Dataset(LABELS).set_epoch(-1), "epoch must be between 0 and"),
    ],
)
def test_what_cannot_be_is_refused_at_once(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_item_that_is_gone_is_named_by_the_workers_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((100, 1000)))
    dataset = nl.torch.Dataset({"row": nl.open(path)})
    os.truncate(path, 400_128)
    # A worker that is forked has the map. One that opens the file itself refuses it at the start,
    # and torch says that the worker ended.
    settings = {"num_workers": 1, "multiprocessing_context": "fork"}
    with pytest.raises(nl.TruncatedError, match='field "row", item 5'):
        list(loader_over(dataset, batch_size=10, sampler=range(100), **settings))


WIDE = 1 << 16


def wide_fields() -> dict[str, Any]:
    """An image of 64 KiB, a mask of half of that and a label."""
    images = np.arange(ITEMS, dtype=np.uint8)[:, None] + np.zeros(WIDE, np.uint8)
    return {
        "image": nl.share(images),
        "mask": nl.share(images[:, : WIDE // 2]),
        "label": nl.share(LABELS),
    }


def resident_bytes() -> int:
    """Of this process, shared memory included."""
    return int(psutil.Process().memory_info().rss)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_who_keeps_labels_does_not_keep_images(num_workers: int) -> None:
    dataset = nl.torch.Dataset(wide_fields())
    labels = []
    peak = 0
    loader = loader_over(dataset, num_workers=num_workers, persistent_workers=num_workers > 0)
    next(iter(loader))
    before = resident_bytes()
    for _ in range(12):
        for batch in loader:
            labels.append(batch["label"])
        del batch
        peak = max(peak, resident_bytes() - before)
    assert torch.cat(labels).tolist() == LABELS.tolist() * 12
    # All images and masks of these epochs are 70 MB.
    assert peak < 16 << 20


def test_fields_come_back_from_workers_in_blocks_of_their_own() -> None:
    fields = {
        f"f{i}": nl.share(np.arange(ITEMS * 2000).reshape(ITEMS, 2000) + i) for i in range(20)
    }
    fields["label"] = nl.share(LABELS)
    expected = list(loader_over(nl.torch.Dataset(fields)))
    batches = list(loader_over(nl.torch.Dataset(fields), num_workers=2))
    for got, want in zip(batches, expected, strict=True):
        assert list(got) == list(want)
        assert all(torch.equal(got[name], want[name]) for name in want)
        assert all(part.data_ptr() % 64 == 0 for part in got.values())
        got["label"].fill_(-1)
        got["f1"].fill_(-1)
        assert torch.equal(got["f0"], want["f0"])


def test_many_kept_batches_of_workers_take_no_descriptors(tmp_path: Path) -> None:
    script = """
        import resource
        from pathlib import Path
        import numpy as np, torch
        import ndlens as nl
        from torch.utils.data import DataLoader

        def descriptors(process="self"):
            return len(list(Path(f"/proc/{process}/fd").iterdir()))

        def main():
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
            images = np.arange(900, dtype=np.int64)[:, None] + np.zeros(5000, np.int64)
            dataset = nl.torch.Dataset(
                {"image": images, "mask": images[:, :4500], "label": np.arange(900)}
            )
            loader = DataLoader(
                dataset, 2, num_workers=2, collate_fn=nl.torch.collate, persistent_workers=True
            )
            before = None
            kept = []
            for batch in loader:
                before = before or descriptors()
                kept.append(batch)
            assert len(kept) == 450
            assert descriptors() <= before + 4, (descriptors(), before)
            for worker in loader._iterator._workers:
                assert descriptors(worker.pid) < 120, descriptors(worker.pid)
            for place, batch in enumerate(kept):
                for row in (0, 1):
                    item = 2 * place + row
                    assert (batch["image"][row] == item).all() and (
                        batch["mask"][row] == item
                    ).all()
                    assert batch["label"][row] == item
            kept.clear()
            # What was given up is no loss: another epoch, as right as the first.
            assert [int(batch["image"][1, 7]) for batch in loader] == list(range(1, 900, 2))
            print("kept")

        if __name__ == "__main__":
            main()
    """
    assert run_file(tmp_path, script) == (0, "kept\n", "")


def test_a_worker_without_descriptors_sends_copies(tmp_path: Path) -> None:
    script = """
        import os
        import numpy as np
        import ndlens as nl
        from torch.utils.data import DataLoader

        def use_up(worker):
            import resource
            used = max(int(number) for number in os.listdir("/proc/self/fd"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, used + 8))
            try:
                while True:
                    os.open("/dev/null", os.O_RDONLY)
            except OSError:
                pass
            # For the message itself.
            os.close(used + 7)

        def main():
            images = np.arange(60, dtype=np.int64)[:, None] + np.zeros(5000, np.int64)
            dataset = nl.torch.Dataset({"image": images, "label": np.arange(60)})
            loader = DataLoader(
                dataset, 2, num_workers=1, collate_fn=nl.torch.collate, worker_init_fn=use_up
            )
            kept = list(loader)
            assert [int(batch["image"][1, 7]) for batch in kept] == list(range(1, 60, 2))
            print("copied")

        if __name__ == "__main__":
            main()
    """
    assert run_file(tmp_path, script) == (0, "copied\n", "")


def test_who_has_no_descriptor_to_receive_a_batch_is_told_of_the_limit() -> None:
    script = """
        import os, pickle, resource, sys
        import numpy as np
        import ndlens as nl

        dataset = nl.torch.Dataset(np.zeros((8, 20_000)))
        reader, writer = os.pipe()
        go, said = os.pipe()
        if os.fork() == 0:
            message = pickle.dumps(dataset._gatherer.batch_to_send([1, 2], 0, 0))
            os.write(writer, message)
            os.close(said)
            os.read(go, 1)
            os._exit(0)
        message = os.read(reader, 1 << 16)
        # What unpickling and the message of an error need.
        import errno
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            pickle.loads(message)
        except OSError as error:
            text = str(error)
        else:
            text = "received"
        for descriptor in taken:
            os.close(descriptor)
        print(text.partition(": ")[2])
        print(pickle.loads(message).shape)
    """
    out = (
        "Too many open files (os error 24); this process has as many descriptors as `ulimit -n`"
        " allows: raise it, or close some of them\n(2, 20000)\n"
    )
    # Of Python: processes that were forked beside torch's threads.
    status, printed, _ = run(script)
    assert (status, printed.replace("torch.Size([2, 20000])", "(2, 20000)")) == (0, out)


def test_a_batch_of_a_worker_that_was_killed_is_torchs_kind_of_error() -> None:
    script = """
        import os, pickle, signal
        import numpy as np
        import ndlens as nl

        dataset = nl.torch.Dataset(np.zeros((8, 20_000)))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            message = pickle.dumps(dataset._gatherer.batch_to_send([1, 2], 0, 0))
            os.write(writer, message)
            os.kill(os.getpid(), signal.SIGKILL)
        message = os.read(reader, 1 << 16)
        # Dead, and not asked how it ended.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        for ask in (lambda: os.waitpid(child, 0), lambda: None):
            try:
                pickle.loads(message)
            except RuntimeError as error:
                print(str(error).replace(str(child), "N"))
            ask()
    """
    expected = (
        "DataLoader worker (pid N) exited unexpectedly, and a batch that it had sent is gone with"
        " it\n"
    )
    status, out, _ = run(script)
    assert (status, out) == (0, expected * 2)
