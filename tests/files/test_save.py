"""What `nl.save` promises: files that NumPy and safetensors read, complete or not at all."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file
from tests.helpers.loading import succeeds
from tests.helpers.opened import open_arrays
from tests.helpers.samples import DTYPES, RECORDS, SIMPLE, filled

import ndlens as nl


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "array.npy"


def only(path: Path) -> bool:
    """Whether there is nothing else where the file is."""
    return [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("dtype", [*SIMPLE, *(f">{code}" for code in "hHiIqQefdFD"), ">U3"])
def test_numpy_loads_what_was_saved(dtype: str, path: Path) -> None:
    for shape in [(), (5,), (2, 3), (2, 3, 4), (2, 0)]:
        a = filled(shape, dtype)
        nl.save(path, a)
        got = np.load(path)
        assert (got.dtype, got.shape) == (a.dtype, a.shape)
        assert got.tobytes() == a.tobytes()
        np.save(path.with_name("numpy.npy"), a)
        assert path.read_bytes() == path.with_name("numpy.npy").read_bytes()


@pytest.mark.parametrize("dtype", RECORDS, ids=[str(np.dtype(dtype)) for dtype in RECORDS])
def test_records_come_back_as_they_were_saved(dtype: Any, path: Path) -> None:
    a = filled((2, 3), dtype)
    nl.save(path, a)
    for got in (np.load(path), nl.open(path).numpy()):
        assert got.dtype.names == a.dtype.names
        assert got.dtype.itemsize == a.dtype.itemsize
        assert np.array_equal(got, a)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    a=npst.arrays(
        dtype=npst.scalar_dtypes().filter(
            lambda dtype: dtype.kind not in "Mm" and dtype.itemsize > 0
        ),
        shape=npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
    ),
    data=st.data(),
)
def test_any_view_is_saved_in_its_own_order(a: np.ndarray[Any, Any], data: Any, path: Path) -> None:
    view = a.transpose(data.draw(st.permutations(range(a.ndim))))
    view = view[data.draw(npst.basic_indices(view.shape, allow_ellipsis=False))]
    view = np.asarray(view)
    nl.save(path, nl.view(view))
    got = np.load(path)
    assert (got.dtype, got.shape) == (view.dtype, view.shape)
    assert got.tobytes() == view.tobytes()
    assert got.flags.c_contiguous or view.flags.f_contiguous
    assert got.flags.f_contiguous or not view.flags.f_contiguous


def test_large_arrays_are_written_in_pieces_and_right(path: Path) -> None:
    base = np.arange(3 * 1000 * 1300, dtype=np.int32).reshape(3, 1000, 1300)
    wide = np.arange(1 << 20, dtype=np.float64)
    arrays: list[np.ndarray[Any, Any]] = [
        base,
        base[:, ::2, ::-1],
        base.T,
        base.transpose(0, 2, 1),
        wide[::3],
        wide.reshape(2, -1)[:, ::-1],
    ]
    for a in arrays:
        nl.save(path, a)
        got = np.load(path)
        assert np.array_equal(got, a)
        assert got.flags.c_contiguous == (not a.flags.f_contiguous)
    huge = np.array([b"x" * 3_000_000, b"y" * 2_999_999])
    nl.save(path, huge)
    assert np.array_equal(np.load(path), huge)


def test_saving_needs_no_second_copy(path: Path) -> None:
    program = """
        import sys
        import numpy as np
        import ndlens as nl

        def peak():
            return int(
                next(
                    line for line in open("/proc/self/status") if line.startswith("VmHWM")
                ).split()[1]
            )

        a = np.ones((200, 1000, 200), np.uint8)
        before = peak()
        for view in (a, a[::-1, ::2], a.transpose(2, 1, 0)):
            nl.save(sys.argv[1], view)
        print(peak() - before < 8 * 1024)
    """
    assert succeeds(program, str(path)) == "True\n"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_safetensors_loads_what_was_saved(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensor = (
        torch.arange(24, dtype=torch.uint8).view(dtype)
        if dtype != torch.bool
        else torch.ones(3).bool()
    )
    nl.save(path, {"x": tensor, "empty": torch.zeros(0, 3), "scalar": torch.tensor(1.5)})
    got = load_file(path)
    assert got["x"].dtype == dtype
    assert torch.equal(got["x"].view(torch.uint8), tensor.view(torch.uint8))
    assert (got["empty"].shape, got["scalar"].item()) == ((0, 3), 1.5)


def test_a_mapping_of_anything_that_is_a_view_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    a = np.arange(24, dtype="f4").reshape(2, 3, 4)
    nl.save(
        path,
        {
            "strided": a[:, ::-1, ::2],
            "fortran": a.T,
            "bytes": b"abc",
            "view": nl.view(a)[0],
            "ü/": a,
        },
    )
    got = load_numpy(path)
    assert np.array_equal(got["strided"], a[:, ::-1, ::2])
    assert np.array_equal(got["fortran"], a.T)
    assert got["bytes"].tobytes() == b"abc"
    assert np.array_equal(got["view"], a[0])
    nl.save(path, nl.open(path))
    assert {name: array.tolist() for name, array in load_numpy(path).items()} == {
        name: array.tolist() for name, array in got.items()
    }
    nl.save(path, {})
    assert load_numpy(path) == {}
    assert len(nl.open(path)) == 0


def test_the_data_is_aligned_for_every_dtype(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    nl.save(path, {f"{name}": np.zeros(3, name) for name in ["u1", "c8", "f8", "i2", "?", "f4"]})
    for view in open_arrays(path).values():
        assert view.__array_interface__["data"][0] % view.itemsize == 0


def test_shards_are_saved_as_one_array(tmp_path: Path) -> None:
    for i in range(3):
        np.save(tmp_path / f"s{i}.npy", np.asfortranarray(np.full((i + 1, 2, 2), i)))
    shards = nl.open(str(tmp_path / "s*.npy"))
    nl.save(tmp_path / "all.npy", shards)
    assert np.load(tmp_path / "all.npy")[:, 0, 0].tolist() == [0, 1, 1, 2, 2, 2]


# Whole or not at all.


def test_a_view_of_the_old_file_stays_and_can_be_saved_to_its_own_place(path: Path) -> None:
    np.save(path, np.arange(1000))
    old = nl.open(path, "r")
    nl.save(path, old[::-1])
    assert old.tolist() == list(range(1000))
    assert np.load(path).tolist() == list(range(999, -1, -1))
    nl.save(path, nl.open(path)[:3])
    assert np.load(path).tolist() == [999, 998, 997]
    assert only(path)


def test_a_new_file_has_the_rights_that_open_gives_and_an_old_one_keeps_its_own(path: Path) -> None:
    with path.with_name("other").open("w") as file:
        expected = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    nl.save(path, b"abc")
    assert stat.S_IMODE(path.stat().st_mode) == expected
    path.chmod(0o604)
    nl.save(path, b"abc")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_link_is_followed(path: Path) -> None:
    link = path.with_name("link.npy")
    link.symlink_to(path.name)
    nl.save(path, b"abc")
    nl.save(link, b"de")
    assert link.is_symlink()
    assert np.load(path).tolist() == list(b"de")


def test_a_file_in_the_working_directory_needs_no_directory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    nl.save(path.name, b"abc")
    nl.save(os.fsencode(path.name), b"abcd")
    assert np.load(path).tolist() == list(b"abcd")


def test_what_fails_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    np.save(path, np.arange(3))
    cut = path.parent / "cut"
    cut.mkdir()
    np.save(cut / "cut.npy", np.zeros(3_000_000, np.uint8))
    view = nl.open(cut / "cut.npy")
    os.truncate(cut / "cut.npy", 1000)
    with pytest.raises(nl.TruncatedError):
        nl.save(path, view)
    (cut / "cut.npy").unlink()
    cut.rmdir()
    assert np.load(path).tolist() == [0, 1, 2]
    assert only(path)


def test_a_full_disk_is_an_os_error_that_names_the_file(path: Path) -> None:
    program = """
        import os, resource, signal, sys
        import numpy as np
        import ndlens as nl
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        nl.save(sys.argv[1], np.arange(3))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, resource.RLIM_INFINITY))
        try:
            nl.save(sys.argv[1], np.zeros(3_000_000, np.uint8))
        except OSError as error:
            print(error.errno, error.filename == sys.argv[1], np.load(sys.argv[1]).tolist())
    """
    assert resource.RLIMIT_FSIZE is not None
    assert succeeds(program, str(path)) == f"{errno.EFBIG} True [0, 1, 2]\n"
    assert only(path)


def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(path: Path) -> None:
    program = """
        import sys
        import numpy as np
        import ndlens as nl
        for i in range(10**6):
            nl.save(sys.argv[1], np.full(400_000, i))
            print(i, flush=True)
    """
    for delay in (0.0, 0.003, 0.011):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        seen = [0, *map(int, process.communicate()[0].split())]
        got = np.load(path)
        assert got.shape == (400_000,)
        assert (got == got[0]).all()
        assert got[0] in (seen[-1], seen[-1] + 1)
        assert all(
            left == path or left.name.startswith(".array.npy.") for left in path.parent.iterdir()
        )
        assert len(np.atleast_1d(nl.open(path))) == 400_000


# Errors.


@pytest.mark.parametrize(
    ("name", "obj", "kind", "text"),
    [
        ("x.txt", b"abc", ValueError, "x.txt: expected a name that ends in .npy or .safetensors"),
        ("x", {"a": b"abc"}, ValueError, "x: expected a name that ends in .npy or .safetensors"),
        (
            "x.npz",
            {"a": b"abc"},
            ValueError,
            "x.npz: expected a name that ends in .npy or .safetensors",
        ),
        ("x.npy", {"a": b"abc"}, TypeError, "x.npy: .npy holds one array, got arrays by name"),
        (
            "x.safetensors",
            b"abc",
            TypeError,
            (
                "x.safetensors: .safetensors holds arrays by name, got one array: give it a name,"
                ' {"name": array}'
            ),
        ),
        (
            "x.npy",
            torch.zeros(2, dtype=torch.bfloat16),
            TypeError,
            (
                "x.npy: the format has no dtype bfloat16; save it as .safetensors, or its bytes: "
                'view.reinterpret("uint8")'
            ),
        ),
        (
            "x.safetensors",
            {"w": np.zeros(2, "c16")},
            TypeError,
            (
                'x.safetensors: tensor "w": the format has no dtype complex128; convert it, or save'
                ' its bytes: view.reinterpret("uint8")'
            ),
        ),
        (
            "x.safetensors",
            {"w": np.zeros(2, ">f4")},
            TypeError,
            (
                'x.safetensors: tensor "w": the format has no dtype >f; it has big-endian byte'
                ' order; convert it first, with NumPy: .astype(x.dtype.newbyteorder("="))'
            ),
        ),
        (
            "x.safetensors",
            {"__metadata__": b""},
            ValueError,
            'x.safetensors: no tensor can have the name "__metadata__"',
        ),
        ("x.safetensors", {3: b""}, TypeError, "names of arrays must be strings, got 3"),
        (
            "x.safetensors",
            {"w": None},
            TypeError,
            (
                'array "w": nl.view needs an object with the buffer protocol, DLPack or'
                " __array_interface__, got NoneType"
            ),
        ),
    ],
)
def test_what_cannot_be_saved_says_why(
    name: str,
    obj: Any,
    kind: type[Exception],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as raised:
        nl.save(name, obj)
    assert type(raised.value) is kind
    assert str(raised.value) == text
    assert not [*tmp_path.iterdir()]


def test_the_order_of_arguments_of_torch_save_is_refused(tmp_path: Path) -> None:
    save: Any = nl.save
    for path in (tmp_path / "x.npy", str(tmp_path / "x.npy")):
        with pytest.raises(TypeError) as raised:
            save(np.zeros(3), path)
        assert str(raised.value) == (
            "nl.save takes the path first, nl.save(path, obj), got ndarray and then the path"
        )


def test_a_place_where_nothing_can_be_written_is_the_systems_error(tmp_path: Path) -> None:
    for name, kind in [("nowhere/x.npy", FileNotFoundError), ("file/x.npy", NotADirectoryError)]:
        (tmp_path / "file").touch()
        with pytest.raises(kind) as raised:
            nl.save(tmp_path / name, b"abc")
        assert raised.value.filename == str(tmp_path / name)
    (tmp_path / "directory.npy").mkdir()
    os.mkfifo(tmp_path / "fifo.npy")
    for name, what in [("directory.npy", "a directory"), ("fifo.npy", "a FIFO")]:
        place = re.escape(str(tmp_path / name))
        with pytest.raises(nl.FormatError, match=f"^{place}: not a regular file but {what}$"):
            nl.save(tmp_path / name, b"abc")
