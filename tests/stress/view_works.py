"""Views under threads: one view used by all, iterated by all, released under all."""

from __future__ import annotations

import gc
import itertools
import random
import re
from typing import Any

import numpy as np
from tests.stress.crew import Crew

import ndlens as nl

SHAPE = (24, 30, 5)


def is_given_up(memory: bytearray) -> bool:
    """Whether no view of it is left: an exported `bytearray` cannot change its size."""
    gc.collect()
    try:
        memory.append(0)
    except BufferError:
        return False
    return True


def one_view_used_by_all(crew: Crew) -> None:
    """Elements, slices and hand-offs of one view are those of the array that it shows."""
    array = np.arange(np.prod(SHAPE), dtype="i4").reshape(SHAPE)
    memory = bytearray(array.tobytes())
    view = nl.view(memory).cast("i", shape=SHAPE)

    def work(chance: random.Random) -> None:
        i, j, k = (chance.randrange(size) for size in SHAPE)
        assert view[i, j, k] == array[i, j, k]
        assert view[i].tolist() == array[i].tolist()
        assert np.array_equal(view[::-1, j:, ::2].numpy(), array[::-1, j:, ::2])
        assert np.array_equal(np.asarray(memoryview(view[i])), array[i])
        assert np.array_equal(np.from_dlpack(view[i, ::2]), array[i, ::2])
        assert view.transpose(2, 0, 1)[k, i, j] == array[i, j, k]
        assert view.reshape(-1)[i * 150 + j * 5 + k] == array[i, j, k]
        assert np.array_equal(view[j % 24, :, k].copy().numpy(), array[j % 24, :, k])
        assert (view.shape, view.strides, view.dtype) == (SHAPE, (600, 20, 4), "int32")
        assert np.array_equal(nl.view(view)[i], array[i])
        assert sum(1 for _ in view) == len(view) == len(array)
        assert "24, 30, 5" in repr(view)

    crew.run(work)
    view.release()
    assert is_given_up(memory)


def one_iterator_used_by_all(crew: Crew) -> None:
    """Threads that share an iterator of a view get each of its elements once."""
    for _ in crew.turns():
        iterator = iter(nl.view(np.arange(2000)))
        taken: list[list[Any]] = [[] for _ in range(crew.threads)]
        crew.together(lambda at: taken[at].extend(iterator))  # noqa: B023
        assert sorted(itertools.chain(*taken)) == list(range(2000))


def release_against_slicing(crew: Crew) -> None:
    """A view that is released while others slice it shows its memory, or raises; never else."""
    slots: list[tuple[int, bytearray, nl.View]] = []

    def fresh(number: int) -> tuple[int, bytearray, nl.View]:
        memory = bytearray([number]) * 4096
        return number, memory, nl.view(memory)

    def slice_it(chance: random.Random) -> None:
        number, _, view = chance.choice(slots)
        try:
            parts = [view[chance.randrange(100) :: 7], view[5], view.reshape(64, 64)[::2]]
            parts += [memoryview(view)[10:20]]  # type: ignore[arg-type]
            parts += [view.numpy()[3:9], np.from_dlpack(view)[::5]]
        except ValueError as error:
            if str(error) != "operation forbidden on released View object":
                raise
            return
        assert parts[1] == number
        for part in parts[:1] + parts[2:]:
            assert set(np.asarray(part).ravel().tolist()) == {number}

    def release(chance: random.Random) -> None:
        place = chance.randrange(len(slots))
        number, _, view = slots[place]
        try:
            view.release()
        except BufferError as error:
            if not re.match(r"view (is in use|has \d+ exported buffers?)", str(error)):
                raise
            return
        slots[place] = fresh((number + len(slots)) % 251)
        try:
            view[0]
        except ValueError:
            return
        raise AssertionError("a released view was read")

    slots.extend(fresh(number) for number in range(4))
    memories = [memory for _, memory, _ in slots]
    crew.run(slice_it, slice_it, slice_it, release)
    slots.clear()
    assert all(map(is_given_up, memories))


def elements_written_by_all(crew: Crew) -> None:
    """Threads that write elements of their own leave those of the others alone."""
    view = nl.view(np.zeros((crew.threads, 64), "i8"))

    def work(at: int) -> None:
        for number in range(200):
            view[at] = number
            view[at, 1::2] = -number
            assert view[at, 0] == number
            assert view[at, 1::2].tolist() == [-number] * 32

    for _ in crew.turns():
        crew.together(work)


def classes_made_by_all(crew: Crew) -> None:
    """What is looked up or made once, such as a dtype or an optional package, serves all."""
    array = np.arange(6, dtype="f4").reshape(2, 3)

    def work(chance: random.Random) -> None:
        name = chance.choice(["int8", "float16", "complex64", "uint32", "bool"])
        view = nl.view(np.ones(4, name))
        assert (view.dtype, view.numpy().dtype) == (name, np.dtype(name))
        with nl.trace() as copies:
            nl.view(array).copy()
        assert [copy.nbytes for copy in copies] == [24]
        assert nl.explain(nl.view(array), "numpy").zero_copy
        assert nl.shares_memory(nl.view(array), array)

    crew.run(work)


WORKS = [
    one_view_used_by_all,
    one_iterator_used_by_all,
    release_against_slicing,
    elements_written_by_all,
    classes_made_by_all,
]
