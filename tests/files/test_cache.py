"""What of a mapped file is in memory: brought there before it is read, given back after."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ndlens as nl

ROWS, ROW_BYTES = 64, 1 << 18


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 64 rows of 256 KiB, row k full of k, none of it in memory."""
    path = tmp_path / "rows.npy"
    np.save(path, np.repeat(np.arange(ROWS, dtype=np.uint8), ROW_BYTES).reshape(ROWS, ROW_BYTES))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert not any(cached(path, row) for row in range(ROWS))
    return path


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


def cached(path: Path, row: int) -> bool:
    """Whether most pages of a row are in the system's cache of files."""
    start = row * ROW_BYTES
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), ROW_BYTES, access=mmap.ACCESS_READ, offset=start) as map,
    ):
        pages = ctypes.create_string_buffer(ROW_BYTES // mmap.PAGESIZE)
        address = np.frombuffer(map, np.uint8).ctypes.data
        assert LIBC.mincore(address, ROW_BYTES, pages) == 0
    return sum(page & 1 for page in pages.raw[:-1]) > len(pages) // 2


def eventually_cached(path: Path, row: int) -> bool:
    deadline = time.monotonic() + 20
    while not cached(path, row):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def resident_kilobytes(path: Path) -> int:
    """How much of a file's maps is resident in this process, as file pages or as changed pages."""
    maps = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    ours = [text for text in maps if text.split("\n", 1)[0].endswith(str(path))]
    return sum(int(size) for text in ours for size in re.findall(r"(?m)^Rss: +(\d+) kB", text))


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_prefetch_brings_exactly_the_span_into_memory(path: Path, mode: Any) -> None:
    view = nl.open(path, mode)
    view[41:43].prefetch()
    assert eventually_cached(path, 41)
    assert eventually_cached(path, 42)
    # What reading the header brings along is the system's business.
    assert not any(cached(path, row) for row in range(40, ROWS) if row not in (41, 42))
    # In the system's cache, not yet in this process's memory.
    assert resident_kilobytes(path) < ROW_BYTES >> 10
    view[::-1, 5:7].prefetch()
    assert all(eventually_cached(path, row) for row in range(ROWS - 1))


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_drop_cache_gives_back_the_span_and_nothing_else(path: Path, mode: Any) -> None:
    view = nl.open(path, mode)
    assert view.numpy()[:, ::4096].sum() > 0
    before = resident_kilobytes(path)
    assert before > 15_000
    view[8:24].drop_cache()
    assert before - resident_kilobytes(path) >= 16 * 256 - 128
    assert not any(cached(path, row) for row in range(8, 24))
    assert cached(path, 6)
    assert cached(path, 26)
    view.drop_cache()
    assert resident_kilobytes(path) < 100
    assert (view.numpy() == np.arange(ROWS, dtype=np.uint8)[:, None]).all()


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_drop_cache_never_loses_what_was_written(path: Path, mode: Any) -> None:
    view = nl.open(path, mode)
    array = view.numpy()
    assert array[:, 0].sum() > 0
    array[3, ::5000] = array[40] = 200
    for _ in range(3):
        view.drop_cache()
        assert (array[3, ::5000] == 200).all()
        assert (array[40] == 200).all()
        assert array[3, 1] == 3
        assert array[41, 7] == 41
    assert (np.load(path)[40] == (40 if mode == "c" else 200)).all()


def test_other_memory_is_there_and_stays() -> None:
    for memory in (
        np.arange(1000),
        bytearray(b"123"),
        nl.share(np.arange(1000)),
        np.zeros((0, 3)),
        7.5,
    ):
        view = nl.view(np.asarray(memory)) if isinstance(memory, float) else nl.view(memory)
        expected = view.tobytes()
        view.prefetch()
        view.drop_cache()
        assert view.tobytes() == expected


def test_a_view_of_no_element_of_a_file_asks_for_nothing(path: Path) -> None:
    view = nl.open(path)
    assert view.numpy()[:, 0].sum() > 0
    view[50:50].prefetch()
    before = resident_kilobytes(path)
    view[50:50].drop_cache()
    assert resident_kilobytes(path) == before


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_over_a_file_larger_than_memory_asks_for_the_next_batch(
    tmp_path: Path, workers: int
) -> None:
    # Sparse, but for the items of the first two batches.
    path = tmp_path / "large.npy"
    items = (8 << 40) // ROW_BYTES
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({items}, {ROW_BYTES}), }}"
    with path.open("wb") as file:
        file.write(
            b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n"
        )
        file.write(bytes([1]) * (16 * ROW_BYTES))
        file.truncate(128 + items * ROW_BYTES)
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert not cached(path, 12)
    loader = nl.Loader(
        nl.open(path), batch_size=8, num_workers=workers, prefetch_factor=1, output="view"
    )
    batch = next(iter(loader))
    assert batch[7, -1] == 1
    assert all(eventually_cached(path, row) for row in range(15))
