"""Random resized crops of images in memory, normalised, in batches, beside torchvision and OpenCV.

What it shows. The images a second that each contestant makes of 512x512x3 u8: a random part of 8 to
100 % of the area, resized to 224x224, flipped half of the time, converted to float32, normalised,
from HWC to CHW, gathered in batches of 32, in shuffled order: the usual training of ImageNet.

Compared with.
  ndlens N workers        nl.Loader(num_workers=N); the thread that takes batches helps, and with 0
                          is the only one. Bilinear, antialiased, bytes within a level of
                          torchvision's
  torchvision v2          its RandomResizedCrop and so on, antialiased, on each image, stacked; in
                          one process
  OpenCV N threads        cv2.resize of a slice, INTER_LINEAR, which is *not* antialiased and so
                          reads far less if the image gets smaller; then NumPy into one batch,
                          used again. cv2 does not hold the GIL. A common way to make it fast

How. First each contestant's batches are checked: dtype, shape, and that their values are those of
images normalised. Then the contestants take turns, each turn timed over whole epochs; a figure is
the median of its turns.

    python benches/resized_crop.py [--rounds 5] [--images 512] [--seconds 1.5] [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms import v2

import ndlens as nl
from ndlens import transforms as T

SIZE, CROP, BATCH = 512, 224, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUBJECT = "ndlens 2 workers"
BUSY = 0.5

Images = npt.NDArray[np.uint8]
Batches = Iterable[torch.Tensor]


def ndlens_loader(images: Images, workers: int) -> Batches:
    return nl.Loader(
        images,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        output="torch",
        transforms=[
            T.RandomResizedCrop(CROP),
            T.RandomHorizontalFlip(),
            T.ToDtype("float32", scale=True),
            T.Normalize(MEAN, STD),
            T.ChannelsFirst(),
        ],
    )


class Torchvision:
    def __init__(self, images: Images) -> None:
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(CROP),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )

    def __iter__(self) -> Iterator[torch.Tensor]:
        for chosen in torch.randperm(len(self.images)).split(BATCH):
            yield torch.stack([self.transform(self.images[i]) for i in chosen.tolist()])


class OpenCV:
    def __init__(self, images: Images, threads: int) -> None:
        cv2.setNumThreads(0)
        self.images = images
        self.batch = torch.empty(BATCH, 3, CROP, CROP)
        self.rows = self.batch.numpy()
        self.pool = ThreadPoolExecutor(threads)
        self.random = np.random.default_rng()
        self.scale = np.float32(1 / 255) / np.array(STD, np.float32)
        self.shift = np.array(MEAN, np.float32) / np.array(STD, np.float32)

    def make(self, task: tuple[int, int, tuple[int, int, int, int], bool]) -> None:
        row, image, (top, left, height, width), flip = task
        part = self.images[image, top : top + height, left : left + width]
        resized = cv2.resize(part, (CROP, CROP), interpolation=cv2.INTER_LINEAR)
        if flip:
            resized = resized[:, ::-1]
        for channel in range(3):
            out = self.rows[row, channel]
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

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = self.random.permutation(len(self.images))
        for start in range(0, len(order), BATCH):
            flips = self.random.random(BATCH) < 0.5
            tasks = [
                (row, int(image), self.rectangle(), bool(flips[row]))
                for row, image in enumerate(order[start : start + BATCH])
            ]
            list(self.pool.map(self.make, tasks, chunksize=1))
            yield self.batch


CONTESTANTS: dict[str, Callable[[Images], Batches]] = {
    "ndlens 0 workers": lambda images: ndlens_loader(images, 0),
    SUBJECT: lambda images: ndlens_loader(images, 2),
    "torchvision v2": Torchvision,
    "OpenCV 1 thread": lambda images: OpenCV(images, 1),
    "OpenCV 2 threads": lambda images: OpenCV(images, 2),
}


def smooth_images(count: int) -> Images:
    """Images that look the same before and after a resize: gradients, a different one in each."""
    ramp = np.linspace(0, 255, SIZE)
    plane = (ramp[:, None] + ramp[None, :]) / 2
    colours = np.random.default_rng().uniform(0.3, 1, (count, 1, 1, 3))
    return np.stack([np.rint(plane[..., None] * colour).astype(np.uint8) for colour in colours])


def check(make: Callable[[Images], Batches]) -> None:
    images = smooth_images(BATCH)
    most = images.max(axis=(1, 2)) / 255
    for batch in make(images):
        assert batch.dtype == torch.float32, batch.dtype
        assert batch.shape == (BATCH, 3, CROP, CROP), batch.shape
        pixels = batch * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
        assert pixels.min() > -0.01
        assert pixels.amax((2, 3)).max() <= most.max() + 0.01
        # Neighbours differ by at most a step of the gradient, for any resized part.
        assert pixels.diff(dim=3).abs().max() < 0.02
        assert pixels.diff(dim=2).abs().max() < 0.02
        assert 0.2 < pixels.mean() < 0.5


def images_per_second(batches: Batches, at_least_seconds: float) -> float:
    images, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < at_least_seconds:
        for batch in batches:
            images += len(batch)
    return images / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--images", type=int, default=512, help="number of images of 786 kB in memory"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="least seconds of each measurement"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a look, not a measurement: 1 round, 128 images"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.images, arguments.seconds = 1, 128, 0.5
    print(
        f"RandomResizedCrop {CROP}, flip, normalise, of {arguments.images} images ({SIZE},{SIZE},3)"
        " u8, batches of"
    )
    print(f"{BATCH}, shuffled; medians of {arguments.rounds}", flush=True)
    if (load := os.getloadavg()[0]) > BUSY:
        print(f"others use this machine (load {load:.1f}): do not cite these ratios")
    for make in CONTESTANTS.values():
        check(make)
    images = np.random.default_rng().integers(
        0, 256, (arguments.images, SIZE, SIZE, 3), dtype=np.uint8
    )
    contestants = {name: make(images) for name, make in CONTESTANTS.items()}
    found: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for batches in contestants.values():
        images_per_second(batches, arguments.seconds / 3)
    for _ in range(arguments.rounds):
        for name, batches in contestants.items():
            found[name].append(images_per_second(batches, arguments.seconds))
    rates = {name: statistics.median(rates) for name, rates in found.items()}
    print(f"{'':<22}{'images/s':>10}   {SUBJECT} is")
    for name, rate in rates.items():
        ratio = "" if name == SUBJECT else f"{rates[SUBJECT] / rate:.2f} x as fast"
        print(f"{name:<22}{rate:>10,.0f}   {ratio}")


if __name__ == "__main__":
    main()
