"""Every way to misuse a view: the exception's class and its whole text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.mistakes import (
    Described,
    any_value,
    assign,
    bfloat16,
    changed,
    damaged,
    exporter,
    huge,
    matrix,
    moved,
    records,
    truncated,
    with_size,
    with_stride,
)

import ndlens as nl

ROOT = Path(__file__).parents[2]


COPY = "call .copy() first"
READ_ONLY = (
    'torch() needs writable memory, but the view is read-only; open the file with mode="c"'
    ' (copy-on-write), call .copy() first, or pass readonly="allow" and never write to the tensor'
)
SELECTS = (
    "selects by copying, and views never copy: index with integers, slices, ... and None; "
    "v.take(indices) copies, and nl.subset(v, indices) gives items for a loader without a copy"
)


# The core's variant (None where it is the binding that refuses), what to do, the class, the text.
TABLE: list[tuple[str | None, Callable[[], Any], type[Exception], str]] = [
    (
        "IndexOutOfBounds",
        lambda: matrix()[4],
        IndexError,
        "index 4 is out of bounds for axis 0 with size 4",
    ),
    (
        "IndexOutOfBounds",
        lambda: matrix()[0, -7],
        IndexError,
        "index -7 is out of bounds for axis 1 with size 6",
    ),
    (
        "IndexOutOfBounds",
        lambda: nl.view(b"")[0],
        IndexError,
        "index 0 is out of bounds for axis 0 with size 0",
    ),
    (
        "TooManyIndices",
        lambda: matrix()[0, :, 0],
        IndexError,
        "too many indices for view: view is 2-dimensional, but 3 were indexed",
    ),
    (
        "TooManyIndices",
        lambda: matrix()[0, 0, ...][0],
        IndexError,
        "too many indices for view: view is 0-dimensional, but 1 were indexed",
    ),
    (
        "MultipleEllipses",
        lambda: matrix()[..., ...],
        IndexError,
        "an index can only have a single ellipsis ('...')",
    ),
    ("ZeroStep", lambda: matrix()[::0], ValueError, "slice step cannot be zero"),
    (
        None,
        lambda: matrix()[1.0],
        IndexError,
        "view indices must be integers, slices, ... or None, not float",
    ),
    (
        None,
        lambda: matrix()["a"],
        IndexError,
        "view indices must be integers, slices, ... or None, not str",
    ),
    (None, lambda: matrix()[[0, 1]], IndexError, f"indexing with a list {SELECTS}"),
    (None, lambda: matrix()[True], IndexError, f"indexing with a bool {SELECTS}"),
    (
        "AxisOutOfBounds",
        lambda: matrix().permute(0, 2),
        IndexError,
        "axis 2 is out of bounds for view of dimension 2",
    ),
    (
        "AxisOutOfBounds",
        lambda: matrix().flip(-3),
        IndexError,
        "axis -3 is out of bounds for view of dimension 2",
    ),
    (
        "AxisOutOfBounds",
        lambda: matrix().windows(2, axis=2),
        IndexError,
        "axis 2 is out of bounds for view of dimension 2",
    ),
    (
        "AxisOutOfBounds",
        lambda: matrix()[0, 0, ...].windows(1),
        IndexError,
        "axis 0 is out of bounds for view of dimension 0",
    ),
    ("RepeatedAxis", lambda: matrix().permute(0, 0), ValueError, "repeated axis 0 in [0, 0]"),
    ("RepeatedAxis", lambda: matrix().flip(1, -1), ValueError, "repeated axis 1 in [1, -1]"),
    (
        "AxesMismatch",
        lambda: matrix().permute(0),
        ValueError,
        "axes don't match view: got 1 axes, expected 2",
    ),
    (
        "AxesMismatch",
        lambda: matrix().permute(),
        ValueError,
        "axes don't match view: got 0 axes, expected 2",
    ),
    (
        "EmptyWindow",
        lambda: matrix().windows(0),
        ValueError,
        "window size must be at least 1, got 0",
    ),
    (
        "EmptyWindow",
        lambda: matrix().windows(2, 0),
        ValueError,
        "window step must be at least 1, got 0",
    ),
    (
        "WindowTooLarge",
        lambda: matrix().windows(5),
        ValueError,
        "window of 5 is larger than axis 0 of size 4",
    ),
    (
        "WindowTooLarge",
        lambda: matrix().windows(7, axis=-1),
        ValueError,
        "window of 7 is larger than axis 1 of size 6",
    ),
    (
        "ReshapeSize",
        lambda: matrix().reshape(5),
        ValueError,
        "cannot reshape view of 24 elements into shape [5]",
    ),
    (
        "ReshapeSize",
        lambda: matrix().reshape(-1, 7),
        ValueError,
        "cannot reshape view of 24 elements into shape [-1, 7]",
    ),
    (
        "ReshapeSize",
        lambda: nl.view(b"").reshape(0, -1),
        ValueError,
        "cannot reshape view of 0 elements into shape [0, -1]",
    ),
    (
        "ReshapeSize",
        lambda: matrix().reshape(2**62, 2**62),
        ValueError,
        "cannot reshape view of 24 elements into shape [4611686018427387904, 4611686018427387904]",
    ),
    (
        "ReshapeShape",
        lambda: matrix().reshape(-1, -1),
        ValueError,
        "cannot reshape into [-1, -1]: one dimension may be -1, all others must be at least 0",
    ),
    (
        "ReshapeShape",
        lambda: matrix().reshape(-2, 12),
        ValueError,
        "cannot reshape into [-2, 12]: one dimension may be -1, all others must be at least 0",
    ),
    (
        None,
        lambda: matrix().reshape(2.0, 12),
        TypeError,
        "'float' object cannot be interpreted as an integer",
    ),
    (
        None,
        lambda: matrix().permute("ab"),
        TypeError,
        "'str' object cannot be interpreted as an integer",
    ),
    (
        None,
        lambda: matrix().windows("a"),
        TypeError,
        "'str' object cannot be interpreted as an integer",
    ),
    (
        "TooManyDimensions",
        lambda: matrix()[(None,) * 63],
        ValueError,
        "a view has at most 64 dimensions, got 65",
    ),
    (
        "TooManyDimensions",
        lambda: nl.view(b"a").reshape((1,) * 65),
        ValueError,
        "a view has at most 64 dimensions, got 65",
    ),
    (
        "SizeOverflow",
        lambda: huge().windows(2**40),
        ValueError,
        (
            "shape [4611684918915760129, 1099511627776] with 1-byte elements does not fit the"
            " address space"
        ),
    ),
    (
        "OutOfMemory",
        lambda: huge().copy(),
        MemoryError,
        "cannot allocate 4611686018427387904 bytes",
    ),
    (
        "CopyRequired",
        lambda: matrix().permute(1, 0).reshape(24),
        nl.CopyRequired,
        (
            "reshape would need a copy: no strides lay shape [24] over shape [6, 4] with strides"
            f" [8, 48]; {COPY}"
        ),
    ),
    (
        "CopyRequired",
        lambda: matrix().flip(0).torch(),
        nl.CopyRequired,
        f"torch() would need a copy: axis 0 has the negative stride -48; {COPY}",
    ),
    (
        "CopyRequired",
        lambda: nl.view(records()["x"]).torch(),
        nl.CopyRequired,
        "DLPack export would need a copy: axis 0 has a stride of 6 bytes, not a multiple of the"
        " itemsize 4; " + COPY,
    ),
    ("ReadOnly", lambda: nl.view(b"abc").torch(), nl.ReadOnlyError, READ_ONLY),
    (
        "ReadOnly",
        lambda: nl.view(b"abc").__dlpack__(),
        nl.ReadOnlyError,
        (
            "DLPack export without a version needs writable memory, but the view is read-only; "
            "ask for max_version=(1, 0) or later, or call .copy() first"
        ),
    ),
    (
        "UnsupportedDType",
        lambda: memoryview(bfloat16()),
        BufferError,
        "the buffer protocol has no dtype for bfloat16",
    ),
    (
        "RankMismatch",
        lambda: nl.view(
            Described(shape=(2, 3), strides=(4,), typestr="<f4", data=(64, False), version=3)
        ),
        ValueError,
        "shape has 2 dimensions but strides have 1",
    ),
    (
        "DTypeMismatch",
        lambda: assign(nl.view(bytearray(4)), np.zeros(4, np.int32)),
        TypeError,
        "view has dtype int32, expected uint8",
    ),
    (
        "SqueezeSize",
        lambda: matrix().squeeze(0),
        ValueError,
        "cannot squeeze axis 0 of size 4: only axes of size 1 can be removed",
    ),
    (
        "Broadcast",
        lambda: matrix().broadcast_to(4, 5),
        ValueError,
        "cannot broadcast shape [4, 6] to shape [4, 5]",
    ),
    (
        "UnequalSplit",
        lambda: matrix().split(3),
        ValueError,
        "cannot split an axis of size 4 into 3 equal pieces",
    ),
    (
        "Reinterpret",
        lambda: nl.view(bytes(3)).reinterpret("uint16"),
        ValueError,
        (
            "cannot show elements of 1 bytes in shape [3] as elements of 2 bytes: the last axis is"
            " not a whole number of them"
        ),
    ),
    (
        "CopyRequired",
        lambda: nl.view(bytes(8))[::2].reinterpret("uint16"),
        nl.CopyRequired,
        (
            "reinterpret would need a copy: axis 0 has a stride of 2 bytes, so its elements of 1"
            " bytes are not packed; call .copy() first"
        ),
    ),
    (
        "UnknownConsumer",
        lambda: nl.explain(b"", "tensorflow"),  # type: ignore[arg-type]
        ValueError,
        'unknown target "tensorflow": expected "torch", "numpy", "jax" or "memoryview"',
    ),
    (
        "PythonObjects",
        lambda: nl.view(np.zeros(3, object)),
        TypeError,
        (
            'elements of format "O" are Python objects, whose references ndlens cannot count;'
            " convert them first"
        ),
    ),
    (
        "UnsupportedDType",
        lambda: nl.view(records()[:1]).torch(),
        TypeError,
        "DLPack has no dtype for T{=f:x:@h:y:}",
    ),
    (
        "ByteOrder",
        lambda: nl.view(np.zeros(3, ">f4")).torch(),
        TypeError,
        (
            "DLPack has no dtype for >f, numbers in big-endian byte order; convert them first, with"
            ' NumPy: .astype("float32")'
        ),
    ),
    (
        "UnknownDType",
        lambda: nl.view(bytes(4)).reinterpret("float33"),
        TypeError,
        (
            'unknown dtype "float33", expected one of bool, uint8, int8, uint16, int16, uint32,'
            " int32, uint64, int64, float16, bfloat16, float32, float64, complex64, complex128,"
            " float8_e4m3fn, float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz, float8_e8m0fnu,"
            ' float4_e2m1fn_x2, or NumPy\'s code of one, such as "<f4"'
        ),
    ),
    (
        "AmbiguousDType",
        lambda: nl.view(bytes(4)).reinterpret("float"),
        TypeError,
        'dtype "float" is float64 to NumPy and float32 to torch; say "float64" or "float32"',
    ),
    (
        "DateTime",
        lambda: nl.view(bytes(8)).reinterpret(np.dtype("M8[s]")),
        TypeError,
        (
            "datetime64[s] counts time, which no buffer has a format for; view the integers that"
            ' count it: array.view("i8")'
        ),
    ),
    (
        "OutOfBuffer",
        lambda: nl.view(Described(shape=(3,), typestr="<f8", data=bytes(16), version=3)),
        BufferError,
        "layout reaches bytes 0..24 of a buffer of 16 bytes",
    ),
    (
        "UnsupportedDType",
        lambda: nl.view(changed(code=5, bits=32)),
        TypeError,
        "ndlens has no dtype for DLPack code 5 with 32 bits and 1 lanes",
    ),
    (
        "UnsupportedDType",
        lambda: nl.view(changed(lanes=4)),
        TypeError,
        "ndlens has no dtype for DLPack code 2 with 32 bits and 4 lanes",
    ),
    (
        "InvalidDLPack",
        lambda: nl.view(changed(ndim=-1)),
        BufferError,
        "invalid DLPack tensor: ndim is negative",
    ),
    (
        "InvalidDLPack",
        lambda: nl.view(changed(shape=None)),
        BufferError,
        "invalid DLPack tensor: shape is null",
    ),
    (
        "InvalidDLPack",
        lambda: nl.view(with_size(-1)),
        BufferError,
        "invalid DLPack tensor: shape is negative",
    ),
    (
        "InvalidDLPack",
        lambda: nl.view(with_stride(2**62)),
        BufferError,
        "invalid DLPack tensor: a stride overflows",
    ),
    (
        "InvalidDLPack",
        lambda: nl.view(changed(data=None)),
        BufferError,
        "invalid DLPack tensor: data is null or its elements leave the address space",
    ),
    (
        "InvalidDLPack",
        lambda: nl.view(changed(byte_offset=2**64 - 1)),
        BufferError,
        "invalid DLPack tensor: byte_offset overflows",
    ),
    (
        "InvalidDLPack",
        lambda: nl.view(changed(device_type=2)),
        BufferError,
        "invalid DLPack tensor: memory is not on the CPU",
    ),
    (
        "TooManyDimensions",
        lambda: nl.view(changed(ndim=65)),
        ValueError,
        "a view has at most 64 dimensions, got 65",
    ),
    (
        "SizeOverflow",
        lambda: nl.view(with_size(2**62)),
        ValueError,
        "shape [2, 4611686018427387904] with 4-byte elements does not fit the address space",
    ),
    (
        "BadFormat",
        lambda: nl.view(exporter(format=b"f", itemsize=8, ndim=1)),
        ValueError,
        'format "f" with itemsize 8 is not one ndlens can pass through',
    ),
    (
        "BadFormat",
        lambda: nl.view(exporter(format=b"", itemsize=1, ndim=1)),
        ValueError,
        'format "" with itemsize 1 is not one ndlens can pass through',
    ),
    (
        "Truncated",
        lambda: truncated().copy(),
        nl.TruncatedError,
        "cut.npy: file has 4096 bytes, expected at least 65664: it was truncated while mapped",
    ),
    (
        "Damaged",
        lambda: damaged().copy(),
        nl.TruncatedError,
        (
            "cut.npy: pages were lost while mapped and read as zeros: the file was truncated, or"
            " the disk is full or failing; open it again"
        ),
    ),
    (
        "Moved",
        lambda: moved().copy(),
        nl.MovedError,
        (
            "the memory of this view was moved: torch moved the tensor's memory after this view was"
            " made (share_memory_(), a queue and a worker's arguments do that): make the view"
            " again, or share the tensor first"
        ),
    ),
    (None, lambda: len(matrix()[0, 0, ...]), TypeError, "0-dim view has no length"),
    (None, lambda: len(nl.view(np.array(1))), TypeError, "0-dim view has no length"),
    (None, lambda: matrix().copy("K"), ValueError, 'unknown order "K": expected "C", "F" or "A"'),
    (
        None,
        lambda: matrix().torch(readonly="yes"),
        ValueError,
        "unknown readonly='yes': expected \"allow\" or None",
    ),
    (
        None,
        lambda: nl.view(records()[:1])[0],
        NotImplementedError,
        "no Python value for dtype T{=f:x:@h:y:}; use .numpy() or .tobytes()",
    ),
    (
        None,
        lambda: nl.view(None),
        TypeError,
        (
            "nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got"
            " NoneType"
        ),
    ),
    (
        None,
        lambda: nl.view([1, 2]),
        TypeError,
        (
            "nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got"
            " list; numpy.asarray(..) makes an array of it"
        ),
    ),
    (
        None,
        lambda: nl.view("text"),
        TypeError,
        (
            "nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got"
            " str; nl.open(path) opens a file"
        ),
    ),
    (
        None,
        lambda: nl.open("cut.npy", mode=any_value("w")),
        ValueError,
        'unknown mode "w": expected "r", "c" or "r+"',
    ),
]

# Variants of ndlens_core::Error that no Python code can bring about.
UNREACHABLE = {
    "DestinationSize": "the binding allocates the destination to fit",
    "Interrupted": "what a signal's handler raised comes instead; test_memory.py interrupts",
    "NotDecoded": "what takes views refuses encoded images before it asks for one",
    "Unavailable": "it takes an open file that can no longer be asked for its size",
    "Unwritable": (
        "it takes a full disk under a mapped file, which tests/files/test_guard.py mounts"
    ),
}

# The words by which the reasons for CopyRequired are known, as above.
REASONS = {
    "NegativeStride": "has the negative stride",
    "FractionalStride": "not a multiple of the itemsize",
    "IncompatibleShape": "no strides lay shape",
    "UnpackedAxis": "are not packed",
}


@pytest.mark.parametrize(
    ("variant", "act", "kind", "message"), TABLE, ids=[f"{v}-{m}"[:60] for v, _, _, m in TABLE]
)
def test_a_mistake_is_answered_by_its_class_and_its_text(
    variant: str | None,
    act: Callable[[], Any],
    kind: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    assert str(caught.value) == message


def test_every_variant_of_the_cores_error_is_shown_or_cannot_be() -> None:
    source = (ROOT / "crates/ndlens-core/src/error.rs").read_text()
    body = source[source.index("pub enum Error {") : source.index("pub enum CopyReason")]
    variants = set(re.findall(r"^    ([A-Z]\w+)(?: \{|,|\()", body, re.MULTILINE))
    assert len(variants) > 20
    shown = {variant for variant, *_ in TABLE if variant is not None}
    assert variants == shown | UNREACHABLE.keys()
    assert not shown & UNREACHABLE.keys()


def test_every_reason_for_a_copy_is_shown() -> None:
    source = (ROOT / "crates/ndlens-core/src/error.rs").read_text()
    body = source[
        source.index("pub enum CopyReason") : source.index("impl fmt::Display for CopyReason")
    ]
    reasons = set(re.findall(r"^    ([A-Z]\w+) \{", body, re.MULTILINE))
    assert reasons == REASONS.keys()
    texts = [message for variant, _, _, message in TABLE if variant == "CopyRequired"]
    for words in REASONS.values():
        assert any(words in text for text in texts), words


def test_every_public_error_is_also_the_built_in_one_that_callers_catch() -> None:
    assert nl.CopyRequired.__bases__ == (BufferError, ValueError)
    assert nl.ReadOnlyError.__bases__ == (BufferError, TypeError)
    assert nl.FormatError.__bases__ == (ValueError,)
    assert nl.MovedError.__bases__ == (BufferError,)
    assert nl.TruncatedError.__bases__ == (OSError,)


def test_every_message_starts_in_lower_case_and_has_no_full_stop() -> None:
    own = [message for _, _, _, message in TABLE if not message.startswith(("DLPack", "'"))]
    for message in own:
        assert message[0].islower() or message[0].isdigit(), message
        assert not message.endswith("."), message


def test_a_file_error_carries_its_errno_and_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        nl.open(tmp_path / "nothing.npy")
    assert caught.value.filename == str(tmp_path / "nothing.npy")
    assert caught.value.strerror == "No such file or directory"
    damaged = tmp_path / "damaged.npy"
    damaged.write_bytes(b"not an array")
    with pytest.raises(nl.FormatError, match=re.escape(str(damaged))):
        nl.open(damaged)
