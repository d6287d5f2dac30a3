"""What `nl.save` promises of items of different sizes: ordinary tensors, the same items again."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from tests.helpers.opened import open_arrays
from tests.helpers.programs import run

import ndlens as nl
from ndlens import transforms as T


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "items.safetensors"


def images(count: int = 20) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    sizes = random.integers(1, 30, (count, 2))
    return [random.integers(0, 256, (height, width, 3), np.uint8) for height, width in sizes]


def same(items: Any, expected: list[np.ndarray[Any, Any]]) -> bool:
    assert type(items) is nl.Items
    assert len(items) == len(expected)
    assert all(items[i].shape == array.shape for i, array in enumerate(expected))
    return all(np.array_equal(items[i].numpy(), array) for i, array in enumerate(expected))


def test_items_alone_come_back_as_items(path: Path) -> None:
    expected = images()
    nl.save(path, nl.ragged(expected))
    for items in (nl.open(path), nl.open(path, "r"), nl.open(path, copy=True)):
        assert isinstance(items, nl.Items)
        assert same(items, expected)
        assert items.item_shape == (None, None, 3)
        assert same(pickle.loads(pickle.dumps(items)), expected)
    assert nl.open(path, "r")[3].readonly
    nl.open(path, "r+")[3][...] = 7
    assert nl.open(path)[3].tolist() == np.full_like(expected[3], 7).tolist()
    # Saved again, also to the file that they are views of.
    nl.save(path, nl.open(path))
    assert nl.open(path)[3][0, 0, 0] == 7


def test_items_among_arrays_have_their_name(path: Path) -> None:
    expected, labels = images(), np.arange(20)
    words = [np.arange(i, dtype=np.int32) for i in (3, 0, 5)]
    nl.save(
        path,
        {"image": nl.ragged(expected), "label": labels, "word": nl.ragged(words)},
        metadata={"a": "b"},
    )
    arrays = open_arrays(path)
    assert sorted(arrays) == ["image", "label", "word"]
    assert len(arrays) == 3
    assert "image" in arrays
    assert "image.data" not in arrays
    assert arrays.metadata == {"a": "b"}
    assert same(arrays["image"], expected)
    assert same(arrays["word"], words)
    assert np.array_equal(arrays["label"].numpy(), labels)
    copy = nl.open(path, copy=True)
    for again in (pickle.loads(pickle.dumps(arrays)), pickle.loads(pickle.dumps(copy))):
        assert same(again["image"], expected)
    other = path.with_name("other.safetensors")
    nl.save(other, arrays)
    assert other.read_bytes() == path.read_bytes()
    fields = {"image": arrays["image"], "label": arrays["label"]}
    crops: list[T.Transform] = [T.CenterCrop(8)]
    batches = list(nl.Loader(fields, batch_size=10, transforms={"image": crops}, output="numpy"))
    assert [batch["image"].shape for batch in batches] == [(10, 8, 8, 3)] * 2


def test_readers_that_know_nothing_of_items_see_three_tensors(path: Path) -> None:
    expected = images(3)
    nl.save(path, {"image": nl.ragged(expected)}, metadata={"format": "pt"})
    tensors = load_file(path)
    assert sorted(tensors) == ["image.data", "image.offsets", "image.shapes"]
    assert tensors["image.data"].tobytes() == b"".join(image.tobytes() for image in expected)
    ends = np.cumsum([0, *(image.size for image in expected)])
    assert tensors["image.offsets"].tolist() == ends.tolist()
    assert tensors["image.shapes"].tolist() == [list(image.shape) for image in expected]
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    parts = {"data": "image.data", "offsets": "image.offsets", "shapes": "image.shapes"}
    assert json.loads(metadata["ndlens"]) == {"version": 1, "ragged": {"image": parts}}


@pytest.mark.parametrize("offsets", [None, [40, 0, 20]])
def test_packed_items_are_saved_one_after_the_other(path: Path, offsets: Any) -> None:
    pixels = np.arange(60, dtype=np.float32)
    shapes = [(2, 5), (4, 5), (1, 3)]
    items = nl.ragged(pixels, offsets, shapes)
    nl.save(path, items)
    assert same(nl.open(path), [items[i].numpy() for i in range(3)])
    assert load_file(path)["items.offsets"].tolist() == [0, 10, 30, 33]


def test_items_of_any_strides_and_dtype_are_saved(path: Path) -> None:
    arrays = [np.arange(n * 6, dtype="f2").reshape(n, 6)[::-1, ::2] for n in (1, 4, 2)]
    nl.save(path, nl.ragged(arrays))
    assert same(nl.open(path), arrays)
    series = nl.windows(np.arange(10.0), 4, step=3)
    nl.save(path, series)
    assert [item.tolist() for item in nl.open(path)] == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]


def test_no_items_are_saved_too(path: Path) -> None:
    nl.save(path, nl.ragged([]))
    assert len(nl.open(path)) == 0


def test_items_are_written_without_a_second_copy(path: Path) -> None:
    script = """
    import sys
    import numpy as np
    import ndlens as nl

    def peak():
        with open("/proc/self/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1])

    few = nl.ragged(np.ones(60 << 20, np.uint8), shapes=[(3 << 20,)] * 20)
    many = nl.ragged(np.ones(20 << 20, np.uint8), shapes=[(16, 16)] * 80_000)
    for items in (few, many):
        before = peak()
        nl.save(sys.argv[1], items)
        assert peak() - before < 16 << 10, peak() - before
    print(len(nl.open(sys.argv[1])))
    """
    assert run(script, str(path)) == (0, "80000\n", "")


def test_items_that_cannot_be_saved_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    items = nl.ragged(images(2))
    cases: list[tuple[str, Any, type[Exception], str]] = [
        (
            "x.npy",
            items,
            TypeError,
            "x.npy: .npy holds one array, got several items: save them as .safetensors",
        ),
        ("x.txt", items, ValueError, "x.txt: expected a name that ends in .npy or .safetensors"),
        (
            "x.safetensors",
            {"a": items, "a.data": b"abc"},
            nl.FormatError,
            'x.safetensors: has two arrays of the name "a.data"',
        ),
        (
            "x.safetensors",
            {"a": nl.ragged([np.zeros(2, "c16")])},
            TypeError,
            (
                'x.safetensors: tensor "a.data": the format has no dtype complex128; convert it, or'
                ' save its bytes: view.reinterpret("uint8")'
            ),
        ),
    ]
    for name, obj, kind, text in cases:
        with pytest.raises(kind) as raised:
            nl.save(name, obj)
        assert str(raised.value) == text
        assert not [*tmp_path.iterdir()]


def test_items_whose_offsets_lie_are_a_format_error(path: Path) -> None:
    nl.save(path, {"image": nl.ragged(images(3)), "x": b"abc"})
    arrays = nl.open(path, "r+")
    at = path.read_bytes().index(np.cumsum([0, *(image.size for image in images(3))]).tobytes())
    for offsets, problem in [
        ([0, -1, 2, 3], "offsets must be integers from 0 on"),
        ([0, 1 << 60, 2, 3], "and does not end by element"),
    ]:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(np.array(offsets).tobytes())
        with pytest.raises(
            nl.FormatError, match=f'bad note "ndlens" in the metadata: set "image": .*{problem}'
        ):
            arrays["image"]
    assert arrays["x"].tobytes() == b"abc"
