"""One copy of the data on a machine, by name: the first creates it, others wait; crashes."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.programs import Peer, run

import ndlens as nl

COUNTER = iter(range(10**9))


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test-{os.getpid()}-{next(COUNTER)}"
    yield name
    assert not re.search(rf"@ndlens/\d+/{name}\b", Path("/proc/net/unix").read_text()), (
        "a lock is left"
    )


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    peers = [Peer() for _ in range(3)]
    yield peers
    for peer in peers:
        peer.close()


def test_what_is_shared_comes_out_as_it_went_in(name: str) -> None:
    a, b = np.arange(6, dtype="f4").reshape(2, 3), np.zeros(3, [("x", "<f4"), ("y", ">i2")])
    for obj in (a, (a, b), [b], {"a": a, "b": b}, {"none": np.zeros((0, 3))}):
        shared: Any = nl.share(obj, name=name)
        attached = nl.attach(name)
        if isinstance(obj, np.ndarray):
            pairs = [(shared, attached, obj)]
        else:
            assert type(attached) is type(shared) is type(obj)
            if isinstance(obj, dict):
                assert list(attached) == list(obj)
            values = [
                list(x.values() if isinstance(x, dict) else x) for x in (shared, attached, obj)
            ]
            pairs = list(zip(*values, strict=True))
        for one, other, source in pairs:
            assert nl.shares_memory(one, other) == (source.size > 0)
            assert (other.shape, other.format) == (source.shape, nl.view(source).format)
            assert other.tobytes() == source.tobytes()
            assert not other.readonly
        del shared, attached, pairs
        values = []
        one = other = None
        with pytest.raises(TimeoutError):
            nl.attach(name, timeout=0)


RAGGED = [np.arange(h * w, dtype="u1").reshape(h, w) for h, w in [(2, 3), (4, 1), (1, 1), (3, 0)]]


@pytest.mark.parametrize("kind", ["list", "packed", "subset", "empty", "numbers"])
def test_items_of_different_sizes_have_a_name(name: str, kind: str) -> None:
    items = {
        "list": lambda: nl.ragged(RAGGED),
        "packed": lambda: nl.ragged(np.arange(6), np.array([3, 0, 4]), np.array([[2], [1], [0]])),
        "subset": lambda: nl.ragged(RAGGED)[[1, 3, 1]],
        "empty": lambda: nl.ragged(np.zeros(0), shapes=np.zeros((0, 2), "i8")),
        "numbers": lambda: nl.ragged([np.array(k, "f4") for k in range(3)]),
    }[kind]()
    shared = nl.share(items, name=name)
    attached = nl.attach(name)
    again = nl.share(items, name=name)
    for found in (shared, attached, again):
        assert isinstance(found, nl.Items)
        assert (len(found), found.dtype) == (len(items), items.dtype)
        assert [x.tolist() if kind != "numbers" else x for x in found] == [
            x.tolist() if kind != "numbers" else x for x in items
        ]
    if items.dtype != "float64" and kind != "numbers":
        shared[0][...] = 99
        assert attached[0].tolist() == shared[0].tolist() == again[0].tolist()
        assert np.unique(attached[0].numpy()).tolist() == [99]
    del shared, attached, again, found
    with pytest.raises(TimeoutError):
        nl.attach(name, timeout=0)


def test_arrays_items_and_shards_have_one_name_together(name: str, peers: list[Peer]) -> None:
    labels = np.arange(4)
    fields = {
        "x": nl.ragged(RAGGED),
        "y": labels,
        "z": nl.view(labels)[::-1],
        "w": nl.subset(labels, [3, 1]),
    }
    shared: Any = nl.share(fields, name=name)
    assert list(shared) == list(fields)
    assert [x.tolist() for x in shared["x"]] == [x.tolist() for x in RAGGED]
    assert shared["z"].tolist() == [3, 2, 1, 0]
    assert shared["w"].tolist() == [3, 1]
    for peer in peers:
        peer(f"found = nl.attach({name!r})")
    assert {peer("found['x'].shapes.tolist()") for peer in peers} == {
        "[[2, 3], [4, 1], [1, 1], [3, 0]]"
    }
    peers[0]("found['x'][1][0, 0] = 77; found['y'][2] = 55")
    assert {peer("(found['x'][1].tolist(), found['y'].tolist())") for peer in peers} == {
        "([[77], [1], [2], [3]], [0, 1, 55, 3])"
    }
    assert shared["x"][1].tolist()[0] == [77]
    # The last holder of any part holds all.
    del shared
    peers[0]("part = found['x'][1]; del found")
    for peer in peers[1:]:
        peer("del found")
    assert nl.attach(name)["y"].tolist() == [0, 1, 55, 3]
    peers[0]("del part")
    with pytest.raises(TimeoutError):
        nl.attach(name, timeout=0)


def test_items_that_differ_from_those_under_the_name_are_an_error(name: str) -> None:
    shared = nl.share([nl.ragged(RAGGED)], name=name)
    told = (
        f'shared memory "{name}" holds [4 items of 2 axes, 11 elements of uint8], expected [2 items'
        " of 2 axes, 10 elements of uint8]"
    )
    with pytest.raises(ValueError, match=re.escape(told)):
        nl.share([nl.ragged(RAGGED[:2])], name=name)
    with pytest.raises(ValueError, match=r"expected \[uint8 \[11\], int64 \[4\], int64 \[4, 2\]\]"):
        nl.share([np.zeros(11, "u1"), np.zeros(4, "i8"), np.zeros((4, 2), "i8")], name=name)
    del shared


def test_items_that_a_function_loads_are_loaded_once(name: str, peers: list[Peer]) -> None:
    for peer in peers:
        peer("import time; import numpy as np; loads = []")
        peer("items = nl.ragged([np.full(k, k, 'u2') for k in (3, 1, 2)])")
        peer("load = lambda: loads.append(1) or time.sleep(0.3) or {'items': items}")
        peer.say(f"shared = nl.share(load, name={name!r})")
    assert {peer.answer() for peer in peers} == {"None"}
    assert sorted(peer("loads") for peer in peers) == ["[1]", "[]", "[]"]
    peers[0]("shared['items'][2][1] = 9")
    assert {peer("[x.tolist() for x in shared['items']]") for peer in peers} == {
        "[[3, 3, 3], [1], [2, 9]]"
    }


def test_only_the_first_creates_and_the_others_wait_for_it(name: str, peers: list[Peer]) -> None:
    for peer in peers:
        peer("import time; loads = []")
        # Slow, so that all come while it loads.
        peer("load = lambda: loads.append(1) or time.sleep(0.5) or {'x': bytes(range(9))}")
        peer.say(f"shared = nl.share(load, name={name!r})")
    assert {peer.answer() for peer in peers} == {"None"}
    assert sorted(peer("loads") for peer in peers) == ["[1]", "[]", "[]"]
    peers[0]("shared['x'][0] = 77")
    assert {peer("shared['x'].tolist()") for peer in peers} == {repr([77, *range(1, 9)])}
    assert {peer("list(shared)") for peer in peers} == {"['x']"}


def test_attach_waits_until_somebody_shares(name: str, peers: list[Peer]) -> None:
    waiting, creator, _ = peers
    waiting.say(f"x = nl.attach({name!r})")
    time.sleep(0.2)
    creator(f"x = nl.share(b'abc', name={name!r})")
    assert waiting.answer() == "None"
    assert waiting("x.tobytes()") == "b'abc'"


def test_where_the_creator_is_killed_while_it_loads_the_next_creates(
    name: str, peers: list[Peer]
) -> None:
    first, second, third = peers
    first("def load(): print('loading', flush=True); signal.pause()")
    first.say(f"x = nl.share(load, name={name!r})")
    assert first.answer() == "loading"
    second.say(f"x = nl.share(b'second', name={name!r})")
    third.say(f"x = nl.attach({name!r})")
    time.sleep(0.2)
    first.kill()
    assert second.answer() == "None"
    assert third.answer() == "None"
    assert third("x.tobytes()") == "b'second'"


def test_a_crash_at_any_moment_leaves_nothing_broken(name: str) -> None:
    """Creators and attachers are killed at random; the others find complete data or none."""
    script = """
        import sys, os
        import ndlens as nl
        print("go", flush=True)
        while True:
            view = nl.share(bytes([7]) * 3_000_000, name=sys.argv[1])
            assert view[0] == view[1_500_000] == view[-1] == 7
            del view
    """

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", textwrap.dedent(script), name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        return process

    draws = random.Random(0)
    processes = [start() for _ in range(3)]
    for _ in range(15):
        time.sleep(draws.random() * 0.05)
        victim = processes.pop(draws.randrange(3))
        assert victim.poll() is None, victim.communicate()
        victim.kill()
        victim.communicate()
        view = nl.share(bytes([7]) * 3_000_000, name=name, timeout=20)
        assert view.numpy().min() == 7
        del view
        processes.append(start())
    for process in processes:
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
    with pytest.raises(TimeoutError):
        nl.attach(name, timeout=0)


def test_the_memory_outlives_its_creator_and_goes_with_the_last(
    name: str, peers: list[Peer]
) -> None:
    creator, *others = peers
    creator(f"x = nl.share(b'abc', name={name!r})")
    for peer in others:
        peer(f"x = nl.attach({name!r})")
    creator.kill()
    assert nl.attach(name).tobytes() == b"abc"
    others[0].kill()
    # Who comes later finds it with whoever is left, and makes no other.
    assert nl.share(b"xyz", name=name).tobytes() == b"abc"
    others[1]("del x")
    assert nl.share(b"xyz", name=name).tobytes() == b"xyz"


def test_a_name_that_is_taken_for_other_arrays_says_what_it_holds(name: str) -> None:
    kept = nl.share({"a": np.zeros((2, 3), "f4"), "b": b"xyz"}, name=name)
    holds = f'shared memory "{name}" holds {{"a": float32 [2, 3], "b": uint8 [3]}}, expected '
    for obj, expected in (
        (b"xyz", "uint8 [3]"),
        ({"a": np.zeros((3, 2), "f4"), "b": b"xyz"}, '{"a": float32 [3, 2], "b": uint8 [3]}'),
        ({"a": np.zeros((2, 3), "f8"), "b": b"xyz"}, '{"a": float64 [2, 3], "b": uint8 [3]}'),
        ((np.zeros((2, 3), "f4"), b"xyz"), "(float32 [2, 3], uint8 [3])"),
        ([np.zeros((2, 3), "f4")], "[float32 [2, 3]]"),
    ):
        with pytest.raises(ValueError, match="^" + re.escape(holds + expected) + "$"):
            nl.share(obj, name=name)
    # A function is not called, so it says nothing of what it would return.
    assert list(nl.share(lambda: b"other", name=name)) == list(kept)


def test_names_that_cannot_be_are_refused() -> None:
    for bad in ("", "a b", "a/b", "ü", "a\0b", "x" * 65):
        for call in (lambda name: nl.share(b"", name=name), nl.attach):
            with pytest.raises(
                ValueError, match=r"^bad name .*: expected 1 to 64 ASCII letters, digits, dots, "
            ):
                call(bad)
    with pytest.raises(
        TypeError, match=r"^keys of arrays shared under a name must be strings, got 3$"
    ):
        nl.share({3: b""}, name="numbers")
    for timeout in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"^timeout must be at least 0, got "):
            nl.attach("never", timeout=timeout)


def test_waiting_ends_in_time(name: str, peers: list[Peer]) -> None:
    began = time.monotonic()
    with pytest.raises(
        TimeoutError, match=rf'^no process of this user shares "{name}" after 0.2 seconds$'
    ):
        nl.attach(name, timeout=0.2)
    assert 0.2 <= time.monotonic() - began < 5
    peers[0]("def load(): print('loading', flush=True); signal.pause()")
    peers[0].say(f"x = nl.share(load, name={name!r})")
    assert peers[0].answer() == "loading"
    message = rf'^another process is still creating the shared memory "{name}" after 0.2 seconds$'
    with pytest.raises(TimeoutError, match=message):
        nl.share(b"", name=name, timeout=0.2)


@pytest.mark.parametrize("call", ["nl.attach", "nl.share"])
def test_ctrl_c_ends_the_waiting(name: str, peers: list[Peer], call: str) -> None:
    creator = peers[0]
    creator("def load(): print('loading', flush=True); signal.pause()")
    creator.say(f"x = nl.share(load, name={name!r})")
    assert creator.answer() == "loading"
    script = f"""
        import _thread, os, signal, threading
        import ndlens as nl
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            {"nl.attach(" if call == "nl.attach" else "nl.share(b'', name="}{name!r}, timeout=50)
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert run(script) == (0, "interrupted\n", "")


def test_a_load_that_fails_leaves_the_name_free(name: str) -> None:
    def fails() -> bytes:
        raise RuntimeError("no data")

    with pytest.raises(RuntimeError, match=r"^no data$"):
        nl.share(fails, name=name)
    with pytest.raises(TypeError, match=r"nl\.view needs an object"):
        nl.share(lambda: 3, name=name)
    nothings: list[Any] = [{}, ()]
    for nothing in nothings:
        with pytest.raises(ValueError, match=rf'^nothing to share under the name "{name}": '):
            nl.share(nothing, name=name)
    assert nl.share(b"abc", name=name).tobytes() == b"abc"


def test_processes_that_a_load_forks_do_not_keep_the_name(name: str, peers: list[Peer]) -> None:
    creator, other, _ = peers
    creator(
        "def load(): globals()['child'] = os.fork() or (signal.pause(), os._exit(0)); return b'abc'"
    )
    creator(f"x = nl.share(load, name={name!r})")
    assert other(f"nl.attach({name!r}).tobytes()") == "b'abc'"
    creator("del x")
    # The child was forked before there was an arena, and lives; the name is free all the same.
    assert creator("os.kill(child, 0)") == "None"
    assert other(f"nl.share(b'xyz', name={name!r}).tobytes()") == "b'xyz'"
    creator("os.kill(child, signal.SIGKILL), os.waitpid(child, 0)")


def test_threads_of_one_process_share_one_copy(name: str) -> None:
    loads: list[int] = []
    views: list[nl.View] = []

    def load() -> bytes:
        loads.append(1)
        time.sleep(0.1)
        return b"abc"

    threads = [
        threading.Thread(target=lambda: views.append(nl.share(load, name=name))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert all(nl.shares_memory(view, views[0]) for view in views)


def test_more_memory_than_there_is_leaves_the_name_free(name: str) -> None:
    with pytest.raises(MemoryError):
        nl.share(lambda: np.broadcast_to(np.uint8(0), 2**45), name=name)
    assert nl.share(b"abc", name=name).tobytes() == b"abc"
