import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from types import EllipsisType
from typing import Any, ClassVar, Literal, NoReturn, SupportsIndex, TypeAlias, final, overload

import numpy as np
from torch import Tensor
from torch import dtype as TorchDType
from typing_extensions import CapsuleType

from ._arrays import Arrays
from ._holders import Holders
from ._options import DatasetOptions, LoaderOptions

_Index: TypeAlias = SupportsIndex | slice | EllipsisType | None
_Key: TypeAlias = _Index | tuple[_Index, ...]
_Path: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]

__all__ = [
    "Epoch",
    "Explanation",
    "Images",
    "Items",
    "Shards",
    "Skipped",
    "View",
    "ViewIterator",
    "__version__",
    "attach",
    "decode_image",
    "dtype_name",
    "empty_shared",
    "explain",
    "guard_truncation",
    "images",
    "labels",
    "may_share_memory",
    "open",
    "ragged",
    "save",
    "share",
    "shares_memory",
    "view",
    "windows",
]

__version__: str
"""The version of ndlens, such as "0.1.0" (PEP 440)."""

@final
class View:
    """An N-dimensional view of memory that another object owns.

    `nl.view` and `nl.open` make views. `v[...]`, `permute`, `flip`, `windows`, `reshape` and the
    like give views of the same memory and never copy. `numpy`, `torch`, the buffer protocol
    (PEP 3118) and DLPack hand it on without a copy. `copy`, `take`, `tobytes` and `tolist` copy.

    >>> import ndlens as nl
    >>> v = nl.view(bytearray(range(24))).reshape(2, 3, 4)
    >>> v[1, :, ::2]
    <ndlens.View shape=(3, 2) dtype=uint8 strides=(4, 2)>
    >>> v[1, :, ::2].tolist()
    [[12, 14], [16, 18], [20, 22]]
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each axis."""

    @property
    def strides(self) -> tuple[int, ...]:
        """The bytes from one element to the next along each axis; negative for a reversed axis."""

    @property
    def suboffsets(self) -> tuple[int, ...]:
        """`()`, as a `memoryview` has it: no element is behind a pointer (PEP 3118)."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def dtype(self) -> str:
        """The name of the elements' type, as NumPy's, such as "float32".

        If NumPy has no one-word name for it, the format of the buffer protocol.
        """

    @property
    def format(self) -> str | None:
        """The format of the buffer protocol (PEP 3118), in letters of the `struct` module.

        None if it has none for these elements.
        """

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements: what a copy takes."""

    @property
    def size(self) -> int:
        """The number of elements."""

    @property
    def obj(self) -> Any:
        """The object whose buffer this is a view of; None if the memory is of no such object."""

    @property
    def readonly(self) -> bool:
        """Whether the memory must not be written through this view."""

    @property
    def c_contiguous(self) -> bool:
        """Whether the elements are packed in C order: the last index changes fastest."""

    @property
    def f_contiguous(self) -> bool:
        """Whether the elements are packed in Fortran order: the first index changes fastest."""

    @property
    def contiguous(self) -> bool:
        """Whether the elements are packed in C or Fortran order."""

    @property
    def T(self) -> View:
        """The view with its axes in reverse order."""

    @property
    def mT(self) -> View:
        """The view with its last two axes exchanged: each matrix transposed."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    def _repr_html_(self) -> str:
        """The view in HTML, for notebooks, with a drawing of where its elements lie in memory.

        It reads no element.
        """

    def _memory(self) -> tuple[int, int, str, type | None, bool]: ...
    def __len__(self) -> int:
        """The size of axis 0.

        Raises:
            TypeError: The view has no axes.
        """

    def __iter__(self) -> ViewIterator:
        """The elements of a view of one axis; otherwise the views along axis 0.

        Raises:
            TypeError: The view has no axes.
        """

    def __reversed__(self) -> ViewIterator: ...
    # Integers alone give a view or, if there is one for each axis, an element.
    @overload
    def __getitem__(self, key: slice | EllipsisType | None, /) -> View:
        """A view of a part of the elements, by NumPy's basic indexing; nothing is copied.

        Integers for all axes give the element, as a Python number.

        Args:
            key: Integers, slices of any step, `...` and None, fewer than there are axes if need be.

        Raises:
            IndexError: An index is out of bounds, there are more than axes, or `key` is an array or
                a list, which would copy: `take` does.
        """

    @overload
    def __getitem__(self, key: SupportsIndex | tuple[SupportsIndex, ...], /) -> Any: ...
    @overload
    def __getitem__(self, key: tuple[_Index, ...], /) -> View: ...
    # Raises. So `nl.open(path)["name"]`, which may be an array of `nl.Arrays`, is not an error.
    @overload
    def __getitem__(self, key: str, /) -> NoReturn: ...
    def __setitem__(self, key: _Key, value: Any, /) -> None:
        """Writes to every place that the key selects; nothing is converted.

        If source and destination overlap, the result is as if the source were copied first.

        Args:
            key: As to read.
            value: A number that the dtype holds, or anything `nl.view` takes of the same dtype, of
                a shape that broadcasts.

        Raises:
            ReadOnlyError: The view is read-only.
            TypeError: `value` has another dtype.
            ValueError: The shapes do not broadcast, or the dtype does not hold the number.
        """

    def __delitem__(self, key: _Key, /) -> NoReturn: ...
    def __enter__(self) -> View:
        """The view itself; the end of the `with` block releases it."""

    def __exit__(self, *_exception: object) -> None: ...
    def __eq__(self, other: object, /) -> bool:
        """Whether the other object has the same shape and equal elements, in one bool.

        Numbers of different dtypes are compared by value.

        Args:
            other: Anything `nl.view` takes; anything else is not equal.
        """

    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: object, /) -> bool: ...
    def __le__(self, other: object, /) -> bool: ...
    def __gt__(self, other: object, /) -> bool: ...
    def __ge__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int:
        """The hash of the bytes, equal to that of a `bytes` object with the same.

        Raises:
            ValueError: The view is writable, or of other elements than bytes.
        """

    @overload
    def permute(self, *axes: int) -> View:
        """The view with its axes in another order, as `torch.permute`.

        Args:
            *axes: Each axis once; axis i of the result is axis `axes[i]` of this view.

        Raises:
            ValueError: An axis is missing or named twice.
            IndexError: The view has no such axis.
        """

    @overload
    def permute(self, axes: Sequence[int], /) -> View: ...
    @overload
    def transpose(self, *axes: int) -> View:
        """The view with its axes in another order, as `permute`; without axes, as `T`.

        Args:
            *axes: Each axis once, or none.

        Raises:
            ValueError: An axis is missing or named twice.
            IndexError: The view has no such axis.
        """

    @overload
    def transpose(self, axes: Sequence[int] | None, /) -> View: ...
    @overload
    def flip(self, *axes: int) -> View:
        """The view with the given axes, or all of them, reversed by negative strides.

        Args:
            *axes: Axes to reverse; all if none is given.

        Raises:
            ValueError: An axis is named twice.
            IndexError: The view has no such axis.
        """

    @overload
    def flip(self, axes: Sequence[int], /) -> View: ...
    def swapaxes(self, axis1: int, axis2: int, /) -> View:
        """The view with two axes exchanged, as `np.swapaxes`.

        Args:
            axis1: One axis.
            axis2: The other.

        Raises:
            IndexError: The view has no such axis.
        """

    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> View:
        """The view with some axes moved to other places, as `np.moveaxis`.

        Args:
            source: Axis or axes to move.
            destination: Places of these axes in the result. The other axes keep their order.

        Raises:
            ValueError: An axis is named twice, or `source` and `destination` are not as many.
            IndexError: The view has no such axis.
        """

    def windows(self, size: int, step: int = 1, axis: int = 0) -> View:
        """Windows of `size` elements along an axis, one from every `step`-th start.

        Shape (N, F) gives (1 + (N - size) // step, size, F) for axis 0. The windows overlap in
        memory if `step < size`.

        Args:
            size: Elements in a window.
            step: Elements from one start to the next.
            axis: Axis along which windows are taken.

        Raises:
            ValueError: `size` or `step` is not positive, or `size` is larger than the axis.
            IndexError: The view has no such axis.

        >>> import ndlens as nl
        >>> nl.view(bytes(range(5))).windows(3).tolist()
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
        """

    @overload
    def reshape(self, *shape: int) -> View:
        """The same elements in C order in another shape; never copies.

        Args:
            *shape: Size of each axis; one may be -1 for what is left.

        Raises:
            CopyRequired: No strides give this shape.
            ValueError: The sizes do not match.
        """

    @overload
    def reshape(self, shape: Sequence[int], /) -> View: ...
    @overload
    def broadcast_to(self, *shape: int) -> View:
        """The same elements in a larger shape, with axes of size 1 repeated by a stride of 0.

        The result is read-only, as `np.broadcast_to` gives it.

        Args:
            *shape: Size of each axis.

        Raises:
            ValueError: The shapes do not broadcast.

        >>> import ndlens as nl
        >>> nl.view(b"abc").broadcast_to(2, 3).tobytes()
        b'abcabc'
        """

    @overload
    def broadcast_to(self, shape: Sequence[int], /) -> View: ...
    def ravel(self) -> View:
        """The elements along one axis, in C order; never copies, as `reshape(-1)`.

        Raises:
            CopyRequired: No single stride leads from each element to the next.
        """

    def squeeze(self, axis: int | Sequence[int] | None = None) -> View:
        """The view without the given axes of size 1, or without all of them.

        Args:
            axis: Axis or axes to drop; None for all of size 1.

        Raises:
            ValueError: An axis is not of size 1.
            IndexError: The view has no such axis.
        """

    def expand_dims(self, axis: int | Sequence[int]) -> View:
        """The view with new axes of size 1.

        Args:
            axis: Place or places of the new axes in the result.

        Raises:
            IndexError: The result has no such axis.
        """

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> View:
        """The elements whose indices along two axes differ by `offset`, along a new last axis.

        Args:
            offset: Index along `axis2` less index along `axis1`.
            axis1: First axis of the planes.
            axis2: Second axis of the planes.

        Raises:
            ValueError: The two axes are the same.
            IndexError: The view has no such axis.
        """

    def split(self, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[View]:
        """The view cut along an axis, as `np.split`.

        Args:
            indices_or_sections: Number of equal pieces, or the places of the cuts.
            axis: Axis that is cut.

        Raises:
            ValueError: The axis does not divide into equal pieces.
            IndexError: The view has no such axis.
        """

    def unbind(self, axis: int = 0) -> list[View]:
        """The view at each place of an axis, as `torch.unbind`.

        Args:
            axis: Axis that the views no longer have.

        Raises:
            IndexError: The view has no such axis.
        """

    def reinterpret(self, dtype: Any) -> View:
        """The same bytes as elements of another dtype, as `ndarray.view`; never copies.

        Args:
            dtype: A name, a format of the buffer protocol, a NumPy or a torch dtype.

        Raises:
            ValueError: The last axis does not hold a whole number of elements.
            CopyRequired: The last axis is not packed.
            TypeError: ndlens has no such dtype.
        """

    def cast(self, format: Any, shape: Sequence[int] | None = None) -> View:
        """The same bytes in another format of the `struct` module, as `memoryview.cast`.

        To or from a format of one byte, of a view that is packed in C order.

        Args:
            format: A letter of the `struct` module, or a dtype that has one.
            shape: Shape of the result; None for one axis.

        Raises:
            TypeError: `memoryview` would not cast it either.
        """

    def verify(self) -> None:
        """Raises `TruncatedError` if bytes of this view are lost.

        They are lost if the mapped file has become shorter, or was when it was read after
        `nl.guard_truncation()`. Other memory is never lost. Call it before a read to learn of a
        loss early, and after a read by NumPy or torch to know that what was read is in the file.

        Raises:
            TruncatedError: Bytes of the view are lost.
        """

    def prefetch(self) -> None:
        """Asks the system to read this view's pages of a mapped file, without waiting.

        From the view's first element to its last (`madvise`, MADV_WILLNEED). Nothing happens for
        other memory.

        Raises:
            OSError: The system refuses.
        """

    def drop_cache(self) -> None:
        """Frees the memory that caches this view's pages of a mapped file.

        From the view's first element to its last, in this process and in the system's cache of
        files; they are read again when they are needed. What was written to them is kept. The
        system keeps pages that other processes use, and those it has yet to write. Nothing happens
        for other memory.

        Raises:
            OSError: The system refuses.
        """

    def toreadonly(self) -> View:
        """The same view, read-only."""

    def holders(self, *, search: bool = False) -> Holders:
        """What keeps the bytes of this view alive: an `nl.Holders` to look at and to print.

        The owner of the memory; how many views, tensors and loaders hold it through ndlens; how
        many buffers are taken of this view, for which `release` waits; the other processes that
        hold shared memory; and what ndlens cannot know.

        Args:
            search: Whether to look for views, arrays and tensors on this memory among all Python
                objects, and to say where they are. That takes up to a second.

        >>> import ndlens as nl
        >>> view = nl.view(bytearray(6))
        >>> row = view[2:]
        >>> held = memoryview(view)
        >>> [(holder.what, holder.count) for holder in view.holders()]
        [('owner', 1), ('claims', 2), ('exports', 1), ('others', None)]
        """

    def release(self) -> None:
        """Gives up this view's claim on its memory.

        If no other view, array or tensor holds it, its owner can then be resized or closed.
        Anything else done with this view raises `ValueError`.

        Raises:
            BufferError: A consumer holds this view's buffer.
        """

    def copy(self, order: Literal["C", "F", "A"] = "C") -> View:
        """The elements packed in new memory, writable and aligned to 64 bytes.

        Args:
            order: "C" order, Fortran order ("F"), or the one that they are packed in ("A").

        Raises:
            MemoryError: There is not enough memory.
            TruncatedError: Bytes of the view are lost.
        """

    def ascontiguous(self) -> View:
        """This view if its elements are packed in C order, else a copy.

        As `np.ascontiguousarray`. (`contiguous` is `memoryview`'s name of the flag.)
        """

    def take(self, indices: Any, axis: int = 0) -> View:
        """The elements at the given places of an axis, in their order, packed in new memory.

        As `np.take`.

        Args:
            indices: Integers, or anything `nl.view` takes of integers, of shape (n,); negative ones
                count from the end.
            axis: Axis along which elements are taken.

        Raises:
            IndexError: A place is out of bounds, or the view has no such axis.
            TypeError: `indices` are not integers.
        """

    def fill(self, value: Any) -> None:
        """Writes one number to every place.

        Args:
            value: A number that the dtype holds.

        Raises:
            ReadOnlyError: The view is read-only.
            OSError: There is no room for the pages in a file that is opened with "r+".
        """

    def tobytes(self, order: Literal["C", "F", "A"] | None = None) -> bytes:
        """The bytes of the elements.

        Args:
            order: "C" order (the default), Fortran order ("F"), or the one that they are packed in
                ("A").
        """

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers.

        A view of rank 0 gives its element.
        """

    def item(self) -> Any:
        """The only element, as a Python number.

        Raises:
            ValueError: The view has no element, or several.
        """

    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def hex(self, sep: str | bytes | None = None, bytes_per_sep: int = 1) -> str:
        """The bytes of the elements in C order as hexadecimal digits, as `bytes.hex`.

        Args:
            sep: Character between groups of bytes.
            bytes_per_sep: Bytes in a group, counted from the right; from the left if negative.
        """

    def index(self, value: Any, start: int | None = None, stop: int | None = None, /) -> int:
        """The first place along axis 0 that holds `value`, as `memoryview.index`.

        Args:
            value: Number to look for.
            start: First place that is looked at.
            stop: Place before which the search ends.

        Raises:
            ValueError: No place holds it.
        """

    def count(self, value: Any, /) -> int:
        """The number of places along axis 0 that hold `value`, as `memoryview.count`.

        Args:
            value: Number to look for.
        """

    def numpy(self) -> np.ndarray[Any, Any]:
        """A `numpy.ndarray` on the same memory; nothing is copied.

        A read-only view gives a read-only array. bfloat16 and the 8-bit floats become the dtypes of
        the package `ml_dtypes`.

        Raises:
            ImportError: NumPy is not installed.
            BufferError: `ml_dtypes` is needed and not installed.
        """

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]: ...
    def torch(self, *, readonly: Literal["allow"] | None = None) -> Tensor:
        """A `torch.Tensor` on the same memory, with the same strides; nothing is copied.

        Args:
            readonly: "allow" for a tensor of a read-only view, which must never be written to.

        Raises:
            CopyRequired: A stride is negative, which torch does not have.
            ReadOnlyError: The view is read-only, and torch would write to it: open files with
                `mode="c"`, call `copy()` first, or give `readonly="allow"`.
            TypeError: torch has no such dtype.
            ImportError: PyTorch is not installed.
        """

    __dlpack_c_exchange_api__: ClassVar[CapsuleType]
    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> CapsuleType: ...
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]: ...
    def __copy__(self) -> View: ...
    def __deepcopy__(self, _memo: dict[int, Any], /) -> View: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    if sys.version_info >= (3, 12):
        def __buffer__(self, flags: int, /) -> memoryview: ...
        def __release_buffer__(self, buffer: memoryview, /) -> None: ...

@final
class Shards:
    """One array in several files, cut along axis 0.

    `nl.open` of a pattern or a list of paths makes it. Its items have one shape and dtype and are
    in the order of the files. `nl.Loader` and `nl.torch.Dataset` take it as a field. `s[i]` is item
    i as a view of its file (an element, if items have no axes), `s[a:b:c]` other shards of the same
    memory, and `s[index]`, with an array of integers or booleans, `nl.Items`. Nothing is copied. It
    pickles to the handles of its shards.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of items of all shards together, then the shape of an item."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def dtype(self) -> str:
        """The name of the elements' type, as `View.dtype`."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""

    @property
    def shards(self) -> tuple[View, ...]:
        """Each shard as a view, in order."""

    def _repr_html_(self) -> str:
        """The shards in HTML, for notebooks: their files, one beside the other.

        It reads no element.
        """

    def __array__(self, *_args: Any, **_kwargs: Any) -> NoReturn: ...
    def __len__(self) -> int:
        """The number of items."""

    def __iter__(self) -> Iterator[Any]:
        """The items, as `s[i]` gives each."""

    @overload
    def __getitem__(self, key: slice, /) -> Shards:
        """One item, or a part of the items; nothing is copied.

        Args:
            key: An integer for an item, a slice for shards of the same memory, an array or a list
                of integers or booleans for `nl.Items`.

        Raises:
            IndexError: There is no such item.
        """

    @overload
    def __getitem__(self, key: Sequence[int] | Sequence[bool], /) -> Items: ...
    # An array of indices gives Items, an integer a View or a number.
    @overload
    def __getitem__(self, key: Any, /) -> Any: ...

@final
class Explanation:
    """The answer of `nl.explain`: sentences to print."""

    @property
    def zero_copy(self) -> bool:
        """Whether the target uses the same memory."""

@final
class ViewIterator:
    """The iterator that `iter(view)` gives."""

    def __iter__(self) -> ViewIterator: ...
    def __next__(self) -> Any:
        """The next element of a view of one axis, or the next view along axis 0."""

    def __length_hint__(self) -> int: ...

@final
class Epoch:
    """The batches of one epoch: the iterator that `iter(loader)` gives.

    The epoch begins when its first batch is asked for.
    """

    def __iter__(self) -> Epoch: ...
    def _repr_html_(self) -> str:
        """The epoch in HTML: what is left of it, and its fields, for notebooks."""

    def _fields(self) -> tuple[Literal["to begin", "begun", "over"], list[dict[str, Any]]]: ...
    def __next__(self) -> Any:
        """The next batch. The caller waits until it is made, and helps."""

    def __len__(self) -> int:
        """The number of batches that are still to come."""

    @property
    def skipped(self) -> Skipped:
        """The items that were left out of the batches taken so far."""

    def _pass_over(self) -> list[int] | None: ...
    def _course(self) -> tuple[int, int, int, int] | None: ...

@final
class Items:
    """Items for `nl.Loader` and `nl.torch.Dataset` that are not the rows of one view.

    `nl.windows`, `nl.ragged` and `nl.subset` make them. `items[i]` is item i as a view, which
    copies nothing (an element, if items have no axes). `items[a:b:c]`, and `items[index]` with an
    array of integers or booleans, are other items. They pickle as their views do.
    """

    def __array__(self, *_args: Any, **_kwargs: Any) -> NoReturn: ...
    def __len__(self) -> int:
        """The number of items."""

    def __iter__(self) -> Iterator[Any]:
        """The items, as `items[i]` gives each."""

    @overload
    def __getitem__(self, key: slice | Sequence[int] | Sequence[bool], /) -> Items:
        """One item, or a part of the items; nothing is copied.

        Args:
            key: An integer for an item; a slice, an array or a list of integers or booleans for
                other items.

        Raises:
            IndexError: There is no such item.
        """

    # An array of indices gives Items, an integer a View or, if items have no axes, a number.
    @overload
    def __getitem__(self, key: Any, /) -> Any: ...
    def _repr_html_(self) -> str:
        """The items in HTML: how many, and their sizes, for notebooks. It reads no element."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]: ...
    @property
    def shape(self) -> tuple[int | None, ...]:
        """The number of items, then the size of each of their axes; None where items differ."""

    @property
    def item_shape(self) -> tuple[int | None, ...]:
        """The size of each axis of an item; None where items differ."""

    @property
    def shapes(self) -> View:
        """The shapes of all items: int64, of shape (items, axes of an item)."""

    @property
    def offsets(self) -> View | None:
        """The first element of each item in `data`: int64, of shape (items,).

        None if the items are not in one packed view.
        """

    @property
    def data(self) -> View | None:
        """The packed view of one axis that holds all items; None if there is no such view."""

    @property
    def dtype(self) -> str:
        """The name of the elements' type, as `View.dtype`."""

@overload
def windows(
    series: Any,
    size: int,
    step: int = 1,
    horizon: Literal[0] = 0,
    groups: Any = None,
    *,
    lengths: Any = None,
    ids: Any = None,
    gap: int = 0,
    target: Any = None,
    where: Any = None,
    skip_nan: bool = False,
) -> Items:
    """Windows of one series or of several, as items for a loader.

    No window crosses from one series or group to the next, and a series or group that is too short
    for a window with its gap and horizon has none. Nothing is copied, and no window is listed:
    memory grows with the number of groups.

    Args:
        series: A series of shape (steps, ...), or a list of them.
        size: Steps in a window.
        step: Steps from the start of one window to the next.
        horizon: Steps that follow each window, after the gap, as a second field.
        groups: `lengths`, or offsets from 0 to the number of steps, if they cannot be taken for
            `ids`.
        lengths: Steps of each group, which add up to those of the series.
        ids: For each step what it belongs to: a number, a string or anything that can be hashed.
            Steps of one id stand together.
        gap: Steps between a window and its horizon.
        target: Columns of the horizon, of a series of shape (steps, columns, ...). One column is
            not an axis: items are of shape (horizon,).
        where: A boolean for each window, or for each step (of all series one after another) whether
            a window may start there.
        skip_nan: Whether windows that hold NaN, or whose horizon does, are left out. If not, a
            warning names the first such window in the first 256 MiB of the series.

    Returns:
        Items of shape (size, ...). With a `horizon`, a pair: the windows, and the horizons of shape
        (horizon, ...).

    Raises:
        ValueError: A size is 0, series differ in dtype or shape of a step, groups do not divide the
            series, ids are scattered, or no window fits or is left.

    >>> import ndlens as nl
    >>> past, future = nl.windows(bytes(range(9)), 3, horizon=1, ids=list("aaaaabbbb"))
    >>> [(p.tolist(), f.tolist()) for p, f in zip(past, future)]
    [([0, 1, 2], [3]), ([1, 2, 3], [4]), ([5, 6, 7], [8])]
    """

@overload
def windows(
    series: Any,
    size: int,
    step: int = 1,
    *,
    horizon: int,
    groups: Any = None,
    lengths: Any = None,
    ids: Any = None,
    gap: int = 0,
    target: Any = None,
    where: Any = None,
    skip_nan: bool = False,
) -> tuple[Items, Items]: ...
def _windows_part(
    series: Any, span: tuple[int, int, int, int], lengths: View | None, future: bool, /
) -> Items: ...
def ragged(items: Any, offsets: Any = None, shapes: Any = None) -> Items:
    """Items of different sizes but one dtype, rank and number of channels.

    Such as images of shape (height, width, channels). `nl.Loader` takes them if a transform makes
    one size of them, and `nl.windows` takes them as series.

    Args:
        items: A list of views, each an item; or, with `shapes`, a packed view of one axis that
            holds them.
        offsets: The first element of each item, of shape (N,); N + 1 also say where each must end.
            None if each item follows the one before.
        shapes: The shape of each item, of shape (N, rank).

    Raises:
        ValueError: Items differ in more than their first two axes, or reach beyond their memory;
            the error names the first.

    >>> import ndlens as nl
    >>> images = nl.ragged(bytes(range(10)), shapes=[(2, 3), (2, 2)])
    >>> images[1].tolist(), images.shape, images.offsets.tolist()
    ([[6, 7], [8, 9]], (2, 2, None), [0, 6])
    """

@final
class Images:
    """Encoded images, such as photographs, as a field of `nl.Loader` and `nl.torch.Dataset`.

    `nl.images` makes them. `images[i]` decodes image i into a new view of shape (height, width,
    channels). `images[a:b:c]`, and `images[index]` with an array of integers or booleans, are other
    images, of which nothing is read. They pickle as their paths or bytes do, without pixels.
    """

    def __array__(self, *_args: Any, **_kwargs: Any) -> NoReturn: ...
    def __len__(self) -> int:
        """The number of images."""

    def __iter__(self) -> Iterator[View]:
        """The images, each decoded when it is asked for."""

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> View:
        """One image, decoded into new memory, or a part of the images.

        Args:
            key: An integer for an image; a slice, an array or a list of integers or booleans for
                other images.

        Raises:
            IndexError: There is no such image.
            OSError: The image cannot be read.
            ImageError: It cannot be decoded. The error names its path, if it has one.
        """

    @overload
    def __getitem__(self, key: Any, /) -> Images: ...
    def __reduce__(self) -> tuple[Callable[..., Images], tuple[Any, ...]]: ...
    @property
    def shape(self) -> tuple[int | None, ...]:
        """The number of images, then their `item_shape`."""

    @property
    def item_shape(self) -> tuple[int | None, ...]:
        """(None, None, channels): height and width are those of each image."""

    @property
    def dtype(self) -> str:
        """The name of the elements' type, as `View.dtype`."""

    @property
    def mode(self) -> Literal["RGB", "L", "RGBA", "unchanged"]:
        """The channels that images are decoded to: "RGB", "L", "RGBA" or "unchanged"."""

    @property
    def orient(self) -> bool:
        """Whether images are turned as their EXIF orientation says."""

    @property
    def paths(self) -> list[str] | None:
        """The paths of the images; None if they are not in files of their own."""

def images(
    source: Any,
    mode: Literal["RGB", "L", "RGBA", "unchanged"] = "RGB",
    *,
    orient: bool = False,
    max_pixels: int | None = None,
) -> Images:
    """Encoded images, JPEG, PNG or WebP, that a loader decodes when it makes their batch.

    A loader draws the parameters of an image's transforms from the size in its header, and then
    decodes only the part that a crop keeps, where the format allows it. The height and the width of
    items are unknown until they are read, so the transforms must end in one size: `Resize((h, w))`,
    `RandomResizedCrop(n)`, `CenterCrop(n)` and the like. An image that a crop does not fit is an
    error of its item, and so is one that cannot be read: `nl.Loader(.., on_error="skip")` leaves
    such items out.

    Args:
        source: Paths, or encoded bytes. A string is a path or a pattern: `"photos/**/*.jpg"` are
            the files that match, in natural order (2 before 10), `"{000..099}.png"` a hundred names
            in their order. An iterable of paths is taken in its order. A list of bytes, `nl.ragged`
            items of shape (bytes,), or rows of an array of uint8, are the bytes themselves.
        mode: The channels: "RGB", uint8 of shape (height, width, 3); "L", grey, (height, width, 1);
            "RGBA", (height, width, 4). "unchanged" are the channels and the depth, uint8 or uint16,
            of the first image; another image that has others is an error of its item.
        orient: Whether images are turned as their EXIF orientation says. By default they are not,
            as in torchvision.
        max_pixels: The most pixels of an image; a larger one is refused before memory is taken for
            it. By default 178,956,970, as Pillow's limit.

    Raises:
        FileNotFoundError: No file matches the pattern.
        ValueError: There is no image, or the mode is unknown.
        TypeError: `source` has neither paths nor bytes.

    Files are opened when they are read, so a missing one is an error of its item.

    >>> import ndlens as nl
    >>> nl.images(["cats/1.jpg", "dogs/1.jpg"])
    <ndlens.Images items=2 item_shape=[?, ?, 3] dtype=uint8 mode="RGB">
    """

def _images_again(
    origin: Any, mode: str, orient: bool, max_pixels: int, channels: int, sixteen: bool, /
) -> Images: ...

@final
class Skipped:
    """The items that an epoch left out of its batches, with `on_error="skip"`.

    `len(skipped)` is their number. Counted are the batches that were taken so far.
    """

    def __len__(self) -> int:
        """The number of all items that were left out."""

    @property
    def count(self) -> int:
        """The number of all items that were left out."""

    @property
    def items(self) -> list[tuple[int, str | None, str]]:
        """The first 100 of them, as (item, name, error).

        They are the number of the item, its path if it has one, or None, and the text of its error.
        """

@final
class _Selection:
    def __new__(cls, index: Any, items: int) -> _Selection: ...
    def __len__(self) -> int: ...
    def __reduce__(self) -> tuple[Callable[..., _Selection], tuple[bytes, int]]: ...

def _selection_of_bytes(packed: bytes, items: int, /) -> _Selection: ...
def _subset(field: Any, index: Any, /) -> View | Shards | Items | Images: ...
def _image_header(source: Any, /) -> tuple[str, int, int, int, str, int]: ...
def _split(
    items: int, parts: Any, seed: int | None, groups: Any, stratify: Any, /
) -> list[_Selection]: ...
def view(obj: Any, /, *, readonly: bool | None = None, copy: bool | None = False) -> View:
    """A view of any object that gives its memory; nothing is copied.

    The object exports a buffer (PEP 3118: `bytes`, `bytearray`, `array.array`, `mmap`,
    `memoryview`, a NumPy array), speaks DLPack on the CPU (a `torch.Tensor`, a JAX array), or has
    an `__array_interface__` (a `PIL.Image`, which gives its pixels as bytes) or `__array_struct__`.
    The view has the object's shape, strides and dtype. While the view, or anything made of it,
    lives, the object's memory is held: a `bytearray` cannot be resized, an `mmap` not closed.

    Args:
        obj: The object.
        readonly: True for a read-only view; False to refuse read-only memory; None for the object's
            own.
        copy: None to copy if there is no memory to use: of a tensor with the negative or the
            conjugate bit set, or an object that NumPy makes an array of (`__array__`: a pandas
            column, an h5py data set). True to copy in any case.

    Raises:
        TypeError: The object has no memory to view; the error says what to call instead.
        BufferError: The object does not give its memory, or its memory is only a part of what it
            means: a masked array, an array with a unit, a sparse tensor.
        ReadOnlyError: `readonly=False`, and the memory is read-only.

    >>> import ndlens as nl
    >>> pixels = bytearray(range(6))
    >>> v = nl.view(pixels)
    >>> v.shape, v.dtype, v.readonly
    ((6,), 'uint8', False)
    >>> pixels.append(6)
    Traceback (most recent call last):
        ...
    BufferError: Existing exports of data: object cannot be re-sized
    """

def explain(obj: Any, target: Literal["torch", "numpy", "jax", "memoryview"], /) -> Explanation:
    """Says whether handing an object to a target copies, why, and what to do about it.

    `print` it for plain sentences; `zero_copy` is True if the target uses the same memory.

    Args:
        obj: Anything `nl.view` takes.
        target: "torch", "numpy", "jax" or "memoryview".

    Raises:
        ValueError: `target` is another word.

    >>> import ndlens as nl
    >>> v = nl.view(bytearray(6)).reshape(2, 3)
    >>> nl.explain(v[:, ::-1], "numpy").zero_copy
    True
    """

def shares_memory(a: Any, b: Any, /) -> bool:
    """Whether some byte belongs to an element of both objects: exact, as `np.shares_memory`.

    Args:
        a: Anything `nl.view` takes.
        b: Likewise.

    >>> import ndlens as nl
    >>> pixels = nl.view(bytearray(12)).reshape(4, 3)
    >>> red, green = pixels[:, 0], pixels[:, 1]
    >>> nl.shares_memory(red, green), nl.may_share_memory(red, green)
    (False, True)
    """

def may_share_memory(a: Any, b: Any, /) -> bool:
    """Whether the memory between the outermost elements of two objects overlaps.

    Quick, and true more often than `shares_memory`; as `np.may_share_memory`.

    Args:
        a: Anything `nl.view` takes.
        b: Likewise.
    """

# A path leads mostly to one array, and a list of paths to one array in shards. A checker cannot
# know: `assert isinstance(opened, nl.Arrays)` tells it.
@overload
def open(
    path: list[Any] | tuple[_Path, ...],
    mode: Literal["r", "c", "r+"] = "c",
    *,
    copy: bool = False,
    shape: SupportsIndex | Sequence[SupportsIndex] | None = None,
    dtype: str | type | np.dtype[Any] | TorchDType,
    offset: int = 0,
    strides: Sequence[SupportsIndex] | None = None,
) -> Shards: ...
@overload
def open(
    path: list[Any] | tuple[_Path, ...],
    mode: Literal["r", "c", "r+"] = "c",
    *,
    copy: bool = False,
    shape: SupportsIndex | Sequence[SupportsIndex] | None = None,
    dtype: Any = None,
    offset: int = 0,
    strides: Sequence[SupportsIndex] | None = None,
) -> Shards | Any:
    """Opens arrays in files, mapped, not read.

    - `.npy` (format versions 1 to 3, C or Fortran order) is a `View`.
    - `.safetensors` and `.npz` are `nl.Arrays`, a read-only `Mapping` from names to views of one
      map of the file. An `.npz` member that is compressed cannot be mapped.
    - With a `dtype`, any file is a `View` of raw bytes. An `.npy`, `.npz` or `.safetensors` file
      starts with a header, so it needs an `offset` as well, or a dtype of one byte.
    - A pattern such as "shards/*.npy", or a list of paths, is one array in several files,
      `nl.Shards`; of `.safetensors` files, it is `nl.Arrays` by the names of all. Files that a
      pattern matches are in natural order: 2 before 10. A path that leads to a file is not a
      pattern.
    - Tar archives in the layout of WebDataset are `nl.Samples`, a read-only `Mapping` from
      extensions to `nl.Items` of bytes. What is in an archive is kept in a hidden file beside it.
    - "model.safetensors.index.json" is `nl.Arrays` of the files that the index names.
    - Items of different sizes that `nl.save` saved are `nl.Items` again: all of a file, or one of
      its names.

    A map holds no descriptor; an `nl.Arrays` that is read holds one.

    Args:
        path: A path, a pattern, or a list of paths.
        mode: What a write does. "c" copies the touched page, so that memory is writable and the
            file stays as it is; "r" refuses; "r+" writes to the file, which an `.npz` archive with
            its checksums does not allow.
        copy: Whether each array is read into memory of its own instead of mapped, when it is first
            asked for, and decompressed if need be.
        shape: Shape of raw bytes; one size may be -1. By default (-1,).
        dtype: Dtype of raw bytes: any that `View.reinterpret` takes.
        offset: First byte of raw bytes. It need not be aligned.
        strides: Strides of raw bytes, in bytes; None if they are packed in C order.

    Raises:
        OSError: A file cannot be opened, such as `FileNotFoundError`.
        FormatError: A file is damaged, of a format that is not read, or unlike the others of a
            pattern.
        ValueError: `mode` is another word, or `shape` is not a shape.
        MemoryError: There is not enough memory for a copy or a map.
    """

@overload
def open(
    path: _Path,
    mode: Literal["r", "c", "r+"] = "c",
    *,
    copy: bool = False,
    shape: SupportsIndex | Sequence[SupportsIndex] | None = None,
    dtype: Any = None,
    offset: int = 0,
    strides: Sequence[SupportsIndex] | None = None,
) -> View | Any: ...
def save(path: _Path, obj: Any, /, *, metadata: Mapping[str, str] | None = None) -> None:
    """Saves an array as `.npy`, or a dict of arrays as `.safetensors`, as the path ends.

    Elements are written in pieces, without a second copy of the array. A `.npy` is in Fortran order
    if the array is, otherwise in C order. Items of different sizes are saved as three tensors of a
    `.safetensors` (elements, offsets and shapes) with a note that `nl.open` reads.

    A reader sees the old file or the whole new one, also after a crash; on an error nothing is left
    behind. Views of the old file stay as they are, so an array can be saved to the file it comes
    from. The new file has the owner, group, permissions, ACL and extended attributes of the old
    one, and only its user can read it until it is whole. What `open(path, "w")` refuses is refused:
    a file without write permission is not replaced. Other hard links of the old file keep the old
    contents.

    Args:
        path: Path that ends in `.npy` or `.safetensors`.
        obj: Anything `nl.view` takes, an `nl.Shards`, an `nl.Items`, or a mapping from strings to
            views and items.
        metadata: Strings that a `.safetensors` holds beside its arrays, such as the
            `{"format": "pt"}` that transformers asks for. By default those of the `nl.Arrays` that
            is saved, and none of anything else.

    Raises:
        OSError: The file cannot be written, or its owner or attributes cannot be kept.
        TypeError: The format has no name for a dtype, or does not hold such an object.
        ValueError: The path ends otherwise.

    >>> import os, tempfile
    >>> import ndlens as nl
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> nl.save(path, {"bias": nl.view(bytes(range(3)))}, metadata={"format": "pt"})
    >>> nl.open(path)["bias"].tolist(), nl.open(path).metadata
    ([0, 1, 2], {'format': 'pt'})
    """

def decode_image(
    source: str | PathLike[str] | Any,
    mode: Literal["RGB", "L", "RGBA", "unchanged"] = "RGB",
    *,
    orient: bool = False,
    max_pixels: int | None = None,
) -> View:
    """Decodes a JPEG, PNG or WebP image, whose format its first bytes tell.

    The view has memory of its own and shape (height, width, channels), also of grey images.

    Args:
        source: A path, or the encoded bytes: any object that `nl.view` takes, with elements of one
            byte.
        mode: The channels. "RGB", "L" (grey) and "RGBA" are uint8, converted as by Pillow: alpha is
            left out or 255, grey is repeated, of 16 bits the upper 8 are kept. "L" of a JPEG of
            luma and chroma is its luma, as in torchvision. "unchanged" has the channels and the
            depth of the file: palettes as RGB or RGBA, 16 bits as uint16, CMYK as Pillow shows it.
        orient: Whether the image is turned upright, as its EXIF orientation says.
        max_pixels: The most pixels that are decoded; by default 178,956,970, as in Pillow. An image
            that claims more is refused before memory is taken.

    Raises:
        ImageError: The image is damaged or truncated, has more pixels than `max_pixels`, or is of a
            format or coding that is not decoded.
        OSError: The file cannot be read, such as `FileNotFoundError`.
        TypeError: `source` is neither a path nor bytes.
        ValueError: `mode` is another word, or `max_pixels` is negative.
        MemoryError: There is not enough memory for the pixels.

    >>> import ndlens as nl
    >>> png = bytes.fromhex(
    ...     "89504e470d0a1a0a0000000d49484452000000020000000108020000007b"
    ...     "40e8dd0000000d4944415478da63f8cf0004ff01070001ff3d7d8c490000"
    ...     "000049454e44ae426082"
    ... )
    >>> nl.decode_image(png).tolist()
    [[[255, 0, 0], [0, 0, 255]]]
    """

def labels(items: Items, /) -> View:
    """The integers that are written in items of text, such as "7", as an array.

    Labels in archives are text: `nl.labels(samples["cls"])`.

    Args:
        items: Items of bytes: a field of `nl.Samples`, ragged items, or some of them.

    Returns:
        View: int64, of shape (items,).

    Raises:
        TypeError: Items are not uint8 of rank 1.
        ValueError: An item is not an integer in ASCII digits, with or without spaces around it; the
            error names the first.

    >>> import ndlens as nl
    >>> nl.labels(nl.ragged([b"7", b" 12 "])).tolist()
    [7, 12]
    """

def guard_truncation() -> None:
    """Makes reads of a mapped file that has become shorter give zeros instead of SIGBUS.

    It holds from now on, in any thread of this process or of a process forked from it later, for
    any reader: ndlens, NumPy or torch. Without it the system ends the process.

    Zeros pass for data, so this is not the default, and code that reads memory itself must ask
    afterwards: `view.verify()` raises `TruncatedError` if anything was lost. ndlens asks for what
    it reads (`copy`, `tolist`, `v[3]`, ...). An `nl.Loader` and an `nl.torch.Dataset` need no call:
    their own reads of views of `nl.open` are guarded in any case.

    Writes are not guarded: a write through "r+" that does not reach the file, since the disk is
    full, is a signal as before, and is never lost without an error. `view[...] = ..` and
    `view.fill` ask for room first, and raise `OSError`.

    A view that met lost pages is damaged: all that ndlens does with it raises, also if the file has
    grown back. Open it again.

    On macOS there is no such guard: `OSError`.

    It handles SIGBUS, and passes on signals that are not about a mapped file of ndlens. Call it
    again after another handler was installed, as by `faulthandler.enable()`; otherwise a second
    call does nothing.

    >>> import ndlens as nl
    >>> nl.guard_truncation()
    """

def dtype_name(dtype: Any, /) -> str:
    """The name of a dtype, however it is given.

    `"float32"`, `"<f4"`, `"f4"`, `torch.float32`, `numpy.float32` and `numpy.dtype("float32")` are
    all "float32". A dtype without a name keeps its buffer format: `">f4"` is ">f".

    Args:
        dtype: A name, a format of the buffer protocol, a NumPy or a torch dtype, or a Python type.

    Raises:
        TypeError: ndlens has no such dtype, or the name has two meanings: "float" is 64 bits to
            NumPy and 32 to torch.

    >>> import ndlens as nl
    >>> nl.dtype_name("<f4"), nl.dtype_name("half"), nl.dtype_name(float)
    ('float32', 'float16', 'float64')
    """

def share(obj: Any, /, *, name: str | None = None, timeout: float | None = None) -> Any:
    """Copies arrays to shared memory, once, and gives views of it.

    Sent to other processes, by pickle in any form, such a view is some hundred bytes, and is a view
    of the same memory there. Ragged items and windows come back as such, on copies of what they are
    of; shards and subsets as one array. Windows cannot be shared by name. The copies are writable,
    C-contiguous and start at multiples of 64 bytes, all in one block of memory (one descriptor).
    The memory is freed with the last view on it, in any process, also if that is killed; nothing is
    left behind. It does not need /dev/shm.

    Args:
        obj: Anything `nl.view` takes, or a dict, tuple or list of such, which comes back in the
            same structure. With a `name` also a function without arguments that returns the arrays;
            only the process that creates calls it. Keys of a dict are strings then.
        name: Name under which all processes of one user on one machine see one copy: the first
            creates it, the others wait until it is filled and give the same memory in place of
            their own arrays.
        timeout: Seconds that the others wait; None for any time.

    Raises:
        MemoryError: There is not enough memory.
        ValueError: The name is bad, or taken for arrays of another structure, shape or dtype.
        TimeoutError: The copy is not filled in time.

    >>> import ndlens as nl
    >>> shared = nl.share({"x": bytearray(6), "y": b"ab"})
    >>> shared["x"][0] = 7
    >>> shared["x"].tolist(), shared["y"].tolist()
    ([7, 0, 0, 0, 0, 0], [97, 98])
    """

def attach(name: str, /, *, timeout: float | None = 60.0) -> Any:
    """The arrays that another process of this user shares under a name, in their structure.

    The memory lives as long as any process holds it, also if the process that created it is gone.
    All see changes.

    Args:
        name: Name that was given to `nl.share`.
        timeout: Seconds to wait until it is shared; None for any time.

    Raises:
        TimeoutError: No process shares it in time.
        ValueError: The name is bad.

    >>> import ndlens as nl
    >>> mine = nl.share(bytearray(4), name="attach-example")
    >>> yours = nl.attach("attach-example")
    >>> yours[0] = 7
    >>> mine[0]
    7
    """

def empty_shared(shape: SupportsIndex | Sequence[int], dtype: Any, /) -> View:
    """An array of zeros in shared memory, to fill in place; otherwise as `nl.share` gives it.

    Args:
        shape: Size of each axis.
        dtype: A name, a NumPy or a torch dtype.

    Raises:
        MemoryError: There is not enough memory.
        TypeError: ndlens has no such dtype.

    >>> import ndlens as nl
    >>> nl.empty_shared((2, 3), "float32")
    <ndlens.View shape=(2, 3) dtype=float32 strides=(12, 4)>
    """

def _view_of_handle(handle: bytes, /) -> View: ...
def _view_of_bytes(packed: bytes, buffer: Any, /) -> View: ...
def _reduce_sent(view: View, /) -> tuple[Callable[..., View], tuple[Any, ...]]: ...
def _wait_for_receipts(seconds: float, /) -> bool: ...
def _forget_threads() -> None: ...

_Extent: TypeAlias = tuple[int, int, bool]

def _compare_memory(a: Any, b: Any, /) -> tuple[_Extent, _Extent, bool, bool]: ...
def _extent(obj: Any, /) -> tuple[int, int] | None: ...
def _write_through(a: Any, b: Any, /) -> bool | None: ...
def _open_trace(
    ask: Callable[[str, int | None], None], note: Callable[[str, int], None], /
) -> None: ...
def _close_trace() -> None: ...
def _copied(operation: str, nbytes: int, /) -> None: ...

@final
class _Gate:
    def note_exit(self) -> None: ...

def _arrays_of_handle(handle: bytes, /) -> Arrays: ...
def _prepare_images(
    images: Images, start: int, stop: int, transforms: Any, quality: int | None, threads: int, /
) -> tuple[View, str | None, list[tuple[int, ...] | Exception]]: ...
def _fingerprint_of_images(images: Images, /) -> int: ...
def _samples_of_handle(handle: bytes, /) -> Any: ...
def _items_of_samples(handle: bytes, name: bytes, /) -> Items: ...
def _shards_of_views(views: Sequence[View], /) -> Shards: ...

@final
class _ArrayFile:
    def __getitem__(self, name: str, /) -> Any: ...
    def array_bytes(self, name: str) -> View: ...
    def info(self, name: str) -> tuple[str, tuple[int, ...]]: ...
    def metadata(self) -> dict[str, str]: ...
    def __contains__(self, name: str, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def handle(self) -> bytes | None: ...

@final
class _SampleSet:
    def __len__(self) -> int: ...
    @property
    def path(self) -> str: ...
    def archives(self) -> list[str]: ...
    def fields(self) -> list[bytes]: ...
    def has_field(self, name: bytes) -> bool: ...
    def field(self, name: bytes) -> Items: ...
    def key(self, index: int) -> bytes: ...
    def archive_of(self, index: int) -> str: ...
    def select(self, names: list[bytes], skip: bool) -> _SampleSet: ...
    def handle(self) -> bytes: ...

@final
class _Loader:
    def __new__(cls, options: LoaderOptions) -> _Loader: ...
    def _plan(self) -> Epoch: ...
    def _batch(self, epoch: int, start: int, rank: int, world_size: int, number: int) -> Any: ...
    def _batch_of(self, epoch: int, items: Any) -> Any: ...
    def _items_to_choose_from(self) -> int: ...
    def _places(self, epoch: int) -> View: ...
    def _described(self) -> tuple[list[str], str]: ...
    def _fields(self) -> list[dict[str, Any]]: ...
    def _pool(self) -> tuple[int, int, int]: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def pin_memory(self) -> bool: ...
    @property
    def drop_last(self) -> bool: ...
    @property
    def rank(self) -> int: ...
    @property
    def world_size(self) -> int: ...
    @property
    def num_samples(self) -> int: ...
    def indices(self, epoch: int) -> View: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    @property
    def epoch(self) -> int: ...
    def set_epoch(self, epoch: int) -> None: ...
    @property
    def pool_nbytes(self) -> int: ...
    @property
    def skipped(self) -> Skipped: ...

@final
class _Gatherer:
    def __new__(cls, options: DatasetOptions) -> _Gatherer: ...
    def __len__(self) -> int: ...
    def _fields(self) -> list[dict[str, Any]]: ...
    def batch(self, items: Sequence[int], epoch: int | None, nonce: int) -> Any: ...
    def batch_to_send(self, items: Sequence[int], epoch: int | None, nonce: int) -> _SentBatch: ...

@final
class _SentBatch:
    def here(self) -> Any: ...

def _check_numbers(object: Any, /) -> int: ...
def _digest_numbers(object: Any, start: int, stop: int, digest: str, /) -> str: ...
def _read_numbers(
    iterator: Iterator[Any], count: int | None, keep: int, /
) -> tuple[int, str, View]: ...
def _replay(transforms: Any, items: Any, params: Any, channels: Any = None, /) -> View: ...
def _receive_batch(
    blocks: Sequence[bytes],
    parts: Sequence[tuple[str, int, int, Sequence[int], Sequence[int]]],
    structure: Any,
    /,
) -> Any: ...
def _provide(**objects: Any) -> None: ...
