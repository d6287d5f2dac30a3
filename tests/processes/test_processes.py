"""Views of one memory in many processes, by every way to start them and to send views."""

from __future__ import annotations

import pickle
import signal
from pathlib import Path

import numpy as np
import pytest
from tests.helpers.left_out import forks_beside_threads
from tests.helpers.programs import Peer, arenas_held, run, run_file

import ndlens as nl

START_METHODS = ["fork", "spawn", "forkserver"]

# What workers do; a program of its own, since processes that are spawned import it.
POOLS = """
    import concurrent.futures
    import multiprocessing
    import os
    import sys

    import ndlens as nl

    def total(view):
        return sum(view[:100].tolist())

    def double(view):
        for i in range(len(view)):
            view[i] = 2 * view[i]

    def make(n):
        return nl.share(bytes([n]) * 10), nl.share(bytes([n]) * 3_000_000)

    def descriptors(views):
        links = [os.path.realpath(f"/proc/self/fd/{d}") for d in os.listdir("/proc/self/fd")]
        return len(views), sum(link.startswith("/memfd:ndlens") for link in links)

    def pass_on(view, context):
        # A process of a process, with what this one was given.
        with multiprocessing.get_context(context).Pool(1) as pool:
            return pool.apply(total, (view[1:],))

    def refuses(view):
        try:
            view[0] = 1
        except nl.ReadOnlyError:
            return True

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with context.Pool(2) as pool:
            # Handed over and forgotten: nobody here keeps what is sent.
            assert pool.map(total, [nl.share(bytes([i]) * 100) for i in range(9)]) == [
                100 * i for i in range(9)
            ]
            results = [
                pool.apply_async(total, (nl.share(bytes([i]) * 2_000_000),)) for i in range(9)
            ]
            assert [result.get() for result in results] == [100 * i for i in range(9)]
            # Made in a worker, and not kept there.
            for n, (small, large) in enumerate(pool.imap(make, range(9))):
                assert (small[0], large[-1]) == (n, n)
            shared = nl.share(bytes(range(10)))
            pool.apply(double, (shared[2:5],))
            assert shared.tolist() == [0, 1, 4, 6, 8, 5, 6, 7, 8, 9]
            assert pool.apply(refuses, (shared.toreadonly(),))
            views = [nl.share(bytes(100)) for _ in range(5000)]
            count, held = pool.apply(descriptors, (views,))
            assert count == 5000 and held <= 16, (count, held)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            assert list(executor.map(total, (nl.share(bytes([i]) * 9) for i in range(9)))) == [
                9 * i for i in range(9)
            ]
            assert [large[5] for _, large in executor.map(make, range(9))] == list(range(9))
            assert executor.submit(pass_on, shared, sys.argv[1]).result() == sum(
                shared[1:].tolist()
            )
        print("done")
"""

QUEUES = """
    import multiprocessing
    import sys
    import time

    import ndlens as nl

    def put(queue):
        queue.put(nl.share(b"small"))
        queue.put([nl.share(b"large" * 500_000), nl.share(b"more")])

    def put_inherited(queue, view):
        queue.put(view[1:])

    def relay(source, target, seconds):
        time.sleep(seconds)
        target.put(source.get())

    def look(view, queue):
        queue.put(view.tobytes())

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        queue = context.Queue()
        # A worker is done before anyone looks at what it sent.
        worker = context.Process(target=put, args=(queue,))
        worker.start()
        time.sleep(0.7)
        assert queue.get().tobytes() == b"small"
        large, more = queue.get()
        assert (large.nbytes, more.tobytes()) == (2_500_000, b"more")
        worker.join()
        assert worker.exitcode == 0
        assert large[-1] == ord("e")

        shared = nl.share(b"abc")
        worker = context.Process(target=put_inherited, args=(queue, shared))
        worker.start()
        began = time.monotonic()
        worker.join()
        # It need not wait for a receipt: this process holds the memory too.
        assert time.monotonic() - began < 5
        assert nl.shares_memory(queue.get(), shared)

        # An argument nobody keeps.
        worker = context.Process(target=look, args=(nl.share(b"argument"), queue))
        worker.start()
        assert queue.get() == b"argument"
        worker.join()

        # Passed on by one who is done, to one who has not seen it.
        other = context.Queue()
        passes = context.Process(target=relay, args=(queue, other, 0))
        reads = context.Process(target=relay, args=(other, queue, 0.7))
        passes.start()
        reads.start()
        queue.put(nl.share(b"relayed"))
        passes.join()
        reads.join()
        assert queue.get().tobytes() == b"relayed"
        print("done")
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_pools_and_executors_send_handles_both_ways(tmp_path: Path, method: str) -> None:
    assert run_file(tmp_path, POOLS, method) == (0, "done\n", "")


@pytest.mark.parametrize("method", START_METHODS)
def test_what_a_worker_sent_outlives_it(tmp_path: Path, method: str) -> None:
    assert run_file(tmp_path, QUEUES, method) == (0, "done\n", "")


def test_views_that_were_made_before_multiprocessing_came_are_held_on_their_way(
    tmp_path: Path,
) -> None:
    script = """
        import ndlens as nl

        def total(views):
            return sum(view[0] for view in views)

        if __name__ == "__main__":
            views = [nl.share(bytes([i]) * 2_000_000) for i in range(5)]
            import multiprocessing, time
            connection, other = multiprocessing.get_context("spawn").Pipe()
            connection.send(views)
            del views
            assert total(other.recv()) == 10
            print("done")
    """
    assert run_file(tmp_path, script) == (0, "done\n", "")


def test_a_sender_lets_go_of_what_was_received(tmp_path: Path) -> None:
    script = """
        import multiprocessing
        import os
        import ndlens as nl

        def held():
            links = [os.path.realpath(f"/proc/self/fd/{d}") for d in os.listdir("/proc/self/fd")]
            return sum(link.startswith("/memfd:ndlens") for link in links)

        one, other = multiprocessing.Pipe()
        for i in range(5):
            one.send(nl.share(bytes(2_000_000)))
        assert held() == 5
        for i in range(5):
            assert other.recv().nbytes == 2_000_000
        # It looks whenever it sends something.
        one.send(nl.share(b""))
        assert held() <= 1, held()
        # What nobody will receive is held too: for an hour.
        one.send(nl.share(bytes(2_000_000)))
        assert held() >= 1
    """
    assert run(script) == (0, "", "")


def test_a_plain_pickle_holds_nothing() -> None:
    before = arenas_held()
    stream = pickle.dumps(nl.share(np.zeros(3_000_000, "u1")))
    assert arenas_held() == before
    with pytest.raises(
        nl.StaleHandleError,
        match=(
            r"^shared memory of process \d+ is gone: keep the view alive there until it has been"
            r" unpickled here$"
        ),
    ):
        pickle.loads(stream)


def test_unrelated_processes_share_through_a_file_while_the_owner_lives(tmp_path: Path) -> None:
    path = str(tmp_path / "pickle")
    load = f"pickle.load(open({path!r}, 'rb'))"
    with Peer() as owner, Peer() as first, Peer() as late:
        owner("shared = nl.share(bytes(range(100)))")
        owner(f"pickle.dump(shared[10:20], open({path!r}, 'wb'))")
        assert first(f"x = {load}") == "None"
        first("x[0] = 99")
        assert owner("shared[10]") == "99"
        # Passed on: a handle names who made it.
        first(f"pickle.dump(x[1:], open({path!r}, 'wb'))")
        owner.kill()
        assert first("x[1]") == "11"
        assert late(f"{load}.tolist()") == repr(list(range(11, 20)))
        first.kill()
        assert (
            late(load) == f"StaleHandleError: shared memory of process {first.pid} is gone: "
            "keep the view alive there until it has been unpickled here"
        )


def test_a_descriptor_that_now_is_another_program_s_is_not_opened(tmp_path: Path) -> None:
    path = str(tmp_path / "pickle")
    with Peer() as owner, Peer() as reader:
        owner("shared = nl.share(bytes(3_000_000))")
        owner(f"pickle.dump(shared, open({path!r}, 'wb'))")
        number = owner(
            "int([d for d in os.listdir('/proc/self/fd') "
            "if os.path.realpath(f'/proc/self/fd/{d}').startswith('/memfd:ndlens')][0])"
        )
        for other in ("os.pipe()[0]", "os.open('/dev/null', 0)", "os.memfd_create('ndlens')"):
            owner(f"os.dup2({other}, {number})")
            answer = reader(f"pickle.load(open({path!r}, 'rb'))")
            assert answer.startswith(
                f"StaleHandleError: shared memory of process {owner.pid} is gone"
            )
        # And who lost it says so at once.
        assert owner("pickle.dumps(shared)").startswith(
            "StaleHandleError: shared memory of process"
        )


def test_a_forked_child_does_not_put_arrays_where_its_parent_does() -> None:
    script = """
        import os
        import ndlens as nl

        before = nl.share(b"parent")
        read, write = os.pipe()
        back_read, back_write = os.pipe()
        child = os.fork()
        if child == 0:
            mine = [nl.share(b"child %03d" % i) for i in range(100)]
            os.write(write, b".")
            os.read(back_read, 1)
            same = [bytes(view.tobytes()) for view in mine] == [
                b"child %03d" % i for i in range(100)
            ]
            os._exit(0 if same and before.tobytes() == b"PARENT" else 1)
        os.read(read, 1)
        theirs = [nl.share(b"parent %03d" % i) for i in range(100)]
        before[...] = b"PARENT"
        os.write(back_write, b".")
        assert os.waitpid(child, 0)[1] == 0
        assert [view.tobytes() for view in theirs] == [b"parent %03d" % i for i in range(100)]
    """
    assert run(script) == (0, "", "")


@forks_beside_threads
def test_a_fork_while_another_thread_shares_does_no_harm() -> None:
    script = """
        import os, pickle, threading, warnings
        import ndlens as nl

        # That is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        done = threading.Event()
        kept = nl.share(b"kept")
        stream = pickle.dumps(kept)

        def work():
            while not done.is_set():
                pickle.loads(pickle.dumps(nl.share(bytes(100))))
                nl.share(bytes(10), name=f"fork-{os.getpid()}")

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            child = os.fork()
            if child == 0:
                ok = (
                    pickle.loads(stream).tobytes() == b"kept"
                    and nl.share(b"new").tobytes() == b"new"
                )
                ok = ok and nl.share(b"named", name=f"fork-{os.getpid()}").tobytes() == b"named"
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
        done.set()
        for thread in threads:
            thread.join()
    """
    assert run(script) == (0, "", "")


def test_loky_workers_take_and_give_views(tmp_path: Path) -> None:
    script = """
        import joblib
        import ndlens as nl

        def work(view):
            return int(view[0]), nl.share(bytes([view[0]]) * 2_000_000)

        if __name__ == "__main__":
            jobs = (joblib.delayed(work)(nl.share(bytes([i]) * 10)) for i in range(6))
            results = joblib.Parallel(n_jobs=2)(jobs)
            assert [(number, view[-1]) for number, view in results] == [(i, i) for i in range(6)]
            from joblib.externals.loky import get_reusable_executor
            get_reusable_executor().shutdown(wait=True)
            print("done")
    """
    status, out, error = run_file(tmp_path, script)
    assert (status, out) == (0, "done\n"), error


def test_torch_multiprocessing_and_data_loader_workers_take_views(tmp_path: Path) -> None:
    script = """
        import warnings

        import torch
        import torch.multiprocessing
        from torch.utils.data import DataLoader, Dataset
        import ndlens as nl

        class Images(Dataset):
            def __init__(self, shared, mapped):
                self.shared, self.mapped = shared, mapped

            def __len__(self):
                return len(self.shared)

            def __getitem__(self, i):
                return self.shared[i].torch().clone(), self.mapped[i].torch().clone()

        def work(queue, view):
            view[0] = 7
            queue.put(nl.share(b"back"))

        if __name__ == "__main__":
            import numpy as np
            np.save("images.npy", np.arange(48.0).reshape(8, 6))
            shared = nl.share(np.arange(48.0).reshape(8, 6))
            dataset = Images(shared, nl.open("images.npy"))
            for method in ("fork", "spawn"):
                loader = DataLoader(
                    dataset, batch_size=4, num_workers=1, multiprocessing_context=method
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    batches = [(s + m).tolist() for s, m in loader]
                assert sum(batches, []) == (2 * np.arange(48.0).reshape(8, 6)).tolist(), batches
            context = torch.multiprocessing.get_context("fork")
            queue, view = context.Queue(), nl.share(bytes(3))
            worker = context.Process(target=work, args=(queue, view))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                worker.start()
            assert queue.get().tobytes() == b"back" and view[0] == 7
            worker.join()
            print("done")
    """
    status, out, error = run_file(tmp_path, script)
    assert (status, out) == (0, "done\n"), error


def test_killing_a_worker_harms_nobody() -> None:
    with Peer() as owner, Peer() as worker:
        owner("x = nl.share(bytes(3_000_000), name=f'worker-{os.getpid()}')")
        worker(f"x = nl.attach('worker-{owner.pid}')")
        worker.process.send_signal(signal.SIGKILL)
        assert worker.process.wait() == -signal.SIGKILL
        assert owner("x[0] + nl.share(bytes(3))[0]") == "0"
