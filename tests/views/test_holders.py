"""`View.holders`: what keeps memory alive, and what cannot be known."""

from __future__ import annotations

import gc
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.programs import run

import ndlens as nl


def counts(view: nl.View) -> dict[str, int | None]:
    return {holder.what: holder.count for holder in view.holders()}


def owner(view: nl.View) -> str:
    return next(holder.detail for holder in view.holders() if holder.what == "owner")


def test_views_of_one_owner_are_counted() -> None:
    view = nl.view(bytearray(12))
    assert counts(view)["claims"] == 1
    parts = [view[1:], view.reshape(3, 4), view.torch()]
    assert counts(view)["claims"] == 1 + 2 + tensor_claims(view)
    del parts
    gc.collect()
    assert counts(view)["claims"] == 1


def tensor_claims(view: nl.View) -> int:
    """Claims that one more tensor is: of its memory, and of its storage."""
    before = counts(view)["claims"]
    tensor = view.torch()
    after = counts(view)["claims"]
    assert before is not None
    assert after is not None
    del tensor
    return after - before


def test_exports_are_what_a_release_waits_for() -> None:
    view: Any = nl.view(bytearray(4))
    first, second = memoryview(view), view.numpy()
    assert counts(view)["exports"] == 2
    with pytest.raises(BufferError, match=r"^view has 2 exported buffers; view\.holders"):
        view.release()
    first.release()
    del second
    assert counts(view)["exports"] == 0
    view.release()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: nl.view(np.zeros((2, 3), "f4")), "numpy.ndarray of shape (2, 3), float32"),
        (lambda: nl.view(bytearray(5)), "bytearray of 5 items"),
        (lambda: nl.view(memoryview(bytes(5))), "memoryview of bytes of 5 items"),
        (lambda: nl.view(torch.zeros(2)), "torch.UntypedStorage of 8 items"),
        (lambda: nl.view(bytes(3)).copy(), "memory of ndlens"),
        (lambda: nl.share(bytes(100)), "shared memory"),
    ],
    ids=["ndarray", "bytearray", "memoryview", "tensor", "copy", "shared"],
)
def test_the_owner_has_a_name(make: Any, expected: str) -> None:
    assert owner(make()) == expected


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    nl.save(path, np.zeros(3))
    assert owner(nl.open(path)) == f"file {path}, mapped copy-on-write"
    assert owner(nl.open(path, "r")) == f"file {path}, mapped for reading"
    assert owner(nl.open(path, copy=True)) == "memory of ndlens"


def test_a_batch_is_memory_of_its_loader() -> None:
    loader = nl.Loader(np.zeros((4, 3), "u1"), batch_size=2, output="view")
    batch = next(iter(loader))
    assert owner(batch) == "memory of a loader's batch"
    assert counts(batch) == {"owner": 1, "claims": 1, "exports": 0}


def test_a_loader_is_a_claim() -> None:
    view = nl.view(bytearray(12)).reshape(4, 3)
    loader = nl.Loader(view, batch_size=2)
    held = counts(view)["claims"]
    assert held is not None
    assert held > 1
    del loader
    gc.collect()
    assert counts(view)["claims"] == 1


def test_what_cannot_be_known_is_said() -> None:
    assert counts(nl.view(bytearray(3)))["others"] is None
    assert "others" in counts(nl.view(torch.zeros(3)))
    # All of such memory is ndlens's own.
    assert "others" not in counts(nl.view(bytearray(3)).copy())


def hold(view: nl.View, ready: Any, done: Any) -> None:
    assert view.nbytes == 100
    ready.set()
    done.wait(60)


def test_other_processes_that_hold_shared_memory_are_counted() -> None:
    view = nl.share(bytes(100))
    assert counts(view)["processes"] == 0
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(view, ready, done))
    process.start()
    try:
        assert ready.wait(60)
        found = next(holder for holder in view.holders() if holder.what == "processes")
        assert found.count is not None
        assert str(process.pid) in found.detail
    finally:
        done.set()
        process.join()
    until = time.monotonic() + 10
    while str(process.pid) in str(view.holders()) and time.monotonic() < until:
        time.sleep(0.05)
    assert str(process.pid) not in str(view.holders())


def test_a_search_finds_where_views_and_arrays_are() -> None:
    view = nl.view(bytearray(64))
    kept = {"batch": view[3:]}
    array = view.numpy()[5:9]

    class Keeps:
        def __init__(self) -> None:
            self.tensor = view.torch()[8:]

    keeps = Keeps()
    found = [holder.detail for holder in view.holders(search=True) if holder.what == "found"]
    assert "ndlens.View of shape (61,), uint8, in a dict, at 'batch'" in found
    assert any(detail.startswith("torch.Tensor of shape (56,), torch.uint8") for detail in found)
    here = f"variable array of test_a_search_finds_where_views_and_arrays_are, {__file__}:"
    assert any(detail.startswith(f"numpy.ndarray of shape (4,), uint8, {here}") for detail in found)
    # Of other memory, nothing is found.
    other = nl.view(bytearray(64))
    assert not any("61" in holder.detail for holder in other.holders(search=True))
    del kept, array, keeps


def test_a_search_keeps_nothing_alive() -> None:
    data = bytearray(64)
    view = nl.view(data)
    part = view[1:]
    assert len(view.holders(search=True)) > 3
    del part
    view.release()
    # The buffer is given back: the bytearray can be resized.
    data.append(0)


def test_holders_are_records_and_a_table() -> None:
    view = nl.view(np.zeros(500, "u1"))
    holders = view.holders()
    assert holders.nbytes == 500
    assert isinstance(holders[0], nl.Holder)
    assert holders[0] in holders
    assert str(holders[0]) == "owner: 1, numpy.ndarray of shape (500,), uint8"
    head, first, *_, last = str(holders).splitlines()
    assert head == "500 bytes"
    assert first == "owner    1  numpy.ndarray of shape (500,), uint8"
    assert last == "others   ?  other claims on the owner, such as arrays and variables of it"
    assert repr(holders) == "<ndlens.Holders of 500 bytes: 4 records>"
    assert holders.to_dict()["holders"][1]["what"] == "claims"


def test_a_released_view_has_no_holders() -> None:
    view = nl.view(bytearray(4))
    view.release()
    with pytest.raises(ValueError, match=r"^operation forbidden on released View object$"):
        view.holders()


def test_it_is_imported_when_it_is_asked_for() -> None:
    script = """
        import sys
        import ndlens as nl
        later = {"ndlens._holders", "ndlens._trace", "ndlens.testing", "inspect"}
        assert not later & set(sys.modules), later & set(sys.modules)
        nl.view(bytearray(4)).holders()
        assert "ndlens._holders" in sys.modules and "ndlens._trace" not in sys.modules
        with nl.trace() as copies:
            pass
        assert nl.trace is nl.trace and {"trace", "Copies", "Holders", "testing"} <= set(dir(nl))
    """
    assert run(script) == (0, "", "")


def test_a_search_keeps_no_variable_of_a_function() -> None:
    data = bytearray(64)
    view = nl.view(data)
    assert any("variable view of" in holder.detail for holder in view.holders(search=True))
    del view
    gc.collect()
    data.append(0)


def test_a_search_leaves_a_dict_of_locals_alone() -> None:
    view = nl.view(bytearray(64))
    mine = locals()
    view.holders(search=True)
    assert mine["view"] is view


def test_owners_and_containers_with_code_of_their_own_are_described_all_the_same() -> None:
    class Owner(bytearray):
        def __len__(self) -> int:
            raise RuntimeError("no length")

        @property
        def shape(self) -> tuple[int, ...]:
            raise RuntimeError("no shape")

    class Key:
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    class Table(dict[Any, Any]):
        def items(self) -> Any:
            raise RuntimeError("no items")

    view = nl.view(Owner(8))
    kept = [{Key(): view}, Table({"a" * 1000: view})]
    holders = view.holders(search=True)
    assert holders[0].detail.endswith("Owner")
    found = [holder.detail for holder in holders if holder.what == "found"]
    assert len(kept) == 2
    assert any("in a dict, at a key of class " in place for place in found)
    assert any("in a dict, at 'aaaa" in place and len(place) < 200 for place in found)
