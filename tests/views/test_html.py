"""What notebooks show of views, arrays, items and shards."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.faces import Face, face_of
from tests.helpers.programs import run

import ndlens as nl
from ndlens._html import style
from ndlens._html.ranges import Ranges
from ndlens._html.strips import drawing
from ndlens._html.words import byte_count, count, plain, shape_text

IMAGES = np.zeros((40, 512, 512, 3), np.uint8)
HOSTILE = "</code><script>alert(1)</script>\"' onload=x"


def test_a_view_shows_shape_dtype_owner_bytes_and_strides() -> None:
    face = face_of(nl.view(IMAGES)[:, 128:384, 128:384])
    for text in (
        "ndlens.View",
        "(40, 256, 256, 3) uint8",
        "strided",
        "numpy.ndarray",
        "7.86 MB in 7,864,320 elements",
        "31.5 MB; first element at byte 196,992",
        "786,432",
        "768 bytes every 1,536",
    ):
        assert text in face.text, text


def test_a_view_says_what_is_special_about_it() -> None:
    view = nl.view(b"abc").broadcast_to(4, 3)
    text = face_of(view).text
    assert "broadcast" in text
    assert "read-only" in text
    assert "12 bytes in 12 elements, on 3 bytes of memory" in text
    assert "reversed" in face_of(nl.view(IMAGES)[::-1]).text
    assert "F-contiguous" in face_of(nl.view(IMAGES).T).text
    assert "C-contiguous" in face_of(nl.view(IMAGES)).text


def test_a_view_names_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6))
    assert f"file {path}, mapped copy-on-write" in face_of(nl.open(path)).text
    assert f"file {path}, mapped for reading" in face_of(nl.open(path, "r")).text
    assert f"file {path}, mapped for writing" in face_of(nl.open(path, "r+")).text
    assert "shared memory" in face_of(nl.share(np.arange(3))).text
    assert "memory of ndlens" in face_of(nl.view(b"abc").copy()).text
    assert "a torch tensor's storage" in face_of(nl.view(torch.zeros(3))).text
    batch = next(iter(nl.Loader(np.arange(8), batch_size=4, output="view")))
    assert "memory of a loader's batch" in face_of(batch).text
    assert "bytearray" in face_of(nl.view(bytearray(3))).text
    assert "a DLPack tensor" in face_of(nl.view(OnlyDLPack())).text


class OnlyDLPack:
    def __init__(self) -> None:
        self.array = np.arange(3)

    def __dlpack__(self, **_: object) -> object:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def test_a_released_view_and_one_of_a_moved_tensor_have_faces() -> None:
    tensor = torch.zeros(4, 4)
    view = nl.view(tensor)
    tensor.share_memory_()
    with pytest.raises(nl.MovedError):
        view.tolist()
    assert "torch has moved the tensor" in face_of(view).text
    view.release()
    assert "released" in face_of(view).text


VIEWS = {
    "of rank 0": nl.view(np.zeros(())),
    "without elements": nl.view(b""),
    "without elements on some axis": nl.view(np.zeros((3, 0, 2))),
    "of 2**40 elements": nl.view(b"abcd").broadcast_to(2**40, 4),
    "of 30 axes": nl.view(np.zeros(6, np.uint8)).broadcast_to(*([2] * 29), 6),
    "of 20 axes that step": nl.view(np.zeros(3**12, np.uint8)).reshape(*([3] * 12))[
        tuple([slice(None, None, 2)] * 12)
    ],
    "of windows": nl.view(np.zeros((10_000, 16), np.float32))[::3].windows(64, 8),
    "of every third byte": nl.view(np.zeros(10_000_000, np.uint8))[::3],
    "of one pixel": nl.view(IMAGES)[3, 4, 5],
    "of a channel, flipped": nl.view(IMAGES)[::-2, ::-1, :, 1],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_face_is_bounded_for_any_view(view: nl.View) -> None:
    face = face_of(view)
    assert face.drawn <= 30
    assert len(view._repr_html_()) < 40_000
    assert str(view.dtype) in face.text


def test_a_face_reads_no_element_of_a_mapped_file() -> None:
    # Where the file is gone, a read is SIGBUS.
    script = """
        import os, tempfile
        import ndlens as nl
        path = os.path.join(tempfile.mkdtemp(), "a.npy")
        nl.save(path, nl.view(bytes(1 << 20)))
        view = nl.open(path)
        os.truncate(path, 0)
        assert "1.05 MB" in view._repr_html_()
        path = os.path.join(tempfile.mkdtemp(), "a.safetensors")
        nl.save(path, {"x": nl.view(bytes(1 << 20))})
        arrays, items = nl.open(path), nl.windows(nl.open(path)["x"], 7)
        os.truncate(path, 0)
        assert "1.05 MB" in arrays._repr_html_()
        assert "items" in items._repr_html_()
    """
    assert run(script) == (0, "", "")


def test_importing_ndlens_does_not_import_the_faces() -> None:
    script = """
        import sys
        import ndlens as nl
        assert not [name for name in sys.modules if name.startswith("ndlens._html")]
        nl.view(b"abc")._repr_html_()
        assert "ndlens._html.view" in sys.modules
    """
    assert run(script) == (0, "", "")


def touched(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> set[int]:
    places = [0]
    for size, stride in zip(shape, strides, strict=True):
        places = [place + step * stride for place in places for step in range(size)]
    return {place + byte for place in places for byte in range(itemsize)}


axes = st.lists(st.tuples(st.integers(0, 5), st.integers(-30, 30)), max_size=4)


@given(axes, st.integers(1, 8))
def test_the_ranges_of_a_view_are_the_bytes_of_its_elements(
    axes: list[tuple[int, int]], itemsize: int
) -> None:
    shape, strides = [size for size, _ in axes], [stride for _, stride in axes]
    expected = touched(shape, strides, itemsize)
    ranges = Ranges(shape, strides, itemsize)
    if not expected:
        assert ranges.is_empty
        assert (ranges.extent, ranges.nbytes) == (0, 0)
        return
    assert ranges.low == min(expected)
    assert ranges.extent == max(expected) + 1 - min(expected)
    blocks = ranges.blocks(len(ranges.axes), 0, ranges.extent, 10_000)
    assert blocks is not None
    drawn = {ranges.low + byte for first, last in blocks for byte in range(first, last)}
    assert expected <= drawn
    if ranges.is_exact:
        assert drawn == expected
        assert ranges.nbytes == len(expected)
        assert ranges.part(0) == pytest.approx(len(expected) / ranges.extent)


def test_rows_that_interleave_are_said_to() -> None:
    view = nl.view(np.zeros(100, np.uint8))
    interleaved = np.lib.stride_tricks.as_strided(view.numpy(), (4, 5), (7, 5))
    assert not Ranges((4, 5), (7, 5), 1).is_exact
    assert "Elements interleave" in face_of(nl.view(interleaved)).text


def test_the_drawing_has_a_box_where_the_elements_are() -> None:
    # Bytes 0, 25, 50 and 75 of 100: the drawing is 755 wide and begins at 0.5.
    svg = drawing(Ranges((4,), (25,), 1), 100, 0)
    for left in ("0.50", "189.25", "378.00", "566.75"):
        assert f"M{left} 20h7.55v16H{left}z" in svg


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_names_from_files_are_inert(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"<script>.{suffix}"
    name = HOSTILE.replace("/", "_") if suffix == "npz" else HOSTILE
    if suffix == "npz":
        np.savez(path, **{name: np.zeros(3, np.float32)})  # type: ignore[arg-type]  # NumPy's gap
    else:
        nl.save(path, {name: np.zeros(3, np.float32)}, metadata={HOSTILE: HOSTILE})
    html = nl.open(path)._repr_html_()
    assert "<script" not in html
    face = Face(html)
    face.assert_inert()
    assert name in face.text
    assert "12 bytes" in face.text


def test_the_class_of_an_owner_and_the_path_of_a_file_are_inert(tmp_path: Path) -> None:
    owner = type(HOSTILE, (bytearray,), {})(3)
    assert "<script" not in nl.view(owner)._repr_html_()
    assert HOSTILE in face_of(nl.view(owner)).text
    path = tmp_path / "<script>.npy"
    np.save(path, np.arange(3))
    assert "<script>.npy" in face_of(nl.open(path)).text


def test_arrays_show_what_the_file_says_of_each(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    arrays = {f"layer.{i}": np.zeros((i + 1, 256), np.float16) for i in range(30)}
    nl.save(path, arrays, metadata={"format": "pt"})
    face = face_of(nl.open(path))
    for text in (str(path), "30 arrays", "layer.0", "F16", "(1, 256)", "512 bytes", "format"):
        assert text in face.text, text
    assert "and 10 more" in face.text
    assert face.tags.count("tr") <= 24


def test_an_array_that_cannot_be_mapped_is_a_row_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    np.savez_compressed(path, squeezed=np.zeros(100))
    face = face_of(nl.open(path))
    assert "1 array " in face.text
    assert "squeezed" in face.text
    assert "is compressed, so it cannot be mapped" in face.text


def test_ragged_items_show_their_smallest_median_and_largest_size() -> None:
    sizes = [(48, 64), (60, 40), (30, 50)]
    items = nl.ragged([np.zeros((*size, 3), np.uint8) for size in sizes])
    face = face_of(items)
    assert "3 items, each (·, ·, 3) uint8" in face.text
    words = face.text.split()
    for row in ("smallest 30 40 3", "median 48 50 3", "largest 60 64 3"):
        assert row in " ".join(words)
    assert face.drawn == 3


def test_many_ragged_items_are_sampled() -> None:
    lengths = np.arange(1, 5001)
    items = nl.ragged(
        np.zeros(lengths.sum(), np.uint8), np.cumsum(lengths) - lengths, lengths[:, None]
    )
    text = face_of(items).text
    assert "of 1,000 items at equal distances" in text
    assert "5,000 items" in text


def test_items_of_one_size_are_a_line() -> None:
    face = face_of(nl.windows(np.zeros((100, 4), np.float32), 16))
    assert "85 items, each (16, 4) float32" in face.text
    assert face.drawn == 0


def test_shards_show_their_files_one_beside_the_other(tmp_path: Path) -> None:
    for i in range(12):
        np.save(tmp_path / f"s{i}.npy", np.zeros((10 + i, 3), np.uint8))
    face = face_of(nl.open(str(tmp_path / "s*.npy")))
    for text in ("(186, 3) uint8", "12 shards", "0 to 9", "10 to 20", "s1.npy", "and 4 more"):
        assert text in face.text, text
    assert face.drawn == 1


def test_each_theme_says_its_colours() -> None:
    for theme in (
        "@media(prefers-color-scheme:dark)",
        '[data-jp-theme-light="false"] .ndl',
        '[data-jp-theme-light="true"] .ndl',
        ".vscode-dark .ndl",
        ".vscode-light .ndl",
        '[data-md-color-scheme="slate"] .ndl',
    ):
        assert theme in style.STYLE
    assert style.STYLE.count("{") == style.STYLE.count("}")


def test_text_is_shown_as_it_is_and_does_nothing() -> None:
    assert plain("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#x27;"
    assert plain("\u202eabc\n") == "\\u202eabc\\n"
    assert plain("x" * 1000, 10) == "xxxxx…xxxxx"


def test_numbers_are_written_as_people_read_them() -> None:
    assert [byte_count(n) for n in (0, 1, 999, 1000, 31_457_280, 10**30)] == [
        *("0 bytes", "1 byte", "999 bytes", "1 KB", "31.5 MB", "1e+15 PB"),
    ]
    assert [count(n) for n in (0, 1234567, 2**40)] == ["0", "1,234,567", "1.1e+12"]
    assert count(2**1100) == "inf"
    assert shape_text((3,)) == "(3,)"
    assert shape_text((None, 3)) == "(·, 3)"
    assert shape_text(range(20)) == "(0, 1, 2, 3, 4, …, 18, 19)"


def test_faces_are_made_by_several_threads_at_once() -> None:
    # The module is imported by whichever comes first.
    script = """
        import threading
        import ndlens as nl
        view, faces = nl.view(bytes(100)), []
        threads = [
            threading.Thread(target=lambda: faces.append(view[::3]._repr_html_()))
            for _ in range(8)
        ]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert len(set(faces)) == 1 and len(faces) == 8
    """
    assert run(script) == (0, "", "")


def test_the_size_of_a_face_is_a_few_kilobytes() -> None:
    assert len(nl.view(IMAGES)[:, ::2]._repr_html_()) < 9000
    assert sys.getsizeof(style.STYLE) < 5000


@pytest.mark.parametrize("colours", [style._LIGHT, style._DARK], ids=["light", "dark"])
def test_text_stands_out_from_the_ground_that_the_card_brings(colours: str) -> None:
    palette = dict(part.strip().split(":") for part in colours.split(";"))

    def luminance(name: str) -> float:
        channels = (int(palette[name][place : place + 2], 16) / 255 for place in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(part * c for part, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for text, ground in (
        *(("--fg", ground) for ground in ("--bg", "--soft")),
        *(("--dim", ground) for ground in ("--bg", "--soft")),
        ("--mark", "--bg"),
        ("--chip-fg", "--chip"),
        ("--warn-fg", "--warn"),
    ):
        low, high = sorted((luminance(text), luminance(ground)))
        # Of WCAG 2.2, contrast of text at level AA.
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
    # A page that says nothing may be light where the system prefers dark.
    assert ".ndl{background:var(--bg);color:var(--fg); " in style.STYLE
