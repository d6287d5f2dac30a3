"""DLPack capsules: versions, devices, copies, read-only memory, who consumes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.helpers import buffers
from tests.helpers.buffers import pointer
from tests.helpers.consumers import from_dlpack
from tests.helpers.programs import run

import ndlens as nl


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({}, b"dltensor"),
        ({"max_version": None}, b"dltensor"),
        ({"max_version": (0, 8)}, b"dltensor"),
        ({"max_version": (1, 0)}, b"dltensor_versioned"),
        ({"max_version": (1, 3)}, b"dltensor_versioned"),
        ({"max_version": (2, 0)}, b"dltensor_versioned"),
        ({"stream": None, "dl_device": None, "copy": None}, b"dltensor"),
        ({"dl_device": (1, 0), "copy": False}, b"dltensor"),
        ({"copy": True}, b"dltensor"),
        ({"max_version": (1, 1), "copy": True}, b"dltensor_versioned"),
    ],
)
def test_a_capsule_is_of_the_version_asked_for(keywords: dict[str, Any], name: bytes) -> None:
    array = np.arange(12, dtype="i2").reshape(3, 4)
    view = nl.view(array)[::2, 1:]
    capsule = view.__dlpack__(**keywords)
    assert buffers.capsule_name(capsule) == name
    if name == b"dltensor_versioned":
        managed = buffers.versioned_tensor(capsule)
        assert (managed.major, managed.minor) == (1, 3)
        assert managed.flags == (buffers.IS_COPIED if keywords.get("copy") else 0)
        tensor = managed.dl_tensor
    else:
        tensor = buffers.unversioned_tensor(capsule).dl_tensor
    assert (tensor.device_type, tensor.device_id) == view.__dlpack_device__() == (1, 0)
    assert (tensor.code, tensor.bits, tensor.lanes) == (0, 16, 1)
    assert (tensor.ndim, tensor.shape[:2]) == (2, [2, 3])
    if keywords.get("copy"):
        assert tensor.strides[:2] == [3, 1]
        assert tensor.data != pointer(view)
        assert nl.view(from_dlpack(capsule)).tolist() == view.tolist()
    else:
        assert tensor.strides[:2] == [8, 1]
        assert tensor.data == pointer(view)


def test_negative_strides_go_to_those_who_ask_for_a_version_and_to_nobody_else() -> None:
    array = np.arange(12, dtype="i2").reshape(3, 4)
    view = nl.view(array)[:, ::-1]
    tensor = buffers.versioned_tensor(view.__dlpack__(max_version=(1, 0))).dl_tensor
    assert tensor.strides[:2] == [4, -1]
    assert np.from_dlpack(view).tolist() == array[:, ::-1].tolist()
    for keywords in ({}, {"max_version": None}, {"max_version": (0, 8)}):
        with pytest.raises(nl.CopyRequired) as caught:
            view.__dlpack__(**keywords)
        assert (
            str(caught.value)
            == "DLPack export without a version would need a copy: axis 1 has the negative stride"
            " -2; call .copy() first"
        )
    # An axis that is not walked runs nowhere.
    assert from_dlpack(view[:, :1].__dlpack__()).tolist() == array[:, 3:].tolist()


def test_negative_strides_go_to_nobody_where_a_torch_is_imported_that_they_would_abort() -> None:
    script = """
        import sys, types
        import numpy as np
        import ndlens as nl

        def outcome():
            try:
                return np.from_dlpack(nl.view(bytes(3))[::-1]).tolist()
            except nl.CopyRequired as error:
                return str(error)

        torch = sys.modules["torch"] = types.ModuleType("torch")
        for version in ("2.9.0", "2.12.1+cu126", "1.13.0"):
            torch.__version__ = version
            assert outcome() == (
                "DLPack export where PyTorch before 2.13 is imported would need a copy: "
                "axis 0 has the negative stride -1; call .copy() first"
            ), outcome()
            assert np.asarray(nl.view(bytes(3))[::-1]).tolist() == [0, 0, 0]
            assert np.from_dlpack(nl.view(bytes(3))).tolist() == [0, 0, 0]
        for version in ("2.13.0", "3.0.0a0", "unknown"):
            torch.__version__ = version
            assert outcome() == [0, 0, 0], outcome()
        del sys.modules["torch"]
        assert outcome() == [0, 0, 0]
    """
    assert run(script) == (0, "", "")


def test_what_torch_says_of_negative_strides_is_an_exception() -> None:
    script = """
        import torch
        import ndlens as nl
        from_capsule = lambda v: torch.from_dlpack(v.__dlpack__())
        for take in (torch.from_dlpack, from_capsule, lambda v: v.torch()):
            try:
                take(nl.view(bytearray(3))[::-1])
            except (RuntimeError, BufferError) as error:
                pass
            else:
                raise SystemExit("taken")
    """
    assert run(script) == (0, "", "")


def test_a_capsule_says_that_memory_is_read_only() -> None:
    view = nl.view(bytes(4))
    flags = [
        buffers.versioned_tensor(view.__dlpack__(max_version=(1, 0), copy=copy)).flags
        for copy in (None, False, True)
    ]
    assert flags == [buffers.READ_ONLY, buffers.READ_ONLY, buffers.IS_COPIED]
    assert buffers.capsule_name(view.__dlpack__(copy=True)) == b"dltensor"


def test_an_old_consumer_is_not_given_read_only_memory() -> None:
    for version in (None, (0, 8)):
        with pytest.raises(nl.ReadOnlyError) as caught:
            nl.view(bytes(4)).__dlpack__(max_version=version)
        assert (
            str(caught.value)
            == "DLPack export without a version needs writable memory, but the view is read-only; "
            "ask for max_version=(1, 0) or later, or call .copy() first"
        )


def test_a_device_or_stream_that_the_cpu_has_not_is_refused() -> None:
    view = nl.view(bytearray(4))
    with pytest.raises(BufferError) as refused:
        view.__dlpack__(dl_device=(2, 0))
    assert str(refused.value) == "view is on the CPU, dl_device (1, 0), and was asked for on (2, 0)"
    stream: Any = 1
    with pytest.raises(ValueError, match=r"^stream must be None for memory on the CPU, got 1$"):
        view.__dlpack__(stream=stream)


def test_a_copy_through_dlpack_is_the_consumers_own() -> None:
    array = np.arange(6)
    view = nl.view(array)
    for out in (np.from_dlpack(view, copy=True), from_dlpack(view, copy=True)):
        out[:] = 9
    assert array.tolist() == [0, 1, 2, 3, 4, 5]
    shared = np.from_dlpack(view, copy=False, device="cpu")
    shared[0] = 7
    assert array[0] == 7


def test_a_capsule_is_consumed_once() -> None:
    view = nl.view(bytearray(4))
    capsule = view.__dlpack__(max_version=(1, 0))
    from_dlpack(capsule)
    assert buffers.capsule_name(capsule) == b"used_dltensor_versioned"
    with pytest.raises(RuntimeError):
        from_dlpack(capsule)


def test_a_view_takes_over_the_capsule_it_is_given() -> None:
    class Producer:
        def __init__(self, capsule: Any) -> None:
            self.capsule = capsule

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, **keywords: Any) -> Any:
            return self.capsule

    for version, used in ((None, b"used_dltensor"), ((1, 0), b"used_dltensor_versioned")):
        producer = Producer(nl.view(bytearray(b"abc")).__dlpack__(max_version=version))
        assert nl.view(producer).tobytes() == b"abc"
        assert buffers.capsule_name(producer.capsule) == used
        with pytest.raises(BufferError, match=r"^__dlpack__ gave no capsule with a tensor in it$"):
            nl.view(producer)
    with pytest.raises(BufferError, match=r"^__dlpack__ gave no capsule with a tensor in it$"):
        nl.view(Producer("no capsule"))


def test_a_tensor_elsewhere_is_not_viewed() -> None:
    class OnTheGpu:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 1)

        def __dlpack__(self, **keywords: Any) -> Any:
            raise AssertionError("not to be called")

    with pytest.raises(
        BufferError, match=r"^tensor is on DLPack device \(2, 1\); ndlens views memory on the CPU$"
    ):
        nl.view(OnTheGpu())


def test_a_tensor_in_pinned_memory_is_viewed() -> None:
    """`torch.Tensor.__dlpack_device__` says `kDLCUDAHost` of memory that is pinned for a GPU."""

    class Pinned:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (3, 0)

        def __dlpack__(self, **keywords: Any) -> Any:
            return nl.view(bytearray(b"abc")).__dlpack__(max_version=(1, 0))

    assert nl.view(Pinned()).tobytes() == b"abc"
