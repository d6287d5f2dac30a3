"""Other ways to have normalised crops of images on the device: torch's DataLoader, torchvision."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from .ground import MEAN, STD, Ground

__all__ = ["dataloader", "on_the_device"]


class Images(Dataset[tuple[torch.Tensor, int]]):
    """Crops of images as bytes, by torchvision on the CPU; the device makes floats of them."""

    def __init__(self, ground: Ground, resized: bool) -> None:
        self.images, self.labels = ground.images, ground.labels
        self.transform = transform(ground, resized)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        image = torch.from_numpy(self.images[item]).permute(2, 0, 1)
        return self.transform(image).contiguous(), int(self.labels[item])


def transform(ground: Ground, resized: bool) -> Any:
    if resized:
        first: Any = v2.RandomResizedCrop(ground.crop, antialias=True)
    else:
        first = v2.RandomCrop(ground.crop)
    return v2.Compose([first, v2.RandomHorizontalFlip()])


def one_thread(_worker: int) -> None:
    """A worker computes with one thread, as there are as many as cores."""
    torch.set_num_threads(1)


class Normalised:
    """Bytes on the device as normalised floats in channels_last."""

    def __init__(self, device: torch.device) -> None:
        self.mean = torch.tensor(MEAN, device=device).reshape(3, 1, 1)
        self.std = torch.tensor(STD, device=device).reshape(3, 1, 1)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        floats = images.to(torch.float32, memory_format=torch.channels_last)
        return floats.mul_(1 / 255).sub_(self.mean).div_(self.std)


def dataloader(ground: Ground, resized: bool, workers: int) -> Generator[Any, None, None]:
    """Epoch after epoch of torch's DataLoader with pinned memory and workers that stay."""
    loader = DataLoader(
        Images(ground, resized),
        batch_size=ground.batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        pin_memory=ground.device.type != "cpu",
        persistent_workers=True,
        prefetch_factor=4,
        worker_init_fn=one_thread,
    )
    normalised = Normalised(ground.device)
    while True:
        for images, labels in loader:
            there = images.to(ground.device, non_blocking=True)
            yield normalised(there), labels.to(ground.device, non_blocking=True)


def on_the_device(ground: Ground, resized: bool) -> Generator[Any, None, None]:
    """torchvision v2 on the device: whole images are gathered, pinned and copied, then cropped.

    Each image has a crop of its own, as with the others.
    """
    images = torch.from_numpy(ground.images)
    labels = torch.from_numpy(ground.labels)
    shape = (ground.batch, *images.shape[1:])
    pinned = ground.device.type != "cpu"
    whole = [torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for _ in range(2)]
    done: list[Any] = [None, None]
    step, normalised = transform(ground, resized), Normalised(ground.device)
    while True:
        order = torch.randperm(len(images))
        for turn, start in enumerate(range(0, len(order) - ground.batch + 1, ground.batch)):
            items, place = order[start : start + ground.batch], turn % 2
            if done[place] is not None:
                done[place].synchronize()
            torch.index_select(images, 0, items, out=whole[place])
            there = whole[place].to(ground.device, non_blocking=True)
            if pinned:
                done[place] = torch.cuda.Event()
                done[place].record()
            crops = [step(image) for image in there.permute(0, 3, 1, 2)]
            batch = normalised(torch.stack(crops))
            yield batch, labels[items].to(ground.device, non_blocking=True)
