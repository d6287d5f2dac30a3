"""`ndlens preview`: the sheet, what it takes, and what it refuses."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from tests.helpers.commands import Done, ndlens, ndlens_here
from torchvision.transforms import v2

import ndlens as nl
from ndlens import transforms as T
from ndlens.cli import main
from ndlens.cli.preview import sources
from ndlens.cli.preview.expression import transforms_of
from ndlens.cli.preview.words import drawn_text
from ndlens.cli.report import Failure

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 40, 56, 3), dtype=np.uint8)
CROP = "RandomCrop(32), RandomHorizontalFlip()"
CROP_STEPS = [T.RandomCrop(32), T.RandomHorizontalFlip()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "images.npy", IMAGES)
    return tmp_path


def previewed(folder: Path, *arguments: str) -> tuple[Any, np.ndarray[Any, Any]]:
    """The report of a preview, and the pixels of its sheet."""
    done = ndlens_here(folder, "preview", *arguments, "--json")
    assert (done.status, done.errors) == (0, "")
    with Image.open(folder / done.data["out"]) as sheet:
        return done.data, np.asarray(sheet.convert("RGB"))


def at(sheet: np.ndarray[Any, Any], box: list[int]) -> np.ndarray[Any, Any]:
    left, top, width, height = box
    return sheet[top : top + height, left : left + width]


def enlarged(image: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """An image as the sheet shows it: each pixel a square."""
    image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    times = side // max(image.shape[:2])
    return image.repeat(times, axis=0).repeat(times, axis=1)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_sheet_has_the_pixels_and_draws_of_a_loader(
    folder: Path, seed: int, shuffle: bool
) -> None:
    settings = ["--shuffle"] if shuffle else []
    data, sheet = previewed(
        folder, "images.npy", "--transforms", CROP, "--seed", str(seed), "--side", "64", *settings
    )
    loader = nl.Loader(
        IMAGES,
        batch_size=8,
        seed=seed,
        shuffle=shuffle,
        transforms=CROP_STEPS,
        return_params=True,
        output="numpy",
    )
    batch, params = next(iter(loader))
    numbers = loader.indices(0).tolist()[:8]
    if shuffle:
        # An epoch of eight items is the beginning of one of all.
        assert numbers != sorted(numbers)
    assert [item["item"] for item in data["items"]] == numbers
    for item, pixels, drawn in zip(data["items"], batch, params, strict=True):
        (made,) = item["made"]
        assert made["params"] == drawn
        np.testing.assert_array_equal(at(sheet, made["box"]), enlarged(pixels, 64))


def test_originals_are_beside_what_was_made_of_them(folder: Path) -> None:
    data, sheet = previewed(folder, "images.npy", "--side", "64", "--count", "3")
    for number, item in enumerate(data["items"]):
        (made,) = item["made"]
        np.testing.assert_array_equal(at(sheet, item["original"]), IMAGES[number])
        np.testing.assert_array_equal(at(sheet, made["box"]), IMAGES[number])
        assert made["params"] == {}
        assert item["original"][1] == made["box"][1]
        assert item["original"][0] < made["box"][0]


def test_epochs_are_one_beside_the_other(folder: Path) -> None:
    data, sheet = previewed(
        folder, "images.npy", "--transforms", CROP, "--epochs", "3", "--shuffle", "--side", "64"
    )
    loader = nl.Loader(
        IMAGES, batch_size=12, transforms=CROP_STEPS, shuffle=True, output="numpy", seed=0
    )
    for epoch, batch in enumerate(itertools.islice((b for _ in range(3) for b in loader), 3)):
        place = {item: k for k, item in enumerate(loader.indices(epoch).tolist())}
        for item in data["items"]:
            made = item["made"][epoch]
            assert made["epoch"] == epoch
            expected = batch[place[item["item"]]]
            np.testing.assert_array_equal(at(sheet, made["box"]), enlarged(expected, 64))


def test_a_larger_image_is_scaled_to_the_side(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((2, 100, 400, 3), 77, np.uint8))
    data, sheet = previewed(tmp_path, "a.npy", "--side", "100")
    box = data["items"][0]["original"]
    assert box[2:] == [100, 25]
    assert (at(sheet, box) == 77).all()


def test_what_a_first_crop_keeps_is_outlined_on_the_original(folder: Path) -> None:
    data, sheet = previewed(folder, "images.npy", "--transforms", CROP, "--side", "56")
    item = data["items"][0]
    original = at(sheet, item["original"]).copy()
    crop = item["made"][0]["params"]["RandomCrop"]
    assert (original != IMAGES[0]).any()
    inside = np.zeros(original.shape[:2], bool)
    top, left, height, width = (crop[name] for name in ("top", "left", "height", "width"))
    inside[top : top + height, left : left + width] = True
    np.testing.assert_array_equal(original[~inside], IMAGES[0][~inside])
    assert (original[top, left] == (0xFF, 0x7A, 0x1A)).all()


def test_floats_are_shown_from_black_to_white_and_the_sheet_says_how(folder: Path) -> None:
    scaled = f'{CROP}, ToDtype("float32", scale=True)'
    data, sheet = previewed(folder, "images.npy", "--transforms", scaled, "--side", "64")
    assert "float32 from 0 to 1 is shown from black to white" in data["notes"]
    batch = next(iter(nl.Loader(IMAGES, batch_size=8, transforms=CROP_STEPS, output="numpy")))
    for item, pixels in zip(data["items"], batch, strict=True):
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), enlarged(pixels, 64))
    normal = f"{scaled}, Normalize([0.5], [0.5]), ChannelsFirst()"
    data, sheet = previewed(folder, "images.npy", "--transforms", normal, "--side", "64")
    assert data["notes"] == ["float32 is shown by its range, from -1 (black) to 1 (white)"]
    for item, pixels in zip(data["items"], batch, strict=True):
        shown = at(sheet, item["made"][0]["box"]).astype(int)
        assert abs(shown - enlarged(pixels, 64)).max() <= 1


def test_numbers_that_are_not_finite_are_shown_at_the_ends(tmp_path: Path) -> None:
    images = np.zeros((2, 8, 8), np.float32)
    images[0, 0, :3] = [np.inf, -np.inf, np.nan]
    images[1] = 5
    np.save(tmp_path / "a.npy", images)
    _, sheet = previewed(tmp_path, "a.npy", "--side", "16")
    assert sheet.shape[2] == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int16, np.float16, np.float64])
@pytest.mark.parametrize("shape", [(3, 8, 9), (3, 8, 9, 1), (3, 8, 9, 3), (3, 20, 24, 4)])
def test_images_of_any_dtype_and_usual_channels_have_a_sheet(
    tmp_path: Path, dtype: Any, shape: tuple[int, ...]
) -> None:
    np.save(tmp_path / "a.npy", RNG.integers(0, 2, shape).astype(dtype))
    data, _ = previewed(tmp_path, "a.npy", "--side", "32")
    assert len(data["items"]) == 3
    assert any("of 4 channels" in note for note in data["notes"]) == (shape[-1] == 4)


@pytest.mark.parametrize("given", [(), ("--channels", "first")])
def test_channels_first_is_seen_as_the_loader_sees_it(
    tmp_path: Path, given: tuple[str, ...]
) -> None:
    np.save(tmp_path / "a.npy", IMAGES.transpose(0, 3, 1, 2))
    arguments = ("preview", "a.npy", "--side", "64", *given)
    done = ndlens_here(tmp_path, *arguments, "--transforms", CROP, "--json")
    if not given:
        assert done.status == 2
        assert "--channels first or --channels last" in done.errors
        done = ndlens_here(tmp_path, *arguments, "--transforms", "v2.RandomCrop(32)", "--json")
    with Image.open(tmp_path / "preview.png") as image:
        sheet = np.asarray(image)
    steps: Any = CROP_STEPS if given else [v2.RandomCrop(32)]
    channels: Any = "first" if given else None
    loader = nl.Loader(
        IMAGES.transpose(0, 3, 1, 2),
        batch_size=8,
        transforms=steps,
        channels=channels,
        output="numpy",
    )
    for item, pixels in zip(done.data["items"], next(iter(loader)), strict=True):
        expected = enlarged(pixels.transpose(1, 2, 0), 64)
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), expected)


def test_shapes_that_do_not_tell_ask_for_channels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 9, 9, 9), np.uint8))
    done = ndlens_here(tmp_path, "preview", "a.npy")
    assert done == Done(
        2,
        "",
        "ndlens: where are the channels of items of shape (9, 9, 9)? Say --channels first or "
        "--channels last\n",
    )


def test_torchvisions_transforms_are_read_too(folder: Path) -> None:
    text = "v2.Compose([v2.ToImage(), v2.RandomCrop(32), v2.ToDtype(torch.float32, scale=True)])"
    data, sheet = previewed(folder, "images.npy", "--transforms", text, "--side", "64")
    steps = v2.Compose([v2.ToImage(), v2.RandomCrop(32), v2.ToDtype(torch.float32, scale=True)])
    batch = next(iter(nl.Loader(IMAGES, batch_size=8, transforms=steps, output="numpy")))
    for item, pixels in zip(data["items"], batch, strict=True):
        expected = enlarged((pixels.transpose(1, 2, 0) * 255).round().astype(np.uint8), 64)
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), expected)


def test_a_field_of_a_file_draws_by_its_name(tmp_path: Path) -> None:
    nl.save(tmp_path / "a.safetensors", {"image": IMAGES, "label": np.arange(12)})
    data, sheet = previewed(tmp_path, "a.safetensors", "--transforms", CROP, "--side", "64")
    loader = nl.Loader(
        {"image": IMAGES}, batch_size=8, transforms={"image": CROP_STEPS}, output="numpy"
    )
    for item, pixels in zip(data["items"], next(iter(loader))["image"], strict=True):
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), enlarged(pixels, 64))
    assert 'the field is {"image": ..}: draws depend on the name of a field' in data["notes"]
    np.savez(tmp_path / "b.npz", one=IMAGES, two=IMAGES)
    done = ndlens_here(tmp_path, "preview", "b.npz")
    assert done.status == 2
    assert done.errors == (
        "ndlens: b.npz has 2 arrays that may be images: give --field NAME; its arrays are "
        "'one', 'two'\n"
    )
    assert len(previewed(tmp_path, "b.npz", "--field", "two")[0]["items"]) == 8
    done = ndlens_here(tmp_path, "preview", "b.npz", "--field", "three")
    assert "b.npz has no array 'three': its arrays are 'one', 'two'" in done.errors


def test_shards_and_raw_bytes_are_opened_as_nl_open_opens_them(folder: Path) -> None:
    whole, _ = previewed(folder, "images.npy", "--transforms", CROP)
    for part in range(3):
        np.save(folder / f"part{part}.npy", IMAGES[part * 4 : part * 4 + 4])
    IMAGES.tofile(folder / "images.raw")
    shards, _ = previewed(folder, "part*.npy", "--transforms", CROP)
    raw, _ = previewed(
        folder, "images.raw", "--dtype", "uint8", "--shape=-1,40,56,3", "--transforms", CROP
    )
    assert shards["items"] == raw["items"] == whole["items"]


def photographs(folder: Path) -> list[Path]:
    import skimage.data

    directory = Path(skimage.data.__file__).parent
    paths = []
    for name in ("chelsea.png", "coffee.png", "rocket.jpg", "color.png"):
        with Image.open(directory / name) as image:
            small = image.convert("RGB").resize((image.width // 4, image.height // 4))
        paths.append(folder / "photographs" / name)
        paths[-1].parent.mkdir(exist_ok=True)
        small.save(paths[-1])
    return sorted(paths)


def test_a_folder_of_photographs_is_ragged_items(tmp_path: Path) -> None:
    paths = photographs(tmp_path)
    data, sheet = previewed(
        tmp_path, "photographs", "--transforms", "RandomResizedCrop(48)", "--shuffle",
        "--count", "3", "--side", "48",
    )  # fmt: skip
    decoded = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    for array, image in zip(decoded, nl.images(paths), strict=True):
        np.testing.assert_array_equal(image, array)
    loader = nl.Loader(
        nl.images(paths),
        batch_size=3,
        shuffle=True,
        transforms=[T.RandomResizedCrop(48)],
        output="numpy",
    )
    numbers = loader.indices(0).tolist()[:3]
    assert [item["name"] for item in data["items"]] == [paths[k].name for k in numbers]
    for item, pixels in zip(data["items"], next(iter(loader)), strict=True):
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), pixels)
    one, _ = previewed(tmp_path, f"photographs/{paths[0].name}", "--transforms", "CenterCrop(32)")
    assert len(one["items"]) == 1


def test_only_photographs_that_are_shown_are_decoded(tmp_path: Path) -> None:
    paths = photographs(tmp_path)
    paths[-1].write_bytes(b"not an image")
    arguments = ("photographs", "--transforms", "CenterCrop(32)", "--count")
    assert len(previewed(tmp_path, *arguments, "3")[0]["items"]) == 3
    done = ndlens_here(tmp_path, "preview", *arguments, "4")
    assert done.status == 2
    assert str(paths[-1].name) in done.errors
    assert "not a JPEG, PNG or WebP image" in done.errors


def test_photographs_that_are_too_large_together_say_how_many_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = photographs(tmp_path)
    monkeypatch.chdir(tmp_path)
    three = 0
    for path in paths[:3]:
        with Image.open(path) as image:
            three += 3 * image.width * image.height
    monkeypatch.setattr(sources, "_MOST_DECODED_BYTES", three)
    arguments = ["preview", "photographs", "--transforms", "CenterCrop(32)", "--count"]
    assert main([*arguments, "3"]) == 0
    with pytest.raises(Failure, match=r"^4 photographs are more than .* decoded: say --count 3$"):
        sources.opened(
            Namespace(path="photographs", shuffle=False, seed=0, count=4, skip=False, field=None)
        )


def outlined(sheet: np.ndarray[Any, Any], item: dict[str, Any]) -> bool:
    """Whether the original has an orange line."""
    orange = at(sheet, item["original"]) == (0xFF, 0x7A, 0x1A)
    return bool(orange.all(axis=2).any())


@pytest.mark.parametrize(
    "transforms",
    [
        "v2.RandomCrop(32)",
        "v2.RandomResizedCrop(32)",
        "v2.Compose([v2.ToImage(), v2.RandomCrop(32), v2.RandomHorizontalFlip()])",
    ],
)
def test_what_a_first_crop_of_torchvision_keeps_is_outlined(folder: Path, transforms: str) -> None:
    data, sheet = previewed(folder, "images.npy", "--transforms", transforms, "--side", "56")
    assert all(outlined(sheet, item) for item in data["items"])
    data, sheet = previewed(folder, "images.npy", "--transforms", f"v2.Pad(4), {transforms}")
    assert not any(outlined(sheet, item) for item in data["items"])


def in_classes(folder: Path) -> list[str]:
    """A folder of photographs in folders of their own; their names, in order."""
    names = []
    for number, path in enumerate(photographs(folder)):
        name = f"{'cat' if number < 2 else 'dog'}/{path.name}"
        (folder / "photographs" / name).parent.mkdir(exist_ok=True)
        path.rename(folder / "photographs" / name)
        names.append(name)
    return names


def test_photographs_have_the_names_of_their_folders(tmp_path: Path) -> None:
    names = in_classes(tmp_path)
    for path in ("photographs", "photographs/*/*.*g", f"{tmp_path}/photographs/*/*.{{png,jpg}}"):
        data, _ = previewed(tmp_path, path, "--transforms", "CenterCrop(32)")
        assert sorted(item["name"] for item in data["items"]) == names
    data, _ = previewed(tmp_path, "photographs/cat/*.png", "--transforms", "CenterCrop(32)")
    assert [item["name"] for item in data["items"]] == [name[4:] for name in names[:2]]


def test_without_transforms_photographs_of_different_sizes_are_shown_alone(tmp_path: Path) -> None:
    paths = photographs(tmp_path)
    data, sheet = previewed(tmp_path, "photographs", "--side", "200")
    for item, path in zip(data["items"], paths, strict=True):
        assert item["made"] == []
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert max(pixels.shape) <= 200
        np.testing.assert_array_equal(at(sheet, item["original"]), enlarged(pixels, 200))
    shown = ndlens_here(tmp_path, "preview", "photographs").out
    assert shown.count("the original: there are no transforms") == len(paths)


def test_photographs_that_cannot_be_decoded_are_left_out_with_skip(tmp_path: Path) -> None:
    paths = photographs(tmp_path)
    paths[1].write_bytes(b"not an image")
    arguments = ("photographs", "--transforms", "RandomCrop(32)")
    done = ndlens_here(tmp_path, "preview", *arguments)
    assert done.status == 2
    assert "; --skip leaves it out" in done.errors
    data, sheet = previewed(tmp_path, *arguments, "--skip", "--side", "32")
    assert [item["item"] for item in data["items"]] == [0, 2, 3]
    (note,) = data["notes"]
    assert note.startswith(f"left out: photographs/{paths[1].name}: not a JPEG, PNG or WebP image")
    loader = nl.Loader(
        nl.images(paths),
        batch_size=4,
        transforms=[T.RandomCrop(32)],
        on_error="skip",
        output="numpy",
    )
    for item, pixels in zip(data["items"], next(iter(loader)), strict=True):
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), pixels)
    for path in paths:
        path.write_bytes(b"not an image")
    done = ndlens_here(tmp_path, "preview", *arguments, "--skip")
    assert done.status == 2
    assert "no image can be shown: left out: " in done.errors


@pytest.mark.parametrize("kind", ["pixels", "jpeg"])
def test_a_packed_file_is_shown_without_the_name_of_its_field(
    tmp_path: Path, kind: Literal["pixels", "jpeg"]
) -> None:
    in_classes(tmp_path)
    folder = nl.image_folder(tmp_path / "photographs")
    nl.pack(folder, tmp_path / "a.safetensors", format=kind, progress=False)
    data, sheet = previewed(
        tmp_path, "a.safetensors", "--transforms", "RandomCrop(32)", "--side", "32"
    )
    packed: Any = nl.open(tmp_path / "a.safetensors")
    images = nl.images(packed["image"]) if kind == "jpeg" else packed["image"]
    loader = nl.Loader(
        {"image": images},
        batch_size=4,
        transforms={"image": [T.RandomCrop(32)]},
        output="numpy",
    )
    for item, pixels in zip(data["items"], next(iter(loader))["image"], strict=True):
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), pixels)
    data, _ = previewed(tmp_path, "a.safetensors")
    assert [item["made"] for item in data["items"]] == [[]] * 4
    done = ndlens_here(tmp_path, "preview", "a.safetensors", "--field", "none")
    assert "a.safetensors has no array 'none': its arrays are 'image', 'label'" in done.errors


def archives(folder: Path, endings: Sequence[str]) -> list[Path]:
    """Two archives of two samples each; sample k has an image with `endings[k]`, and "cls"."""
    paths = photographs(folder)
    for shard in range(2):
        with tarfile.open(folder / f"train-{shard:03}.tar", "w") as tar:
            for number in (2 * shard, 2 * shard + 1):
                members = {endings[number]: paths[number].read_bytes(), "cls": b"7"}
                for ending, data in members.items():
                    info = tarfile.TarInfo(f"s{number}.{ending}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return paths


def test_images_of_archives_are_shown_under_the_keys_of_samples(tmp_path: Path) -> None:
    paths = archives(tmp_path, ["png"] * 4)
    data, sheet = previewed(
        tmp_path, "train-{000..001}.tar", "--transforms", "RandomCrop(32)", "--side", "32"
    )
    assert [item["name"] for item in data["items"]] == ["s0", "s1", "s2", "s3"]
    assert (
        'the field is {"image": nl.images(samples["png"])}: draws depend on the name of a '
        in (data["notes"][0])
    )
    loader = nl.Loader(
        {"image": nl.images(paths)},
        batch_size=4,
        transforms={"image": [T.RandomCrop(32)]},
        output="numpy",
    )
    for item, pixels in zip(data["items"], next(iter(loader))["image"], strict=True):
        np.testing.assert_array_equal(at(sheet, item["made"][0]["box"]), pixels)
    done = ndlens_here(tmp_path, "preview", "train-000.tar", "--field", "cls")
    assert done.status == 2
    assert "ndlens: train-000.tar: s0.cls: not a JPEG, PNG or WebP image" in done.errors


def test_samples_without_the_field_are_left_out_with_skip(tmp_path: Path) -> None:
    archives(tmp_path, ["png", "jpg", "png", "png"])
    arguments = ("preview", "train-{000..001}.tar", "--transforms", "CenterCrop(32)")
    done = ndlens_here(tmp_path, *arguments)
    assert done.status == 2
    assert (
        "train-{000..001}.tar has 2 fields of images (png, jpg): say --field NAME; its fields are "
        "'png', 'cls', 'jpg'" in done.errors
    )
    done = ndlens_here(tmp_path, *arguments, "--field", "png")
    assert "1 of 4 samples have no 'png': say --skip to leave them out" in done.errors
    data, _ = previewed(tmp_path, *arguments[1:], "--field", "png", "--skip")
    assert [item["name"] for item in data["items"]] == ["s0", "s2", "s3"]
    assert "left out: samples without 'png', 1 in all" in data["notes"]
    done = ndlens_here(tmp_path, *arguments, "--field", "tif")
    assert "has no field 'tif': its fields are 'png', 'cls', 'jpg'" in done.errors


def test_a_damaged_photograph_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    # The chunk of pixels seems short, so the next one has no name.
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT")
    data[at - 4 : at] = (16).to_bytes(4, "big")
    path.write_bytes(data)
    done = ndlens_here(tmp_path, "preview", "a.png")
    assert (done.status, done.out) == (2, "")
    assert done.errors.startswith("ndlens: a.png: the PNG image is truncated after")


def test_a_list_in_a_file_or_a_module_of_the_user_is_imported(folder: Path) -> None:
    (folder / "augment_of_preview.py").write_text(
        "from ndlens import transforms as T\ntrain = [T.RandomCrop(32), T.RandomHorizontalFlip()]\n"
    )
    text, _ = previewed(folder, "images.npy", "--transforms", CROP)
    for place in ("augment_of_preview.py:train", "augment_of_preview:train"):
        data, _ = previewed(folder, "images.npy", "--transforms", place)
        assert data["items"] == text["items"]
    for place, message in (
        (
            "augment_of_preview:test",
            "augment_of_preview has no test; its transforms are train",
        ),
        ("none_such.py:test", "there is no file none_such.py"),
        (
            "none_such:test",
            "cannot import none_such: ModuleNotFoundError: No module named 'none_such'",
        ),
    ):
        done = ndlens_here(folder, "preview", "images.npy", "--transforms", place)
        assert (done.status, done.errors) == (2, f"ndlens: --transforms: {message}\n")


def test_a_file_of_the_user_finds_the_modules_beside_it(folder: Path) -> None:
    beside = folder / "beside"
    beside.mkdir()
    (beside / "sides_of_preview.py").write_text("SIDE = 32\n")
    (beside / "augment.py").write_text(
        "import sides_of_preview\nfrom ndlens import transforms as T\n"
        "train = [T.RandomCrop(sides_of_preview.SIDE)]\n"
    )
    previewed(folder, "images.npy", "--transforms", "beside/augment.py:train")


@pytest.mark.parametrize("place", ["faulty_of_preview.py", "faulty_of_preview"])
def test_what_the_code_of_the_user_raises_is_shown_with_its_line(folder: Path, place: str) -> None:
    path = folder / "faulty_of_preview.py"
    path.write_text("from ndlens import transforms as T\ntrain = [T.ToTensor()]\n")
    done = ndlens_here(folder, "preview", "images.npy", "--transforms", f"{place}:train")
    assert done.status == 2
    assert done.errors.startswith(f"ndlens: --transforms: cannot import {place}: AttributeError: ")
    assert done.errors.endswith("faulty_of_preview.py, line 2)\n")


READ: dict[str, list[Any]] = {
    "": [],
    CROP: CROP_STEPS,
    f"[{CROP}]": CROP_STEPS,
    f"Compose([{CROP}])": CROP_STEPS,
    "T.RandomCrop((3, 4), padding=[1, 2]),": [T.RandomCrop((3, 4), padding=[1, 2])],
    " transforms.RandomErasing(p=1.0, value='random')": [T.RandomErasing(1.0, value="random")],
    'RandomCrop(\n  3,\n), ToDtype("float32", scale=True)\n': [
        T.RandomCrop(3),
        T.ToDtype("float32", scale=True),
    ],
    "ColorJitter(hue=(-0.1, +0.1))": [T.ColorJitter(hue=(-0.1, 0.1))],
    "ToDtype(torch.float16)": [T.ToDtype("float16")],
    "Resize(8, InterpolationMode.NEAREST)": [T.Resize(8, v2.InterpolationMode.NEAREST)],
}


@pytest.mark.parametrize(("text", "steps"), READ.items(), ids=map(repr, READ))
def test_a_text_is_read_as_the_transforms_that_it_names(text: str, steps: list[Any]) -> None:
    assert transforms_of(text) == steps


REFUSED = {
    'RandomCrop(8), __import__("os").system("touch x")': (16, "expected the name of a transform"),
    "RandomCrop(open('x'))": (12, "ndlens.transforms has no open"),
    "RandomCrop(8).__class__()": (1, "expected the name of a transform"),
    "RandomCrop(().__class__)": (12, "().__class__ is not read"),
    "RandomCropp(8)": (1, "ndlens.transforms has no RandomCropp: did you mean RandomCrop?"),
    "RandomCrop(8), Lambda(3)": (16, "ndlens.transforms has no Lambda: transforms are compiled"),
    "RandomCrop(8), replay(3)": (16, "ndlens.transforms has no replay"),
    "RandomCrop(8), Transform()": (16, "ndlens.transforms has no Transform"),
    "RandomCrop(x)": (12, "x is a name: names are not read, write the value itself"),
    "RandomCrop(4 * 8)": (12, "nothing is computed: write the number itself"),
    "RandomCrop(*[8])": (12, "arguments are written one by one, without *"),
    "RandomCrop(**{'size': 8})": (14, "arguments are written one by one, without **"),
    "RandomCrop(-8)": (1, "RandomCrop: size must be positive, got -8"),
    "RandomCrop(-'8')": (12, "expected a number after the sign"),
    "RandomCrop(b'8')": (12, "expected a number, a string, True, False or None"),
    "RandomCrop({8})": (12, "expected a number, a string, a list or a transform"),
    "RandomCrop(lambda: 8)": (12, "expected a number, a string, a list or a transform"),
    "RandomCrop": (1, "expected a transform, such as RandomCrop(256)"),
    "MixUp(num_classes=3)": (1, "MixUp mixes whole batches: a sheet shows items"),
    "v2.Nothing()": (1, "torchvision.transforms.v2 has no transform Nothing"),
    "v2.functional()": (1, "torchvision.transforms.v2 has no transform functional"),
    "ToDtype(torch.load)": (9, "torch.load is not read: a dtype is written as 'float32'"),
    "RandomCrop(8": (11, "'(' was never closed"),
    "RandomCrop(8), 'é', x": (16, "expected a transform, such as RandomCrop(256)"),
    "RandomCrop(8), ToDtype('é'), x": (16, "ToDtype: "),
    "   RandomCrop(8), x": (19, "expected a transform, such as RandomCrop(256)"),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items(), ids=map(repr, REFUSED))
def test_anything_else_is_refused_with_its_column(text: str, expected: tuple[int, str]) -> None:
    with pytest.raises(Failure) as failure:
        transforms_of(text)
    column, message = expected
    first, shown, mark = str(failure.value).splitlines()
    assert first.startswith(f"--transforms, column {column}: {message}")
    assert shown == f"  {text}"
    assert mark == f"  {' ' * (column - 1)}^"


def test_the_column_of_several_lines_is_that_of_its_line() -> None:
    with pytest.raises(Failure) as failure:
        transforms_of("RandomCrop(8),\n  Nothing(3)")
    assert str(failure.value).splitlines()[1:] == ["    Nothing(3)", "    ^"]
    assert str(failure.value).startswith("--transforms, line 2, column 3: ")


@pytest.mark.parametrize(
    "text", ["[" * 5000, "RandomCrop(" + "-" * 9000 + "1)", "\0", "x" * 20_000]
)
def test_texts_that_are_hostile_are_refused(text: str) -> None:
    with pytest.raises(Failure) as failure:
        transforms_of(text)
    assert len(str(failure.value)) < 400


def test_drawn_parameters_are_in_words() -> None:
    loader = nl.Loader(
        np.zeros((1, 32, 32, 3), np.uint8),
        transforms=[
            *(T.RandomCrop(16), T.RandomHorizontalFlip(1), T.RandomQuarterTurn([90])),
            *(T.ColorJitter(brightness=(0.5, 0.5)), T.ToDtype("float32")),
            T.RandomErasing(1, value="random"),
        ],
        return_params=True,
    )
    _, (params,) = next(iter(loader))
    lines = drawn_text(params)
    crop, erased = params["RandomCrop"], params["RandomErasing"]
    assert lines == [
        f"RandomCrop 16 x 16 at {crop['top']}, {crop['left']}",
        "RandomHorizontalFlip yes",
        "RandomQuarterTurn 90 degrees",
        "ColorJitter brightness 0.5",
        f"RandomErasing {erased['height']} x {erased['width']} at {erased['top']}, "
        f"{erased['left']}",
    ]
    assert drawn_text({"ColorJitter": [None, None], "RandomErasing": False}) == [
        *("ColorJitter no", "RandomErasing no"),
    ]


MISTAKES = {
    ("none.npy",): "none.npy: there is no such file or folder",
    ("none/*.jpg",): "no file matches none/*.jpg",
    ("images.npy", "--count", "0"): "--count must be from 1 to 400, got 0",
    ("images.npy", "--count", "401"): "--count must be from 1 to 400, got 401",
    ("images.npy", "--side", "5"): "--side must be from 16 to 2048, got 5",
    ("images.npy", "--field", "x"): "--field: images.npy is one array, without names",
    ("images.npy", "--shape", "3"): "--shape is of raw bytes: give --dtype, too",
    ("images.npy", "--dtype", "uint8", "--shape", "a"): "--shape must be numbers",
    ("images.npy", "--transforms", "RandomCrop(99)"): "larger than the image",
    ("images.npy", "--out", "x.nothing"): "cannot write x.nothing: unknown file extension",
    ("images.npy", "--out", "none/x.png"): "cannot write none/x.png",
    ("images.npy", "--count", "8", "--epochs", "16", "--side", "2048"): "smaller --side, --count",
    ("series.npy",): "items of shape (5,) are not images: an array of shape (items, height,",
    (".",): "for arrays give a file, or a quoted pattern such as",
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.items(), ids=map(" ".join, MISTAKES))
def test_mistakes_are_said(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    np.save(folder / "series.npy", np.zeros((9, 5)))
    done = ndlens_here(folder, "preview", *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.errors.startswith("ndlens: ")
    assert message in done.errors


def test_the_table_has_a_row_for_each_picture(folder: Path) -> None:
    done = ndlens_here(folder, "preview", "images.npy", "--transforms", CROP, "--markdown")
    assert done.status == 0
    assert done.out.startswith("**preview.png: ")
    assert done.out.count("RandomHorizontalFlip") == 8


@pytest.mark.parametrize(("hidden", "project"), [("PIL", "Pillow"), ("numpy", "NumPy")])
def test_without_pillow_or_numpy_it_says_what_to_install(
    folder: Path, hidden: str, project: str
) -> None:
    done = ndlens(folder, "preview", "images.npy", hide=[hidden])
    assert done == Done(
        2, "", f'ndlens: ndlens preview needs {project}: pip install "ndlens[cli]"\n'
    )


def test_the_document_is_one_that_programs_read(folder: Path) -> None:
    done = ndlens(folder, "preview", "images.npy", "--count", "2", "--json")
    data = json.loads(done.out)
    assert data["command"] == "preview"
    assert len(data["items"]) == 2
    with Image.open(folder / "preview.png") as sheet:
        assert sheet.size == (data["width"], data["height"])
