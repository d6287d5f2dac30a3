"""Photographs in every form of JPEG, PNG and WebP that is decoded, made in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image
from tests.helpers.images import PHOTOGRAPHS, photograph
from tests.helpers.png_files import GREY, PALETTE, RGB, RGBA, png

Array = np.ndarray[Any, Any]

QUALITIES = (30, 50, 75, 85, 95, 100)
# Of chroma, as OpenCV's IMWRITE_JPEG_SAMPLING_FACTOR names them.
SAMPLINGS = {
    "4:4:4": 0x111111,
    "4:2:2": 0x211111,
    "4:2:0": 0x221111,
    "4:1:1": 0x411111,
    "4:4:0": 0x121111,
}


class Encoded(NamedTuple):
    """An encoded image."""

    form: str
    """The row of the table that it belongs to."""
    name: str
    data: bytes


@cache
def photographs() -> list[tuple[str, Array]]:
    """Photographs, each a part of an odd size."""
    return [(name, photograph(name)[3:354, 5:480]) for name in PHOTOGRAPHS]


def by_pillow(image: Image.Image, image_format: str = "jpeg", **settings: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, image_format, **settings)
    return written.getvalue()


def by_opencv(pixels: Array, sampling: str, quality: int, **settings: int) -> bytes:
    """A JPEG with another sampling than Pillow writes."""
    flags = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling]]
    flags += [cv2.IMWRITE_JPEG_QUALITY, quality]
    for name, value in settings.items():
        flags += [getattr(cv2, f"IMWRITE_JPEG_{name.upper()}"), value]
    done, data = cv2.imencode(".jpg", pixels[:, :, ::-1], flags)
    assert done
    return bytes(data)


def adobe(data: bytes, transform: int) -> bytes:
    """A JPEG without a JFIF segment, with Adobe's and a transform."""
    assert data[2:4] == b"\xff\xe0"
    behind = 4 + int.from_bytes(data[4:6], "big")
    segment = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    return data[:2] + segment + data[behind:]


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker segments up to the first scan: their markers, starts and ends."""
    at = 2
    while True:
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, at, end
        if marker == 0xDA:
            return
        at = end


def in_several_scans(pixels: Array, quality: int = 90) -> bytes:
    """A sequential JPEG with a scan for each component, cut out of three grey ones.

    Each component is coded as a grey image with the same tables, so that its scan fits.
    """
    luma, red, blue = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))
    parts = [by_pillow(Image.fromarray(plane), quality=quality) for plane in (luma, blue, red)]
    out = b"\xff\xd8"
    scans = b""
    for number, part in enumerate(parts):
        for marker, start, end in segments(part):
            if number == 0 and marker in (0xDB, 0xC4):
                out += part[start:end]
            if number == 0 and marker == 0xC0:
                frame = bytearray(part[start:end])
                frame[2:4] = (8 + 9).to_bytes(2, "big")
                frame[9] = 3
                out += bytes(frame[:10]) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
            if marker == 0xDA:
                # One component, Huffman tables 0, all coefficients.
                scans += b"\xff\xda\x00\x08\x01" + bytes([number + 1, 0, 0, 63, 0])
                scans += part[end:-2]
    return out + scans + b"\xff\xd9"


def ycck(image: Image.Image, **settings: Any) -> bytes:
    """A CMYK image whose segment of Adobe says that it is coded as luma, chroma and black.

    Its colours are others than those of `image`, for every decoder the same.
    """
    data = bytearray(by_pillow(image.convert("CMYK"), **settings))
    place = data.index(b"Adobe") + 11
    assert data[place] == 0
    data[place] = 2
    return bytes(data)


def jpegs() -> Iterator[Encoded]:
    """JPEGs of luma and chroma, and of grey."""
    for name, pixels in photographs():
        image = Image.fromarray(pixels)
        for sampling in SAMPLINGS:
            for quality in QUALITIES:
                for progressive in (0, 1):
                    form = f"JPEG {sampling}" + ", progressive" * progressive
                    data = by_opencv(pixels, sampling, quality, progressive=progressive)
                    yield Encoded(form, f"{name}, quality {quality}", data)
        for progressive in (False, True):
            more: dict[str, Any] = {"progressive": progressive}
            restarts = by_pillow(image, quality=85, restart_marker_blocks=7, **more)
            form = "JPEG 4:2:0" + ", progressive" * progressive
            yield Encoded(form, f"{name}, restarts by blocks", restarts)
            restarts = by_pillow(image, quality=85, restart_marker_rows=2, **more)
            yield Encoded(form, f"{name}, restarts by rows", restarts)
            grey = by_pillow(image.convert("L"), quality=80, **more)
            yield Encoded("JPEG, grey" + ", progressive" * progressive, name, grey)
            rgb = by_pillow(image, quality=90, keep_rgb=True, **more)
            yield Encoded("JPEG, RGB", f"{name}, progressive={progressive}", rgb)
            grey_scan = adobe(by_pillow(image, quality=80, **more), 1)
            yield Encoded(form, f"{name}, Adobe's segment", grey_scan)
        yield Encoded("JPEG, a scan for each component", name, in_several_scans(pixels))


def cmyk_jpegs() -> Iterator[Encoded]:
    for name, pixels in photographs():
        image = Image.fromarray(pixels)
        for progressive in (False, True):
            for subsampling in (0, 1, 2):
                more: dict[str, Any] = {"progressive": progressive, "subsampling": subsampling}
                detail = f"{name}, subsampling {subsampling}, progressive {progressive}"
                yield Encoded("JPEG, CMYK", detail, by_pillow(image.convert("CMYK"), **more))
                yield Encoded("JPEG, YCCK", detail, ycck(image, **more))


def pngs() -> Iterator[Encoded]:
    name, pixels = photographs()[0]
    pixels = pixels[:101, :67]
    image = Image.fromarray(pixels)
    palette = np.array(image.quantize(64).getpalette()).reshape(-1, 3)
    indices = np.array(image.quantize(64))[:, :, None]
    wide = pixels.astype("u2") * 257
    alpha = np.dstack([pixels, pixels[:, :, :1]])
    grey = np.array(image.convert("L"))[:, :, None]
    for interlaced in (False, True):
        form = "PNG" + ", interlaced" * interlaced
        more: dict[str, Any] = {"interlaced": interlaced}
        yield Encoded(form, name, png(pixels, 8, RGB, **more))
        yield Encoded(form, "16 bits", png(wide, 16, RGB, **more))
        yield Encoded(form, "alpha", png(alpha, 8, RGBA, **more))
        yield Encoded(form, "palette", png(indices, 8, PALETTE, palette=palette, **more))
        yield Encoded(form, "grey of 4 bits", png(grey >> 4, 4, GREY, **more))


def webps() -> Iterator[Encoded]:
    for name, pixels in photographs():
        image = Image.fromarray(pixels)
        for quality in QUALITIES:
            data = by_pillow(image, "webp", quality=quality)
            yield Encoded("WebP, lossy", f"{name}, quality {quality}", data)
        yield Encoded("WebP, lossless", name, by_pillow(image, "webp", lossless=True))
        clear = image.copy()
        clear.putalpha(image.convert("L"))
        data = by_pillow(clear, "webp", lossless=True, exact=True)
        yield Encoded("WebP, lossless", f"{name}, alpha", data)
