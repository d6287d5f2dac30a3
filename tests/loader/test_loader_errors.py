"""What `nl.Loader` refuses, and in which words."""

from __future__ import annotations

import gc
import inspect
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.loading import (
    MEAN,
    STD,
    eventually,
    pictures,
    succeeds,
    workers_alive,
)

import ndlens as nl
from ndlens import transforms as T

# Errors.

IMAGES = np.zeros((4, 8, 8, 3), np.uint8)
TO_FLOAT = T.ToDtype("float32", scale=True)
REFUSED: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (np.zeros((0, 3)), {}, ValueError, 'the data set is empty: field "items" has no items'),
    (
        {"a": np.zeros(0), "b": np.zeros(0)},
        {},
        ValueError,
        'the data set is empty: field "a" has no items',
    ),
    (
        {"image": IMAGES, "label": IMAGES[:3]},
        {},
        ValueError,
        'fields have different lengths: "image" has 4 items, "label" has 3',
    ),
    (
        (IMAGES, IMAGES[:0]),
        {},
        ValueError,
        'fields have different lengths: "0" has 4 items, "1" has 0',
    ),
    (
        {"a": IMAGES, "b": torch.tensor(3)},
        {},
        ValueError,
        'field "b" has no axis to take items from: its view has rank 0',
    ),
    ({}, {}, ValueError, "a loader needs at least one field"),
    ((), {}, ValueError, "a loader needs at least one field"),
    ([], {}, ValueError, "a loader needs at least one field"),
    (
        3,
        {},
        TypeError,
        (
            'field "items": nl.view needs an object with the buffer protocol, DLPack or'
            " __array_interface__, got int; numpy.asarray(..) makes an array of it"
        ),
    ),
    (
        {"name": ["a", "b"]},
        {},
        TypeError,
        (
            'field "name": nl.view needs an object with the buffer protocol, DLPack or'
            " __array_interface__, got list; numpy.asarray(..) makes an array of it"
        ),
    ),
    (
        [IMAGES, None],
        {},
        TypeError,
        (
            'field "1": nl.view needs an object with the buffer protocol, DLPack or'
            " __array_interface__, got NoneType"
        ),
    ),
    (
        {"t": torch.zeros(3, requires_grad=True)},
        {},
        BufferError,
        'field "t": a tensor that requires grad would lose its gradient; call .detach()',
    ),
    (IMAGES, {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    (IMAGES, {"batch_size": -3}, ValueError, "batch_size must be at least 1, got -3"),
    (IMAGES, {"batch_size": 2.0}, TypeError, "batch_size must be an integer, got 2.0"),
    (
        IMAGES,
        {"batch_size": None},
        TypeError,
        "batch_size must be an integer, got None; a Loader always gives batches: with 1, batch[0] "
        "is the item",
    ),
    (
        IMAGES,
        {"batch_size": 2**80},
        ValueError,
        f"batch_size must be at most {2**63 - 1}, got {2**80}",
    ),
    (IMAGES, {"batch_size": -(2**80)}, ValueError, f"batch_size must be at least 1, got -{2**80}"),
    (IMAGES, {"seed": "0"}, TypeError, "seed must be an integer, got '0'"),
    (IMAGES, {"shuffle": 1}, TypeError, "shuffle must be True or False, got 1"),
    (IMAGES, {"order": 3}, TypeError, "order must be a string, got 3"),
    (IMAGES, {"num_workers": -1}, ValueError, "num_workers must be at least 0, got -1"),
    (
        IMAGES,
        {"num_workers": None},
        TypeError,
        "num_workers must be an integer, got None",
    ),
    (IMAGES, {"prefetch_factor": 0}, ValueError, "prefetch_factor must be at least 1, got 0"),
    (IMAGES, {"prefetch_factor": -1}, ValueError, "prefetch_factor must be at least 1, got -1"),
    (IMAGES, {"seed": -1}, ValueError, "seed must be between 0 and 2**64 - 1, got -1"),
    (IMAGES, {"seed": 2**64}, ValueError, f"seed must be between 0 and 2**64 - 1, got {2**64}"),
    (
        IMAGES,
        {"output": "jax"},
        ValueError,
        'unknown output "jax": expected "torch", "numpy", "view" or None',
    ),
    (
        IMAGES,
        {"stores": "none"},
        ValueError,
        'unknown stores "none": expected "auto", "stream" or "cached"',
    ),
    (
        IMAGES,
        {"persistent_workers": True},
        TypeError,
        (
            "Loader.__init__() got an unexpected keyword argument 'persistent_workers': there are"
            " no worker processes to set up: leave it out"
        ),
    ),
    (
        np.array(["cat", "dog"]),
        {"output": "torch"},
        TypeError,
        (
            'field "items": torch has no dtype for 3w; make numbers of text: numpy.unique(text,'
            " return_inverse=True)[1] numbers its classes"
        ),
    ),
    (
        IMAGES,
        {"workers": 2},
        TypeError,
        "Loader.__init__() got an unexpected keyword argument 'workers': did you mean num_workers?",
    ),
    (
        IMAGES,
        {"zz": 2},
        TypeError,
        "Loader.__init__() got an unexpected keyword argument 'zz'",
    ),
    (
        {"image": IMAGES, "label": IMAGES},
        {"transforms": {"img": []}},
        ValueError,
        'transforms names field "img", but the fields are ["image", "label"]',
    ),
    (
        {"image": IMAGES},
        {"transforms": [T.ChannelsFirst()]},
        TypeError,
        (
            "transforms must be a dict of lists, since fields is a dict: name the fields that a"
            ' list is for, transforms={"image": [..]}'
        ),
    ),
    (
        (IMAGES, IMAGES),
        {"transforms": ([],)},
        ValueError,
        "transforms has 1 entries for 2 fields; None leaves one as it is",
    ),
    (
        IMAGES,
        {"transforms": 5},
        TypeError,
        'transforms of field "items": expected a list of transforms, got int',
    ),
    (
        IMAGES,
        {"transforms": T.ChannelsFirst()},
        TypeError,
        (
            'transforms of field "items": expected a list of transforms, got ChannelsFirst: put it'
            " in one, [ChannelsFirst(..)]"
        ),
    ),
    (
        IMAGES,
        {"transforms": {"items": []}},
        TypeError,
        "transforms is a dict, but fields is one view: give its list alone, transforms=[..]",
    ),
    (
        IMAGES,
        {"transforms": [torch.nn.Identity()]},
        TypeError,
        (
            'transforms of field "items": transform 0: torch.nn.modules.linear.Identity is not a'
            " transform of ndlens.transforms"
        ),
    ),
    (
        IMAGES,
        {"transforms": [T.ChannelsFirst(), T.ChannelsFirst]},
        TypeError,
        (
            'transforms of field "items": transform 1: ChannelsFirst is a class, expected one of'
            " its objects: ChannelsFirst(..)"
        ),
    ),
    (
        {"image": IMAGES},
        {"transforms": {"image": [T.RandomCrop((9, 4))]}},
        ValueError,
        'field "image": RandomCrop(9, 4) is larger than the image, which has height 8 and width 8',
    ),
    (
        IMAGES,
        {"transforms": [T.CenterCrop(5), T.RandomCrop((4, 6))]},
        ValueError,
        'field "items": RandomCrop(4, 6) is larger than the image, which has height 5 and width 5',
    ),
    (
        IMAGES[:, :, 0, 0],
        {"transforms": [T.RandomHorizontalFlip()]},
        ValueError,
        (
            'field "items": RandomHorizontalFlip needs items of shape (height, width) or (height,'
            " width, channels), got [8]; bring the axes into this order with reshape; if"
            " these are encoded images, give nl.images(items)"
        ),
    ),
    (
        IMAGES[..., 0],
        {"transforms": [T.ChannelsFirst()]},
        ValueError,
        (
            'field "items": ChannelsFirst needs items of shape (height, width, channels), got [8,'
            " 8]; add a channel axis with view[..., None]"
        ),
    ),
    (
        IMAGES,
        {"transforms": [T.ChannelsFirst(), T.ChannelsFirst()]},
        ValueError,
        'field "items": ChannelsFirst comes twice: the channels are first already',
    ),
    (
        IMAGES,
        {"transforms": [T.Normalize(0, 1)]},
        ValueError,
        (
            'field "items": Normalize needs a floating-point dtype, got uint8; '
            'put ToDtype("float32", scale=True) before it'
        ),
    ),
    (
        IMAGES,
        {"transforms": [TO_FLOAT, T.Normalize((0, 0), 1)]},
        ValueError,
        'field "items": Normalize got 2 values of mean, expected 1 or 3',
    ),
    (
        IMAGES[..., 0],
        {"transforms": [TO_FLOAT, T.Normalize(MEAN, STD)]},
        ValueError,
        (
            'field "items": Normalize got 3 values of mean, expected 1: items of shape [8, 8] have'
            " no axis of channels; Standardize takes one value for each feature of the last axis"
        ),
    ),
    (
        IMAGES,
        {"transforms": [T.ToDtype("complex64")]},
        ValueError,
        (
            'field "items": ToDtype: cannot convert uint8 to complex64: the target must be bool, an'
            " integer or a float of 16 to 64 bits"
        ),
    ),
    (
        IMAGES,
        {"transforms": [T.ToDtype("uint32", scale=True)]},
        ValueError,
        (
            'field "items": ToDtype: cannot scale uint8 to uint32: of the integers only uint8,'
            " int8, uint16, int16, int32 and int64 have a range to scale; convert with scale=False"
        ),
    ),
    (
        IMAGES,
        {"transforms": [T.ToDtype("float32"), T.ToDtype("int64", scale=True)]},
        ValueError,
        (
            'field "items": ToDtype: cannot scale float32 to int64 safely: int64 has more digits'
            " than float32; scale to a narrower integer, or convert with scale=False"
        ),
    ),
    (
        IMAGES.astype("c8"),
        {"transforms": [T.ToDtype("float32")]},
        ValueError,
        (
            'field "items": ToDtype: cannot convert complex64 to float32: only bool, integers and'
            " floats of 16 to 64 bits can be converted"
        ),
    ),
]


@pytest.mark.parametrize(
    ("fields", "settings", "kind", "text"), REFUSED, ids=[text for *_, text in REFUSED]
)
def test_what_cannot_be_loaded_is_refused_before_the_first_batch(
    fields: Any, settings: dict[str, Any], kind: type[Exception], text: str
) -> None:
    assert eventually(lambda: workers_alive() == 0)
    with pytest.raises(kind) as raised:
        nl.Loader(fields, **{"num_workers": 2, **settings})
    assert type(raised.value) is kind
    assert str(raised.value) == text
    assert workers_alive() == 0


@pytest.mark.parametrize("seed", [2**127, -(2**200), 2**200])
def test_a_seed_is_out_of_range_however_far(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"^seed must be between 0 and 2\*\*64 - 1, got {seed}\b"):
        nl.Loader(IMAGES, seed=seed)


def test_the_error_of_a_field_is_caused_by_the_one_that_says_more() -> None:
    with pytest.raises(TypeError) as raised:
        nl.Loader({"x": "text"})
    assert type(raised.value.__cause__) is TypeError
    assert str(raised.value.__cause__).endswith("got str; nl.open(path) opens a file")


def test_an_error_class_that_takes_more_than_a_message_comes_through_as_itself() -> None:
    class Rude:
        def __dlpack__(self, **_: object) -> object:
            raise UnicodeDecodeError("utf-8", b"x", 0, 1, "rude")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    with pytest.raises(UnicodeDecodeError, match="rude"):
        nl.Loader({"x": Rude()})


def test_loaders_and_epochs_end_with_the_interpreter() -> None:
    program = """
        import numpy as np, ndlens as nl
        rows = np.zeros((1000, 1000))
        loader = nl.Loader(rows, batch_size=5, num_workers=4, output="view")
        epoch = iter(loader)
        batch = next(epoch)
        print("done")
    """
    assert succeeds(program) == "done\n"


def test_a_loader_may_be_weakly_referenced_and_goes_when_dropped() -> None:
    loader = nl.Loader(np.arange(3))
    reference = weakref.ref(loader)
    del loader
    gc.collect()
    assert reference() is None


def test_other_python_threads_run_while_batches_are_made() -> None:
    counted = 0
    stop = False

    def count() -> None:
        nonlocal counted
        while not stop:
            counted += 1

    a = np.broadcast_to(pictures(1, 512, 512), (4000, 512, 512, 3))
    loader = nl.Loader(a, batch_size=1000, transforms=[TO_FLOAT, T.CenterCrop(128)], output="view")
    thread = threading.Thread(target=count)
    thread.start()
    assert sum(len(batch) for batch in loader) == 4000
    stop = True
    thread.join()
    assert counted > 1000


def test_fields_may_change_while_they_are_looked_at() -> None:
    fields: dict[str, Any] = {}

    class Meddler:
        def __dlpack_device__(self) -> tuple[int, int]:
            fields["late"] = np.zeros(3)
            return (1, 0)

        def __dlpack__(self, **keywords: Any) -> Any:
            return torch.arange(3).__dlpack__(**keywords)

    fields.update({"first": Meddler(), "second": np.arange(3)})
    batch = next(iter(nl.Loader(fields, batch_size=3)))
    assert {name: part.tolist() for name, part in batch.items()} == {
        "first": [0, 1, 2],
        "second": [0, 1, 2],
    }


def test_a_setting_given_by_position_is_refused_with_what_to_type() -> None:
    text = (
        "Loader takes one positional argument, fields, got 2: give the others by name, such as"
        " batch_size=64"
    )
    with pytest.raises(TypeError) as raised:
        nl.Loader(np.zeros((4, 2)), 64)  # type: ignore[call-overload]
    assert str(raised.value) == text


def test_the_signature_shows_each_keyword_with_its_default() -> None:
    parameters = inspect.signature(nl.Loader).parameters
    assert parameters["batch_size"].default == 1
    assert parameters["fields"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert all(
        p.kind is inspect.Parameter.KEYWORD_ONLY
        for name, p in parameters.items()
        if name != "fields"
    )
    # Cleaned: Python 3.13 compiles docstrings without their indentation.
    documented = inspect.getdoc(nl.Loader) or ""
    assert all(f"\n    {name}: " in documented for name in parameters)
