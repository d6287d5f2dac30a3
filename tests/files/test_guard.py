"""Files that are truncated while they are read: an error, or a signal without a guard."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from tests.helpers.programs import run, run_file

import ndlens as nl

# 16 items of a megabyte each, all ones; what gives them to programs, and cuts them short.
PRELUDE = """
    import faulthandler, os, resource, signal, sys, threading, time
    import numpy as np
    import ndlens as nl
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path = sys.argv[1]

    def rows(path, items=16):
        np.save(path, np.ones((items, 1 << 20), np.uint8))
        return nl.open(path)

    def foreign_fault():
        import mmap
        with open(path + ".foreign", "wb+") as file:
            file.truncate(1 << 16)
            memory = mmap.mmap(file.fileno(), 1 << 16)
            file.truncate(0)
            memory[5000]
"""


def program(
    tmp_path: Path, script: str, *arguments: str, timeout: float = 100
) -> tuple[int, str, str]:
    return run(PRELUDE + script, str(tmp_path / "rows.npy"), *arguments, timeout=timeout)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_cut_short_under_a_running_loader_is_an_error_that_names_file_and_item(
    tmp_path: Path, workers: int
) -> None:
    script = """
    import random, re
    for round in range(12):
        view = rows(path)
        loader = nl.Loader(
            {"row": view}, batch_size=4, shuffle=True, num_workers=int(sys.argv[2]), output="numpy"
        )
        started = threading.Event()
        def cut():
            started.wait()
            time.sleep(random.random() * 0.006)
            os.truncate(path, random.randrange(10 << 20))
        thread = threading.Thread(target=cut)
        thread.start()
        try:
            while True:
                for batch in loader:
                    started.set()
                    assert (batch["row"] == 1).all()
        except nl.TruncatedError as error:
            # The second where the item is before the cut, and another thread met the loss.
            text = (
                rf'field "row", item \\d+: {re.escape(path)}: (file has \\d+ bytes, expected|pages'
                r" were lost)"
            )
            assert re.match(text, str(error)), error
        thread.join()
        # The loader cannot go on, and neither can anybody.
        for again in (lambda: list(loader), view.verify, view.tobytes):
            try:
                again()
            except nl.TruncatedError:
                continue
            raise SystemExit("no error")
    print("done")
    """
    status, out, error = program(tmp_path, script, str(workers))
    assert (status, out) == (0, "done\n"), error


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_file_cut_short_under_a_data_loader_s_workers_is_an_error(
    tmp_path: Path, method: str
) -> None:
    script = """
import os, random, sys, threading, time
import numpy as np
import torch
from torch.utils.data import DataLoader
import ndlens as nl

def main(path, method):
    for round in range(3 if method == "fork" else 1):
        np.save(path, np.ones((32, 1 << 20), np.uint8))
        dataset = nl.torch.Dataset({"row": nl.open(path)})
        batches = DataLoader(
            dataset, batch_size=4, sampler=torch.arange(32).repeat(1000).tolist(), num_workers=1,
            collate_fn=nl.torch.collate, multiprocessing_context=method,
        )
        started = threading.Event()
        def cut():
            started.wait()
            time.sleep(random.random() * 0.006)
            os.truncate(path, 5_000_000)
        thread = threading.Thread(target=cut)
        thread.start()
        try:
            for batch in batches:
                started.set()
                assert (batch["row"] == 1).all()
        except nl.TruncatedError as error:
            assert 'field "row", item ' in str(error) and "file has 5000000 bytes" in str(
                error
            ), error
        else:
            raise SystemExit("no error")
        thread.join()
    print("done")

if __name__ == "__main__":
    main(*sys.argv[1:])
    """
    status, out, error = run_file(tmp_path, script, str(tmp_path / "rows.npy"), method, timeout=110)
    assert (status, out) == (0, "done\n"), error


def test_the_end_of_a_page_that_was_cut_is_not_taken_for_data(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.ones((10, 1000), np.uint8))
    view = nl.open(path)
    loader = nl.Loader(view, batch_size=10, output="numpy")
    os.truncate(path, 10_100)
    with pytest.raises(
        nl.TruncatedError, match=r"item 9: .*file has 10100 bytes, expected at least 10128"
    ):
        list(loader)


def test_items_before_the_cut_can_be_had_as_long_as_nobody_has_met_the_loss(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.ones((10, 1000), np.uint8))
    batches = iter(nl.Loader(nl.open(path), batch_size=2, output="numpy"))
    os.truncate(path, 5_128)
    assert sum(int(next(batches).sum()) for _ in range(2)) == 4000
    with pytest.raises(nl.TruncatedError, match="item 5: "):
        next(batches)


def test_direct_reads_are_guarded_once_asked_for(tmp_path: Path) -> None:
    script = """
    import torch
    assert nl.guard_truncation() is nl.guard_truncation() is None
    for mode in ("r", "c", "r+"):
        rows(path)
        view = nl.open(path, mode)
        view.verify()
        array, tensor = view.numpy(), view.torch(readonly="allow")
        os.truncate(path, (1 << 20) + 4096)
        assert array[0].sum() == 1 << 20 and array[5:].sum() == tensor[15].sum() == 0
        if mode == "c":
            tensor[15] = 7
        reads = [view.verify, view[15].verify, view.tolist, view.tobytes]
        reads += [lambda: view[15, 0], lambda: view[15] == view[14]]
        for read in reads:
            try:
                read()
            except nl.TruncatedError as error:
                assert (
                    str(error)
                    == f"{path}: file has 1052672 bytes, expected at least 16777344: it was"
                    " truncated while mapped"
                    or read is reads[1]
                ), error
            else:
                raise SystemExit("no error")
        os.truncate(path, 64 << 20)
        try:
            view.tobytes()
        except nl.TruncatedError as error:
            print(error)
    """
    status, out, error = program(tmp_path, script)
    lost = (
        "pages were lost while mapped and read as zeros: the file was truncated, or the disk is"
        " full or failing"
    )
    assert (status, out) == (0, f"{tmp_path}/rows.npy: {lost}; open it again\n" * 3), error


def test_a_forked_child_is_guarded_and_damages_only_its_own_map(tmp_path: Path) -> None:
    script = """
    view = rows(path)
    list(nl.Loader(view, batch_size=16, output="numpy"))
    nl.guard_truncation()
    os.truncate(path, 5000)
    child = os.fork()
    if child == 0:
        assert view.numpy()[-1].sum() == 0
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    # Grown back, the parent's map is as good as it was.
    os.truncate(path, 64 << 20)
    view.verify()
    print(view.numpy()[-1].sum())
    """
    status, out, error = program(tmp_path, script)
    assert (status, out) == (0, "0\n"), error


def test_who_did_not_ask_gets_the_signal_as_before_and_no_zeros(tmp_path: Path) -> None:
    script = """
    view = rows(path)
    list(nl.Loader(view, batch_size=16, output="numpy"))
    os.truncate(path, 5000)
    print("before", flush=True)
    print(view.numpy()[-1].sum(), flush=True)
    """
    status, out, _ = program(tmp_path, script)
    assert (status, out) == (-signal.SIGBUS, "before\n")


# What other handlers there are, and what becomes of a fault that is not ours. Each also guards a
# map.
ELSEWHERE = {
    "nobody": "nl.guard_truncation()",
    "before us": "faulthandler.enable(); nl.guard_truncation()",
    "after us": "nl.guard_truncation(); faulthandler.enable(); nl.guard_truncation()",
    "before us and gone": (
        "faulthandler.enable(); nl.guard_truncation(); faulthandler.disable();"
        " nl.guard_truncation()"
    ),
    "after us and gone": (
        "nl.guard_truncation(); faulthandler.enable(); nl.guard_truncation();"
        " faulthandler.disable()"
    ),
    "again and again": (
        """
    for _ in range(5):
        faulthandler.enable()
        nl.guard_truncation()
        faulthandler.disable()
        nl.guard_truncation()
    """
    ),
    "ignored": "signal.signal(signal.SIGBUS, signal.SIG_IGN); nl.guard_truncation()",
}


@pytest.mark.parametrize("there", ELSEWHERE)
@pytest.mark.parametrize("fault", ["foreign_fault()", "os.kill(os.getpid(), signal.SIGBUS)"])
def test_signals_that_are_not_about_our_maps_end_as_they_would_without_us(
    tmp_path: Path, there: str, fault: str
) -> None:
    script = f"""
    view = rows(path)
    {ELSEWHERE[there]}
    os.truncate(path, 0)
    assert view.numpy()[7].sum() == 0
    print("guarded", flush=True)
    {fault}
    print("lived")
    """
    status, out, error = program(tmp_path, script)
    if there == "ignored" and "kill" in fault:
        assert (status, out) == (0, "guarded\nlived\n"), error
    else:
        assert (status, out) == (-signal.SIGBUS, "guarded\n"), error
    told = "Fatal Python error: Bus error" in error
    assert told == (there in ("before us", "after us")), error


def test_a_handler_in_python_is_still_called(tmp_path: Path) -> None:
    script = """
    signal.signal(signal.SIGBUS, lambda *_: print("handled", flush=True))
    nl.guard_truncation()
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGBUS)
    view = rows(path)
    os.truncate(path, 0)
    assert view.numpy()[7].sum() == 0
    print("done")
    """
    status, out, error = program(tmp_path, script)
    assert (status, out) == (0, "handled\n" * 3 + "done\n"), error


def test_a_loader_takes_the_signal_back_from_whoever_took_it(tmp_path: Path) -> None:
    script = """
    view = rows(path)
    loader = nl.Loader(view, batch_size=4, num_workers=1, output="numpy")
    for round in range(100):
        faulthandler.enable()
        try:
            batches = iter(loader)
            next(batches)
            if round == 50:
                # It may come to it in this round or a later one.
                threading.Thread(target=os.truncate, args=(path, 5000)).start()
            list(batches)
        except nl.TruncatedError:
            raise SystemExit(print("told"))
        faulthandler.disable()
    """
    status, out, error = program(tmp_path, script)
    assert (status, out) == (0, "told\n"), error


# A file that is a hole of 4 MB, in a file system that has room for 1 MB of it.
FULL_DISK = """
    import ctypes, errno, tempfile
    libc = ctypes.CDLL(None, use_errno=True)
    CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
    directory = tempfile.mkdtemp()
    libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if os.geteuid() != 0 else 0))
    if libc.mount(b"none", directory.encode(), b"tmpfs", 0, b"size=1m"):
        raise SystemExit(print("cannot mount"))
    hole = directory + "/hole.npy"
    np.lib.format.open_memmap(hole, "w+", np.uint8, (4 << 20,)).flush()
    nl.guard_truncation()
    view = nl.open(hole, "r+")
"""


@pytest.mark.parametrize("write", ["view.numpy()[:] = 7", "view.torch().fill_(7)"])
def test_a_write_that_finds_the_disk_full_is_a_signal_and_never_lost(
    tmp_path: Path, write: str
) -> None:
    script = (
        FULL_DISK
        + f"""
    print("before", flush=True)
    {write}
    print("written", flush=True)
    """
    )
    status, out, error = program(tmp_path, script)
    assert (status, out) in [(-signal.SIGBUS, "before\n"), (0, "cannot mount\n")], error


def test_an_assignment_that_finds_the_disk_full_is_an_error_and_writes_nothing(
    tmp_path: Path,
) -> None:
    script = (
        FULL_DISK
        + """
    ones = np.ones(4 << 20, np.uint8)
    column = view.reshape(-1, 1 << 13)[:, 0]
    for write in (
        lambda: view.fill(7),
        lambda: view.__setitem__(..., ones),
        lambda: view[::2].fill(7),
        lambda: column.fill(7),
    ):
        try:
            write()
        except OSError as error:
            print(str(error).replace(hole, "hole"))
    assert not view[: 1 << 18].numpy().any()
    view[: 1 << 16] = 7
    with open(hole, "rb") as file:
        print(set(file.read((1 << 16) + 128)[128:]))
    """
    )
    status, out, error = program(tmp_path, script)
    full = (
        "hole: cannot be written: the disk is full or failing, or the file was truncated; nothing"
        " was written\n"
    )
    assert (status, out) in [(0, full * 4 + "{7}\n"), (0, "cannot mount\n")], error


def test_pages_that_stand_in_for_lost_ones_of_a_shared_map_cannot_be_written(
    tmp_path: Path,
) -> None:
    script = """
    nl.guard_truncation()
    for _ in range(2):
        view = rows(path)
    view = nl.open(path, "r+")
    os.truncate(path, (1 << 20) + 4096)
    {}
    print("read", flush=True)
    view.numpy()[15] = 7
    print("written", flush=True)
    """
    read = "assert view.numpy()[15].sum() == 0"
    assert program(tmp_path, script.format(read))[:2] == (-signal.SIGSEGV, "read\n")
    # Without a read before it, the write itself meets the loss.
    assert program(tmp_path, script.format("pass"))[:2] == (-signal.SIGBUS, "read\n")
