"""Loaders under threads: one epoch taken by all, epochs of their own, states while others take."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from tests.stress.crew import Crew

import ndlens as nl
from ndlens import transforms as T

ITEMS = 240


class Halves:
    """A sampler in Python, whose iterator takes a while for each number."""

    def __iter__(self) -> Iterator[int]:
        for number in range(ITEMS // 2):
            yield number
            yield ITEMS - 1 - number

    def __len__(self) -> int:
        return ITEMS


def options(chance: random.Random) -> dict[str, Any]:
    return {
        "batch_size": chance.choice((1, 3, 7)),
        "num_workers": chance.choice((0, 1, 3)),
        "output": chance.choice(("view", "numpy")),
        **chance.choice(({"shuffle": True}, {}, {"sampler": Halves()})),
    }


def taken_from(batches: Iterator[Any] | nl.Loader) -> list[int]:
    """The items of batches whose rows are (item, -item), checked."""
    items: list[int] = []
    for batch in batches:
        rows = batch.tolist()
        assert all(negative == -item for item, negative in rows)
        items += [item for item, _ in rows]
    return items


def rows() -> np.ndarray[Any, Any]:
    return np.stack([np.arange(ITEMS), -np.arange(ITEMS)], axis=1)


def one_epoch_taken_by_all(crew: Crew) -> None:
    """Threads that share an epoch get each of its batches once, of any sampler."""
    for chance in crew.turns():
        epoch = iter(nl.Loader(rows(), **options(chance)))
        taken: list[list[int]] = [[] for _ in range(crew.threads)]
        crew.together(lambda at: taken[at].extend(taken_from(epoch)))  # noqa: B023
        assert sorted(itertools.chain(*taken)) == list(range(ITEMS))
        assert len(epoch) == 0  # type: ignore[arg-type]


def epochs_of_their_own(crew: Crew) -> None:
    """Threads that share a loader each get a whole epoch, the bits that one thread gets."""
    images = np.random.default_rng(0).integers(0, 256, (32, 12, 12, 3), "u1")
    crops = [T.RandomCrop(8), T.RandomHorizontalFlip(), T.ToDtype("float32", scale=True)]

    def loader(workers: int) -> nl.Loader:
        return nl.Loader(
            images,
            batch_size=5,
            shuffle=True,
            seed=3,
            transforms=crops,
            num_workers=workers,
            output="numpy",
        )

    def epoch_of(loader: nl.Loader) -> bytes:
        return b"".join(batch.tobytes() for batch in loader)

    alone = loader(0)
    expected = sorted(epoch_of(alone) for _ in range(crew.threads))
    for chance in crew.turns():
        shared = loader(chance.choice((0, 2)))
        epochs: list[bytes] = []
        crew.together(lambda _: epochs.append(epoch_of(shared)))  # noqa: B023
        assert sorted(epochs) == expected


def states_while_others_take(crew: Crew) -> None:
    """A state that is taken while other threads take batches resumes at one of their batches."""
    settings: dict[str, Any] = {"batch_size": 5, "shuffle": True, "seed": 7, "output": "numpy"}
    plain = nl.Loader(rows(), **settings)
    first, second = taken_from(plain), taken_from(plain)
    rests = {tuple(first[place:]) for place in range(0, ITEMS, 5)} | {tuple(second)}
    for chance in crew.turns():
        loader = nl.Loader(rows(), **settings, num_workers=chance.choice((0, 2)))
        epoch = iter(loader)
        states: list[list[dict[str, Any]]] = [[] for _ in range(crew.threads)]

        def work(
            at: int,
            epoch: Iterator[Any] = epoch,
            loader: nl.Loader = loader,
            states: list[list[dict[str, Any]]] = states,
        ) -> None:
            if at % 2:
                taken_from(epoch)
                return
            lengths = []
            for _ in range(30):
                states[at].append(loader.state_dict())
                lengths.append(len(epoch))  # type: ignore[arg-type]
                assert len(loader) == ITEMS // 5
                assert not epoch.skipped.items  # type: ignore[attr-defined]
            assert lengths == sorted(lengths, reverse=True)

        crew.together(work)
        for of_thread in states:
            lefts = []
            for state in of_thread[::7]:
                resumed = nl.Loader(rows(), **settings)
                resumed.load_state_dict(state)
                rest = taken_from(resumed)
                assert tuple(rest) in rests
                lefts.append(0 if rest == second else len(rest))
            assert lefts == sorted(lefts, reverse=True)


def loaders_changed_while_used(crew: Crew) -> None:
    """Epochs that begin while others set the epoch or load a state have each item once."""
    loader = nl.Loader(rows(), batch_size=7, shuffle=True, num_workers=1, output="view")

    def take(_chance: random.Random) -> None:
        items = taken_from(loader)
        assert len(items) == len(set(items)) > 0

    def change(chance: random.Random) -> None:
        loader.set_epoch(chance.randrange(100))
        loader.load_state_dict(loader.state_dict())

    def leave(chance: random.Random) -> None:
        # An epoch that its thread leaves ends, whoever begins another.
        epoch = iter(loader)
        for _ in range(chance.randrange(3)):
            next(epoch)

    crew.run(take, change, take, leave)


def images_decoded_by_all(crew: Crew) -> None:
    """Images that all threads decode have the bits that one thread gets."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 64, 64, 3), "u1")
    files = []
    for pixels in noise:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG")
        files.append(file.getvalue())
    expected = [nl.decode_image(data).tobytes() for data in files]
    field = nl.images(files)
    loader = nl.Loader(field, batch_size=8, transforms=[T.CenterCrop(64)], output="numpy")
    whole = np.concatenate(list(loader)).tobytes()

    def decode(chance: random.Random) -> None:
        at = chance.randrange(len(files))
        assert nl.decode_image(files[at]).tobytes() == expected[at]
        assert nl.image_info(files[at]).width == 64

    def load(_chance: random.Random) -> None:
        assert np.concatenate(list(loader)).tobytes() == whole

    crew.run(decode, decode, decode, load)


WORKS = [
    one_epoch_taken_by_all,
    epochs_of_their_own,
    states_while_others_take,
    loaders_changed_while_used,
    images_decoded_by_all,
]
