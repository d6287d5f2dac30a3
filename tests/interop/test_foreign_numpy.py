"""NumPy's arrays that are more than their memory: masks, units, byte orders, records."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.inputs import WAYS_IN, copying, saved
from tests.helpers.strategies import Array

import ndlens as nl

# torch has warnings for what is new, and for what is old.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.torch.jit:FutureWarning")

# What is not typed: private, new, or what exports a buffer before Python 3.12.
np_: Any = np
memory: Any = memoryview
PickleBuffer: Any = pickle.PickleBuffer


MASKED: Any = np.ma.masked_array([1, 2, 3], mask=[False, True, False])
RECORDS: Any = np_.ma.array([(1, 2.0)], mask=[(False, True)], dtype=[("a", "i4"), ("b", "f4")])
NO_MASK = (
    "a MaskedArray has a mask, which a view of its memory would lose; "
    "call .filled(value), or take .data to go without the mask"
)


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize(
    "masked",
    [
        MASKED,
        MASKED[1:],
        MASKED.astype(">i2"),
        RECORDS,
        np.ma.masked_array([1, 2]),
        memory(MASKED),
        memory(memory(MASKED)[1:]),
        PickleBuffer(MASKED),
        MASKED.view(np.ma.MaskedArray),
    ],
    ids=repr,
)
def test_a_mask_is_never_dropped(masked: Any, way: str) -> None:
    with pytest.raises(BufferError) as caught:
        WAYS_IN[way](masked)
    assert str(caught.value).endswith(NO_MASK)


def test_a_mask_is_not_dropped_where_a_copy_is_made(tmp_path: Path) -> None:
    for way, take in copying(tmp_path).items():
        with pytest.raises(BufferError) as caught:
            take(MASKED)
        assert str(caught.value).endswith(NO_MASK), way
    assert not (tmp_path / "x.npy").exists()
    with pytest.raises(BufferError, match="has a mask, which a view of its memory would lose"):
        nl.view(np.arange(4)).take(MASKED)


def test_a_masked_array_of_an_extension_dtype_keeps_its_mask() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    masked = np.ma.masked_array(np.zeros(2, ml_dtypes.bfloat16), mask=[False, True])
    with pytest.raises(BufferError, match="has a mask, which a view of its memory would lose"):
        nl.view(masked)


def test_what_a_masked_array_is_told_to_call_makes_a_view() -> None:
    assert nl.view(MASKED.filled(-1)).tolist() == [1, -1, 3]
    assert nl.shares_memory(MASKED.data, MASKED.filled(0)) is False
    assert nl.view(MASKED.data).tolist() == [1, 2, 3]


class Quantity(np.ndarray):
    """As astropy's: an array with a unit, whose numbers are its `value`."""

    unit = "m"

    @property
    def value(self) -> Array:
        return self.view(np.ndarray)


class Unyt(np.ndarray):
    """As unyt's: the unit is set on the object."""

    units: str | None = None


class Masked(np.ndarray):
    """As astropy's `Masked`, which is no `numpy.ma.MaskedArray`."""

    mask = np.array([False, True])


def test_a_unit_is_never_dropped() -> None:
    length = np.arange(3.0).view(Quantity)
    mass = np.arange(3.0).view(Unyt)
    mass.units = "kg"
    for array, unit in ((length, "m"), (memory(length), "m"), (mass, "kg")):
        name = "Unyt" if unit == "kg" else "Quantity"
        with pytest.raises(BufferError) as caught:
            nl.view(array)
        assert (
            str(caught.value)
            == f"a {name} has a unit, {unit}, which a view of its memory would lose; take .value,"
            " its numbers"
        )
    assert nl.view(length.value).tolist() == [0, 1, 2]
    with pytest.raises(BufferError) as caught:
        nl.view(np.zeros(2).view(Masked))
    assert (
        str(caught.value) == "a Masked has a mask, which a view of its memory would lose; "
        "call .filled(value), or take numpy.asarray(..) to go without the mask"
    )


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_arrays_of_harmless_subclasses_are_viewed(tmp_path: Path) -> None:
    class Picture(np.ndarray):
        """As imageio's `Array`: an array that carries what its file said of it."""

        meta: dict[str, str]
        unit: str | None = None

    records = np.rec.array(
        [(1, 2.0, 3), (4, 5.0, 6)], dtype=[("mask", "i4"), ("unit", "f4"), ("units", "i2")]
    )
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(3,))
    for array in (np.zeros(3).view(Picture), np.matrix([[1, 2]]), records, mapped, np.float32(3)):
        assert nl.view(array).numpy().tolist() == array.tolist()


def test_time_says_which_integers_to_view() -> None:
    hint = (
        "counts time, which no buffer has a format for; view the integers that count it:"
        ' array.view("i8")'
    )
    times = np.array(["2020-01-01", "NaT"], "M8[D]")
    for array, name in ((times, "datetime64[D]"), (np.array([1], "m8[s]"), "timedelta64[s]")):
        with pytest.raises(BufferError) as caught:
            nl.view(array)
        assert str(caught.value) == f"{name} {hint}"
        assert nl.view(array.view("i8")).tolist() == array.view("i8").tolist()
    with pytest.raises(BufferError) as caught:
        nl.view(np.datetime64("2020"))
    assert (
        str(caught.value) == "a datetime64 counts time, and its bytes do not say so; "
        'view the integers that count it: numpy.asarray(..).view("i8")'
    )
    with pytest.raises(BufferError) as caught:
        nl.view(np.zeros(2, [("at", "M8[s]"), ("x", "f4"), ("for", "m8[s]", (2,))]))
    assert (
        str(caught.value) == "the fields at, for count time, which no buffer has a format for; "
        'give them the dtype "i8": array.view(dtype)'
    )
    with pytest.raises(BufferError) as caught:
        nl.view(np.array(["a"], dtype=np.dtypes.StringDType()))
    assert (
        str(caught.value)
        == "StringDType() keeps its text elsewhere; copy it to text of one length:"
        ' array.astype("U")'
    )


# The byte order

BIG = np.arange(6, dtype=">i4").reshape(2, 3)


def test_numbers_of_the_other_byte_order_are_read_and_written_as_numbers() -> None:
    array = BIG.copy()
    view = nl.view(array)
    assert (view.dtype, view[1, 2], view.tolist(), view[0, 1:].tolist()) == (
        ">i",
        5,
        array.tolist(),
        [1, 2],
    )
    view[0, 0] = 7
    view[1] = np.array([1, 2, 3], ">i4")
    assert array.tolist() == [[7, 1, 2], [1, 2, 3]]
    assert view == array.astype("i4")
    assert view != BIG
    assert nl.view(array.astype("f8")) == view
    with pytest.raises(ValueError, match=r"^2147483648 does not fit dtype int32$"):
        view[0, 0] = 2**31
    with pytest.raises(TypeError, match="int32"):
        view[0] = np.array([1, 2, 3], "<i4")


ORDER = r'numbers in big-endian byte order; convert them first, with NumPy: \.astype\("int32"\)$'


def test_numbers_of_the_other_byte_order_go_where_they_can_and_say_so_where_they_cannot(
    tmp_path: Path,
) -> None:
    from ndlens import transforms as T

    view = nl.view(BIG)
    assert view.numpy().dtype == ">i4"
    assert nl.share(BIG).numpy().dtype == ">i4"
    assert saved(BIG, tmp_path).numpy().dtype == ">i4"
    [batch] = nl.Loader(BIG, batch_size=2, output="numpy")
    assert (batch.dtype, batch.tolist()) == (np.dtype(">i4"), BIG.tolist())
    for act in (
        lambda: view.torch(),
        lambda: view.__dlpack__(max_version=(1, 0)),
        lambda: list(nl.Loader(BIG, output="torch")),
        lambda: nl.Loader(BIG, output="numpy", transforms=[T.ToDtype("float32")]),
    ):
        with pytest.raises((TypeError, ValueError), match=ORDER):
            act()
    with pytest.raises(TypeError, match="it has big-endian byte order; convert it first"):
        nl.save(tmp_path / "x.safetensors", {"x": BIG})
    assert nl.explain(BIG, "torch").zero_copy is False
    assert (
        'numbers in big-endian byte order; convert them first, with NumPy: .astype("int32")'
        in str(nl.explain(BIG, "torch"))
    )


# Numbers of NumPy's classes


def test_complex_scalars_keep_their_imaginary_part_or_are_refused() -> None:
    for dtype in ("c8", "c16"):
        view = nl.view(np.zeros(1, dtype))
        for number in (np.complex64(1 + 2j), np.complex128(1 + 2j), 1 + 2j):
            view[0] = number
            assert view[0] == 1 + 2j
            view[0] = 0
    for dtype in ("f2", "f4", "f8"):
        view = nl.view(np.zeros(1, dtype))
        with pytest.raises(TypeError, match=r"^a complex64 is not an element of dtype float"):
            view[0] = np.complex64(1 + 2j)
        assert view[0] == 0
