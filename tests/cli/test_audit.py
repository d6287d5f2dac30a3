"""`ndlens audit`: its verdicts, its proofs, and its end in every circumstance."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.docs import audit_tables
from tests.helpers.commands import Done, environment, ndlens

from ndlens.cli import audit
from ndlens.cli.audit import cases, child, epoch, handoffs, memory, processes, tables
from ndlens.cli.process_memory import _children_by_parent, _children_by_thread, family
from ndlens.cli.report import Failure

# The first test to ask for `audited` waits for thirteen processes.
pytestmark = pytest.mark.timeout(300)

LIBRARIES = ("numpy", "torch", "jax")
TINY = ("--gb", "0.004")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Done:
    directory = tmp_path_factory.mktemp("audit")
    done = ndlens(directory, "audit", "--quick", "--gb", "0.04", "--json", timeout=280)
    assert list(directory.iterdir()) == []
    return done


@pytest.fixture(scope="module")
def rows(audited: Done) -> dict[str, Any]:
    """The verdicts by method and case."""
    assert audited.status == 0, audited
    assert audited.data["missing"] == []
    found: dict[str, Any] = {}
    for method, row in audited.data["handoffs"].items():
        assert row["failed"] is None
        found[method] = row["cases"]
        assert list(found[method]) == list(cases.CASES)
    return found


def test_every_method_is_measured_with_every_case(rows: dict[str, Any]) -> None:
    assert list(rows) == list(handoffs.METHODS)


VERDICTS = {
    "torch.from_numpy(a)": "shared shared refused shared shared refused shared shared",
    "torch.frombuffer(memoryview(a))": "shared refused refused refused shared shared shared shared",
    "torch.as_tensor(a)": "shared shared refused shared shared refused shared shared",
    "torch.tensor(a)": "copied copied refused copied copied refused copied copied",
    "np.asarray(a)": "shared " * 8,
    "memoryview(a)": "shared shared refused refused shared shared shared shared",
    "nl.view(a).torch()": "shared shared refused shared refused refused shared shared",
    "nl.view(a).numpy()": "shared " * 8,
    "memoryview(nl.view(a))": "shared " * 8,
}


@pytest.mark.parametrize("method", VERDICTS)
def test_the_verdicts_are_those_of_the_documents(rows: dict[str, Any], method: str) -> None:
    found = [outcome["verdict"] for outcome in rows[method].values()]
    assert found == VERDICTS[method].split()


def test_what_is_shared_is_proved_twice_and_takes_no_memory(rows: dict[str, Any]) -> None:
    for method, row in rows.items():
        for case, outcome in row.items():
            if outcome["verdict"] in ("refused", "ends the process"):
                continue
            shared = outcome["verdict"] == "shared"
            assert outcome["same_address"] is shared, (method, case)
            # Written from one side or, where the result may be written, from both.
            both = case not in ("read-only", "mapped") and not method.startswith("jnp")
            assert outcome["writes_seen"] == [shared] * (2 if both else 1), (method, case)
            assert outcome["seconds"] > 0
            if shared:
                assert outcome["extra_bytes"] < 1_000_000, (method, case)
            elif case in ("contiguous", "crop"):
                assert outcome["extra_bytes"] > 9_000_000, (method, case)


def test_frombuffer_loses_the_shape_and_the_byte_order(rows: dict[str, Any]) -> None:
    row = rows["torch.frombuffer(memoryview(a))"]
    assert not row["contiguous"]["shape_kept"]
    assert row["contiguous"]["numbers_kept"]
    assert not row["big-endian"]["numbers_kept"]
    assert all(outcome["numbers_kept"] for outcome in rows["nl.view(a).numpy()"].values())


def test_a_write_to_a_read_only_map_ends_the_process_and_not_the_audit(
    rows: dict[str, Any],
) -> None:
    for method in ("torch.from_numpy(a)", "torch.as_tensor(a)"):
        assert rows[method]["mapped"]["write"] == "ends the process: SIGSEGV"
        assert rows[method]["read-only"]["write"] == "changes it"
    assert rows["np.asarray(a)"]["mapped"]["write"] == "refused: ValueError"
    assert rows["nl.view(a).torch()"]["mapped"]["write"] == "stays private"
    assert rows["nl.view(a).torch()"]["read-only"]["write"] == "no hand-off"


def test_a_refusal_has_the_first_line_of_its_error(rows: dict[str, Any]) -> None:
    assert rows["nl.view(a).torch()"]["reversed"]["error"] == (
        "CopyRequired: torch() would need a copy: axis 2 has the negative stride -3; "
        "call .copy() first"
    )
    assert rows["memoryview(a)"]["crop"]["error"] == (
        "NotImplementedError: multi-dimensional slicing is not implemented"
    )


def test_a_proof_that_contradicts_itself_is_a_fault(audited: Done) -> None:
    results = json.loads(audited.out)
    outcome = results["handoffs"]["torch.from_numpy(a)"]["cases"]["crop"]
    outcome |= {"verdict": "contradictory", "same_address": True, "writes_seen": [True, False]}
    report = tables.report(results)
    assert report.status == 1
    assert report.notes[0] == (
        "The proof for torch.from_numpy(a), crop fails: same address True, "
        "writes seen [True, False]."
    )


def test_the_report_ends_with_what_it_could_not_check(audited: Done) -> None:
    notes = tables.report(audited.data).notes
    assert notes[0].startswith("Measured in ")
    assert f"torch {torch.__version__}" in notes[0]
    gpu = "Every array was in main" if torch.cuda.is_available() else "torch finds none"
    assert notes[1].startswith(f"Not checked: copies to a GPU. {gpu}")
    assert notes[2] == "Not checked, as asked: processes, epoch."


FIGURE = {"summary": (4,), "costs": (1, 2, 3, 4), "processes": (2, 3, 4, 5), "epoch": (1, 2, 3)}


def without_figures(name: str, table: list[list[str]]) -> list[list[str]]:
    kept = [
        [cell for column, cell in enumerate(row) if column not in FIGURE.get(name, ())]
        for row in table
    ]
    return [[column.partition(" of ")[0] for column in kept[0]], *kept[1:]]


@pytest.mark.parametrize("document", audit_tables.DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_in_the_documents_are_those_of_the_program(
    document: Path, audited: Done
) -> None:
    report = tables.report(audited.data)
    program = {table.name: [table.columns, *table.rows] for table in report.tables}
    program["processes"] = [
        ["start", "array", "pickled", "first item", "of one page", "extra RAM"],
        *([start, array] for start in processes.STARTS for array in processes.ARRAYS),
    ]
    program["epoch"] = [
        ["loader", "images/s", "first batch", "extra RAM"],
        *([loader] for loader in epoch.CONTESTANTS),
    ]
    published = audit_tables.published(document)
    assert published
    for name, table in published.items():
        if name != "errors":  # their texts are of a version of torch
            assert without_figures(name, table) == without_figures(name, program[name]), name


KEPT = "<!-- ndlens audit: epoch -->\nkept\n<!-- end -->\n"


def test_blocks_of_a_document_are_replaced(
    audited: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- ndlens audit: costs -->\nold\n<!-- end -->\n" + KEPT)
    monkeypatch.setattr(audit_tables, "DOCUMENTS", (page,))
    report = tables.report(audited.data)
    assert list(audit_tables.write(report)) == [page]
    assert list(audit_tables.write(report)) == []
    text = page.read_text()
    assert text.startswith("a\n<!-- ndlens audit: costs -->\n\n**What a hand-off costs")
    assert "old" not in text
    # What was not measured stays.
    assert text.endswith("<!-- end -->\n" + KEPT)
    costs = audit_tables.published(page)["costs"]
    assert [row[0] for row in costs] == ["method", *handoffs.METHODS]


def test_worker_processes_read_the_array_and_are_counted(tmp_path: Path) -> None:
    hide = ("torch", "jax")
    done = ndlens(tmp_path, "audit", "--only", "processes", *TINY, "--json", hide=hide)
    assert done.status == 0, done
    rows = {(row["start"], row["array"]): row for row in done.data["processes"]}
    arrays = [name for name, (_, needs) in processes.ARRAYS.items() if "torch" not in needs]
    assert list(rows) == [(start, array) for start in processes.STARTS for array in arrays]
    for (start, array), row in rows.items():
        assert row["failed"] is None
        assert row["first_item_seconds"] > 0
        by_value = start != "fork" and array == "ndarray"
        # Two workers with a copy each, or handles of some hundred bytes.
        assert (row["pickled_bytes"] >= row["nbytes"]) is by_value
        assert by_value or row["pickled_bytes"] < 400


def test_without_torch_and_numpy_it_measures_what_is_left(tmp_path: Path) -> None:
    done = ndlens(tmp_path, "audit", *TINY, "--only", "handoffs", "epoch", hide=LIBRARIES)
    assert (done.status, done.errors) == (0, "")
    assert "memoryview(nl.view(a))  shared      shared     shared    shared  shared" in done.out
    assert "nl.Loader, no workers" in done.out
    assert "DataLoader, no workers" not in done.out
    text = " ".join(done.out.split())
    assert "Not checked: what needs torch, which is not installed (torch.from_numpy(a)," in text
    assert "Not checked: what needs NumPy, which is not installed" in text
    assert list(tmp_path.iterdir()) == [tmp_path / "hiding"]


def test_it_is_markdown_if_asked(tmp_path: Path) -> None:
    command = ("audit", *TINY, "--only", "handoffs", "--markdown")
    done = ndlens(tmp_path, *command, hide=("torch", "jax"))
    assert done.status == 0
    assert "| memoryview(nl.view(a)) | shared | shared | shared | shared | shared |" in done.out
    assert "**What a hand-off costs, of an array of 4.0 MB**" in done.out


def test_where_memory_is_short_it_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ndlens(tmp_path, "audit", "--gb", "999")
    assert (done.status, done.out) == (2, "")
    assert done.errors.startswith("ndlens: 5996 GB of memory are needed, ")
    assert " are available: say --gb " in done.errors
    monkeypatch.setattr(memory, "available_bytes", lambda: 1_000_000_000)
    with pytest.raises(Failure, match=r"1\.0 GB are available: close other programs$"):
        audit._check_memory(1_000_000_000, ["epoch"])


@pytest.mark.parametrize("size", ["0", "-1", "nan", "1000"])
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: str) -> None:
    done = ndlens(tmp_path, "audit", f"--gb={size}")
    assert done.status == 2
    assert "--gb is a size in gigabytes above 0 and below 1000, not" in done.errors


def of_this_run(directory: Path) -> set[int]:
    """The processes whose temporary files are in `directory`."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and os.fsencode(directory) in (
                process / "environ"
            ).read_bytes().replace(b"\0", b"\n"):
                found.add(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_files_and_no_processes(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "ndlens", "audit", "--only", "processes", "--gb", "0.05"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path, ("torch", "jax")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as started:
        deadline = time.monotonic() + 60
        # The command, a child of it, and the child's workers.
        while len(of_this_run(tmp_path)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert any(path.name.startswith("ndlens-audit-") for path in tmp_path.iterdir())
        started.send_signal(number)
        out, errors = started.communicate(timeout=60)
    assert (started.returncode, out, errors) == (130, b"", b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "hiding"]
    # What was killed is gone once its parent, or init, has taken note.
    while of_this_run(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def reports(task: str, timeout_seconds: float = 60, **arguments: Any) -> list[dict[str, Any]]:
    return list(child.run(f"tests.helpers.measured:{task}", arguments, timeout_seconds))


def wait_for_end(pid: int) -> None:
    """Waits until a killed process is gone, or is left to be noticed by its parent."""
    deadline = time.monotonic() + 10
    status = Path(f"/proc/{pid}/status")
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_reports_line_by_line() -> None:
    assert reports("well", number=3) == [{"number": 3}, {"number": 4}]


def test_the_end_of_a_child_is_a_result() -> None:
    assert reports("by_signal") == [{"number": 1}, {"ended": "SIGABRT", "signal": True}]
    assert reports("by_exception") == [
        {"number": 1},
        {"ended": "ValueError: no such thing", "signal": False},
    ]


def test_a_child_that_does_not_end_is_ended_with_its_workers() -> None:
    first, last = reports("never", 3)
    assert last == {"ended": "no answer in 3 s", "signal": False}
    wait_for_end(first["worker"])


def test_a_child_whose_reader_leaves_is_ended() -> None:
    running = child.run("tests.helpers.measured:never", {}, 60)
    worker = next(running)["worker"]
    running.close()
    wait_for_end(worker)


def test_memory_is_counted_once_for_all_that_share_it() -> None:
    before = memory.held_bytes()
    assert before is not None
    held = bytearray(b"x") * 50_000_000
    after = memory.held_bytes()
    assert after is not None
    assert 49_000_000 < after - before < 60_000_000
    del held
    assert os.getpid() in family(os.getpid())
    available = memory.available_bytes()
    assert available is not None
    assert available > 0


def test_both_ways_to_find_the_children_of_a_process_find_them() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        for children in (_children_by_thread, _children_by_parent()):
            assert started.pid in children(os.getpid())
            assert children(started.pid) == []
        assert started.pid in family(os.getpid())
        started.communicate(b"\n")


def test_a_copy_into_memory_that_was_freed_before_is_counted() -> None:
    program = (
        "import sys, numpy as np\n"
        "from ndlens.cli.audit import memory\n"
        "if sys.argv[1:]: memory.give_memory_back()\n"
        "def copy(nbytes): return np.full(nbytes, 1, np.uint8)\n"
        "kept = copy(24_000_000); wall = bytearray(1000); del kept; kept = copy(12_000_000)\n"
        "wall = bytearray(1000); del kept\n"
        "before = memory.held_bytes()\n"
        "kept = copy(8_000_000)\n"
        "print(memory.held_bytes() - before)\n"
    )
    for words, counted in ((("give",), True), ((), False)):
        command = [sys.executable, "-c", program, *words]
        extra = int(subprocess.run(command, capture_output=True, check=True).stdout)
        assert (extra > 7_900_000) is counted, (words, extra)


def test_memory_of_an_array_that_is_too_small_to_tell_is_not_called_none() -> None:
    small = {"verdict": "copied", "seconds": 1.0, "nbytes": 400_000, "extra_bytes": 0}
    assert tables._memory(small) == "under 1.0 MB"
    assert tables._memory(small | {"nbytes": 4_000_000}) == "0"
    assert tables._memory(small | {"extra_bytes": 1_600_000}) == "1.6 MB"
    assert tables._memory(small | {"extra_bytes": None}) == "?"
