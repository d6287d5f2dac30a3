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

    ndlens bench views       # or one of its contests, such as views:slice
"""

from __future__ import annotations

import importlib
import statistics
import timeit
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

import ndlens as nl

from ..contest import Column, Contest, Figures, Ratio, beside
from ..ground import Ground, Settings
from ..memory import resident_bytes
from ..peers import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("slice", "index", "handoff", "element", "iterate", "tolist", "import", "memory")
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=9, size=2000)
QUICK = Settings(rounds=1, size=2000, quick=True)

REPEATS = 7
IMPORT = "import time; t = time.perf_counter(); import ndlens; print(time.perf_counter() - t)"

Images = npt.NDArray[np.uint8]


class Timed(NamedTuple):
    """A contestant."""

    name: str
    statement: str
    # The object `x` in the statement.
    x: Any


def slicing(images: Images, torch: Any) -> list[Timed]:
    """With None for `torch`, without it."""
    statement = "x[5, 10:266, 20:276, :]"
    contestants = [Timed("ndlens", statement, nl.view(images)), Timed("numpy", statement, images)]
    if torch is not None:
        contestants.append(Timed("torch", statement, torch.from_numpy(images)))
    expected = images[5, 10:266, 20:276, :]
    for name, _, x in contestants:
        sliced = np.asarray(x[5, 10:266, 20:276, :])
        assert sliced.ctypes.data == expected.ctypes.data, f"{name}: a copy"
        assert np.array_equal(sliced, expected), f"{name}: other elements"
    return contestants


def one_image(images: Images) -> list[Timed]:
    return [Timed("ndlens", "x[5]", nl.view(images)), Timed("numpy", "x[5]", images)]


def one_element(row: npt.NDArray[np.int64]) -> list[Timed]:
    view = nl.view(row)
    assert view[3] == row.data[3] == row[3]
    contestants = (("ndlens", view), ("memoryview", row.data), ("numpy", row))
    return [Timed(name, "x[3]", x) for name, x in contestants]


def a_thousand_elements(row: npt.NDArray[np.int64], statement: str) -> list[Timed]:
    assert nl.view(row).tolist() == list(nl.view(row)) == row.tolist()
    contestants = (("ndlens", nl.view(row)), ("memoryview", row.data), ("numpy", row))
    return [Timed(name, statement, x) for name, x in contestants]


def handing_over(images: Images, torch: Any) -> list[Timed]:
    array = images[5, 10:266, 20:276, :]
    view = nl.view(images)[5, 10:266, 20:276, :]
    from_dlpack = torch.from_dlpack(array)
    for tensor in (view.torch(), from_dlpack, torch.from_numpy(array)):
        assert tensor.data_ptr() == array.ctypes.data
        assert np.array_equal(tensor.numpy(), array)
    return [
        Timed("ndlens view.torch()", "x.torch()", view),
        Timed("torch.from_dlpack(ndarray)", "torch.from_dlpack(x)", array),
        Timed("torch.from_numpy(ndarray)", "torch.from_numpy(x)", array),
    ]


def nanoseconds(timed: Timed, names: dict[str, Any], calls: int) -> Figures:
    """Nanoseconds per call: the median of a turn's repeats."""
    seconds = statistics.median(
        timeit.repeat(timed.statement, globals=names, number=calls, repeat=REPEATS)
    )
    return {"nanoseconds": seconds / calls * 1e9}


def timings(torch: Any) -> dict[str, tuple[str, Callable[[], list[Timed]]]]:
    """The titles of the contests, and what makes their contestants."""
    rng = np.random.default_rng()
    images = rng.integers(0, 256, (16, 512, 512, 3), dtype=np.uint8)
    row = rng.integers(0, 1 << 40, 1000)
    return {
        "slice": ("v[5, 10:266, 20:276, :]", lambda: slicing(images, torch)),
        "index": ("v[5]", lambda: one_image(images)),
        "handoff": ("a crop to torch, no copy", lambda: handing_over(images, torch)),
        "element": ("v[3], an element", lambda: one_element(row)),
        "iterate": (
            "1000 elements, for _ in v",
            lambda: a_thousand_elements(row, "for _ in x: pass"),
        ),
        "tolist": ("1000 elements, v.tolist()", lambda: a_thousand_elements(row, "x.tolist()")),
    }


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for each statement, one of importing, one of the memory of a slice."""
    reason = find("torch")
    torch = None if reason else importlib.import_module("torch")
    missing = {} if reason is None else {"torch": reason}
    for key, (title, make) in timings(torch).items():
        if not settings.wants(key):
            continue
        if key == "handoff" and reason is not None:
            yield Contest(key, title, "ns", [], {}, absent={"all": reason})
            continue
        contestants = make()
        names = [timed.name for timed in contestants]
        turns = {
            timed.name: partial(nanoseconds, timed, {"torch": torch, "x": timed.x}, settings.size)
            for timed in contestants
        }
        subject = names[0]
        yield Contest(
            key,
            title,
            "ns",
            [
                Column("ns", "nanoseconds", statistic="least"),
                Ratio(
                    f"{subject} takes",
                    "nanoseconds",
                    "x as long",
                    subjects=beside(subject, names),
                    statistic="least",
                ),
            ],
            ground.rounds(f"views: {title}", turns, settings.rounds),
            absent=missing if key == "slice" else {},
        )
    if settings.wants("import"):
        yield importing(ground, settings)
    if settings.wants("memory"):
        yield slice_memory(ground, reason)


def importing(ground: Ground, settings: Settings) -> Contest:
    """How long `import ndlens` takes in a fresh interpreter."""

    def turn() -> Figures:
        return {"milliseconds": ground.program("-c", IMPORT) * 1e3}

    return Contest(
        "import",
        "import ndlens, in a fresh interpreter",
        "ms",
        [Column("ms", "milliseconds", ".1f")],
        ground.rounds("views: import", {"ndlens": turn}, settings.rounds),
    )


def slice_memory(ground: Ground, reason: str | None) -> Contest:
    """The memory that slicing and handing on most of 1 GB takes."""

    def turn() -> Figures:
        view = nl.view(np.zeros(1 << 30, np.uint8)).reshape(1024, 1024, 1024)
        before = resident_bytes()
        part: Any = view[1:, ::2, 1:-1]
        tensor = part.torch() if reason is None else part.numpy()
        return {"kib": (resident_bytes() - before) / 1024, "mib_seen": tensor.nbytes / 2**20}

    to = "torch" if reason is None else "NumPy"
    return Contest(
        "memory",
        f"A slice of 1 GB to {to}",
        "KiB of memory",
        [Column("KiB of memory", "kib"), Column("MiB in sight", "mib_seen")],
        ground.rounds("views: memory", {"ndlens": turn}, 1),
    )
