"""A loader's order as torch's frameworks know it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch.utils.data import DistributedSampler

if TYPE_CHECKING:
    from ndlens import Loader


class LoaderSampler(DistributedSampler[int]):
    """The items that a loader's rank takes, epoch by epoch.

    `set_epoch` is the loader's. Lightning, Accelerate and Ray Train look for a `DistributedSampler` in a loader: where
    they find one they leave the sharding to it and tell it each epoch. The loader does not read from it.
    """

    def __init__(self, loader: Loader) -> None:
        state = loader.state_dict()
        self.loader = loader
        self.num_replicas, self.rank = loader.world_size, loader.rank
        self.num_samples = loader.num_samples
        self.total_size = self.num_samples * self.num_replicas
        self.shuffle, self.seed = state["shuffle"], state["seed"]

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch` the one that the loader's next `for` loop runs."""
        self.loader.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        """Gives the item numbers of the epoch to come."""
        return iter(self.loader.indices(self.loader.epoch))

    def __len__(self) -> int:
        """Gives how many they are."""
        return self.num_samples
