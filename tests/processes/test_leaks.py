"""What is in use stays flat, however often memory is handed on, refused or dropped."""

from __future__ import annotations

import pytest
from tests.helpers.programs import run


def test_tens_of_thousands_of_exports_imports_and_errors_leave_nothing_in_use() -> None:
    # In a process of its own, whose memory no other test changes. `make leaks` runs a million.
    script = """
        import sys
        from tests.stress.leaks import leaks
        sys.exit("\\n".join(leaks(40_000, say=lambda line: None)) or 0)
    """
    assert run(script, timeout=110) == (0, "", "")


@pytest.mark.parametrize(
    "leak",
    ["lambda: kept.append(object())", "lambda: kept.append(nl.view(bytearray(1 << 12)))"],
    ids=["blocks", "memory"],
)
def test_what_is_kept_is_found(leak: str) -> None:
    script = f"""
        import ndlens as nl
        from tests.stress import leaks
        kept = []
        leaks.rounds = lambda directory: {{"kept": {leak}, "not kept": lambda: nl.view(bytes(9))}}
        (line,) = leaks.leaks(2_000, say=lambda line: None)
        assert "x kept" in line, line
    """
    assert run(script) == (0, "", "")
