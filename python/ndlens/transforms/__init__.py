"""What a loader does to items: torchvision v2's names and parameters, compiled into one pass without the GIL.

Image transforms take items of shape (height, width) or (height, width, channels); `ChannelsFirst`
turns an item into (channels, height, width) for the model. A loader's `channels="first"` is for
items that are (channels, height, width) already. Random transforms draw for each item, a pure
function of the seed, the epoch, the item, the name of its field (the key in a dict, the place in a
tuple) and the place among its kind in the list; fields that a loader's `joint` names together draw
the same.

`MixUp`, `CutMix` and a `RandomChoice` of them are for whole batches: a loader takes one as `mix`.

>>> from ndlens import transforms as T
>>> T.RandomCrop(256)
RandomCrop(size=(256, 256))
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, SupportsFloat

from ._mixing import BatchTransform, CutMix, MixUp, RandomChoice
from ._ndlens import View, _replay, dtype_name

__all__ = [
    "BatchTransform",
    "CenterCrop",
    "ChannelsFirst",
    "ColorJitter",
    "Crop",
    "CutMix",
    "MixUp",
    "Normalize",
    "Pad",
    "RandomChoice",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomJitter",
    "RandomQuarterTurn",
    "RandomResizedCrop",
    "RandomScale",
    "RandomVerticalFlip",
    "Resize",
    "Standardize",
    "ToDtype",
    "Transform",
    "replay",
]

# Where users find them, and pickles look for them.
for _public in (BatchTransform, CutMix, MixUp, RandomChoice):
    _public.__module__ = __name__


class Transform:
    """What all transforms of items are."""

    def __repr__(self) -> str:
        """Give the class and what is not its default."""
        shown = (field for field in fields(self) if getattr(self, field.name) != field.default)  # type: ignore[arg-type]  # a dataclass, as all are
        arguments = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in shown)
        return f"{type(self).__name__}({arguments})"

    def _set(self, **values: Any) -> None:
        """What `__init__` does to a frozen dataclass."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


# What an axis may be addressed by.
_LARGEST = 2**63 - 1


def _addressable(name: str, *numbers: int) -> None:
    if max(numbers) > _LARGEST:
        raise ValueError(f"{name} must be at most {_LARGEST}, got {max(numbers)}")


def _size(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) from one number or two, as torchvision takes them."""
    given = tuple(size) if isinstance(size, Iterable) else (size,)
    if len(given) not in (1, 2):
        raise ValueError(f"size must be an integer or (height, width), got {size!r}")
    height, width = (operator.index(given[0]), operator.index(given[-1]))
    if height < 1 or width < 1:
        raise ValueError(f"size must be positive, got {size!r}")
    _addressable("size", height, width)
    return height, width


def _number(name: str, value: Any) -> Any:
    """An int or a float as it is, and anything else that is a number as a float."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def _probability(p: Any) -> Any:
    p = _number("p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, got {p!r}")
    return p


def _floats(values: SupportsFloat | Iterable[SupportsFloat]) -> tuple[float, ...]:
    """One number, also as a tensor of rank 0, or several."""
    try:
        several = iter(values)  # type: ignore[arg-type]  # what this finds out
    except TypeError:
        return (float(values),)  # type: ignore[arg-type]  # no iterable, so a number
    return tuple(float(value) for value in several)


def _pair(name: str, values: Iterable[SupportsFloat]) -> tuple[float, float]:
    """Two numbers, the lower first."""
    pair = _floats(values)
    if len(pair) != 2 or not pair[0] <= pair[1] or not all(map(math.isfinite, pair)):
        raise ValueError(f"{name} must be two numbers, the lower first, got {values!r}")
    return pair[0], pair[1]


def _positive_pair(name: str, values: Iterable[SupportsFloat]) -> tuple[float, float]:
    """Two numbers above 0, the lower first."""
    pair = _pair(name, values)
    if not pair[0] > 0:
        raise ValueError(f"{name} must be above 0, got {values!r}")
    return pair


def _factors(
    name: str, value: SupportsFloat | Iterable[SupportsFloat] | None, center: float
) -> tuple[float, float] | None:
    """From one number, what lies so far around `center`; None where nothing changes."""
    if value is None:
        return None
    given = _floats(value)
    if len(given) == 1 and not isinstance(value, Iterable):
        if not given[0] >= 0:
            raise ValueError(f"{name} must not be negative, got {value!r}")
        # Factors are not negative; a hue may turn both ways.
        low = center - given[0] if center == 0 else max(center - given[0], 0.0)
        given = (low, center + given[0])
    pair = _pair(name, given)
    if center == 0 and not -0.5 <= pair[0] <= pair[1] <= 0.5:
        raise ValueError(f"{name} must be between -0.5 and 0.5, got {value!r}")
    if center != 0 and pair[0] < 0:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return None if pair == (center, center) else pair


_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _padding(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Pixels to the left, top, right and bottom, from one number, two (both sides, top and bottom) or four."""
    given = [operator.index(n) for n in (padding if isinstance(padding, Iterable) else (padding,))]
    if len(given) not in (1, 2, 4) or min(given) < 0:
        raise ValueError(f"padding must be 1, 2 or 4 numbers of pixels, got {padding!r}")
    _addressable("padding", *given)
    left, top, right, bottom = given * (4 // len(given))
    return left, top, right, bottom


def _padding_mode(mode: str) -> str:
    if mode not in _PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {', '.join(_PADDING_MODES)}, got {mode!r}")
    return mode


@dataclass(frozen=True, init=False, repr=False)
class RandomCrop(Transform):
    """A rectangle of `size` (height, width), or a square, each position equally likely.

    The image is first padded by `padding` pixels: one number, two (left and right, top and bottom)
    or four (left, top, right, bottom). With `pad_if_needed`, one that is still smaller than `size`
    is padded on both sides by what is missing. `fill` is the value of padded pixels, one or one for
    each channel; `padding_mode` may be "edge", "reflect" or "symmetric" instead.
    """

    size: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_if_needed: bool = False
    fill: tuple[float, ...] = (0.0,)
    padding_mode: str = "constant"

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: SupportsFloat | Iterable[SupportsFloat] = 0,
        padding_mode: str = "constant",
    ) -> None:
        """Raise `ValueError` for a size that is not positive and a padding that is negative."""
        self._set(
            size=_size(size), padding=_padding(padding or 0), pad_if_needed=bool(pad_if_needed)
        )
        self._set(fill=_floats(fill), padding_mode=_padding_mode(padding_mode))


@dataclass(frozen=True, init=False, repr=False)
class CenterCrop(Transform):
    """The middle of the image, of `size` (height, width), or a square; where torchvision finds it.

    An image that is smaller is padded with 0.
    """

    size: tuple[int, int]

    def __init__(self, size: int | Sequence[int]) -> None:
        """Raise `ValueError` unless `size` is one or two positive integers."""
        self._set(size=_size(size))


@dataclass(frozen=True, repr=False)
class Crop(Transform):
    """The rectangle of `height` rows from `top` on and `width` columns from `left` on."""

    top: int
    left: int
    height: int
    width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` for a place that is negative and a size that is not positive."""
        for name, least in (("top", 0), ("left", 0), ("height", 1), ("width", 1)):
            number = operator.index(getattr(self, name))
            if number < least:
                raise ValueError(f"{name} must be at least {least}, got {number}")
            _addressable(name, number)
            self._set(**{name: number})


_INTERPOLATIONS = ("nearest", "nearest-exact", "bilinear", "bicubic")


def _interpolation(interpolation: Any) -> str:
    """A name, or torchvision's `InterpolationMode`."""
    name = getattr(interpolation, "value", interpolation)
    if name not in _INTERPOLATIONS:
        raise ValueError(
            f"interpolation must be one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}"
        )
    return str(name)


@dataclass(frozen=True, init=False, repr=False)
class Resize(Transform):
    """The image in another size, as torchvision's `resize` gives it.

    "bilinear" and "bicubic" take uint8 and float32; "nearest" and "nearest-exact" copy elements of
    any dtype, exactly: masks of int64 too, which torch takes through float32.

    `size` is (height, width), or one number for the shorter side, where the longer one keeps its
    ratio to it but is at most `max_size`; with None, `max_size` is the longer side. `interpolation`
    is "nearest", "nearest-exact", "bilinear" or "bicubic"; `antialias` has the two latter take all
    pixels into account where the image gets smaller.
    """

    size: tuple[int, ...] | None
    interpolation: str = "bilinear"
    max_size: int | None = None
    antialias: bool = True

    def __init__(
        self,
        size: int | Sequence[int] | None,
        interpolation: Any = "bilinear",
        max_size: int | None = None,
        antialias: bool = True,
    ) -> None:
        """Raise `ValueError` for sizes that are not positive and an unknown interpolation."""
        given = None if size is None else tuple(size) if isinstance(size, Iterable) else (size,)
        if given is not None:
            given = tuple(map(operator.index, given))
            if len(given) not in (1, 2) or min(given) < 1:
                raise ValueError(
                    f"size must be a positive integer or (height, width), got {size!r}"
                )
            _addressable("size", *given)
        if max_size is not None:
            max_size = operator.index(max_size)
            _addressable("max_size", max_size)
        sides = 0 if given is None else len(given)
        least = given[0] + 1 if given is not None else 1
        if (sides == 2 and max_size is not None) or (
            sides < 2 and max_size is not None and max_size < least
        ):
            raise ValueError(
                "max_size goes with one number, the shorter side, and is above it, or with None; "
                f"got size {size!r} and max_size {max_size}"
            )
        if given is None and max_size is None:
            raise ValueError("size is None: give the longer side as max_size")
        self._set(
            size=given, interpolation=_interpolation(interpolation), antialias=bool(antialias)
        )
        self._set(max_size=max_size)


@dataclass(frozen=True, init=False, repr=False)
class RandomResizedCrop(Transform):
    """A random part of the image, resized to `size` (height, width) or a square.

    Its area is between `scale` of the image's, its width over its height between `ratio`; drawn as
    torchvision draws them. `interpolation` and `antialias` as in `Resize`.
    """

    size: tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    antialias: bool = True

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: Any = "bilinear",
        antialias: bool = True,
    ) -> None:
        """Raise `ValueError` for a size, `scale` or `ratio` that is not positive and an unknown interpolation."""
        self._set(
            size=_size(size),
            scale=_positive_pair("scale", scale),
            ratio=_positive_pair("ratio", ratio),
        )
        self._set(interpolation=_interpolation(interpolation), antialias=bool(antialias))


@dataclass(frozen=True, init=False, repr=False)
class Pad(Transform):
    """More image around the image; `padding`, `fill` and `padding_mode` as in `RandomCrop`."""

    padding: tuple[int, int, int, int]
    fill: tuple[float, ...] = (0.0,)
    padding_mode: str = "constant"

    def __init__(
        self,
        padding: int | Sequence[int],
        fill: SupportsFloat | Iterable[SupportsFloat] = 0,
        padding_mode: str = "constant",
    ) -> None:
        """Raise `ValueError` unless `padding` is 1, 2 or 4 numbers that are not negative."""
        self._set(
            padding=_padding(padding), fill=_floats(fill), padding_mode=_padding_mode(padding_mode)
        )


@dataclass(frozen=True, repr=False)
class RandomHorizontalFlip(Transform):
    """Left and right exchanged, with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        """Raise `ValueError` for what is no probability."""
        self._set(p=_probability(self.p))


@dataclass(frozen=True, repr=False)
class RandomVerticalFlip(Transform):
    """Top and bottom exchanged, with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        """Raise `ValueError` for what is no probability."""
        self._set(p=_probability(self.p))


@dataclass(frozen=True, init=False, repr=False)
class RandomQuarterTurn(Transform):
    """Turned counter-clockwise by one of `degrees`, each equally likely; turns by 90 and 270 need a square image."""

    degrees: tuple[int, ...]

    def __init__(self, degrees: Iterable[int] = (0, 90, 180, 270)) -> None:
        """Raise `ValueError` unless all of `degrees` are multiples of 90."""
        given = tuple(operator.index(degree) for degree in degrees)
        if not given or any(degree % 90 for degree in given):
            raise ValueError(f"degrees must be multiples of 90, got {given}")
        self._set(degrees=given)


@dataclass(frozen=True, init=False, repr=False)
class ToDtype(Transform):
    """Elements converted to `dtype`: bool, an integer, or a float of 16 to 64 bits; a name, a torch or a NumPy dtype.

    `scale=True` takes the range of an integer dtype to 0..1, 0..1 to that of an integer dtype, and
    integers to integers by a shift. Bit-equal to torchvision's `to_dtype` on the CPU, which does
    not scale float32 to int32 or int64, float64 to int64, nor integers from or to bool, uint32 and
    uint64: a `ValueError` where the loader is made.

    To an integer, floats are truncated towards zero, and what does not fit keeps its low bits: -1.0
    becomes 255 as uint8. A float beyond 32 bits (64 for uint8, uint32 and 64-bit dtypes), or NaN,
    is what torch leaves open. Here it is what torch gives on x86-64: 0 in dtypes of up to 16 bits
    and uint32, the lowest int32 and int64; as uint64 0 from 2^64 on and otherwise 2^63. As bool all
    but 0 is true, NaN too.
    """

    dtype: str
    scale: bool = False

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        """Raise `TypeError` for what is no dtype of ndlens."""
        self._set(dtype=dtype_name(dtype), scale=bool(scale))


@dataclass(frozen=True, init=False, repr=False)
class _Statistics(Transform):
    """A mean and a standard deviation."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(
        self,
        mean: SupportsFloat | Iterable[SupportsFloat],
        std: SupportsFloat | Iterable[SupportsFloat],
    ) -> None:
        """Take one number or one for each channel or feature; raise `ValueError` for a `std` of 0."""
        means, stds = _floats(mean), _floats(std)
        for name, numbers in (("mean", means), ("std", stds)):
            if not numbers or not all(map(math.isfinite, numbers)):
                raise ValueError(f"{name} must be one or more finite numbers, got {numbers}")
        if 0 in stds:
            raise ValueError(f"std must not be 0, got {stds}")
        if len(means) != len(stds) and 1 not in (len(means), len(stds)):
            raise ValueError(f"mean and std must be as many, got {len(means)} and {len(stds)}")
        self._set(mean=means, std=stds)


@dataclass(frozen=True, init=False, repr=False)
class Normalize(_Statistics):
    """`(x - mean) / std` with one number for each channel, or one for all.

    Needs a floating-point dtype; bit-equal to torchvision's `normalize` on the CPU.
    """


@dataclass(frozen=True, repr=False)
class ChannelsFirst(Transform):
    """(height, width, channels) to (channels, height, width).

    With `memory_format="channels_last"` only the shape and the strides are turned: batches are what
    torch calls channels-last, `batch.is_contiguous(memory_format=torch.channels_last)`.
    """

    memory_format: str = "contiguous"

    def __post_init__(self) -> None:
        """Raise `ValueError` for another memory format."""
        if self.memory_format not in ("contiguous", "channels_last"):
            raise ValueError(
                f'memory_format must be "contiguous" or "channels_last", got {self.memory_format!r}'
            )


@dataclass(frozen=True, init=False, repr=False)
class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed by random factors, in random order.

    `brightness=b` draws a factor from max(0, 1 - b) to 1 + b, and so do `contrast` and
    `saturation`; `hue=h` turns by -h to h of a circle, at most 0.5. A pair is the interval itself.
    Takes uint8 and float32 images with 1 or 3 channels. A uint8 image comes out bit-equal to
    torchvision's on the CPU up to 65,536 pixels (a contrast of more may differ by one level), a
    float32 image within 1e-6.
    """

    brightness: tuple[float, float] | None = None
    contrast: tuple[float, float] | None = None
    saturation: tuple[float, float] | None = None
    hue: tuple[float, float] | None = None

    def __init__(
        self,
        brightness: SupportsFloat | Sequence[float] | None = None,
        contrast: SupportsFloat | Sequence[float] | None = None,
        saturation: SupportsFloat | Sequence[float] | None = None,
        hue: SupportsFloat | Sequence[float] | None = None,
    ) -> None:
        """Raise `ValueError` for a number that is negative and a pair that is not two numbers, the lower first."""
        self._set(
            brightness=_factors("brightness", brightness, 1),
            contrast=_factors("contrast", contrast, 1),
        )
        self._set(saturation=_factors("saturation", saturation, 1), hue=_factors("hue", hue, 0))


@dataclass(frozen=True, repr=False)
class RandomGrayscale(Transform):
    """All three channels the pixel's gray, with probability `p`; as torchvision's `rgb_to_grayscale`."""

    p: float = 0.1

    def __post_init__(self) -> None:
        """Raise `ValueError` for what is no probability."""
        self._set(p=_probability(self.p))


@dataclass(frozen=True, init=False, repr=False)
class RandomErasing(Transform):
    """A rectangle of the image overwritten, with probability `p`.

    Its area is a part of the image's drawn from `scale`, its height over its width drawn from
    `ratio`. `value` is one number, one for each channel, or "random" for normal numbers of mean 0
    and variance 1, which need a floating-point dtype.
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: tuple[float, ...] | str = (0.0,)

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: SupportsFloat | Iterable[SupportsFloat] | str = 0.0,
    ) -> None:
        """Raise `ValueError` for what is no probability, no two positive numbers, and another word."""
        if isinstance(value, str) and value != "random":
            raise ValueError(f'value must be a number, numbers or "random", got {value!r}')
        scale = _pair("scale", scale)
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale must be between 0 and 1, got {scale!r}")
        self._set(p=_probability(p), scale=scale, ratio=_positive_pair("ratio", ratio))
        self._set(value=value if isinstance(value, str) else _floats(value))


@dataclass(frozen=True, init=False, repr=False)
class Standardize(_Statistics):
    """`(x - mean) / std` with one number for each feature along the last axis, or one for all.

    For series and rows: items of any rank. Needs a floating-point dtype.
    """


@dataclass(frozen=True, repr=False)
class RandomScale(Transform):
    """Times a factor that is uniform from `low` to `high`: one for the item, or one for each feature of the last axis.

    For items of any rank and a floating-point dtype.
    """

    low: float
    high: float
    per_feature: bool = False

    def __post_init__(self) -> None:
        """Raise `ValueError` unless both are finite, the lower first."""
        low, high = _number("low", self.low), _number("high", self.high)
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(
                f"low and high must be finite numbers, low no more than high, got {low!r} and {high!r}"
            )
        self._set(low=low, high=high, per_feature=bool(self.per_feature))


@dataclass(frozen=True, repr=False)
class RandomJitter(Transform):
    """Plus a normal number of mean 0 and standard deviation `sigma`, another for each element.

    For items of any rank and a floating-point dtype. The numbers come from Philox by the transform
    of Box and Muller: a pure function of the seed, the epoch, the item, and the element's place in
    the item.
    """

    sigma: float

    def __post_init__(self) -> None:
        """Raise `ValueError` unless `sigma` is finite and not negative."""
        sigma = _number("sigma", self.sigma)
        if not 0 <= sigma < math.inf:
            raise ValueError(f"sigma must be a finite number from 0 on, got {sigma!r}")
        self._set(sigma=sigma)


def replay(
    transforms: Iterable[Transform],
    items: Any,
    params: Sequence[dict[str, Any]],
    *,
    channels: Literal["first", "last"] | None = None,
) -> View:
    """Does `transforms` to the rows of `items`, with parameters that were drawn before: a view of shape (items, ..).

    `items` is anything `nl.view` takes; `params` has a dict for each, as a loader with
    `return_params=True` gives them for these transforms, or others with the same random ones: a
    mask can so be cropped as an image was. `channels` is that of `nl.Loader`.

    Raises `ValueError` for parameters that do not fit the transforms or the items.
    """
    return _replay(transforms, items, list(params), channels)
