"""`ndlens inspect`: the facts of files, and consumers that were really tried."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.commands import ndlens, ndlens_here

import ndlens as nl

LIBRARIES = ("numpy", "torch", "jax", "ml_dtypes")


def arrays_of(directory: Path, *arguments: str) -> dict[str, Any]:
    """The arrays of the only file, by name."""
    done = ndlens_here(directory, "inspect", "--json", *arguments)
    assert done.status == 0, done
    (file,) = done.data["files"]
    return {array["name"]: array for array in file["arrays"]}


def test_an_array_is_described_and_tried(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((40, 8), np.float32))
    done = ndlens(tmp_path, "inspect", "x.npy", "--json")
    assert (done.status, done.errors) == (0, "")
    assert done.data == {
        "command": "inspect",
        "mode": "c",
        "files": [
            {
                "path": "x.npy",
                "error": None,
                "format": ".npy",
                "nbytes": 128 + 40 * 8 * 4,
                "mapped": True,
                "metadata": {},
                "samples": None,
                "arrays": [
                    {
                        "name": "",
                        "dtype": "float32",
                        "shape": [40, 8],
                        "layout": "C",
                        "strides_bytes": [32, 4],
                        "nbytes": 1280,
                        "alignment_bytes": 64,
                        "error": None,
                        "zero_copy": {"torch": True, "NumPy": True, "JAX": True},
                        "reasons": {},
                    }
                ],
            }
        ],
    }


def test_the_table_says_the_same_as_text_and_as_markdown(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((40, 8), np.float32))
    row = ["(the array)", "float32", "(40, 8)", "C", "1.3 kB", "64 B", "yes", "yes", "yes"]
    title = "x.npy: .npy, 1 array, 1.4 kB, mapped"
    done = ndlens_here(tmp_path, "inspect", "x.npy", "--markdown")
    assert done.out == (
        f"**{title}**\n\n"
        "| name | dtype | shape | layout | size | aligned to | torch | NumPy | JAX |\n"
        f"|{' --- |' * 9}\n| {' | '.join(row)} |\n\n"
    )
    lines = ndlens_here(tmp_path, "inspect", "x.npy").out.splitlines()
    assert lines[0] == title
    assert lines[3].split() == " ".join(row).split()


def test_facts_need_no_library(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 8), np.float32).T)
    for arguments, hide in ((["--facts"], ()), ([], LIBRARIES)):
        done = ndlens(tmp_path, "inspect", "x.npy", "--json", *arguments, hide=hide)
        assert done.status == 0
        ((array,),) = (file["arrays"] for file in done.data["files"])
        assert (array["dtype"], array["shape"], array["layout"]) == ("float32", [8, 4], "F")
        assert array["strides_bytes"] == [4, 32]
        assert set(array["zero_copy"].values()) <= {None}
    done = ndlens(tmp_path, "inspect", "x.npy", hide=LIBRARIES)
    assert done.status == 0
    assert "torch is not installed.\nNumPy is not installed.\nJAX is not installed.\n" in done.out


def test_facts_import_no_library(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(4))
    script = (
        "import sys; from ndlens.cli import main; assert main(sys.argv[1:]) == 0;"
        "assert not {'torch', 'numpy', 'jax'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", script, "inspect", "--facts", "x.npy"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)


def test_what_is_not_taken_has_its_reason(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", big=np.arange(3, dtype=">i4"), good=np.arange(3))
    arrays = arrays_of(tmp_path, "x.npz")
    assert arrays["big"]["zero_copy"] == {"torch": False, "NumPy": True, "JAX": False}
    assert arrays["big"]["reasons"]["torch"] == (
        "torch has no dtype for >i, numbers in big-endian byte order; "
        'convert them first, with NumPy: .astype("int32").'
    )
    printed = ndlens_here(tmp_path, "inspect", "x.npz").out
    assert "\ntorch has no dtype for >i, numbers in big-endian byte order; " in printed
    assert arrays["good"]["zero_copy"]["torch"] is True
    # In mode "r" torch would get memory that it must not write.
    read_only = arrays_of(tmp_path, "x.npz", "--mode", "r")["good"]
    assert read_only["zero_copy"]["torch"] is False
    assert read_only["zero_copy"]["NumPy"] is True
    assert "the view is read-only" in read_only["reasons"]["torch"]


def test_an_array_that_jax_would_copy_is_not_copied_to_find_out(tmp_path: Path) -> None:
    nl.save(tmp_path / "x.safetensors", {"a": bytes(8), "b": bytes(8)})
    arrays = arrays_of(tmp_path, "x.safetensors")
    for array in arrays.values():
        aligned = array["alignment_bytes"] == 64
        assert array["zero_copy"] == {"torch": True, "NumPy": True, "JAX": aligned}
        assert aligned or "past a multiple of 64" in array["reasons"]["JAX"]
    assert min(array["alignment_bytes"] for array in arrays.values()) < 64


def test_compressed_members_are_described_without_decompressing_them(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros((3, 4)), b=np.zeros(2, np.uint8))
    done = ndlens_here(tmp_path, "inspect", "x.npz")
    assert done.status == 0
    assert "(3, 4)  compressed  96 B  ?           no     no     no" in done.out
    assert (
        "a: is compressed, so it cannot be mapped; decompress it into memory with copy=True "
        "(likewise all others)"
    ) in done.out.replace("\n", " ")
    assert arrays_of(tmp_path, "x.npz")["a"]["layout"] == "compressed"


def test_metadata_and_dtypes_without_a_view_are_shown(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]},
        "v": {"dtype": "BF16", "shape": [2], "data_offsets": [3, 7]},
    }
    packed = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed + bytes(7))
    done = ndlens_here(tmp_path, "inspect", "x.safetensors", "--json")
    (file,) = done.data["files"]
    assert file["metadata"] == {"format": "pt"}
    first, second = file["arrays"]
    assert (first["dtype"], first["shape"], first["layout"]) == ("F6_E2M3", [4], "no view")
    assert "F6_E2M3" in first["error"]
    assert (second["dtype"], second["zero_copy"]["torch"]) == ("bfloat16", True)
    assert "Metadata: format = 'pt'." in ndlens_here(tmp_path, "inspect", "x.safetensors").out


def test_items_of_different_sizes_are_one_entry(tmp_path: Path) -> None:
    items = nl.ragged([np.zeros((8, 6, 3), np.uint8), np.zeros((5, 9, 3), np.uint8)])
    nl.save(tmp_path / "x.safetensors", {"image": items})
    nl.save(tmp_path / "y.safetensors", items)
    for path, name in (("x.safetensors", "image"), ("y.safetensors", "")):
        array = arrays_of(tmp_path, path)[name]
        assert (array["shape"], array["layout"]) == ([2, None, None, 3], "items")
        assert array["nbytes"] == (8 * 6 + 5 * 9) * 3
        assert array["zero_copy"]["torch"] is True


def test_an_index_is_one_checkpoint(tmp_path: Path) -> None:
    nl.save(tmp_path / "1.safetensors", {"a": bytes(64)})
    nl.save(tmp_path / "2.safetensors", {"b": bytes(64)})
    index = {"metadata": {}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    done = ndlens_here(tmp_path, "inspect", "model.safetensors.index.json", "--json", "--facts")
    (file,) = done.data["files"]
    assert file["format"] == "index of .safetensors files"
    assert [array["name"] for array in file["arrays"]] == ["a", "b"]
    sizes = [(tmp_path / f"{number}.safetensors").stat().st_size for number in (1, 2)]
    assert file["nbytes"] == sum(sizes)


def test_damaged_files_are_rows_and_the_others_are_shown(tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00junk")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "text.txt").write_text("hello")
    np.save(tmp_path / "good.npy", np.zeros(4))
    names = ["bad.npy", "objects.npy", "text.txt", "none.npy", "good.npy", "none-*.npy"]
    done = ndlens_here(tmp_path, "inspect", "--facts", "--json", *names)
    assert done.status == 1
    assert {file["path"]: file["error"] for file in done.data["files"]} == {
        "bad.npy": "truncated: file has 12 bytes, its header alone takes 30068",
        "objects.npy": (
            'dtype "|O" holds Python objects (pickle); '
            'convert before saving, for example with arr.astype("float32")'
        ),
        "text.txt": (
            'not a .npy, .npz, .safetensors or .tar file: it starts with "hello"; '
            "for raw bytes say their dtype"
        ),
        "none.npy": "No such file or directory",
        "good.npy": None,
        "none-*.npy": "no file matches",
    }
    done = ndlens_here(tmp_path, "inspect", "--facts", *names)
    assert done.status == 1
    assert "good.npy: .npy, 1 array" in done.out
    assert "Files that cannot be read" in done.out


def test_a_folder_stands_for_its_files_and_a_pattern_for_what_it_matches(tmp_path: Path) -> None:
    for name in ("a.npy", "b[1].npy"):
        np.save(tmp_path / name, np.zeros(4))
    (tmp_path / "empty").mkdir()

    def paths(*arguments: str) -> list[str]:
        done = ndlens_here(tmp_path, "inspect", "--facts", "--json", *arguments)
        return [file["path"] for file in done.data["files"] if file["error"] is None]

    assert paths(".") == paths("*.npy") == ["a.npy", "b[1].npy"]
    assert paths("b[1].npy") == ["b[1].npy"]
    done = ndlens_here(tmp_path, "inspect", "empty")
    assert done.status == 1
    assert "no .npy, .npz, .safetensors or .tar file in this folder" in done.out


@pytest.mark.timeout(60)
def test_a_checkpoint_of_ten_thousand_arrays_is_shown_in_seconds(tmp_path: Path) -> None:
    nl.save(tmp_path / "x.safetensors", {f"layer.{i}.weight": bytes(4) for i in range(10_000)})
    done = ndlens_here(tmp_path, "inspect", "x.safetensors")
    assert done.status == 0
    assert "x.safetensors: .safetensors, 10,000 arrays" in done.out
    assert "In all: 10,000 of uint8 (40 kB)." in done.out
    # A pipe gets them all; a reason that most share is given once.
    assert "layer.9999.weight" in done.out
    assert done.out.count("past a multiple of 64") == 1


def test_a_terminal_gets_the_first_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ndlens.cli import main

    nl.save(tmp_path / "x.safetensors", {f"w{i:02}": bytes(4) for i in range(100)})
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    path = str(tmp_path / "x.safetensors")
    assert main(["inspect", "--facts", path]) == 0
    out = capsys.readouterr().out
    assert "w59" in out
    assert "w60" not in out
    assert "40 more arrays are not shown: say --all." in out
    assert main(["inspect", "--facts", "--all", path]) == 0
    assert "w99" in capsys.readouterr().out


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    nl.save(tmp_path / "x.safetensors", {"a\x1b[2J": bytes(4)})
    for format in ([], ["--markdown"]):
        done = ndlens_here(tmp_path, "inspect", "--facts", "x.safetensors", *format)
        assert "\x1b" not in done.out
        assert "a\\x1b[2J" in done.out


def test_the_fields_of_samples_are_counted(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("a.jpg", "a.cls", "b.png", "b.cls", "c.jpg", "c.cls"):
            info = tarfile.TarInfo(name)
            info.size = 1 if name.endswith("cls") else 10 + ord(name[0])
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    done = ndlens_here(tmp_path, "inspect", "x.tar", "--facts")
    assert (done.status, done.errors) == (0, "")
    assert "x.tar: tar archive, 3 samples, 3 fields, " in done.out
    assert "jpg: present in 2 of 3 samples." in done.out
    assert "png: present in 1 of 3 samples." in done.out
    assert "cls: present" not in done.out
    assert "?" not in done.out.replace("(2, ?)", "")
    (file,) = ndlens_here(tmp_path, "inspect", "x.tar", "--json").data["files"]
    assert file["samples"] == 3
    shown = {each["name"]: (each["shape"], each["nbytes"]) for each in file["arrays"]}
    assert shown == {
        "jpg": ([2, None], 2 * 10 + ord("a") + ord("c")),
        "png": ([1, 10 + ord("b")], 10 + ord("b")),
        "cls": ([3, 1], 3),
    }
