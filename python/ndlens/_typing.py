"""Types of the arguments of `nl.Loader` and `nl.torch.Dataset`, for type checkers.

Nothing imports this module at run time: `typing` would take longer to import than ndlens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from typing_extensions import Buffer

from ._ndlens import Images, Items, Shards, View
from .transforms import Transform

__all__ = ["Channels", "Field", "Joint", "Settings", "Transforms"]


class _HasArray(Protocol):
    def __array__(self) -> Any: ...


class _HasDLPack(Protocol):
    def __dlpack__(self) -> Any: ...


class _HasInterface(Protocol):
    @property
    def __array_interface__(self) -> dict[str, Any]: ...


# One field. A tuple, list or mapping is not one field, so that checkers tell them apart.
Field: TypeAlias = View | Shards | Items | Images | Buffer | _HasArray | _HasDLPack | _HasInterface

# The transforms of a field: ours, or torchvision's v2, which are callable.
_Steps: TypeAlias = Sequence[Transform | Callable[..., Any]] | Callable[..., Any]
# The transforms of all fields, in their structure.
Transforms: TypeAlias = _Steps | Sequence[_Steps | None] | Mapping[Any, _Steps | None]

Joint: TypeAlias = Sequence[Any]

_Place: TypeAlias = Literal["first", "last"]
Channels: TypeAlias = _Place | Sequence[_Place | None] | Mapping[Any, _Place | None]


class Settings(TypedDict, total=False):
    """The keywords of `nl.Loader` that do not change the type of a batch."""

    batch_size: int
    shuffle: bool
    seed: int
    num_workers: int
    drop_last: bool
    prefetch_factor: int
    transforms: Transforms | None
    joint: Joint | None
    channels: Channels | None
    rank: int | None
    world_size: int | None
    remainder: Literal["pad", "drop", "keep"]
    sampler: Iterable[int] | None
    sampler_state: Literal["auto", "list"]
    indices: Any
    stores: Literal["auto", "stream", "cached"]
    order: Literal["ndlens", "torch"]
    weights: Any
    replacement: bool
    num_samples: int | None
    mix: Any
    mix_images: Any
    mix_labels: Any
    pin_memory: bool
    device: Any
    on_error: Literal["raise", "skip"]
