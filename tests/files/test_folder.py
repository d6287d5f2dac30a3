"""`nl.image_folder` beside torchvision's `ImageFolder`: the same classes, files and errors."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

import ndlens as nl
from ndlens import transforms as T


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root as people have it: nested folders, links, hidden files, names in any case."""
    root = tmp_path / "root"
    names = ["b/10.jpg", "b/9.JPG", "b/x.jpeg", "b/.hidden.png", "b/notes.txt", "b/no_suffix"]
    names += [
        "B/1.WebP",
        "a b/z/1.png",
        "a b/z.z/1.png",
        "a b/z-/1.png",
        "a b/2.png",
        "a b/z/y/0.png",
    ]
    names += ["\u00fc/\u00e9.png", ".hidden/1.png", "10/1.png", "9/1.png", "9/.d/1.png", "file.jpg"]
    touch(root, *names)
    touch(tmp_path, "elsewhere/7.png", "elsewhere/sub/8.png", "alone.png")
    (root / "b" / "link").symlink_to(tmp_path / "elsewhere")
    (root / "b" / "link.png").symlink_to(tmp_path / "alone.png")
    (root / "b" / "dangling.png").symlink_to(tmp_path / "nowhere")
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    return root


@pytest.mark.parametrize("how", ["str", "path", "slash"])
def test_classes_and_files_are_those_of_torchvision(tree: Path, how: str) -> None:
    root: Any = {"str": str(tree), "path": tree, "slash": f"{tree}/"}[how]
    theirs, ours = ImageFolder(root), nl.image_folder(root)
    assert ours.samples == theirs.samples == ours.imgs
    assert len(ours.images) == 21
    assert ours.classes == theirs.classes
    assert ours.class_to_idx == theirs.class_to_idx
    assert ours.targets == theirs.targets == ours.labels.tolist()
    assert ours.labels.dtype == "int64"
    assert ours.labels.readonly


@pytest.mark.parametrize("chosen", [{"is_valid_file": lambda path: "1" in path}, {}])
def test_chosen_files_are_those_of_torchvision(tree: Path, chosen: Any) -> None:
    touch(tree, "empty/notes.txt", "empty/1.txt")
    theirs = ImageFolder(str(tree), allow_empty=True, **chosen)
    ours = nl.image_folder(tree, allow_empty=True, **chosen)
    assert ours.samples == theirs.samples
    png = nl.image_folder(tree, extensions=[".png"], allow_empty=True)
    assert png.samples == [
        sample
        for sample in ImageFolder(tree, allow_empty=True).samples
        if sample[0].lower().endswith(".png")
    ]


def test_errors_are_those_of_torchvision(tmp_path: Path) -> None:
    touch(tmp_path, "none/1.jpg", "some/b/1.jpg", "some/a/1.txt", "some/c/1.txt")
    cases: list[tuple[str, Any]] = [
        ("missing", {}),
        ("none", {}),
        ("some", {}),
        ("some", {"is_valid_file": lambda path: path.endswith(".jpg")}),
        ("none/1.jpg", {}),
    ]
    for root, chosen in cases:
        with pytest.raises(OSError) as theirs:  # noqa: PT011  # compared below
            ImageFolder(str(tmp_path / root), **chosen)
        with pytest.raises(type(theirs.value)) as ours:
            nl.image_folder(tmp_path / root, **chosen)
        assert str(ours.value) == str(theirs.value)


def test_files_that_are_not_decoded_are_refused_in_words(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/2.BMP", "a/3.tiff")
    with pytest.raises(ValueError, match="not decoded") as refused:
        nl.image_folder(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}/a/2.BMP: .bmp files are not decoded, only JPEG, PNG and WebP; convert them, "
        "or leave them out with extensions=('.jpg', '.jpeg', '.png', '.webp')"
    )
    assert len(nl.image_folder(tmp_path, extensions=(".jpg", ".jpeg", ".png", ".webp")).images) == 1
    with pytest.raises(ValueError, match="give extensions or is_valid_file, not both"):
        nl.image_folder(tmp_path, extensions=".jpg", is_valid_file=bool)


def test_a_folder_is_two_fields(tree: Path) -> None:
    folder = nl.image_folder(tree)
    assert list(folder) == ["image", "label"]
    assert len(folder) == 2
    assert folder["image"] is folder.images
    assert folder["label"] is folder.labels
    assert "image" in folder
    assert 0 not in folder  # type: ignore[comparison-overlap]  # what is tested
    with pytest.raises(KeyError, match=r'0 is not a field: "image" and "label" are; folder.images'):
        folder[0]  # type: ignore[index]  # what is tested
    assert repr(folder) == f"<ndlens.ImageFolder {str(tree)!r} images=21 classes=8>"
    again = pickle.loads(pickle.dumps(folder))
    assert again.samples == folder.samples
    assert again.classes == folder.classes
    train, validation = nl.split(folder, [0.7, 0.3], seed=1)
    assert sorted([*train["image"].paths, *validation["image"].paths]) == sorted(
        path for path, _ in folder.samples
    )


def test_a_loader_takes_a_folder_as_it_is(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for label, name in enumerate(["cat", "dog"]):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = random.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
            pixels[:] = 100 * label
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    folder = nl.image_folder(tmp_path)
    loader = nl.Loader(
        folder, batch_size=4, shuffle=True, num_workers=2, transforms={"image": [T.CenterCrop(16)]}
    )
    seen = []
    for batch in loader:
        assert batch["image"].shape[1:] == (16, 16, 3)
        for image, label in zip(batch["image"].numpy(), batch["label"].tolist(), strict=True):
            assert (image == 100 * label).all()
            seen.append(label)
    assert sorted(seen) == [0, 0, 0, 1, 1, 1]


def test_a_scan_of_many_files_is_small_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    for label in range(20):
        folder = tmp_path / f"class-{label:02}"
        folder.mkdir()
        for number in range(500):
            os.close(os.open(folder / f"{number:08}.jpg", os.O_CREAT))
    tracemalloc.start()
    folder_of_images = nl.image_folder(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(folder_of_images.images) == 10_000
    assert peak < 2_000_000


def test_arguments_of_torchvision_s_say_what_to_give_instead(tree: Path) -> None:
    def refused(*args: Any, **more: Any) -> str:
        with pytest.raises(TypeError) as error:
            nl.image_folder(tree, *args, **more)
        return str(error.value)

    of_loader = 'transforms are the loader\'s: nl.Loader(folder, transforms={"image": ..})'
    prefix = "image_folder() got an unexpected keyword argument "
    assert refused(transform=None) == f"{prefix}'transform': {of_loader}"
    assert refused(target_transform=int) == (
        f"{prefix}'target_transform': folder.labels is an array: give the loader another in its "
        'place, {"image": folder.images, "label": ..}'
    )
    assert refused(loader=Image.open) == (
        f"{prefix}'loader': images are decoded by ndlens, to the channels that mode= names; leave "
        "it out"
    )
    assert refused(allow_empt=True) == f"{prefix}'allow_empt': did you mean allow_empty?"
    assert refused(T.Compose([])) == f'mode must be a string such as "RGB", got list: {of_loader}'


def test_torchvision_s_own_as_a_field_says_what_to_give(tree: Path) -> None:
    with pytest.raises(TypeError, match=r"nl\.image_folder\(dataset\.root\) has its images"):
        nl.Loader(ImageFolder(str(tree)))
