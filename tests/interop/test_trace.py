"""`nl.trace`: every copy, its bytes and the line that asked for it."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
import json
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.programs import run

import ndlens as nl
from ndlens import _ndlens


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def count(copies: nl.Copies) -> int:
    return sum(record.count for record in copies)


def test_a_copy_has_its_operation_bytes_and_line() -> None:
    view = nl.view(bytearray(12)).reshape(3, 4)
    with nl.trace() as copies:
        view[:, 1].copy()
        expected = line() - 1
    assert list(copies) == [
        nl.Copy(
            operation="View.copy",
            nbytes=3,
            count=1,
            filename=__file__,
            lineno=expected,
            function="test_a_copy_has_its_operation_bytes_and_line",
        )
    ]


def test_copies_of_one_line_are_one_record() -> None:
    view = nl.view(bytes(8))
    with nl.trace() as copies:
        for _ in range(5):
            view.copy()
        view.copy()
    assert [(record.nbytes, record.count) for record in copies] == [(40, 5), (8, 1)]
    assert (copies.nbytes, count(copies), len(copies)) == (48, 6, 2)


def test_what_copies_nothing_leaves_a_trace_empty() -> None:
    array = np.arange(24, dtype="f4").reshape(4, 6)
    with nl.trace() as copies:
        view: Any = nl.view(array)
        part = view[1:, ::-1].permute(1, 0)
        shown = [part.numpy(), view.torch(), memoryview(view), nl.view(view.torch())]
        assert view[2, 3] == 15.0
        assert copy.copy(view).shape == (4, 6)
    assert not copies
    assert str(copies) == "no copies"
    assert all(nl.shares_memory(array, other) for other in shown)


def test_a_record_and_a_table_are_readable() -> None:
    view = nl.view(bytes(2000))
    with nl.trace() as copies:
        for _ in range(2):
            view.tobytes()
        view.copy()
    first, second = copies
    assert str(first) == (
        f"View.tobytes: 4,000 bytes in 2 copies, {__file__}:{first.lineno}, in {first.function}"
    )
    assert str(second).startswith("View.copy: 2,000 bytes, ")
    assert repr(copies) == "<ndlens.Copies: 6,000 bytes in 3 copies>"
    head, *rows, total = str(copies).splitlines()
    assert head == "bytes  copies  operation     where"
    assert rows[0].startswith("4,000       2  View.tobytes  ")
    assert total == "6,000       3  all"


def test_records_go_to_json() -> None:
    with nl.trace() as copies:
        nl.view(bytes(3)).copy()
    record = copies[0]
    expected = {"nbytes": 3, "count": 1, "copies": [dataclasses.asdict(record)]}
    assert copies.to_dict() == expected == json.loads(copies.to_json())


def test_traces_inside_each_other_both_note() -> None:
    view = nl.view(bytes(8))
    with nl.trace() as outer:
        view.copy()
        with nl.trace() as inner:
            view.copy()
        view.copy()
    view.copy()
    assert (count(outer), count(inner)) == (3, 1)


def test_a_trace_notes_the_copies_of_its_own_thread_and_of_those_with_its_context() -> None:
    view = nl.view(bytes(8))
    begun = threading.Event()
    others = threading.Thread(target=lambda: (begun.wait(), view.copy()))
    others.start()
    with nl.trace() as copies:
        begun.set()
        others.join()
        thread = threading.Thread(target=view.copy)
        thread.start()
        thread.join()
    # Free-threaded Pythons hand a new thread the context of its parent.
    assert count(copies) == int(getattr(sys.flags, "thread_inherit_context", False))


def test_an_asyncio_task_hands_its_trace_on_and_no_other_task_has_it() -> None:
    view = nl.view(bytes(8))

    async def traced() -> int:
        with nl.trace() as copies:
            await asyncio.to_thread(view.copy)
            await asyncio.sleep(0)
            view.copy()
        return count(copies)

    async def untraced() -> None:
        for _ in range(3):
            view.copy()
            await asyncio.sleep(0)

    async def both() -> int:
        number, _ = await asyncio.gather(traced(), untraced())
        return number

    assert asyncio.run(both()) == 2


def test_a_trace_ends_with_an_exception_too() -> None:
    view = nl.view(bytes(8))
    traced: list[nl.Copies] = []

    def work() -> None:
        with nl.trace() as copies:
            traced.append(copies)
            view.copy()
            raise KeyError

    with pytest.raises(KeyError):
        work()
    view.copy()
    assert count(traced[0]) == 1


def test_a_copy_that_fails_is_not_noted() -> None:
    huge = nl.view(bytes(1)).broadcast_to(2**62)
    with nl.trace() as copies, pytest.raises(MemoryError):
        huge.copy()
    assert not copies


def test_with_a_limit_the_copy_that_exceeds_it_is_refused_before_it_is_made() -> None:
    view = nl.view(bytes(1)).broadcast_to(2**62)
    with (
        pytest.raises(nl.CopyRequired) as caught,
        nl.trace(limit_bytes=0) as copies,
    ):
        # There is no memory for it: it was not tried.
        view.copy()
    assert str(caught.value) == (
        "View.copy copies 4,611,686,018,427,387,904 bytes, and a trace with limit_bytes=0 is open"
    )
    assert not copies


def test_a_limit_counts_what_was_copied_before() -> None:
    view = nl.view(bytes(6))
    with nl.trace(limit_bytes=10):
        view.copy()
        with pytest.raises(nl.CopyRequired) as caught:
            view.copy()
    assert str(caught.value) == (
        "View.copy copies 6 bytes, after 6 bytes of others, and a trace with limit_bytes=10 is open"
    )


def test_a_limit_is_not_negative() -> None:
    with (
        pytest.raises(ValueError, match=r"^limit_bytes must be at least 0, got -1$"),
        nl.trace(limit_bytes=-1),
    ):
        pass


@pytest.mark.parametrize("limit", ["1", 1e6])
def test_a_limit_is_an_integer(limit: Any) -> None:
    with (
        pytest.raises(TypeError) as caught,
        nl.trace(limit_bytes=limit),
    ):
        pass
    assert str(caught.value) == f"limit_bytes must be an integer, got {limit!r}"


def test_nothing_is_written_where_a_limit_refuses(tmp_path: Path) -> None:
    target = nl.view(bytearray(4))
    with nl.trace(limit_bytes=0):
        with pytest.raises(nl.CopyRequired):
            target[...] = np.ones(4, "u1")
        with pytest.raises(nl.CopyRequired):
            nl.save(tmp_path / "x.npy", target)
        target[...] = 0
        target[1] = 7
    assert target.tolist() == [0, 7, 0, 0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("output", ["torch", "numpy", "view"])
def test_batches_are_noted_where_they_are_handed_out(workers: int, output: Any) -> None:
    images = np.zeros((10, 4, 4), "u1")
    loader = nl.Loader(images, batch_size=4, num_workers=workers, output=output)
    with nl.trace() as copies:
        for _batch in loader:
            pass
        expected = line() - 2
    assert [(r.operation, r.nbytes, r.count, r.lineno) for r in copies] == [
        ("Loader batch", 160, 3, expected)
    ]


def test_a_limit_refuses_a_batch_before_the_epoch_begins() -> None:
    loader = nl.Loader(np.zeros((10, 4), "u1"), batch_size=4, num_workers=2)
    epoch = iter(loader)
    with nl.trace(limit_bytes=0), pytest.raises(nl.CopyRequired, match=r"^Loader batch copies"):
        next(epoch)
    assert loader.pool_nbytes == 0
    assert len(list(epoch)) == 3


def test_items_that_are_asked_for_by_number_are_noted() -> None:
    loader = nl.Loader(np.zeros((10, 4), "u1"), batch_size=4)
    with nl.trace() as copies:
        loader.dataset.__getitems__([1, 2, 3, 4])
    assert [(r.operation, r.nbytes) for r in copies] == [("Loader batch", 16)]


def test_what_numpy_makes_of_an_object_is_noted_if_it_is_new() -> None:
    own = pd.Series(np.arange(6.0))
    categories = pd.Series(pd.Categorical([1.5, 2.5, 1.5]))
    with nl.trace() as copies:
        nl.view(own, copy=None)
        assert not copies
        nl.view(categories, copy=None)
    assert [(r.operation, r.nbytes) for r in copies] == [("Series.__array__", 24)]


def test_an_array_that_its_object_keeps_is_not_noted() -> None:
    class Keeps:
        def __init__(self) -> None:
            self.array = np.zeros(4)

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return self.array

    class Makes:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.zeros(8)[::2]

    with nl.trace() as copies:
        nl.view(Keeps(), copy=None)
        assert not copies
        nl.view(Makes(), copy=None)
    assert [(r.operation, r.nbytes) for r in copies] == [("Makes.__array__", 32)]


def test_a_tensor_whose_elements_are_computed_is_noted() -> None:
    tensor = torch.zeros(3, dtype=torch.complex64).conj()
    with nl.trace() as copies:
        nl.view(tensor, copy=None)
    assert [(r.operation, r.nbytes) for r in copies] == [("resolved tensor", 24)]


def test_arrays_that_are_read_are_noted_once(tmp_path: Path) -> None:
    nl.save(tmp_path / "x.safetensors", {"a": np.zeros(5), "b": np.zeros(3, "u1")})
    with nl.trace() as copies:
        mapped = nl.open(tmp_path / "x.safetensors")
        assert (mapped["a"].nbytes, mapped["b"].nbytes) == (40, 3)
        assert not copies
        read = nl.open(tmp_path / "x.safetensors", copy=True)
        assert not copies
        assert (read["a"].nbytes, read["a"].nbytes, read["b"].nbytes) == (40, 40, 3)
    assert [(r.operation, r.nbytes) for r in copies] == [("nl.open(copy=True)", 43)]


def test_numbers_that_are_converted_are_noted() -> None:
    series = np.zeros(20, "f4")
    with nl.trace() as copies:
        nl.windows(series, 3, where=np.ones(18, bool))
        nl.windows(series, 3, lengths=np.array([10, 10]))
        nl.windows(series, 3, ids=np.repeat([1, 2], 10))
        nl.subset(series, np.arange(5, dtype="i4"))
        nl.subset(series, [1, 2, 3])
        nl.Loader(series, batch_size=2, indices=np.arange(4, dtype="i8"))
        nl.ragged(series, np.array([0, 10]), np.array([[5], [5]]))
    assert [(r.operation, r.nbytes) for r in copies] == [
        ("array of where", 18),
        ("array of lengths", 16),
        ("array of ids", 160),
        ("array of indices", 20),
        ("array of indices", 32),
        ("array of shapes", 16),
        ("array of offsets", 16),
    ]


def test_a_pickle_by_value_is_noted_and_a_handle_is_not() -> None:
    packed, strided = nl.view(bytearray(8)), nl.view(bytearray(8))[::2]
    shared = nl.share(packed)
    with nl.trace() as copies:
        pickle.dumps(shared)
        pickle.dumps(packed, 5)
        assert not copies
        pickle.dumps(packed, 4)
        pickle.dumps(strided, 5)
        copy.deepcopy(packed)
    assert [(r.operation, r.nbytes) for r in copies] == [
        ("pickle of a View", 8),
        ("pickle of a View", 4),
        ("copy.deepcopy(View)", 8),
    ]
    assert {record.filename for record in copies} == {__file__}


def test_a_trace_is_a_sequence() -> None:
    view = nl.view(bytes(4))
    with nl.trace() as copies:
        view.copy()
        view.tobytes()
        view.tolist()
    assert [r.operation for r in copies[1:]] == ["View.tobytes", "View.tolist"]
    assert copies[-1].operation == "View.tolist"
    assert copies[0] in copies
    with pytest.raises(IndexError):
        copies[3]


def test_a_call_that_only_passes_through_a_library_has_the_line_of_the_caller() -> None:
    namespace: dict[str, Any] = {"__name__": "pickle.inner", "view": nl.view(bytes(4))}
    exec("def passed():\n    return view.copy()", namespace)
    with nl.trace() as copies:
        namespace["passed"]()
        expected = line() - 1
    assert (copies[0].filename, copies[0].lineno) == (__file__, expected)


def test_tracing_is_closed_when_no_trace_is_open() -> None:
    noted: list[str] = []
    # Nothing is called: the count of open traces is 0 again after each test here.
    _ndlens._copied("a copy that no trace sees", 5)
    with nl.trace() as copies:
        _ndlens._copied("a copy", 5)
    noted += [record.operation for record in copies]
    assert noted == ["a copy"]


def test_threads_may_trace_side_by_side() -> None:
    view = nl.view(bytes(16))
    counts: list[int] = []

    def work() -> None:
        with nl.trace() as copies:
            for _ in range(200):
                view.copy()
        counts.append(count(copies))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [200] * 8


def test_a_view_that_is_asked_to_copy_is_noted() -> None:
    with nl.trace() as copies:
        nl.view(np.zeros((2, 3), "u1").T, copy=True)
    assert [(r.operation, r.nbytes) for r in copies] == [("nl.view(copy=True)", 6)]


def test_files_beyond_the_number_of_maps_are_read_and_noted(tmp_path: Path) -> None:
    nl.save(tmp_path / "x.npy", np.zeros(5, "u1"))
    nl.save(tmp_path / "x.safetensors", {"a": np.zeros(5)})
    script = f"""
        import os, pathlib
        import ndlens as nl
        os.chdir({str(tmp_path)!r})
        most = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
        with nl.trace() as copies:
            held = []
            while not copies and len(held) < most:
                held.append(nl.open("x.npy"))
            assert [(r.operation, r.nbytes) for r in copies] == [("nl.open", 5)]
            arrays = nl.open("x.safetensors")
            expected = os.path.getsize("x.safetensors")
            assert (copies[1].operation, copies[1].nbytes) == ("nl.open", expected), copies
            arrays["a"]
            assert len(copies) == 2
    """
    assert run(script) == (0, "", "")


def test_a_forked_child_goes_on_with_a_trace_of_its_own() -> None:
    script = """
        import os
        import ndlens as nl
        view = nl.view(bytes(4))
        with nl.trace() as copies:
            view.copy()
            # As if another thread noted a copy while this one forks.
            with copies._lock:
                child = os.fork()
                if child == 0:
                    view.copy()
                    os._exit(0 if copies.nbytes == 8 and len(copies) == 2 else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert copies.nbytes == 4
    """
    assert run(script) == (0, "", "")


def test_images_that_are_packed_are_noted(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "x.png")
    images = nl.images([tmp_path / "x.png"] * 3)
    with nl.trace() as copies:
        nl.pack(images, tmp_path / "x.safetensors", progress=False)
    packed = [record.nbytes for record in copies if record.operation == "nl.pack"]
    assert packed == [3 * 4 * 6 * 3]
