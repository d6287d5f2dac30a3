"""NumPy as the oracle: ndlens must do with a view of an array what NumPy does with the array."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.helpers.strategies import COPIES, MOST_ELEMENTS, NUMBERS, WRITES, Array, Step

import ndlens as nl

NUMBER_DTYPES = [np.dtype(code) for code in NUMBERS]


def assert_same(view: nl.View, array: Array) -> None:
    """Checks that `view` shows what `array` shows: the same elements of the same memory."""
    back = view.numpy()
    assert (view.shape, back.shape) == (array.shape, array.shape)
    assert (view.ndim, view.size, view.itemsize, view.nbytes) == (
        array.ndim,
        array.size,
        array.itemsize,
        array.nbytes,
    )
    assert back.dtype == array.dtype
    assert view.tobytes() == back.tobytes() == array.tobytes()
    assert view.readonly is not array.flags.writeable
    assert (view.c_contiguous, view.f_contiguous) == (
        array.flags.c_contiguous,
        array.flags.f_contiguous,
    )
    if array.size:
        walked = [axis for axis, n in enumerate(array.shape) if n > 1]
        assert [view.strides[axis] for axis in walked] == [array.strides[axis] for axis in walked]
        assert back.ctypes.data == array.ctypes.data


def assert_same_element(value: Any, element: Any) -> None:
    expected = element.item()
    assert type(value) is type(expected)
    # NaN equals nothing, but both must give it.
    assert value == expected or (value != value and expected != expected)


def attempt(step: Any, operand: Any) -> Any:
    try:
        return step(operand)
    except (IndexError, ValueError, NotImplementedError, nl.ReadOnlyError) as error:
        return error


def has_step_zero(item: object) -> bool:
    return isinstance(item, slice) and item.step == 0


def memory_of(array: Array) -> Any:
    """All bytes between the outermost elements, also bytes of no element."""
    low, high = np.lib.array_utils.byte_bounds(array)
    return (ctypes.c_char * (high - low if array.size else 0)).from_address(low)


def overlaps_itself(array: Array) -> bool:
    """Whether two elements share a byte: then it shows in what order they are written."""
    places = np.zeros(array.shape, np.int64)
    for axis, (n, stride) in enumerate(zip(array.shape, array.strides, strict=True)):
        places += (np.arange(n) * stride).reshape(
            [-1 if i == axis else 1 for i in range(array.ndim)]
        )
    return bool((np.diff(np.sort(places, axis=None)) < array.itemsize).any())


def assert_writes_the_same(step: Step, view: nl.View, array: Array, memory: Any) -> bool:
    """Checks every byte of `memory` after the step against NumPy; returns whether it wrote."""
    if step.name == "fill" and array.dtype not in NUMBER_DTYPES:
        return False
    if array.size > MOST_ELEMENTS or (step.name == "assign" and overlaps_itself(array)):
        return False
    on_view, on_array = step.fit(array)
    if not array.flags.writeable:
        assert isinstance(attempt(on_view, view), nl.ReadOnlyError)
        assert isinstance(attempt(on_array, array), ValueError)
        return False
    before = bytes(memory)
    expected = attempt(on_array, array)
    after = bytes(memory)
    ctypes.memmove(memory, before, len(before))
    got = attempt(on_view, view)
    assert (got, expected) == (None, None)
    assert bytes(memory) == after
    return True


def walk(array: Array, chain: list[Step], note: Callable[[str], object]) -> None:
    """Does the steps of the chain to a view and to the array, and compares after each."""
    view, memory = nl.view(array), memory_of(array)
    assert_same(view, array)
    for step in chain:
        if step.name in ("windows", "broadcast_to") and array.size > MOST_ELEMENTS // 4:
            continue
        if step.name in WRITES:
            note(
                f"{step.name}:"
                f" {'done' if assert_writes_the_same(step, view, array, memory) else 'not done'}"
            )
            continue
        on_view, on_array = step.fit(array)
        got, expected = attempt(on_view, view), attempt(on_array, array)
        if isinstance(expected, Exception):
            note(f"{step.name}: refused")
            if step.name == "reinterpret" and isinstance(got, nl.View):
                # NumPy requires the stride of the last axis also if no index uses it, and one size
                # to divide the other.
                sizes = sorted((array.itemsize, got.itemsize))
                assert array.size == 0 or array.shape[-1] == 1 or sizes[1] % sizes[0]
                continue
            assert isinstance(got, IndexError | ValueError), (got, expected)
            # NumPy's axis error is of both classes. A step with two mistakes may raise either
            # error.
            kind = ValueError if isinstance(got, nl.CopyRequired) else type(got)
            assert isinstance(expected, kind) or has_two_mistakes(step), (got, expected)
            continue
        note(f"{step.name}: done")
        if isinstance(expected, np.generic):
            if array.dtype in NUMBER_DTYPES:
                assert_same_element(got, expected)
            else:
                assert isinstance(got, NotImplementedError)
            return
        # NumPy's copy has other memory, so its bounds tell it from a view.
        copied = expected.size > 0 and not np.may_share_memory(expected, array)
        if step.name == "take" and isinstance(got, IndexError) and array.size == 0:
            # NumPy does not check the places if there is nothing to take.
            continue
        if step.name in COPIES:
            assert isinstance(got, nl.View), (got, expected)
            view, array = got, got.numpy()
            memory = memory_of(array)
            assert (array.tobytes(), array.dtype, array.shape) == (
                expected.tobytes(),
                expected.dtype,
                expected.shape,
            )
            assert (
                step.name == "take"
                or array.strides == expected.strides
                or array.size <= 1
                or not array.size
            )
            continue
        assert isinstance(got, nl.CopyRequired) is copied, (
            got,
            array.shape,
            array.strides,
            expected.shape,
        )
        if copied:
            assert step.name in ("reshape", "ravel")
            note(f"{step.name}: needs a copy")
            continue
        assert isinstance(got, nl.View), (got, expected)
        view, array = got, expected
        assert_same(view, array)


def has_two_mistakes(step: Step) -> bool:
    """Whether a step may have two mistakes: two missing axes are also too few axes to NumPy."""
    return step.name == "diagonal" or any(has_step_zero(item) for item in step.items)
