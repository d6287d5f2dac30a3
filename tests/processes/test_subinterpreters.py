"""Interpreters beside the main one, in one process: `concurrent.interpreters` and its forerunners.

ndlens runs in the main interpreter. Its views reach the others as memoryviews.
"""

from __future__ import annotations

import sys

import pytest
from tests.helpers.programs import run

# `failed_in` is the text of the exception that ends a program in a new subinterpreter.
FAILED_IN = """
import sys

def failed_in(program):
    if sys.version_info >= (3, 14):
        from concurrent import interpreters
        try:
            interpreters.create().exec(program)
        except interpreters.ExecutionFailed as error:
            return error.excinfo.msg
    elif sys.version_info >= (3, 13):
        import _interpreters
        return _interpreters.exec(_interpreters.create(), program).msg
    else:
        import _xxsubinterpreters
        try:
            _xxsubinterpreters.run_string(_xxsubinterpreters.create(), program)
        except _xxsubinterpreters.RunFailedError as error:
            return str(error)
"""
REFUSED = (
    "ndlens does not run in a subinterpreter: import it in the main interpreter, "
    "and give the subinterpreter memoryview(view), which shares the memory"
)


@pytest.mark.parametrize("first", ["subinterpreter", "main interpreter"])
def test_an_import_in_a_subinterpreter_is_refused_and_says_what_to_do(first: str) -> None:
    before = "import ndlens" if first == "main interpreter" else ""
    script = f"""
{before}
{FAILED_IN}
print(failed_in("import ndlens").removeprefix("<class 'ImportError'>: "))
print(failed_in("import ndlens").removeprefix("<class 'ImportError'>: "))
import ndlens as nl
assert nl.view(bytearray(3))[1:].tolist() == [0, 0]
"""
    assert run(script) == (0, f"{REFUSED}\n{REFUSED}\n", "")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is Python 3.14's")
def test_a_memoryview_of_a_view_shares_its_memory_with_a_subinterpreter() -> None:
    script = """
        from concurrent import interpreters
        import ndlens as nl

        data = bytearray(range(12))
        view = nl.view(data).reshape(3, 4)[:, ::-2]
        other = interpreters.create()
        other.prepare_main(shown=memoryview(view))
        other.exec("assert shown.tolist() == [[3, 1], [7, 5], [11, 9]]; shown[2, 0] = 99")
        assert view[2, 0] == data[11] == 99
        try:
            view.release()
        except BufferError as error:
            print(error)
        other.exec("del shown")
        view.release()
        data.append(1)
        other.close()
    """
    held = "view has 1 exported buffer; view.holders(search=True) says where\n"
    assert run(script) == (0, held, "")
