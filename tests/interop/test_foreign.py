"""Objects of other libraries that are more than their memory, or have none: refused, never misread."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
import xarray as xr
from tests.helpers.strategies import Array

import ndlens as nl

# torch has warnings for what is new, and for what is old.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.torch.jit:FutureWarning")

# What is not typed: private, new, or what exports a buffer before Python 3.12.
torch_: Any = torch
np_: Any = np
memory: Any = memoryview
PickleBuffer: Any = pickle.PickleBuffer

COMPLEX = torch.tensor([1 + 2j, 3 - 4j])


class Wrapper(torch.Tensor):
    """A tensor whose elements its class computes, three times those of another."""

    inner: Any

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        made: Wrapper = torch_.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return func(*[3 * a.inner if isinstance(a, Wrapper) else a for a in args], **(kwargs or {}))


class Storing(torch.Tensor):
    """As `Wrapper`, with a storage of its own, of other elements."""

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return func(
            *[torch.ones(3) if isinstance(a, Storing) else a for a in args], **(kwargs or {})
        )


def resized() -> torch.Tensor:
    tensor = torch.arange(6.0)
    tensor.untyped_storage().resize_(8)
    return tensor


def freed() -> torch.Tensor:
    tensor = torch.arange(6.0).reshape(2, 3).T
    tensor.untyped_storage().resize_(0)
    return tensor


def fake() -> torch.Tensor:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(3)


def masked_tensor() -> Any:
    from torch.masked import masked_tensor

    return masked_tensor(torch.ones(2), torch.tensor([True, False]))


def quantized() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.quint8)


# What has to be computed to have elements, and the words that say how.
LAZY: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "negative": (
        lambda: COMPLEX.conj().imag,
        (
            "a tensor with the negative bit set does not store its elements, but what they are"
            " computed from; call .resolve_neg()"
        ),
    ),
    "conjugate": (
        lambda: COMPLEX.conj(),
        (
            "a tensor with the conjugate bit set does not store its elements, but what they are"
            " computed from; call .resolve_conj()"
        ),
    ),
    "both": (
        lambda: torch._neg_view(COMPLEX.conj()),
        (
            "a tensor with the conjugate and the negative bits set does not store its elements, but"
            " what they are computed from; call .resolve_conj().resolve_neg()"
        ),
    ),
    "zeros": (
        lambda: torch._efficientzerotensor(2),
        "a tensor of zeros that torch does not store has no data; call .clone()",
    ),
}

# What is no array of numbers in memory at all, and what it says.
OTHER: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "sparse": (
        lambda: torch.eye(3).to_sparse(),
        BufferError,
        "a tensor of layout torch.sparse_coo does not store all its elements; call .to_dense()",
    ),
    "sparse rows": (
        lambda: torch.eye(3).to_sparse_csr(),
        BufferError,
        "a tensor of layout torch.sparse_csr does not store all its elements; call .to_dense()",
    ),
    "mkldnn": (
        lambda: torch.eye(3).to_mkldnn(),
        BufferError,
        "a tensor of layout torch._mkldnn does not store all its elements; call .to_dense()",
    ),
    "quantized": (
        quantized,
        BufferError,
        (
            "a quantized tensor has a scale, which a view of its memory would lose; call"
            " .dequantize() for the numbers, or .int_repr() for the stored integers"
        ),
    ),
    "nested": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        BufferError,
        (
            "a nested tensor holds tensors of different shapes; "
            "call .to_padded_tensor(padding), or give its parts to nl.ragged"
        ),
    ),
    "nested, jagged": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        BufferError,
        (
            "a NestedTensor computes its elements (__torch_dispatch__): its memory does not hold"
            " them; call .to_padded_tensor(padding), or give its parts to nl.ragged"
        ),
    ),
    "meta": (
        lambda: torch.ones(3, device="meta"),
        BufferError,
        'a tensor on the meta device has no data; torch.empty_like(tensor, device="cpu") has',
    ),
    "fake": (
        fake,
        BufferError,
        (
            "a FakeTensor computes its elements (__torch_dispatch__): its memory does not hold"
            " them; it stands for a tensor that is not there: view that one"
        ),
    ),
    "masked": (
        masked_tensor,
        BufferError,
        (
            "a MaskedTensor computes its elements (__torch_dispatch__): its memory does not hold"
            " them; call .to_tensor(value)"
        ),
    ),
    "a wrapper": (
        lambda: Wrapper(torch.ones(3)),
        BufferError,
        (
            "a Wrapper computes its elements (__torch_dispatch__): its memory does not hold them; "
            "make a plain torch.Tensor of it first"
        ),
    ),
    "a subclass that stores something else": (
        lambda: torch.zeros(3).as_subclass(Storing),
        BufferError,
        (
            "a Storing computes its elements (__torch_dispatch__): its memory does not hold them; "
            "make a plain torch.Tensor of it first"
        ),
    ),
    "requires grad": (
        lambda: torch.ones(3, requires_grad=True),
        BufferError,
        "a tensor that requires grad would lose its gradient; call .detach()",
    ),
    "a parameter": (
        lambda: torch.nn.Parameter(torch.ones(3)),
        BufferError,
        "a tensor that requires grad would lose its gradient; call .detach()",
    ),
    "freed": (
        freed,
        BufferError,
        (
            "a tensor without its data needs 24 bytes of a storage of 0; "
            "it was freed or resized: view the tensor while it is whole"
        ),
    ),
    "cut": (
        resized,
        BufferError,
        (
            "a tensor without its data needs 24 bytes of a storage of 8; "
            "it was freed or resized: view the tensor while it is whole"
        ),
    ),
    "half-precision complex": (
        lambda: torch.zeros(3, dtype=torch.complex32),
        TypeError,
        "ndlens has no dtype for torch.complex32; torch.view_as_real(tensor) has its parts",
    ),
    "4 bits, which DLPack calls uint8": (
        lambda: torch.zeros(3, dtype=torch.uint8).view(torch_.uint4),
        TypeError,
        "ndlens has no dtype for torch.uint4; tensor.view(torch.uint8) has its bytes",
    ),
}

# Every way in that copies nothing, and every one that copies.
WAYS_IN: dict[str, Callable[[Any], Any]] = {
    "nl.view": lambda obj: nl.view(obj),
    "nl.view(readonly=True)": lambda obj: nl.view(obj, readonly=True),
    "nl.Loader": lambda obj: list(nl.Loader({"x": obj}, output="view")),
    "nl.Loader of one": lambda obj: list(nl.Loader(obj, output="view")),
    "nl.ragged": lambda obj: nl.ragged([obj, obj]),
    "nl.shares_memory": lambda obj: nl.shares_memory(obj, bytes(3)),
    "nl.explain": lambda obj: nl.explain(obj, "numpy"),
}


def saved(obj: Any, directory: Path) -> nl.View:
    nl.save(directory / "x.npy", obj)
    view: nl.View = nl.open(directory / "x.npy")
    return view


def assigned(obj: Any) -> nl.View:
    view = nl.view(np.zeros(tuple(obj.shape), str(obj.dtype).removeprefix("torch.")))
    view[...] = obj
    return view


def copying(directory: Path) -> dict[str, Callable[[Any], nl.View]]:
    return {
        "nl.view(copy=None)": lambda obj: nl.view(obj, copy=None),
        "nl.view(copy=True)": lambda obj: nl.view(obj, copy=True),
        "nl.share": lambda obj: nl.share({"x": obj})["x"],
        "nl.save": lambda obj: saved(obj, directory),
        "v[...] =": assigned,
    }


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("name", LAZY)
def test_elements_that_are_not_in_memory_never_come_out_as_what_is(name: str, way: str) -> None:
    make, message = LAZY[name]
    with pytest.raises(BufferError) as caught:
        WAYS_IN[way](make())
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("name", LAZY)
def test_elements_that_must_be_computed_are_where_a_copy_is_made(name: str, tmp_path: Path) -> None:
    tensor = LAZY[name][0]()
    expected = tensor + torch.zeros(2)
    for way, take in copying(tmp_path).items():
        assert take(tensor).tolist() == expected.tolist(), way
    assert nl.view(expected) == tensor
    assert nl.view(expected + 1) != tensor


@pytest.mark.parametrize("name", OTHER)
def test_a_tensor_that_is_more_than_its_memory_says_what_to_call(name: str, tmp_path: Path) -> None:
    make, kind, message = OTHER[name]
    ways = WAYS_IN | copying(tmp_path)
    del ways["v[...] ="]
    for way, take in ways.items():
        with pytest.raises(kind) as caught:
            take(make())
        assert str(caught.value).endswith(message), way
    assert not (tmp_path / "x.npy").exists()


def test_what_a_tensor_is_told_to_call_makes_a_view_of_what_it_was() -> None:
    assert nl.view(COMPLEX.conj().imag.resolve_neg()).tolist() == [-2, 4]
    assert nl.view(COMPLEX.conj().resolve_conj()).tolist() == [1 - 2j, 3 + 4j]
    assert nl.view(torch._efficientzerotensor(2).clone()).tolist() == [0, 0]
    assert nl.view(torch.eye(2).to_sparse().to_dense()).tolist() == [[1, 0], [0, 1]]
    assert nl.view(quantized().dequantize()).tolist() == [1, 1]
    assert nl.view(quantized().int_repr()).tolist() == [2, 2]
    assert nl.view(torch.ones(3, requires_grad=True).detach()).tolist() == [1, 1, 1]
    assert nl.view(masked_tensor().to_tensor(7)).tolist() == [1, 7]
    nested = torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])
    assert nl.view(nested.to_padded_tensor(0)).tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("transform", ["grad", "vmap", "functionalize", "jvp"])
def test_a_tensor_that_torch_func_traces_is_not_viewed(transform: str) -> None:
    refused: list[str] = []

    def function(tensor: torch.Tensor) -> torch.Tensor:
        with pytest.raises(BufferError) as caught:
            nl.view(tensor)
        refused.append(str(caught.value))
        return tensor.sum()

    functions: Any = torch.func
    numbers = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    if transform == "jvp":
        functions.jvp(function, (numbers,), (numbers,))
    else:
        getattr(functions, transform)(function)(numbers)
    assert refused == [
        "a tensor inside torch.func has no memory of its own; call nl.view outside of the function"
        " that is transformed"
    ]


def test_a_subclass_that_stores_its_elements_is_viewed() -> None:
    class Image(torch.Tensor):
        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            seen.append(getattr(func, "__name__", ""))
            return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]

    seen: list[str] = []
    tensor = torch.arange(3.0)
    view = nl.view(tensor.as_subclass(Image))
    view[0] = 7
    assert tensor.tolist() == [7, 1, 2]
    # The subclass is asked for its memory, and for nothing else.
    assert seen == ["__dlpack_device__", "__dlpack__"]
    negative = COMPLEX.conj().imag.as_subclass(Image)
    with pytest.raises(BufferError, match=r"call \.resolve_neg\(\)$"):
        nl.view(negative)
    parameter = torch.nn.Parameter(tensor, requires_grad=False)
    assert nl.view(parameter).tolist() == [7, 1, 2]


def test_a_read_only_tensor_of_torch_stays_read_only() -> None:
    from torch.utils.dlpack import ReadOnlyTensorWrapper

    tensor = torch.arange(3.0)
    assert nl.view(ReadOnlyTensorWrapper(tensor)).readonly
    assert not nl.view(tensor).readonly


def test_tensors_that_torch_copies_when_they_are_written_are_copied_then() -> None:
    tensor = torch.ones(3)
    clone = torch_._lazy_clone(tensor)
    view = nl.view(clone)
    view[0] = 5
    assert (tensor.tolist(), clone.tolist()) == ([1, 1, 1], [5, 1, 1])


def test_a_tensor_of_another_layout_is_viewed_as_far_as_its_storage_reaches() -> None:
    base = torch.arange(12.0)
    for tensor in (
        base.reshape(3, 4).T,
        base[4:],
        base.as_strided((3, 3), (1, 2), 5),
        base.expand(2, 12),
        base[3:3],
        torch.tensor(5.0),
    ):
        view = nl.view(tensor)
        assert view.tolist() == tensor.tolist()
        assert view.torch().data_ptr() == tensor.data_ptr()


# NumPy

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


# What is no array

FOREIGN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a pandas column": (lambda _: pd.Series([1, 2]), "pandas.Series; call .to_numpy()"),
    "a pandas frame": (lambda _: pd.DataFrame({"a": [1, 2]}), "pandas.DataFrame; call .to_numpy()"),
    "a pandas index": (lambda _: pd.Index([1, 2]), "pandas.Index; call .to_numpy()"),
    "a pandas array": (lambda _: pd.array([1, None]), "pandas.IntegerArray; call .to_numpy()"),
    "a polars column": (lambda _: pl.Series([1, 2]), "polars.Series; call .to_numpy()"),
    "a polars frame": (lambda _: pl.DataFrame({"a": [1, 2]}), "polars.DataFrame; call .to_numpy()"),
    "a polars plan": (
        lambda _: pl.DataFrame({"a": [1, 2]}).lazy(),
        "polars.LazyFrame; call .collect().to_numpy()",
    ),
    "an xarray array": (lambda _: xr.DataArray([1, 2]), "xarray.DataArray; call .to_numpy()"),
    "an h5py data set": (
        lambda path: h5py.File(path / "x.h5", "w").create_dataset("x", data=[1, 2]),
        "h5py.Dataset; read it with [...]: dataset[...]",
    ),
    "a list": (lambda _: [1, 2], "list; numpy.asarray(..) makes an array of it"),
    "a range": (lambda _: range(2), "range; numpy.asarray(..) makes an array of it"),
    "a generator": (
        lambda _: (i for i in [1]),
        "generator; numpy.asarray(list(..)) makes an array of it",
    ),
    "a path": (lambda path: path, "pathlib.PosixPath; nl.open(path) opens a file"),
    "a storage of torch": (
        lambda _: torch.ones(3).untyped_storage(),
        "torch.UntypedStorage; torch.empty(0, dtype=torch.uint8).set_(storage) has its bytes",
    ),
    "a tuple of another class": (
        lambda _: torch.Size([1, 2]),
        "torch.Size; numpy.asarray(..) makes an array of it",
    ),
    "nothing": (lambda _: None, "NoneType"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_array_says_how_to_make_one_of_it(name: str, tmp_path: Path) -> None:
    make, message = FOREIGN[name]
    obj = make(tmp_path)
    needs = "nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got "
    with pytest.raises(TypeError) as caught:
        nl.view(obj)
    assert str(caught.value) == needs + message
    with pytest.raises(TypeError) as caught:
        nl.Loader({"x": obj})
    assert str(caught.value) == f'field "x": {needs}{message}'


def test_containers_of_arrays_say_how_to_take_one_of_them(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("g")
        for obj, message in (
            (
                xr.Dataset({"a": [1]}),
                r'xarray\.Dataset; take one of its variables: dataset\["name"\]\.to_numpy\(\)$',
            ),
            (file, r'h5py\.File; read one of its datasets: file\["name"\]\[\.\.\.\]$'),
            (group, r'h5py\.Group; read one of its datasets: group\["name"\]\[\.\.\.\]$'),
        ):
            with pytest.raises(TypeError, match=message):
                nl.view(obj)


def stand_in(module: str, name: str, **members: Any) -> Any:
    """An object of a class as a library that is not installed has it."""
    return type(name, (), {"__module__": module, **members})()


def test_columns_and_lazy_arrays_of_libraries_that_are_not_here_say_what_to_call() -> None:
    for obj, message in (
        (
            stand_in("datasets.arrow_dataset", "Column"),
            "datasets.Column; numpy.asarray(column) makes an array of it",
        ),
        (
            stand_in("datasets.arrow_dataset", "Dataset"),
            'datasets.Dataset; take a column as an array: dataset.with_format("numpy")["name"][:]',
        ),
        (stand_in("zarr.core.array", "Array"), "zarr.Array; read it with [...]: array[...]"),
        (stand_in("dask.array.core", "Array"), "dask.Array; call .compute()"),
        (stand_in("pyarrow.lib", "ChunkedArray"), "pyarrow.ChunkedArray; call .to_numpy()"),
        (
            stand_in("elsewhere", "Lazy", __array__=lambda self: np.zeros(2)),
            (
                "elsewhere.Lazy; numpy.asarray(..) makes an array of it, which may copy; so does"
                " nl.view(.., copy=None)"
            ),
        ),
        (stand_in("elsewhere", "Thing"), "elsewhere.Thing"),
    ):
        with pytest.raises(TypeError) as caught:
            nl.view(obj)
        assert str(caught.value).endswith(f", got {message}")


@pytest.mark.parametrize(
    "name",
    ["a pandas column", "a pandas frame", "a polars column", "an xarray array", "an h5py data set"],
)
def test_what_numpy_makes_an_array_of_is_taken_where_a_copy_is_made(
    name: str, tmp_path: Path
) -> None:
    obj = FOREIGN[name][0](tmp_path)
    expected = np.asarray(obj)
    for way, take in copying(tmp_path).items():
        if way != "v[...] =":
            assert take(obj).tolist() == expected.tolist(), way
    target = nl.view(np.zeros_like(expected))
    target[...] = obj
    assert target.tolist() == expected.tolist()
    assert nl.view(obj, copy=True).readonly is False


def test_a_copy_that_is_asked_for_is_made() -> None:
    array = np.arange(6).reshape(2, 3)
    copied = nl.view(array[:, ::-1], copy=True)
    assert copied.tolist() == array[:, ::-1].tolist()
    assert not nl.shares_memory(copied, array)
    assert nl.shares_memory(nl.view(array, copy=None), array)
    assert nl.view(bytes(3), copy=True).readonly is False
    assert nl.view(bytes(3), copy=True, readonly=True).readonly is True


# Producers of DLPack capsules


class Producer:
    """Hands out a read-only tensor, versioned; without a version it cannot say read-only, and says writable."""

    def __init__(self, error: Callable[[], BaseException] | None = None) -> None:
        self.memory = np.arange(3)
        self.error = error
        self.asked: list[dict[str, Any]] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **keywords: Any) -> Any:
        self.asked.append(keywords)
        if "max_version" not in keywords:
            return nl.view(self.memory).__dlpack__()
        if self.error is not None:
            raise self.error()
        return nl.view(self.memory, readonly=True).__dlpack__(**keywords)


def test_read_only_arrives() -> None:
    producer = Producer()
    assert nl.view(producer).readonly
    assert producer.asked == [{"max_version": (1, 3)}]


@pytest.mark.parametrize(
    "text",
    [
        "no dtype float8 in DLPack",
        "a keyword is wrong",
        "unsupported argument",
        "max_version is a tuple",
    ],
)
def test_a_producers_own_type_error_is_not_asked_again_without_a_version(text: str) -> None:
    producer = Producer(lambda: TypeError(text))
    with pytest.raises(TypeError) as caught:
        nl.view(producer)
    assert str(caught.value) == text
    assert producer.asked == [{"max_version": (1, 3)}]


class Old:
    """A producer from before DLPack 1.0."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, stream: None = None) -> Any:
        return nl.view(bytearray(b"abc")).__dlpack__()


class OldInC(Old):
    """One whose method is C's and takes no keywords."""

    class Method:
        def __get__(self, obj: Any, kind: Any) -> Any:
            return iter([nl.view(bytearray(b"abc")).__dlpack__()]).__next__

    __dlpack__ = Method()


class Forwarding(Old):
    """One that hands on whatever it is given."""

    def __dlpack__(self, *args: Any, **keywords: Any) -> Any:
        return Old().__dlpack__(*args, **keywords)


@pytest.mark.parametrize(
    "producer", [Old(), OldInC(), Forwarding()], ids=lambda p: type(p).__name__
)
def test_a_producer_from_before_versions_is_asked_without_one(producer: Any) -> None:
    assert nl.view(producer).tobytes() == b"abc"


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
        with pytest.raises(TypeError, match=r"^a complex64 is no element of dtype float"):
            view[0] = np.complex64(1 + 2j)
        assert view[0] == 0
