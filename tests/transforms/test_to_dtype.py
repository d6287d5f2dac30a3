"""`ToDtype` to integers: bit for bit torchvision's, and defined where C and torch leave it open."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.images import (
    IMAGENET,
    PHOTOGRAPHS,
    channels_first,
    equal,
    made,
    make,
    photograph,
    torch_dtype,
)
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

import ndlens as nl
from ndlens import transforms as T

INTEGERS = ["uint8", "int8", "uint16", "int16", "int32", "int64"]
OTHERS = ["bool", "uint32", "uint64"]
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def numbers(source: str, *, large: bool) -> torch.Tensor:
    """Integers of the whole range; floats around 0..1, or around what fits 32 bits."""
    rng = np.random.default_rng(0)
    dtype = torch_dtype(source)
    if source == "bool":
        return torch.tensor([False, True] * 50)
    if dtype.is_floating_point:
        some = (
            rng.normal(size=6000) * 10.0 ** rng.integers(0, 9, 6000) if large else rng.random(6000)
        )
        within = np.clip(some, -(2**30), 2**30)
        edges = [0.0, -0.0, 0.5, 1.0, 1 - 2**-24, 1 / 255, 1 / 256, 1e-9]
        return torch.from_numpy(np.append(within, edges)).to(dtype)
    limits = np.iinfo(source)
    some = rng.integers(limits.min, limits.max, 6000, source, endpoint=True)
    return torch.from_numpy(np.append(some, np.array([limits.min, 0, 1, limits.max], source)))


def expected(values: torch.Tensor, to: str, *, scale: bool) -> torch.Tensor:
    converted: torch.Tensor = F.to_dtype(values[None, :, None], torch_dtype(to), scale=scale)
    return converted[0, :, 0]


@pytest.mark.parametrize("to", INTEGERS + OTHERS)
@pytest.mark.parametrize("source", INTEGERS + OTHERS + FLOATS)
def test_a_cast_to_an_integer_is_torchs(source: str, to: str) -> None:
    values = numbers(source, large=True)
    if to in ("uint32", "uint64") and values.is_floating_point():
        values = values.abs()
    assert equal(made(values[None], T.ToDtype(to))[0], expected(values, to, scale=False))
    strided = torch.stack([values, values.flip(0)], dim=-1)[None, :, :, None].expand(1, -1, 2, 3)
    assert equal(made(strided, T.ToDtype(to)), F.to_dtype(strided, torch_dtype(to)))


@pytest.mark.parametrize("to", INTEGERS + OTHERS)
@pytest.mark.parametrize("source", INTEGERS + OTHERS + FLOATS)
def test_a_scale_to_an_integer_is_torchvisions_or_refused_where_that_refuses(
    source: str, to: str
) -> None:
    values = numbers(source, large=False)
    try:
        scaled = expected(values, to, scale=True)
    except (TypeError, RuntimeError):
        with pytest.raises(ValueError, match=f"cannot scale {source} to {to}"):
            made(values[None], T.ToDtype(to, scale=True))
        return
    got = made(values[None], T.ToDtype(to, scale=True))[0]
    if to == "uint16" and source == "float16":
        # 65,536 is beyond float16, so what is scaled to it is infinite and torch has no answer.
        scaled, got = scaled[values < 0.99], got[values < 0.99]
    assert equal(got, scaled)


LARGE = [
    *(
        float("nan"),
        float("inf"),
        -float("inf"),
        -1.0,
        -1.5,
        -0.5,
        -129.0,
        -300.0,
        256.0,
        70000.0,
        -70000.0,
    ),
    *(
        2.0**31,
        -(2.0**31),
        2.0**31 - 128,
        2.0**31 + 512,
        -(2.0**31) - 512,
        3e9,
        -3e9,
        5e9,
        1e15,
        2.0**53,
    ),
    *(2.0**62, 2.0**63, -(2.0**63), 2.0**64, 1e25, -1e25),
]


@pytest.mark.parametrize("to", ["bool", *INTEGERS, "uint64"])
@pytest.mark.parametrize("source", ["bfloat16", "float32", "float64"])
def test_a_float_that_does_not_fit_becomes_what_torch_makes_of_it_on_x86_64(
    source: str, to: str
) -> None:
    values = torch.tensor(LARGE * 40, dtype=torch.float64).to(torch_dtype(source))
    assert equal(made(values[None], T.ToDtype(to))[0], values.to(torch_dtype(to)))


def test_a_float_that_does_not_fit_an_integer_is_defined() -> None:
    large = np.array([[np.nan, np.inf, -np.inf, 1e30, -1.0, 300.0, 5e9]], np.float32)
    cast = {to: made(large, T.ToDtype(to))[0].tolist() for to in (*INTEGERS, *OTHERS)}
    low = -(2**31)
    assert cast == {
        "uint8": [0, 0, 0, 0, 255, 44, 0],
        "int8": [0, 0, 0, 0, -1, 44, 0],
        "uint16": [0, 0, 0, 0, 65535, 300, 0],
        "int16": [0, 0, 0, 0, -1, 300, 0],
        "int32": [low, low, low, low, -1, 300, low],
        "int64": [-(2**63)] * 4 + [-1, 300, 5_000_000_000],
        "bool": [True] * 7,
        "uint32": [0, 0, 0, 0, 2**32 - 1, 300, 5_000_000_000 - 2**32],
        "uint64": [2**63, 0, 2**63, 0, 2**64 - 1, 300, 5_000_000_000],
    }


CHAINS: list[list[tuple[str, bool]]] = [
    [("float32", True), ("uint8", True)],
    [("float16", True), ("uint8", True)],
    [("bfloat16", True), ("int16", True)],
    [("float64", True), ("int32", True), ("uint8", True)],
    [("int16", True), ("float32", True), ("uint8", True)],
    [("float32", False), ("int64", False), ("int8", True)],
    [("uint16", True), ("uint8", True)],
    [("int64", True), ("uint16", True), ("float32", True)],
    [("uint8", True), ("int32", True), ("float16", True)],
    [("bool", False), ("float32", True), ("uint8", True)],
]


@pytest.mark.parametrize("chain", CHAINS, ids=str)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_chain_of_dtypes_on_photographs_is_torchvisions(
    name: str, chain: list[tuple[str, bool]]
) -> None:
    image = photograph(name)
    values = [T.ToDtype(dtype, scale=scale) for dtype, scale in chain]
    got = make(image, T.CenterCrop(224), T.RandomHorizontalFlip(1), *values, T.ChannelsFirst())
    reference = F.horizontal_flip(F.center_crop(channels_first(image), [224, 224]))
    for dtype, scale in chain:
        reference = F.to_dtype(reference, torch_dtype(dtype), scale=scale)
    assert equal(got, reference)
    assert equal(
        make(image, *values, T.RandomVerticalFlip(1), T.CenterCrop(90)),
        make(image, T.RandomVerticalFlip(1), T.CenterCrop(90), *values),
    )


@settings(max_examples=100, deadline=None)
@given(
    source=st.sampled_from(["uint8", "int16", "uint16", "int32", "float32", "float64"]),
    chain=st.lists(
        st.tuples(st.sampled_from([*INTEGERS, "float32", "float64"]), st.booleans()),
        min_size=1,
        max_size=4,
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_chain_of_dtypes_is_torchvisions_as_long_as_values_fit(
    source: str, chain: list[tuple[str, bool]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    if source.startswith("float"):
        items = torch.from_numpy(rng.random((2, 5, 9, 3))).to(torch_dtype(source))
    else:
        items = torch.from_numpy(
            rng.integers(0, np.iinfo(source).max, (2, 5, 9, 3), source, endpoint=True)
        )
    reference, steps = items.permute(0, 3, 1, 2), []
    for dtype, scale in chain:
        # Without a scale, numbers of one dtype need not fit the next.
        allowed = scale and not (
            (reference.dtype == torch.float32 and dtype in ("int32", "int64"))
            or (reference.dtype == torch.float64 and dtype == "int64")
        )
        steps.append(T.ToDtype(dtype, scale=allowed))
        reference = F.to_dtype(reference, torch_dtype(dtype), scale=allowed)
    assert equal(made(items, *steps, T.ChannelsFirst()), reference)


def test_a_network_that_is_quantized_gets_bytes_after_colours_and_a_resize() -> None:
    image = photograph("coffee.png")
    floats = make(
        image,
        T.Resize((64, 96)),
        T.ToDtype("float32", scale=True),
        T.ToDtype("int8", scale=True),
        T.ChannelsFirst(),
    )
    reference = F.resize(channels_first(image), [64, 96], antialias=True)
    reference = F.to_dtype(F.to_dtype(reference, torch.float32, scale=True), torch.int8, scale=True)
    assert equal(floats, reference)
    colours = [
        T.ToDtype("float32", scale=True),
        T.ToDtype("uint8", scale=True),
        T.ColorJitter(brightness=(0.5, 0.5)),
    ]
    expected = F.adjust_brightness(channels_first(image), 0.5)
    assert equal(make(image, *colours, T.ChannelsFirst()), expected)


def test_torchvisions_own_conversions_to_integers_are_taken_as_they_are() -> None:
    image = photograph("rocket.jpg")
    for theirs in (v2.ToDtype(torch.int16, scale=True), v2.ToDtype(torch.uint8, scale=False)):
        steps = v2.Compose([v2.ToDtype(torch.float32, scale=True), theirs])
        (batch,) = nl.Loader(image[None], batch_size=1, transforms=steps)
        assert equal(batch[0], steps(torch.from_numpy(image)))


@pytest.mark.parametrize(
    "step", [T.Normalize(*IMAGENET), T.Standardize(0.5, 0.5), T.RandomJitter(0.1)], ids=str
)
def test_what_needs_floats_is_refused_after_a_conversion_to_integers(step: T.Transform) -> None:
    chain = [T.ToDtype("float32", scale=True), T.ToDtype("uint8", scale=True), step]
    with pytest.raises(ValueError, match=r"needs a floating-point dtype, got uint8; put ToDtype"):
        make(np.zeros((4, 4, 3), np.uint8), *chain)


DIGESTS = """
    import hashlib
    import numpy as np, ndlens as nl
    from ndlens import transforms as T
    chains = [
        [T.ToDtype("uint8")],
        [T.ToDtype("float32", scale=True), T.ToDtype("uint8", scale=True)],
        [T.ToDtype("int16")],
        [T.ToDtype("float64"), T.ToDtype("int64"), T.ToDtype("uint8", scale=True)],
    ]
    for workers in (0, 1, 3):
        rng = np.random.default_rng(0)
        digest = hashlib.sha256()
        shapes = [(40, 77, 3), (33, 41, 4), (40, 77), (33, 70, 1)]
        for shape, source in zip(shapes, "Bhfd"):
            images = rng.integers(0, 256, (9, *shape)).astype(source)
            for values in chains:
                for last in [[], [T.ChannelsFirst()]][: len(shape) - 1]:
                    steps = [T.RandomCrop((29, 37)), T.RandomHorizontalFlip(), *values, *last]
                    made = nl.Loader(
                        images, batch_size=4, shuffle=True, transforms=steps, num_workers=workers
                    )
                    for batch in made:
                        digest.update(batch.numpy().tobytes())
        print(digest.hexdigest())
"""


def test_every_instruction_set_and_number_of_threads_makes_the_same_integers() -> None:
    def digests(isa: str) -> list[str]:
        program = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(DIGESTS)]
        environment = {**os.environ, "NDLENS_ISA": isa}
        done = subprocess.run(
            program, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    made = [digest for isa in ("scalar", "avx2", "avx512") for digest in digests(isa)]
    assert len(made) == 9
    assert len(set(made)) == 1
