"""An epoch of training batches: a loader of ndlens beside torch's DataLoader.

Work: each image once, in random order, in batches of 32: a random crop of 256 x 256, a horizontal
flip for one in two, and float32 from 0 to 1, channels first. The DataLoader gets a Dataset written
as its documentation has it, over a NumPy array, with forked workers, which inherit the array.

Each contestant runs in a process of its own: one epoch, in which batches are checked against the
images and the time to the first one is taken; whole epochs for a second, or five seconds of one,
whose images are counted; and one while the memory of all its processes is sampled every 20 ms.
Extra memory is the peak less what was there before the loader was made.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import ndlens as nl
from ndlens import transforms as T

from ..process_memory import family
from .cases import IMAGE, make_base
from .child import run
from .memory import held_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

__all__ = ["CONTESTANTS", "measure", "race"]

BATCH, CROP = 32, 256
AT_LEAST_SECONDS, AT_MOST_SECONDS, CHECK_AT_MOST_SECONDS = 1.0, 5.0, 20.0
INTERVAL_SECONDS = 0.02


def _augment() -> list[Any]:
    return [
        T.RandomCrop(CROP),
        T.RandomHorizontalFlip(),
        T.ToDtype("float32", scale=True),
        T.ChannelsFirst(),
    ]


def _ndlens(images: Any, workers: int) -> Iterable[Any]:
    loader: Iterable[Any] = nl.Loader(
        images, batch_size=BATCH, shuffle=True, num_workers=workers, transforms=_augment()
    )
    return loader


class _Crops:
    """The images as a data set of torch's, which needs only these two methods."""

    def __init__(self, images: Any) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        torch = importlib.import_module("torch")
        top, left = torch.randint(0, IMAGE[0] - CROP + 1, (2,)).tolist()
        crop = torch.from_numpy(self.images[index, top : top + CROP, left : left + CROP])
        if torch.rand(()) < 0.5:
            crop = crop.flip(1)
        return crop.permute(2, 0, 1).to(torch.float32) / 255


def _torch(images: Any, workers: int) -> Iterable[Any]:
    data = importlib.import_module("torch.utils.data")
    loader: Iterable[Any] = data.DataLoader(
        _Crops(images),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        persistent_workers=workers > 0,
    )
    return loader


def _both(images: Any, workers: int) -> Iterable[Any]:
    data = importlib.import_module("torch.utils.data")
    loader: Iterable[Any] = data.DataLoader(
        nl.torch.Dataset(images, _augment()),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="fork",
        persistent_workers=True,
        collate_fn=nl.torch.collate,
    )
    return loader


# The loader, its workers (threads of ndlens, processes of torch), and the modules that it needs.
CONTESTANTS: dict[str, tuple[Callable[[Any, int], Iterable[Any]], int, tuple[str, ...]]] = {
    "nl.Loader, no workers": (_ndlens, 0, ()),
    "nl.Loader, 2 threads": (_ndlens, 2, ()),
    "DataLoader, no workers": (_torch, 0, ("torch", "numpy")),
    "DataLoader, 2 processes": (_torch, 2, ("torch", "numpy")),
    "nl.torch.Dataset in a DataLoader, 2 processes": (_both, 2, ("torch",)),
}


def measure(contestant: str, nbytes: int, timeout_seconds: float) -> dict[str, Any]:
    """Measure one contestant in a new process."""
    outcome: dict[str, Any] = {"failed": None}
    arguments = {"contestant": contestant, "nbytes": nbytes}
    for report in run(".epoch:race", arguments, timeout_seconds):
        if "ended" in report:
            what = "ends the process: " if report["signal"] else ""
            outcome["failed"] = what + report["ended"]
        else:
            outcome |= report
    return outcome


def race(contestant: str, nbytes: int) -> Iterator[dict[str, Any]]:
    """Run the epochs of one contestant; runs in a child."""
    make, workers, _ = CONTESTANTS[contestant]
    # Before anything is counted: batches of ndlens are torch's tensors where there is torch, too.
    numpy, _ = (
        importlib.import_module(module) if find_spec(module) else None
        for module in ("numpy", "torch")
    )
    images = _numbered(nbytes, numpy)
    before = held_bytes(family(os.getpid()))
    loader = make(images, workers)

    begun, first, seen = time.perf_counter(), None, Counter[int]()
    for batch in loader:
        first = time.perf_counter() - begun if first is None else first
        seen.update(_images_of(batch))
        if time.perf_counter() - begun > CHECK_AT_MOST_SECONDS:
            break
    due = Counter(number % 256 for number in range(len(images)))
    whole = seen.total() == len(images)
    if not seen <= due or (whole and seen != due):
        raise RuntimeError("an epoch has not shown each image once")
    yield {"images": len(images), "images_checked": seen.total(), "first_batch_seconds": first}

    count, begun, seconds = 0, time.perf_counter(), 0.0
    while seconds < AT_LEAST_SECONDS:
        for batch in loader:
            count += len(batch)
            seconds = time.perf_counter() - begun
            if seconds > AT_MOST_SECONDS:
                break
    yield {"images_per_second": count / seconds}

    if before is not None:
        with _Peak() as peak:
            begun = time.perf_counter()
            for batch in loader:
                del batch
                if time.perf_counter() - begun > AT_MOST_SECONDS:
                    break
        yield {"extra_bytes": peak.nbytes - before}


def _numbered(nbytes: int, numpy: Any) -> Any:
    """Images of which each pixel says its column, its row and its image, each modulo 256."""
    images = make_base(nbytes, numpy)
    view, places = nl.view(images), nl.view(bytes(range(256)) * 2)
    view[..., 0] = places
    view[..., 1] = places.reshape(-1, 1)
    for number in range(len(images)):
        view[number, :, :, 2] = number % 256
    return images


def _images_of(batch: Any) -> Iterator[int]:
    """The numbers, modulo 256, of the images in a batch, each of which is a crop of one."""
    samples = nl.view(batch)
    if samples.shape[1:] != (3, CROP, CROP) or samples.dtype != "float32":
        raise RuntimeError(f"a batch has the shape {samples.shape} and the dtype {samples.dtype}")
    for sample in samples:
        places = ((0, 0), (0, 1), (0, CROP - 1), (1, 0), (CROP - 1, 0))
        left, next_left, right = (round(sample[0, y, x] * 255) for y, x in places[:3])
        top, next_top, bottom = (round(sample[1, y, x] * 255) for y, x in (places[0], *places[3:]))
        step = (next_left - left + 128) % 256 - 128
        rows = ((next_top - top) % 256, (bottom - top) % 256)
        if (
            step not in (1, -1)
            or (right - left) % 256 != step * (CROP - 1) % 256
            or rows != (1, 255)
        ):
            raise RuntimeError("a sample is not a crop of an image, mirrored or not")
        yield round(sample[2, 0, 0] * 255)


class _Peak:
    """Samples what this process and all below it hold, from a thread while the block runs."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self.nbytes = max(self.nbytes, held_bytes(family(os.getpid())) or 0)
