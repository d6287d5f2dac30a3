"""The keywords of `nl.Loader` and `nl.torch.Dataset`, grouped as the compiled half takes them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal, dataclass_transform

    from ._sampling import Source

    @dataclass_transform(kw_only_default=True, frozen_default=True)
    class _Options:
        """A group of options, made of keywords, one for each."""

else:
    # A class of `typing.NamedTuple` or `dataclasses` would be compiled at each import of ndlens.
    from types import SimpleNamespace as _Options


class FieldOptions(_Options):
    """The fields and what is done to each."""

    fields: Any
    transforms: Sequence[Any] | Mapping[Any, Any] | None
    joint: Sequence[Any] | None
    channels: Literal["first", "last"] | Sequence[Any] | Mapping[Any, Any] | None


class OrderOptions(_Options):
    """The items of an epoch, and their order."""

    shuffle: bool
    seed: int
    order: Literal["ndlens", "torch"]
    sampled: bool
    weights: Any
    replacement: bool
    num_samples: int | None
    indices: Any


class RankOptions(_Options):
    """The processes that share the data."""

    source: Source
    remainder: Literal["pad", "drop", "keep"]


class BatchOptions(_Options):
    """Size of batches, and the threads that make them."""

    batch_size: int
    drop_last: bool
    num_workers: int
    prefetch_factor: int
    stores: Literal["auto", "stream", "cached"]
    return_params: bool
    on_error: Literal["raise", "skip"]


class OutputOptions(_Options):
    """Type of the batches, and their memory."""

    output: Literal["torch", "numpy", "view"] | None
    pin_memory: bool
    device: Any
    # Gives a `torch._device.Destination` of `pin_memory` and `device`.
    destination: Callable[[bool, Any], Any]


class MixingOptions(_Options):
    """Mixing of whole batches."""

    mix: Any
    mix_images: Any
    mix_labels: Any


class LoaderOptions(_Options):
    """Options of a loader."""

    fields: FieldOptions
    order: OrderOptions
    ranks: RankOptions
    batches: BatchOptions
    output: OutputOptions
    mixing: MixingOptions


class DatasetOptions(_Options):
    """Options of an `ndlens.torch.Dataset`."""

    fields: FieldOptions
    seed: int
