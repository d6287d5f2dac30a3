"""Memory under threads: shared, sent, named, in files; and tensors that torch moves."""

from __future__ import annotations

import itertools
import os
import pickle
import random
import tempfile
from pathlib import Path

import numpy as np
from tests.stress.crew import Crew
from tests.stress.soak_shared import held

import ndlens as nl

# Of a crew that keeps nothing: a nursery of each thread's, and what is set aside in advance.
ARENAS_MAX = 8


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def arrays_shared_and_sent(crew: Crew) -> None:
    """What is shared, pickled and received in threads is the same memory, and is given back."""
    kept = nl.share({"x": np.arange(1000), "y": b"abc"})
    before = descriptors()

    def work(chance: random.Random) -> None:
        size = chance.choice((3, 5_000, 300_000))
        number = chance.randrange(250)
        shared = nl.share(np.full(size, number, "u1"))
        received = pickle.loads(pickle.dumps(shared))
        assert nl.shares_memory(shared, received)
        shared[size // 2] = number + 1
        assert received[size // 2] == number + 1
        assert (received[0], received[-1], received.nbytes) == (number, number, size)
        again = pickle.loads(pickle.dumps(kept))
        assert nl.shares_memory(again["x"], kept["x"])
        assert (again["x"][999], again["y"].tobytes()) == (999, b"abc")

    crew.run(work)
    arenas, nbytes = held()
    assert arenas <= ARENAS_MAX + crew.threads, arenas
    assert nbytes < (64 << 20), nbytes
    assert descriptors() <= before + arenas


def names_shared_by_all(crew: Crew) -> None:
    """Threads that share one name at the same time make its arrays once, and see one memory."""
    for number in itertools.count():
        name = f"threads-{os.getpid()}-{number}"
        made: list[int] = []
        views: list[nl.View] = []

        def make(number: int = number, made: list[int] = made) -> np.ndarray:
            made.append(number)
            return np.full((crew.threads, 100), number, "i8")

        def share(at: int, name: str = name, views: list[nl.View] = views) -> None:
            view = nl.share(make, name=name) if at % 2 else nl.attach(name, timeout=30)
            views.append(view)
            view[at] = -at

        crew.together(share)
        assert made == [number]
        for view in views:
            assert view[:, 7].tolist() == [-at for at in range(crew.threads)]
        if crew.is_over():
            return


def files_saved_and_opened(crew: Crew) -> None:
    """A reader of a file that others replace sees one of its versions, whole."""
    with tempfile.TemporaryDirectory() as directory:
        array, arrays = Path(directory, "x.npy"), Path(directory, "x.safetensors")

        def save(chance: random.Random) -> None:
            number = chance.randrange(250)
            values = np.full((50, 400), number, "u1")
            nl.save(array, values)
            nl.save(arrays, {"a": values, "b": nl.view(values)[::2].copy()})

        def read(_chance: random.Random) -> None:
            opened = nl.open(array).numpy()
            assert opened.shape == (50, 400)
            assert opened.min() == opened.max()
            both = nl.open(arrays)
            assert isinstance(both, nl.Arrays)
            assert both["a"].numpy().max() == both["b"].numpy().min()
            assert both["b"].shape == (25, 400)

        save(random.Random(0))
        before = descriptors()
        crew.run(read, save, read)
        assert descriptors() <= before
        assert set(Path(directory).iterdir()) == {array, arrays}


def one_file_used_by_all(crew: Crew) -> None:
    """Threads that share an opened file read its arrays; one that lost pages is told of them."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "x.safetensors")
        nl.save(path, {f"{i}": np.full(5_000, i, "i4") for i in range(20)})
        opened = nl.open(path)
        assert isinstance(opened, nl.Arrays)

        def work(chance: random.Random) -> None:
            i = chance.randrange(20)
            view = opened[f"{i}"]
            assert (view[0], view[-1], view.numpy()[77]) == (i, i, i)
            assert len(opened) == 20
            assert sorted(opened) == sorted(map(str, range(20)))
            # The map is private: threads write elements of their own.
            assert nl.open(path, "r")[f"{i}"].numpy().sum() == 5_000 * i

        crew.run(work)


def tensors_viewed_and_moved(crew: Crew) -> None:
    """A tensor that all threads view is watched by one watch: all know when torch moves it."""
    import torch

    crew.begin()
    for _ in crew.turns():
        tensor = torch.arange(1000)
        views: list[nl.View] = []
        crew.together(lambda _: views.append(nl.view(tensor)))  # noqa: B023
        address = tensor.data_ptr()
        tensor.share_memory_()
        assert tensor.data_ptr() != address
        # The old memory is held by the views, also where torch has new tensors now.
        others = [torch.full((1000,), -1) for _ in range(20)]
        for view in views:
            try:
                view.numpy()
            except nl.MovedError:
                continue
            raise AssertionError("a view of moved memory was handed on")
        del others


WORKS = [
    arrays_shared_and_sent,
    names_shared_by_all,
    files_saved_and_opened,
    one_file_used_by_all,
    tensors_viewed_and_moved,
]
