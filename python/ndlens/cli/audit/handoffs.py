"""Shared, copied or refused: each method with each source, proved twice.

A method gets an array of which element 0 is known. The result shares its memory if

1. its first element has the same address, and
2. what a witness, another object on the same memory, writes to the element is read through the
   result; and what is written through the result, where it may be, is read by the witness.

If only one of the two holds, the proof fails and the audit says so. Memory is what this process
holds more after the hand-off than before it (`memory.py`), with the result alive. Time is that of
the one call; the method was called once before with a small array.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import ndlens as nl

from .cases import CASES, Source, make_base, make_source
from .child import run
from .memory import give_memory_back, held_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["METHODS", "Method", "installed", "measure", "row"]


@dataclass(frozen=True)
class Method:
    """A way from an array to another library."""

    call: Callable[[Source], Any]
    needs: tuple[str, ...]  # modules
    result: str  # what it gives: "torch", "numpy", "jax" or "memoryview"
    ours: bool = False  # whether it is a way through ndlens


def _numpy() -> Any:
    return importlib.import_module("numpy")


def _torch() -> Any:
    return importlib.import_module("torch")


def _jax() -> Any:
    return importlib.import_module("jax.numpy")


def _torch_dtype(array: Any) -> Any:
    """The dtype of the same size: all that torch.frombuffer can be told."""
    torch = _torch()
    return {"u1": torch.uint8, "i2": torch.int16, "f4": torch.float32}[array.dtype.str[1:]]


def _sliced(buffer: memoryview, key: Any) -> memoryview:
    return buffer if key is None else buffer[key]


# `a` is the array, sliced by NumPy; `nl.view(a)` is sliced by ndlens and `memoryview(a)` by itself.
METHODS = {
    "torch.from_numpy(a)": Method(
        lambda source: _torch().from_numpy(source.array), ("torch", "numpy"), "torch"
    ),
    "torch.frombuffer(memoryview(a))": Method(
        lambda source: _torch().frombuffer(
            memoryview(source.array), dtype=_torch_dtype(source.array)
        ),
        ("torch", "numpy"),
        "torch",
    ),
    "torch.as_tensor(a)": Method(
        lambda source: _torch().as_tensor(source.array), ("torch", "numpy"), "torch"
    ),
    "torch.tensor(a)": Method(
        lambda source: _torch().tensor(source.array), ("torch", "numpy"), "torch"
    ),
    "torch.from_dlpack(a)": Method(
        lambda source: _torch().from_dlpack(source.array), ("torch", "numpy"), "torch"
    ),
    "np.asarray(a)": Method(lambda source: _numpy().asarray(source.array), ("numpy",), "numpy"),
    "memoryview(a)": Method(
        lambda source: _sliced(memoryview(source.base), source.key), ("numpy",), "memoryview"
    ),
    "jnp.from_dlpack(a)": Method(
        lambda source: _jax().from_dlpack(source.array), ("jax", "numpy"), "jax"
    ),
    "nl.view(a).torch()": Method(lambda source: source.view().torch(), ("torch",), "torch", True),
    "nl.view(a).numpy()": Method(lambda source: source.view().numpy(), ("numpy",), "numpy", True),
    "memoryview(nl.view(a))": Method(
        lambda source: memoryview(cast("Any", source.view())), (), "memoryview", True
    ),
    "torch.from_dlpack(nl.view(a))": Method(
        lambda source: _torch().from_dlpack(source.view()), ("torch",), "torch", True
    ),
    "jnp.from_dlpack(nl.view(a))": Method(
        lambda source: _jax().from_dlpack(source.view()), ("jax",), "jax", True
    ),
}


def measure(name: str, nbytes: int, path: str, timeout_seconds: float) -> dict[str, Any]:
    """Measure one method with every case, each time in a process that no case has ended yet."""
    cases, outcomes, versions = list(CASES), dict[str, Any](), dict[str, Any]()
    while cases:
        end, stage = None, None
        arguments = {"name": name, "cases": cases, "nbytes": nbytes, "path": path}
        for report in run(".handoffs:row", arguments, timeout_seconds):
            if "ended" in report:
                end = report
            elif "versions" in report:
                versions = report["versions"]
            elif "stage" in report:
                stage = (report["case"], report["stage"])
            else:
                outcomes.setdefault(report.pop("case"), {}).update(report)
        if end is None:
            break
        if stage is None:
            return {"failed": end["ended"], "versions": versions, "cases": {}}
        case, under_way = stage
        # An exception here is not the method's: it was not measured.
        what = "ends the process" if end["signal"] else "not measured"
        if under_way == "hand-off":
            outcomes[case] = {"verdict": what, "error": end["ended"]}
        else:
            outcomes[case]["write"] = f"{what}: {end['ended']}"
        cases = cases[cases.index(case) + 1 :]
    return {"failed": None, "versions": versions, "cases": outcomes}


def installed(module: str) -> bool:
    """Whether a module can be found; it is not imported."""
    return importlib.util.find_spec(module) is not None


def row(name: str, cases: list[str], nbytes: int, path: str) -> Iterator[dict[str, Any]]:
    """Measure one method with each of `cases`; runs in a process of its own.

    Yields, for each case, `begin`, then the outcome, then what a write to read-only memory did. A
    process that ends in between has answered by that.
    """
    method = METHODS[name]
    # On a machine with a GPU JAX would copy every array to it, and take most of its memory.
    os.environ["JAX_PLATFORMS"] = "cpu"
    for module in method.needs:
        importlib.import_module(module)
    numpy = _numpy() if installed("numpy") else None
    give_memory_back()
    yield {"versions": _versions(method)}
    small = make_base(0, numpy)
    with contextlib.suppress(Exception):  # told when it is measured
        method.call(make_source("contiguous", small, path, numpy))
    base = make_base(nbytes, numpy)
    for case in cases:
        yield {"case": case, "stage": "hand-off"}
        source = make_source(case, base, path, numpy)
        yield {"case": case, **_hand_off(method, source)}
        if case in ("read-only", "mapped"):
            yield {"case": case, "stage": "write"}
            yield {"case": case, "write": _write_read_only(method, source)}


def _versions(method: Method) -> dict[str, Any]:
    versions: dict[str, Any] = {
        module: importlib.import_module(module).__version__ for module in method.needs
    }
    if "torch" in method.needs:
        versions["gpu"] = _torch().cuda.is_available()
    return versions


def _hand_off(method: Method, source: Source) -> dict[str, Any]:
    first, last = _ends(source.witness)
    source.witness[first], source.witness[last] = 11, 12
    gc.collect()
    before = held_bytes()
    start = time.perf_counter()
    try:
        result = method.call(source)
        if method.result == "jax":
            result.block_until_ready()
    except Exception as error:  # its text is the answer
        return {"verdict": "refused", "error": _first_line(error)}
    seconds = time.perf_counter() - start
    after = held_bytes()
    if method.result == "memoryview":
        result = nl.view(result)  # a memoryview itself reads no big-endian numbers
    return {
        "seconds": seconds,
        "nbytes": source.witness.nbytes,
        "extra_bytes": None if before is None or after is None else after - before,
        "shape_kept": tuple(result.shape) == tuple(source.witness.shape),
        "numbers_kept": (_read(result, 0), _read(result, -1)) == (11, 12),
        **_prove(method, source, result),
    }


def _prove(method: Method, source: Source, result: Any) -> dict[str, Any]:
    """Whether `result` has the memory of `source`: by its address, and by what writes do."""
    same_address = _address(result) == _address(_offered(method, source))
    first, _ = _ends(source.witness)
    old = _read(result, 0)
    source.witness[first] = 21
    writes_seen = [bool(_read(result, 0) != old)]
    if not source.read_only and method.result != "jax":
        _write(result, 31)
        # Where the byte order is lost, the witness reads another number than was written.
        writes_seen.append(bool(source.witness[first] != 21))
    if same_address and all(writes_seen):
        verdict = "shared"
    elif not same_address and not any(writes_seen):
        verdict = "copied"
    else:
        verdict = "contradictory"
    return {"verdict": verdict, "same_address": same_address, "writes_seen": writes_seen}


def _write_read_only(method: Method, source: Source) -> str:
    """What becomes of a write through the result of a hand-off of read-only memory."""
    first, _ = _ends(source.witness)
    if method.result == "jax":
        return "immutable"
    try:
        result = method.call(source)
    except Exception:  # told before
        return "no hand-off"
    source.witness[first] = 41
    try:
        _write(result, 42)
    except Exception as error:
        return f"refused: {type(error).__name__}"
    return "changes it" if source.witness[first] == 42 else "stays private"


def _ends(array: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The indices of the first and of the last element."""
    return (0,) * array.ndim, tuple(size - 1 for size in array.shape)


def _read(result: Any, place: int) -> Any:
    value = result[(place,) * len(result.shape)]
    return value.item() if hasattr(value, "item") else value


def _write(result: Any, value: int) -> None:
    result[(0,) * len(result.shape)] = value


def _offered(method: Method, source: Source) -> Any:
    """The object that a method was given: NumPy's, also to ndlens, so that its word is not taken.

    A file's map by ndlens is another than NumPy's.
    """
    return source.view() if method.ours and source.path is not None else source.array


def _address(array: Any) -> int:
    """The address of the first element."""
    if hasattr(array, "data_ptr"):  # torch
        address: int = array.data_ptr()
    elif hasattr(array, "unsafe_buffer_pointer"):  # JAX
        address = array.unsafe_buffer_pointer()
    else:  # NumPy, ndlens
        address = array.__array_interface__["data"][0]
    return address


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
