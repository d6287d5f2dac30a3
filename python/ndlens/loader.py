"""`nl.Loader`: its signature, its documentation and the attributes that frameworks read.

`_ndlens._Loader` makes the batches, and `iter(loader)` is its iterator, so no code here runs for
each batch.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GenericAlias

from . import _ndlens
from ._face import face
from ._fields import as_sources, check_fields
from ._keywords import refuse_elsewhere, refuse_misspelt
from ._options import (
    BatchOptions,
    FieldOptions,
    LoaderOptions,
    MixingOptions,
    OrderOptions,
    OutputOptions,
    RankOptions,
)
from ._ranks import RankSource
from ._sampling import Source
from ._separate import warn_of_separate_draws

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, Literal, NoReturn, Unpack, overload

    from numpy import ndarray
    from torch import Tensor
    from typing_extensions import TypeVar

    from ._ndlens import Skipped, View
    from ._typing import Channels, Field, Joint, Settings, Transforms

    _Init = TypeVar("_Init", bound=Callable[..., None])
    _Key = TypeVar("_Key")
    _Batch_co = TypeVar("_Batch_co", covariant=True, default=Any)

    class _OfBatches(Generic[_Batch_co]): ...

else:
    _Batch_co = object()

    class _OfBatches:
        # The method that `typing.Generic` gives, without an import of typing.
        __class_getitem__ = classmethod(GenericAlias)


__all__ = ["Loader"]


def core_of(fields: Any, settings: Mapping[str, Any]) -> _ndlens._Loader:
    """The compiled half of a loader with these keywords."""

    def of(*names: str) -> dict[str, Any]:
        return {name: settings[name] for name in names}

    sampler = settings["sampler"]
    # A sampler gives each process its own items.
    ranks = RankSource(settings["rank"], settings["world_size"], alone=sampler is not None)
    source = Source(ranks, sampler, settings["sampler_state"])
    order = of("shuffle", "seed", "order", "weights", "replacement", "num_samples", "indices")
    batches = of(
        "batch_size",
        "drop_last",
        "num_workers",
        "prefetch_factor",
        "stores",
        "return_params",
        "on_error",
    )
    output = of("output", "pin_memory", "device")
    options = LoaderOptions(
        fields=FieldOptions(fields=fields, **of("transforms", "joint", "channels")),
        order=OrderOptions(sampled=sampler is not None, **order),
        ranks=RankOptions(source=source, remainder=settings["remainder"]),
        batches=BatchOptions(**batches),
        output=OutputOptions(destination=_destination, **output),
        mixing=MixingOptions(**of("mix", "mix_images", "mix_labels")),
    )
    return _ndlens._Loader(options)


def _destination(pin_memory: bool, device: Any) -> Any:
    """The destination of batches; only `pin_memory` and `device` import torch for it."""
    try:
        from .torch import _device
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError("pin_memory and device need PyTorch: pip install torch") from error
    return _device.destination(pin_memory, device)


def _held(fields: Any) -> Any:
    """The fields as they were given, kept from later changes of a list or a dict."""
    if isinstance(fields, Mapping):
        return dict(fields)
    return tuple(fields) if isinstance(fields, list) else fields


def _torch_side(what: str) -> Any:
    """The module of the attributes that frameworks read; only their use imports torch."""
    try:
        from .torch import _sampler
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"{what} needs PyTorch: pip install torch") from error
    return _sampler


def _restored(fields: Any, settings: dict[str, Any], state: dict[str, Any] | None) -> Loader:
    # No groups are the same as None, and no reason to warn again.
    loader = Loader(fields, **settings | {"joint": settings["joint"] or ()})
    if state is not None:
        loader.load_state_dict(state)
    return loader


_NO_PROCESSES = "there are no worker processes to set up: leave it out"
# Keywords of `DataLoader` and of data sets that a loader does not have.
_ELSEWHERE = {
    "batch_sampler": "give sampler= the items, and batch_size= how many a batch has",
    "collate_fn": "batches come whole, in the structure of fields; mix= takes MixUp and CutMix",
    "dataset": "give the arrays, as the one positional argument",
    "generator": 'give seed=, and order="torch" for the orders of RandomSampler',
    "in_order": "batches always come in order: leave it out",
    "multiprocessing_context": _NO_PROCESSES,
    "persistent_workers": _NO_PROCESSES,
    "pin_memory_device": 'give device=, such as "cuda"',
    "timeout": _NO_PROCESSES,
    "transform": "give transforms=, a list for each field",
    "worker_init_fn": _NO_PROCESSES,
}


def _one_positional(init: _Init) -> _Init:
    """Says what to type for settings by position, or by the names of `DataLoader`."""
    keywords = ["fields", *(init.__kwdefaults__ or ())]

    @functools.wraps(init)
    def checked(self: Loader, *args: Any, **kwargs: Any) -> None:
        if len(args) > 1:
            raise TypeError(
                f"Loader takes one positional argument, fields, got {len(args)}: "
                "give the others by name, such as batch_size=64"
            )
        refuse_elsewhere("Loader.__init__", kwargs, _ELSEWHERE)
        refuse_misspelt("Loader.__init__", kwargs, keywords)
        init(self, *args, **kwargs)

    return checked  # type: ignore[return-value]  # of the same signature


class Loader(_OfBatches[_Batch_co]):
    """Batches of arrays, epoch by epoch.

    Each `for` loop is one epoch. Batches have the structure of `fields`, and are bit-identical for
    any number of workers. A batch is the caller's until the caller drops it: its memory goes back
    to the loader's pool when the last tensor on it is gone.

    An error while a batch is made is raised when that batch is due, names the field and the item,
    and ends the epoch.

    For type checkers, a `Loader[T]` gives batches of type T: a dict, a tuple or one array, of
    tensors, or of what `output` names.

    Args:
        fields: One array, or a tuple or a mapping of them: anything that `nl.view` takes,
            `nl.Shards`, or what `nl.images`, `nl.windows`, `nl.ragged` and `nl.subset` give. Item i
            of a field is its row i along axis 0; all fields have as many. A list is taken for a
            tuple: of a list of items make `numpy.stack(items)`, or `nl.ragged(items)` if their
            sizes differ.
        batch_size: Items in a batch.
        shuffle: Whether each epoch has an order of its own: a pure function of `seed` and the
            epoch.
        seed: The source of all randomness, from 0 to 2**64 - 1. The random draws for an item are a
            pure function of `seed`, the epoch, the item and the field's name.
        num_workers: Threads that make batches. They run without the GIL, and a thread that waits
            for a batch helps them. With 0 the calling thread makes each batch alone; Ctrl-C then
            waits for the batch.
        drop_last: Whether a last batch of fewer items is left out.
        prefetch_factor: Upper bound of batches that are made ahead, in all. (torch counts them for
            each worker.)
        transforms: Lists of `ndlens.transforms` in the structure of `fields`; None leaves a field
            as it is. Also a torchvision `v2.Compose` or a list of v2 transforms.
        joint: Fields that draw the same, such as ("image", "mask"), or several such groups. If two
            of them have an n-th random transform of one kind, it draws the same for both, with any
            other transforms around it. So an image and a mask of one size are cropped and flipped
            alike. Fields that would draw differently, by other parameters, sizes or another order,
            are a `ValueError`; `docs/joint.md` has the rule. Without it, several fields of
            `nl.images` that crop or flip at random are a warning; () says that each is to draw for
            itself.
        channels: The place of the channels of images with three axes: "first" for (channels,
            height, width), as torch has them, "last" for (height, width, channels). One word for
            all fields, or one for each in the structure of `fields`. Items of channels-first images
            come out channels-first, with torchvision's transforms and with ours. Without it the
            shape must tell, and a transform that treats axes differently raises `ValueError` if it
            does not: `docs/channels.md` says which shapes do.
        return_params: Whether batches are (batch, params). `params` holds the drawn parameters in
            the structure of the fields: for each field a list with a dict for each item, of random
            transforms by their names. `ndlens.transforms.replay` does it again. With `mix` batches
            are (batch, params, mixed).
        output: Type of the parts of a batch: "torch", "numpy" or "view". By default torch if it is
            installed, else NumPy, else views.
        rank: Number of this process, below `world_size`. It takes every `world_size`-th item of the
            order, which is the same for all ranks. By default both are looked up when an epoch
            begins: torch.distributed's if a process group is up, else a launcher's (`RANK` and
            `WORLD_SIZE` of torchrun, or those of srun, Open MPI and PMI), else 0 of 1. With
            `rank=0, world_size=1` each process reads everything.
        world_size: Number of processes that share the data; given with `rank`.
        remainder: Treatment of items that the ranks do not divide. "pad" gives short ranks the
            first items again and "drop" leaves them out, both as `DistributedSampler`; "keep" gives
            each item to one rank, for evaluation.
        sampler: An iterable of item numbers, such as a torch `Sampler`, a list, an array or a
            range. Each epoch takes what iterating it gives, in that order. It is read while the
            epoch runs, as far ahead as batches are made ahead, so it may be endless; arrays are not
            copied. It gives the items of this process, so `rank` and `world_size` are 0 and 1
            unless they are given.
        sampler_state: What a state keeps of the sampler: "auto" or "list". "auto" asks the sampler,
            or its iterator, for its `state_dict`. If it has none, a state keeps a digest of the
            items done, and a run is resumed if the sampler gives them again. "list" reads an
            epoch's items when it begins, and states hold them.
        indices: The items to choose from: a list, a range, an array, a slice, or a mask of all
            items. Orders, weights and samplers then number the places in that list; random draws
            and errors name the items themselves.
        stores: The way batches are written, which changes the speed and never the bytes. "auto"
            writes batches of four or more second-level caches past the cache, unless they are mixed
            next; that is right for most. "stream" always does, if a kernel can: choose it if small
            batches are only copied on, as to a GPU, or if much else should stay in cache. "cached"
            never does: choose it if a large third-level cache holds all batches in flight, and the
            model reads each on the CPU at once.
        order: Algorithm of shuffled orders. "ndlens" computes them in constant memory. "torch"
            shuffles as torch does, bit-equal to `RandomSampler` with a generator seeded with `seed`
            plus the epoch, and to `DistributedSampler` with `seed` (`drop_last` is
            `remainder="drop"`); it is a list of 8 bytes an item.
        weights: Probabilities in proportion, of shape (N,) for N items, as `WeightedRandomSampler`
            takes them.
        replacement: Whether draws by weights may give an item several times in an epoch. With it
            each draw is a function of `seed`, the epoch and its place, by a table of 16 bytes an
            item, and an item that comes again is augmented anew. Without it an epoch's draws are a
            list.
        num_samples: Items in an epoch, for all ranks together: the number of draws by weights, or
            of the first items of an order, or of as many orders as it takes. By default the number
            of items.
        mix: `MixUp`, `CutMix` or a `RandomChoice` of them, of `ndlens.transforms` or of
            torchvision's v2: mixes each batch once its items are made. Draws are a pure function of
            `seed`, the epoch and the place of the batch's first item in the order. Labels of shape
            (n,) become float32 of shape (n, classes); a label that is not a class is a `ValueError`
            that names its item. `mixed` holds the drawn parameters, as `{"MixUp": {"lam": 0.3}}` or
            `{"CutMix": {"lam": 0.5, "box": [x1, y1, x2, y2], "lam_adjusted": 0.6}}`.
        mix_images: The field of the images, or a tuple of them: keys of the dict or places in the
            tuple. By default the only one that has axes and no labels. All other fields stay as
            they are.
        mix_labels: The field of the labels. By default the only field that could hold labels, or of
            several the one with "label" in its name.
        pin_memory: Whether batches are made in memory that torch has pinned for its accelerator, so
            that `batch.to(device, non_blocking=True)` copies while the program goes on. Nothing is
            copied for it, and the memory goes back to torch's own pool. Without an accelerator it
            warns, as torch does.
        device: Device of the batches, such as "cuda" or a `torch.device`. They are made in pinned
            memory and copied on a stream of their own: with workers, the next one is copied while
            one is used. Of images whose transforms end in `ToDtype` and `Normalize`, bytes are
            sent, and the device computes the floats, bit-equal to the CPU. A batch is then an
            ordinary tensor of the device.
        on_error: Treatment of an item that cannot be read, decoded or transformed, such as a
            truncated photograph. "raise" ends the epoch with its error. "skip" leaves it out of its
            batch, in all fields: that batch is shorter, and the number of batches, their order,
            states and the items of other ranks stay as they are. `skipped` has what was left out. A
            batch of which no item is left is left out, too; with several ranks, which must take as
            many batches, and in pinned memory it is an error. So are memory and file descriptors
            that run out. An epoch that left out ten items or more, and more than 1 % of its items,
            warns when it ends.

    Raises:
        ValueError: Fields have different lengths, there is no item, a crop is larger than the
            image, or a setting is out of range.
        TypeError: A field is not an array, or a transform is unknown.
        ImportError: `pin_memory` or `device` is given, and PyTorch is not installed.

    >>> import ndlens as nl
    >>> loader = nl.Loader(bytes(range(5)), batch_size=2, output="view")
    >>> [batch.tolist() for batch in loader]
    [[0, 1], [2, 3], [4]]
    >>> loader
    <ndlens.Loader 5 items: items uint8 []; 3 batches of 2, order in turn, epoch 1; rank 0 of 1;
    num_workers=0>
    """

    # The module that users and pickles import it from.
    __module__ = "ndlens"

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Loader[dict[_Key, Tensor]],
            fields: Mapping[_Key, Any],
            *,
            batch_size: int = 1,
            shuffle: bool = False,
            seed: int = 0,
            num_workers: int = 0,
            drop_last: bool = False,
            prefetch_factor: int = 2,
            transforms: Transforms | None = None,
            joint: Joint | None = None,
            channels: Channels | None = None,
            return_params: Literal[False] = False,
            output: Literal["torch"] | None = None,
            rank: int | None = None,
            world_size: int | None = None,
            remainder: Literal["pad", "drop", "keep"] = "pad",
            sampler: Iterable[int] | None = None,
            sampler_state: Literal["auto", "list"] = "auto",
            indices: Any = None,
            stores: Literal["auto", "stream", "cached"] = "auto",
            order: Literal["ndlens", "torch"] = "ndlens",
            weights: Any = None,
            replacement: bool = True,
            num_samples: int | None = None,
            mix: Any = None,
            mix_images: Any = None,
            mix_labels: Any = None,
            pin_memory: bool = False,
            device: Any = None,
            on_error: Literal["raise", "skip"] = "raise",
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[dict[_Key, ndarray[Any, Any]]],
            fields: Mapping[_Key, Any],
            *,
            output: Literal["numpy"],
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[dict[_Key, View]],
            fields: Mapping[_Key, Any],
            *,
            output: Literal["view"],
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[tuple[Tensor, ...]],
            fields: tuple[Any, ...] | list[Any],
            *,
            output: Literal["torch"] | None = None,
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[tuple[ndarray[Any, Any], ...]],
            fields: tuple[Any, ...] | list[Any],
            *,
            output: Literal["numpy"],
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[tuple[View, ...]],
            fields: tuple[Any, ...] | list[Any],
            *,
            output: Literal["view"],
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[Tensor],
            fields: Field,
            *,
            output: Literal["torch"] | None = None,
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[ndarray[Any, Any]],
            fields: Field,
            *,
            output: Literal["numpy"],
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[View],
            fields: Field,
            *,
            output: Literal["view"],
            return_params: Literal[False] = False,
            **settings: Unpack[Settings],
        ) -> None: ...
        @overload
        def __init__(
            self: Loader[tuple[Any, ...]],
            fields: Any,
            *,
            output: Literal["torch", "numpy", "view"] | None = None,
            return_params: bool,
            **settings: Unpack[Settings],
        ) -> None: ...

    @_one_positional
    def __init__(
        self,
        fields: Any,
        *,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        num_workers: int = 0,
        drop_last: bool = False,
        prefetch_factor: int = 2,
        transforms: Transforms | None = None,
        joint: Joint | None = None,
        channels: Channels | None = None,
        return_params: bool = False,
        output: Literal["torch", "numpy", "view"] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        remainder: Literal["pad", "drop", "keep"] = "pad",
        sampler: Iterable[int] | None = None,
        sampler_state: Literal["auto", "list"] = "auto",
        indices: Any = None,
        stores: Literal["auto", "stream", "cached"] = "auto",
        order: Literal["ndlens", "torch"] = "ndlens",
        weights: Any = None,
        replacement: bool = True,
        num_samples: int | None = None,
        mix: Any = None,
        mix_images: Any = None,
        mix_labels: Any = None,
        pin_memory: bool = False,
        device: Any = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        check_fields(fields)
        settings: dict[str, Any] = {
            "batch_size": batch_size,
            "shuffle": shuffle,
            "seed": seed,
            "num_workers": num_workers,
            "drop_last": drop_last,
            "prefetch_factor": prefetch_factor,
            "transforms": transforms,
            "joint": joint,
            "channels": channels,
            "return_params": return_params,
            "output": output,
            "rank": rank,
            "world_size": world_size,
            "remainder": remainder,
            "sampler": sampler,
            "sampler_state": sampler_state,
            "stores": stores,
            "order": order,
            "weights": weights,
            "replacement": replacement,
            "num_samples": num_samples,
            "indices": indices,
            "mix": mix,
            "mix_images": mix_images,
            "mix_labels": mix_labels,
            "pin_memory": pin_memory,
            "device": device,
            "on_error": on_error,
        }
        self._core = core_of(fields, settings)
        if joint is None:
            # Between it and the caller are this function and its check of keywords.
            warn_of_separate_draws(fields, transforms, stacklevel=3)
        self._fields = _held(fields)
        self._settings = settings
        self._dataset: Any = None

    def __len__(self) -> int:
        """The number of batches in an epoch, for this rank."""
        return len(self._core)

    def __iter__(self) -> Iterator[_Batch_co]:
        """The batches of the next epoch, or the rest of the one that `load_state_dict` loaded.

        The epoch begins when its first batch is asked for: an iterator that is dropped unused takes
        no epoch. After `load_state_dict`, an iterator that is left after one batch does not count:
        the next one goes on with the epoch.
        """
        return iter(self._core)

    def __contains__(self, _item: object) -> NoReturn:
        """Refuses `in`, which would run an epoch to compare its batches.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a Loader gives batches and has no `in`: ask its fields")

    @property
    def epoch(self) -> int:
        """The epoch that the next `for` loop runs, from 0 on."""
        return self._core.epoch

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch` the one that the next `for` loop runs.

        From its start on, unless it is the one to be resumed. A sampler that was given and has a
        `set_epoch` is called too.

        Args:
            epoch: From 0 to 2**32 - 1.

        Raises:
            ValueError: `epoch` is out of range.
        """
        if not 0 <= epoch < 2**32:
            raise ValueError(f"epoch must be between 0 and 2**32 - 1, got {epoch}")
        self._core.set_epoch(epoch)
        # As the epoch of a DistributedSampler, which shuffles by it.
        if hasattr(self._settings["sampler"], "set_epoch"):
            self._settings["sampler"].set_epoch(epoch)

    @property
    def batch_size(self) -> int:
        """Items in a batch."""
        return self._core.batch_size

    @property
    def drop_last(self) -> bool:
        """Whether a last batch of fewer items is left out."""
        return self._core.drop_last

    @property
    def pin_memory(self) -> bool:
        """Whether batches are made in pinned memory."""
        return self._core.pin_memory

    @property
    def rank(self) -> int:
        """Number of this process among those that share the data, as known now."""
        return self._core.rank

    @property
    def world_size(self) -> int:
        """Number of processes that share the data, as known now."""
        return self._core.world_size

    @property
    def num_samples(self) -> int:
        """The number of items that this rank takes in an epoch."""
        return self._core.num_samples

    @property
    def sampler(self) -> Any:
        """The sampler given, else a `torch.utils.data.DistributedSampler` of the order.

        Its `set_epoch` is this loader's, and it gives the items of this rank. Training frameworks
        look for it.

        Raises:
            ImportError: PyTorch is not installed.
        """
        given = self._settings["sampler"]
        if given is not None:
            return given
        return _torch_side("Loader.sampler").sampler_of(self)

    @property
    def batch_sampler(self) -> Any:
        """The batches of the next epoch as lists of items: a `torch.utils.data.BatchSampler`.

        With `dataset` and `collate_fn` it makes a `DataLoader` of the same batches, to the bit;
        iterating it runs that epoch. Accelerate's `skip_first_batches` and the Trainer of
        transformers resume by it. Loaders go on faster by `load_state_dict`.

        Raises:
            ImportError: PyTorch is not installed.
        """
        return _torch_side("Loader.batch_sampler").LoaderBatchSampler(self)

    @property
    def dataset(self) -> Any:
        """The items as a `nl.torch.Dataset`, with the transforms and draws of the next epoch.

        Raises:
            ImportError: PyTorch is not installed.
        """
        if self._dataset is None:
            side = _torch_side("Loader.dataset")
            self._dataset = side.LoaderDataset(as_sources(self._fields), self._settings, core_of)
        self._dataset.set_epoch(self.epoch)
        return self._dataset

    @property
    def collate_fn(self) -> Any:
        """`nl.torch.collate`, which passes on the batches that `dataset` makes.

        Raises:
            ImportError: PyTorch is not installed.
        """
        _torch_side("Loader.collate_fn")
        from .torch import collate

        return collate

    def indices(self, epoch: int) -> View:
        """The items that this rank takes in an epoch, in order: int64, of shape (items,).

        Args:
            epoch: From 0 to 2**32 - 1.

        Raises:
            ValueError: The loader has a sampler, which alone knows them.
        """
        return self._core.indices(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The state of the run, counting batches that were handed out.

        It is a dict of numbers and strings, under 1 KB for any usual number of fields. Ranks that
        have taken as many batches write the same.
        """
        return self._core.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resumes a run from a state, with any number of ranks and threads and any batch size.

        The next `for` loop runs the rest of its epoch, each item once.

        Args:
            state_dict: What `state_dict()` returned.

        Raises:
            ValueError: The data, the seed or `shuffle` differ, the state is of another version, or
                the sampler does not give again the items that are done.
            TypeError: The state holds a sampler's own state, and this sampler has none.
        """
        self._core.load_state_dict(state_dict)

    @property
    def skipped(self) -> Skipped:
        """The items that the latest epoch left out of its batches, with `on_error="skip"`.

        Counted are the batches that were taken so far.
        """
        return self._core.skipped

    @property
    def pool_nbytes(self) -> int:
        """Bytes of the memory of all batches: being made, waiting, kept, and free for the next.

        It grows only while the caller keeps batches.
        """
        return self._core.pool_nbytes

    @property
    def num_workers(self) -> int:
        """Threads that make batches."""
        return int(self._settings["num_workers"])

    @property
    def prefetch_factor(self) -> int | None:
        """Upper bound of batches made ahead; None without workers, as in torch's `DataLoader`."""
        return int(self._settings["prefetch_factor"]) if self.num_workers else None

    @property
    def persistent_workers(self) -> bool:
        """False: an epoch starts its threads, which takes microseconds."""
        return False

    @property
    def timeout(self) -> float:
        """0: a loader waits for a batch without limit."""
        return 0

    @property
    def generator(self) -> None:
        """None: `seed` is the source of randomness."""

    @property
    def worker_init_fn(self) -> None:
        """None: there are no worker processes."""

    @property
    def multiprocessing_context(self) -> None:
        """None: there are no worker processes."""

    @property
    def pin_memory_device(self) -> str:
        """Empty, for torch's current accelerator."""
        return ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles to its arguments and its state.

        Fields pickle as views do: files and shared memory as handles.
        """
        state = self.state_dict()
        begun = state["epoch"] > 0 or state["items_done"] > 0
        return _restored, (as_sources(self._fields), self._settings, state if begun else None)

    def __deepcopy__(self, _memo: dict[int, Any]) -> Loader:
        """Copies the loader and its state, and shares the fields."""
        return copy.copy(self)

    def _repr_html_(self) -> str:
        """The fields, how they are made, the order and the memory in HTML, for notebooks."""
        return face("loader", self)

    def __repr__(self) -> str:
        """The fields, batches, order, epoch and rank."""
        fields, order = self._core._described()
        sampler = self._settings["sampler"]
        if sampler is not None:
            order = f"of {type(sampler).__name__}"
        try:
            batches = f"{len(self)} batch{'es' if len(self) != 1 else ''}"
        except (TypeError, ValueError):
            # A sampler has no length, or ranks are not known yet.
            batches = "batches"
        try:
            rank = f"rank {self.rank} of {self.world_size}"
        except ValueError:
            rank = "rank not known yet"
        return (
            f"<ndlens.Loader {self._core._items_to_choose_from()} items: {', '.join(fields)}; "
            f"{batches} of {self.batch_size}, order {order}, epoch {self.epoch}; {rank}; "
            f"num_workers={self.num_workers}>"
        )
