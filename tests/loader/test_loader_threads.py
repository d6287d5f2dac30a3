"""What `nl.Loader` promises of threads, Ctrl-C, forks and files that shrink."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.left_out import forks_beside_threads
from tests.helpers.loading import (
    eventually,
    order,
    pictures,
    run_python,
    succeeds,
    workers_alive,
)

import ndlens as nl

# Threads.


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_leaving_a_loop_early_ends_its_threads_and_the_next_epoch_is_whole(workers: int) -> None:
    assert eventually(lambda: workers_alive() == 0)
    loader = nl.Loader(np.arange(1000), batch_size=2, num_workers=workers)
    for number, _batch in enumerate(loader):
        if number == 3:
            assert eventually(lambda: workers_alive() == workers)
            break
    assert eventually(lambda: workers_alive() == 0)
    assert sum(len(batch) for batch in loader) == 1000
    assert eventually(lambda: workers_alive() == 0)


def test_threads_end_with_the_last_batch_though_the_epoch_is_kept() -> None:
    assert eventually(lambda: workers_alive() == 0)
    epoch = iter(nl.Loader(np.arange(10), num_workers=3))
    assert workers_alive() == 0
    next(epoch)
    assert eventually(lambda: workers_alive() == 3)
    assert len(list(epoch)) == 9
    assert eventually(lambda: workers_alive() == 0)
    assert list(epoch) == []


def test_an_epoch_left_after_its_first_batch_ends_too() -> None:
    assert eventually(lambda: workers_alive() == 0)
    for _ in range(20):
        next(iter(nl.Loader(pictures(), batch_size=3, num_workers=4, prefetch_factor=8)))
    assert eventually(lambda: workers_alive() == 0)


def test_workers_are_named_so_that_tools_show_them() -> None:
    epoch = iter(nl.Loader(np.arange(10), num_workers=2))
    next(epoch)

    def names() -> set[str]:
        return {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}

    # A thread names itself, a moment after it started.
    assert eventually(lambda: names() >= {"ndlens-0", "ndlens-1"})
    del epoch


@pytest.mark.parametrize("workers", [0, 2])
def test_two_epochs_of_one_loader_may_run_at_once(workers: int) -> None:
    def loader() -> nl.Loader:
        return nl.Loader(
            np.arange(500), batch_size=7, shuffle=True, num_workers=workers, output="numpy"
        )

    expected = loader()
    first, second = (list(expected), list(expected))
    mine = loader()
    pairs = list(zip(mine, mine, strict=True))
    assert [one.tolist() for one, _ in pairs] == [batch.tolist() for batch in first]
    assert [other.tolist() for _, other in pairs] == [batch.tolist() for batch in second]


def in_threads(count: int, work: Callable[[int], object]) -> list[Any]:
    results: list[Any] = [None] * count

    def run(at: int) -> None:
        try:
            results[at] = work(at)
        except BaseException as error:
            results[at] = error

    running = [threading.Thread(target=run, args=(at,)) for at in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return results


@pytest.mark.parametrize("workers", [0, 3])
def test_one_epoch_shared_by_threads_gives_each_batch_once(workers: int) -> None:
    epoch = iter(nl.Loader(np.arange(3000), batch_size=3, num_workers=workers, output="view"))
    results = in_threads(6, lambda _: [batch.tolist() for batch in epoch])
    assert sorted(itertools.chain(*results)) == [[i, i + 1, i + 2] for i in range(0, 3000, 3)]


def test_one_loader_serves_many_threads_an_epoch_each() -> None:
    loader = nl.Loader(np.arange(400), batch_size=9, shuffle=True, num_workers=2)
    expected = [order(loader) for _ in range(6)]
    loader.set_epoch(0)
    results = in_threads(6, lambda _: order(loader))
    assert sorted(results) == sorted(expected)


def test_an_epoch_may_be_dropped_by_another_thread_than_the_one_that_began_it() -> None:
    assert eventually(lambda: workers_alive() == 0)
    epochs = [iter(nl.Loader(pictures(), batch_size=3, num_workers=2)) for _ in range(5)]
    in_threads(5, lambda _: next(epochs.pop()).sum())
    assert epochs == []
    assert eventually(lambda: workers_alive() == 0)


INTERRUPTED = """
    import os, signal, sys, threading, time
    import numpy as np, ndlens as nl
    rows = np.broadcast_to(np.zeros(1, np.uint8), (10**12, 1))
    loader = nl.Loader(
        rows, batch_size=int(sys.argv[2]), num_workers=int(sys.argv[1]), output="view"
    )
    def interrupt():
        time.sleep(0.2)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    sent = []
    threading.Thread(target=interrupt).start()
    try:
        for batch in loader:
            pass
    finally:
        print(f"{time.monotonic() - sent[0]:.3f}")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_ctrl_c_ends_a_long_epoch_at_once(workers: str) -> None:
    done = run_python(INTERRUPTED, workers, "4")
    assert done.stderr.rstrip().endswith("KeyboardInterrupt"), done.stderr
    assert "Traceback" in done.stderr
    assert float(done.stdout) < 0.5
    # Python dies of the signal it was sent.
    assert done.returncode == -2


def test_ctrl_c_ends_the_wait_for_a_long_batch() -> None:
    # Some seconds of work; dropping the epoch waits for the chunk in hand, which is a small part of
    # it.
    done = run_python(INTERRUPTED, "2", "400000000")
    assert done.stderr.rstrip().endswith("KeyboardInterrupt"), done.stderr
    assert float(done.stdout) < 1.0
    assert done.returncode == -2


FORKED = """
    import os, signal, sys
    import numpy as np, ndlens as nl
    workers = int(sys.argv[1])
    loader = nl.Loader(np.arange(5000), batch_size=2, num_workers=workers, output="view")
    epoch = iter(loader)
    first = next(epoch).tolist()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        print(len(epoch))
        try:
            print(next(epoch).tolist())
        except Exception as error:
            print(type(error).__name__, error)
            print(next(epoch, "over"))
        print(sum(len(batch) for batch in loader), flush=True)
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert first == [0, 1]
    print("child", status, "parent", sum(len(batch) for batch in epoch))
"""


@pytest.mark.parametrize("workers", ["1", "2", "7"])
def test_an_epoch_that_crossed_a_fork_says_so_and_a_new_one_works(workers: str) -> None:
    assert succeeds(FORKED, workers).splitlines() == [
        "0",
        (
            "RuntimeError this epoch was started before a fork and its worker threads are in the"
            " parent; start a new one here"
        ),
        "over",
        "5000",
        "child 0 parent 4998",
    ]


def test_an_epoch_without_workers_goes_on_after_a_fork() -> None:
    assert succeeds(FORKED, "0").splitlines() == ["2499", "[2, 3]", "5000", "child 0 parent 4998"]


def test_a_fork_while_workers_are_busy_leaves_a_loader_that_works() -> None:
    # A worker may hold any lock at the moment of the fork; the child must not wait for it.
    program = """
        import os, signal
        import numpy as np, ndlens as nl
        loader = nl.Loader(
            np.arange(10**6), batch_size=1, num_workers=7, prefetch_factor=64, output="view"
        )
        small = []
        for trial in range(150):
            epoch = iter(loader)
            for _ in range(trial % 40):
                next(epoch)
            child = os.fork()
            if child == 0:
                signal.alarm(5)
                new = iter(loader)
                assert next(new).tolist() == [0]
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status == 0, f"trial {trial}: the child ended with {status}"
    """
    succeeds(program)


def test_a_fork_while_another_thread_waits_for_a_batch_says_so_too() -> None:
    program = """
        import os, signal, sys, threading, time
        import numpy as np, ndlens as nl
        rows = np.broadcast_to(np.zeros(1, np.uint8), (10**9, 1))
        epoch = iter(nl.Loader(rows, batch_size=10**8, num_workers=1, output="view"))
        threading.Thread(target=next, args=(epoch,), daemon=True).start()
        time.sleep(0.12)  # between two looks for Ctrl-C
        child = os.fork()
        if child == 0:
            signal.alarm(2)
            try:
                next(epoch)
            except Exception as error:
                print(str(error)[:36], flush=True)
            del epoch
            os._exit(0)
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        os._exit(0)
    """
    assert succeeds(program) == "this epoch was started before a fork\nchild 0\n"


def test_an_epoch_that_another_thread_was_beginning_at_a_fork_says_so_too() -> None:
    program = """
        import os, signal, sys, threading
        import numpy as np, ndlens as nl
        reads, goes_on = threading.Event(), threading.Event()
        class Slow:
            def __iter__(self):
                reads.set()
                goes_on.wait()
                return iter(range(8))
        epoch = iter(nl.Loader(np.arange(8), batch_size=8, sampler=Slow(), output="view"))
        taken = []
        thread = threading.Thread(target=lambda: taken.extend(epoch))
        thread.start()
        reads.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(2)
            try:
                print("batches", len(list(epoch)), flush=True)
            except Exception as error:
                print(str(error)[:36], flush=True)
            os._exit(0)
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        goes_on.set()
        thread.join()
        print(taken[0].tolist())
    """
    said = "this epoch was started before a fork\nchild 0\n[0, 1, 2, 3, 4, 5, 6, 7]\n"
    assert succeeds(program) == said


# Files that shrink.


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_file_that_shrinks_under_an_epoch_ends_it_with_an_error_that_names_it(
    workers: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(40 * 4096, dtype=np.uint8).reshape(40, 4096))
    program = """
        import os, sys, time
        import ndlens as nl
        path, workers = sys.argv[1], int(sys.argv[2])
        fields = {"label": bytes(40), "image": nl.open(path)}
        loader = nl.Loader(
            fields, batch_size=4, num_workers=workers, prefetch_factor=2, output="numpy"
        )
        epoch = iter(loader)
        batches = [next(epoch)]
        time.sleep(0.3)  # the workers are two batches ahead and wait
        os.truncate(path, 5000)
        try:
            for batch in epoch:
                batches.append(batch)
        except nl.TruncatedError as error:
            print(len(batches), error)
        assert list(epoch) == []
        print("over")
        try:
            next(iter(loader))
        except nl.TruncatedError as error:
            print(error)
    """
    made = 1 if workers == "0" else 3

    def refusal(item: int) -> str:
        end = 128 + (item + 1) * 4096
        reason = (
            f"{path}: file has 5000 bytes, expected at least {end}: it was truncated while mapped"
        )
        return f'field "image", item {item}: {reason}'

    # Item 0 is still all there.
    expected = [f"{made} {refusal(made * 4)}", "over", refusal(1)]
    assert succeeds(program, str(path), workers).splitlines() == expected


def test_asking_how_much_is_left_never_waits_for_the_thread_that_takes_it() -> None:
    program = """
        import operator, threading
        import ndlens as nl
        for workers in (0, 2):
            for _ in range(200):
                # The loader is gone at once: the end of the epoch is also the end of the
                # bytearray's export.
                epoch = iter(
                    nl.Loader(bytearray(64), batch_size=4, num_workers=workers, output="view")
                )
                stop = threading.Event()
                def ask():
                    while not stop.is_set():
                        operator.length_hint(epoch)
                asker = threading.Thread(target=ask)
                asker.start()
                for _ in epoch:
                    pass
                stop.set()
                asker.join()
        print("done")
    """
    assert succeeds(program) == "done\n"


@forks_beside_threads
def test_forks_while_threads_use_a_loader_leave_it_working_in_every_child() -> None:
    program = """
        import os, signal, threading
        import numpy as np, ndlens as nl
        loader = nl.Loader(np.arange(4096, dtype=np.uint8), batch_size=2, output="view")
        kept = next(iter(loader))
        stop = threading.Event()
        def use():
            while not stop.is_set():
                for batch in loader:
                    pass
        threads = [threading.Thread(target=use) for _ in range(2)]
        for thread in threads:
            thread.start()
        failures = 0
        for _ in range(400):
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                good = next(iter(loader)).tolist() == [0, 1]
                del kept
                os._exit(0 if good else 1)
            failures += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        stop.set()
        for thread in threads:
            thread.join()
        print(failures)
    """
    assert succeeds(program) == "0\n"


def test_a_loader_in_the_middle_of_an_epoch_works_on_both_sides_of_a_thousand_forks() -> None:
    # At each fork workers and a thread that iterates may hold any lock.
    program = """
        import os, signal, threading
        import numpy as np, ndlens as nl
        rows = np.arange(10**6)
        loader = nl.Loader(rows, batch_size=2, num_workers=2, prefetch_factor=16, output="view")
        epoch = iter(loader)
        stop = threading.Event()
        def use():
            while not stop.is_set():
                for _, _batch in zip(range(50), loader):
                    pass
        user = threading.Thread(target=use)
        user.start()
        failures = []
        for trial in range(1000):
            assert next(epoch).tolist() == [2 * trial, 2 * trial + 1]
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                good = next(iter(loader)).tolist() == [0, 1] and len(epoch) == 0
                os._exit(0 if good else 1)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status != 0:
                failures.append((trial, status))
        stop.set()
        user.join()
        print(
            failures,
            sum(len(batch) for batch in nl.Loader(rows[:100], batch_size=3, num_workers=2)),
        )
    """
    done = run_python(program, timeout=110)
    assert (done.stdout, done.returncode) == ("[] 100\n", 0), done.stderr
