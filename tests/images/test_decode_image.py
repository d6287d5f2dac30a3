"""`nl.decode_image` and `nl.image_info`: what they take, what they refuse, and in what words."""

from __future__ import annotations

import io
import pickle
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.helpers.decoded import by_pillow, ours
from tests.helpers.png_files import RGB, RGBA, SIGNATURE, chunk, header, png

import ndlens as nl

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), "u1")
ENCODED = png(PIXELS, 8, RGB)


def encoded(image_format: str, height: int = 5, width: int = 7, **settings: Any) -> bytes:
    written = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), "u1")
    Image.fromarray(pixels).save(written, image_format, **settings)
    return written.getvalue()


@pytest.mark.parametrize("of_path", [str, Path, lambda path: path])
def test_a_path_leads_to_a_file(tmp_path: Path, of_path: Any) -> None:
    (tmp_path / "a.png").write_bytes(ENCODED)
    np.testing.assert_array_equal(ours(of_path(tmp_path / "a.png")), PIXELS)
    assert nl.image_info(of_path(tmp_path / "a.png")).width == 7


@pytest.mark.parametrize(
    "of_bytes",
    [
        bytes,
        bytearray,
        memoryview,
        nl.view,
        lambda data: np.frombuffer(data, "u1"),
        lambda data: np.repeat(np.frombuffer(data, "i1"), 2)[::2],
    ],
)
def test_any_object_with_bytes_is_an_encoded_image(of_bytes: Any) -> None:
    np.testing.assert_array_equal(ours(of_bytes(ENCODED)), PIXELS)
    assert nl.image_info(of_bytes(ENCODED)).height == 5


def test_the_view_owns_packed_writable_memory() -> None:
    view = nl.decode_image(ENCODED)
    assert (view.shape, view.strides, view.dtype) == ((5, 7, 3), (21, 3, 1), "uint8")
    view[0, 0, 0] = 99
    assert nl.decode_image(ENCODED)[0, 0, 0] == PIXELS[0, 0, 0]


def test_the_shape_has_three_axes_in_every_mode() -> None:
    shapes = {mode: ours(ENCODED, mode).shape for mode in ("RGB", "L", "RGBA", "unchanged")}
    assert shapes == {"RGB": (5, 7, 3), "L": (5, 7, 1), "RGBA": (5, 7, 4), "unchanged": (5, 7, 3)}


def test_the_header_is_a_tuple_with_names() -> None:
    info = nl.image_info(encoded("jpeg"))
    assert info == ("JPEG", 5, 7, 3, "uint8", 1)
    assert pickle.loads(pickle.dumps(info)) == info
    assert repr(info).startswith("ImageInfo(format='JPEG', height=5, width=7, channels=3,")


@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
def test_threads_decode_at_the_same_time(image_format: str) -> None:
    data = encoded(image_format, 200, 300)
    expected = ours(data)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(ours(data))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_what_is_no_image_is_refused_and_shows_how_it_begins() -> None:
    with pytest.raises(nl.ImageError) as caught:
        nl.decode_image(b"GIF89a...")
    text = "not a JPEG, PNG or WebP image: it begins with [47, 49, 46, 38, 39, 61, 2e, 2e]"
    assert str(caught.value) == text
    with pytest.raises(nl.ImageError, match=re.escape("it begins with []")):
        nl.decode_image(b"")


def test_an_unknown_mode_is_answered_by_the_modes() -> None:
    with pytest.raises(ValueError, match="mode") as caught:
        nl.decode_image(ENCODED, "rgb")  # type: ignore[arg-type]
    text = 'mode is "rgb", expected "RGB", "L", "RGBA" or "unchanged"'
    assert (type(caught.value), str(caught.value)) == (ValueError, text)


@pytest.mark.parametrize("function", [nl.decode_image, nl.images])
def test_a_negative_limit_is_refused(function: Any) -> None:
    with pytest.raises(ValueError, match=r"^max_pixels is -1, expected 0 or more$"):
        function("x.png", max_pixels=-1)


@pytest.mark.parametrize("function", [nl.decode_image, nl.image_info])
def test_a_source_that_is_neither_a_path_nor_bytes_is_refused(function: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^source must be a path or encoded bytes, got elements of "
    ):
        function(np.zeros(4, "i4"))
    with pytest.raises(TypeError, match="got NoneType"):
        function(None)


@pytest.mark.parametrize("function", [nl.decode_image, nl.image_info])
def test_errors_name_the_file(tmp_path: Path, function: Any) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(ENCODED[:40])
    with pytest.raises(nl.ImageError) as caught:
        function(cut)
    assert str(caught.value) == f"{cut}: the PNG image is truncated after 40 bytes"
    gone = tmp_path / "gone.png"
    with pytest.raises(FileNotFoundError) as missing:
        function(gone)
    assert missing.value.filename == str(gone)
    with pytest.raises((OSError, ValueError), match="not a regular file but a directory"):
        function(tmp_path)


def test_image_errors_are_format_errors() -> None:
    assert nl.ImageError.__bases__ == (nl.FormatError,)
    assert nl.ImageError.__module__ == "ndlens.errors"


def claimed(image_format: str, height: int, width: int) -> bytes:
    """A small file that claims a size."""
    if image_format == "png":
        return header(height, width, 8, RGBA) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    if image_format == "webp":
        # VP8X: the sizes less 1, in 24 bits.
        sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        data = b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + sizes
        data += b"VP8L" + (6).to_bytes(4, "little") + b"\x2f" + bytes(5)
        return b"RIFF" + len(data).to_bytes(4, "little") + data
    jpeg = bytearray(encoded("jpeg", progressive=image_format == "progressive"))
    place = jpeg.index(b"\xff\xc2" if image_format == "progressive" else b"\xff\xc0") + 5
    jpeg[place : place + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(jpeg)


KINDS = ["png", "jpeg", "progressive", "webp"]


@pytest.mark.parametrize("image_format", KINDS)
def test_a_claim_of_60000_x_60000_pixels_is_refused(image_format: str) -> None:
    with pytest.raises(nl.ImageError) as caught:
        nl.decode_image(claimed(image_format, 60_000, 60_000))
    text = "the image has 60000 x 60000 pixels, more than the limit of 178956970"
    assert str(caught.value) == text


@pytest.mark.parametrize("image_format", KINDS)
def test_the_header_of_an_image_of_any_size_is_read(image_format: str) -> None:
    info = nl.image_info(claimed(image_format, 60_000, 60_000))
    assert (info.height, info.width) == (60_000, 60_000)


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_the_limit_can_be_set(image_format: str) -> None:
    data = encoded(image_format)
    assert nl.decode_image(data, max_pixels=35).shape == (5, 7, 3)
    with pytest.raises(nl.ImageError, match="has 5 x 7 pixels, more than the limit of 34"):
        nl.decode_image(data, max_pixels=34)
    with pytest.raises(nl.ImageError, match="more than the limit of 0"):
        nl.decode_image(data, max_pixels=0)


def test_the_default_limit_is_that_of_pillow() -> None:
    most = Image.MAX_IMAGE_PIXELS
    assert most is not None
    with pytest.raises(nl.ImageError, match=f"more than the limit of {2 * most}$"):
        nl.decode_image(claimed("png", 2 * most + 1, 1))


def test_a_signature_alone_is_truncated() -> None:
    for start in (SIGNATURE, b"\xff\xd8\xff", b"RIFF\x04\x00\x00\x00WEBP"):
        with pytest.raises(nl.ImageError):
            nl.image_info(start)


def test_webp_is_near_that_of_pillow() -> None:
    assert np.abs(ours(encoded("webp")).astype(int) - by_pillow(encoded("webp"))).max() <= 2
