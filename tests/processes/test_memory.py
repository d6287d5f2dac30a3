"""Where memory runs out there is a MemoryError, and where work is long Ctrl-C ends it.

`make memory-sweep` tries every operation at every size of memory; this tries each at one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.stress.memory_operations import OPERATIONS

SWEEP = Path(__file__).parents[1] / "stress" / "memory_sweep.py"

# Large groups alone, all others in one process, since each takes seconds to start.
LARGE = ["View:", "Loader:"]
OTHERS = sorted({operation.name.partition(":")[0] for operation in OPERATIONS} - {"View", "Loader"})


@pytest.mark.parametrize("groups", [*([group] for group in LARGE), OTHERS], ids=[*LARGE, "others"])
def test_no_operation_ends_the_process_where_memory_is_short(groups: list[str]) -> None:
    sweep = [sys.executable, str(SWEEP), "--margins", "1", "--only", *groups]
    swept = subprocess.run(sweep, capture_output=True, text=True)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert ", 0 failures" in swept.stdout


EXHAUSTED = {
    "arrays that are shared": "nl.share(arrays)",
    "series of windows": "nl.windows(arrays, 5)",
    "ragged items": "nl.ragged(arrays)",
    "fields of a loader": "nl.Loader(named, batch_size=2)",
    "saved arrays": "nl.save(path, named)",
    "a pickle of windows": "pickle.dumps(windows)",
    "pieces of a view": "nl.view(arrays[0]).split([5] * 100_000)",
    "tensors of a file": "[file[name].shape for name in file]",
}


@pytest.mark.parametrize("name", EXHAUSTED)
def test_many_small_things_where_no_byte_is_left_are_a_memory_error(
    name: str, tmp_path: Path
) -> None:
    # The heap is full, down to its smallest blocks, so that what fails is an owner of one array,
    # and not a list of all.
    program = f"""
        import ctypes, pickle, resource
        import numpy as np
        import ndlens as nl

        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        libc.malloc.argtypes = [ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]
        arrays = [np.zeros(10) for _ in range(3000)]
        named = dict(zip(map(str, range(3000)), arrays))
        windows = nl.windows(arrays, 5)
        path = {str(tmp_path / "arrays.safetensors")!r}
        nl.save(path, named)
        file = nl.open(path)
        blocks, place = [None] * 1_000_000, 0
        # Free places in pools that stay: memory for Python's small objects.
        spare = [bytes(k % 30 * 16) for k in range(120_000)]
        for k in range(len(spare)):
            if k // 30 % 2:
                spare[k] = None
        resource.setrlimit(resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
        try:
            for size in (1 << 20, 1 << 16, 1 << 12, 1 << 10, 256, 128, 64, 24):
                while block := libc.malloc(size):
                    blocks[place], place = block, place + 1
        except MemoryError:
            pass
        shown = "no error"
        try:
            {EXHAUSTED[name]}
        except MemoryError as error:
            shown = "MemoryError"
        for block in blocks:
            if block is None:
                break
            libc.free(block)
        print(shown)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "MemoryError\n"), done.stderr


LONG = {
    "a copy of a view that repeats a byte": "large.copy()",
    "its bytes": "large.tobytes()",
    "its comparison with another": "endless == nl.view(bytes(1)).broadcast_to(2**62)",
    "a write to memory that repeats": "repeated.fill(3)",
    "an assignment to memory that repeats": "repeated[...] = nl.view(bytes(1))",
    "places that are taken": "large.take(range(2**27))",
    "lists of nothing": "nl.view(np.zeros((2**28, 0), 'u1')).tolist()",
    "views of nothing": "nl.view(np.zeros((2**28, 0), 'u1')).unbind()",
    "pieces of nothing": "nl.view(b'').split(2**28)",
    "a search": "endless.index(1)",
    "a count": "endless.count(1)",
    "an iteration": "collections.deque(endless, maxlen=0)",
    "a question for an element": "1 in endless",
    "places without end": "nl.view(b'123').reshape(3).split(itertools.repeat(1))",
}


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends(name: str) -> None:
    program = f"""
        import collections, itertools
        import numpy as np
        import ndlens as nl
        large = nl.view(bytes(1)).broadcast_to(2**31)
        endless = nl.view(bytes(1)).broadcast_to(2**62)
        repeated = nl.view(np.lib.stride_tricks.as_strided(np.zeros(1, "u1"), (2**50,), (0,)))
        print("begun", flush=True)
        try:
            {LONG[name]}
        except KeyboardInterrupt:
            print("interrupted")
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert out == "interrupted\n", errors
