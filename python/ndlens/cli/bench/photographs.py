"""Files of photographs for benchmarks, cut from those that come with scikit-image.

Each is a random part of one of eight photographs, resized with antialias, so that files have the
detail of photographs and compress as they do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["write_gradients", "write_photographs"]

SOURCES = (
    *("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png"),
    *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
# Most cameras and most of ImageNet subsample the colours by two in both directions.
SUBSAMPLINGS, SHARES = ("4:2:0", "4:2:2", "4:4:4"), (0.75, 0.1, 0.15)
LEAST_QUALITY, MOST_QUALITY = 80, 95


def photographs() -> list[Any]:
    """The photographs themselves, as Pillow's images."""
    import skimage.data
    from PIL import Image

    folder = Path(skimage.data.__file__).parent
    return [Image.open(folder / name).convert("RGB") for name in SOURCES]


def parts(count: int, width: int, height: int) -> Iterator[Any]:
    """Random parts of the photographs, about this large, upright or not; the same ones each time.

    A part is at least as large as the result, or as large as the photograph allows, so that what
    can have the detail of a photograph has it.
    """
    from PIL import Image

    random = np.random.default_rng(0)
    sources = photographs()
    for number in range(count):
        source = sources[number % len(sources)]
        size = tuple(int(side * random.uniform(0.95, 1.05)) for side in (width, height))
        if random.random() < 0.25:
            size = size[::-1]
        most = min(source.width / size[0], source.height / size[1])
        scale = random.uniform(min(1, most), most)
        wide, high = (max(1, int(side * scale)) for side in size)
        left = int(random.integers(source.width - wide + 1))
        top = int(random.integers(source.height - high + 1))
        box = (left, top, left + wide, top + high)
        yield source.resize(size, Image.Resampling.LANCZOS, box=box)


def write_photographs(folder: Path, suffix: str, count: int, width: int, height: int) -> None:
    """Write `count` photographs of about width x height, as 000000.jpg or 000000.png and so on."""
    random = np.random.default_rng(1)
    folder.mkdir()
    for number, part in enumerate(parts(count, width, height)):
        write(part, folder / f"{number:06}{suffix}", random)


def write_gradients(folder: Path, suffix: str, count: int, width: int, height: int) -> None:
    """Write images that look the same before and after a resize, a different one in each file."""
    from PIL import Image

    random = np.random.default_rng(2)
    folder.mkdir()
    plane = (np.linspace(0, 255, height)[:, None] + np.linspace(0, 255, width)[None, :]) / 2
    for number in range(count):
        pixels = np.rint(plane[..., None] * random.uniform(0.5, 1, 3)).astype(np.uint8)
        write(Image.fromarray(pixels), folder / f"{number:06}{suffix}", random)


def write(image: Any, path: Path, random: np.random.Generator) -> None:
    """Write one file: a JPEG of a random quality and subsampling, or a PNG."""
    if path.suffix == ".png":
        image.save(path, compress_level=4)
    else:
        quality = int(random.integers(LEAST_QUALITY, MOST_QUALITY + 1))
        image.save(path, quality=quality, subsampling=str(random.choice(SUBSAMPLINGS, p=SHARES)))
