"""`ndlens pack`: what it writes, and what it says of images that cannot be decoded."""

from __future__ import annotations

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
    assert 'on_error="skip" leaves such images out' in done.errors
    done = ndlens_here(tmp_path, "pack", "photos", "out.safetensors", "--skip", "--format", "jpeg")
    assert done.status == 1
    assert "Left out: 1" in done.out
    assert len(nl.images(nl.open(tmp_path / "out.safetensors")["image"])) == 2
