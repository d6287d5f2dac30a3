"""PNG beside Pillow, to the bit: every colour type, depth and way of interlacing."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.helpers.decoded import by_pillow, by_torchvision, grown_by, ours
from tests.helpers.png_files import (
    CHANNELS,
    DEPTHS,
    GREY,
    PALETTE,
    RGB,
    SIGNATURE,
    chunk,
    header,
    image_data,
    png,
)

import ndlens as nl

Array = np.ndarray[Any, Any]

KINDS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]
SIZES = [(1, 1), (1, 9), (3, 2), (5, 8), (8, 5), (17, 23)]


def sample_values(height: int, width: int, colour: int, depth: int) -> Array:
    rng = np.random.default_rng(100 * height + width)
    shape = (height, width, CHANNELS[colour])
    return rng.integers(0, 1 << depth, shape).astype("u2" if depth == 16 else "u1")


def palette(depth: int) -> Array:
    return np.random.default_rng(depth).integers(0, 256, (1 << depth, 3))


def file_of(
    height: int, width: int, colour: int, depth: int, interlaced: bool = False, **more: Any
) -> bytes:
    if colour == PALETTE:
        more["palette"] = palette(depth)
    samples = sample_values(height, width, colour, depth)
    return png(samples, depth, colour, interlaced=interlaced, **more)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_every_kind_is_that_of_pillow_to_the_bit(colour: int, depth: int, interlaced: bool) -> None:
    for height, width in SIZES:
        data = file_of(height, width, colour, depth, interlaced)
        if colour == GREY and depth == 16:
            # Pillow cuts grey of 16 bits off at 255, which makes a photograph white. It keeps the
            # upper 8 bits of all other kinds, and so do we.
            grey = (sample_values(height, width, GREY, 16) >> 8).astype("u1")
            np.testing.assert_array_equal(ours(data, "L"), grey)
            np.testing.assert_array_equal(ours(data), np.repeat(grey, 3, axis=2))
            continue
        for mode in ("RGB", "RGBA"):
            np.testing.assert_array_equal(ours(data, mode), by_pillow(data, mode))
        np.testing.assert_array_equal(ours(data, "L"), by_pillow(data, "L"))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_unchanged_has_the_channels_and_the_depth_of_the_file(
    colour: int, depth: int, interlaced: bool
) -> None:
    for height, width in SIZES:
        data = file_of(height, width, colour, depth, interlaced)
        got = ours(data, "unchanged")
        samples = sample_values(height, width, colour, depth)
        if colour == PALETTE:
            samples = palette(depth).astype("u1")[samples[:, :, 0]]
        elif depth < 8:
            samples = samples * (255 // ((1 << depth) - 1))
        np.testing.assert_array_equal(got, samples)
        assert got.dtype == samples.dtype
        info = nl.image_info(data)
        assert info == ("PNG", *samples.shape, str(samples.dtype), 1)
        if colour != PALETTE:
            # Of which torchvision gives the indices.
            np.testing.assert_array_equal(got, by_torchvision(data, "unchanged"))


@pytest.mark.parametrize(("colour", "depth"), [(GREY, 1), (GREY, 4), (GREY, 8), (RGB, 8)])
def test_a_transparent_colour_becomes_alpha(colour: int, depth: int) -> None:
    samples = sample_values(6, 7, colour, depth)
    clear = samples[2, 3]
    data = png(samples, depth, colour, transparency=clear.astype(">u2").tobytes())
    expected = by_pillow(data, "RGBA")
    assert 0 < (expected[:, :, 3] == 0).sum() < expected[:, :, 3].size
    np.testing.assert_array_equal(ours(data, "RGBA"), expected)
    np.testing.assert_array_equal(ours(data, "RGB"), by_pillow(data, "RGB"))
    unchanged = ours(data, "unchanged")
    assert unchanged.shape == (6, 7, CHANNELS[colour] + 1)
    np.testing.assert_array_equal(unchanged[:, :, -1], expected[:, :, 3])


def test_a_transparent_colour_of_16_bits_is_compared_with_all_of_them() -> None:
    samples = np.array([[[0x1234], [0x1235], [0x1234]]], "u2")
    data = png(samples, 16, GREY, transparency=b"\x12\x34")
    unchanged = [[[0x1234, 0], [0x1235, 65535], [0x1234, 0]]]
    assert ours(data, "unchanged").tolist() == unchanged
    assert ours(data, "RGBA")[0].tolist() == [[18] * 3 + [alpha] for alpha in (0, 255, 0)]


@pytest.mark.parametrize("depth", DEPTHS[PALETTE])
def test_a_palette_may_have_alpha_for_some_of_its_colours(depth: int) -> None:
    data = file_of(9, 5, PALETTE, depth, transparency=bytes([7, 200])[: 1 << depth])
    np.testing.assert_array_equal(ours(data, "RGBA"), by_pillow(data, "RGBA"))
    np.testing.assert_array_equal(ours(data, "unchanged"), by_pillow(data, "RGBA"))
    np.testing.assert_array_equal(ours(data, "RGB"), by_pillow(data, "RGB"))
    np.testing.assert_array_equal(ours(data, "L"), by_pillow(data, "L"))


def test_colours_beyond_the_palette_are_black() -> None:
    samples = np.array([[[0], [1], [2], [255]]], "u1")
    data = png(samples, 8, PALETTE, palette=np.array([[9, 8, 7], [6, 5, 4]]))
    np.testing.assert_array_equal(ours(data), by_pillow(data, "RGB"))
    assert ours(data)[0, 2:].tolist() == [[0, 0, 0]] * 2


def test_of_an_animation_the_first_frame_is_ours() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    written = io.BytesIO()
    frames[0].save(written, "png", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(ours(written.getvalue()), np.array(frames[0]))


def test_a_first_frame_that_is_smaller_than_the_image_is_refused() -> None:
    samples = sample_values(4, 4, GREY, 8)
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 2, 2, 0, 0, 1, 1, 0, 0))
    data = png(samples, 8, GREY, before=control + frame)
    with pytest.raises(nl.ImageError, match="damaged: Sub frame is out-of-bounds"):
        nl.decode_image(data)


def test_every_truncation_is_an_error_of_the_header_already() -> None:
    data = file_of(9, 7, RGB, 8, interlaced=True)
    for length in range(8, len(data)):
        message = f"^the PNG image is truncated after {length} bytes$"
        with pytest.raises(nl.ImageError, match=message):
            nl.image_info(data[:length])


def test_every_changed_bit_is_an_error_or_changes_no_pixel() -> None:
    data = file_of(5, 3, PALETTE, 4, transparency=b"\x10")
    whole = ours(data, "unchanged")
    refused = 0
    for place in range(8 * len(SIGNATURE), 8 * len(data)):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        try:
            got = ours(changed, "unchanged")
        except nl.ImageError:
            refused += 1
        else:
            np.testing.assert_array_equal(got, whole)
    # What is left are the lengths and the checksum of the last chunk, which nobody reads.
    assert refused > 8 * (len(data) - len(SIGNATURE)) - 64


def test_data_that_ends_before_the_last_row_is_an_error() -> None:
    samples = sample_values(9, 7, RGB, 8)
    rows = image_data(samples, 8, False)
    for kept in (0, 5, len(rows) - 1):
        data = b"".join(
            [
                header(9, 7, 8, RGB),
                chunk(b"IDAT", zlib.compress(rows[:kept])),
                chunk(b"IEND", b""),
            ]
        )
        with pytest.raises(nl.ImageError, match="the PNG image is damaged"):
            nl.decode_image(data)


def test_a_wrong_checksum_of_the_pixels_is_an_error() -> None:
    samples = sample_values(4, 4, GREY, 8)
    compressed = bytearray(zlib.compress(image_data(samples, 8, False)))
    compressed[-1] ^= 1
    data = header(4, 4, 8, GREY) + chunk(b"IDAT", bytes(compressed)) + chunk(b"IEND", b"")
    with pytest.raises(nl.ImageError, match="the PNG image is damaged"):
        nl.decode_image(data)


@pytest.mark.parametrize(
    ("depth", "colour"), [(3, GREY), (1, RGB), (16, PALETTE), (8, 5), (0, GREY)]
)
def test_depths_that_a_colour_type_does_not_have_are_refused(depth: int, colour: int) -> None:
    data = header(2, 2, depth, colour) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(nl.ImageError, match="the PNG image is damaged"):
        nl.image_info(data)


def test_a_palette_that_ends_within_a_colour_is_refused() -> None:
    palette = chunk(b"PLTE", bytes(8))
    data = png(sample_values(2, 2, PALETTE, 8), 8, PALETTE, before=palette)
    with pytest.raises(nl.ImageError, match="palette has 8 bytes, which are no whole colours"):
        nl.image_info(data)


def test_a_palette_image_without_a_palette_is_refused() -> None:
    data = png(sample_values(2, 2, PALETTE, 8), 8, PALETTE)
    with pytest.raises(nl.ImageError, match="the PNG image is damaged"):
        nl.decode_image(data)


def test_a_small_file_of_many_pixels_takes_memory_for_its_pixels_alone() -> None:
    rows = zlib.compress(bytes((12_000 // 8 + 1) * 8_000), 9)
    note = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000)))
    data = header(8_000, 12_000, 1, GREY) + note + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert len(data) < 250_000
    pixels = 8_000 * 12_000
    assert grown_by("L", data) < 1.1 * pixels
