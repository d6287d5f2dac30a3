"""Other libraries' objects that mean more than their memory, or have no memory to view.

Nothing is imported here: the code that made an object has imported its library.
"""

from __future__ import annotations

import sys

from ._ndlens import dtype_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = ["check_whole", "strided", "suggestion"]


def refuse(what: str, why: str, hint: str) -> BufferError:
    """The error for an object whose memory is not its elements."""
    return BufferError(f"{what} {why}; {hint}")


# Arrays


def check_whole(exporter: Any) -> None:
    """Raises `BufferError` if a buffer is only a part of what its object means.

    Masked arrays, arrays with a unit and scalars that count time are such objects.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(exporter, (numpy.ndarray, numpy.generic)):
        return
    kind = type(exporter).__name__
    if isinstance(exporter, (numpy.datetime64, numpy.timedelta64)):
        hint = 'view the integers that count it: numpy.asarray(..).view("i8")'
        raise refuse(f"a {kind}", "counts time, and its bytes do not say so", hint)
    # The fields of a record array are attributes too, and part of its buffer.
    fields = exporter.dtype.names or ()
    if getattr(exporter, "mask", None) is not None and "mask" not in fields:
        without = (
            ".data"
            if hasattr(numpy, "ma") and isinstance(exporter, numpy.ma.MaskedArray)
            else "numpy.asarray(..)"
        )
        hint = f"call .filled(value), or take {without} to go without the mask"
        raise refuse(f"a {kind}", "has a mask, which a view of its memory would lose", hint)
    for name in ("unit", "units"):
        if getattr(exporter, name, None) is not None and name not in fields:
            hint = "take .value, its numbers"
            raise refuse(
                f"a {kind}",
                f"has a unit, {getattr(exporter, name)}, which a view of its memory would lose",
                hint,
            )


def unexported(array: Any) -> str | None:
    """Why NumPy exports no buffer of an array, and what to do about it.

    None if the reason is unknown.
    """
    dtype: Any = getattr(array, "dtype", None)
    kind = getattr(dtype, "kind", None)
    if kind in ("M", "m"):
        hint = 'view the integers that count it: array.view("i8")'
        return f"{dtype} counts time, which no buffer has a format for; {hint}"
    if kind == "T":
        return f'{dtype} keeps its text elsewhere; copy it to text of one length: array.astype("U")'
    times = [
        name for name in getattr(dtype, "names", None) or () if dtype[name].base.kind in ("M", "m")
    ]
    if times:
        return (
            f"the fields {', '.join(times)} count time, which no buffer has a format for; "
            'give them the dtype "i8": array.view(dtype)'
        )
    return None


# Tensors


def strided(tensor: Any, copies: bool) -> Any:
    """The tensor to ask for a DLPack capsule: `tensor`, or with `copies` one that is computed.

    A tensor can mean more than its memory. PyTorch's exporter checks some of the ways, and each
    version checks others. Objects of other libraries are left to those libraries.

    Raises:
        BufferError: The tensor's elements are not what its memory holds.
    """
    torch = sys.modules.get("torch")
    kind = getattr(torch, "Tensor", None)
    if kind is None or not isinstance(tensor, kind):
        check_jax(tensor)
        return tensor
    if type(tensor) is kind:
        return _strided(torch, tensor, copies)
    # The checks read the properties of `torch.Tensor` itself, also if a subclass changes them.
    with torch._C.DisableTorchFunction():  # type: ignore[union-attr]
        return _strided(torch, tensor, copies)


def storage(tensor: Any) -> Any:
    """The storage of a `torch.Tensor`, also if a subclass changes its methods."""
    torch = sys.modules["torch"]
    with torch._C.DisableTorchFunction():
        return torch.Tensor.untyped_storage(tensor)


def _strided(torch: Any, tensor: Any, copies: bool) -> Any:
    functorch = getattr(torch._C, "_functorch", None)
    if (
        functorch is not None and functorch.is_functorch_wrapped_tensor(tensor)
    ) or torch._is_functional_tensor(tensor):
        hint = "call nl.view outside of the function that is transformed"
        raise refuse("a tensor inside torch.func", "has no memory of its own", hint)
    if type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        name = type(tensor).__name__
        hint = DISPATCHED.get(name, "make a plain torch.Tensor of it first")
        raise refuse(
            f"a {name}",
            "computes its elements (__torch_dispatch__): its memory does not hold them",
            hint,
        )
    if tensor.is_meta:
        raise refuse(
            "a tensor on the meta device",
            "has no data",
            'torch.empty_like(tensor, device="cpu") has',
        )
    if tensor.is_nested:
        hint = "call .to_padded_tensor(padding), or give its parts to nl.ragged"
        raise refuse("a nested tensor", "holds tensors of different shapes", hint)
    if tensor.layout is not torch.strided:
        raise refuse(
            f"a tensor of layout {tensor.layout}",
            "does not store all its elements",
            "call .to_dense()",
        )
    if tensor.is_quantized:
        hint = "call .dequantize() for the numbers, or .int_repr() for the stored integers"
        raise refuse(
            "a quantized tensor", "has a scale, which a view of its memory would lose", hint
        )
    if tensor.device.type != "cpu":
        raise refuse(f"a tensor on {tensor.device}", "is not in the CPU's memory", "call .cpu()")
    if tensor.dtype not in NAMED:
        check_dtype(tensor.dtype)
    if tensor.requires_grad:
        raise refuse("a tensor that requires grad", "would lose its gradient", "call .detach()")
    if tensor._is_zerotensor():
        if not copies:
            raise refuse(
                "a tensor of zeros that torch does not store", "has no data", "call .clone()"
            )
        return tensor.clone()
    negative, conjugate = tensor.is_neg(), tensor.is_conj()
    if (negative or conjugate) and not copies:
        bits = [
            name for name, is_set in (("conjugate", conjugate), ("negative", negative)) if is_set
        ]
        calls = [
            call
            for call, is_set in ((".resolve_conj()", conjugate), (".resolve_neg()", negative))
            if is_set
        ]
        what = f"a tensor with the {' and the '.join(bits)} bit{'s' * (len(bits) - 1)} set"
        raise refuse(
            what,
            "does not store its elements, but what they are computed from",
            f"call {''.join(calls)}",
        )
    if negative or conjugate:
        return tensor.resolve_conj().resolve_neg()
    check_storage(tensor)
    return tensor


def check_jax(array: Any) -> None:
    """Raises `BufferError` for a tracer of JAX, or an array of JAX that was deleted."""
    jax = sys.modules.get("jax")
    # While JAX is being imported it has none of its classes.
    array_type = getattr(jax, "Array", None)
    if array_type is None or not isinstance(array, array_type):
        return
    if isinstance(array, jax.core.Tracer):  # type: ignore[union-attr]
        hint = "call nl.view outside of the function that is transformed"
        raise refuse("a tracer of JAX", "has no memory of its own", hint)
    if array.is_deleted():
        raise refuse(
            "an array of JAX",
            "was deleted or donated, and has no data",
            "view it before that",
        )


DISPATCHED: Final = {
    "AsyncCollectiveTensor": "call .wait()",
    "DTensor": "call .to_local() for this rank's part, or .full_tensor()",
    "FakeTensor": "it stands for another tensor: view that one",
    "FunctionalTensor": "call nl.view outside of the function that is transformed",
    "MaskedTensor": "call .to_tensor(value)",
    "NestedTensor": "call .to_padded_tensor(padding), or give its parts to nl.ragged",
}


# The dtypes of torch that were looked up and that ndlens has.
NAMED: Final[set[Any]] = set()


def check_dtype(dtype: Any) -> None:
    """Raises `TypeError` for a dtype of torch that views do not have.

    DLPack has other names for some of them.
    """
    try:
        dtype_name(dtype)
    except TypeError:
        is_complex = dtype.is_complex
        hint = (
            "torch.view_as_real(tensor) has its parts"
            if is_complex
            else "tensor.view(torch.uint8) has its bytes"
        )
        raise TypeError(f"ndlens has no dtype for {dtype}; {hint}") from None
    NAMED.add(dtype)


def check_storage(tensor: Any) -> None:
    """Raises `BufferError` if a tensor's storage was freed or cut, and its elements with it."""
    if tensor.numel() == 0:
        return
    if tensor.is_contiguous():
        steps = tensor.numel() - 1
    else:
        steps = sum(
            (n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True)
        )
    needed = (tensor.storage_offset() + steps + 1) * tensor.element_size()
    stored = tensor.untyped_storage().nbytes()
    if stored < needed:
        hint = "it was freed or resized: view the tensor while it is whole"
        raise refuse(
            "a tensor without its data", f"needs {needed} bytes of a storage of {stored}", hint
        )


# Objects that are not arrays

NUMPY: Final = "numpy.asarray(..) makes an array of it"
READ: Final = "read it with [...]"
# By the package of the class and its name; by the package alone for its other classes.
SUGGESTIONS: Final = {
    "pandas": "call .to_numpy()",
    "polars": "call .to_numpy()",
    "polars.LazyFrame": "call .collect().to_numpy()",
    "xarray": "call .to_numpy()",
    "xarray.Dataset": 'take one of its variables: dataset["name"].to_numpy()',
    "xarray.DataTree": 'take one of its variables: tree["name"].to_numpy()',
    "h5py.Dataset": f"{READ}: dataset[...]",
    "h5py.File": 'read one of its datasets: file["name"][...]',
    "h5py.Group": 'read one of its datasets: group["name"][...]',
    "zarr.Array": f"{READ}: array[...]",
    "zarr.Group": 'read one of its arrays: group["name"][...]',
    "dask": "call .compute()",
    "datasets": 'take a column as an array: dataset.with_format("numpy")["name"][:]',
    "datasets.Column": "numpy.asarray(column) makes an array of it",
    "pyarrow.ChunkedArray": "call .to_numpy()",
    "pyarrow.Table": 'take a column: table["name"].to_numpy()',
    "pyarrow": "call .to_numpy(zero_copy_only=False)",
    "tensorflow": "call .numpy()",
    "jax.PRNGKeyArray": "jax.random.key_data(key) has its numbers",
    "ndlens.Dataset": "give the fields that it was made of",
    "ndlens.Arrays": "take one of its arrays by name",
    "ndlens.Items": (
        "numpy.stack([item.numpy() for item in items]) is an array of items of one size"
    ),
    "ndlens.Images": "images[i] decodes one image",
    "ndlens.Shards": (
        "numpy.concatenate([shard.numpy() for shard in shards.shards]) is an array of it"
    ),
    "ndlens.Loader": "give the fields that it was made of",
    "torch.Subset": "nl.subset(fields, indices) takes some items of arrays",
    "torch.TensorDataset": "give its tensors: dataset.tensors",
    "torchvision.DatasetFolder": "nl.image_folder(dataset.root) has its images",
    "torchvision.ImageFolder": "nl.image_folder(dataset.root) has its images and labels",
    "torchvision": "give the arrays that it holds, such as dataset.data and dataset.targets",
    "torch.UntypedStorage": "torch.empty(0, dtype=torch.uint8).set_(storage) has its bytes",
    "torch.TypedStorage": "torch.empty(0, dtype=storage.dtype).set_(storage) has its elements",
    "builtins.list": NUMPY,
    "builtins.tuple": NUMPY,
    "builtins.range": NUMPY,
    "builtins.int": NUMPY,
    "builtins.float": NUMPY,
    "builtins.complex": NUMPY,
    "builtins.bool": NUMPY,
    "array": NUMPY,
    "builtins.dict": "give one of its arrays",
    "builtins.function": "call it and give what it returns; nl.share takes a function with name=",
    "builtins.generator": "numpy.asarray(list(..)) makes an array of it",
    "builtins.str": "nl.open(path) opens a file",
    "pathlib": "nl.open(path) opens a file",
}


def suggestion(obj: Any) -> tuple[str, str | None]:
    """The name of an object's class, and what to do with an object that is not an array.

    The name is the public one.
    """
    kind = type(obj)
    package = kind.__module__.partition(".")[0]
    name = kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"
    hint = SUGGESTIONS.get(f"{package}.{kind.__qualname__}") or SUGGESTIONS.get(package)
    if hint is None and isinstance(obj, (list, tuple)):
        hint = NUMPY
    if hint is None and hasattr(kind, "__array__"):
        hint = f"{NUMPY}, which may copy; so does nl.view(.., copy=None)"
    return name, hint
