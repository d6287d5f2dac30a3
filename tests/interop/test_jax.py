"""JAX on the CPU: arrays in, views out, and `nl.explain` held against what JAX really does."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ndlens as nl

BITS_64 = ["int64", "uint64", "float64", "complex128"]
BITS_32 = [
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "bfloat16", "float32",
    "complex64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "float8_e8m0fnu",
]  # fmt: skip


def aligned(dtype: str, *shape: int) -> nl.View:
    """Writable memory that starts at a multiple of 64 bytes."""
    itemsize = jnp.dtype(dtype).itemsize
    return nl.view(bytes(int(np.prod(shape)) * itemsize)).copy().reinterpret(dtype).reshape(*shape)


def address(view: nl.View) -> int:
    address, _ = view[:1].reinterpret("uint8").__array_interface__["data"]
    return int(address)


@pytest.mark.parametrize("dtype", BITS_32 + BITS_64)
def test_an_array_of_jax_becomes_a_view_of_its_memory(dtype: str) -> None:
    with jax.enable_x64():
        array = jnp.arange(24).reshape(4, 6).astype(dtype)
    view = nl.view(array)
    assert (view.dtype, view.shape) == (dtype, (4, 6))
    assert address(view) == array.unsafe_buffer_pointer()
    assert view.tobytes() == np.asarray(array).tobytes()


@pytest.mark.parametrize("dtype", BITS_32 + BITS_64)
def test_a_view_becomes_an_array_of_jax_on_the_same_memory(dtype: str) -> None:
    view = aligned(dtype, 4, 6)
    with jax.enable_x64():
        array = jax.dlpack.from_dlpack(view)
        assert (str(array.dtype), array.shape) == (dtype, (4, 6))
        assert array.unsafe_buffer_pointer() == address(view)
    assert nl.explain(view, "jax").zero_copy == (dtype not in BITS_64)


def changed() -> list[Any]:
    view = aligned("float32", 16, 16)
    return [
        pytest.param(view, id="packed"),
        pytest.param(view.T, id="transposed"),
        pytest.param(view[1:], id="from a multiple of 64 on"),
        pytest.param(view[:0], id="no elements"),
        pytest.param(view[2:3, 0, None], id="an axis of size 1"),
        pytest.param(view.reshape(-1)[1:], id="misaligned"),
        pytest.param(view[:, 1:3], id="gaps"),
        pytest.param(view[::2], id="every second row"),
        pytest.param(view[::-1], id="backwards"),
        pytest.param(view[:1].broadcast_to(4, 16), id="repeated and read-only"),
        pytest.param(view.toreadonly(), id="read-only"),
    ]


@pytest.mark.parametrize("view", changed())
def test_jax_does_what_explain_says(view: nl.View) -> None:
    explanation = str(nl.explain(view, "jax"))
    if explanation.startswith("jax cannot"):
        with pytest.raises(Exception):  # noqa: B017, PT011 - JAX's own, of several classes
            jax.dlpack.from_dlpack(view)
        return
    array = jax.dlpack.from_dlpack(view)
    assert array.tolist() == view.tolist()
    if view.size > 0:
        _, read_only = view.__array_interface__["data"]
        shares = array.unsafe_buffer_pointer() == view.__array_interface__["data"][0]
        assert shares == nl.explain(view, "jax").zero_copy, explanation
        assert not read_only


def test_an_array_that_is_not_there_is_refused_with_the_reason() -> None:
    refused: list[str] = []

    @jax.jit
    def traced(array: Any) -> Any:
        with pytest.raises(BufferError) as caught:
            nl.view(array)
        refused.append(str(caught.value))
        return array

    traced(jnp.arange(3))
    assert refused == [
        "a tracer of JAX has no memory of its own; call nl.view outside of the function that is"
        " transformed"
    ]
    deleted = jnp.arange(3)
    deleted.delete()
    with pytest.raises(BufferError) as gone:
        nl.view(deleted)
    assert (
        str(gone.value)
        == "an array of JAX was deleted or donated, and has no data; view it before that"
    )
    key = jax.random.key(0)
    with pytest.raises(
        TypeError, match=r"got jax\.PRNGKeyArray; jax\.random\.key_data\(key\) has its numbers$"
    ):
        nl.view(key)
    assert nl.view(jax.random.key_data(key)).shape == (2,)
