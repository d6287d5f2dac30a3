"""`nl.share` and `nl.empty_shared`: one copy, in memory that leaves nothing behind."""

from __future__ import annotations

import gc
import os
import pickle
import re
import subprocess
import sys
from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.programs import Peer, arenas_held, run
from tests.stress.soak_shared import held

import ndlens as nl


def test_what_is_shared_is_a_packed_aligned_writable_copy() -> None:
    source = np.arange(24, dtype="f4").reshape(4, 6)
    for view in (
        source,
        nl.view(source)[::-1, ::2],
        nl.view(source).toreadonly(),
        torch.from_numpy(source).T,
    ):
        shared = nl.share(view)
        expected = nl.view(view)
        assert (shared.shape, shared.dtype) == (expected.shape, expected.dtype)
        assert shared.tolist() == expected.tolist()
        assert shared.c_contiguous
        assert not shared.readonly
        assert shared.__array_interface__["data"][0] % 64 == 0
        assert not nl.shares_memory(shared, source)
        shared.fill(0)
        assert source[3, 5] == 23


def test_every_dtype_can_be_shared() -> None:
    records = np.zeros(3, [("x", "<f4"), ("y", ">i2"), ("name", "U4")])
    for array in (
        torch.ones(3, dtype=torch.bfloat16),
        records,
        np.ones(3, ">f8"),
        np.array(["a", "bc"]),
    ):
        view = nl.view(array)
        shared = nl.share(array)
        assert (shared.dtype, shared.format, shared.tobytes()) == (
            view.dtype,
            view.format,
            view.tobytes(),
        )
    with pytest.raises(TypeError, match="Python objects"):
        nl.share(np.array([object()]))


def test_structures_come_back_as_they_came_on_one_descriptor() -> None:
    a, b = np.arange(300_000, dtype="i8"), np.arange(700_000, dtype="f4").reshape(2, -1)
    before = arenas_held()
    for obj in ({"a": a, 7: b}, (a, b), [a, b], UserDict({"a": a, "b": b})):
        shared: Any = nl.share(obj)
        assert arenas_held() == before + 1
        values = list(shared.values()) if hasattr(shared, "values") else list(shared)
        assert isinstance(shared, dict if hasattr(obj, "values") else type(obj))
        if isinstance(shared, dict):
            assert list(shared) == list(obj)
        assert np.array_equal(values[0].numpy(), a)
        assert np.array_equal(values[1].numpy(), b)
        assert all(value.__array_interface__["data"][0] % 64 == 0 for value in values)
        del shared, values
        assert arenas_held() == before
    assert nl.share({}) == {}
    assert nl.share(()) == ()


def test_an_array_that_cannot_be_shared_is_named() -> None:
    with pytest.raises(
        TypeError, match=r"^array 'b': nl.view needs an object with the buffer protocol"
    ):
        nl.share({"a": b"", "b": 3})
    with pytest.raises(
        TypeError, match=r"^array 1: nl.view needs an object with the buffer protocol"
    ):
        nl.share((b"", "text"))
    with pytest.raises(TypeError, match=r"^nl.view needs an object with the buffer protocol"):
        nl.share(None)


def test_empty_shared_is_zeroed_and_to_be_filled() -> None:
    for shape, dtype in (
        ((2, 3), "float32"),
        (5, np.int16),
        ([4], torch.bfloat16),
        ((), "int8"),
        ((0, 3), "bool"),
    ):
        view = nl.empty_shared(shape, dtype)
        assert view.shape == (tuple(shape) if not isinstance(shape, int) else (shape,))
        assert view.dtype == nl.dtype_name(dtype)
        assert set(view.tobytes()) <= {0}
    view = nl.empty_shared((3, 4), "float32")
    view[1] = np.ones(4, "f4")
    assert pickle.loads(pickle.dumps(view))[1].tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match=r"^shape must not be negative, got \[2, -1\]$"):
        nl.empty_shared((2, -1), "int8")
    with pytest.raises(TypeError, match=r'^unknown dtype "float33", expected one of bool, uint8, '):
        nl.empty_shared(2, "float33")
    with pytest.raises(ValueError, match="does not fit the address space"):
        nl.empty_shared((2**40, 2**40), "int8")


def test_shared_memory_is_freed_with_the_last_view_on_it() -> None:
    before = arenas_held()
    shared = nl.share(np.zeros(10_000_000, "u1"))
    part = shared[5:10].torch()
    del shared
    gc.collect()
    assert arenas_held() == before + 1
    del part
    gc.collect()
    assert arenas_held() == before


def test_ten_thousand_shared_tensors_cost_at_most_sixteen_descriptors_here_and_there(
    tmp_path: Path,
) -> None:
    before = arenas_held()
    shared = [nl.share(np.full(i % 2000, i, "i4")) for i in range(10_000)]
    assert arenas_held() - before <= 16
    (tmp_path / "pickle").write_bytes(pickle.dumps(shared))
    with Peer() as peer:
        peer(f"views = pickle.load(open({str(tmp_path / 'pickle')!r}, 'rb'))")
        assert peer("all(v.shape == (i % 2000,) for i, v in enumerate(views))") == "True"
        assert peer("[v[-1] for v in views[1:10000:999]]") == repr(list(range(1, 10000, 999)))
        assert arenas_held(peer.pid) <= 16
        peer("views.clear()")
        assert arenas_held(peer.pid) == 0


def test_ten_thousand_larger_tensors_cost_at_most_sixteen_descriptors_too() -> None:
    # In an interpreter of its own, since what lives already counts; 300 of them, as ten thousand
    # would take 10 GB. The number of arenas grows with the logarithm of what is shared.
    script = """
        import os
        import ndlens as nl
        shared = [nl.empty_shared((1 << 20) + 2, "uint8") for _ in range(300)]
        held = sum(os.path.realpath(f"/proc/self/fd/{d}").startswith("/memfd:ndlens")
                   for d in os.listdir("/proc/self/fd"))
        assert held <= 16, held
    """
    assert run(script) == (0, "", "")


def test_small_shares_that_come_and_go_keep_no_memory() -> None:
    before = arenas_held()
    for i in range(2000):
        assert nl.share(np.full(1000, i, "i8"))[-1] == i
    assert arenas_held() <= before + 1


def test_temporaries_give_their_memory_back_beside_small_arrays_that_live() -> None:
    bytes_before = held()[1]
    kept = []
    for i in range(300):
        nl.share(np.ones(900_000, "u1"))
        if i % 30 == 0:
            kept.append(nl.share(np.full(4, i, "i2")))
    assert held()[1] - bytes_before < 8 << 20
    # Also where they all live before they go.
    together = [nl.share(np.ones(900_000, "u1")) for _ in range(40)]
    together.clear()
    assert held()[1] - bytes_before < 8 << 20
    assert [view[3] for view in kept] == list(range(0, 300, 30))


def test_a_zeroed_array_is_zeroed_also_where_another_was_before() -> None:
    neighbour = nl.share(b"lives")
    for size in (3, 4096, 700_000):
        for _ in range(5):
            nl.share(np.full(size, 255, "u1"))
            assert not nl.empty_shared(size, "uint8").numpy().any()
    assert neighbour.tobytes() == b"lives"


def test_an_array_that_another_process_shows_is_not_overwritten_when_its_creator_drops_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pickle"
    neighbour = nl.share(b"lives")
    with Peer() as peer:
        for number in range(1, 4):
            mine = nl.share(np.full(500_000, number, "u1"))
            path.write_bytes(pickle.dumps(mine))
            peer(f"view{number} = pickle.load(open({str(path)!r}, 'rb'))")
            del mine
            for _ in range(100):
                nl.share(np.full(500_000, 255, "u1"))
            assert peer(f"{{*view{number}.tolist()}}") == f"{{{number}}}"
        # Nor where it came by a slice, or is passed on.
        peer("part = view3[100:]; view3 = None")
        peer(f"pickle.dump(part, open({str(path)!r}, 'wb'))")
        passed_on = pickle.loads(path.read_bytes())
        peer("part = None")
        for _ in range(100):
            nl.share(np.full(500_000, 255, "u1"))
        assert set(passed_on.tolist()) == {3}
    assert neighbour.tobytes() == b"lives"


def test_an_array_that_a_forked_child_inherited_is_not_overwritten_on_either_side() -> None:
    script = """
        import os, warnings
        import numpy as np
        import ndlens as nl

        warnings.simplefilter("ignore", DeprecationWarning)
        neighbour = nl.share(b"lives")
        mine = nl.share(np.full(500_000, 7, "u1"))
        child_reads, parent_writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(child_reads, 1)
            os._exit(0 if set(mine.tolist()) == {7} else 1)
        del mine
        for _ in range(200):
            nl.share(np.full(500_000, 255, "u1"))
        os.write(parent_writes, b".")
        assert os.waitpid(child, 0)[1] == 0
        # The other way round: what the child drops is still its parent's.
        mine = nl.share(np.full(500_000, 8, "u1"))
        child = os.fork()
        if child == 0:
            del mine
            for _ in range(200):
                nl.share(np.full(500_000, 255, "u1"))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert set(mine.tolist()) == {8}
        assert neighbour.tobytes() == b"lives"
    """
    assert run(script) == (0, "", "")


def test_lost_messages_and_temporaries_keep_memory_flat() -> None:
    # `make soak` runs longer. In a process of its own, which holds the lost messages for an hour.
    command = [sys.executable, "-m", "tests.stress.soak_shared", "--rounds", "300"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("round 0: ")


def test_more_memory_than_there_is_is_a_memory_error() -> None:
    with pytest.raises(
        MemoryError, match=r"^cannot share \d+ bytes: only \d+ bytes of memory are available$"
    ):
        nl.empty_shared(2**45, "uint8")
    with pytest.raises(
        MemoryError, match=r"^cannot create \d+ bytes of shared memory: file too large$"
    ):
        nl.empty_shared(2**63 - 1, "uint8")
    with pytest.raises(
        MemoryError, match=r"^cannot map \d+ bytes of shared memory: Cannot allocate memory"
    ):
        nl.empty_shared(2**55, "uint8")


@pytest.mark.parametrize(
    ("limit", "value", "size", "raised"),
    [
        (
            "AS",
            "size + (200 << 20)",
            1 << 30,
            "MemoryError: cannot map 1073741824 bytes of shared memory",
        ),
        ("FSIZE", "1 << 20", 1 << 21, "MemoryError: cannot create 2097152 bytes of shared memory"),
        (
            "NOFILE",
            "len(os.listdir('/proc/self/fd'))",
            1 << 21,
            "OSError: cannot create 2097152 bytes",
        ),
    ],
)
def test_limits_of_the_process_are_errors_not_signals(
    limit: str, value: str, size: int, raised: str
) -> None:
    script = f"""
        import os, resource, signal
        import ndlens as nl
        small = nl.share(b"abc")
        # Python ignores it; programs that embed it may not.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        with open("/proc/self/statm") as statm:
            size = int(statm.read().split()[0]) * os.sysconf("SC_PAGESIZE")
        held = []
        resource.setrlimit(resource.RLIMIT_{limit}, ({value},) * 2)
        try:
            while True:
                held.append(nl.empty_shared({size}, "uint8"))
        except (MemoryError, OSError) as error:
            print(type(error).__name__, error, sep=": ")
        # Small ones still find room where there is.
        assert nl.share(b"abc").tobytes() == small.tobytes()
    """
    status, out, err = run(script)
    assert (status, err) == (0, "")
    assert out.startswith(raised)


def test_a_small_share_fits_where_a_nursery_does_not() -> None:
    script = """
        import resource
        import ndlens as nl
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20,) * 2)
        views = [nl.share(bytes([i]) * 1000) for i in range(20)]
        assert [view[-1] for view in views] == list(range(20))
    """
    assert run(script) == (0, "", "")


def test_dev_shm_is_not_used() -> None:
    before = os.statvfs("/dev/shm").f_bavail if Path("/dev/shm").exists() else 0
    shared = nl.empty_shared(200 << 20, "uint8")
    after = os.statvfs("/dev/shm").f_bavail if Path("/dev/shm").exists() else 0
    assert (before - after) * 4096 < 100 << 20
    assert shared.nbytes == 200 << 20
    assert not [
        name
        for name in Path("/proc/self/maps").read_text().split()
        if name.startswith("/dev/shm/ndlens")
    ]


def test_nothing_is_left_behind_whoever_is_killed() -> None:
    name = f"killed-{os.getpid()}"
    held = f":{name} "

    def holders() -> set[int]:
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if arenas_held(process.name, held.rstrip()):
                    found.add(int(process.name))
            except (PermissionError, FileNotFoundError, ProcessLookupError):
                continue
        return found

    with Peer() as creator, Peer() as other, Peer() as third:
        creator(f"x = nl.share(bytes(1 << 20), name={name!r})")
        for peer in (other, third):
            peer(f"x = nl.attach({name!r})")
        assert holders() == {creator.pid, other.pid, third.pid}
        creator.kill()
        other("x[7] = 7")
        assert third("x[7]") == "7"
        other.kill()
        assert holders() == {third.pid}
        assert third("x[7]") == "7"
        third.kill()
        assert holders() == set()
    assert not re.search(rf"@ndlens/\d+/{name}\b", Path("/proc/net/unix").read_text())
    # Folders are those of builds without memfd, which others may use.
    assert not [path for path in Path("/dev/shm").glob("*ndlens*") if not path.is_dir()]
    # And the name is free.
    with pytest.raises(TimeoutError):
        nl.attach(name, timeout=0)
