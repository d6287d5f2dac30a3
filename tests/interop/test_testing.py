"""`nl.testing`: assertions about memory fail exactly where memory is not what they say."""

from __future__ import annotations

import itertools
import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ndlens as nl
import ndlens.testing
from ndlens.testing import assert_no_copies, assert_zero_copy


def test_what_is_handed_on_without_a_copy_passes() -> None:
    array = np.arange(24, dtype="f4").reshape(2, 3, 4)
    view: Any = nl.view(array)
    for other in (
        view,
        view[1:, ::2],
        view.permute(2, 0, 1),
        view.flip(),
        view.windows(2, axis=2),
        view.reinterpret("uint8"),
        view.torch(),
        view.torch()[1],
        view[:, ::-1].numpy(),
        memoryview(view),
        array[1],
    ):
        assert_zero_copy(array, other)
        assert_zero_copy(array, other, write=True)
    assert array.ravel().tolist() == list(range(24))


def test_a_copy_fails_with_both_addresses() -> None:
    array = np.zeros((4, 4), "u1")
    copy = array.copy()
    with pytest.raises(AssertionError) as caught:
        assert_zero_copy(array, copy)
    a, b = array.ctypes.data, copy.ctypes.data
    assert str(caught.value) == (
        "b does not lie in the memory of a: it shares no byte with it\n"
        f"  a: {a:#x} to {a + 16:#x}, 16 bytes\n"
        f"  b: {b:#x} to {b + 16:#x}, 16 bytes"
    )


def test_what_reaches_beyond_fails() -> None:
    array = np.zeros(10, "u1")
    with pytest.raises(AssertionError, match="it reaches 2 bytes before it and 3 bytes behind it"):
        assert_zero_copy(array[2:7], array)


def test_what_lies_between_the_elements_fails() -> None:
    array = np.zeros((4, 6), "u1")
    expected = "it shares no byte with it"
    with pytest.raises(AssertionError, match=expected):
        assert_zero_copy(array[:, ::2], array[:, 1::2])
    between = "it shares some bytes, and others are between the elements of a"
    with pytest.raises(AssertionError, match=between):
        assert_zero_copy(array[:, ::2], array[:2, :4])


def test_nothing_proves_nothing() -> None:
    with pytest.raises(AssertionError, match=r"^b has no elements, which prove nothing$"):
        assert_zero_copy(np.zeros(3), np.zeros(0))


def test_a_failure_shows_the_copies_of_an_open_trace() -> None:
    view = nl.view(bytearray(8))
    with nl.trace(), pytest.raises(AssertionError) as caught:
        assert_zero_copy(view, view.copy())
    assert "\ncopies that the open trace has:\n" in str(caught.value)
    assert "View.copy" in str(caught.value)
    assert __file__ in str(caught.value)


def test_every_slice_against_every_other_is_as_its_elements_say() -> None:
    array = np.zeros((4, 5), "u2")
    addresses = np.arange(20).reshape(4, 5)
    keys: list[Any] = [
        np.s_[::1],
        np.s_[1:3],
        np.s_[::2],
        np.s_[:, ::2],
        np.s_[:, 1:4],
        np.s_[::-1, ::3],
        np.s_[2],
        np.s_[:, 3],
        np.s_[1::2, 1::2],
    ]
    for first, second in itertools.product(keys, keys):
        inside = set(addresses[second].ravel()) <= set(addresses[first].ravel())
        try:
            assert_zero_copy(array[first], array[second])
        except AssertionError:
            assert not inside
        else:
            assert inside


def test_a_write_goes_through_whichever_side_may_be_written() -> None:
    data = bytearray(b"abcd")
    read_only = nl.view(data).toreadonly()
    assert_zero_copy(data, read_only, write=True)
    assert_zero_copy(read_only, data, write=True)
    assert data == b"abcd"
    with pytest.raises(ValueError, match=r"^write=True needs memory that may be written"):
        assert_zero_copy(read_only, read_only[1:], write=True)


def test_a_write_that_is_not_seen_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(4)
    monkeypatch.setattr("ndlens._ndlens._write_through", lambda a, b: False)
    with pytest.raises(AssertionError, match="is not seen through the other"):
        assert_zero_copy(data, nl.view(data), write=True)


def test_pages_that_a_map_shares_are_one_memory(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(4096))
    with (tmp_path / "x").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        view = nl.view(mapped)
        assert_zero_copy(view, view[10:], write=True)
        other = nl.open(tmp_path / "x", "r+", dtype="uint8")
        # The same page of the system at two addresses.
        with pytest.raises(AssertionError, match="shares no byte"):
            assert_zero_copy(view, other)
        view.release()


@pytest.mark.parametrize("thing", [[1, 2], 3, "text"])
def test_what_has_no_memory_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"^nl\.view needs an object with the buffer protocol"):
        assert_zero_copy(np.zeros(2), thing)


def test_a_tensor_can_be_resized_after_the_assertion() -> None:
    tensor = torch.zeros(4)
    assert_zero_copy(tensor, tensor[1:], write=True)
    tensor.resize_(100)


def test_no_copies_passes_where_there_are_none() -> None:
    view = nl.view(bytearray(16)).reshape(4, 4)
    with assert_no_copies() as copies:
        view[1:].torch()
    assert copies.nbytes == 0


def test_copies_fail_with_their_lines() -> None:
    view = nl.view(bytearray(16)).reshape(4, 4)

    def work() -> None:
        view[:, 1].copy()
        view[1].tobytes()

    with pytest.raises(AssertionError) as caught, assert_no_copies():
        work()
    message = str(caught.value)
    assert message.startswith("ndlens copied 8 bytes:\nbytes  copies  operation     where\n")
    places = re.findall(r"(View\.\w+) +(\S+):(\d+), in (.*)", message)
    assert [operation for operation, *_ in places] == ["View.copy", "View.tobytes"]
    assert {file for _, file, *_ in places} == {__file__}
    assert int(places[1][2]) == int(places[0][2]) + 1


def test_an_error_inside_is_the_error() -> None:
    view = nl.view(bytearray(16))

    def work() -> None:
        view.copy()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), assert_no_copies():
        work()


def test_the_module_is_there_without_an_import_of_its_own() -> None:
    assert nl.testing is ndlens.testing
    assert set(nl.testing.__all__) == {"assert_no_copies", "assert_zero_copy"}
