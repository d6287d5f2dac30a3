"""Transforms of items, with torchvision v2's names, compiled into one pass without the GIL.

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

from ._base import BatchTransform, Compose, Transform
from ._colour import ColorJitter, RandomGrayscale
from ._crop import CenterCrop, Crop, RandomCrop, RandomResizedCrop
from ._erase import RandomErasing
from ._flip import RandomHorizontalFlip, RandomQuarterTurn, RandomVerticalFlip
from ._layout import ChannelsFirst
from ._mixing import CutMix, MixUp, RandomChoice
from ._noise import RandomJitter, RandomScale
from ._pad import Pad
from ._replay import replay
from ._resize import Resize
from ._values import Normalize, Standardize, ToDtype

__all__ = [
    "BatchTransform",
    "CenterCrop",
    "ChannelsFirst",
    "ColorJitter",
    "Compose",
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

# The module that users import them from.
Compose.__module__ = replay.__module__ = __name__

# torchvision's names for transforms that have another name in ndlens.
_ELSEWHERE = {
    "Lambda": "transforms are compiled; what they cannot do goes before or after the loader",
    "PILToTensor": "ChannelsFirst() turns (height, width, channels) to (channels, height, width)",
    "RandomRotation": "RandomQuarterTurn() turns by multiples of 90 degrees",
    "ToImage": "ChannelsFirst() turns (height, width, channels) to (channels, height, width)",
    "ToTensor": 'write ToDtype("float32", scale=True), ChannelsFirst()',
}


def __getattr__(name: str) -> object:
    hint = f": {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
    raise AttributeError(f"module 'ndlens.transforms' has no attribute {name!r}{hint}")
