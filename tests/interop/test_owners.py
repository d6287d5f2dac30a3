"""The owner of memory outlives every view, array and tensor on it; the last one releases it."""

from __future__ import annotations

import array as stdlib_array
import gc
import mmap
import sys
import sysconfig
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers import buffers
from tests.helpers.consumers import CONSUMERS, memory
from tests.helpers.programs import run

import ndlens as nl


class Owner(np.ndarray[Any, Any]):
    """An array that can be watched."""


def owned() -> tuple[nl.View, weakref.ref[Owner]]:
    array = np.arange(24, dtype="i4").reshape(4, 6).copy().view(Owner)
    return nl.view(array), weakref.ref(array)


EXPORTS: dict[str, Callable[[nl.View], Any]] = {
    "the view": lambda v: v,
    "a slice of a slice": lambda v: v[1:][:, ::2][0],
    "permute": lambda v: v.permute(1, 0),
    "windows": lambda v: v.windows(2),
    "reshape": lambda v: v.reshape(24),
    "toreadonly": lambda v: v.toreadonly(),
    "a memoryview": memory,
    "a slice of a memoryview": lambda v: memory(v)[1:],
    **{name: consume for name, consume in CONSUMERS.items() if "capsule" not in name},
    "a slice of a tensor": lambda v: v.torch()[2:],
    "a capsule": lambda v: v.__dlpack__(),
    "a versioned capsule": lambda v: v.__dlpack__(max_version=(1, 0)),
    "a view of a tensor": lambda v: nl.view(v.torch()),
    "an iterator": iter,
}


def test_a_slice_is_an_object_as_its_view_is() -> None:
    view, _ = owned()
    part = view[1:, ::2]
    died = weakref.ref(part)
    before = sys.getrefcount(nl.View)
    parts = [view[1] for _ in range(100)]
    assert type(part) is type(view)
    assert sys.getsizeof(part) == sys.getsizeof(view)
    del parts
    after = sys.getrefcount(nl.View)
    # Free-threaded Pythons count the objects of a class in each thread, and show a part of the sum.
    assert after == before or sysconfig.get_config_var("Py_GIL_DISABLED")
    assert died() is part
    del part
    assert died() is None


@pytest.mark.parametrize("name", EXPORTS)
def test_the_owner_lives_exactly_as_long_as_what_was_made_of_it(name: str) -> None:
    view, owner = owned()
    export = EXPORTS[name](view)
    del view
    gc.collect()
    assert owner() is not None
    del export
    gc.collect()
    assert owner() is None


def test_a_copy_does_not_hold_the_owner() -> None:
    view, owner = owned()
    copies = [view.copy(), view.tobytes(), view.tolist(), view.__dlpack__(copy=True), view[0, 0]]
    del view
    gc.collect()
    assert owner() is None
    assert copies[0].tolist() == copies[2]


def test_a_bytearray_cannot_be_resized_while_a_tensor_uses_it() -> None:
    data = bytearray(b"abc")
    tensor = nl.view(data)[1:].torch()
    for resize in (lambda: data.append(0), lambda: data.extend(b"xyz"), data.clear, data.pop):
        with pytest.raises(
            BufferError, match=r"^Existing exports of data: object cannot be re-sized$"
        ):
            resize()
    tensor[0] = ord("x")
    assert data == b"axc"
    del tensor
    data.append(ord("d"))
    assert data == b"axcd"


def test_a_map_cannot_be_closed_while_a_tensor_uses_it() -> None:
    mapped = mmap.mmap(-1, 4096)
    tensor = nl.view(mapped).torch()
    with pytest.raises(BufferError, match=r"^cannot close exported pointers exist$"):
        mapped.close()
    tensor[7] = 7
    assert mapped[7] == 7
    del tensor
    mapped.close()
    assert mapped.closed


def test_an_array_array_cannot_be_resized_while_a_view_lives() -> None:
    numbers = stdlib_array.array("i", [1, 2, 3])
    view = nl.view(numbers)
    with pytest.raises(BufferError, match="cannot resize an array that is exporting buffers"):
        numbers.append(4)
    del view
    numbers.append(4)


@pytest.mark.parametrize("make_export", [nl.View.torch, nl.View.numpy, memory, nl.View.__dlpack__])
def test_an_export_may_be_dropped_on_another_thread(make_export: Callable[[nl.View], Any]) -> None:
    view, owner = owned()
    holder = [make_export(view)]
    del view
    assert owner() is not None
    thread = threading.Thread(target=holder.clear)
    thread.start()
    thread.join()
    gc.collect()
    assert owner() is None


@pytest.mark.parametrize(
    "source", ["bytearray(8)", "np.frombuffer(bytearray(8), np.uint8)", "Watched(8)"]
)
def test_a_view_of_a_tensor_of_a_view_gives_its_memory_back_with_the_gil_held(source: str) -> None:
    # torch lets go of the GIL while it frees a tensor, inside our own deallocation, and calls our
    # deleter there.
    script = f"""
        import ctypes, weakref
        import numpy as np, torch, ndlens as nl

        class Watched(bytearray):
            pass

        held = []
        source = {source}
        if isinstance(source, Watched):
            check = ctypes.PyDLL(None).PyGILState_Check
            weakref.finalize(source, lambda: held.append(check()))
        view = nl.view(nl.view(source).torch())
        del source
        del view
        assert held in ([], [1])
    """
    assert run(script) == (0, "", "")


def test_many_threads_may_use_one_view_at_once() -> None:
    view, owner = owned()
    wrong: list[Any] = []

    def work(view: nl.View) -> None:
        for _ in range(200):
            part = view[1:3, ::2]
            if (
                part.torch()[0, 0] != 6
                or part.numpy()[1, 2] != 16
                or part.tolist()[0] != [6, 8, 10]
            ):
                wrong.append(part)

    threads = [threading.Thread(target=work, args=(view,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    del view, threads, thread
    gc.collect()
    assert owner() is None


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_a_capsule_that_nobody_consumes_frees_its_memory() -> None:
    view = nl.view(bytes(32 << 20))
    before = resident_bytes()
    for version in (None, (1, 0)) * 8:
        capsule = view.__dlpack__(max_version=version, copy=True)
        assert buffers.capsule_name(capsule) is not None
        del capsule
    assert resident_bytes() - before < 3 * view.nbytes


def test_the_interpreter_ends_cleanly_with_exports_alive() -> None:
    script = """
        import atexit, mmap, sys, threading, time
        import numpy as np, torch, ndlens as nl

        def exports(obj):
            view = nl.view(obj)
            capsules = [view.__dlpack__(), view.__dlpack__(max_version=(1, 0))]
            return [
                view,
                view[1:],
                view.numpy(),
                view.torch(),
                memoryview(view),
                np.from_dlpack(view),
                capsules,
            ]

        sources = [bytearray(64), mmap.mmap(-1, 64), np.arange(64), torch.arange(64)]
        everywhere = [exports(source) for source in sources]
        sys.kept = exports(np.zeros(64))
        nl.kept = exports(bytearray(64))
        atexit.register(lambda kept=exports(np.ones(64)): print(kept[3].sum().item()))

        class Cycle:
            pass
        cycle = Cycle()
        cycle.self, cycle.kept = cycle, exports(bytearray(64))

        def hold():
            kept = exports(np.ones(64))
            while True:
                kept[1].numpy().sum()
        threading.Thread(target=hold, daemon=True).start()
        time.sleep(0.05)
    """
    assert run(script) == (0, "64.0\n", "")


def test_listing_a_view_too_large_for_memory_is_a_memory_error() -> None:
    script = """
        import numpy as np, ndlens as nl
        huge = nl.view(np.broadcast_to(np.uint8(0), (2**60,)))
        for read in (huge.tolist, huge.tobytes, huge.copy, lambda: huge.__dlpack__(copy=True)):
            try:
                read()
            except MemoryError:
                pass
            else:
                raise SystemExit(f"{read} did not fail")
    """
    assert run(script) == (0, "", "")


def test_the_strides_of_huge_views_do_not_wrap() -> None:
    huge = nl.view(np.broadcast_to(np.uint8(7), (2**40,)))
    assert huge[2**39] == huge[-1] == huge[:: 2**38][3] == 7
    assert huge.reshape(2**20, 2**20).shape == (2**20, 2**20)
    assert huge.windows(2**20, step=2**39).shape == (2, 2**20)
    assert huge.windows(2**20)[-1, -1] == 7


def test_a_million_exports_leave_nothing_behind() -> None:
    program = """
        import numpy, torch
        from pathlib import Path
        import ndlens as nl

        def resident_kb():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4

        view = nl.view(bytearray(4096)).reshape(64, 64)[::2, 1:]
        exports = (memoryview, nl.View.torch, nl.View.numpy, nl.View.__dlpack__, numpy.asarray)
        for export in exports:
            for _ in range(10_000):
                export(view)
        before = resident_kb()
        for export in exports:
            for _ in range(200_000):
                export(view)
        print(resident_kb() - before < 2048)
    """
    assert run(program) == (0, "True\n", "")
