"""JPEG beside Pillow and torchvision, which both decode by libjpeg-turbo: equal to the bit."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.helpers import decoded, image_corpus
from tests.helpers.decoded import by_torchvision, grown_by, ours
from tests.helpers.image_corpus import SAMPLINGS, by_opencv, by_pillow, photographs, segments

import ndlens as nl

Array = np.ndarray[Any, Any]

PIXELS = photographs()[0][1]
IMAGE = Image.fromarray(PIXELS)


def test_every_form_of_luma_and_chroma_is_that_of_pillow_and_torchvision() -> None:
    forms = set()
    for form, name, data in image_corpus.jpegs():
        of_pillow = decoded.by_pillow(data)
        assert np.array_equal(ours(data), of_pillow), f"{form}: {name}"
        assert np.array_equal(by_torchvision(data), of_pillow), f"{form}: {name}"
        forms.add(form)
    assert len(forms) == 2 * len(SAMPLINGS) + 4


def test_grey_is_the_luma_as_in_torchvision() -> None:
    for form, name, data in image_corpus.jpegs():
        if "RGB" not in form:
            assert np.array_equal(ours(data, "L"), by_torchvision(data, "L")), f"{form}: {name}"


def test_grey_of_rgb_is_that_of_pillow() -> None:
    for progressive in (False, True):
        data = by_pillow(IMAGE, keep_rgb=True, progressive=progressive)
        assert np.array_equal(ours(data, "L"), decoded.by_pillow(data, "L"))


def test_alpha_is_255() -> None:
    for data in (
        by_pillow(IMAGE),
        by_pillow(IMAGE, progressive=True),
        by_pillow(IMAGE.convert("L")),
    ):
        assert np.array_equal(ours(data, "RGBA"), decoded.by_pillow(data, "RGBA"))


def test_cmyk_is_that_of_pillow() -> None:
    for form, name, data in image_corpus.cmyk_jpegs():
        for mode in ("RGB", "L", "RGBA"):
            expected = decoded.by_pillow(data, mode)
            assert np.array_equal(ours(data, mode), expected), f"{form}: {name}, {mode}"
        unchanged = decoded.by_pillow(data, "CMYK")
        assert np.array_equal(ours(data, "unchanged"), unchanged), f"{form}: {name}"
        assert nl.image_info(data).channels == 4


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_small_size_is_that_of_pillow(sampling: str) -> None:
    for height in (*range(1, 19), 33):
        for width in (*range(1, 19), 33):
            part = PIXELS[100 : 100 + height, 200 : 200 + width]
            for progressive in (0, 1):
                data = by_opencv(part, sampling, 90, progressive=progressive)
                got, expected = ours(data), decoded.by_pillow(data)
                assert np.array_equal(got, expected), (height, width, progressive)


def test_noise_at_the_lowest_qualities_is_that_of_pillow() -> None:
    # Coefficients beyond those of any image, whose sums are cut off on the way.
    random = np.random.default_rng(0)
    for number in range(240):
        shape = (*random.integers(1, 60, 2), 3)
        extremes = random.choice([0, 255], shape) if number % 2 else random.integers(0, 256, shape)
        image = Image.fromarray(extremes.astype(np.uint8))
        quality, subsampling = (1, 2, 5, 10)[number % 4], number // 4 % 3
        data = by_pillow(
            image, quality=quality, subsampling=subsampling, progressive=number % 5 == 0
        )
        np.testing.assert_array_equal(ours(data), decoded.by_pillow(data))


def test_components_named_rgb_are_rgb() -> None:
    data = bytearray(by_pillow(IMAGE, keep_rgb=True))
    place = data.index(b"Adobe") - 4
    length = int.from_bytes(data[place + 2 : place + 4], "big")
    del data[place : place + 2 + length]
    assert np.array_equal(ours(bytes(data)), decoded.by_pillow(bytes(data)))


def test_a_truncated_file_is_an_error_wherever_it_ends() -> None:
    for progressive in (False, True):
        data = by_pillow(Image.fromarray(PIXELS[:40, :50]), progressive=progressive)
        for length in range(3, len(data)):
            with pytest.raises(nl.ImageError):
                nl.decode_image(data[:length])


def test_a_progressive_file_without_its_last_scan_is_truncated() -> None:
    data = by_pillow(IMAGE, progressive=True)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(nl.ImageError, match=f"the JPEG image is truncated after {last} bytes"):
        nl.decode_image(data[:last])


def test_changed_bytes_never_end_the_process() -> None:
    rng = np.random.default_rng(7)
    part = Image.fromarray(PIXELS[:40, :50])
    refused = 0
    sources = [by_pillow(part), by_pillow(part, progressive=True), by_pillow(part.convert("CMYK"))]
    for data in sources:
        for _ in range(300):
            changed = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                changed[place] = rng.integers(0, 256)
            try:
                nl.decode_image(changed, max_pixels=1 << 20)
            except nl.ImageError:
                refused += 1
    assert refused > 100


def without(data: bytes, unwanted: int) -> bytes:
    """The file without the segments of a marker."""
    found = list(segments(data))
    kept = [data[start:end] for marker, start, end in found if marker != unwanted]
    return data[:2] + b"".join(kept) + data[found[-1][2] :]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("marker", "message"),
    [(0xC4, "a Huffman table is missing"), (0xDB, "a quantisation table is missing")],
)
def test_a_missing_table_is_named(progressive: bool, marker: int, message: str) -> None:
    data = without(by_pillow(IMAGE, progressive=progressive), marker)
    with pytest.raises(nl.ImageError, match=message):
        nl.decode_image(data)


def test_a_component_without_a_scan_is_named() -> None:
    data = image_corpus.in_several_scans(PIXELS)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(nl.ImageError, match="it has no scan of component 2"):
        nl.decode_image(data[:last] + b"\xff\xd9")


def with_process(process: int, precision: int = 8) -> bytes:
    data = bytearray(by_pillow(IMAGE))
    place = data.index(b"\xff\xc0")
    data[place + 1] = process
    data[place + 4] = precision
    return bytes(data)


@pytest.mark.parametrize(
    ("process", "precision", "what"),
    [
        (0xC1, 12, "its samples have 12 bits, expected 8"),
        (0xC3, 8, "it is lossless"),
        (0xC5, 8, "it is hierarchical"),
        (0xC9, 8, "its coding is arithmetic, expected Huffman's"),
        (0xCA, 8, "its coding is arithmetic, expected Huffman's"),
        (0xCB, 8, "it is lossless and its coding is arithmetic"),
    ],
)
def test_what_is_not_decoded_is_refused_in_words(process: int, precision: int, what: str) -> None:
    with pytest.raises(nl.ImageError) as caught:
        nl.image_info(with_process(process, precision))
    assert str(caught.value) == f"the JPEG image cannot be decoded: {what}"


def test_two_components_are_refused() -> None:
    data = bytearray(by_pillow(IMAGE.convert("L")))
    place = data.index(b"\xff\xc0")
    frame = data[place : place + 13]
    frame[2:4], frame[9] = (14).to_bytes(2, "big"), 2
    data[place : place + 13] = frame + bytes([2, 0x11, 0])
    with pytest.raises(nl.ImageError, match="it has 2 components, expected 1, 3 or 4"):
        nl.image_info(data)


def test_samplings_that_do_not_divide_each_other_are_refused() -> None:
    data = bytearray(by_pillow(IMAGE))
    place = data.index(b"\xff\xc0")
    data[place + 11], data[place + 14] = 0x31, 0x21
    message = "a component's sampling factors are 2 x 1, which do not divide the largest, 3 x 1"
    with pytest.raises(nl.ImageError, match=message):
        nl.image_info(data)


def test_many_scans_are_refused() -> None:
    """A small file can claim the time of as many whole images as it has scans."""
    data = by_pillow(Image.fromarray(PIXELS[:8, :8]).convert("L"), progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    scan = data[first:second]
    scan = scan[: scan.rindex(b"\xff\xc4")] if b"\xff\xc4" in scan else scan
    many = data[:first] + scan * 101 + b"\xff\xd9"
    with pytest.raises(nl.ImageError, match="it has more than 100 scans"):
        nl.decode_image(many)


def test_a_small_progressive_file_takes_memory_for_its_coefficients_and_pixels_alone() -> None:
    written = io.BytesIO()
    Image.new("L", (20_000, 4_000)).save(written, "jpeg", progressive=True)
    assert grown_by("L", written.getvalue()) < 3.2 * 20_000 * 4_000
