"""`nl.images`: encoded images as a field, of files and of bytes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.helpers.photographs import decoded, scene, write

import ndlens as nl


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs")
    write(path, 12)
    return path


@pytest.fixture(scope="module")
def paths(directory: Path) -> list[str]:
    return [str(directory / f"{number}.jpg") for number in range(12)]


def test_a_pattern_gives_the_files_in_natural_order(directory: Path, paths: list[str]) -> None:
    images = nl.images(f"{directory}/*.jpg")
    assert images.paths == paths
    assert nl.images(directory / "*.jpg").paths == paths
    assert nl.images(f"{directory}/{{3..1}}.jpg").paths == [paths[3], paths[2], paths[1]]
    assert nl.images(f"{directory}/{{11,0}}.jpg").paths == [paths[11], paths[0]]
    assert nl.images(paths[4]).paths == [paths[4]]


def test_paths_are_taken_in_their_order_from_any_iterable(paths: list[str]) -> None:
    backwards = paths[::-1]
    for source in (backwards, tuple(backwards), iter(backwards), np.array(backwards)):
        assert nl.images(source).paths == backwards
    assert nl.images([Path(path) for path in backwards]).paths == backwards


def test_a_name_that_is_no_text_is_spelled_as_python_spells_it(tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/\xff.png")
    Image.fromarray(scene(0, 9, 9)).save(name)
    images = nl.images([name])
    assert images.paths == pickle.loads(pickle.dumps(images)).paths == [name]
    assert np.array_equal(images[0], scene(0, 9, 9))


def test_images_tell_their_shape_without_reading_a_file() -> None:
    images = nl.images(["nowhere/1.jpg", "nowhere/2.jpg"], "L")
    assert (len(images), images.shape, images.item_shape) == (
        2,
        (2, None, None, 1),
        (None, None, 1),
    )
    assert (images.dtype, images.mode, images.orient) == ("uint8", "L", False)
    assert repr(images) == ('<ndlens.Images items=2 item_shape=[?, ?, 1] dtype=uint8 mode="L">')


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "unchanged"])
def test_an_image_is_what_decode_image_gives(paths: list[str], mode: Any) -> None:
    images = nl.images(paths, mode)
    for place, path in enumerate(paths):
        expected = np.asarray(nl.decode_image(path, mode))
        assert np.array_equal(images[place], expected)
        assert images[place].shape == expected.shape
    assert np.array_equal(images[-1], nl.decode_image(paths[-1], mode))
    assert [image.shape for image in images] == [nl.decode_image(p, mode).shape for p in paths]


def test_each_image_is_memory_of_its_own(paths: list[str]) -> None:
    images = nl.images(paths)
    first = images[0].numpy()
    first[:] = 0
    assert images[0].numpy().any()


def test_parts_are_images_of_which_nothing_is_read(paths: list[str]) -> None:
    images = nl.images(paths)
    assert images[2:5].paths == paths[2:5]
    assert images[::-3].paths == paths[::-3]
    assert images[[7, -1, 7]].paths == [paths[7], paths[-1], paths[7]]
    assert images[np.arange(12) % 5 == 0].paths == paths[::5]
    assert images[2:9][[0, -1]].paths == [paths[2], paths[8]]
    assert np.array_equal(images[[7, -1]][1], nl.decode_image(paths[-1]))
    part = nl.subset({"image": images, "label": np.arange(12)}, [5, 1])
    assert part["image"].paths == [paths[5], paths[1]]
    train, rest = nl.split(images, [0.75, 0.25], seed=1)
    assert sorted(train.paths + rest.paths) == sorted(paths)


def test_images_pickle_as_paths(paths: list[str]) -> None:
    images = nl.images(paths, "L", orient=True, max_pixels=10_000)
    sent = pickle.dumps(images)
    assert len(sent) < 200 + sum(len(path) + 1 for path in paths)
    again = pickle.loads(sent)
    assert (again.paths, again.mode, again.orient) == (paths, "L", True)
    assert np.array_equal(again[3], images[3])
    part = pickle.loads(pickle.dumps(images[[3, 1]]))
    assert part.paths == [paths[3], paths[1]]
    with pytest.raises(nl.ImageError, match="more than the limit of 7"):
        pickle.loads(pickle.dumps(nl.images(paths, max_pixels=7)))[0]


def test_a_pickle_does_not_ask_the_first_image_again(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(scene(0, 20, 30, 1)[:, :, 0]).save(path)
    images = nl.images([path], "unchanged")
    sent = pickle.dumps(images)
    path.unlink()
    assert pickle.loads(sent).item_shape == (None, None, 1)


def test_encoded_bytes_are_images_too(paths: list[str]) -> None:
    data = [Path(path).read_bytes() for path in paths]
    flat = np.frombuffer(b"".join(data), np.uint8)
    sizes = [len(one) for one in data]
    packed = nl.ragged(flat, shapes=[(size,) for size in sizes])
    padded = np.zeros((12, max(sizes)), np.uint8)
    for row, one in zip(padded, data, strict=True):
        row[: len(one)] = np.frombuffer(one, np.uint8)
    for source in (data, packed, padded, nl.view(padded), [bytearray(one) for one in data]):
        images = nl.images(source)
        assert (len(images), images.paths) == (12, None)
        for place, path in enumerate(paths):
            assert np.array_equal(images[place], nl.decode_image(path))
        assert np.array_equal(pickle.loads(pickle.dumps(images[4:]))[0], nl.decode_image(paths[4]))


def test_bytes_that_are_changed_meanwhile_are_copied_before_they_are_decoded() -> None:
    array = np.zeros((1, 2000), np.uint8)
    images = nl.images(array)
    with pytest.raises(nl.ImageError, match="not a JPEG, PNG or WebP image"):
        images[0]


def test_unchanged_is_the_format_of_the_first_image(tmp_path: Path) -> None:
    pixels = scene(1, 30, 20)
    Image.fromarray(pixels).save(tmp_path / "rgb.png")
    Image.fromarray(pixels[:, :, 0]).save(tmp_path / "grey.png")
    sixteen = (pixels[:, :, 0].astype(np.uint16) << 8) + 3
    Image.fromarray(sixteen).save(tmp_path / "sixteen.png")
    names = [tmp_path / f"{name}.png" for name in ("rgb", "grey", "sixteen")]
    images = nl.images(names, "unchanged")
    assert (images.item_shape, images.dtype) == ((None, None, 3), "uint8")
    assert np.array_equal(images[0], pixels)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole text is compared
        images[1]
    assert str(error.value) == (
        f"{names[1]}: the image has 1 channel of uint8, the first one 3 channels of uint8: "
        'mode="RGB" makes them alike, and so do "L" and "RGBA"'
    )
    deep = nl.images(names[2:], "unchanged")
    assert (deep.item_shape, deep.dtype) == ((None, None, 1), "uint16")
    assert np.array_equal(deep[0].numpy()[:, :, 0], sixteen)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_orientation_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(scene(2, 24, 40)).save(path, exif=exif)
    stored, upright = nl.images([path]), nl.images([path], orient=True)
    assert np.array_equal(stored[0], nl.decode_image(path))
    assert np.array_equal(upright[0], nl.decode_image(path, orient=True))
    crop = [nl.transforms.Crop(3, 5, 10, 12)]
    (batch,) = nl.Loader(upright, transforms=crop, output="numpy")
    assert np.array_equal(batch[0], upright[0].numpy()[3:13, 5:17])


def message(source: Any, *args: Any, **more: Any) -> str:
    with pytest.raises(Exception) as error:  # noqa: PT011 - the whole text is compared
        nl.images(source, *args, **more)
    return f"{error.type.__name__}: {error.value}"


def test_what_has_no_images_is_refused_in_words(tmp_path: Path, paths: list[str]) -> None:
    assert message(f"{tmp_path}/*.jpg") == (f"FileNotFoundError: no file matches {tmp_path}/*.jpg")
    assert message([]) == "ValueError: there is no image: the list is empty"
    assert message(tmp_path) == (
        f"IsADirectoryError: {tmp_path} is a directory: give a pattern of its files, such as "
        f'"{tmp_path}/*.jpg"'
    )
    assert message(["a\0b"]) == 'ValueError: no path has a null byte, got "a\\0b"'
    assert message([*paths, 3]) == (
        "TypeError: images takes paths or encoded bytes, got int at place 12"
    )
    assert message(np.zeros((2, 3, 4), np.uint8)) == (
        "TypeError: encoded images are items of bytes, uint8 of shape (bytes,), got uint8 of shape "
        "[3, 4]; arrays of pixels go to the loader as they are"
    )
    assert message(nl.images(paths)).startswith("TypeError: ")
    assert message(paths, "CMYK").startswith("ValueError: ")


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [
        ("x.tar", "tar archive", "jpg"),
        ("x.TAR", "tar archive", "jpg"),
        ("train.safetensors", ".safetensors file", "image"),
    ],
)
def test_a_file_of_many_images_is_refused_with_the_field_to_give(
    name: str, kind: str, field: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.touch()
    expected = (
        f'ValueError: {path} is a {kind}, expected an image: its field "{field}" is '
        f'nl.images(nl.open("{path}")["{field}"])'
    )
    assert message(str(path)) == message([path]) == message(f"{tmp_path}/*") == expected


def test_images_are_no_array(paths: list[str]) -> None:
    images = nl.images(paths)
    with pytest.raises(TypeError) as refused:
        np.asarray(images)
    assert str(refused.value) == (
        "12 encoded images are not an array: images[i].numpy() decodes one, and "
        "nl.pack(images, path) all, into a file"
    )
    with pytest.raises(AttributeError) as missing:
        images.numpy  # type: ignore[attr-defined]  # noqa: B018
    assert str(missing.value) == (
        "'ndlens.Images' object has no attribute 'numpy': 12 images are decoded one by one: "
        "images[i].numpy()"
    )
    with pytest.raises(TypeError, match=r"images\[i\] decodes one image"):
        nl.view(images)
    with pytest.raises(IndexError, match=r"^image 12 of 12 images$"):
        images[12]


def test_no_descriptor_stays_open(paths: list[str]) -> None:
    images = nl.images(paths)
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = list(images)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert len(kept) == 12


def test_a_trace_notes_the_pixels(paths: list[str]) -> None:
    images = nl.images(paths)
    with nl.trace() as copies:
        image = images[3]
    assert [(copy.operation, copy.nbytes) for copy in copies] == [("Images[i]", image.nbytes)]


def test_decoded_images_are_a_ragged_field(paths: list[str]) -> None:
    assert decoded(paths).item_shape == (None, None, 3)
