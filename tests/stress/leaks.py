"""Exports, imports and errors, very many of each: what is in use must stay flat.

`make leaks` runs a million rounds, `tests/processes/test_leaks.py` some thousands. A round is one
of `ROUNDS`: a hand-off that another library consumes, one that nobody consumes, or one that fails
in the middle. After a warm-up three numbers are compared before and after:

- Python's live blocks (`sys.getallocatedblocks`);
- the bytes that malloc has handed out, of Rust, NumPy and torch (glibc's `mallinfo2`);
- the resident memory of the process.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import io
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from tests.helpers.consumers import from_dlpack

import ndlens as nl

# What may grow whatever the number of rounds: caches, and the interpreter's own lists.
MOST_BLOCKS = 200
MOST_MALLOC_BYTES = 32_768
MOST_RESIDENT_BYTES = 4 << 20


class _Mallinfo(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


_mallinfo2 = ctypes.CDLL(None).mallinfo2
_mallinfo2.restype = _Mallinfo


@dataclass(frozen=True)
class Use:
    """What the process has in use."""

    blocks: int
    malloc_bytes: int
    resident_bytes: int

    @classmethod
    def now(cls) -> Use:
        gc.collect()
        info = _mallinfo2()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            sys.getallocatedblocks(),
            info.uordblks + info.hblkhd,
            pages * resource.getpagesize(),
        )

    def growth(self, later: Use) -> tuple[int, int, int]:
        return (
            later.blocks - self.blocks,
            later.malloc_bytes - self.malloc_bytes,
            later.resident_bytes - self.resident_bytes,
        )


class Interface:
    """An object that shows a view by its array interface alone."""

    def __init__(self, view: nl.View) -> None:
        self.__array_interface__ = view.__array_interface__
        self.view = view


class FalseInterface:
    """An object whose array interface contradicts itself."""

    __array_interface__: ClassVar[dict[str, Any]] = {
        "version": 3,
        "shape": (-1,),
        "typestr": "<f4",
        "data": (1, True),
    }


class Exporter:
    """An object that shows a tensor by DLPack alone, without versions if `old`."""

    def __init__(self, array: Any, old: bool = False) -> None:
        self.array, self.old = array, old

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**({} if self.old else options))

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def fails(action: Callable[[], Any]) -> Callable[[], None]:
    """A round that must raise one of our errors."""

    def run() -> None:
        try:
            action()
        except (ValueError, TypeError, IndexError, BufferError, OSError, pickle.UnpicklingError):
            return
        raise AssertionError("no error")

    return run


def rounds(directory: Path) -> dict[str, Callable[[], Any]]:
    """All kinds of rounds."""
    array = np.arange(24, dtype="f4").reshape(2, 3, 4)
    tensor = torch.from_numpy(array.copy())
    view = nl.view(array)
    part: Any = view[:, 1:, ::2]  # mypy knows no buffer protocol of 3.11
    frozen, shared = nl.view(bytes(24)), nl.share(array)
    records = nl.view(np.zeros(3, [("a", "u1"), ("b", "f8")]))
    path, damaged = directory / "x.npy", directory / "damaged.npy"
    np.save(path, array)
    damaged.write_bytes(path.read_bytes()[:-5])
    archive = directory / "x.npz"
    np.savez_compressed(archive, x=array)
    mapped = nl.open(path)
    copied = pickle.dumps(part)

    def out_of_band() -> None:
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(view, protocol=5, buffer_callback=buffers.append)
        pickle.loads(data, buffers=buffers)

    def failing_write() -> None:
        class Full(io.RawIOBase):
            def write(self, data: Any) -> int:
                raise OSError("full")

        pickle.dump(shared, Full())

    return {
        "memoryview of a view": lambda: memoryview(part).release(),
        "a buffer that NumPy takes": lambda: np.asarray(memoryview(part)),
        "a buffer that cannot be had": fails(lambda: np.frombuffer(part)),
        "a view of a buffer": lambda: nl.view(bytearray(24)),
        "a view of an array": lambda: nl.view(array)[0, ..., None].permute(1, 0, 2),
        "a view of a tensor": lambda: nl.view(tensor)[::-1],
        "a view of nothing of the kind": fails(lambda: nl.view(object())),
        "a DLPack tensor, consumed": lambda: np.from_dlpack(part),
        "one without a version, consumed": lambda: from_dlpack(view.__dlpack__()),
        "one that nobody consumes": lambda: part.__dlpack__(max_version=(1, 0)),
        "one without a version that nobody consumes": lambda: part.__dlpack__(),
        "one that is refused": fails(lambda: records.__dlpack__(max_version=(1, 0))),
        "one that is read-only": fails(lambda: frozen.__dlpack__()),
        "an import of DLPack": lambda: nl.view(Exporter(tensor)),
        "an import without a version": lambda: nl.view(Exporter(array, old=True)),
        "an array interface, consumed": lambda: np.asarray(Interface(part)),
        "an import of an interface": lambda: nl.view(Interface(part)),
        "an interface that is false": fails(lambda: nl.view(FalseInterface())),
        "numpy()": lambda: part.numpy(),
        "torch()": lambda: part.torch(),
        "torch() that needs a copy": fails(lambda: view[::-1].torch()),
        "torch() of what is read-only": fails(lambda: frozen.torch()),
        "explain": lambda: nl.explain(view[::-1], "torch"),
        "a copy": lambda: part.copy(),
        "an index that is wrong": fails(lambda: view[5]),
        "a shape that is wrong": fails(lambda: view.reshape(7, -1)),
        "an assignment that is wrong": fails(lambda: part.__setitem__(0, np.zeros(9, "f4"))),
        "elements": lambda: [float(x) for x in view[0, 0]],
        "a pickle": lambda: pickle.loads(pickle.dumps(part)),
        "a pickle with its bytes beside it": out_of_band,
        "a pickle of shared memory": lambda: pickle.loads(pickle.dumps(shared)),
        "a pickle of a file": lambda: pickle.loads(pickle.dumps(mapped)),
        "a pickle that is cut": fails(lambda: pickle.loads(copied[: len(copied) // 2] + b".")),
        "a pickle that cannot be written": fails(failing_write),
        "a file": lambda: nl.open(path).numpy(),
        "an archive": lambda: nl.open(archive, copy=True)["x"],
        "a file that is damaged": fails(lambda: nl.open(damaged)),
        "a file that is not there": fails(lambda: nl.open(directory / "none.npy")),
        "shared memory": lambda: nl.share(array),
        "an epoch": lambda: list(nl.Loader(array, batch_size=1, output="view")),
        "an epoch that is left": lambda: next(iter(nl.Loader(array, batch_size=1))),
    }


def leaks(count: int, say: Callable[[str], None] = print) -> list[str]:
    """Runs `count` rounds, as many of each kind; gives the kinds after which more is in use."""
    with tempfile.TemporaryDirectory() as directory:
        kinds = rounds(Path(directory))
        each, found = max(1, count // len(kinds)), []
        # What is there already need not be looked at again and again.
        gc.freeze()
        for name, work in kinds.items():
            began = time.monotonic()
            for _ in range(min(each, 300)):
                work()
            before = Use.now()
            for _ in range(each):
                work()
            blocks, malloc, resident = before.growth(Use.now())
            line = (
                f"{each:8} x {name:44} {blocks:+6} blocks {malloc:+9} B of malloc"
                f" {resident:+10} B resident, {time.monotonic() - began:5.1f} s"
            )
            grows = blocks > MOST_BLOCKS or malloc > MOST_MALLOC_BYTES
            if grows or resident > MOST_RESIDENT_BYTES:
                found.append(line)
            say(line)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    found = leaks(parser.parse_args().rounds)
    print("nothing leaks" if not found else "\n".join(["more is in use after:", *found]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
