"""The interpreter ends as it should, whatever ndlens does in its threads; forks amid imports."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.left_out import forks_beside_threads
from tests.helpers.programs import run
from tests.stress.exits import WAYS, end
from tests.stress.random_exits import end_at_random


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=forks_beside_threads if "forked" in name else ()) for name in WAYS],
)
def test_a_process_ends_cleanly(name: str, tmp_path: Path) -> None:
    # `make exits` runs each five times.
    assert end(WAYS[name], tmp_path) == ""


@pytest.mark.parametrize("seed", range(8))
def test_a_process_that_ends_at_any_moment_leaves_nothing_half_made(seed: int) -> None:
    # `make exits` runs 200.
    _, wrong = end_at_random(seed)
    assert wrong == ""


def test_a_gate_that_atexit_only_forgets_does_not_close() -> None:
    # As multiprocessing's children do since Python 3.13.
    script = """
        import atexit, threading
        import ndlens as nl

        atexit._clear()
        batches = []
        thread = threading.Thread(
            target=lambda: batches.extend(nl.Loader(bytes(8), batch_size=4, output="view"))
        )
        thread.start()
        thread.join(20)
        assert len(batches) == 2
    """
    assert run(script) == (0, "", "")


def test_a_thread_that_is_inside_for_good_delays_the_end_and_does_not_prevent_it() -> None:
    script = """
        import os, threading, time
        import ndlens as nl

        inside = threading.Event()
        def never():
            inside.set()
            time.sleep(60)
        threading.Thread(
            target=lambda: nl.share(never, name=f"never-{os.getpid()}"), daemon=True
        ).start()
        inside.wait()
    """
    assert run(script, timeout=40) == (0, "", "")


FORK = """
    import os, signal, sys, threading, time, warnings
    import numpy as np
    import ndlens as nl
    from ndlens import transforms as T

    warnings.simplefilter("ignore", DeprecationWarning)
    images = np.zeros((4, 9, 9, 3), "u1")

    def work():
        loader = nl.Loader(images, transforms=[T.RandomCrop(4)], output="numpy", return_params=True)
        assert len(list(loader)) == 4
        assert nl.view(nl.share(images)).cast("B").shape == (972,)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(float(sys.argv[1]))
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        work()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    thread.join()
    sys.exit(status and "the child hangs" if status == -signal.SIGALRM else status)
"""


@pytest.mark.parametrize("milliseconds", [0, 0.2, 0.5, 1, 1.5, 2, 3, 5])
def test_a_child_forked_while_another_thread_makes_its_first_loader_can_make_one(
    milliseconds: float,
) -> None:
    assert run(FORK, str(milliseconds / 1000)) == (0, "", "")


def test_nothing_is_imported_after_import_ndlens() -> None:
    script = """
        import pickle, sys, tempfile
        import numpy as np
        import ndlens as nl
        from ndlens import transforms as T

        before = set(sys.modules)
        images = np.zeros((4, 9, 9, 3), "u1")
        options = dict(transforms=[T.RandomCrop(4), T.ToDtype("bfloat16")], output="view")
        batches = list(
            nl.Loader(images, num_workers=2, return_params=True, weights=np.ones(4), **options)
        )
        batches += list(nl.Loader(images, sampler=[0, 1], mix=None, **options))
        nl.Loader(images)
        shared = nl.share({"x": images}, name=f"imports-{id(before)}")
        assert pickle.loads(pickle.dumps(shared["x"], protocol=5)).tolist() == images.tolist()
        assert pickle.loads(pickle.dumps(nl.view(images), protocol=5)).tolist() == images.tolist()
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
            nl.save(file.name, {"x": images})
            nl.open(file.name)["x"].numpy()
        nl.view(bytes(4)).cast("h")
        try:
            nl.view(b"").torch(readonly="nonsense")
        except ValueError:
            pass
        for late in set(sys.modules) - before:
            # What `tempfile` imports itself, when it is first asked.
            assert not late.startswith(("ndlens", "importlib", "json", "struct")), late
    """
    assert run(script) == (0, "", "")
