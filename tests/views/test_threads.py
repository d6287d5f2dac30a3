"""Many threads on one view never break what another sees; most telling without a GIL."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.together import together

import ndlens as nl

THREADS = 6


def test_threads_slice_one_view() -> None:
    array = np.arange(24 * 24).reshape(24, 24)
    view = nl.view(array)

    def slice_it() -> None:
        for i in range(2000):
            at = i % 23
            assert view[at : at + 1, at].tolist() == [25 * at]
            assert view[at, at] == 25 * at

    together(*[slice_it] * THREADS)


def test_a_release_beside_other_threads_ends_the_view_once_and_breaks_nothing() -> None:
    for _ in range(200):
        pixels = bytearray(range(64))
        view = nl.view(pixels).reshape(8, 8)
        released: list[bool] = []

        def use(view: nl.View = view) -> None:
            with suppress(ValueError):  # what a released view raises
                for _ in range(20):
                    assert view[1].tolist() == list(range(8, 16))
                    assert bytes(view[2]) == bytes(range(16, 24))
                    assert np.asarray(view)[3, 3] == 27
                    assert view.torch()[4, 4] == 36

        def release(view: nl.View = view, released: list[bool] = released) -> None:
            while not released:
                with suppress(BufferError):
                    view.release()
                    released.append(True)

        together(use, use, use, release)
        with pytest.raises(ValueError, match="released"):
            view[0]
        pixels.append(0)


def test_threads_share_an_iterator_and_get_elements_that_are_there() -> None:
    numbers = iter(nl.view(np.arange(5000)))
    got: list[list[int]] = [[] for _ in range(THREADS)]
    together(*[lambda into=into: into.extend(numbers) for into in got])
    assert set().union(*got) == set(range(5000))


def test_threads_export_and_let_go_of_one_view() -> None:
    pixels = bytearray(range(256))
    view: Any = nl.view(pixels)

    def export() -> None:
        for _ in range(500):
            with memoryview(view) as exported:
                assert exported[255] == 255
            assert np.asarray(view)[7] == 7
            assert torch.from_dlpack(view)[8] == 8  # type: ignore[attr-defined]

    together(*[export] * THREADS)
    view.release()
    pixels.append(0)


def test_threads_share_a_loader_and_each_epoch_is_whole() -> None:
    loader = nl.Loader(np.arange(500), batch_size=7, shuffle=True, num_workers=2, output="numpy")

    def read() -> None:
        for _ in range(10):
            assert sorted(np.concatenate(list(loader)).tolist()) == list(range(500))

    together(*[read] * 3)
    assert loader.epoch == 30


def test_threads_share_an_epoch_and_each_batch_comes_once() -> None:
    loader = nl.Loader(np.arange(2000), batch_size=3, num_workers=2, output="view")
    batches = iter(loader)
    got: list[list[int]] = [[] for _ in range(THREADS)]
    together(
        *[lambda into=into: into.extend(x for batch in batches for x in batch) for into in got]
    )
    assert sorted(itertools.chain(*got)) == list(range(2000))
