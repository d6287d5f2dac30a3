"""Classes in Python that export a buffer by `__buffer__`, as PEP 688 allows since Python 3.12."""

from __future__ import annotations

import collections.abc
import sys
from typing import Any

import pytest

import ndlens as nl

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="__buffer__ of classes in Python is Python 3.12's"
)


class Exporter:
    """Counts the buffers that it gave and that came back."""

    def __init__(self) -> None:
        self.data = bytearray(range(6))
        self.given = self.returned = 0

    def __buffer__(self, flags: int) -> memoryview:
        self.given += 1
        return memoryview(self.data)

    def __release_buffer__(self, buffer: memoryview) -> None:
        self.returned += 1
        buffer.release()


def test_a_view_of_what_has_a_python_buffer_shares_its_memory() -> None:
    exporter: Any = Exporter()
    view = nl.view(exporter).reshape(2, 3)
    view[1, 2] = 99
    assert exporter.data[5] == 99
    exporter.data[0] = 7
    assert view.tolist() == [[7, 1, 2], [3, 4, 99]]


def test_a_python_buffer_goes_back_with_the_last_view() -> None:
    exporter: Any = Exporter()
    view = nl.view(exporter)
    row = view[1:3]
    del view
    assert exporter.given == exporter.returned + 1
    with pytest.raises(BufferError, match="cannot be re-sized"):
        exporter.data.append(0)
    del row
    assert exporter.given == exporter.returned
    exporter.data.append(0)


def test_a_python_buffer_over_bytes_is_read_only() -> None:
    class Fixed:
        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(b"abc")

    fixed: Any = Fixed()
    assert nl.view(fixed).readonly


def test_what_a_python_buffer_raises_comes_through() -> None:
    class Refusing:
        def __buffer__(self, flags: int) -> memoryview:
            raise ValueError("not today")

    class Wrong:
        def __buffer__(self, flags: int) -> Any:
            return b"abc"

    refusing: Any = Refusing()
    wrong: Any = Wrong()
    with pytest.raises(ValueError, match=r"^not today$"):
        nl.view(refusing)
    with pytest.raises(TypeError, match="memoryview"):
        nl.view(wrong)


def test_a_loader_takes_what_has_a_python_buffer() -> None:
    exporter: Any = Exporter()
    batches = nl.Loader(exporter, batch_size=4, output="view")
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5]]


def test_a_view_is_a_buffer_to_collections_abc() -> None:
    assert isinstance(nl.view(bytearray(3)), collections.abc.Buffer)  # type: ignore[attr-defined]
