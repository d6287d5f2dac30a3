"""Random resized crops of images in memory, normalised, in batches, beside torchvision and OpenCV.

What it shows. The images a second that each contestant makes of 512x512x3 u8: a random part of 8 to
100 % of the area, resized to 224x224, flipped half of the time, converted to float32, normalised,
from HWC to CHW, gathered in batches of 32, in shuffled order: the usual training of ImageNet.

Compared with.
  ndlens N workers        nl.Loader(num_workers=N); the thread that takes batches helps, and with 0
                          is the only one. Bilinear, antialiased, bytes within a level of
                          torchvision's
  torchvision v2          its RandomResizedCrop and so on, antialiased, on each image, stacked; in
                          one process, or in two forked workers of a DataLoader
  OpenCV N threads        cv2.resize of a slice, INTER_LINEAR, which is *not* antialiased and so
                          reads far less if the image gets smaller; then NumPy into one batch,
                          used again. cv2 does not hold the GIL. A common way to make it fast

How. First each contestant's batches are checked: dtype, shape, and that their values are those of
images normalised. Then the contestants take turns, each turn timed over whole epochs; a figure is
the median of its turns.

    ndlens bench resized_crop
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import ndlens as nl
from ndlens import transforms as T

from ..contest import Column, Contest, Ratio, beside
from ..ground import Contestant, Ground, Settings, present, rate_of_epochs
from ..peers import find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

CONTESTS = ("float32",)
PEERS: tuple[str, ...] = ()
FULL = Settings(rounds=5, seconds=1.5, size=512, least=32)
QUICK = Settings(rounds=1, seconds=0.5, size=128, least=32, quick=True)

SIZE, CROP, BATCH = 512, 224, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUBJECT = "ndlens 2 workers"

Images = npt.NDArray[np.uint8]


def ndlens_loader(images: Images, workers: int) -> nl.Loader[Any]:
    return nl.Loader(
        images,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        output="numpy" if find("torch") else "torch",
        transforms=[
            T.RandomResizedCrop(CROP),
            T.RandomHorizontalFlip(),
            T.ToDtype("float32", scale=True),
            T.Normalize(MEAN, STD),
            T.ChannelsFirst(),
        ],
    )


class Torchvision:
    """Each image through torchvision's transforms, and a stack of them."""

    def __init__(self, images: Images) -> None:
        import torch
        from torchvision.transforms import v2

        self.torch: Any = torch
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(CROP),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        image: torch.Tensor = self.transform(self.images[index])
        return image

    def __iter__(self) -> Iterator[torch.Tensor]:
        for chosen in self.torch.randperm(len(self)).split(BATCH):
            yield self.torch.stack([self[index] for index in chosen.tolist()])


def torchvision_in_workers(images: Images) -> Iterable[torch.Tensor]:
    from torch.utils.data import DataLoader

    dataset: Any = Torchvision(images)
    return DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        num_workers=2,
        multiprocessing_context="fork",
        persistent_workers=True,
    )


class OpenCV:
    """A slice through cv2.resize in a pool of threads, and NumPy into one batch."""

    def __init__(self, images: Images, threads: int) -> None:
        import cv2

        cv2.setNumThreads(0)
        self.cv2: Any = cv2
        self.images = images
        self.batch = np.empty((BATCH, 3, CROP, CROP), np.float32)
        self.pool = ThreadPoolExecutor(threads)
        self.random = np.random.default_rng()
        self.scale = np.float32(1 / 255) / np.array(STD, np.float32)
        self.shift = np.array(MEAN, np.float32) / np.array(STD, np.float32)

    def make(self, task: tuple[int, int, tuple[int, int, int, int], bool]) -> None:
        row, image, (top, left, height, width), flip = task
        part = self.images[image, top : top + height, left : left + width]
        resized = self.cv2.resize(part, (CROP, CROP), interpolation=self.cv2.INTER_LINEAR)
        if flip:
            resized = resized[:, ::-1]
        for channel in range(3):
            out = self.batch[row, channel]
            np.multiply(resized[..., channel], self.scale[channel], out=out)
            np.subtract(out, self.shift[channel], out=out)

    def rectangle(self) -> tuple[int, int, int, int]:
        while True:
            area = SIZE * SIZE * self.random.uniform(0.08, 1)
            ratio = np.exp(self.random.uniform(np.log(3 / 4), np.log(4 / 3)))
            width, height = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if width <= SIZE and height <= SIZE:
                top, left = (int(self.random.integers(SIZE - side + 1)) for side in (height, width))
                return top, left, height, width

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        order = self.random.permutation(len(self.images))
        for start in range(0, len(order), BATCH):
            flips = self.random.random(BATCH) < 0.5
            tasks = [
                (row, int(image), self.rectangle(), bool(flips[row]))
                for row, image in enumerate(order[start : start + BATCH])
            ]
            list(self.pool.map(self.make, tasks, chunksize=1))
            yield self.batch


CONTESTANTS = {
    "ndlens 0 workers": Contestant(partial(ndlens_loader, workers=0)),
    SUBJECT: Contestant(partial(ndlens_loader, workers=2)),
    "torchvision v2": Contestant(Torchvision, ("torch", "torchvision")),
    "torchvision v2, 2 workers": Contestant(torchvision_in_workers, ("torch", "torchvision")),
    "OpenCV 1 thread": Contestant(partial(OpenCV, threads=1), ("cv2",)),
    "OpenCV 2 threads": Contestant(partial(OpenCV, threads=2), ("cv2",)),
}


def smooth_images(count: int) -> Images:
    """Images that look the same before and after a resize: gradients, a different one in each."""
    ramp = np.linspace(0, 255, SIZE)
    plane = (ramp[:, None] + ramp[None, :]) / 2
    colours = np.random.default_rng().uniform(0.3, 1, (count, 1, 1, 3))
    return np.stack([np.rint(plane[..., None] * colour).astype(np.uint8) for colour in colours])


def check(name: str) -> None:
    images = smooth_images(BATCH)
    most = images.max(axis=(1, 2)) / 255
    for batch in CONTESTANTS[name].make(images):
        values = np.asarray(batch)
        assert values.dtype == np.float32, f"{name}: {values.dtype}"
        assert values.shape == (BATCH, 3, CROP, CROP), f"{name}: {values.shape}"
        pixels = values * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]
        assert pixels.min() > -0.01, f"{name}: values below those of the images"
        assert pixels.max() <= most.max() + 0.01, f"{name}: values above those of the images"
        # Neighbours differ by at most a step of the gradient, for any resized part.
        for axis in (2, 3):
            steps = np.abs(np.diff(pixels, axis=axis))
            assert steps.max() < 0.02, f"{name}: no gradient along axis {axis}"
        assert 0.2 < pixels.mean() < 0.5, f"{name}: another mean than that of the images"


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """One contest."""
    key = "float32"
    if not settings.wants(key):
        return
    names, absent = present(CONTESTANTS)
    ground.each("resized crop, checking", names, check)
    images = np.random.default_rng().integers(
        0, 256, (settings.size, SIZE, SIZE, 3), dtype=np.uint8
    )
    contestants = {name: CONTESTANTS[name].make(images) for name in names}
    ground.each(
        "resized crop, warming up",
        names,
        lambda name: rate_of_epochs(contestants[name], settings.seconds / 3),
    )
    turns = {name: partial(figures, contestants[name], settings.seconds) for name in names}
    yield Contest(
        key,
        f"RandomResizedCrop {CROP}, flip, normalise, of {settings.size:,} images ({SIZE}, {SIZE},"
        f" 3) of bytes, to float32, channels first, batches of {BATCH}, shuffled",
        "images/s",
        [
            Column("images/s", "images_per_second"),
            Ratio(f"{SUBJECT} is", "images_per_second", subjects=beside(SUBJECT, names)),
        ],
        ground.rounds("resized crop", turns, settings.rounds),
        absent=absent,
    )


def figures(batches: Any, seconds: float) -> dict[str, float]:
    return {"images_per_second": rate_of_epochs(batches, seconds)}
