"""What nl.explain says is what happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import psutil
import pytest
import torch

import ndlens as nl

BASE = nl.view(np.zeros((8, 16), np.float32)).copy()
VIEWS = {
    "packed": BASE,
    "sliced": BASE[1:, ::2],
    "turned": BASE.T,
    "mirrored": BASE[:, ::-1],
    "one row backwards": BASE[:1][::-1],
    "empty": BASE[:0, ::-1],
    "scalar": BASE[0, 0, ...],
    "repeated": BASE[0].broadcast_to(3, 16),
    "read-only": BASE.toreadonly(),
    "record": nl.view(np.zeros(3, [("a", "u1"), ("b", "<f4")])),
    "bfloat16": nl.view(torch.zeros(3, dtype=torch.bfloat16)),
    "half an element": nl.view(np.zeros(3, [("a", "u1"), ("b", "<f4")])["b"]),
}


def hand_over(view: nl.View, target: str) -> int:
    """The address at which the target sees the first element; raises where it refuses."""
    if target == "torch":
        return view.torch().data_ptr()
    if target == "numpy":
        return int(view.numpy().ctypes.data)
    return int(np.asarray(memoryview(view)).ctypes.data)  # type: ignore[arg-type, unused-ignore]


@pytest.mark.parametrize("target", ["torch", "numpy", "memoryview"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_hand_off_that_is_said_to_share_shares_and_any_other_is_refused(
    name: str, target: Any
) -> None:
    view = VIEWS[name]
    explanation = nl.explain(view, target)
    if explanation.zero_copy:
        address = hand_over(view, target)
        if view.size and view.dtype == "float32":
            assert address == view.__array_interface__["data"][0]
    else:
        with pytest.raises((nl.CopyRequired, nl.ReadOnlyError, TypeError, BufferError)) as refusal:
            hand_over(view, target)
        assert str(refusal.value) in str(explanation) or "has no dtype" in str(explanation)


def test_explanations_are_sentences_that_say_why_and_what_to_do() -> None:
    assert str(nl.explain(BASE, "torch")) == "Zero-copy: view.torch() uses the same memory."
    assert (
        repr(nl.explain(BASE, "numpy"))
        == "<ndlens.Explanation: Zero-copy: view.numpy() uses the same memory.>"
    )
    both = nl.explain(BASE.toreadonly()[::-1], "torch")
    assert (
        str(both)
        == "torch cannot take this view: torch() would need a copy: axis 0 has the negative stride"
        " -64; call .copy() first; torch() needs writable memory, but the view is read-only;"
        ' open the file with mode="c" (copy-on-write), call .copy() first, or pass'
        ' readonly="allow" and never write to the tensor.'
    )
    assert (
        str(nl.explain(BASE[:, ::2], "jax"))
        == "jax cannot take this view: its elements have gaps, repeat or run backwards; call"
        " .copy() first."
    )
    with pytest.raises(
        ValueError, match=r'^unknown target "tensorflow": expected "torch", "numpy", "jax" or'
    ):
        nl.explain(BASE, "tensorflow")  # type: ignore[arg-type]


def test_a_million_exports_leave_no_memory_behind() -> None:
    process = psutil.Process()

    def cycle(times: int) -> None:
        for _ in range(times):
            BASE[1:].torch()
            memoryview(BASE).release()  # type: ignore[arg-type, unused-ignore]
            BASE.__dlpack__(max_version=(1, 0))

    cycle(1_000)
    before = process.memory_info().rss
    cycle(333_000)
    assert process.memory_info().rss - before < 2 << 20
