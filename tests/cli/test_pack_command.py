"""`ndlens pack`: what it writes, and what it says of images that cannot be decoded."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.helpers.commands import ndlens_here

import ndlens as nl


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), len(name), np.uint8)).save(path)
    return tmp_path / "photos"


def test_a_folder_becomes_one_file(photos: Path, tmp_path: Path) -> None:
    done = ndlens_here(tmp_path, "pack", "photos", "out.safetensors", "--resize", "10", "--json")
    assert done.status == 0
    assert done.data["items"] == 3
    opened: Any = nl.open(tmp_path / "out.safetensors")
    assert opened["image"].shape == (3, 10, 15, 3)
    assert opened["label"].tolist() == [0, 0, 1]
    again = ndlens_here(tmp_path, "pack", "photos", "out.safetensors")
    assert again.status == 2
    assert "there is a file of this name; remove it first" in again.errors


def test_images_that_cannot_be_decoded_are_named(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "2.png").write_bytes(b"no image")
    done = ndlens_here(tmp_path, "pack", "photos", "out.safetensors")
    assert done.status == 2
    assert "photos/cat/2.png" in done.errors
    assert (
        "1 of 3 images are in the unfinished file .out.safetensors.ndlens-pack; call again to go "
        "on after them; --skip leaves such images out" in done.errors
    )
    done = ndlens_here(tmp_path, "pack", "photos", "out.safetensors", "--skip")
    assert done.status == 1
    assert "Left out: 1" in done.out
    opened: Any = nl.open(tmp_path / "out.safetensors")
    assert len(opened["image"]) == 2
    jpegs = ("pack", "photos", "jpegs.safetensors", "--skip", "--format", "jpeg")
    assert ndlens_here(tmp_path, *jpegs).status == 1
    opened = nl.open(tmp_path / "jpegs.safetensors")
    assert len(nl.images(opened["image"])) == 2


def test_files_of_formats_that_are_not_decoded_name_the_options(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "cat" / "3.bmp").write_bytes(b"BM")
    done = ndlens_here(tmp_path, "pack", "photos", "out.safetensors")
    assert done.status == 2
    assert (
        "photos/cat/3.bmp: .bmp files are not decoded, only JPEG, PNG and WebP; convert them, or "
        "leave them out with --extensions .jpg,.jpeg,.png,.webp or with --skip" in done.errors
    )
    done = ndlens_here(tmp_path, "pack", "photos", "out.safetensors", "--skip", "--json")
    assert done.status == 1
    ((left_out,), items) = done.data["skipped"], done.data["items"]
    assert left_out["error"].startswith("photos/cat/3.bmp: not a JPEG, PNG or WebP image")
    assert items == 3
    done = ndlens_here(tmp_path, "pack", "photos", "some.safetensors", "--extensions", ".jpg, .PNG")
    assert done.status == 0
    done = ndlens_here(tmp_path, "pack", "photos", "none.safetensors", "--extensions", ",")
    assert "--extensions must be ends of names, such as .jpg,.png" in done.errors


def test_a_source_that_is_not_there_is_said(photos: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["none", "x.safetensors"], "none: there is no such folder or file"),
        (["none*.jpg", "x.safetensors"], "no file matches none*.jpg"),
        (["photos", "none/x.safetensors"], "none: there is no such folder to write to"),
        (
            ["photos/cat", "x.safetensors"],
            "photos/cat has no folder for each class; of images without classes give a quoted "
            "pattern, such as 'photos/cat/*.jpg'",
        ),
    ):
        done = ndlens_here(tmp_path, "pack", *arguments)
        assert (done.status, done.out) == (2, "")
        assert message in done.errors
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_samples_without_an_image_are_left_out_with_skip(photos: Path, tmp_path: Path) -> None:
    image = (photos / "cat" / "1.png").read_bytes()
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, data in (("a.png", image), ("a.cls", b"3"), ("b.cls", b"4")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    done = ndlens_here(tmp_path, "pack", "x.tar", "x.safetensors")
    assert "1 of 2 samples have no 'png': say --skip to leave them out" in done.errors
    done = ndlens_here(tmp_path, "pack", "x.tar", "x.safetensors", "--skip")
    assert done.status == 1
    assert "Left out: samples without 'png' or 'cls', 1 in all." in done.out
    opened: Any = nl.open(tmp_path / "x.safetensors")
    assert opened["label"].tolist() == [3]
