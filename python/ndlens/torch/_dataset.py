"""The data set, and the function that hands on the batches it makes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, cast, overload

import torch
from torch.utils.data import default_collate, get_worker_info
from typing_extensions import TypeVar  # torch needs it, too

from .. import _ndlens
from .._face import face
from .._fields import as_sources, check_fields
from .._keywords import refuse_elsewhere
from .._options import DatasetOptions, FieldOptions
from .._separate import warn_of_separate_draws

if TYPE_CHECKING:
    from .._typing import Channels, Field, Joint, Transforms

__all__ = ["Dataset", "collate"]

_NO_EPOCH = -1


def _row(batch: Any, row: int) -> Any:
    if isinstance(batch, dict):
        return {key: part[row] for key, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(part[row] for part in batch)
    return batch[row]


class _Fetched(Sequence[Any]):
    """A fetched batch: `collate` takes it as a batch, other functions as samples."""

    def __init__(self, made: Any, size: int) -> None:
        self.made = made
        self.size = size

    @cached_property
    def batch(self) -> Any:
        return self.made.here() if isinstance(self.made, _ndlens._SentBatch) else self.made

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [_row(self.batch, i) for i in range(*row.indices(self.size))]
        if not -self.size <= row < self.size:
            raise IndexError(f"row {row} of a batch of {self.size}")
        return _row(self.batch, row)

    def __iter__(self) -> Iterator[Any]:
        return (_row(self.batch, row) for row in range(self.size))


def collate(samples: Any) -> Any:
    """The batch that a `Dataset` fetched: the `collate_fn` for its `DataLoader`.

    In a worker process the batch is in shared memory and goes to the main process as a handle. The
    samples of another data set are collated as torch does by default.

    Args:
        samples: What the data set fetched.
    """
    if isinstance(samples, _Fetched):
        return samples.made
    if isinstance(samples, list):
        return default_collate(samples)
    return samples


_Key = TypeVar("_Key")
_Sample_co = TypeVar("_Sample_co", covariant=True, default=Any)


_Init = TypeVar("_Init", bound=Callable[..., None])

_GIVE_TO_DATA_LOADER = "give it to the DataLoader"
# Keywords of other data sets and of `DataLoader`.
_ELSEWHERE = {
    "batch_size": _GIVE_TO_DATA_LOADER,
    "collate_fn": _GIVE_TO_DATA_LOADER,
    "drop_last": _GIVE_TO_DATA_LOADER,
    "num_workers": _GIVE_TO_DATA_LOADER,
    "on_error": "a DataLoader's batches have the items it asks for; nl.Loader leaves items out",
    "sampler": _GIVE_TO_DATA_LOADER,
    "shuffle": _GIVE_TO_DATA_LOADER,
    "target_transform": "give transforms=, a list for each field",
    "transform": "give transforms=, a list for each field",
}


def _without_elsewhere(init: _Init) -> _Init:
    """Say what to type for keywords of other data sets."""

    @wraps(init)
    def checked(self: Dataset[Any], *args: Any, **kwargs: Any) -> None:
        refuse_elsewhere("Dataset.__init__", kwargs, _ELSEWHERE)
        init(self, *args, **kwargs)

    return cast(_Init, checked)


class Dataset(torch.utils.data.Dataset[_Sample_co], Generic[_Sample_co]):
    """A map-style data set over views, for torch's own `DataLoader`.

    Give the `DataLoader` `collate_fn=nl.torch.collate`. A batch is made in one pass, each sample
    read once and written once into its place; in a worker process into shared memory that is used
    again when the main process has dropped the last tensor on it. Each field has memory of its own
    (of more than eight large fields the smaller ones share), so keeping labels does not keep
    images. Kept batches take no descriptors. Without `collate`, torch's own default collates the
    samples, correctly but more slowly.

    Data goes to workers as views pickle: files by their path, what `nl.share` gave by a handle,
    anything else by value.

    Random draws. After `set_epoch(e)` they are a pure function of the seed, the epoch, the item and
    the field, the same for any number of workers, and those of an `nl.Loader` of this seed. Before
    it, each batch draws one number from torch's own generator in the process that makes it, and all
    other draws follow from that number: so draws follow `torch.manual_seed`, and no two workers,
    epochs or batches draw the same, persistent workers or not.

    Batches are mixed by torchvision's own `v2.MixUp` and `v2.CutMix`, on what the `DataLoader`
    gives; a worker cannot know a batch's place in the order, from which `nl.Loader(mix=...)` draws.

    Args:
        fields: As for `nl.Loader`: one view (or `nl.Shards` or `nl.Items`), a tuple or a mapping of
            them.
        transforms: Lists of `ndlens.transforms` in the structure of `fields`, as for `nl.Loader`.
        joint: Fields that draw the same, as for `nl.Loader`.
        channels: The place of the channels of images, as for `nl.Loader`.
        seed: The source of all randomness after `set_epoch`.

    Raises:
        ValueError: As for `nl.Loader`.
        TypeError: As for `nl.Loader`.
        IndexError: An item that is asked for does not exist.
    """

    @overload
    def __init__(
        self: Dataset[dict[_Key, torch.Tensor]],
        fields: Mapping[_Key, Any],
        transforms: Transforms | None = None,
        *,
        joint: Joint | None = None,
        channels: Channels | None = None,
        seed: int = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: Dataset[tuple[torch.Tensor, ...]],
        fields: tuple[Any, ...] | list[Any],
        transforms: Transforms | None = None,
        *,
        joint: Joint | None = None,
        channels: Channels | None = None,
        seed: int = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: Dataset[torch.Tensor],
        fields: Field,
        transforms: Transforms | None = None,
        *,
        joint: Joint | None = None,
        channels: Channels | None = None,
        seed: int = 0,
    ) -> None: ...
    @_without_elsewhere
    def __init__(
        self,
        fields: Any,
        transforms: Transforms | None = None,
        *,
        joint: Joint | None = None,
        channels: Channels | None = None,
        seed: int = 0,
    ) -> None:
        check_fields(fields)
        fields = as_sources(fields)
        # In memory that workers share.
        epoch = _ndlens.empty_shared((1,), "int64")
        epoch[0] = _NO_EPOCH
        self._set_up(fields, transforms, joint, seed, epoch, channels)
        if joint is None:
            # Between it and the caller are this function and its check of keywords.
            warn_of_separate_draws(fields, transforms, stacklevel=3)

    def _set_up(
        self,
        fields: Any,
        transforms: Any,
        joint: Any,
        seed: int,
        epoch: _ndlens.View,
        channels: Any = None,
    ) -> None:
        self._arguments = (fields, transforms, joint, seed, epoch, channels)
        self._gatherer = _ndlens._Gatherer(
            DatasetOptions(
                fields=FieldOptions(
                    fields=fields, transforms=transforms, joint=joint, channels=channels
                ),
                seed=seed,
            )
        )
        self._epoch = epoch

    def __getstate__(self) -> Any:
        return self._arguments

    def __setstate__(self, arguments: Any) -> None:
        self._set_up(*arguments)

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch` the one that random draws depend on, also in workers that run already.

        Args:
            epoch: From 0 to 2**32 - 1.

        Raises:
            ValueError: `epoch` is out of range.
        """
        if not 0 <= epoch < 2**32:
            raise ValueError(f"epoch must be between 0 and 2**32 - 1, got {epoch}")
        self._epoch[0] = epoch

    def __len__(self) -> int:
        """The number of items."""
        return len(self._gatherer)

    def _draws(self) -> tuple[int | None, int]:
        epoch = self._epoch[0]
        if epoch != _NO_EPOCH:
            return epoch, 0
        return None, int(torch.empty((), dtype=torch.int64).random_().item())

    def _item(self, index: SupportsIndex) -> int:
        item = operator.index(index)
        if item < 0:
            item += len(self)
        if not 0 <= item < len(self):
            raise IndexError(f"item {operator.index(index)} of a data set of {len(self)}")
        return item

    # A batch has the type of a sample: the same structure of tensors.
    def __getitem__(self, index: SupportsIndex | Sequence[SupportsIndex]) -> _Sample_co:
        """One sample; for several indices, as of a `BatchSampler` used as `sampler`, a batch."""
        if isinstance(index, Sequence):
            batch = self._gatherer.batch([self._item(i) for i in index], *self._draws())
            return cast(_Sample_co, batch)
        batch = self._gatherer.batch([self._item(index)], *self._draws())
        return cast(_Sample_co, _row(batch, 0))

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> Sequence[Any]:
        """The batch of these items, for `collate`."""
        items = [self._item(index) for index in indices]
        make = self._gatherer.batch if get_worker_info() is None else self._gatherer.batch_to_send
        return _Fetched(make(items, *self._draws()), len(items))

    def _repr_html_(self) -> str:
        """The fields and how they are made in HTML, for notebooks."""
        return face("dataset", self)

    def __repr__(self) -> str:
        return f"<ndlens.torch.Dataset items={len(self)}>"


# The module that users and pickles import them from.
Dataset.__module__ = collate.__module__ = __name__.rpartition(".")[0]
