"""A loader's order as torch's frameworks know it: a sampler, a batch sampler, and the data set that they index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from torch.utils.data import BatchSampler, DistributedSampler, SequentialSampler

from . import _ndlens
from .torch import Dataset, _Fetched

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


class InTurnSampler(LoaderSampler, SequentialSampler):
    """The sampler of a loader whose items come in turn, by which frameworks see that nothing is shuffled."""


def sampler_of(loader: Loader) -> LoaderSampler:
    """The sampler of a loader that was given none."""
    in_turn = loader.state_dict()["order"] == "in turn"
    return InTurnSampler(loader) if in_turn else LoaderSampler(loader)


class Planned(list[int]):
    """The items of a batch that a loader's order holds, and which batch it is: the `number`-th from place `start` on."""

    epoch: int
    start: int
    number: int
    rank: int
    world_size: int


class LoaderBatchSampler(BatchSampler):
    """The batches of a loader's next epoch, or of what is left of a resumed one, as lists of items.

    Iterating it runs that epoch: the loader goes on with the one after it.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.batch_size = loader.batch_size
        self.drop_last = loader.drop_last

    @property
    def sampler(self) -> Any:
        """The loader's sampler."""
        return self.loader.sampler

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch` the one that is iterated next."""
        self.loader.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        """Gives the batches. The epoch begins when the first is asked for."""
        plan = self.loader._core._plan()
        for number, items in enumerate(iter(plan._pass_over, None)):
            batch = Planned(items)
            batch.epoch, batch.start, batch.rank, batch.world_size = plan._course()
            batch.number = number
            yield batch

    def __len__(self) -> int:
        """Gives the number of batches in a whole epoch."""
        return len(self.loader)


class LoaderDataset(Dataset):
    """A loader's data set: its items, and its batches to the bit where its batch sampler plans them.

    Its draws for an item are the loader's, in the epoch that the loader runs next or that a planned batch is of.
    """

    def __init__(self, fields: Any, settings: dict[str, Any]) -> None:
        super().__init__(fields, settings["transforms"], joint=settings["joint"], seed=settings["seed"])
        # Batches are made by torch's processes, one after another, in memory of theirs.
        self._settings = settings | {"device": None, "pin_memory": False, "num_workers": 0}
        self._cores: dict[tuple[int, int, int], Any] = {}

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._settings

    def __setstate__(self, state: Any) -> None:
        arguments, self._settings = state
        self._cores = {}
        super().__setstate__(arguments)

    def _core(self, rank: int, world_size: int) -> Any:
        # Of this process: a fork may copy locks that a thread of the parent holds.
        key = (os.getpid(), rank, world_size)
        if key not in self._cores:
            settings = self._settings | {"rank": rank, "world_size": world_size}
            self._cores = {key: _ndlens._Loader(self._arguments[0], **settings)}
        return self._cores[key]

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> Sequence[Any]:
        """Makes the batch of these items, for `collate` to hand on."""
        if not isinstance(indices, Planned):
            return super().__getitems__(indices)
        if self._settings["sampler"] is None:
            core = self._core(indices.rank, indices.world_size)
            return _Fetched(core._batch(indices.epoch, indices.start, indices.number), len(indices))
        if self._settings["mix"] is not None or self._settings["return_params"]:
            raise TypeError(
                "with sampler=, mix= and return_params= are the loader's own: iterate the nl.Loader instead of its "
                "dataset, and resume by load_state_dict"
            )
        self.set_epoch(indices.epoch)
        return super().__getitems__(indices)
