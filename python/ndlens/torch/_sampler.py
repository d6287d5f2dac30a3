"""A loader's order as torch's frameworks know it: a sampler, a batch sampler, and the data set that they index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, SupportsIndex

from torch.utils.data import BatchSampler, DistributedSampler, SequentialSampler

from .. import _ndlens
from ._dataset import Dataset, _Fetched, _row


class Loader(Protocol):
    """What is asked of a loader here; `nl.Loader` has it."""

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
    """The items that a loader's rank takes, epoch by epoch: as places in the part of the data set where it has one.

    `set_epoch` is the loader's. Lightning, Accelerate and Ray Train look for a `DistributedSampler`
    in a loader: where they find one they leave the sharding to it and tell it each epoch. The
    loader does not read from it.
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
        """Gives the numbers of the epoch to come, which the loader's `dataset` knows its items by."""
        return iter(self.loader._core._places(self.loader.epoch))

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
    """The items of a batch that a loader's order holds, and which it is: the `number`-th from place `start` on.

    Wrappers of batch samplers add items to a list that they were given. So it knows whether it
    still is as planned.
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
        # Of integers it is the same in every process.
        return hash(tuple(self))

    @property
    def is_as_planned(self) -> bool:
        """Whether no item was added, taken or moved since."""
        return self._digest == self._digest_now()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to worker processes as what it was made of."""
        own = (self.number, self.epoch, self.start, self.rank, self.world_size, self._digest)
        return Planned, (list(self), *own)


class LoaderBatchSampler(BatchSampler):
    """The batches of a loader's next epoch, or of what is left of a resumed one, as lists of items.

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
        """Gives the batches. The epoch begins when the first is asked for."""
        plan = self.loader._core._plan()
        for number, items in enumerate(iter(plan._pass_over, None)):
            course = plan._course()
            if course is None:
                raise RuntimeError("another thread ended the epoch that this batch is of")
            yield Planned(items, number, *course)

    def __len__(self) -> int:
        """Gives the number of batches in a whole epoch."""
        return len(self.loader)


class LoaderDataset(Dataset):
    """A loader's data set: its items, and its batches to the bit where its batch sampler plans them.

    Item i is item i of the loader's fields, or of the part of them that `indices` chose. Its draws
    are the loader's, in the epoch that the loader runs next or that a planned batch is of.
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
        # Batches are made by torch's processes, one after another, in memory of theirs.
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
        # Of this process: a fork may copy locks that a thread of the parent holds. It is asked for
        # batches of any rank.
        process = os.getpid()
        if process not in self._cores:
            settings = self._settings | {"rank": 0, "world_size": 1}
            self._cores = {process: self._make_core(self._arguments[0], settings)}
        return self._cores[process]

    def __len__(self) -> int:
        """Gives the number of items that the loader chooses from."""
        return int(self._core()._items_to_choose_from())

    def __getitem__(self, index: SupportsIndex | Sequence[SupportsIndex]) -> Any:
        """Gives one sample; of several indices, a batch."""
        if isinstance(index, Sequence):
            return self._made(index)
        return _row(self._made([index]), 0)

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> Sequence[Any]:
        """Makes the batch of these items, for `collate` to hand on.

        Raises:
            TypeError: The loader mixes batches, and these are not one of its batch sampler's.
        """
        if self._settings["mix"] is not None and not isinstance(indices, Planned):
            raise TypeError(
                "mix= mixes the batches of loader.batch_sampler, and these items are not one of them: iterate the "
                "nl.Loader instead of its dataset, or give the DataLoader batch_sampler=loader.batch_sampler"
            )
        return _Fetched(self._made(indices), len(indices))

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
                    f"{where}, mix= is the loader's own: iterate the nl.Loader instead of its dataset, and resume by "
                    "load_state_dict"
                )
            return self._core()._batch_of(indices.epoch, list(indices))
        epoch, _ = self._draws()
        return self._core()._batch_of(epoch, [self._item(index) for index in indices])
