"""The EXIF orientation, beside Pillow's `ImageOps.exif_transpose`."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.helpers.decoded import ours
from tests.helpers.image_corpus import by_pillow, photographs
from tests.helpers.png_files import RGB, chunk, png

import ndlens as nl

IMAGE = Image.fromarray(photographs()[0][1][:41, :70])


def exif(orientation: int) -> Image.Exif:
    metadata = Image.Exif()
    metadata[0x0112] = orientation
    return metadata


def upright(data: bytes, mode: str) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        turned = ImageOps.exif_transpose(image).convert(mode)
    pixels = np.array(turned)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("image_format", "more"),
    [("jpeg", {}), ("jpeg", {"progressive": True}), ("png", {}), ("webp", {"lossless": True})],
)
def test_every_orientation_is_that_of_pillow(
    image_format: str, more: dict[str, Any], orientation: int
) -> None:
    data = by_pillow(IMAGE, image_format, exif=exif(orientation), **more)
    info = nl.image_info(data)
    assert (info.orientation, info.height, info.width) == (orientation, 41, 70)
    assert np.array_equal(ours(data, orient=True), upright(data, "RGB"))
    assert np.array_equal(ours(data, "RGBA", orient=True), upright(data, "RGBA"))
    assert ours(data).shape == (41, 70, 3)
    if image_format != "jpeg":
        assert np.array_equal(ours(data, "L", orient=True), upright(data, "L"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bits_and_alpha_are_turned_too(orientation: int) -> None:
    samples = np.random.default_rng(orientation).integers(0, 1 << 16, (5, 7, 4)).astype("u2")
    metadata = exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    data = png(samples, 16, 6, before=chunk(b"eXIf", metadata))
    turned = [
        samples,
        samples[:, ::-1],
        samples[::-1, ::-1],
        samples[::-1],
        samples.transpose(1, 0, 2),
        np.rot90(samples, -1),
        samples[::-1, ::-1].transpose(1, 0, 2),
        np.rot90(samples),
    ]
    assert np.array_equal(ours(data, "unchanged", orient=True), turned[orientation - 1])


def test_the_chunk_of_a_png_may_stand_behind_the_pixels() -> None:
    metadata = exif(6).tobytes().removeprefix(b"Exif\0\0")
    data = png(np.zeros((2, 3, 3), "u1"), 8, RGB, after=chunk(b"eXIf", metadata))
    assert nl.image_info(data).orientation == 6
    assert ours(data, orient=True).shape == (3, 2, 3)


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_values_that_mean_nothing_mean_upright(orientation: int) -> None:
    data = by_pillow(IMAGE, exif=exif(orientation))
    assert nl.image_info(data).orientation == 1
    assert np.array_equal(ours(data, orient=True), ours(data))


def test_damaged_metadata_mean_upright() -> None:
    for metadata in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff"):
        data = by_pillow(IMAGE)
        segment = b"\xff\xe1" + (len(metadata) + 2).to_bytes(2, "big") + metadata
        assert nl.image_info(data[:2] + segment + data[2:]).orientation == 1
