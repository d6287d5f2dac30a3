"""Makes the pictures in docs/images: notebook faces in a browser, and a sheet of `ndlens preview`.

Run `make screenshots`. It needs Chromium, which `apt-get install chromium` installs, Pillow, and
scikit-image for its photographs.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image, ImageChops

import ndlens as nl
from ndlens import transforms as T
from ndlens.cli import main as ndlens_command

IMAGES = Path(__file__).parents[1] / "images"
GROUND = {"light": "#ffffff", "dark": "#111418"}
BYTES_MAX = 60_000
SCALE = 1.5


def main() -> None:
    """Make all pictures."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("no Chromium found: apt-get install chromium")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        shown = faces()
        for name, theme in (("view", "light"), ("loader", "dark")):
            picture = shot(browser, folder, shown[name]._repr_html_(), theme)
            save(picture, IMAGES / f"{name}-{theme}.png")
        picture = sheet(folder)
        path = IMAGES / "preview.webp"
        for quality in (70, 60, 50, 40):
            picture.save(path, quality=quality, method=6)
            if path.stat().st_size <= BYTES_MAX:
                break
        print(f"{path.relative_to(Path.cwd())}: {picture.size}, {path.stat().st_size:,} bytes")


def faces() -> dict[str, Any]:
    """The objects whose faces are shown."""
    images = np.zeros((40, 512, 512, 3), np.uint8)
    loader = nl.Loader(
        {"image": images, "label": np.arange(40)},
        batch_size=8,
        shuffle=True,
        seed=7,
        num_workers=2,
        transforms={
            "image": [
                T.RandomResizedCrop(224),
                T.RandomHorizontalFlip(),
                T.ToDtype("float32", scale=True),
                T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
                T.ChannelsFirst(),
            ]
        },
    )
    _kept = next(iter(loader))
    return {"view": nl.view(images)[:, 128:384, 383:127:-1], "loader": loader}


def sheet(folder: Path) -> Image.Image:
    """A sheet of photographs that scikit-image has."""
    photographs = folder / "photographs"
    photographs.mkdir()
    for name in (
        *("astronaut.png", "chelsea.png", "coffee.png"),
        *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
    ):
        shutil.copy(Path(skimage.data.__file__).parent / name, photographs)
    arguments = [
        *("preview", "photographs", "--count", "6", "--seed", "3", "--side", "176"),
        *("--out", "sheet.png", "--json", "--transforms"),
        'RandomResizedCrop(176), RandomHorizontalFlip(), ToDtype("float32", scale=True), '
        "RandomErasing()",
    ]
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if ndlens_command(arguments) != 0:
                sys.exit("ndlens preview failed")
    finally:
        os.chdir(before)
    with Image.open(folder / "sheet.png") as image:
        return image.convert("RGB")


def shot(browser: str, folder: Path, html: str, theme: str) -> Image.Image:
    """A face as the browser shows it on a page of a theme."""
    page, picture = folder / "page.html", folder / "page.png"
    is_light = "true" if theme == "light" else "false"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><body data-jp-theme-light="{is_light}" '
        f'style="background:{GROUND[theme]};margin:8px">{html}'
    )
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--force-device-scale-factor={SCALE}", "--window-size=800,1000"),
            *(f"--screenshot={picture}", page.as_uri()),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    image = Image.open(picture).convert("RGB")
    # Without the page below the face.
    ground = Image.new("RGB", image.size, GROUND[theme])
    _, _, _, bottom = ImageChops.difference(image, ground).getbbox() or (0, 0, 0, image.height)
    return image.crop((0, 0, image.width, bottom + round(8 * SCALE)))


def save(image: Image.Image, path: Path) -> None:
    """Writes a picture with as many colours as fit `BYTES_MAX`."""
    for colours in (256, 128, 64, 32):
        image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= BYTES_MAX:
            break
    print(f"{path.relative_to(Path.cwd())}: {image.size}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
