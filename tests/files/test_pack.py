"""`nl.pack`: images made once, in a file that others read, and that a killed run goes on with."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from torchvision.transforms import v2

import ndlens as nl
from ndlens import _ndlens
from ndlens import transforms as T


def photographs(folder: Path, count: int = 12, side: int = 40) -> Path:
    """A folder of PNG images of two classes, of different sizes."""
    generator = np.random.default_rng(0)
    for number in range(count):
        pixels = generator.integers(0, 256, (side + number % 7, side + 5, 3), dtype=np.uint8)
        path = folder / ("cat" if number < count // 2 else "dog") / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> nl.ImageFolder:
    return nl.image_folder(photographs(tmp_path / "photos"))


def test_pixels_are_those_of_the_images_after_the_transforms(
    folder: nl.ImageFolder, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "set.safetensors"
    packed = nl.pack(folder, path, transforms=[T.Resize(24)], metadata={"made": "today"})
    assert packed == (str(path), 12, [])
    assert names(tmp_path / "out") == ["set.safetensors"]
    opened: Any = nl.open(path)
    assert list(opened) == ["image", "label"]
    assert opened.metadata == {"made": "today", "ndlens.classes": '["cat", "dog"]'}
    assert opened["label"].tolist() == folder.targets
    for image, source in zip(opened["image"], folder.images, strict=True):
        expected = T.replay([T.Resize(24)], source[None], [{}])[0]
        assert image.shape == expected.shape
        assert min(image.shape[:2]) == 24
        assert np.array_equal(image, expected)
    loader = nl.Loader(opened, batch_size=5, transforms={"image": [T.CenterCrop(20)]})
    assert [tuple(batch["image"].shape) for batch in loader][-1] == (2, 20, 20, 3)


def test_other_readers_see_ordinary_tensors(folder: nl.ImageFolder, tmp_path: Path) -> None:
    fields = {"image": folder.images, "wide": np.arange(12.0), "text": nl.ragged([b"a"] * 12)}
    path = tmp_path / "set.safetensors"
    nl.pack(fields, path, progress=False)
    with safe_open(path, "np") as tensors:
        assert sorted(tensors.keys()) == sorted(
            [
                f"{name}.{part}"
                for name in ("image", "text")
                for part in ("data", "offsets", "shapes")
            ]
            + ["wide"]
        )
        assert tensors.get_tensor("wide").tolist() == list(range(12))
        starts = tensors.get_tensor("image.offsets")
        data = tensors.get_tensor("image.data")
        shape = tensors.get_tensor("image.shapes")[3]
        image = data[starts[3] : starts[4]].reshape(shape)
        assert np.array_equal(image, folder.images[3])
    opened: Any = nl.open(path)
    assert [bytes(item) for item in opened["text"]] == [b"a"] * 12
    # Of both the first element is aligned.
    for view in (opened["wide"], opened["image"].data):
        assert view.__array_interface__["data"][0] % 8 == 0


def test_jpeg_is_kept_as_bytes(folder: nl.ImageFolder, tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    nl.pack(folder, path, transforms=[T.Resize(24)], format="jpeg", quality=90, progress=False)
    opened: Any = nl.open(path)
    images = nl.images(opened["image"])
    assert len(images) == 12
    assert images[0].shape == (24, 27, 3)
    assert Image.open(io.BytesIO(opened["image"][0])).format == "JPEG"
    with pytest.raises(ValueError, match="quality must be from 1 to 100, got 0"):
        nl.pack(folder, tmp_path / "bad.safetensors", format="jpeg", quality=0, progress=False)


def test_images_of_archives_are_packed(folder: nl.ImageFolder, tmp_path: Path) -> None:
    encoded = [Path(path).read_bytes() for path, _ in folder.samples]
    images = nl.images(nl.ragged(encoded))
    nl.pack(images, tmp_path / "set.safetensors", progress=False)
    opened: Any = nl.open(tmp_path / "set.safetensors")
    assert all(np.array_equal(a, b) for a, b in zip(opened["image"], images, strict=True))


def test_images_that_fail_are_named_or_left_out(folder: nl.ImageFolder, tmp_path: Path) -> None:
    bad = Path(folder.samples[4][0])
    good = bad.read_bytes()
    bad.write_bytes(good[:50])
    path = tmp_path / "set.safetensors"
    with pytest.raises(nl.ImageError, match=str(bad)) as failed:
        nl.pack(folder, path, progress=False)
    hidden = tmp_path / ".set.safetensors.ndlens-pack"
    assert failed.value.__notes__ == [
        f"4 of 12 images are in the unfinished file {hidden}; call again to go on after them",
        'on_error="skip" leaves such images out',
    ]
    assert not path.exists()
    packed = nl.pack(folder, path, on_error="skip", progress=False)
    assert packed.items == 11
    ((number, error),) = packed.skipped
    assert number == 4
    assert str(bad) in error
    opened: Any = nl.open(path)
    assert opened["label"].tolist() == [0] * 5 + [1] * 6
    assert np.array_equal(opened["image"][4], folder.images[5])
    with pytest.raises(FileExistsError, match="there is a file of this name; remove it first"):
        nl.pack(folder, path, progress=False)
    lost = nl.images([bad])
    with pytest.raises(ValueError, match=r"none\.safetensors: no image could be packed; the first"):
        nl.pack(lost, tmp_path / "none.safetensors", on_error="skip", progress=False)


def test_what_cannot_be_packed_is_refused_in_words(folder: nl.ImageFolder, tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    with pytest.raises(
        ValueError, match="RandomHorizontalFlip is random, and images that are packed"
    ):
        nl.pack(folder, path, transforms=[T.RandomHorizontalFlip()], progress=False)
    with pytest.raises(TypeError, match="got 0 fields of images in"):
        nl.pack({"label": folder.labels}, path)
    with pytest.raises(TypeError, match=r"pack takes nl.images"):
        nl.pack([1, 2], path)
    with pytest.raises(ValueError, match="'image' has 12 items, 'label' has 3"):
        nl.pack({"image": folder.images, "label": np.arange(3)}, path)
    with pytest.raises(ValueError, match=r"expected a name that ends in \.safetensors"):
        nl.pack(folder, tmp_path / "set.npy")
    with pytest.raises(ValueError, match='format must be "pixels" or "jpeg"'):
        nl.pack(folder, path, format="png")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match='on_error must be "raise" or "skip"'):
        nl.pack(folder, path, on_error="no")  # type: ignore[arg-type]  # what is tested


def test_calls_that_are_refused_leave_no_file(folder: nl.ImageFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = out / "set.safetensors"
    refused: list[tuple[Any, dict[str, Any]]] = [
        (folder, {"transforms": [T.RandomCrop(8)]}),
        (folder, {"transforms": v2.Compose([v2.RandomCrop(8)])}),
        (folder, {"transforms": [v2.GaussianBlur(3)]}),
        (folder, {"transforms": T.Resize(8)}),
        (folder, {"metadata": {"made": 3}}),
        (folder, {"metadata": {"ndlens.classes": "[]"}}),
        (folder, {"format": "jpeg", "quality": 300}),
        (folder, {"format": "jpeg", "transforms": [T.ToDtype("float32")]}),
        (folder.images[:0], {}),
        ({"image": folder.images, "image.data": np.arange(12)}, {}),
    ]
    for source, options in refused:
        with pytest.raises((TypeError, ValueError)):
            nl.pack(source, path, progress=False, **options)
        assert names(out) == [], options
    with pytest.raises(FileNotFoundError, match="there is no such folder to write to"):
        nl.pack(folder, out / "none" / "set.safetensors", progress=False)
    Path(folder.samples[0][0]).write_bytes(b"")
    with pytest.raises(nl.ImageError) as failed:
        nl.pack(folder, path, progress=False)
    assert failed.value.__notes__[0] == (
        "no image was made before it, and no unfinished file is left"
    )
    assert names(out) == []
    with pytest.raises(ValueError, match="no image could be packed"):
        nl.pack(folder.images[:1], path, on_error="skip", progress=False)
    assert names(out) == []


def test_images_before_one_that_fails_are_kept(
    folder: nl.ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = tmp_path / "whole.safetensors", tmp_path / "set.safetensors"
    Path(folder.samples[7][0]).write_bytes(b"")
    steps = [T.ToDtype("float32")]
    nl.pack(folder, whole, transforms=steps, on_error="skip", progress=False)
    with pytest.raises(nl.ImageError):
        nl.pack(folder, path, transforms=steps, progress=False)
    prepared: list[tuple[int, int]] = []
    prepare = _ndlens._prepare_images

    def noted(images: nl.Images, start: int, stop: int, *rest: Any) -> Any:
        prepared.append((start, stop))
        return prepare(images, start, stop, *rest)

    monkeypatch.setattr(_ndlens, "_prepare_images", noted)
    nl.pack(folder, path, transforms=steps, on_error="skip", progress=False)
    assert prepared == [(0, 0), (7, 12)]  # the first checks the transforms
    assert path.read_bytes() == whole.read_bytes()


def test_a_pack_goes_on_after_a_file_was_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs(tmp_path / "photos")
    paths = sorted(str(path) for path in (tmp_path / "photos").rglob("*.png"))
    target = tmp_path / "x.safetensors"
    whole = Path(paths[7]).read_bytes()
    Path(paths[7]).write_bytes(whole[:200])
    with pytest.raises(nl.ImageError, match="truncated after 200 bytes"):
        nl.pack(nl.images(paths), target, progress=False)
    Path(paths[7]).write_bytes(whole)
    # Where the folder lies does not matter.
    monkeypatch.chdir(tmp_path)
    here = [os.path.relpath(path) for path in paths]
    assert nl.pack(nl.images(here), target, progress=False).items == len(paths)
    packed: Any = nl.open(target)
    for item, image in zip(packed["image"], nl.images(paths), strict=True):
        np.testing.assert_array_equal(item, image)
    assert names(tmp_path) == ["photos", "x.safetensors"]


def test_torchvisions_transforms_are_taken_as_the_loader_takes_them(
    folder: nl.ImageFolder, tmp_path: Path
) -> None:
    made: list[bytes] = []
    for number, steps in enumerate(
        (
            [T.Resize(24), T.CenterCrop(20)],
            v2.Compose([v2.ToImage(), v2.Resize(24), v2.CenterCrop(20)]),
            [v2.Resize(24), T.CenterCrop(20)],
        )
    ):
        path = tmp_path / f"{number}.safetensors"
        nl.pack(folder, path, transforms=steps, progress=False)
        made.append(path.read_bytes())
    assert made[0] == made[1] == made[2]
    opened: Any = nl.open(tmp_path / "1.safetensors")
    steps = v2.Compose([v2.Resize(24), v2.CenterCrop(20)])
    for batch in nl.Loader(folder, batch_size=12, transforms={"image": steps}, output="numpy"):
        assert np.array_equal(
            np.stack([item.numpy() for item in opened["image"]]),
            batch["image"].transpose(0, 2, 3, 1),
        )
    with pytest.raises(
        ValueError, match="RandomHorizontalFlip is random, and images that are packed"
    ):
        nl.pack(folder, tmp_path / "x.safetensors", transforms=[v2.RandomHorizontalFlip()])


def test_the_names_of_classes_are_in_the_metadata(folder: nl.ImageFolder, tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    nl.pack(folder, path, progress=False)
    opened: Any = nl.open(path)
    classes = json.loads(opened.metadata["ndlens.classes"])
    assert [classes[label] for label in opened["label"].tolist()] == ["cat"] * 6 + ["dog"] * 6
    with pytest.raises(ValueError, match=r"metadata has 'ndlens\.classes', where pack writes"):
        nl.pack(folder, tmp_path / "x.safetensors", metadata={"ndlens.classes": "[]"})
    # Fields that are no folder have none, and the caller may name them.
    nl.pack(dict(folder), tmp_path / "y.safetensors", metadata={"ndlens.classes": "[]"})
    named: Any = nl.open(tmp_path / "y.safetensors")
    assert named.metadata == {"ndlens.classes": "[]"}


PROGRAM = """
import sys, time
import ndlens as nl
from ndlens import transforms as T
from ndlens import _pack, _pack_file
_pack.BLOCK = 4
append = _pack_file.PackFile.append
def slowly(*arguments, **options):
    time.sleep(0.01)
    append(*arguments, **options)
_pack_file.PackFile.append = slowly
nl.pack(nl.image_folder(sys.argv[1]), sys.argv[2], transforms=[T.Resize(16)], num_workers=2)
"""


def test_a_killed_run_goes_on_to_an_equal_file(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", 160)
    (tmp_path / "out").mkdir()
    path, whole = tmp_path / "out" / "set.safetensors", tmp_path / "whole.safetensors"
    journal = tmp_path / "out" / ".set.safetensors.ndlens-journal"
    subprocess.run([sys.executable, "-c", PROGRAM, photos, whole], check=True)
    chance = random.Random(0)
    killed, done = 0, 0
    while not path.exists():
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, photos, path])
        # Once the run has gone on, at any moment.
        while child.poll() is None and not (journal.exists() and journal.stat().st_size > done):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.1))
        child.send_signal(signal.SIGKILL)
        if child.wait() != 0:
            killed += 1
        done = journal.stat().st_size if journal.exists() else 0
    assert killed > 3
    assert path.read_bytes() == whole.read_bytes()
    assert names(tmp_path / "out")[-1] == "set.safetensors"


def test_a_journal_that_ends_within_a_line_is_gone_on_with(
    folder: nl.ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ndlens import _pack, _pack_file

    monkeypatch.setattr(_pack, "BLOCK", 3)
    whole, path = tmp_path / "whole.safetensors", tmp_path / "set.safetensors"
    nl.pack(folder, whole, progress=False)
    monkeypatch.setattr(_pack_file.PackFile, "finish", lambda *_: os.abort)
    with pytest.raises(TypeError):
        nl.pack(folder, path, progress=False)
    monkeypatch.undo()
    journal = tmp_path / ".set.safetensors.ndlens-journal"
    lines = journal.read_bytes()
    for length in (len(lines) - 1, len(lines) - 30, lines.index(b"\n") + 2, 10, 0):
        journal.write_bytes(lines[:length])
        monkeypatch.setattr(_pack_file.PackFile, "finish", lambda *_: os.abort)
        with pytest.raises(TypeError):
            nl.pack(folder, path, progress=False)
        monkeypatch.undo()
    # Of other options it is not.
    with pytest.raises(ValueError, match="an unfinished pack of other images or other options"):
        nl.pack(folder, path, transforms=[T.Resize(8)], progress=False)
    nl.pack(folder, path, progress=False)
    assert path.read_bytes() == whole.read_bytes()


def test_two_processes_do_not_pack_one_file(folder: nl.ImageFolder, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".set.safetensors.ndlens-journal").open("wb") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="another process packs this file"):
            nl.pack(folder, tmp_path / "set.safetensors", progress=False)
