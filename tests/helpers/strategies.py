"""Arrays as NumPy users have them, and chains of operations on them, for hypothesis.

A step of a chain is drawn without knowing the array it will meet; `fit` then turns it into
arguments for that array, so that most are valid and some are not. Drawn this way, chains are cheap
and shrink well.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

import ndlens as nl

Array: TypeAlias = npt.NDArray[Any]

# Dtypes whose elements have a Python value: every dtype of ndlens' table that NumPy has too, and
# numbers in the other byte order.
NUMBERS = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "F", "D"]
NUMBERS += [">i2", ">u4", ">i8", ">f2", ">f4", ">f8", ">c8"]
# Dtypes whose elements pass through as they are.
OPAQUE: list[Any] = [
    *["g", "S5", "U3"],
    [("x", "<f4"), ("y", "<i2"), ("z", "i1"), ("flag", "?")],
    [("x", "u1"), ("at", ">i4", (2,)), ("name", "S3")],
]
DTYPES = [np.dtype(code) for code in NUMBERS + OPAQUE]

# Upper bound of the elements that a chain may show.
MOST_ELEMENTS = 4096


def fill(dtype: np.dtype[Any], count: int, seed: int) -> Array:
    """`count` elements of random bytes; of random bits if only 0 and 1 are values."""
    raw = np.random.default_rng(seed).bytes(count * dtype.itemsize)
    if dtype == np.dtype("?"):
        raw = bytes(byte & 1 for byte in raw)
    return np.frombuffer(bytearray(raw), dtype, count)


def lay_out(dtype: np.dtype[Any], axes: list[tuple[int, int]], seed: int) -> Array:
    """An array with an axis for each (size, step): a step of 0 gives a zero stride."""
    if len(axes) > 4:
        axes = [(min(n, 2), step) for n, step in axes]
    base_shape = [max(n * abs(step), 1) for n, step in axes]
    count = math.prod(base_shape)
    elements = fill(dtype, count, seed=count).reshape(base_shape)
    if seed & 1:
        array = elements
    else:
        # A field of packed records: neither aligned nor a whole number of elements apart.
        array = np.zeros(base_shape, np.dtype([("before", "V3"), ("field", dtype)]))["field"]
        array[...] = elements
    for key in ([slice(None, None, step or None) for _, step in axes], [slice(n) for n, _ in axes]):
        array = array[(*key, ...)]
    shape = tuple(n for n, _ in axes)
    if seed & 2:
        zeroed = [0 if step == 0 else s for (_, step), s in zip(axes, array.strides, strict=True)]
        array = np.lib.stride_tricks.as_strided(array, shape, zeroed)
    else:
        # Zero strides in their usual form: read-only.
        array = np.broadcast_to(array, shape)
    return array.transpose(shuffled(len(axes), seed))


def arrays() -> st.SearchStrategy[Array]:
    """Arrays of up to 6 axes in any order: sizes from 0, strides of any sign, 0 or unaligned."""
    sizes = st.sampled_from([3, 2, 1, 4, 0])
    steps = st.sampled_from([1, 2, -1, -2, 0])
    axes = st.lists(st.tuples(sizes, steps), max_size=6)
    return st.builds(lay_out, st.sampled_from(DTYPES), axes, st.integers(0, 255))


# An integer between the brackets; `fit` wraps all but the farthest ones into the axis.
NEAR = range(-5, 5)

bounds = st.one_of(
    st.none(), st.integers(-6, 6), st.sampled_from([2**63 - 1, -(2**63), 10**30, -(10**30)])
)
strides = st.one_of(st.none(), st.sampled_from([1, 2, 3, -1, -2, -3, 0, 2**62, -(10**30)]))
items = st.one_of(
    st.integers(-6, 5),
    st.builds(slice, bounds, bounds, strides),
    st.builds(slice, bounds, bounds, strides),
    st.sampled_from([..., None]),
)


@dataclass(frozen=True)
class Step:
    """One operation on a view and on an array; `fit` turns the numbers into arguments."""

    name: str
    items: tuple[Any, ...] = ()
    seed: int = 0

    def fit(self, array: Array) -> tuple[Callable[[nl.View], Any], Callable[[Array], Any]]:
        """The operation on a view like `array`, and the same one in NumPy."""
        match self.name:
            case "index":
                key = fit_key(self.items, array.shape)
                return (lambda v: v[key]), (lambda a: a[key])
            case "permute":
                axes = shuffled(array.ndim, self.seed)
                return (lambda v: v.permute(axes)), (lambda a: a.transpose(axes))
            case "flip":
                flipped = tuple(
                    i - self.seed % 2 * array.ndim for i in range(array.ndim) if self.seed >> i & 2
                )
                return (lambda v: v.flip(flipped)), (lambda a: np.flip(a, flipped) if a.ndim else a)
            case "windows":
                size, step = 1 + self.seed % 3, 1 + self.seed // 3 % 3
                axis = self.seed // 9 % max(array.ndim, 1)
                return (
                    lambda v: v.windows(size, step, axis),
                    lambda a: sliding_windows(a, size, step, axis),
                )
            case "reshape":
                shape = fit_shape(array.shape, self.seed)
                return (lambda v: v.reshape(shape)), (lambda a: a.reshape(shape))
            case name if name in ARRANGEMENTS:
                return fit_arrangement(name, array, random.Random(self.seed))
            case name:
                return fit_selection(name, array, random.Random(self.seed))


# Other axes over the same elements; other elements of the same memory, or of new memory.
ARRANGEMENTS = ["T", "mT", "transpose", "swapaxes", "moveaxis", "ravel", "squeeze", "expand_dims"]
SELECTIONS = [
    "broadcast_to",
    "diagonal",
    "split",
    "unbind",
    "reinterpret",
    "take",
    "copy",
    "toreadonly",
]
# Steps whose result has memory of its own.
COPIES = ["take", "copy"]
# Steps that write, and give nothing.
WRITES = ["fill", "assign"]
KINDS = ["permute", "flip", "windows", "reshape", *ARRANGEMENTS, *SELECTIONS, *WRITES]

steps = st.one_of(
    st.builds(Step, st.just("index"), st.lists(items, max_size=5).map(tuple)),
    st.builds(Step, st.just("index"), st.lists(items, min_size=1, max_size=1).map(tuple)),
    st.builds(Step, st.sampled_from(KINDS), seed=st.integers(0, 2**16)),
    st.builds(Step, st.sampled_from(KINDS), seed=st.integers(0, 2**16)),
)
chains = st.lists(steps, min_size=1, max_size=10)


def fit_key(items: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """The same key with most integers wrapped into their axis; a single item without its tuple."""
    key = list(items)
    indexed = [at for at, item in enumerate(key) if item is not None and item is not ...]
    dots = key.index(...) if ... in key else len(key)
    for place, at in enumerate(indexed):
        axis = place if at < dots else len(shape) - (len(indexed) - place)
        if isinstance(key[at], int) and key[at] in NEAR and 0 <= axis < len(shape) and shape[axis]:
            key[at] = key[at] % shape[axis] - (shape[axis] if key[at] < 0 else 0)
    return key[0] if len(key) == 1 else tuple(key)


def shuffled(ndim: int, seed: int) -> tuple[int, ...]:
    axes = list(range(ndim))
    random.Random(seed).shuffle(axes)
    return tuple(axis - ndim if seed % 3 == 0 else axis for axis in axes)


Fitted: TypeAlias = tuple[Callable[[nl.View], Any], Callable[[Array], Any]]


def some_axis(ndim: int, choose: random.Random) -> int:
    """Mostly an existing axis, counted from either end."""
    return (
        choose.randrange(-ndim, ndim) if ndim and choose.random() < 0.95 else choose.choice([8, -9])
    )


def fit_arrangement(name: str, array: Array, choose: random.Random) -> Fitted:
    ndim = array.ndim
    match name:
        case "T":
            return (lambda v: v.T), (lambda a: a.T)
        case "mT":
            return (lambda v: v.mT), (lambda a: a.mT)
        case "transpose":
            axes = None if choose.random() < 0.3 else shuffled(ndim, choose.randrange(100))
            return (lambda v: v.transpose(axes)), (lambda a: a.transpose(axes))
        case "swapaxes":
            first, second = some_axis(ndim, choose), some_axis(ndim, choose)
            return (lambda v: v.swapaxes(first, second)), (lambda a: a.swapaxes(first, second))
        case "moveaxis":
            count = choose.randrange(ndim + 1)
            source = shuffled(ndim, choose.randrange(100))[:count]
            places = shuffled(ndim, choose.randrange(100))[
                : count if choose.random() < 0.95 else count + 1
            ]
            return (lambda v: v.moveaxis(source, places)), (
                lambda a: np.moveaxis(a, source, places)
            )
        case "ravel":
            # NumPy's ravel copies more than it must.
            return (lambda v: v.ravel()), (lambda a: a.reshape(-1))
        case "squeeze":
            ones = tuple(
                axis for axis, n in enumerate(array.shape) if n == 1 and choose.random() < 0.7
            )
            axis = choose.choice([None, ones, ones, some_axis(ndim, choose)])
            return (lambda v: v.squeeze(axis)), (lambda a: np.squeeze(a, axis))
        case _:
            added = choose.randrange(3)
            new = tuple(some_axis(ndim + added, choose) for _ in range(added))
            return (lambda v: v.expand_dims(new)), (lambda a: np.expand_dims(a, new))


def fit_selection(name: str, array: Array, choose: random.Random) -> Fitted:
    ndim, axis = array.ndim, some_axis(array.ndim, choose)
    size = array.shape[axis] if -ndim <= axis < ndim else 0
    match name:
        case "broadcast_to":
            kept = choose.randrange(ndim + 1) if choose.random() < 0.2 else 0
            grown = [choose.randrange(4) if n == 1 else n for n in array.shape[kept:]]
            shape = (*[choose.randrange(3) for _ in range(choose.randrange(3))], *grown)
            return (lambda v: v.broadcast_to(shape)), (lambda a: np.broadcast_to(a, shape))
        case "diagonal":
            offset, second = choose.randrange(-4, 5), some_axis(ndim, choose)
            return (lambda v: v.diagonal(offset, axis, second)), (
                lambda a: diagonal(a, offset, axis, second)
            )
        case "split":
            cuts: int | list[int] = choose.randrange(1, 4)
            if choose.random() < 0.5:
                cuts = [choose.randrange(-4, 6) for _ in range(choose.randrange(4))]
            piece = choose.randrange(4)
            return (lambda v: v.split(cuts, axis)[piece]), (
                lambda a: np.split(a, cuts, axis)[piece]
            )
        case "unbind":
            place = (
                choose.randrange(size + 1)
                if choose.random() < 0.1
                else choose.randrange(max(size, 1))
            )
            return (lambda v: v.unbind(axis)[place]), (
                lambda a: np.moveaxis(a, axis, 0)[place, ...]
            )
        case "reinterpret":
            dtype = choose.choice(["uint8", "int16", "uint32", "float64", "complex128"])
            return (lambda v: v.reinterpret(dtype)), (lambda a: a.view(dtype))
        case "take":
            places = [choose.randrange(-size, size or 1) for _ in range(choose.randrange(5))]
            places += [size] * (choose.random() < 0.05)
            axis = axis if ndim else 8
            return (lambda v: v.take(places, axis)), (
                lambda a: np.take(a, np.array(places, int), axis)
            )
        case "copy":
            order: Any = choose.choice("CFA")
            return (lambda v: v.copy(order)), (lambda a: a.copy(order))
        case "toreadonly":
            return (lambda v: v.toreadonly()), (
                lambda a: np.lib.stride_tricks.as_strided(a, writeable=False)
            )
        case "fill":
            numbers: Any = np.nan_to_num(fill(array.dtype, 1, choose.randrange(100)))
            number = numbers.tolist()[0]
            return (lambda v: v.fill(number)), (lambda a: a.fill(number))
        case _:
            key: Any = (
                *[choose.choice([slice(None), slice(None, None, -1)]) for _ in array.shape],
                ...,
            )
            part: Any = (*[choose.choice([slice(None), slice(1)]) for _ in array.shape], ...)
            other = fill(array.dtype, array.size, choose.randrange(100)).reshape(array.shape)[part]
            if choose.random() < 0.3:
                return (lambda v: v.__setitem__(key, other)), (lambda a: a.__setitem__(key, other))
            # Onto itself: bytes are written that are still to be read.
            return (lambda v: v.__setitem__(key, v[part])), (lambda a: a.__setitem__(key, a[part]))


def diagonal(array: Array, offset: int, axis1: int, axis2: int) -> Array:
    """`np.diagonal`, writable if the array is."""
    expected = np.diagonal(array, offset, axis1, axis2)
    start = np.moveaxis(array, (axis1, axis2), (-2, -1))[..., max(-offset, 0) :, max(offset, 0) :]
    return np.lib.stride_tricks.as_strided(start, expected.shape, expected.strides)


def fit_shape(shape: tuple[int, ...], seed: int) -> tuple[int, ...]:
    """Another shape of as many elements: axes merged, split, of size 1; one size may be -1."""
    choose = random.Random(seed)
    target = list(shape)
    for _ in range(choose.randrange(1, 5)):
        at = choose.randrange(len(target) + 1)
        if choose.random() < 0.2:
            target.insert(at, 1)
        elif at + 1 < len(target) and choose.random() < 0.6:
            target[at : at + 2] = [target[at] * target[at + 1]]
        elif at < len(target):
            divisor = choose.choice(
                [d for d in range(1, target[at] + 1) if target[at] % d == 0] or [5]
            )
            target[at : at + 1] = [divisor, target[at] // divisor]
    if target and choose.random() < 0.3:
        target[choose.randrange(len(target))] = choose.choice([-1, -1, 7])
    return tuple(target)


def sliding_windows(array: Array, size: int, step: int, axis: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(array, (size,), axis=(axis,), writeable=True)
    windows = np.moveaxis(windows, -1, axis + 1)
    return windows[(slice(None),) * axis + (slice(None, None, step),)]
