"""WebP beside Pillow."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from PIL import Image
from tests.helpers import decoded, image_corpus
from tests.helpers.decoded import ours
from tests.helpers.image_corpus import by_pillow, photographs

import ndlens as nl

IMAGE = Image.fromarray(photographs()[0][1][:40, :50])


def test_lossless_and_lossy_are_those_of_pillow() -> None:
    for form, name, data in image_corpus.webps():
        for mode in ("RGB", "RGBA", "L"):
            expected = decoded.by_pillow(data, mode)
            assert np.array_equal(ours(data, mode), expected), f"{form}: {name}, {mode}"


def test_the_header_says_whether_there_is_alpha() -> None:
    clear = IMAGE.copy()
    clear.putalpha(100)
    for image, channels in ((IMAGE, 3), (clear, 4)):
        for lossless in (False, True):
            data = by_pillow(image, "webp", lossless=lossless)
            info = nl.image_info(data)
            assert info == ("WebP", 40, 50, channels, "uint8", 1)
            assert ours(data, "unchanged").shape == (40, 50, channels)


def test_of_an_animation_the_first_frame_is_decoded() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    data = by_pillow(frames[0], "webp", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(ours(data), np.array(frames[0]))


def test_every_truncation_is_an_error_of_the_header_already() -> None:
    data = by_pillow(IMAGE, "webp")
    for length in range(12, len(data)):
        with pytest.raises(nl.ImageError, match=f"^the WebP image is truncated after {length} "):
            nl.image_info(data[:length])


def test_a_frame_that_is_larger_than_the_image_is_refused_before_memory_is_taken() -> None:
    lossy = by_pillow(IMAGE, "webp")[12:]
    assert lossy[:4] == b"VP8 "
    small = (0).to_bytes(3, "little") * 2
    extended = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + small
    frame = bytes(6) + small + bytes(4) + lossy
    animated = b"VP8X" + (10).to_bytes(4, "little") + b"\x02" + bytes(3) + small
    animated += b"ANIM" + (6).to_bytes(4, "little") + bytes(6)
    animated += b"ANMF" + len(frame).to_bytes(4, "little") + frame
    for chunks in (extended + lossy, animated):
        data = b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks
        with pytest.raises(nl.ImageError) as caught:
            nl.decode_image(data)
        text = "it has a frame of 40 x 50 pixels in an image of 1 x 1"
        assert str(caught.value) == f"the WebP image is damaged: {text}"


def test_changed_bytes_never_end_the_process() -> None:
    rng = np.random.default_rng(7)
    for lossless in (False, True):
        data = by_pillow(IMAGE, "webp", lossless=lossless)
        for _ in range(300):
            changed = bytearray(data)
            for place in rng.integers(12, len(data), 3):
                changed[place] = rng.integers(0, 256)
            with contextlib.suppress(nl.ImageError):
                nl.decode_image(changed, max_pixels=1 << 20)
