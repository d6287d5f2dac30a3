"""A training step of ResNet-50 with data from the device, from ndlens and from the DataLoader."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator
from typing import Any

import torch

from .contestants import dataloader
from .ground import Ground, Row, endless, spread

__all__ = ["run"]


def run(ground: Ground, seconds: float) -> tuple[list[Row], list[str]]:
    """Steps in bfloat16, channels_last; the loss must be a number."""
    trainer = Trainer(ground)
    workers = ground.workers[-1]
    contestants = {
        "synthetic, on the device": synthetic(ground),
        f"ndlens, {workers} workers": pairs(ground, workers),
        f"DataLoader, {workers} workers": dataloader(ground, False, workers),
    }
    measured = {}
    for name, source in contestants.items():
        measured[name] = trainer.steps(source, seconds / 3)
        source.close()
    least = spread(measured["synthetic, on the device"])[0]
    rows = []
    for name, times in measured.items():
        middle, worst = spread(times)
        rows.append(
            {
                "data": name,
                "step_ms_p50": middle * 1e3,
                "step_ms_p99": worst * 1e3,
                "step_ms_mean": sum(times) / len(times) * 1e3,
                "share_lost": max(0.0, 1 - least * len(times) / sum(times)),
                "images_per_s": ground.batch * len(times) / sum(times),
            }
        )
    failures = [] if trainer.is_sound() else [f"the loss is {trainer.loss}"]
    return rows, failures


def synthetic(ground: Ground) -> Generator[Any, None, None]:
    shape = (ground.batch, 3, ground.crop, ground.crop)
    images = torch.randn(shape, device=ground.device).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (ground.batch,), device=ground.device)
    while True:
        yield images, labels


def pairs(ground: Ground, workers: int) -> Generator[Any, None, None]:
    for batch in endless(ground.loader(False, workers)):
        yield batch["image"], batch["label"]


def small() -> torch.nn.Module:
    """A network that a processor trains at once."""
    pool, flat = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), pool, flat, torch.nn.Linear(8, 1000))


class Trainer:
    """A network and its optimizer."""

    def __init__(self, ground: Ground) -> None:
        from torchvision.models import resnet50

        self.ground = ground
        network = small() if ground.tiny else resnet50(num_classes=1000)
        self.network = network.to(ground.device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
        torch.backends.cudnn.benchmark = True
        self.loss: torch.Tensor = torch.zeros(())

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        with torch.autocast(self.ground.device.type, dtype=torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(self.network(images), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.detach()

    def steps(self, source: Iterator[Any], seconds: float) -> list[float]:
        """Seconds of each step, from the end of one on the device to that of the next."""
        for _ in range(1 if self.ground.tiny else 8):
            self.step(*next(source))
        self.ground.synchronize()
        if self.ground.device.type == "cpu":
            return self.timed_here(source, seconds)
        start = time.perf_counter()
        # torch's stubs have no types for it.
        events: list[Any] = [torch.cuda.Event(enable_timing=True)]
        events[0].record()
        while time.perf_counter() - start < seconds:
            self.step(*next(source))
            events.append(torch.cuda.Event(enable_timing=True))
            events[-1].record()
            # No more than a few steps ahead of the device, as with a loss that is logged.
            if len(events) > 4:
                events[-4].synchronize()
        self.ground.synchronize()
        return [a.elapsed_time(b) / 1e3 for a, b in itertools.pairwise(events)]

    def timed_here(self, source: Iterator[Any], seconds: float) -> list[float]:
        times: list[float] = []
        while sum(times) < seconds or len(times) < 2:
            start = time.perf_counter()
            self.step(*next(source))
            times.append(time.perf_counter() - start)
        return times

    def is_sound(self) -> bool:
        return bool(torch.isfinite(self.loss))
