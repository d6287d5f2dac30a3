"""Loaders of encoded images: beside the same transforms of the decoded arrays, to the bit."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.helpers.photographs import decoded, scene, write
from torchvision.transforms import v2

import ndlens as nl
import ndlens.transforms as T

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLASSIFIER = [
    T.RandomResizedCrop(32),
    T.RandomHorizontalFlip(),
    T.ToDtype("float32", scale=True),
    T.Normalize(MEAN, STD),
    T.ChannelsFirst(),
]
LISTS: dict[str, list[T.Transform]] = {
    "classifier": CLASSIFIER,
    "crop": [T.RandomCrop(24)],
    "padded crop": [T.RandomCrop(64, padding=8, padding_mode="reflect", pad_if_needed=True)],
    "evaluation": [T.Resize(48), T.CenterCrop(40), T.ToDtype("float32", scale=True)],
    "resize": [T.Resize((20, 30)), T.RandomVerticalFlip()],
    "padding": [T.Pad(5, fill=7), T.CenterCrop(50)],
    "colours": [T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.RandomGrayscale(0.5), T.CenterCrop(30)],
    "erased": [T.CenterCrop(30), T.ToDtype("float32", scale=True), T.RandomErasing(1.0)],
    "turned": [T.CenterCrop(30), T.RandomQuarterTurn()],
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def arrays(paths: list[str]) -> nl.Items:
    return decoded(paths)


def batches(fields: Any, **settings: Any) -> list[Any]:
    of_all: Any = {"batch_size": 5, "shuffle": True, "seed": 3, "output": "numpy"}
    loader: nl.Loader[Any] = nl.Loader(fields, **of_all | settings)
    return list(loader)


def assert_same(got: list[Any], expected: list[Any]) -> None:
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("name", LISTS)
def test_a_batch_is_what_the_transforms_make_of_the_decoded_images(
    paths: list[str], arrays: nl.Items, name: str, workers: int
) -> None:
    expected = batches(arrays, transforms=LISTS[name], channels="last")
    got = batches(nl.images(paths), transforms=LISTS[name], num_workers=workers)
    assert_same(got, expected)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_modes_are_those_of_the_decoder(paths: list[str], mode: Any) -> None:
    crop = [T.RandomCrop(24), T.ChannelsFirst()]
    expected = batches(decoded(paths, mode), transforms=crop, channels="last")
    assert_same(batches(nl.images(paths, mode), transforms=crop, num_workers=2), expected)


def test_png_is_what_pillow_decodes_to_the_bit(tmp_path: Path) -> None:
    paths = write(tmp_path, 6, "png")
    crop = [T.CenterCrop(30)]
    (got,) = batches(nl.images(paths), transforms=crop, batch_size=6, shuffle=False)
    for image, path in zip(got, paths, strict=True):
        pixels = np.asarray(Image.open(path))
        height, width = pixels.shape[:2]
        top, left = round((height - 30) / 2), round((width - 30) / 2)
        assert np.array_equal(image, pixels[top : top + 30, left : left + 30])


def test_lists_of_torchvision_are_taken(paths: list[str], arrays: nl.Items) -> None:
    compose = v2.Compose(
        [
            v2.RandomResizedCrop(32, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    expected = batches(arrays, transforms=compose, channels="last")
    got = batches(nl.images(paths), transforms=compose, num_workers=2)
    assert got[0].shape == (5, 3, 32, 32)
    assert_same(got, expected)
    grey = batches(nl.images(paths, "L"), transforms=v2.Compose([v2.CenterCrop(20)]))
    assert grey[0].shape == (5, 1, 20, 20)


def test_an_image_and_its_mask_are_drawn_together(tmp_path: Path, paths: list[str]) -> None:
    masks = []
    for number, path in enumerate(paths):
        height, width = nl.image_info(path)[1:3]
        mask = tmp_path / f"{number}.png"
        Image.fromarray(scene(number + 100, height, width, 1)[:, :, 0]).save(mask)
        masks.append(str(mask))
    transforms = {
        "image": [T.RandomResizedCrop(24), T.RandomHorizontalFlip()],
        "mask": [T.RandomResizedCrop(24, interpolation="nearest"), T.RandomHorizontalFlip()],
    }
    settings: Any = {"transforms": transforms, "joint": ("image", "mask"), "return_params": True}
    in_memory = {"image": decoded(paths), "mask": decoded(masks, "L")}
    expected = batches(in_memory, channels="last", **settings)
    for fields in (
        {"image": nl.images(paths), "mask": nl.images(masks, "L")},
        {"image": nl.images(paths), "mask": in_memory["mask"]},
        {"image": in_memory["image"], "mask": nl.images(masks, "L")},
    ):
        got = batches(fields, num_workers=2, channels={"image": "last", "mask": "last"}, **settings)
        for (one, params), (other, others) in zip(got, expected, strict=True):
            assert params == others
            for name in ("image", "mask"):
                assert np.array_equal(one[name], other[name])


def test_a_mask_of_another_size_is_an_error_of_its_item(tmp_path: Path, paths: list[str]) -> None:
    small = tmp_path / "small.png"
    Image.fromarray(scene(1, 25, 25, 1)[:, :, 0]).save(small)
    fields = {"image": nl.images(paths[:1]), "mask": nl.images([small], "L")}
    crop = [T.RandomCrop(8)]
    transforms = {"image": crop, "mask": crop}
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        batches(fields, transforms=transforms, joint=("image", "mask"))
    assert str(error.value).startswith(f'field "mask", item 0: {small}: fields "image" and "mask"')


def test_parameters_are_those_that_were_drawn_and_replay(paths: list[str]) -> None:
    images = nl.images(paths)
    crop = [T.RandomResizedCrop(16), T.RandomHorizontalFlip()]
    plain = batches(images, transforms=crop)
    with_params = batches(images, transforms=crop, return_params=True, num_workers=2)
    order = nl.Loader(images, transforms=crop, shuffle=True, seed=3).indices(0).tolist()
    for number, ((batch, params), expected) in enumerate(zip(with_params, plain, strict=True)):
        assert np.array_equal(batch, expected)
        items = order[number * 5 : number * 5 + 5]
        again = T.replay(crop, images[items], params)
        assert np.array_equal(again, batch)


def test_batches_are_mixed(paths: list[str], arrays: nl.Items) -> None:
    labels = np.arange(len(paths)) % 4
    settings: Any = {
        "transforms": {"image": CLASSIFIER},
        "mix": T.CutMix(num_classes=4),
        "channels": {"image": "last"},
    }
    expected = batches({"image": arrays, "label": labels}, **settings)
    got = batches({"image": nl.images(paths), "label": labels}, num_workers=2, **settings)
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one["image"], other["image"])
        assert np.array_equal(one["label"], other["label"])


def test_values_are_computed_on_the_device(paths: list[str]) -> None:
    expected = batches(nl.images(paths), transforms=CLASSIFIER, output="torch")
    got = batches(nl.images(paths), transforms=CLASSIFIER, output="torch", device="cpu")
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)


def test_ranks_share_the_images_and_any_part_of_them(paths: list[str], arrays: nl.Items) -> None:
    crop = [T.RandomCrop(24)]
    for settings in (
        {"rank": 1, "world_size": 3},
        {"indices": [7, 1, 3, 12, 20]},
        {"sampler": [5, 5, 2]},
        {"weights": np.arange(23.0), "num_samples": 9},
        {"drop_last": True},
        {"order": "torch"},
    ):
        shuffle = not {"sampler", "weights"} & set(settings)
        more: Any = {"shuffle": shuffle} | settings
        expected = batches(arrays, transforms=crop, channels="last", **more)
        assert_same(batches(nl.images(paths), transforms=crop, num_workers=1, **more), expected)
    part = nl.subset(nl.images(paths), [9, 4, 11])
    expected = batches(nl.subset(arrays, [9, 4, 11]), transforms=crop, channels="last")
    assert_same(batches(part, transforms=crop), expected)


def test_a_run_goes_on_where_its_files_lie_elsewhere(tmp_path: Path, paths: list[str]) -> None:
    crop = [T.RandomCrop(24)]

    def loader(images: nl.Images) -> nl.Loader[Any]:
        return nl.Loader(
            images, batch_size=5, shuffle=True, seed=3, transforms=crop, output="numpy"
        )

    first = loader(nl.images(paths))
    begun = iter(first)
    whole = [next(begun), next(begun)]
    state = first.state_dict()
    whole += list(begun)
    elsewhere = []
    for path in paths:
        elsewhere.append(tmp_path / Path(path).name)
        elsewhere[-1].write_bytes(Path(path).read_bytes())
    second = loader(nl.images(elsewhere))
    second.load_state_dict(state)
    assert_same(list(second), whole[2:])
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        loader(nl.images(paths[::-1])).load_state_dict(state)
    assert str(error.value) == (
        'this state is of another run: the items of field "items" are others than this loader\'s: '
        "the names or the order of their files differ, or a subset takes others"
    )


def test_a_data_set_for_torch_makes_the_same_batches(paths: list[str]) -> None:
    images = nl.images(paths)
    dataset: Any = nl.torch.Dataset(images, CLASSIFIER, seed=3)
    expected = batches(images, transforms=CLASSIFIER, shuffle=False, output="torch")
    for workers in (0, 2):
        loader = torch.utils.data.DataLoader(
            dataset, 5, num_workers=workers, collate_fn=nl.torch.collate
        )
        dataset.set_epoch(0)
        for one, other in zip(loader, expected, strict=True):
            assert torch.equal(one, other)


def test_transforms_that_end_in_no_size_are_refused_with_what_to_add(paths: list[str]) -> None:
    for transforms in (None, [T.RandomHorizontalFlip()], [T.Resize(48)]):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
            nl.Loader(nl.images(paths), transforms=transforms)
        assert str(error.value) == (
            'field "items": images have sizes of their own, [?, ?, 3], and a batch has one: end '
            "with a transform that makes them one size, such as Resize((224, 224)), "
            "RandomResizedCrop(224) or CenterCrop(224)"
        )
    with pytest.raises(ValueError, match=r'^transforms of field "items": channels="first" is of'):
        nl.Loader(nl.images(paths), transforms=CLASSIFIER, channels="first")


def test_a_loader_of_images_has_a_face_and_a_description(paths: list[str]) -> None:
    loader = nl.Loader(nl.images(paths), transforms=CLASSIFIER, batch_size=5, output="numpy")
    assert "items uint8 [?, ?, 3]" in repr(loader)
    assert "RandomResizedCrop" in loader._repr_html_()


SEPARATE = (
    "fields 'image' and 'mask' draw RandomCrop each for itself, so an image and its mask no longer "
    "match: give joint=('image', 'mask') if they belong together, or joint=() if not"
)


@pytest.mark.parametrize("library", [T, v2])
def test_an_image_and_a_mask_that_are_cropped_apart_are_a_warning(
    paths: list[str], library: Any
) -> None:
    fields = {"image": nl.images(paths), "mask": nl.images(paths, "L"), "n": np.arange(len(paths))}
    crop = [library.RandomHorizontalFlip(), library.RandomCrop(24)]
    steps = v2.Compose([v2.Compose(crop)]) if library is v2 else crop
    transforms = {"image": steps, "mask": [T.RandomCrop(24)]}
    with pytest.warns(UserWarning, match="draw RandomCrop each for itself") as warned:
        nl.Loader(fields, transforms=transforms)
    assert [str(warning.message) for warning in warned] == [SEPARATE]
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="draw RandomCrop each for itself") as warned:
        nl.torch.Dataset(fields, transforms)
    assert [str(warning.message) for warning in warned] == [SEPARATE]
    assert warned[0].filename == __file__
    of_tuple = (fields["image"], fields["n"], fields["mask"])
    with pytest.warns(UserWarning, match=r"^fields 0 and 2 draw RandomCrop .* joint=\(0, 2\) if"):
        nl.Loader(of_tuple, transforms=(steps, None, steps))


def test_a_copy_of_a_loader_that_warned_does_not_warn_again(paths: list[str]) -> None:
    fields = {"image": nl.images(paths), "mask": nl.images(paths, "L")}
    crop = [T.RandomCrop(24)]
    both: Any = {"image": crop, "mask": crop}
    with pytest.warns(UserWarning, match="draw RandomCrop each for itself"):
        loader = nl.Loader(fields, batch_size=23, transforms=both)
    (expected,) = loader
    for again in (pickle.loads(pickle.dumps(loader)), copy.copy(loader)):
        again.set_epoch(0)
        (batch,) = again
        assert torch.equal(batch["mask"], expected["mask"])


def test_fields_that_may_draw_apart_are_no_warning(paths: list[str]) -> None:
    # Warnings are errors in these tests.
    image, mask = nl.images(paths), nl.images(paths, "L")
    crop, fixed = [T.RandomCrop(24)], [T.CenterCrop(24)]
    fields = {"image": image, "mask": mask}
    both: Any = {"image": crop, "mask": crop}
    groups: list[Any] = [(), [], ("image", "mask")]
    for group in groups:
        nl.Loader(fields, transforms=both, joint=group)
    nl.Loader(fields, transforms={"image": fixed, "mask": fixed})
    nl.Loader(fields, transforms={"image": crop, "mask": fixed})
    nl.Loader({"one": image, "two": image}, transforms={"one": crop, "two": crop})
    apart = next(iter(nl.Loader(fields, batch_size=23, transforms=both, joint=())))
    joint = next(iter(nl.Loader(fields, batch_size=23, transforms=both, joint=("image", "mask"))))
    assert torch.equal(apart["image"], joint["image"])
    assert not torch.equal(apart["mask"], joint["mask"])


def test_bytes_given_as_images_are_refused_with_what_makes_images(paths: list[str]) -> None:
    encoded = nl.ragged([np.frombuffer(Path(path).read_bytes(), np.uint8) for path in paths])
    for transforms in ([T.RandomResizedCrop(8)], [T.RandomHorizontalFlip()], [T.RandomGrayscale()]):
        with pytest.raises(ValueError, match=r"; if these are encoded images, give nl\.images\(it"):
            nl.Loader(encoded, transforms=transforms)
