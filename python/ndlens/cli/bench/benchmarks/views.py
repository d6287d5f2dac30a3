"""Taking a view and handing it to torch: ndlens beside NumPy and torch.

What it shows. The nanoseconds of one slice of an array of images, and of handing such a slice to
torch without a copy. Both happen once per sample in a Dataset, so they are the least cost of every
loader written in Python. Also: an element, iteration and lists, the time that `import ndlens`
takes, and the memory that a slice of 1 GB costs.

Compared with. NumPy's and torch's own indexing of the same memory; torch.from_dlpack and
torch.from_numpy of the same slice as an ndarray; memoryview for elements, iteration and lists.

How. All in one process; the contestants take turns, and each turn times some thousand calls,
several times. A turn counts with its median, a contestant with its best turn: noise only adds time.
Before they are timed, the results are checked to show the same elements at the same address.

    python benches/views.py [--turns 9] [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import timeit
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import psutil
import torch

import ndlens as nl

Images = npt.NDArray[np.uint8]


class Contestant(NamedTuple):
    name: str
    statement: str
    # The object `x` in the statement.
    x: Any


def slicing(images: Images) -> list[Contestant]:
    statement = "x[5, 10:266, 20:276, :]"
    view, tensor, expected = nl.view(images), torch.from_numpy(images), images[5, 10:266, 20:276, :]
    for sliced in (view[5, 10:266, 20:276, :].numpy(), tensor[5, 10:266, 20:276, :].numpy()):
        assert sliced.ctypes.data == expected.ctypes.data
        assert np.array_equal(sliced, expected)
    return [
        Contestant("ndlens", statement, view),
        Contestant("numpy", statement, images),
        Contestant("torch", statement, tensor),
    ]


def one_image(images: Images) -> list[Contestant]:
    return [Contestant("ndlens", "x[5]", nl.view(images)), Contestant("numpy", "x[5]", images)]


def one_element(row: npt.NDArray[np.int64]) -> list[Contestant]:
    view = nl.view(row)
    assert view[3] == row.data[3] == row[3]
    contestants = (("ndlens", view), ("memoryview", row.data), ("numpy", row))
    return [Contestant(name, "x[3]", x) for name, x in contestants]


def a_thousand_elements(row: npt.NDArray[np.int64], statement: str) -> list[Contestant]:
    assert nl.view(row).tolist() == list(nl.view(row)) == row.tolist()
    contestants = (("ndlens", nl.view(row)), ("memoryview", row.data), ("numpy", row))
    return [Contestant(name, statement, x) for name, x in contestants]


def handing_over(images: Images) -> list[Contestant]:
    array = images[5, 10:266, 20:276, :]
    view = nl.view(images)[5, 10:266, 20:276, :]
    # torch's __init__ does not list from_dlpack among its exports.
    from_dlpack = torch.from_dlpack(array)  # type: ignore[attr-defined]
    for tensor in (view.torch(), from_dlpack, torch.from_numpy(array)):
        assert tensor.data_ptr() == array.ctypes.data
        assert np.array_equal(tensor.numpy(), array)
    return [
        Contestant("ndlens view.torch()", "x.torch()", view),
        Contestant("torch.from_dlpack(ndarray)", "torch.from_dlpack(x)", array),
        Contestant("torch.from_numpy(ndarray)", "torch.from_numpy(x)", array),
    ]


def measure(contestants: list[Contestant], turns: int) -> dict[str, float]:
    """Returns nanoseconds per call."""
    calls, repeats = 2000, 7
    best = {contestant.name: float("inf") for contestant in contestants}
    for _ in range(turns):
        for name, statement, x in contestants:
            names = {"torch": torch, "x": x}
            seconds = statistics.median(
                timeit.repeat(statement, globals=names, number=calls, repeat=repeats)
            )
            best[name] = min(best[name], seconds / calls * 1e9)
    return best


def print_table(title: str, nanoseconds: dict[str, float]) -> None:
    subject, *_ = nanoseconds
    print(f"{title:<30}{'ns':>8}   {subject} takes")
    for name, time in nanoseconds.items():
        ratio = "" if name == subject else f"{nanoseconds[subject] / time:.2f} x as long"
        print(f"  {name:<28}{time:>8.0f}   {ratio}")
    print()


def measure_import(turns: int) -> None:
    """Prints how long `import ndlens` takes in a fresh interpreter."""
    program = "import time; t = time.perf_counter(); import ndlens; print(time.perf_counter() - t)"
    times = [float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(turns)]
    print(f"import ndlens {statistics.median(times) * 1e3:22.1f} ms, the median of {turns}\n")


def measure_slice() -> None:
    """Prints the memory that slicing and handing on most of 1 GB takes."""
    view = nl.view(np.zeros(1 << 30, np.uint8)).reshape(1024, 1024, 1024)
    process = psutil.Process()
    before = process.memory_info().rss
    tensor = view[1:, ::2, 1:-1].torch()
    cost = process.memory_info().rss - before
    print(
        f"a slice of 1 GB to torch {cost / 1024:9.0f} KiB of memory, {tensor.nbytes / 2**20:.0f}"
        " MiB in sight"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: 1 turn")
    arguments = parser.parse_args()
    turns = 1 if arguments.quick else arguments.turns
    images = np.random.default_rng().integers(0, 256, (16, 512, 512, 3), dtype=np.uint8)
    print_table("v[5, 10:266, 20:276, :]", measure(slicing(images), turns))
    print_table("v[5]", measure(one_image(images), turns))
    print_table("a crop to torch, no copy", measure(handing_over(images), turns))
    row = np.random.default_rng().integers(0, 1 << 40, 1000)
    print_table("v[3], an element", measure(one_element(row), turns))
    print_table(
        "1000 elements, for _ in v", measure(a_thousand_elements(row, "for _ in x: pass"), turns)
    )
    print_table("1000 elements, v.tolist()", measure(a_thousand_elements(row, "x.tolist()"), turns))
    measure_import(turns)
    measure_slice()


if __name__ == "__main__":
    main()
