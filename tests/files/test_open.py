"""What `nl.open` promises: files load as NumPy loads them; errors say how a file is damaged."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from tests.helpers.samples import RECORDS, SIMPLE, filled

import ndlens as nl

Array = np.ndarray[Any, Any]

MODES: list[Any] = ["r", "c", "r+"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "array.npy"


def succeeds(program: str, *args: str) -> str:
    """Its output, from a process of its own, where a signal that kills is seen."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def assert_same(view: nl.View, expected: Array) -> None:
    got = view.numpy()
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    assert got.tobytes() == expected.tobytes() == view.tobytes()
    assert got.flags.f_contiguous == expected.flags.f_contiguous
    assert got.flags.c_contiguous == expected.flags.c_contiguous
    # Loaded arrays are packed by NumPy; ours lie in the file, packed too.
    if expected.size:
        assert view.strides == expected.strides


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [*SIMPLE, *(f">{code}" for code in "hHiIqQefdFD"), ">U3"])
def test_every_dtype_is_what_numpy_loads(dtype: str, mode: Any, path: Path) -> None:
    for shape in [(5,), (2, 3), (2, 3, 4)]:
        np.save(path, filled(shape, dtype))
        assert_same(nl.open(path, mode), np.load(path))


@pytest.mark.parametrize("dtype", RECORDS, ids=[str(np.dtype(dtype)) for dtype in RECORDS])
def test_records_are_what_numpy_loads(dtype: Any, path: Path) -> None:
    a = filled((2, 3), dtype)
    np.save(path, a)
    expected = np.load(path)
    got = nl.open(path).numpy()
    assert got.dtype == expected.dtype
    assert np.array_equal(got, expected)
    assert np.array_equal(got[a.dtype.names[-1]], a[a.dtype.names[-1]])


def test_raw_bytes_come_as_the_buffer_protocol_can_say_them(path: Path) -> None:
    # NumPy's own memoryview of such an array has the format 3x too, and loses the same name.
    a: Any = filled((2, 3), "V3")
    np.save(path, a)
    view = nl.open(path)
    assert (view.shape, view.format, view.itemsize) == ((2, 3), "3x", 3)
    assert view.tobytes() == a.tobytes()
    assert view.numpy().dtype == np.asarray(memoryview(a)).dtype


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_version_and_order_is_what_numpy_loads(
    version: tuple[int, int], order: Any, path: Path
) -> None:
    a = np.asarray(filled((3, 4, 5), "<f4"), order=order)
    with path.open("wb") as file:
        np.lib.format.write_array(file, a, version=version)
    expected = np.load(path)
    view = nl.open(path)
    assert_same(view, expected)
    assert (view.c_contiguous, view.f_contiguous) == (order == "C", order == "F")
    assert torch.equal(view.torch(), torch.from_numpy(a))


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (2, 0, 4), (1,), (1, 1, 1), (1,) * 32])
def test_shapes_of_no_axis_and_no_element_are_what_numpy_loads(
    shape: tuple[int, ...], path: Path
) -> None:
    np.save(path, filled(shape, "<i4"))
    for mode in MODES:
        view = nl.open(path, mode)
        assert (view.shape, view.dtype) == (shape, "int32")
        assert view.tobytes() == np.load(path).tobytes()
        assert view.readonly == (mode == "r")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    a=npst.arrays(
        dtype=npst.scalar_dtypes().filter(
            lambda dtype: dtype.kind not in "Mm" and dtype.itemsize > 0
        ),
        shape=npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5),
    ),
    version=st.sampled_from([(1, 0), (2, 0), (3, 0)]),
    fortran=st.booleans(),
    mode=st.sampled_from(MODES),
)
def test_whatever_numpy_saves_is_what_numpy_loads(
    a: Array, version: tuple[int, int], fortran: bool, mode: Any, path: Path
) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.asfortranarray(a) if fortran else a, version=version)
    expected = np.load(path)
    view = nl.open(path, mode)
    got = view.numpy()
    assert (view.shape, got.dtype) == (expected.shape, expected.dtype)
    assert view.tobytes() == expected.tobytes()


def test_a_file_may_have_any_name_and_bytes_after_its_data(tmp_path: Path) -> None:
    for name in ["no extension", "ünïcode.npy", "-", "a.txt"]:
        path = tmp_path / name
        with path.open("wb") as file:
            np.save(file, np.arange(5))
            file.write(b"more")
        assert nl.open(path).tolist() == [0, 1, 2, 3, 4]


class PathLike:
    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


def test_a_path_is_anything_that_names_a_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(path, np.arange(5))
    monkeypatch.chdir(path.parent)
    names: list[Any] = [path, str(path), path.name, PathLike(str(path))]
    for named in names:
        assert nl.open(named).tolist() == [0, 1, 2, 3, 4]


def test_a_path_may_be_bytes_as_for_numpy_and_open(path: Path) -> None:
    np.save(path, np.arange(5))
    names: list[Any] = [os.fsencode(path), PathLike(os.fsencode(path))]
    for named in names:
        assert np.load(named).tolist() == [0, 1, 2, 3, 4]
        assert nl.open(named).tolist() == [0, 1, 2, 3, 4]


def test_what_is_no_path_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"^expected str, bytes or os.PathLike object, not int\b"):
        nl.open(3)  # type: ignore[call-overload]


def test_a_name_that_is_not_utf_8_opens_and_errors_name_it_exactly(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.npy")
    with pytest.raises(FileNotFoundError) as raised:
        nl.open(path)
    np.save(path, np.arange(3))
    assert nl.open(path).tolist() == [0, 1, 2]
    assert raised.value.filename == path


# Modes.


def test_copy_on_write_is_the_default_and_leaves_the_file_as_it_is(path: Path) -> None:
    np.save(path, np.arange(5000))
    before = path.read_bytes()
    v = nl.open(path)
    assert not v.readonly
    v.torch()[:] = -1
    v.numpy()[7] = 70
    assert v[6:8].tolist() == [-1, 70]
    del v
    gc.collect()
    assert path.read_bytes() == before
    assert nl.open(path, mode="c").tolist() == list(range(5000))


def test_two_copy_on_write_views_do_not_see_each_others_writes(path: Path) -> None:
    np.save(path, np.zeros(3))
    one, other = nl.open(path), nl.open(path)
    one.numpy()[:] = 1
    assert other.tolist() == [0, 0, 0]


def test_read_only_refuses_to_be_written(path: Path) -> None:
    np.save(path, np.arange(3.0))
    v = nl.open(path, "r")
    assert v.readonly
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        v.numpy()[0] = 1
    exporter: Any = v
    memory: Any = memoryview(exporter)
    with pytest.raises(TypeError, match="cannot modify read-only memory"):
        memory[0] = 1.0
    with pytest.raises(nl.ReadOnlyError) as raised:
        v.torch()
    assert (
        str(raised.value)
        == 'torch() needs writable memory, but the view is read-only; open the file with mode="c"'
        ' (copy-on-write), call .copy() first, or pass readonly="allow" and never write to the'
        " tensor"
    )


def test_a_tensor_on_read_only_memory_that_is_written_anyway_neither_crashes_nor_changes_the_file(
    path: Path,
) -> None:
    np.save(path, np.arange(3000.0))
    program = """
        import sys
        import ndlens as nl
        v = nl.open(sys.argv[1], "r")
        t = v.torch(readonly="allow")
        t += 1
        print(t.sum().item() == v.numpy().sum() == 3000 * 2999 / 2 + 3000)
        print(nl.open(sys.argv[1]).numpy().sum() == 3000 * 2999 / 2)
    """
    assert succeeds(program, str(path)) == "True\nTrue\n"
    assert np.array_equal(np.load(path), np.arange(3000.0))


def test_read_write_writes_to_the_file(path: Path) -> None:
    np.save(path, np.arange(5))
    v = nl.open(path, "r+")
    assert not v.readonly
    v.torch()[1] = 100
    v[2:].numpy()[:] = 7
    assert np.load(path).tolist() == [0, 100, 7, 7, 7]
    assert nl.open(path, "r").tolist() == [0, 100, 7, 7, 7]


def test_a_view_outlives_the_name_of_its_file(path: Path) -> None:
    np.save(path, np.arange(50_000))
    v = nl.open(path)
    path.unlink()
    np.save(path, np.zeros(3))
    assert int(v.numpy().sum()) == 50_000 * 49_999 // 2


def test_opening_does_not_read_the_data(path: Path) -> None:
    header = np.lib.format.header_data_from_array_1_0(np.zeros(0))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (2**36,)})
        file.truncate(file.tell() + 2**39)
    for mode in MODES:
        v = nl.open(path, mode)
        assert (v.nbytes, v[2**36 - 1]) == (2**39, 0.0)


def test_maps_hold_no_descriptors_and_are_gone_with_the_last_view(path: Path) -> None:
    def held() -> tuple[int, int]:
        maps = Path("/proc/self/maps").read_text().count(str(path))
        return len(list(Path("/proc/self/fd").iterdir())), maps

    np.save(path, np.arange(5))
    gc.collect()
    before, _ = held()
    views = [nl.open(path) for _ in range(100)]
    tensors = [v[1:].torch() for v in views]
    del views
    gc.collect()
    assert held() == (before, 100)
    del tensors
    gc.collect()
    assert held() == (before, 0)


# Errors.


def refused(path: Path | str, *args: Any) -> BaseException:
    with pytest.raises(Exception) as raised:  # noqa: PT011
        nl.open(path, *args)
    return raised.value


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            (np.uint16,),
            TypeError,
            (
                'mode must be "r", "c" or "r+", got <class \'numpy.uint16\'>; nl.open takes path'
                " and mode by position, and dtype, shape, copy, offset and strides by keyword"
            ),
        ),
        (
            ((3, 4),),
            TypeError,
            (
                'mode must be "r", "c" or "r+", got (3, 4); nl.open takes path and mode by'
                " position, and dtype, shape, copy, offset and strides by keyword"
            ),
        ),
        (
            ("uint16",),
            ValueError,
            (
                'unknown mode "uint16": expected "r", "c" or "r+"; a dtype is given by keyword:'
                ' dtype="uint16"'
            ),
        ),
        (
            ("<f4",),
            ValueError,
            (
                'unknown mode "<f4": expected "r", "c" or "r+"; a dtype is given by keyword:'
                ' dtype="<f4"'
            ),
        ),
        (("w",), ValueError, 'unknown mode "w": expected "r", "c" or "r+"'),
        (
            ("r", np.uint16, 4),
            TypeError,
            (
                "nl.open takes path and mode by position, got 4 arguments; copy, dtype, shape,"
                " offset and strides are given by keyword"
            ),
        ),
    ],
)
def test_a_wrong_argument_by_position_says_what_is_given_by_keyword(
    arguments: tuple[Any, ...], kind: type[Exception], text: str, path: Path
) -> None:
    np.save(path, np.arange(3))
    error = refused(path, *arguments)
    assert (type(error), str(error)) == (kind, text)
    save: Any = nl.save
    with pytest.raises(TypeError) as raised:
        save(path, np.arange(3), {"format": "pt"})
    assert (
        str(raised.value)
        == "nl.save takes path and obj by position, got 3 arguments; metadata is given by keyword"
    )


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("missing.npy", FileNotFoundError, errno.ENOENT),
        ("file/below.npy", NotADirectoryError, errno.ENOTDIR),
        ("x" * 300, OSError, errno.ENAMETOOLONG),
    ],
)
def test_a_file_that_cannot_be_opened_is_the_os_error_that_open_raises(
    name: str, kind: type[OSError], number: int, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / name
    with pytest.raises(kind) as expected:
        path.open()
    for mode in MODES:
        error = refused(path, mode)
        assert type(error) is kind
        assert isinstance(error, OSError)
        assert (error.errno, error.filename) == (number, str(path))
        assert (
            str(error) == str(expected.value) == f"[Errno {number}] {os.strerror(number)}: '{path}'"
        )


def test_what_is_no_regular_file_says_what_it_is(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, what in [
        (tmp_path, "a directory"),
        (fifo, "a FIFO"),
        (Path("/dev/null"), "a device"),
    ]:
        error = refused(path)
        assert type(error) is nl.FormatError
        assert str(error) == f"{path}: not a regular file but {what}"


@pytest.mark.parametrize("mode", ["w", "", "rw", "R", "w+"])
def test_an_unknown_mode_is_named(mode: str, path: Path) -> None:
    np.save(path, np.arange(3))
    error = refused(path, mode)
    assert type(error) is ValueError
    assert str(error) == f'unknown mode "{mode}": expected "r", "c" or "r+"'


@pytest.mark.parametrize(
    ("content", "starts"),
    [
        (b"", ""),
        (b"\x93NUM", r"\x93NUM"),
        (b"hello, world", "hello, w"),
        (b"\x89PNG\r\n\x1a\n123", r"\x89PNG\r\n\x1a\n"),
    ],
)
def test_a_file_of_another_format_shows_how_it_starts(
    content: bytes, starts: str, path: Path
) -> None:
    path.write_bytes(content)
    error = refused(path)
    assert type(error) is nl.FormatError
    assert isinstance(error, ValueError)
    assert (
        str(error) == rf'{path}: not a .npy file: it starts with "{starts}", expected "\x93NUMPY"'
    )


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors"])
def test_a_header_is_not_taken_for_raw_numbers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    numbers = np.arange(4, dtype="f4")
    if suffix == "npz":
        np.savez(path, x=numbers)
    else:
        nl.save(path, numbers if suffix == "npy" else {"x": numbers})
    with pytest.raises(ValueError, match="its first bytes are that header: open it without dtype"):
        nl.open(path, dtype="f4")
    size = path.stat().st_size
    assert nl.open(path, dtype="u1").shape == (size,)
    if suffix != "npz":  # the directory of an archive is behind its members
        assert nl.open(path, dtype="f4", offset=size - 16).tolist() == [0, 1, 2, 3]


def test_a_file_without_the_header_of_its_name_is_raw_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(np.arange(4, dtype="f4").tobytes())
    assert nl.open(tmp_path / "x.npy", dtype="f4").tolist() == [0, 1, 2, 3]


def test_a_file_of_no_format_says_what_to_do_about_raw_bytes(path: Path) -> None:
    path = path.with_suffix(".bin")
    path.write_bytes(b"\0" * 20)
    starts = r"\x00" * 8
    assert (
        str(refused(path))
        == f'{path}: not a .npy, .npz, .safetensors or .tar file: it starts with "{starts}"; for '
        "raw bytes say their dtype"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("photo.jpg", "JPEG"), ("a.png", "PNG"), ("any.bin", "PNG"), ("x.webp", "WebP")],
)
def test_an_image_is_refused_with_what_decodes_it(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    Image.new("RGB", (5, 4)).save(path, kind)
    assert str(refused(path)) == (
        f"{path}: a {kind} image, which holds no array; nl.decode_image(path) decodes one, and "
        "nl.images(pattern) makes a field of many"
    )


@pytest.mark.parametrize(
    "address", ["https://host/x.npy", "s3://bucket/{0..9}.tar", "file:///tmp/x.npy"]
)
def test_an_address_is_no_path(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        f"{address} is an address, expected a path: files must be on this machine, so download it "
        "first"
    )
    calls: list[Callable[[], object]] = [
        lambda: nl.open(address),
        lambda: nl.open([address]),
        lambda: nl.save(address, np.zeros(3)),
        lambda: nl.images(address),
        lambda: nl.images([address]),
        lambda: nl.decode_image(address),
    ]
    for call in calls:
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared
            call()
        assert str(raised.value) == text


def test_a_directory_may_have_the_name_of_a_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("https:").mkdir()
    nl.save("https:/x.npy", np.arange(3))
    assert nl.open("https://x.npy").tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "pytorch_model.bin", "last.ckpt", "any.npz"])
@pytest.mark.parametrize("is_archive", [True, False])
def test_a_file_of_torch_save_says_what_to_save_instead(
    name: str, is_archive: bool, tmp_path: Path
) -> None:
    if name == "any.npz" and not is_archive:
        pytest.skip("of a pickle alone only the name says that it is torch's")
    path = tmp_path / name
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=is_archive)
    with pytest.raises(nl.FormatError) as raised:
        nl.open(path)
    assert str(raised.value) == (
        f"{path}: a file of torch.save, which pickles what it holds; load it with torch.load, and "
        'save its tensors with nl.save("model.safetensors", tensors), which nl.open maps'
    )
    # Its bytes are still there to be looked at.
    assert nl.open(path, dtype="uint8").size == path.stat().st_size


def test_a_numpy_archive_by_the_name_of_a_torch_file_opens(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with path.open("wb") as file:
        np.savez(file, a=np.arange(3))
    arrays: Any = nl.open(path)
    assert arrays["a"].tolist() == [0, 1, 2]


def test_a_truncated_file_says_how_much_is_missing_wherever_it_ends(path: Path) -> None:
    np.save(path, np.arange(6.0).reshape(2, 3))
    whole = path.read_bytes()
    assert len(whole) == 176
    for length in range(6, 176):
        path.write_bytes(whole[:length])
        error = refused(path)
        assert type(error) is nl.FormatError
        if length < 128:
            header = 8 if length < 8 else 10 if length < 10 else 128
            expected = f"truncated: file has {length} bytes, its header alone takes {header}"
        else:
            expected = f"truncated: file has {length} bytes, expected at least 176 for shape [2, 3]"
        assert str(error) == f"{path}: {expected}"


OBJECTS = (
    'holds Python objects (pickle); convert before saving, for example with arr.astype("float32")'
)
DATE = 'is a date or time, which the buffer protocol cannot say; save arr.view("int64")'


@pytest.mark.parametrize(
    ("a", "text"),
    [
        (np.array([{}, []], dtype=object), f'dtype "|O" {OBJECTS}'),
        (np.zeros(2, [("a", "i4"), ("b", [("c", object)])]), f'field "b.c": dtype "|O" {OBJECTS}'),
        (np.zeros(2, "M8[s]"), f'dtype "<M8[s]" {DATE}'),
        (np.zeros(2, "m8[ns]"), f'dtype "<m8[ns]" {DATE}'),
        (np.zeros(2, "V0"), "dtype has elements of 0 bytes"),
        (np.zeros(2, "g"), f'dtype "{np.dtype("g").str}" is not one ndlens knows'),
        (np.zeros(2, "G"), f'dtype "{np.dtype("G").str}" is not one ndlens knows'),
    ],
    ids=str,
)
def test_elements_that_no_view_can_show_are_named(a: Array, text: str, path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, a, allow_pickle=True)
    error = refused(path)
    assert type(error) is nl.FormatError
    assert str(error) == f"{path}: {text}"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("[]", "bad header at byte 10: expected a dict, got a list"),
        ("", "bad header at byte 10: expected a value, got the end of the header"),
        (
            "{'descr': '<f8'",
            "bad header at byte 25: expected ',' or '}', got the end of the header",
        ),
        (
            "{'descr': '<f8', 'fortran_order': 0, 'shape': (2, 3)}",
            "bad header at byte 44: expected a bool, got an integer",
        ),
        (
            "{'descr': '<f8', 'shape': (2, 3)}",
            'bad header at byte 10: key "fortran_order" is missing',
        ),
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-2, 3)}",
            "bad header at byte 61: dimension -2 is negative",
        ),
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), 'x': 1}",
            'bad header at byte 68: unknown key "x", expected "descr", "fortran_order" and "shape"',
        ),
        (
            "{'descr': '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
            'bad header at byte 27: key "descr" appears twice',
        ),
        (
            "{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}",
            'dtype "<q9" is not one ndlens knows',
        ),
        (
            f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**62}, 4)}}",
            f"shape [{2**62}, 4] with 8-byte elements does not fit the address space",
        ),
        (
            f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**64}, 4)}}",
            "bad header at byte 61: integer does not fit 64 bits",
        ),
        ("__import__('os').abort()", "bad header at byte 10: expected a value, got '_'"),
    ],
)
def test_a_damaged_header_says_where_and_what(header: str, text: str, path: Path) -> None:
    encoded = header.encode("latin-1")
    path.write_bytes(
        b"\x93NUMPY\x01\x00" + len(encoded).to_bytes(2, "little") + encoded + bytes(64)
    )
    error = refused(path)
    assert type(error) is nl.FormatError
    assert str(error) == f"{path}: {text}"


def test_versions_and_lengths_that_cannot_be_are_named(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x04\x00" + bytes(64))
    assert str(refused(path)) == f"{path}: .npy version 4.0 is not one of 1.0, 2.0 and 3.0"
    path.write_bytes(b"\x93NUMPY\x02\x00" + b"\xff" * 64)
    assert str(refused(path)) == f"{path}: header claims 4294967295 bytes, expected at most 1048576"


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_file_with_any_damage_opens_or_is_refused_but_never_crashes(
    data: st.DataObject, path: Path
) -> None:
    np.save(path, filled((3, 4), [("a", "<i2"), ("b", "S3")]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 140))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(content)
    try:
        view = nl.open(path)
    except nl.FormatError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - it may also open
    else:
        assert len(view.tobytes()) == view.nbytes <= len(content)


# Files that shrink.


@pytest.mark.parametrize("mode", MODES)
def test_reading_a_file_that_has_shrunk_is_an_error_and_no_signal(mode: str, path: Path) -> None:
    np.save(path, np.arange(100_000.0).reshape(100, 1000))
    program = """
        import os, sys
        import ndlens as nl
        path, mode = sys.argv[1:]
        v = nl.open(path, mode)
        os.truncate(path, 5000)
        reads = [v.copy, v.tobytes, v.tolist, v[50:].copy, v[::-1, ::2].tobytes]
        reads += [lambda: v[99, 999], lambda: v.copy("F")]
        for read in reads:
            try:
                read()
            except nl.TruncatedError as error:
                print(error)
            else:
                print("no error")
    """
    text = f"{path}: file has 5000 bytes, expected at least 800128: it was truncated while mapped"
    assert succeeds(program, str(path), mode).splitlines() == [text] * 7


def test_a_file_that_has_grown_back_can_be_read_again(path: Path) -> None:
    np.save(path, np.arange(10_000))
    content = path.read_bytes()
    v = nl.open(path, "r")
    os.truncate(path, 200)
    with pytest.raises(nl.TruncatedError) as raised:
        v.tobytes()
    assert isinstance(raised.value, OSError)
    path.write_bytes(content)
    assert v[9_999] == 9_999


def test_many_views_of_one_file_are_one_memory_only_in_read_write_mode(path: Path) -> None:
    np.save(path, np.zeros(4))
    one, other = nl.open(path, "r+"), nl.open(path, "r+")
    one.numpy()[2] = 5
    assert one.tolist() == other.tolist() == [0, 0, 5, 0]
