"""The zero-copy road from arrays to tensors.

>>> import ndlens as nl
>>> pixels = nl.view(bytearray(48)).reshape(4, 4, 3)
>>> pixels[1:3, 1:3, 0]
<ndlens.View shape=(2, 2) dtype=uint8 strides=(12, 3)>
"""

try:
    from . import _exit as _exit
except ImportError as error:
    if "subinterpreters" in str(error):
        raise ImportError(
            "ndlens does not run in a subinterpreter: import it in the main interpreter, "
            "and give the subinterpreter memoryview(view), which shares the memory"
        ) from error
    raise
from . import _provided as _provided
from . import transforms
from ._arrays import Arrays
from ._ndlens import (
    Epoch,
    Explanation,
    Images,
    Items,
    Shards,
    Skipped,
    View,
    ViewIterator,
    __version__,
    attach,
    decode_image,
    dtype_name,
    empty_shared,
    explain,
    guard_truncation,
    images,
    labels,
    may_share_memory,
    open,
    ragged,
    save,
    share,
    shares_memory,
    view,
    windows,
)
from ._subsets import split, subset
from .errors import (
    CopyRequired,
    FormatError,
    ImageError,
    MovedError,
    ReadOnlyError,
    StaleHandleError,
    TruncatedError,
)
from .loader import Loader

__all__ = [
    "Arrays",
    "Copies",
    "Copy",
    "CopyRequired",
    "Epoch",
    "Explanation",
    "FormatError",
    "Holder",
    "Holders",
    "ImageError",
    "ImageFolder",
    "ImageInfo",
    "Images",
    "Items",
    "Loader",
    "MovedError",
    "Packed",
    "ReadOnlyError",
    "SampleKeys",
    "Samples",
    "Shards",
    "Skipped",
    "StaleHandleError",
    "TruncatedError",
    "View",
    "ViewIterator",
    "__version__",
    "attach",
    "decode_image",
    "dtype_name",
    "empty_shared",
    "explain",
    "guard_truncation",
    "image_folder",
    "image_info",
    "images",
    "labels",
    "may_share_memory",
    "open",
    "pack",
    "ragged",
    "save",
    "share",
    "shares_memory",
    "split",
    "subset",
    "trace",
    "transforms",
    "view",
    "windows",
]

# Importing typing would take longer than importing ndlens.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as _Any

    from . import testing as testing
    from . import torch as torch
    from ._folder import ImageFolder as ImageFolder
    from ._folder import image_folder as image_folder
    from ._holders import Holder as Holder
    from ._holders import Holders as Holders
    from ._images import ImageInfo as ImageInfo
    from ._images import image_info as image_info
    from ._pack import Packed as Packed
    from ._pack import pack as pack
    from ._samples import SampleKeys as SampleKeys
    from ._samples import Samples as Samples
    from ._trace import Copies as Copies
    from ._trace import Copy as Copy
    from ._trace import trace as trace
del TYPE_CHECKING

# What is imported when it is asked for: modules, since torch is optional and both are slow to
# import, and names that a program needs only to look at itself, with the module of each.
_MODULES = ("testing", "torch")
_LATER = {
    "Copies": "_trace",
    "Copy": "_trace",
    "Holder": "_holders",
    "ImageFolder": "_folder",
    "image_folder": "_folder",
    "pack": "_pack",
    "Holders": "_holders",
    "Packed": "_pack",
    "SampleKeys": "_samples",
    "Samples": "_samples",
    "ImageInfo": "_images",
    "image_info": "_images",
    "trace": "_trace",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_LATER})


# Names of other libraries, and what ndlens has for each.
_ELSEWHERE = {
    "DataLoader": (
        "nl.Loader(fields, batch_size=..) makes batches; "
        "nl.torch.Dataset is for torch's own DataLoader"
    ),
    "Dataset": "nl.torch.Dataset is for torch's DataLoader; nl.Loader takes arrays",
    "array": "nl.view(obj) is a view of an array, without a copy",
    "asarray": "nl.view(obj) is a view of an array, without a copy",
    "from_dlpack": "nl.view(obj) takes what speaks DLPack",
    "from_numpy": "nl.view(obj) is a view of an array, without a copy",
    "frombuffer": "nl.view(obj) takes what has a buffer",
    "load": "nl.open(path) opens arrays in files",
    "memmap": "nl.open(path, dtype=.., shape=..) opens raw bytes in a file",
    "random_split": "nl.split(fields, [0.8, 0.2]) cuts a data set in parts",
}


def __getattr__(name: str) -> "_Any":
    if name in _MODULES or name in _LATER:
        import importlib

        module = importlib.import_module(f"ndlens.{_LATER.get(name, name)}")
        if name in _MODULES:
            return module
        # A name of the package from now on, as those that are imported with it.
        globals()[name] = getattr(module, name)
        return globals()[name]
    hint = f": {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
    raise AttributeError(f"module 'ndlens' has no attribute {name!r}{hint}")
