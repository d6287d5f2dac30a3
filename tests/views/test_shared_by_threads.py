"""What threads that use one view keep alive, and when they let go; most telling without a GIL."""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from tests.helpers.together import together

import ndlens as nl

THREADS = 6
# The place of a thread's counts is one of 16, so that these share places.
MANY = 40


def claims(view: nl.View) -> int:
    count = {holder.what: holder.count for holder in view.holders()}["claims"]
    assert count is not None
    return count


@contextmanager
def slicing(view: Any) -> Iterator[None]:
    """Threads that slice the view until it is released, and at least until the end."""
    stop = threading.Event()
    started = threading.Barrier(THREADS + 1)

    def slice_it() -> None:
        view[1][2]
        started.wait()
        with suppress(ValueError):  # what a released view raises
            while not stop.is_set():
                assert view[1, 2:].tolist() == list(range(10, 16))
                assert (view[3, 4], view.shape, view.nbytes) == (28, (8, 8), 64)

    threads = [threading.Thread(target=slice_it) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    started.wait()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("count", [2, MANY])
def test_slices_of_many_threads_hold_the_owner_as_long_as_they_live(count: int) -> None:
    pixels = bytearray(range(64))
    view: Any = nl.view(pixels).reshape(8, 8)
    before = claims(view)
    kept: dict[int, Any] = {}

    def cut(number: int) -> None:
        for place in range(100):
            part = view[place % 8]
            inner = part[2:][1:]
        kept[number] = (part, inner)

    together(*[partial(cut, number) for number in range(count)])
    assert claims(view) == before + 2 * count
    view.release()
    some = kept[0][0]
    assert claims(some) == before - 1 + 2 * count
    del some
    with pytest.raises(BufferError):
        pixels.append(0)

    def let_go(number: int) -> None:
        # Not those that this thread made.
        del kept[(number + 1) % count]

    together(*[partial(let_go, number) for number in range(count)])
    pixels.append(0)


def test_a_view_that_dies_before_its_slices_leaves_them_whole() -> None:
    for _ in range(20):
        pixels = bytearray(range(64))
        views: list[Any] = [nl.view(pixels).reshape(8, 8)]
        kept: list[Any] = []

        def cut(_: int, views: list[Any] = views, kept: list[Any] = kept) -> None:
            kept.append(views[0][3])

        together(*[partial(cut, number) for number in range(3)])
        views.clear()
        for row in kept:
            assert row.tolist() == list(range(24, 32))
        with pytest.raises(BufferError):
            pixels.append(0)
        kept.clear()
        del row
        pixels.append(0)


def test_a_release_waits_for_no_thread_that_slices_and_frees_the_owner() -> None:
    for _ in range(20):
        pixels = bytearray(range(64))
        view = nl.view(pixels).reshape(8, 8)
        with slicing(view):
            view.release()
        with pytest.raises(ValueError, match="released"):
            view[0]
        with pytest.raises(ValueError, match="released"):
            _ = view.shape
        pixels.append(0)


def test_views_of_threads_that_ended_count_in_those_that_come_after() -> None:
    pixels = bytearray(range(64))
    view: Any = nl.view(pixels).reshape(8, 8)
    before = claims(view)
    kept: list[Any] = []
    for _ in range(MANY):
        together(*[lambda: kept.append(view[5])] * 2)
    assert claims(view) == before + 2 * MANY
    kept.clear()
    assert claims(view) == before
    view.release()
    pixels.append(0)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="only threads in parallel contend"
)
def test_no_thread_counts_references_to_the_class() -> None:
    is_immortal: Callable[[object], bool] = getattr(sys, "_is_immortal", lambda _: False)
    assert is_immortal(nl.View)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_releases_a_view_that_threads_sliced() -> None:
    for _ in range(10):
        pixels = bytearray(range(64))
        view: Any = nl.view(pixels).reshape(8, 8)
        with slicing(view):
            child = os.fork()
            if child == 0:
                # The threads that sliced are not here, whatever they were about to do.
                assert view[1, 2] == 10
                view.release()
                os._exit(7)
            deadline = time.monotonic() + 30
            ended, status = os.waitpid(child, os.WNOHANG)
            while not ended and time.monotonic() < deadline:
                time.sleep(0.005)
                ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                os.kill(child, 9)
                os.waitpid(child, 0)
        assert ended, "the child hangs"
        assert os.waitstatus_to_exitcode(status) == 7
