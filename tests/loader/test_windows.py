"""Windows of series as forecasts need them: ids, gaps, targets, filters, NaN."""

from __future__ import annotations

import datetime
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import ndlens as nl

STEPS = 40
TABLE = np.random.default_rng(0).normal(size=(STEPS, 4))
LENGTHS = [12, 3, 20, 5]
NAMES = ["Oslo", "Bodø", "Bergen", "Tromsø"]


def expected(size: int, step: int, gap: int, horizon: int) -> list[tuple[Any, Any]]:
    pairs, start = [], 0
    for length in LENGTHS:
        for at in range(start, start + length - size - gap - horizon + 1, step):
            after = at + size + gap
            pairs.append((TABLE[at : at + size], TABLE[after : after + horizon]))
        start += length
    return pairs


def check(got: tuple[nl.Items, nl.Items], pairs: list[tuple[Any, Any]]) -> None:
    for past, future in (got, pickle.loads(pickle.dumps(got))):
        assert len(past) == len(future) == len(pairs)
        for at, (before, after) in enumerate(pairs):
            np.testing.assert_array_equal(past[at].numpy(), before)
            np.testing.assert_array_equal(future[at].numpy(), after)


class Station:
    """Anything that can be hashed."""


STATIONS = [Station() for _ in NAMES]

IDS: dict[str, Any] = {
    "strings": np.repeat(NAMES, LENGTHS),
    "a list of strings": np.repeat(NAMES, LENGTHS).tolist(),
    "objects": np.repeat(np.array(NAMES, object), LENGTHS),
    "bytes": np.repeat([name.encode() for name in NAMES], LENGTHS),
    "integers": np.repeat([7, -2, 3, 2**40], LENGTHS),
    "big-endian": np.repeat(np.array([7, 1, 3, 2], ">i4"), LENGTHS),
    "floats": np.repeat([0.5, -0.0, 2.5, 1e300], LENGTHS).tolist(),
    "booleans and a tensor": torch.from_numpy(np.repeat([7, 2, 5, 1], LENGTHS)),
    "dates": np.repeat(
        np.array(["2024-01-01", "2023-01-01", "2022-01-01", "2021-01-01"], "M8[D]"), LENGTHS
    ),
    "tuples": [
        (name, 1) for name, length in zip(NAMES, LENGTHS, strict=True) for _ in range(length)
    ],
    "dates of Python": [
        datetime.date(2020 + i, 1, 1) for i, length in enumerate(LENGTHS) for _ in range(length)
    ],
    "any object": [
        station for station, length in zip(STATIONS, LENGTHS, strict=True) for _ in range(length)
    ],
}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize(
    ("size", "step", "gap", "horizon"), [(3, 1, 0, 1), (2, 2, 3, 2), (5, 1, 1, 4)]
)
def test_no_window_crosses_from_one_id_to_the_next(
    kind: str, size: int, step: int, gap: int, horizon: int
) -> None:
    check(
        nl.windows(TABLE, size, step, horizon=horizon, gap=gap, ids=IDS[kind]),
        expected(size, step, gap, horizon),
    )


def test_ids_and_lengths_and_groups_that_cannot_be_misread_are_the_same_windows() -> None:
    pairs = expected(3, 1, 0, 2)
    offsets = np.cumsum([0, *LENGTHS])
    for division in (
        {"lengths": LENGTHS},
        {"lengths": np.array(LENGTHS, "u1")},
        {"groups": offsets},
    ):
        check(nl.windows(TABLE, 3, horizon=2, **division), pairs)


def test_targets_are_columns_of_what_follows() -> None:
    pairs = expected(3, 1, 2, 2)
    for target in (
        1,
        -1,
        [1],
        [3, 1],
        slice(1, 3),
        [True, False, False, True],
        np.array([0, 2]),
        np.int64(2),
    ):
        got = nl.windows(TABLE, 3, horizon=2, gap=2, lengths=LENGTHS, target=target)
        check(got, [(past, future[:, target]) for past, future in pairs])
        assert nl.may_share_memory(got[1][0], TABLE)
    past, future = nl.windows(TABLE, 3, horizon=2, target=0)
    assert (past.shape, future.shape) == ((36, 3, 4), (36, 2))
    [batch] = nl.Loader((past, future), batch_size=36, output="numpy")
    np.testing.assert_array_equal(batch[1][5], TABLE[8:10, 0])
    several = nl.windows([TABLE[:20], TABLE[20:]], 3, horizon=2, target=3)
    np.testing.assert_array_equal(several[1][-1].numpy(), TABLE[38:, 3])


def test_a_filter_is_of_windows_or_of_the_steps_they_start_at() -> None:
    pairs = expected(3, 1, 1, 2)
    chosen = np.random.default_rng(1).random(len(pairs)) < 0.5
    options: dict[str, Any] = {"horizon": 2, "gap": 1, "lengths": LENGTHS}
    kept = [pair for pair, keep in zip(pairs, chosen, strict=True) if keep]
    for where in (chosen, chosen.tolist(), torch.from_numpy(chosen)):
        check(nl.windows(TABLE, 3, where=where, **options), kept)
    starts = np.arange(STEPS) % 2 == 0
    at_step = [pair for pair in pairs if starts[np.flatnonzero((pair[0][0] == TABLE).all(1))[0]]]
    check(nl.windows(TABLE, 3, where=starts, **options), at_step)
    several = nl.windows([TABLE[:15], TABLE[15:]], 3, where=starts)
    assert [float(window[0, 0]) for window in several] == [
        TABLE[at, 0] for at in [*range(13), *range(15, 38)] if at % 2 == 0
    ]
    assert nl.windows(TABLE, 3, where=np.ones(38, bool)).offsets is None
    loader = nl.Loader(
        nl.windows(TABLE, 3, where=starts, **options), batch_size=4, shuffle=True, output="numpy"
    )
    places = loader.indices(0).tolist()
    np.testing.assert_array_equal(
        np.concatenate([batch[0] for batch in loader]), [at_step[place][0] for place in places]
    )


HOLES = TABLE.copy()
HOLES[[5, 6, 17, 39], [0, 3, 1, 3]] = np.nan


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "c8", "c16"])
def test_windows_with_nan_are_left_out_on_request(dtype: str) -> None:
    table = HOLES.astype(dtype)
    for size, step, gap, horizon in [(3, 1, 0, 0), (2, 1, 2, 1), (4, 3, 0, 2)]:
        for target in (None, 1, [0, 3]):
            if horizon == 0 and target is not None:
                continue
            keep, start = [], 0
            for length in LENGTHS:
                for at in range(start, start + length - size - gap - horizon + 1, step):
                    after = table[at + size + gap : at + size + gap + horizon]
                    after = after if target is None else after[:, target]
                    keep.append(
                        not np.isnan(table[at : at + size]).any() and not np.isnan(after).any()
                    )
                start += length
            options: dict[str, Any] = {
                "gap": gap,
                "horizon": horizon,
                "target": target,
                "lengths": LENGTHS,
            }
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                everything = nl.windows(table, size, step, **options)
            got = nl.windows(table, size, step, skip_nan=True, **options)
            pairs = [(everything, got)] if horizon == 0 else zip(everything, got, strict=True)
            for before, after in pairs:
                assert len(after) == sum(keep)
                for i, place in enumerate(np.flatnonzero(keep)):
                    np.testing.assert_array_equal(after[i].numpy(), before[int(place)].numpy())
            both = nl.windows(
                table, size, step, skip_nan=True, where=np.arange(len(keep)) > 4, **options
            )
            assert len(both if horizon == 0 else both[0]) == sum(keep[5:])


WARNINGS: list[tuple[Callable[[], Any], str]] = [
    (lambda: nl.windows(HOLES, 3), "windows hold NaN, first window 3, at step 5"),
    (
        lambda: nl.windows(HOLES, 3, horizon=1),
        "windows hold NaN, first the horizon of window 2, at step 5",
    ),
    (
        lambda: nl.windows(HOLES, 3, horizon=1, target=3),
        "windows hold NaN, first window 3, at step 5",
    ),
    (
        lambda: nl.windows(HOLES[7:, 2:], 3, horizon=1, gap=1, target=1),
        "windows hold NaN, first the horizon of window 28, at step 32",
    ),
    (
        lambda: nl.windows([HOLES[:5], HOLES[7:]], 3),
        "windows hold NaN, first window 11, at step 10 of series 1",
    ),
    (
        lambda: nl.windows(HOLES, 3, where=np.arange(38) > 9),
        "windows hold NaN, first window 15, at step 17",
    ),
    (
        lambda: nl.windows(torch.from_numpy(HOLES).to(torch.bfloat16), 3),
        "windows hold NaN, first window 3, at step 5",
    ),
]


@pytest.mark.parametrize(("make", "text"), WARNINGS, ids=[text for _, text in WARNINGS])
def test_the_first_window_with_nan_is_named_once(make: Callable[[], Any], text: str) -> None:
    with pytest.warns(UserWarning, match="NaN") as caught:
        make()
    assert [str(warning.message) for warning in caught] == [
        f"{text}; skip_nan=True leaves such windows out"
    ]
    assert caught[0].filename == __file__


def test_nan_that_no_window_holds_is_not_named() -> None:
    nl.windows(HOLES, 3, where=np.arange(38) < 3)
    nl.windows(HOLES, 3, lengths=[5, 2, 33], where=np.arange(34) < 3)
    nl.windows(np.arange(10), 3, skip_nan=True)


def test_windows_of_items_are_windows_of_each() -> None:
    sequences = [np.arange(n, dtype=np.float32) + 100 * n for n in (5, 2, 9)]
    ragged = nl.ragged(sequences)
    windows = nl.windows(ragged, 3)
    np.testing.assert_array_equal(
        [window.numpy() for window in windows],
        [s[i : i + 3] for s in sequences for i in range(len(s) - 2)],
    )
    assert len(nl.windows(nl.windows(TABLE, 8), 3)) == 33 * 6


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        # Six ids that happen to add up.
        lambda: nl.windows(np.zeros(6), 1, groups=[0, 0, 1, 1, 2, 2]),
        ValueError,
        (
            "groups are unclear: 6 numbers for a series of 6 steps could be the lengths of groups"
            " or the id of each step: type lengths= or ids="
        ),
    ),
    (
        lambda: nl.windows(TABLE, 1, groups=IDS["integers"]),
        TypeError,
        (
            f"groups must be integers from 0 on, got {IDS['integers']!r}; the id of each step, of"
            " any kind, is ids="
        ),
    ),
    (
        lambda: nl.windows(TABLE, 1, lengths=np.ones(40, int) * 2),
        ValueError,
        (
            "lengths must add up to the 40 steps of the series: got 40 that add up to 80; if they"
            " are the id of each step, type ids="
        ),
    ),
    (
        lambda: nl.windows(TABLE, 1, lengths=[0, 12, 40]),
        ValueError,
        "lengths must add up to the 40 steps of the series: got 3 that add up to 52",
    ),
    (
        lambda: nl.windows(TABLE, 1, lengths=[40], ids=IDS["strings"]),
        TypeError,
        "lengths and ids exclude each other: both divide the series",
    ),
    (
        lambda: nl.windows(TABLE, 1, ids=["a"] * 39),
        ValueError,
        "ids must be one for each of the 40 steps of the series, got 39",
    ),
    (
        lambda: nl.windows(TABLE, 1, ids=["a", "b"] * 20),
        ValueError,
        (
            "ids: the one at step 2 is that of steps 0 to 0 again, after others: a series must"
            " stand together and in order; sort it first, as with order = numpy.argsort(ids,"
            ' kind="stable"), series[order] and ids[order]'
        ),
    ),
    (
        lambda: nl.windows(TABLE, 1, ids=["a", float("nan")] * 20),
        ValueError,
        "ids: the one at place 1 is missing (NaN)",
    ),
    (
        lambda: nl.windows(TABLE, 1, ids=[["a"]] * 40),
        TypeError,
        "ids, place 0: unhashable type: 'list'",
    ),
    (
        lambda: nl.windows(TABLE, 1, ids="a" * 40),
        TypeError,
        f"ids must be a list or an array of labels, got {'a' * 40!r}",
    ),
    (lambda: nl.windows(TABLE, 1, ids=3), TypeError, "ids: 'int' object is not iterable"),
    (
        lambda: nl.windows(TABLE, 1, ids=np.zeros((40, 1), int)),
        ValueError,
        "ids must be of one axis, got shape [40, 1]",
    ),
    (
        lambda: nl.windows([TABLE, TABLE], 1, ids=IDS["strings"]),
        ValueError,
        "groups divide one series, got 2 series, which are groups already",
    ),
    (
        lambda: nl.windows(TABLE, 1, gap=2),
        ValueError,
        "a gap of 2 steps needs a horizon: give horizon= too",
    ),
    (
        lambda: nl.windows(TABLE, 1, target=2),
        TypeError,
        "target names columns of the horizon: give horizon= too",
    ),
    (
        lambda: nl.windows(TABLE, 1, horizon=1, target=[0, 1, 3]),
        ValueError,
        (
            "target must be one column or evenly spaced ones, which a view can show, got [0, 1, 3]:"
            " put them side by side, or take each as a field of its own"
        ),
    ),
    (
        lambda: nl.windows(TABLE, 1, horizon=1, target=4),
        IndexError,
        "index 4 is out of bounds for axis 1 with size 4",
    ),
    (
        lambda: nl.windows(nl.split(TABLE, [0.8, 0.2])[0], 2),
        ValueError,
        (
            "these items are rows of one array, steps and not series: take windows of the array and"
            " nl.subset of them, or parts in order, nl.split(.., shuffle=False);"
            " nl.windows(list(items), ..) takes each as a series"
        ),
    ),
    (
        lambda: nl.windows(TABLE, 1, horizon=1, target="close"),
        TypeError,
        (
            "target takes columns by their numbers, got 'close': of a pandas frame,"
            " frame.columns.get_loc('close') is one"
        ),
    ),
    (
        lambda: nl.windows(TABLE[:, 0], 1, horizon=1, target=0),
        ValueError,
        "target names columns of a series of shape (steps, columns, ..), got shape [40]",
    ),
    (
        lambda: nl.windows(TABLE, 30, gap=8, horizon=3),
        ValueError,
        (
            "no window fits: a window of 30, a gap of 8 and a horizon of 3 need 41 steps, but the"
            " longest series or group has 40"
        ),
    ),
    (
        lambda: nl.windows(TABLE, 3, where=np.ones(39, bool)),
        ValueError,
        "a filter of windows is one boolean for each of 38 windows or for each of 40 steps, got 39",
    ),
    (
        lambda: nl.windows(TABLE, 3, where=[0, 1]),
        TypeError,
        "where must be a list or an array of booleans, of one axis, got [0, 1]",
    ),
    (
        lambda: nl.windows(TABLE, 3, where=np.zeros(38, bool)),
        ValueError,
        "no window is left: all 38 are filtered out or hold NaN",
    ),
    (
        lambda: nl.windows(np.full(9, np.nan), 3, skip_nan=True),
        ValueError,
        "no window is left: all 7 are filtered out or hold NaN",
    ),
    (
        lambda: nl.windows(np.zeros(9, ">f4"), 3, skip_nan=True),
        ValueError,
        "cannot tell NaN among elements of format >f; convert them to a float of this machine",
    ),
    (
        lambda: nl.windows(nl._ndlens._shards_of_views([nl.view(TABLE)] * 2), 3),
        TypeError,
        (
            "no window is a view of two files, and this series is in 2: nl.windows(shards.shards,"
            " ..) takes each as a series of its own"
        ),
    ),
    (
        lambda: nl.Loader({"text": nl.ragged([np.zeros(3), np.zeros(5)])}),
        ValueError,
        (
            'field "text": items have different shapes, [3..5], and a batch has one: take windows'
            " of one length of them, nl.windows(items, size), or pad them to one length first;"
            " crops and resizes are for images of (height, width, channels)"
        ),
    ),
]


@pytest.mark.parametrize(("make", "kind", "text"), REFUSED, ids=[text[:60] for *_, text in REFUSED])
def test_windows_that_cannot_be_say_what_to_type(
    make: Callable[[], Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        make()
    assert (type(raised.value), str(raised.value)) == (kind, text)


LIMITED = """
import resource, sys
import numpy as np
import ndlens as nl

values = {values}
series = np.broadcast_to(np.float32(0), ({steps},))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), -1))
try:
    {call}
except MemoryError as error:
    print("MemoryError", error)
else:
    print("done")
"""

# Each needs a list of 240 MB or more.
TOO_LARGE = [
    (
        "np.broadcast_to(np.uint8(1), (30_000_001,))",
        "30_000_001",
        "nl.windows(series, 1, lengths=values)",
    ),
    (
        "np.broadcast_to(np.uint8(0), (30_000_001,))",
        "30_000_001",
        "nl.windows(series, 1, ids=values)",
    ),
    ("np.broadcast_to(np.uint8(1), (30_000_000, 1))", "1", "nl.ragged(bytes(1), shapes=values)"),
    (
        "np.broadcast_to(np.uint8(0), (30_000_000,))",
        "1",
        "nl.ragged(bytes(1), offsets=values, shapes=[(1,)])",
    ),
    ("np.broadcast_to(np.uint8(0), (30_000_000,))", "1", "nl.subset(series, values)"),
    ("np.broadcast_to(np.bool_(True), (200_000_000,))", "200_000_000", "nl.subset(series, values)"),
    (
        "np.broadcast_to(np.bool_(True), (200_000_000,))",
        "200_000_000",
        "nl.windows(series, 1, where=values)",
    ),
    ("None", "100_000_000", "nl.split(series, [0.5, 0.5])"),
    ("None", "100_000_000", "nl.split(series, [0.5, 0.5], groups=series)"),
]


@pytest.mark.parametrize(
    ("values", "steps", "call"), TOO_LARGE, ids=[f"{c} {s}" for _, s, c in TOO_LARGE]
)
def test_lists_without_memory_for_them_are_memory_errors(
    values: str, steps: str, call: str
) -> None:
    import subprocess
    import sys

    program = LIMITED.format(values=values, steps=steps, call=call)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout[:11], done.stderr) == (0, "MemoryError", ""), done
