"""A folder of images with a folder for each class, as torchvision's `ImageFolder` has it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping

from ._keywords import refuse_elsewhere, refuse_misspelt
from ._ndlens import Images, View, images, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeVar

    _Function = TypeVar("_Function", bound=Callable[..., Any])
    _Mode = Literal["RGB", "L", "RGBA", "unchanged"]

# torchvision's IMG_EXTENSIONS, in its order.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
DECODED = (".jpg", ".jpeg", ".png", ".webp")
_NOT_DECODED = tuple(ending for ending in EXTENSIONS if ending not in DECODED)


def _files_below(folder: str) -> Iterator[str]:
    """The files below a folder, as `sorted(os.walk(..))` has them: by folder, then by name."""
    for root, _, names in sorted(os.walk(folder, followlinks=True)):
        for name in sorted(names):
            yield os.path.join(root, name)  # noqa: PTH118  # a Path for each is slow


class ImageFolder(Mapping[str, "Images | View"]):
    """Images in a folder for each class: the fields "image" and "label" of a loader.

    `nl.image_folder` makes it. It is a read-only mapping, which `nl.Loader`, `nl.subset` and
    `nl.split` take as it is; `len(folder.images)` is the number of images.
    """

    __slots__ = ("_classes", "_counts", "_images", "_labels", "_root")

    def __init__(self, root: str, classes: list[str], counts: list[int], files: Images) -> None:
        self._root = root
        self._classes = classes
        self._counts = counts
        self._images = files
        # Images are in the order of their classes.
        labels = bytearray().join(
            label.to_bytes(8, "little") * count for label, count in enumerate(counts)
        )
        self._labels = view(labels).reinterpret("int64").toreadonly()

    @property
    def root(self) -> str:
        """The folder, as it was given."""
        return self._root

    @property
    def images(self) -> Images:
        """The images, in the order of their classes, then of their folders and names."""
        return self._images

    @property
    def labels(self) -> View:
        """The class of each image, by number: int64, of shape (images,)."""
        return self._labels

    @property
    def classes(self) -> list[str]:
        """The names of the classes, sorted: the folders in the root. A new list each time."""
        return list(self._classes)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class. A new dict each time."""
        return {name: label for label, name in enumerate(self._classes)}

    @property
    def targets(self) -> list[int]:
        """The labels as a list, as torchvision has them. A new list each time."""
        targets: list[int] = self._labels.tolist()
        return targets

    @property
    def samples(self) -> list[tuple[str, int]]:
        """The path and the label of each image, as torchvision has them. A new list each time."""
        return list(zip(self._images.paths or (), self.targets, strict=True))

    @property
    def imgs(self) -> list[tuple[str, int]]:
        """The same as `samples`, by torchvision's other name."""
        return self.samples

    def __getitem__(self, name: str) -> Any:
        """The images or the labels.

        Raises:
            KeyError: `name` is neither "image" nor "label".
        """
        if name == "image":
            return self._images
        if name == "label":
            return self._labels
        raise KeyError(
            f'{name!r} is not a field: "image" and "label" are; folder.images[i] is an image, '
            "folder.labels[i] its label"
        )

    def __contains__(self, name: object) -> bool:
        return name in ("image", "label")

    def __iter__(self) -> Iterator[str]:
        return iter(("image", "label"))

    def __len__(self) -> int:
        return 2

    def __reduce__(self) -> tuple[Callable[..., ImageFolder], tuple[Any, ...]]:
        return ImageFolder, (self._root, self._classes, self._counts, self._images)

    def __repr__(self) -> str:
        return (
            f"<ndlens.ImageFolder {self._root!r} images={len(self._images)} "
            f"classes={len(self._classes)}>"
        )


def _is_image(
    extensions: str | tuple[str, ...] | None, is_valid_file: Callable[[str], bool] | None
) -> Callable[[str], bool]:
    """Whether a path is that of an image, as the caller says."""
    if is_valid_file is not None:
        return is_valid_file
    assert extensions is not None

    def by_name(path: str) -> bool:
        name = path.lower()
        if not name.endswith(extensions):
            return False
        if name.endswith(_NOT_DECODED):
            ending = os.path.splitext(name)[1]  # noqa: PTH122
            raise ValueError(
                f"{path}: {ending} files are not decoded, only JPEG, PNG and WebP; convert them, "
                f"or leave them out with extensions={DECODED}"
            )
        return True

    return by_name


_TRANSFORMS = 'transforms are the loader\'s: nl.Loader(folder, transforms={"image": ..})'
# Keywords of torchvision's `ImageFolder` and `DatasetFolder` that `image_folder` does not have.
_ELSEWHERE = {
    "loader": "images are decoded by ndlens, to the channels that mode= names; leave it out",
    "target_transform": "folder.labels is an array: give the loader another in its place, "
    '{"image": folder.images, "label": ..}',
    "transform": _TRANSFORMS,
    "transforms": _TRANSFORMS,
}


def _without_elsewhere(function: _Function) -> _Function:
    """Says what to give instead of the arguments of torchvision's `ImageFolder`."""
    keywords = ["root", "mode", *(function.__kwdefaults__ or ())]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> ImageFolder:
        refuse_elsewhere("image_folder", kwargs, _ELSEWHERE)
        refuse_misspelt("image_folder", kwargs, keywords)
        if len(args) > 1 and not isinstance(args[1], str):
            got = type(args[1]).__name__
            raise TypeError(f'mode must be a string such as "RGB", got {got}: {_TRANSFORMS}')
        folder: ImageFolder = function(*args, **kwargs)
        return folder

    return checked  # type: ignore[return-value]  # of the same signature


@_without_elsewhere
def image_folder(
    root: str | os.PathLike[str],
    mode: _Mode = "RGB",
    *,
    extensions: str | tuple[str, ...] | list[str] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
    orient: bool = False,
    max_pixels: int | None = None,
) -> ImageFolder:
    """The images of a folder that has a folder for each class, as torchvision's `ImageFolder`.

    Classes are the folders in the root, sorted by name. The images of a class are the files
    anywhere below its folder, links followed, in the order of `sorted(os.walk(..))` and then of
    their names. So image i and label i are those of torchvision's `ImageFolder(root)`. No image is
    read, except the first with the mode "unchanged".

    Args:
        root: The folder.
        mode: The channels; see `nl.images`.
        extensions: Ends of names of images, in lower case; the case of names does not matter. By
            default those of torchvision. Of them .ppm, .bmp, .pgm, .tif and .tiff are not decoded:
            a file of such a name is an error.
        is_valid_file: A function of a path that says whether it is an image, in place of
            `extensions`.
        allow_empty: Whether a class may be without images.
        orient: Whether images are turned as their EXIF orientation says.
        max_pixels: The most pixels of an image; see `nl.images`.

    Returns:
        ImageFolder: A mapping of the fields "image" and "label", with `classes`, `class_to_idx`,
        `samples`, `imgs` and `targets` as torchvision has them.

    Raises:
        FileNotFoundError: There is no such folder, no class in it, or no image of a class.
        ValueError: Both `extensions` and `is_valid_file` are given, a file is of a format that is
            not decoded, or there is no image.

    >>> import os, tempfile
    >>> import ndlens as nl
    >>> root = tempfile.mkdtemp()
    >>> for name in ("cat/1.jpg", "cat/2.png", "dog/1.jpg"):
    ...     os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
    ...     open(os.path.join(root, name), "wb").close()
    >>> folder = nl.image_folder(root)
    >>> folder.classes, folder.labels.tolist(), len(folder.images)
    (['cat', 'dog'], [0, 0, 1], 3)
    """
    if extensions is not None and is_valid_file is not None:
        raise ValueError("give extensions or is_valid_file, not both")
    if isinstance(extensions, list):
        extensions = tuple(extensions)
    if extensions is None and is_valid_file is None:
        extensions = EXTENSIONS
    given = os.fspath(root)
    directory = os.path.expanduser(given)  # noqa: PTH111
    with os.scandir(directory) as entries:
        classes = sorted(entry.name for entry in entries if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    counts = [0] * len(classes)
    is_image = _is_image(extensions, is_valid_file)

    def paths() -> Iterator[str]:
        for label, name in enumerate(classes):
            for path in _files_below(os.path.join(directory, name)):  # noqa: PTH118
                if is_image(path):
                    counts[label] += 1
                    yield path

    def check() -> None:
        empty = [name for name, count in zip(classes, counts, strict=True) if count == 0]
        if not empty or allow_empty:
            return
        message = f"Found no valid file for the classes {', '.join(empty)}. "
        if extensions is not None:
            known = extensions if isinstance(extensions, str) else ", ".join(extensions)
            message += f"Supported extensions are: {known}"
        raise FileNotFoundError(message)

    def checked() -> Iterator[str]:
        yield from paths()
        # Before the images, which refuse to be none.
        check()

    files = images(checked(), mode, orient=orient, max_pixels=max_pixels)
    return ImageFolder(given, classes, counts, files)
