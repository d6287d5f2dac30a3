"""Objects that are more than their memory, or have none, are refused and never misread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.inputs import WAYS_IN, copying

import ndlens as nl

# torch has warnings for what is new, and for what is old.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.torch.jit:FutureWarning")

# What is not typed: private, new, or what exports a buffer before Python 3.12.
torch_: Any = torch
memory: Any = memoryview

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
            " them; it stands for another tensor: view that one"
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
            call: Any = super().__torch_function__
            return call(func, types, args, kwargs or {})

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
