"""`ndlens bench`: its reports, its charts, who is left out, a clean end. Nothing here is timed."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ndlens.cli import main
from ndlens.cli.bench.benchmarks import crop, threads
from ndlens.cli.bench.chart import DOTS_PER_INCH, draw
from ndlens.cli.bench.contest import Column, Contest, Ratio, beside
from ndlens.cli.bench.ground import Ground, rate_of_epochs
from ndlens.cli.bench.memory import (
    ROW_BYTES,
    PeakMemory,
    free_batches,
    peak_bytes,
    pss_bytes,
    resident_bytes,
)

LITTLE = ("--rounds", "1", "--seconds", "0.001")
# Of each benchmark, contests that are small, and the least size; more words where it has many
# contestants.
SMALL: dict[str, tuple[str, ...]] = {
    "crop": ("crop:float16", "32"),
    "resized_crop": ("resized_crop", "32"),
    "decode": ("decode:png", "64", "--quick"),
    "rows": ("rows:64", "8192"),
    "views": ("views", "20"),
    "subsets": ("subsets:64", "200000"),
    "sharing": ("sharing:fork", "32"),
    "opening": ("opening", "64"),
    "order": ("order", "1000"),
    "colour": ("colour:uint8", "16"),
    "mixing": ("mixing", "96"),
    "threads": ("threads", "20"),
}
RUNS_HERE = [name for name in SMALL if name != "threads" or threads.runs_in_parallel()]


@pytest.fixture(autouse=True)
def threads_that_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's threads spin until all are done, which takes long where tests run side by side."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status = main(["bench", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture
def without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hides packages from the processes of a benchmark, as if they were not installed."""

    def hide(*peers: str) -> None:
        for peer in peers:
            (tmp_path / f"{peer}.py").write_text(
                f"raise ModuleNotFoundError('No module named {peer}', name={peer!r})\n"
            )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return hide


def example(turns: dict[str, list[float]], **others: Any) -> Contest:
    columns: list[Column | Ratio] = [
        Column("images/s", "rate"),
        Ratio("ndlens is", "rate", subjects=beside("ndlens", list(turns))),
    ]
    figures = {name: [{"rate": value} for value in values] for name, values in turns.items()}
    return Contest("float32", "Crops", "images/s", columns, figures, **others)


@pytest.mark.parametrize("name", RUNS_HERE)
def test_every_benchmark_runs_and_gives_each_contestant_a_figure(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if name == "decode":
        importlib.import_module("skimage")  # has its photographs
    contest, size, *more = SMALL[name]
    status, found = run_json(capsys, contest, *LITTLE, "--size", size, *more)
    assert status == 0
    (benchmark,) = found["benchmarks"]
    assert benchmark["benchmark"] == name
    assert benchmark["failure"] is None
    assert benchmark["left_out"] is None
    assert benchmark["settings"]["rounds"] == 1
    assert benchmark["contests"]
    for contest in benchmark["contests"]:
        assert contest["left_out"] == {}
        for contestant in contest["contestants"].values():
            assert len(contestant["turns"]) == 1
            assert all(value >= 0 for turn in contestant["turns"] for value in turn.values())
            assert None not in contestant["summary"].values()


@pytest.mark.skipif(threads.runs_in_parallel(), reason="this Python has no GIL")
def test_a_python_with_a_gil_is_told_what_the_benchmark_of_threads_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, found = run_json(capsys, "threads:slice", *LITTLE)
    (contest,) = found["benchmarks"][0]["contests"]
    assert (status, contest["contestants"]) == (0, {})
    assert contest["left_out"]["all"] == (
        "this Python runs one thread at a time: run it with a free-threaded one, such as"
        " python3.14t"
    )


def test_packages_that_are_not_here_are_named_with_what_to_type(
    capsys: pytest.CaptureFixture[str], without: Any
) -> None:
    without("torch", "torchvision", "cv2", "numba")
    torch = "since torch is not installed: pip install torch."

    def said_of(*names: str, size: int) -> str:
        assert main(["bench", *names, *LITTLE, "--size", str(size), "--markdown"]) == 0
        return capsys.readouterr().out

    said = said_of("crop:bfloat16", "resized_crop", "views:slice", size=32)
    assert f"Left out: crop:bfloat16, {torch}" in said
    assert f"Left out: torchvision v2, {torch}" in said
    assert (
        "Left out: OpenCV 2 threads, since cv2 is not installed:"
        " pip install opencv-python-headless." in said
    )
    assert f"Left out: torch, {torch}" in said

    said = said_of("rows:64", "mixing", size=8192)
    assert "Left out: numba, since numba is not installed: pip install numba." in said
    assert f"Left out: torch index_select, {torch}" in said
    assert f"Left out: mixing, {torch}" in said
    assert "| ndlens, index array |" in said
    assert "| numpy take |" in said


def test_crops_run_without_torch_and_without_numba(
    capsys: pytest.CaptureFixture[str], without: Any
) -> None:
    without("torch", "torchvision", "numba")
    status, found = run_json(capsys, "crop:float32", "crop:uint8", *LITTLE, "--size", "32")
    assert status == 0
    floats, bytes_ = found["benchmarks"][0]["contests"]
    assert set(floats["contestants"]) == {
        "ndlens 2 workers",
        crop.LIMIT,
        "ndlens 1 worker",
        "ndlens 0 workers",
        "memory, 1 thread",
    }
    assert set(bytes_["contestants"]) == {"ndlens 2 workers", crop.LIMIT}
    assert set(bytes_["left_out"]) == {"DataLoader 0 workers", "hand loop", "numba, ring of 8"}


def test_a_broken_package_is_left_out_with_its_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numba.py").write_text("raise RuntimeError('no LLVM here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _, found = run_json(capsys, "rows:64", *LITTLE, "--size", "8192")
    (contest,) = found["benchmarks"][0]["contests"]
    assert contest["left_out"] == {"numba": "numba cannot be imported: no LLVM here"}


def test_a_contestant_with_wrong_results_is_not_timed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import numpy as np\n"
        "take = np.take\n"
        "np.take = lambda a, i, axis, out, mode: take(a, i[::-1], axis, out=out, mode=mode)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    status, found = run_json(capsys, "rows:64", "subsets:64", *LITTLE, "--size", "200000")
    assert status == 1
    rows, subsets = found["benchmarks"]
    assert rows["failure"] == "numpy take gathers other rows"
    assert rows["contests"] == []
    assert len(subsets["contests"]) == 1


def test_json_has_the_machine_versions_every_turn_and_ratios(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, found = run_json(capsys, "subsets:64", "--rounds", "3", "--seconds", "0.001", "--quick")
    machine = found["machine"]
    assert machine["cpu"]
    assert machine["cores"] >= machine["usable_cores"] >= 1
    assert machine["memory_bytes"] > 1 << 28
    assert {"ndlens", "numpy", "torch"} <= machine["versions"].keys()
    assert found["quick"] is True
    (benchmark,) = found["benchmarks"]
    assert benchmark["settings"] == {
        "rounds": 3,
        "seconds": 0.001,
        "size": 300_000,
        "cpu_time": False,
    }
    (contest,) = benchmark["contests"]
    assert contest["contest"] == "64"
    split = contest["contestants"]["split"]
    times = sorted(turn["nanoseconds"] for turn in split["turns"])
    assert split["summary"] == {"median_nanoseconds": times[1]}
    (ratio,) = split["ratios"]
    whole = contest["contestants"]["whole"]["summary"]["median_nanoseconds"]
    assert (ratio["subject"], ratio["numerator"]) == ("whole", "subject")
    assert ratio["ratio"] == whole / times[1]


def test_the_list_has_every_benchmark_with_its_contests(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in SMALL)
    assert "float32 uint8 float16 bfloat16 first" in said
    status, found = run_json(capsys, "--list")
    assert status == 0
    assert set(found["benchmarks"]) == set(SMALL)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["crops"], "there is no benchmark 'crops'; there are crop, resized_crop, decode, rows"),
        (["rows:65"], "benchmark rows has no contest '65'; it has 64, 256, windows"),
        (["crop", "--size", "8"], "--size 8 is too little for crop: expected 32 or more"),
        (["rows", "--rounds", "0"], "--rounds 0 is too little for rows: expected 1 or more"),
        (["rows", "--chart", "a.xyz"], "no chart can be written as 'a.xyz': expected "),
        (["rows", "--chart", "/nowhere/a.png"], "there is no folder /nowhere for the chart"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["bench", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"ndlens: {said}")


def test_a_chart_without_matplotlib_tells_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["bench", "rows", "--chart", "a.png"]) == 2
    assert 'a chart needs matplotlib: pip install "ndlens[cli]"' in capsys.readouterr().err


def test_the_chart_is_a_png_whose_height_grows_with_the_bars(tmp_path: Path) -> None:
    heights = []
    for count in (2, 12):
        turns = {"ndlens": [4.0]} | {f"peer {number}": [1.0] for number in range(count)}
        draw([("crop", example(turns))], ["a note"], tmp_path / "chart.png")
        with Image.open(tmp_path / "chart.png") as image:
            assert image.format == "PNG"
            assert image.width == int(8.6 * DOTS_PER_INCH)
            heights.append(image.height)
    assert heights[1] - heights[0] == pytest.approx(10 * 0.27 * DOTS_PER_INCH, abs=1)


def test_the_chart_has_the_colours_of_ndlens_of_its_peers_and_of_the_limit(tmp_path: Path) -> None:
    contest = example(
        {"ndlens": [4.0], "torch": [1.0], "memory": [5.0]}, limits={"memory": "ndlens"}
    )
    draw([("crop", contest)], [], tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)

    def share(colour: tuple[int, int, int]) -> float:
        return float((np.abs(pixels.astype(int) - colour).max(axis=1) < 12).mean())

    ours, theirs, limit = share((0, 114, 178)), share((180, 186, 193)), share((213, 94, 0))
    # The bars are 4 to 1; names and figures of ndlens are blue, too.
    assert 3.5 < ours / theirs < 5
    assert 0 < limit < ours


def test_contests_of_many_panels_stand_in_two_columns(tmp_path: Path) -> None:
    contests = [("crop", example({"ndlens": [4.0], "torch": [1.0]})) for _ in range(6)]
    draw(contests, [], tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as image:
        assert image.width == int(2 * 8.6 * DOTS_PER_INCH)


def test_a_table_shows_medians_ratios_and_the_share_of_the_limit() -> None:
    turns = {"ndlens": [8.0, 9.0, 1.0], "torch": [2.0, 2.0, 5.0], "memory": [10.0, 10.0, 10.0]}
    contest = example(turns, limits={"memory": "ndlens"}, absent={"numba": "it is not here"})
    table = contest.table()
    assert table.columns == ["", "images/s", "ndlens is"]
    assert table.rows == [
        ["ndlens", "8", ""],
        ["torch", "2", "4.00 x as fast"],
        ["memory", "10", "0.80 x as fast"],
    ]
    assert table.notes == [
        "ndlens: 80% of the memory's limit (memory).",
        "Left out: numba, since it is not here.",
    ]


def test_memory_is_read_of_a_process_and_of_those_that_it_started() -> None:
    alone = pss_bytes(os.getpid())
    program = "data = bytearray(b'x' * (64 << 20)); print('made', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "made\n"
        assert pss_bytes(os.getpid()) - alone > 60 << 20
        child.communicate("\n")


def test_the_peak_counts_memory_that_was_given_back() -> None:
    memory = PeakMemory()
    with memory:
        data = np.ones(64 << 20, np.uint8)
        time.sleep(5 * PeakMemory.INTERVAL_SECONDS)
        resident = resident_bytes()
        del data
    assert memory.extra > 60 << 20
    # The system counts pages in steps.
    assert peak_bytes() > resident - (4 << 20) > 60 << 20


def test_the_memory_limit_writes_the_row_past_the_cache_into_batches_of_the_size() -> None:
    batches = free_batches(2, 1 << 20)
    batch = next(iter(batches))
    assert batch.shape == (1 << 20 >> 12, ROW_BYTES)
    assert batch.nbytes == 1 << 20
    assert (batch.numpy() == np.arange(ROW_BYTES) % 255 + 1).all()
    assert batches.num_workers == 1
    assert rate_of_epochs(batches, 0.001) > 0


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes whose temporary folder is below `folder`."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            environment = (process / "environ").read_bytes()
            if f"TMPDIR={folder}/ndlens-bench-".encode() in environment:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_an_end_in_the_middle_leaves_no_process_and_no_file(
    signal_number: signal.Signals,
) -> None:
    # Not tmp_path, below which the address of forkserver's socket would be too long.
    folder = Path(tempfile.mkdtemp())
    # A benchmark whose turns are processes with worker processes of their own.
    command = [sys.executable, "-m", "ndlens", "bench", "sharing:forkserver", "--size", "64"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: len(processes_of(folder)) >= 4)
        process.send_signal(signal_number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if signal_number == signal.SIGINT else -signal.SIGKILL)
    assert out == err == b""
    until(lambda: processes_of(folder) == [])
    until(lambda: list(folder.iterdir()) == [])
    folder.rmdir()


def until(holds: Any) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("a minute passed")


def test_each_round_begins_with_another_contestant(tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []
    taken: list[str] = []

    def turn(name: str) -> dict[str, float]:
        taken.append(name)
        return {"turn": len(taken)}

    turns = {name: partial(turn, name) for name in "abc"}
    found = Ground(tmp_path, told.append).rounds("letters", turns, 4)
    assert "".join(taken) == "abcbcacababc"
    assert list(found) == ["a", "b", "c"]
    assert [figures["turn"] for figures in found["b"]] == [2, 4, 9, 11]
    assert told == [("steps", "letters", 12), *[("step",)] * 12]
    assert Ground(tmp_path, told.append).rounds("none", {}, 2) == {}
