"""What is in use stays flat, however often memory is handed on, refused or dropped."""

from __future__ import annotations

from tests.helpers.programs import run


def test_tens_of_thousands_of_exports_imports_and_errors_leave_nothing_in_use() -> None:
    # In a process of its own, whose memory no other test changes. `make leaks` runs a million.
    script = """
        import sys
        from tests.stress.leaks import leaks
        sys.exit("\\n".join(leaks(40_000, say=lambda line: None)) or 0)
    """
    assert run(script, timeout=110) == (0, "", "")
