"""Random crops of images in memory, made into batches: ndlens beside torch.

What it shows. The images a second that each contestant crops (256x256 at a random place of
512x512x3 u8), turns from HWC to CHW, converts to float32, divides by 255 and gathers in batches of
32, in shuffled order; the memory it needs beyond the images, the part of that in batches (by the
size of the loader's pool), and the milliseconds in a fresh process from making a loader to its
first batch. The same for batches of float16, bfloat16 and, not divided, of the bytes themselves.
Nothing consumes the batches, so this is the most a training loop could get. The images are in
memory: reading files is not part of it.

Compared with.
  ndlens N workers        nl.Loader(num_workers=N); the consumer makes batches, too, while it
                          waits, with 0 alone, so that one thread is 0 workers, and N workers on
                          more than N cores are N + 1 threads
  DataLoader N workers    torch's, with a Dataset of NumPy slices; workers are forked, and kept
                          between epochs
  hand loop               a loop without a loader: copy_ into one batch, which is used again
                          and again. Each batch overwrites the one before, which the loaders never
                          do
  numba, ring of 8        a loop over all pixels, compiled, in as many threads as two workers make,
                          into one of eight batches, used in turn; each is overwritten seven batches
                          later. Numba has no 16-bit floats on the CPU
  memory, N threads       the bytes that memory takes in N threads, written past the cache from one
                          row that stays in it, in as many batches of the same size and in huge
                          pages as ndlens has (`free_batches` in memory.py)

How. First the batches of each contestant are checked: dtype, shape, and that every sample is a crop
of a source image, exact to the dtype's last place, each image once an epoch. Then the contestants
take turns for some rounds, each turn alone in a fresh interpreter; a figure is the median of its
turns. In a turn it first runs with its memory sampled: the highest PSS of the process and its
workers, less what the process had when only the images were there. Then, warm and unobserved, it is
timed over whole epochs. First batches are made in separate processes. Their time depends on where
the machine finds memory, most of all on a virtual machine, so the least and the most are printed
too. The share of memory's limit is the median over rounds of the two rates in one round.

    ndlens bench crop        # or one of its contests, such as crop:float32, crop:first
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import ndlens as nl
from ndlens import transforms as T

from ..contest import Column, Contest, Figures, Ratio, beside
from ..ground import Contestant, Ground, Settings, present, rate_of_epochs, seconds_of
from ..memory import ROW_BYTES, PeakMemory, free_batches
from ..peers import find, reason_without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("float32", "uint8", "float16", "bfloat16", "first")
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=5, seconds=1.0, size=1000, least=32)
QUICK = Settings(rounds=1, seconds=0.3, size=200, least=32, quick=True)

SIZE = 512
CROP = 256
BATCH = 32
VALUES_PER_IMAGE = 3 * CROP * CROP
SUBJECT = "ndlens 2 workers"

Images = npt.NDArray[np.uint8]


def ndlens_loader(images: Images, dtype: str, workers: int) -> nl.Loader[Any]:
    scale = [] if dtype == "uint8" else [T.ToDtype(dtype, scale=True)]
    return nl.Loader(
        nl.view(images),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        transforms=[T.RandomCrop(CROP), *scale, T.ChannelsFirst()],
        output="numpy" if find("torch") else "torch",
    )


class Crops:
    """A data set of NumPy slices as tensors, for torch's `DataLoader`."""

    def __init__(self, images: Images, dtype: str) -> None:
        import torch

        self.torch: Any = torch
        self.images, self.dtype = images, getattr(torch, dtype)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        top, left = self.torch.randint(0, SIZE - CROP + 1, (2,)).tolist()
        crop = self.images[index, top : top + CROP, left : left + CROP, :]
        values = self.torch.from_numpy(crop).permute(2, 0, 1)
        crop_of_dtype: torch.Tensor = (
            values.to(self.dtype) / 255 if self.dtype.is_floating_point else values
        )
        return crop_of_dtype


def torch_dataloader(images: Images, dtype: str, workers: int) -> Iterable[torch.Tensor]:
    from torch.utils.data import DataLoader

    dataset: Any = Crops(images, dtype)
    return DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        persistent_workers=workers > 0,
    )


class HandLoop:
    """Crops copied into one batch, again and again."""

    def __init__(self, images: Images, dtype: str) -> None:
        import torch

        self.torch: Any = torch
        self.images = torch.from_numpy(images)
        self.batch = torch.empty(BATCH, 3, CROP, CROP, dtype=getattr(torch, dtype))

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = self.torch.randperm(len(self.images))
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            corners = self.torch.randint(0, SIZE - CROP + 1, (BATCH, 2)).tolist()
            for place, index, (top, left) in zip(self.batch, chosen.tolist(), corners, strict=True):
                place.copy_(
                    self.images[index, top : top + CROP, left : left + CROP].permute(2, 0, 1)
                )
            if self.batch.is_floating_point():
                self.batch.div_(255)
            yield self.batch


class NumbaRing:
    """The fastest loop in Python: compiled, in `THREADS` threads, into eight batches in turn."""

    BATCHES = 8

    def __init__(self, images: Images, dtype: str) -> None:
        import numba

        @numba.njit(parallel=True, fastmath=True)
        def crop_to_floats(images: Images, chosen: Any, corners: Any, batch: Any) -> None:
            for row in numba.prange(len(chosen)):
                image, (top, left) = images[chosen[row]], corners[row]
                for y in range(CROP):
                    for x in range(CROP):
                        for channel in range(3):
                            batch[row, channel, y, x] = image[
                                top + y, left + x, channel
                            ] * np.float32(1 / 255)

        @numba.njit(parallel=True)
        def crop_bytes(images: Images, chosen: Any, corners: Any, batch: Any) -> None:
            for row in numba.prange(len(chosen)):
                image, (top, left) = images[chosen[row]], corners[row]
                for y in range(CROP):
                    for x in range(CROP):
                        for channel in range(3):
                            batch[row, channel, y, x] = image[top + y, left + x, channel]

        numba.set_num_threads(min(THREADS, numba.get_num_threads()))
        self.images = images
        self.crop_all = crop_bytes if dtype == "uint8" else crop_to_floats
        self.ring = [np.zeros((BATCH, 3, CROP, CROP), dtype) for _ in range(self.BATCHES)]
        self.random = np.random.default_rng()

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        order = self.random.permutation(len(self.images))
        for number, start in enumerate(range(0, len(order) // BATCH * BATCH, BATCH)):
            corners = self.random.integers(0, SIZE - CROP + 1, (BATCH, 2))
            batch = self.ring[number % self.BATCHES]
            self.crop_all(self.images, order[start : start + BATCH], corners, batch)
            yield batch


CONTESTANTS = {
    SUBJECT: Contestant(partial(ndlens_loader, workers=2)),
    "ndlens 1 worker": Contestant(partial(ndlens_loader, workers=1)),
    "ndlens 0 workers": Contestant(partial(ndlens_loader, workers=0)),
    "DataLoader 0 workers": Contestant(partial(torch_dataloader, workers=0), ("torch",)),
    "DataLoader 2 workers": Contestant(partial(torch_dataloader, workers=2), ("torch",)),
    "hand loop": Contestant(HandLoop, ("torch",)),
    "numba, ring of 8": Contestant(NumbaRing, ("numba",)),
}
# The threads that two workers make: with a core for each, the consumer is one more.
THREADS = min(3, max(2, len(os.sched_getaffinity(0))))
LIMIT = f"memory, {THREADS} threads"
# The number of threads that write, and the contestant with as many.
LIMITS = {LIMIT: (THREADS, SUBJECT), "memory, 1 thread": (1, "ndlens 0 workers")}

FEW = (SUBJECT, LIMIT, "DataLoader 0 workers", "hand loop")
TABLES = {
    "float32": (
        SUBJECT,
        LIMIT,
        "ndlens 1 worker",
        "ndlens 0 workers",
        "memory, 1 thread",
        *list(CONTESTANTS)[3:],
    ),
    "uint8": (*FEW, "numba, ring of 8"),
    "float16": FEW,
    "bfloat16": FEW,
}
FIRSTS = (SUBJECT, "ndlens 0 workers", "DataLoader 0 workers", "DataLoader 2 workers")
FIRST = "first"


def random_images(count: int) -> Images:
    words = np.random.default_rng().integers(
        0, 2**64, count * SIZE * SIZE * 3 // 8, dtype=np.uint64
    )
    return words.view(np.uint8).reshape(count, SIZE, SIZE, 3)


def nbytes_of(dtype: str) -> int:
    """Bytes of one image of a batch."""
    return VALUES_PER_IMAGE * {"uint8": 1, "float32": 4}.get(dtype, 2)


def levels_and_bits(batch: Any, dtype: str) -> tuple[Images, npt.NDArray[Any]]:
    """The pixels of a batch as the bytes that they came from, and its values as integers."""
    bits = {"uint8": "uint8", "float32": "int32"}.get(dtype, "int16")
    if isinstance(batch, np.ndarray):
        values, words = batch.astype(np.float32), batch.view(bits)
    else:
        import torch

        values, words = batch.float().numpy(), batch.view(getattr(torch, bits)).numpy()
    if dtype == "uint8":
        return words, words
    return np.rint(values * 255).astype(np.uint8), words


def expected_bits(crop: Images, dtype: str) -> npt.NDArray[Any]:
    """A crop divided by 255, as integers."""
    if dtype == "uint8":
        return crop
    bits: npt.NDArray[Any]
    if dtype != "bfloat16":
        bits = crop.astype(dtype) / np.dtype(dtype).type(255)
        return bits.view(f"i{bits.itemsize}")
    import torch

    bits = (torch.from_numpy(crop).bfloat16() / 255).view(torch.int16).numpy()
    return bits


def check(name: str, dtype: str) -> None:
    """Finds each sample of an epoch in the images, by exhaustive search."""
    images = random_images(2 * BATCH)
    haystacks = [image.tobytes() for image in images]
    seen = []
    for batch in CONTESTANTS[name].make(images, dtype):
        assert str(batch.dtype).removeprefix("torch.") == dtype, f"{name}: {batch.dtype}"
        assert batch.shape == (BATCH, 3, CROP, CROP), f"{name}: {batch.shape}"
        for sample in zip(*levels_and_bits(batch, dtype), strict=True):
            levels, bits = sample
            first_row = levels[:, 0].T.tobytes()
            index, start = next(
                (i, at) for i, hay in enumerate(haystacks) if (at := hay.find(first_row)) >= 0
            )
            top, left = divmod(start // 3, SIZE)
            crop = images[index, top : top + CROP, left : left + CROP].transpose(2, 0, 1)
            expected = expected_bits(np.ascontiguousarray(crop), dtype)
            # torch's x / 255 and torchvision's and ndlens' x * (1 / 255) differ in the last place.
            most = 0 if dtype == "uint8" else 1
            apart = np.abs(bits.astype(np.int64) - expected.astype(np.int64)).max()
            assert apart <= most, f"{name}: wrong values"
            seen.append(index)
    assert sorted(seen) == list(range(len(images))), f"{name}: an epoch must show each image once"


def load_peers(name: str) -> None:
    """Imports what the contestant uses, so that no figure contains it."""
    reason_without(("torch", *CONTESTANTS[name].peers))


def run_contestant(name: str, dtype: str, count: int, seconds: float) -> Figures:
    """In the fresh interpreter: measures one contestant."""
    load_peers(name)
    images = random_images(count)
    memory = PeakMemory()
    batches = CONTESTANTS[name].make(images, dtype)
    with memory:
        rate_of_epochs(batches, seconds)
    rate = rate_of_epochs(batches, seconds)
    found = {"images_per_second": rate, "extra_bytes": float(memory.extra)}
    if isinstance(batches, nl.Loader):
        found["pool_bytes"] = float(batches.pool_nbytes)
    return found


def make_first(name: str, count: int) -> Figures:
    """In a fresh interpreter: the milliseconds from making a loader to its first batch."""
    load_peers(name)
    images = random_images(count)
    seconds = seconds_of(lambda: next(iter(CONTESTANTS[name].make(images, "float32"))))
    return {"milliseconds": seconds * 1e3}


def memory_limit(name: str, dtype: str, seconds: float) -> Figures:
    """In a fresh interpreter: the images a second that memory takes."""
    batches = free_batches(LIMITS[name][0], BATCH * nbytes_of(dtype))
    rate_of_epochs(batches, seconds)
    # The rows of a batch that costs nothing are not images.
    bytes_per_second = rate_of_epochs(batches, seconds) * ROW_BYTES
    return {"images_per_second": bytes_per_second / nbytes_of(dtype)}


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for each dtype of batches, and one of first batches."""
    names, absent = present(CONTESTANTS)
    for dtype, wanted in TABLES.items():
        # A look has the first alone.
        if not settings.wants(dtype) or (
            settings.quick and not settings.keys and dtype != "float32"
        ):
            continue
        if dtype == "bfloat16" and (reason := find("torch")):
            yield Contest(
                dtype,
                title(dtype, settings),
                "images/s",
                [],
                {},
                absent={"all": reason},
            )
            continue
        here = [name for name in wanted if name in names or name in LIMITS]
        missing = {name: reason for name, reason in absent.items() if name in wanted}
        yield crops(ground, settings, dtype, here, missing)
    if settings.wants(FIRST):
        here = [name for name in FIRSTS if name in names]
        missing = {name: reason for name, reason in absent.items() if name in FIRSTS}
        yield firsts(ground, settings, here, missing)


def title(dtype: str, settings: Settings) -> str:
    divided = "" if dtype == "uint8" else ", divided by 255"
    return (
        f"Random crops of {CROP} of {settings.size:,} images ({SIZE}, {SIZE}, 3) of bytes, to"
        f" {dtype}, channels first{divided}, batches of {BATCH}, shuffled"
    )


def crops(
    ground: Ground, settings: Settings, dtype: str, names: list[str], absent: dict[str, str]
) -> Contest:
    contestants = [name for name in names if name not in LIMITS]
    ground.each(
        f"crop to {dtype}, checking",
        contestants,
        lambda name: ground.apart(check, name, dtype),
    )
    turns = {
        name: partial(ground.apart, memory_limit, name, dtype, settings.seconds)
        if name in LIMITS
        else partial(ground.apart, run_contestant, name, dtype, settings.size, settings.seconds)
        for name in names
    }
    return Contest(
        dtype,
        title(dtype, settings),
        "images/s",
        [
            Column("images/s", "images_per_second"),
            Column("GB/s written", "images_per_second", ".2f", nbytes_of(dtype) / 1e9),
            Column("extra MB", "extra_bytes", ".1f", 1e-6),
            Column("batches MB", "pool_bytes", ".1f", 1e-6),
            Ratio(f"{SUBJECT} is", "images_per_second", subjects=beside(SUBJECT, names)),
        ],
        ground.rounds(f"crop to {dtype}", turns, settings.rounds),
        limits={name: of for name, (_, of) in LIMITS.items() if name in names},
        absent=absent,
    )


def firsts(ground: Ground, settings: Settings, names: list[str], absent: dict[str, str]) -> Contest:
    turns = {name: partial(ground.apart, make_first, name, settings.size) for name in names}
    return Contest(
        FIRST,
        f"First batch of crops of float32 in a fresh process, of {settings.size:,} images",
        "ms",
        [
            Column("ms", "milliseconds", ".1f"),
            Column("least", "milliseconds", ".1f", statistic="least"),
            Column("most", "milliseconds", ".1f", statistic="most"),
        ],
        ground.rounds("first batches", turns, 2 * settings.rounds - 1),
        absent=absent,
    )
