"""Files of photographs, decoded, augmented and gathered in batches: ndlens beside torch.

What it shows. The images a second that each contestant makes of files: decoded, a random part of 8
to 100 % of the area, resized to 224x224, flipped half of the time, converted to float32,
normalised, channels first, in batches of 32, shuffled: the usual training of ImageNet. The
processor's seconds for 1,000 images, over all threads and processes. The memory beyond that of the
process before. Three sets of files: JPEGs of about 500x375 at qualities 80 to 95, mostly 4:2:0;
the same as PNG files; JPEGs of 4000x3000. The files are in the system's cache.

Compared with.
  ndlens N workers        nl.Loader(nl.images(files), num_workers=N); the thread that takes batches
                          helps, and with 0 is the only one
  ndlens, packed          the same from nl.pack(.., transforms=[T.Resize(256)]): pixels, mapped
  decoder, N threads      nl.decode_image of whole images in N threads, and nothing else: JPEG bytes
                          in memory to pixels. A loader that decodes all pixels cannot be faster
  X, N workers            torch's DataLoader, with N forked workers that are kept, of a Dataset:
    torchvision           torchvision.io.decode_jpeg or decode_png, v2 transforms of tensors
    Pillow                Image.open, v2 transforms of its images: torchvision's ImageFolder
    OpenCV                cv2.imread, cv2.resize (INTER_LINEAR, which is *not* antialiased and so
                          reads far less if the image gets smaller), NumPy
    TurboJPEG             simplejpeg.decode_jpeg, the rest as OpenCV; JPEGs alone

How. First each contestant's batches of smooth gradients are checked: dtype, shape, and values.
Then the contestants take turns, each turn alone in a fresh interpreter; a figure is the median of
its turns. In a turn it first runs with its memory sampled (the highest PSS of the process and its
workers, less what the process had before), then, warm and unobserved, it is timed over whole
epochs.

    ndlens bench decode        # or one of its contests, such as decode:jpeg
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import ndlens as nl
from ndlens import transforms as T

from ..contest import Column, Contest, Figures, Ratio, beside
from ..ground import Contestant, Ground, Settings, present, rate_of_epochs
from ..memory import PeakMemory
from ..peers import find, reason_without
from ..photographs import write_gradients, write_photographs
from ..processor import processor_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["CONTESTS", "FULL", "PEERS", "QUICK", "run"]

PEERS = ("PIL", "skimage")
FULL = Settings(rounds=3, seconds=3.0, size=2000, least=64)
QUICK = Settings(rounds=1, seconds=0.5, size=200, least=64, quick=True)


class Photographs(NamedTuple):
    """A set of files."""

    suffix: str
    width: int
    height: int
    share: int  # the set has one n-th of the size that is asked for


SETS = {
    "jpeg": Photographs(".jpg", 500, 375, 1),
    "png": Photographs(".png", 500, 375, 4),
    "large": Photographs(".jpg", 4000, 3000, 16),
}
CONTESTS = tuple(SETS)

CROP, BATCH = 224, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUBJECT = "ndlens 2 workers"
PACKED = "ndlens, packed, 2 workers"
DECODERS = {"decoder, 1 thread": 1, "decoder, 2 threads": 2}


def files(folder: str) -> list[str]:
    """The files of a folder, sorted."""
    return sorted(str(path) for path in Path(folder).iterdir())


def ndlens_loader(folder: str, workers: int) -> nl.Loader[Any]:
    return loader_of(nl.images(files(folder)), workers)


def packed_loader(folder: str, workers: int) -> nl.Loader[Any]:
    return loader_of(nl.open(pack_path(folder))["image"], workers)


def pack_path(folder: str) -> str:
    """The packed set of a folder, beside it."""
    return f"{folder}.safetensors"


def loader_of(images: Any, workers: int) -> nl.Loader[Any]:
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


class Dataset:
    """Files through functions that decode and transform, for torch's `DataLoader`."""

    def __init__(self, folder: str, make: Callable[[str], Any]) -> None:
        self.files, self.make = files(folder), make

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        return self.make(self.files[index])


def data_loader(folder: str, decoder: Callable[[], Callable[[str], Any]], workers: int) -> Any:
    from torch.utils.data import DataLoader

    dataset: Any = Dataset(folder, decoder())
    return DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        persistent_workers=workers > 0,
    )


def by_torchvision() -> Callable[[str], Any]:
    import torch
    from torchvision import io
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomResizedCrop(CROP),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def make(path: str) -> Any:
        decode = io.decode_png if path.endswith(".png") else io.decode_jpeg
        return transform(decode(io.read_file(path), mode=io.ImageReadMode.RGB))

    return make


def by_pillow() -> Callable[[str], Any]:
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomResizedCrop(CROP),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def make(path: str) -> Any:
        with Image.open(path) as image:
            return transform(image.convert("RGB"))

    return make


class Resizing:
    """A random part of an array by cv2, then NumPy."""

    def __init__(self) -> None:
        import cv2
        import torch

        cv2.setNumThreads(0)
        self.cv2: Any = cv2
        self.torch: Any = torch
        self.scale = np.float32(1 / 255) / np.array(STD, np.float32)
        self.shift = np.array(MEAN, np.float32) / np.array(STD, np.float32)

    def __call__(self, image: Any) -> Any:
        # torch's numbers: workers seed them, and not NumPy's.
        area, ratio, top, left, flip = self.torch.rand(5).tolist()
        height, width = image.shape[:2]
        area *= 0.92 * height * width
        area += 0.08 * height * width
        ratio = np.exp((2 * ratio - 1) * np.log(4 / 3))
        wide, high = (
            min(width, round((area * ratio) ** 0.5)),
            min(height, round((area / ratio) ** 0.5)),
        )
        top, left = int(top * (height - high + 1)), int(left * (width - wide + 1))
        part = image[top : top + high, left : left + wide]
        resized = self.cv2.resize(part, (CROP, CROP), interpolation=self.cv2.INTER_LINEAR)
        if flip < 0.5:
            resized = resized[:, ::-1]
        out = np.empty((3, CROP, CROP), np.float32)
        for channel in range(3):
            np.multiply(resized[..., channel], self.scale[channel], out=out[channel])
            np.subtract(out[channel], self.shift[channel], out=out[channel])
        return self.torch.from_numpy(out)


def by_opencv() -> Callable[[str], Any]:
    resize = Resizing()
    cv2 = resize.cv2

    def make(path: str) -> Any:
        return resize(cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB))

    return make


def by_turbojpeg() -> Callable[[str], Any]:
    import simplejpeg

    resize = Resizing()

    def make(path: str) -> Any:
        return resize(simplejpeg.decode_jpeg(Path(path).read_bytes(), "RGB"))

    return make


TORCH = {
    "torchvision": (by_torchvision, ("torch", "torchvision")),
    "Pillow": (by_pillow, ("torch", "torchvision")),
    "OpenCV": (by_opencv, ("torch", "cv2")),
    "TurboJPEG": (by_turbojpeg, ("torch", "cv2", "simplejpeg")),
}
CONTESTANTS = {
    SUBJECT: Contestant(partial(ndlens_loader, workers=2)),
    "ndlens 1 worker": Contestant(partial(ndlens_loader, workers=1)),
    "ndlens 0 workers": Contestant(partial(ndlens_loader, workers=0)),
    PACKED: Contestant(partial(packed_loader, workers=2)),
    **{
        f"{name}, {workers} workers": Contestant(
            partial(data_loader, decoder=decoder, workers=workers), peers
        )
        for name, (decoder, peers) in TORCH.items()
        for workers in (0, 2, 4)
    },
}


def wanted(key: str, name: str, quick: bool) -> bool:
    """Whether a contestant takes part: packed sets of JPEGs of one size, TurboJPEG for JPEGs.

    A look leaves out what is rarely the fastest.
    """
    if name == PACKED:
        return key == "jpeg"
    if name.startswith("TurboJPEG") and SETS[key].suffix != ".jpg":
        return False
    return not quick or name.startswith("ndlens") or name.endswith("2 workers")


def check(name: str, folder: str) -> None:
    """Checks the batches of gradients."""
    load_peers(name)
    batches = CONTESTANTS[name].make(folder)
    seen = 0
    for batch in batches:
        values = np.asarray(batch)
        seen += len(values)
        assert values.dtype == np.float32, f"{name}: {values.dtype}"
        assert values.shape == (BATCH, 3, CROP, CROP), f"{name}: {values.shape}"
        pixels = values * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]
        assert pixels.min() > -0.03, f"{name}: values below those of the images"
        assert pixels.max() < 1.03, f"{name}: values above those of the images"
        # A part of a gradient is one: away from the middle by less than the part is large.
        for axis in (2, 3):
            steps = np.abs(np.diff(pixels, axis=axis))
            assert steps.max() < 0.06, f"{name}: no gradient along axis {axis}"
        means = pixels.mean(axis=(1, 2, 3))
        assert 0.2 < means.mean() < 0.6, f"{name}: another mean than that of the images"
        assert means.std() > 0.01, f"{name}: one image again and again"
    assert seen == len(files(folder)), f"{name}: an epoch must show each image once"


def load_peers(name: str) -> None:
    """Imports what the contestant uses, so that no figure contains it."""
    reason_without(("torch", *CONTESTANTS[name].peers))


def run_contestant(name: str, folder: str, seconds: float) -> Figures:
    """In the fresh interpreter: measures one contestant."""
    load_peers(name)
    memory = PeakMemory()
    batches = CONTESTANTS[name].make(folder)
    with memory:
        rate_of_epochs(batches, seconds / 2)
    counted = Counted(batches)
    used = processor_seconds(os.getpid())
    rate = rate_of_epochs(counted, seconds)
    used = processor_seconds(os.getpid()) - used
    return {
        "images_per_second": rate,
        "extra_bytes": float(memory.extra),
        "processor_seconds": used / counted.items,
    }


class Counted:
    """Batches, with the number of their items."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches, self.items = batches, 0

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            self.items += len(batch)
            yield batch


def run_decoder(name: str, folder: str, seconds: float) -> Figures:
    """In a fresh interpreter: decodes whole images, which are in memory, in threads."""
    threads = DECODERS[name]
    encoded = [Path(path).read_bytes() for path in files(folder)]
    memory = PeakMemory()
    with ThreadPoolExecutor(threads) as pool, memory:
        list(pool.map(nl.decode_image, encoded[: 8 * threads]))
        used, images, start = processor_seconds(os.getpid()), 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds:
            for _ in pool.map(nl.decode_image, encoded):
                images += 1
        used = processor_seconds(os.getpid()) - used
    return {
        "images_per_second": images / passed,
        "extra_bytes": float(memory.extra),
        "processor_seconds": used / images,
    }


def run(ground: Ground, settings: Settings) -> Iterator[Contest]:
    """A contest for each set of files."""
    names, absent = present(CONTESTANTS)
    for key in CONTESTS:
        # A look has the first alone.
        if settings.wants(key) and (settings.keys or not settings.quick or key == "jpeg"):
            yield of_files(ground, settings, key, names, absent)


def of_files(
    ground: Ground, settings: Settings, key: str, names: list[str], absent: dict[str, str]
) -> Contest:
    suffix, width, height, share = SETS[key]
    count = max(settings.size // share, BATCH)
    smooth, folder = (str(ground.folder / f"{key}-{kind}") for kind in ("smooth", "photographs"))
    write_gradients(Path(smooth), suffix, BATCH, width, height)
    ground.each(
        f"decode {key}, writing {count:,} files",
        [folder],
        lambda folder: write_photographs(Path(folder), suffix, count, width, height),
    )
    here = [name for name in names if wanted(key, name, settings.quick)]
    if PACKED in here:
        for source in (smooth, folder):
            nl.pack(nl.images(files(source)), pack_path(source), transforms=[T.Resize(256)])
    ground.each(f"decode {key}, checking", here, lambda name: ground.apart(check, name, smooth))
    turns = {
        **{
            name: partial(ground.apart, run_contestant, name, folder, settings.seconds)
            for name in here
        },
        **{
            name: partial(ground.apart, run_decoder, name, folder, settings.seconds)
            for name in DECODERS
        },
    }
    return Contest(
        key,
        f"{count:,} files {suffix} of about {width} x {height}, RandomResizedCrop {CROP}, flip,"
        f" normalise, to float32, channels first, batches of {BATCH}, shuffled",
        "images/s",
        [
            Column("images/s", "images_per_second"),
            Column("CPU s for 1,000", "processor_seconds", ".2f", 1000),
            Column("extra MB", "extra_bytes", ".0f", 1e-6),
            Ratio(f"{SUBJECT} is", "images_per_second", subjects=beside(SUBJECT, list(turns))),
        ],
        ground.rounds(f"decode {key}", turns, settings.rounds),
        absent={
            name: reason for name, reason in absent.items() if wanted(key, name, settings.quick)
        },
        ours=[name for name in turns if "ndlens" in name or name in DECODERS],
    )
