"""Maps hold no descriptor: any number of files can be open; and other limits."""

from __future__ import annotations

import os
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest
from tests.helpers.programs import Peer, run

import ndlens as nl


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "array.npy"
    np.save(path, np.arange(10_000, dtype=np.uint8))
    return path


def test_thousands_of_shards_open_under_a_small_limit_of_descriptors_and_load_in_workers(
    tmp_path: Path,
) -> None:
    script = """
    import resource, sys
    import numpy as np
    import ndlens as nl
    directory, files = sys.argv[1], 3000
    for i in range(files):
        np.save(f"{directory}/{i}.npy", np.full((2, 5), i, np.int32))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    shards = nl.open(directory + "/*.npy")
    assert shards.shape == (2 * files, 5), shards
    loader = nl.Loader(shards, batch_size=100, shuffle=True, num_workers=2, output="numpy")
    assert sum(int(batch.sum()) for batch in loader) == 10 * sum(range(files))
    views = [nl.open(f"{directory}/{i}.npy", mode) for i in range(100) for mode in ("r", "c", "r+")]
    assert sum(int(view.numpy().sum()) for view in views) == 3 * 10 * sum(range(100))
    print("done")
    """
    assert run(script, str(tmp_path)) == (0, "done\n", "")


def test_the_limit_of_descriptors_is_named_where_it_is_reached(path: Path) -> None:
    script = """
    import os, resource, sys
    import ndlens as nl
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        nl.open(sys.argv[1])
    except OSError as error:
        print(error.errno, error.filename == sys.argv[1], error.strerror)
    """
    text = (
        "24 True Too many open files; this process has as many descriptors as `ulimit -n` allows:"
        " raise it, or close some of them\n"
    )
    assert run(script, str(path)) == (0, text, "")


def test_descriptors_of_a_program_that_closes_all_stay_open_and_are_not_asked(path: Path) -> None:
    script = """
    import gc, os, sys
    import ndlens as nl
    view = nl.open(sys.argv[1], "r")
    os.closerange(3, 100)
    others = [os.open(name, os.O_RDONLY) for name in (sys.argv[1], "/dev/null") * 20]
    assert view[15] == 15
    os.truncate(sys.argv[1], 5000)
    try:
        view[15]
    except nl.TruncatedError:
        print("truncated")
    del view
    gc.collect()
    assert all(os.fstat(other) for other in others)
    """
    assert run(script, str(path)) == (0, "truncated\n", "")


def test_a_lock_on_a_file_outlives_the_views_of_it(path: Path) -> None:
    script = """
    import fcntl, gc, os, sys
    import ndlens as nl

    def is_locked():
        child = os.fork()
        if child == 0:
            with open(sys.argv[1], "r+b") as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os._exit(1)
                os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1

    file = open(sys.argv[1], "r+b")
    views = [nl.open(sys.argv[1], mode) for mode in ("r", "c", "r+")]
    fcntl.lockf(file, fcntl.LOCK_EX)
    assert is_locked()
    assert [view[15] for view in views] == [15] * 3
    assert is_locked()
    del views
    gc.collect()
    print(is_locked())
    file.close()
    """
    assert run(script, str(path)) == (0, "True\n", "")


# Truncation, without a descriptor.


def test_a_moved_file_is_still_the_one_that_is_asked_about(path: Path, tmp_path: Path) -> None:
    view = nl.open(path, "r")
    moved = tmp_path / "line\nfeed and (deleted)"
    path.rename(moved)
    view.verify()
    assert pickle.loads(pickle.dumps(view)).tolist() == view.tolist()
    np.save(path, np.zeros(3))
    view.verify()
    with Peer() as peer:
        assert (
            peer(
                f"pickle.loads({pickle.dumps(view)!r}).tolist() == list(range(256)) * 39 +"
                " list(range(16))"
            )
            == "True"
        )
    view.drop_cache()
    view.prefetch()
    os.truncate(moved, 5000)
    with pytest.raises(
        nl.TruncatedError, match=r"array\.npy: file has 5000 bytes, expected at least 10128"
    ):
        view.tolist()


def test_another_working_directory_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    view = nl.open(path.name)
    monkeypatch.chdir("/")
    view.verify()
    assert pickle.loads(pickle.dumps(view))[3] == 3
    os.truncate(path, 5000)
    with pytest.raises(nl.TruncatedError, match=r"^array\.npy: file has 5000 bytes"):
        view.verify()


def test_of_a_replaced_file_that_is_cut_lost_pages_are_noticed(path: Path, tmp_path: Path) -> None:
    view = nl.open(path, "r")
    with path.open("r+b") as old:
        nl.save(path, np.zeros(3))
        view.verify()
        assert view.tolist()[-1] == 15
        with pytest.raises(
            nl.StaleHandleError, match="the file was replaced or deleted since it was opened"
        ):
            pickle.dumps(view)
        with pytest.raises(OSError, match="the file was replaced or deleted"):
            view.drop_cache()
        old.truncate(4096)
        with pytest.raises(nl.TruncatedError, match="pages were lost while mapped"):
            view.verify()
        with pytest.raises(nl.TruncatedError, match="pages were lost while mapped"):
            view.tolist()


def test_a_file_without_a_path_keeps_its_descriptor() -> None:
    descriptor = os.memfd_create("array")
    with os.fdopen(descriptor, "r+b") as file:
        np.save(file, np.arange(1000))
        file.flush()
        view = nl.open(f"/proc/self/fd/{descriptor}", "r")
    assert view.tolist() == list(range(1000))
    view.verify()


# Memory that the system does not set aside.


def limited(script: str, path: Path) -> tuple[int, str, str]:
    """A program in which no private map of a file of 64 MB fits; `large` is such a file."""
    prelude = """
    import resource, sys
    import numpy as np
    import ndlens as nl
    large = sys.argv[1]
    with open(large, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (64 << 20,)}
        )
        file.truncate(128 + (64 << 20))
    with open("/proc/self/status") as status:
        data = int(next(line for line in status if line.startswith("VmData")).split()[1]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (data + (32 << 20), resource.RLIM_INFINITY))
    """
    return run(prelude + script, str(path))


def test_mode_r_opens_what_numpy_opens_where_private_memory_is_limited(tmp_path: Path) -> None:
    script = """
    assert np.load(large, mmap_mode="r").shape == (64 << 20,)
    view = nl.open(large, "r")
    assert view.readonly and view[::1 << 20].tolist() == [0] * 64
    batch = next(
        iter(nl.Loader(view.reshape(-1, 1024), batch_size=4, num_workers=1, output="numpy"))
    )
    assert batch.shape == (4, 1024)
    assert nl.open(large, "r+").shape == view.shape
    print(nl.explain(view, "torch"))
    """
    text = (
        "torch cannot take this view: torch() needs writable memory, but the view is read-only;"
        ' open the file with copy=True, call .copy() first, or pass readonly="allow" and never'
        " write to the tensor: here a write ends the process, since there was no memory to set"
        " aside for a private map (`ulimit -d`, vm.overcommit_memory).\n"
    )
    assert limited(script, tmp_path / "large.npy") == (0, text, "")


def test_mode_c_says_what_limits_it_and_what_opens(tmp_path: Path) -> None:
    script = """
    for open in (lambda: nl.open(large), lambda: nl.open(large, copy=True)):
        try:
            open()
        except MemoryError as error:
            print(error)
    small = nl.open(large, dtype="uint8", offset=128, shape=(1 << 20,), copy=True)
    print(small.shape, small.readonly)
    """
    path = tmp_path / "large.npy"
    text = (
        f'{path}: cannot map 67108992 bytes: Cannot allocate memory (os error 12); mode "c" needs'
        ' as much memory where `ulimit -d` or vm.overcommit_memory says so: open with mode "r",'
        " which needs none\ncannot allocate 67108864 bytes\n(1048576,) False\n"
    )
    assert limited(script, path) == (0, text, "")


def test_a_copy_is_read_and_maps_nothing(path: Path, tmp_path: Path) -> None:
    tensors, archive = tmp_path / "x.safetensors", tmp_path / "x.npz"
    nl.save(tensors, {"x": np.arange(5.0)})
    np.savez(archive, x=np.arange(5.0))
    views = [
        nl.open(path, copy=True),
        nl.open(path, "r", copy=True),
        nl.open(path, dtype="uint8", copy=True),
    ]
    backwards = nl.open(path, dtype="uint8", shape=(3,), offset=130, strides=(-1,), copy=True)
    arrays = [nl.open(tensors, copy=True), nl.open(archive, copy=True)]
    views += [of["x"] for of in arrays] + [backwards]
    shards = nl.open([path, path], copy=True)
    maps = Path("/proc/self/maps").read_text()
    assert str(tmp_path) not in maps
    for file in (path, tensors, archive):
        os.truncate(file, 0)
    assert [view.readonly for view in views] == [False, True, False, False, False, False]
    assert views[0].tolist()[:3] == [0, 1, 2]
    assert views[2].shape == (10_128,)
    assert views[3].tolist() == views[4].tolist() == [0, 1, 2, 3, 4]
    assert backwards.tolist() == [2, 1, 0]
    assert backwards.strides == (1,)
    assert shards.shape == (20_000,)
    assert resource.RLIMIT_DATA is not None
