"""What ends other libraries' processes with a signal raises an exception, or is harmless.

`test_guard.py` has files that are cut short, `test_owners.py` owners that are resized and closed,
`test_share.py` and `test_processes.py` processes that are killed while they share.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.helpers.programs import run, run_file

REFUSED = """
    import mmap, os, sys
    from multiprocessing import shared_memory
    import numpy as np
    import torch
    import ndlens as nl

    def refused(action):
        try:
            action()
        except (BufferError, ValueError) as error:
            print(f"{type(error).__name__}: {error}")
        else:
            print("no error")
"""

MEMORY = {
    "a map resized": (
        """
        owner = mmap.mmap(-1, 4096)
        tensor = nl.view(owner).torch()
        refused(lambda: owner.resize(1 << 24))
        """,
        "BufferError: mmap can't resize with extant buffers exported.\n",
    ),
    "shared memory closed": (
        """
        owner = shared_memory.SharedMemory(create=True, size=4096)
        tensor = nl.view(owner.buf).torch()
        refused(owner.close)
        owner.unlink()
        """,
        "BufferError: memoryview has 1 exported buffer\n",
    ),
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory_under_a_tensor_is_not_taken_away(name: str) -> None:
    action, text = MEMORY[name]
    script = textwrap.dedent(REFUSED) + textwrap.dedent(action)
    # The tensor is written, and then the interpreter ends with it.
    status, out, error = run(
        script + "tensor[:] = 7\nprint(int(tensor.sum()), len(bytes(nl.view(tensor))))\n"
    )
    assert (status, out) == (0, text + "28672 4096\n"), error


@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_tensor_over_a_map_that_is_read_only_is_written_in_memory(
    tmp_path: Path, mode: str
) -> None:
    script = """
    import os, sys
    import numpy as np
    import torch
    import ndlens as nl
    path, mode = sys.argv[1:]
    np.save(path, np.ones(100_000, np.float32))
    tensor = nl.open(path, mode).torch(readonly="allow")
    tensor.add_(1)
    print(tensor.sum().item(), np.load(path).sum())
    """
    status, out, error = run(script, str(tmp_path / "ones.npy"), mode)
    assert (status, out) == (0, "200000.0 100000.0\n"), error


def test_a_tensor_over_bytes_is_refused_and_one_that_is_allowed_writes_memory() -> None:
    script = """
    import ndlens as nl
    owner = bytes(bytearray(100_000))
    try:
        nl.view(owner).torch()
    except nl.ReadOnlyError as error:
        print(error)
    tensor = nl.view(owner).torch(readonly="allow")
    tensor[:] = 1
    print(owner.count(1))
    """
    status, out, error = run(script)
    assert status == 0, error
    assert "needs writable memory" in out
    assert out.endswith("\n100000\n")


@pytest.mark.parametrize(
    "call",
    [
        "nl.share(memory)",
        "nl.share(memory, name=f'crash-{os.getpid()}')",
        "nl.empty_shared(SIZE, 'uint8')",
    ],
)
def test_sharing_with_no_addresses_left_is_a_memory_error(call: str) -> None:
    script = f"""
    import os, resource, sys
    import ndlens as nl
    SIZE = 64 << 20
    memory = bytearray(SIZE)
    nl.share(b"ready")
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SIZE // 2, used + SIZE // 2))
    for _ in range(3):
        try:
            {call}
        except MemoryError as error:
            print("MemoryError")
    resource.setrlimit(resource.RLIMIT_AS, (used + SIZE // 2, used + SIZE // 2))
    print(nl.share(bytes(1000)).size)
    """
    status, out, error = run(script)
    assert (status, out) == (0, "MemoryError\n" * 3 + "1000\n"), error


WORKERS = """
import os, signal, sys, time
import numpy as np
import torch
from torch.utils.data import DataLoader
import ndlens as nl

def main():
    data = nl.share(np.ones((64, 1 << 16), np.uint8))
    dataset = nl.torch.Dataset({"row": data})
    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=nl.torch.collate)
"""


def leftovers(mark: str) -> list[str]:
    """Processes of the program that was started with this mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"program.py" in command and mark.encode() in command:
                found.append(process.name)
        except OSError:
            continue
    return found


def test_a_worker_killed_in_the_middle_of_an_epoch_is_an_error_and_harms_no_batch(
    tmp_path: Path,
) -> None:
    script = (
        WORKERS
        + """
    batches = iter(loader)
    kept = [next(batches) for _ in range(3)]
    os.kill(batches._workers[0].pid, signal.SIGKILL)
    try:
        for batch in batches:
            assert (batch["row"] == 1).all()
    except RuntimeError as error:
        # Whichever torch finds first.
        print("killed by signal: Killed" in str(error) or "exited unexpectedly" in str(error))
    del batches
    assert all((batch["row"] == 1).all() for batch in kept)
    print(len(list(loader)), len(list(nl.Loader(data, batch_size=2, num_workers=2))))

if __name__ == "__main__":
    main()
    """
    )
    status, out, error = run_file(tmp_path, script)
    assert (status, out) == (0, "True\n32 32\n"), error


def test_nothing_is_left_when_the_parent_of_workers_is_killed(tmp_path: Path) -> None:
    script = (
        WORKERS
        + """
    batches = iter(loader)
    # One of each worker: torch's notice that the parent is gone only if it was there when they
    # began.
    kept = [next(batches), next(batches)]
    print("running", flush=True)
    time.sleep(100)

if __name__ == "__main__":
    # Under forkserver, the default from Python 3.14, torch's workers outlive a killed parent, with
    # ndlens and without: they wait for the server's end, and it waits for theirs.
    import multiprocessing
    multiprocessing.set_start_method("fork")
    main()
    """
    )
    path = tmp_path / "program.py"
    path.write_text(script)
    mark = f"ndlens-crash-{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, str(path), mark], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "running\n"
        assert len(leftovers(mark)) == 3
        parent.kill()
        assert parent.wait() == -signal.SIGKILL
        # torch's workers look for their parent every five seconds.
        deadline = time.monotonic() + 60
        while leftovers(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert leftovers(mark) == []
    # Folders are those of builds without memfd, which others may use.
    assert not [path for path in Path("/dev/shm").glob("*ndlens*") if not path.is_dir()]


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "os._exit(0)", "sys.exit(0)"])
def test_the_interpreter_ends_with_everything_alive(tmp_path: Path, ending: str) -> None:
    script = f"""
    import os, sys
    import numpy as np
    import ndlens as nl
    np.save(sys.argv[1], np.ones((64, 1 << 16), np.uint8))
    nl.guard_truncation()
    mapped = nl.open(sys.argv[1])
    shared = nl.share({{"a": mapped, "b": bytes(100)}}, name=f"exit-{{os.getpid()}}")
    tensor, array = mapped.torch(), mapped.numpy()
    loader = nl.Loader({{"mapped": mapped, "shared": shared["a"]}}, batch_size=2, num_workers=2)
    batches = iter(loader)
    batch = next(batches)
    elements = iter(mapped)
    next(elements)
    os.truncate(sys.argv[1], 5000)
    print(int(array[-1].sum()), flush=True)
    {ending}
    """
    status, out, error = run(script, str(tmp_path / "rows.npy"))
    assert (status, out, error) == (0, "0\n", "")


def test_a_file_larger_than_memory_opens_and_gives_batches_in_little_memory(tmp_path: Path) -> None:
    script = """
    import os, sys
    import ndlens as nl
    path = sys.argv[1]
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (300000, 256, 256, 3), }"
    with open(path, "wb") as file:
        file.write(
            b"\\x93NUMPY\\x01\\x00" + (118).to_bytes(2, "little") + header.ljust(117) + b"\\n"
        )
        file.truncate(128 + 300_000 * 256 * 256 * 3)
    for workers in (0, 2):
        view = nl.open(path)
        assert view.nbytes > 50 << 30
        loader = nl.Loader(view, batch_size=32, shuffle=True, num_workers=workers, output="view")
        batch = next(iter(loader))
        assert batch.shape == (32, 256, 256, 3) and batch[31, 255, 255, 2] == 0
    # Not ru_maxrss, which a process has from the one that started it.
    status = open("/proc/self/status").read()
    peak = int(status.partition("VmHWM:")[2].split()[0]) << 10
    assert peak < 200_000_000, peak
    print("done")
    """
    status, out, error = run(script, str(tmp_path / "large.npy"))
    assert (status, out) == (0, "done\n"), error
