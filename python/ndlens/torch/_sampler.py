"""A loader's order for torch's frameworks: a sampler, a batch sampler, and their data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, SupportsIndex

from torch.utils.data import BatchSampler, DistributedSampler, SequentialSampler

from .. import _ndlens
from ._dataset import Dataset, _Fetched, _row


class Loader(Protocol):
    """The methods and attributes of a loader that this module uses."""

    _core: _ndlens._Loader

    @property
    def epoch(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def drop_last(self) -> bool: ...
    @property
    def rank(self) -> int: ...
    @property
    def world_size(self) -> int: ...
    @property
    def num_samples(self) -> int: ...
    @property
    def sampler(self) -> Any: ...
    def set_epoch(self, epoch: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...


class LoaderSampler(DistributedSampler[int]):
    """The items that a loader's rank takes, epoch by epoch.

    They are places in the loader's part of the data set, if it has one. `set_epoch` is the
    loader's. Lightning, Accelerate and Ray Train look for a `DistributedSampler` in a loader: if
    they find one, they leave the sharding to it and set its epoch. The loader does not read it.
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
        """The items of the next epoch, by their numbers in the loader's `dataset`."""
        return iter(self.loader._core._places(self.loader.epoch))

    def __len__(self) -> int:
        """The number of items."""
        return self.num_samples


class InTurnSampler(LoaderSampler, SequentialSampler):
    """The sampler of a loader that does not shuffle, which frameworks recognise by its class."""


def sampler_of(loader: Loader) -> LoaderSampler:
    """The sampler of a loader that was made without one."""
    in_turn = loader.state_dict()["order"] == "in turn"
    return InTurnSampler(loader) if in_turn else LoaderSampler(loader)


class Planned(list[int]):
    """The items of a batch of a loader's order: the `number`-th batch from place `start` on.

    Wrappers of batch samplers change such lists. So the list tells whether it is still as planned.
    """

    def __init__(
        self,
        items: Iterable[int],
        number: int,
        epoch: int,
        start: int,
        rank: int,
        world_size: int,
        digest: int | None = None,
    ) -> None:
        super().__init__(items)
        self.number, self.epoch, self.start = number, epoch, start
        self.rank, self.world_size = rank, world_size
        self._digest = self._digest_now() if digest is None else digest

    def _digest_now(self) -> int:
        # A hash of integers is the same in every process.
        return hash(tuple(self))

    @property
    def is_as_planned(self) -> bool:
        """Whether no item was added, removed or moved since."""
        return self._digest == self._digest_now()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles to its arguments."""
        own = (self.number, self.epoch, self.start, self.rank, self.world_size, self._digest)
        return Planned, (list(self), *own)


class LoaderBatchSampler(BatchSampler):
    """The batches of a loader's next epoch, or of the rest of a resumed one, as lists of items.

    Iterating it runs that epoch: the loader goes on with the one after it.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.sampler = loader.sampler
        self.batch_size = loader.batch_size
        self.drop_last = loader.drop_last

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch` the one that is iterated next."""
        self.loader.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        """The batches. The epoch begins when the first is asked for."""
        plan = self.loader._core._plan()
        for number, items in enumerate(iter(plan._pass_over, None)):
            course = plan._course()
            if course is None:
                raise RuntimeError("another thread ended the epoch that this batch is of")
            yield Planned(items, number, *course)

    def __len__(self) -> int:
        """The number of batches in a whole epoch."""
        return len(self.loader)


def _rows(batch: Any) -> int:
    """The number of items in a batch."""
    while isinstance(batch, dict | tuple):
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    return len(batch)


class LoaderDataset(Dataset):
    """A loader's data set: its items, and the batches of its batch sampler, bit-equal.

    Item i is item i of the loader's fields, or of the part of them that `indices` chose. Its draws
    are the loader's, in the loader's next epoch or the epoch of a planned batch.
    """

    def __init__(
        self,
        fields: Any,
        settings: dict[str, Any],
        make_core: Callable[[Any, dict[str, Any]], _ndlens._Loader],
    ) -> None:
        """Make the data set of the loader that `make_core` makes of these fields and settings."""
        own = {name: settings[name] for name in ("joint", "seed", "channels")}
        super().__init__(fields, settings["transforms"], **own)
        self._make_core = make_core
        # torch's processes make batches, one after another, in their own memory.
        self._settings = settings | {
            "device": None,
            "pin_memory": False,
            "num_workers": 0,
            "sampler": None,
        }
        self._is_sampled = settings["sampler"] is not None
        self._cores: dict[int, Any] = {}
        self.set_epoch(0)

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._settings, self._is_sampled, self._make_core

    def __setstate__(self, state: Any) -> None:
        arguments, self._settings, self._is_sampled, self._make_core = state
        self._cores = {}
        super().__setstate__(arguments)

    def _core(self) -> Any:
        # One for each process: a fork may copy locks that a thread of the parent holds. It makes
        # batches of any rank.
        process = os.getpid()
        if process not in self._cores:
            settings = self._settings | {"rank": 0, "world_size": 1}
            self._cores = {process: self._make_core(self._arguments[0], settings)}
        return self._cores[process]

    def __len__(self) -> int:
        """The number of items that the loader chooses from."""
        return int(self._core()._items_to_choose_from())

    def __getitem__(self, index: SupportsIndex | Sequence[SupportsIndex]) -> Any:
        """One sample; for several indices, a batch."""
        if isinstance(index, Sequence):
            return self._made(index)
        return _row(self._made([index]), 0)

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> Sequence[Any]:
        """The batch of these items, for `collate`.

        Raises:
            TypeError: The loader mixes batches, and these items are not a batch of its batch
                sampler.
        """
        if self._settings["mix"] is not None and not isinstance(indices, Planned):
            raise TypeError(
                "mix= mixes the batches of loader.batch_sampler, and these items are not one of "
                "them: iterate the nl.Loader instead of its dataset, or give the DataLoader "
                "batch_sampler=loader.batch_sampler"
            )
        made = self._made(indices)
        size = len(indices)
        if self._settings["on_error"] == "skip":
            # Items that were left out are no rows.
            size = _rows(made[0] if self._settings["return_params"] else made)
        return _Fetched(made, size)

    def _made(self, indices: Sequence[SupportsIndex]) -> Any:
        if isinstance(indices, Planned):
            if not self._is_sampled and indices.is_as_planned:
                return self._core()._batch(
                    indices.epoch, indices.start, indices.rank, indices.world_size, indices.number
                )
            if self._settings["mix"] is not None:
                where = (
                    "with sampler="
                    if self._is_sampled
                    else "where a batch of batch_sampler was changed"
                )
                raise TypeError(
                    f"{where}, mix= is the loader's own: iterate the nl.Loader instead of its "
                    "dataset, and resume by load_state_dict"
                )
            return self._core()._batch_of(indices.epoch, list(indices))
        epoch, _ = self._draws()
        return self._core()._batch_of(epoch, [self._item(index) for index in indices])
