"""Transforms as values: what `dataclass(frozen=True)` would give, without importing dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest
from tests.helpers.programs import run

from ndlens import transforms as T

EACH = [
    T.RandomCrop(3, padding=1),
    T.Crop(0, 1, 2, 3),
    T.Normalize((0.5, 0.4), 0.2),
    T.ColorJitter(0.1, hue=0.2),
    T.MixUp(num_classes=3),
    T.RandomChoice([T.MixUp(), T.CutMix()]),
]


@pytest.mark.parametrize("transform", EACH, ids=lambda t: type(t).__name__)
def test_transforms_are_equal_by_class_and_fields_and_can_be_keys(transform: T.Transform) -> None:
    for twin in (copy.copy(transform), copy.deepcopy(transform), dataclasses.replace(transform)):
        assert twin is not transform
        assert twin == transform
        assert hash(twin) == hash(transform)
    for other in EACH:
        assert (other == transform) == (other is transform)
    assert T.MixUp() != T.CutMix()
    again = pickle.loads(pickle.dumps(transform))
    assert (again, repr(again)) == (transform, repr(transform))


@pytest.mark.parametrize("transform", EACH, ids=lambda t: type(t).__name__)
def test_dataclasses_takes_transforms_for_its_own(transform: T.Transform) -> None:
    assert dataclasses.is_dataclass(transform)
    names = [field.name for field in dataclasses.fields(transform)]
    assert names == list(type(transform).__match_args__)
    assert list(dataclasses.asdict(transform)) == names
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot assign to field"):
        setattr(transform, names[0], 1)
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot delete field"):
        delattr(transform, names[0])


def test_fields_have_the_types_and_defaults_that_are_written() -> None:
    by_name = {field.name: field for field in dataclasses.fields(T.RandomCrop)}
    assert by_name["size"].default is dataclasses.MISSING
    assert (by_name["fill"].default, by_name["fill"].type) == ((0.0,), "tuple[float, ...]")
    assert dataclasses.replace(T.RandomCrop(3), padding=(2, 2, 2, 2)) == T.RandomCrop(3, padding=2)


def test_a_transform_matches_a_pattern() -> None:
    match T.Crop(0, 1, 2, 3):
        case T.Crop(top, left, height=height):
            assert (top, left, height) == (0, 1, 2)


def test_a_class_of_a_user_keeps_its_module_and_the_fields_of_its_base() -> None:
    class Mine(T.RandomHorizontalFlip):
        note: str = "a"

    assert Mine.__module__ == __name__
    assert vars(Mine).get("__match_args__") is None  # that of its base
    mine = Mine(0.2)
    object.__setattr__(mine, "note", "b")
    assert (mine, hash(mine), repr(mine)) == (Mine(0.2), hash(Mine(0.2)), "Mine(p=0.2)")
    assert dataclasses.asdict(mine) == {"p": 0.2}
    assert dataclasses.replace(mine, p=0.3) == Mine(0.3)
    assert mine != T.RandomHorizontalFlip(0.2)


def test_a_class_of_a_user_can_be_a_dataclass() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(T.RandomHorizontalFlip):
        note: str = ""

    mine = Mine(0.2, note="a")
    assert repr(mine).endswith("Mine(p=0.2, note='a')")
    assert (mine, hash(mine)) == (Mine(0.2, "a"), hash(Mine(0.2, "a")))
    assert mine != Mine(0.2)
    assert (Mine.__match_args__, Mine.__module__) == (("p", "note"), __name__)
    assert dataclasses.asdict(mine) == {"p": 0.2, "note": "a"}
    assert dataclasses.replace(mine, note="b") == Mine(0.2, "b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        mine.note = "b"  # type: ignore[misc]  # what is refused
    # The fields of the base are checked as by its own `__init__`.
    with pytest.raises(ValueError, match=r"^p must be between 0 and 1, got 2$"):
        Mine(2)
    with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass from a frozen one"):
        dataclasses.dataclass(type("Thawed", (T.RandomHorizontalFlip,), {}))


@pytest.mark.parametrize("transform", EACH, ids=lambda t: type(t).__name__)
def test_a_dataclass_of_any_transform_brings_its_fields_into_form(transform: T.Transform) -> None:
    made: type[Any] = dataclasses.dataclass(frozen=True)(type("Mine", (type(transform),), {}))
    assert vars(made(**vars(transform))) == vars(transform)


def test_a_dataclass_of_the_base_class_has_the_fields_of_its_own() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(T.Transform):
        p: float

    assert [field.name for field in dataclasses.fields(Mine(0.5))] == ["p"]


def test_a_dataclass_of_a_crop_takes_one_number_for_a_size() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(T.RandomCrop):
        note: str = ""

    assert Mine(4).size == (4, 4)  # type: ignore[arg-type]  # as its base takes it


def test_without_dataclasses_transforms_are_fixed_all_the_same() -> None:
    script = """
        import sys
        from ndlens import transforms as T
        crop = T.RandomCrop(3)
        try:
            crop.size = (4, 4)
        except AttributeError as error:
            assert str(error) == "cannot assign to field 'size': make another RandomCrop", error
        assert crop.size == (3, 3) and not hasattr(crop, "__dataclass_fields__")
        heavy = {"dataclasses", "inspect", "typing", "pathlib", "urllib"} & set(sys.modules)
        assert not heavy, heavy
    """
    assert run(script) == (0, "", "")
