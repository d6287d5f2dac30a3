"""The command `ndlens` as a whole."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.commands import environment, ndlens
from tests.helpers.programs import run

import ndlens as nl
from ndlens.cli import COMMANDS
from ndlens.cli.render import render
from ndlens.cli.report import Report, Table
from ndlens.cli.units import size_text, time_text


def test_without_arguments_it_prints_its_help_and_fails(tmp_path: Path) -> None:
    status, out, errors = ndlens(tmp_path)
    assert (status, out) == (2, "")
    assert errors.startswith("usage: ndlens [-h] [--version] command ...")
    assert all(name in errors for name in COMMANDS)


def test_the_console_script_is_the_same_command(tmp_path: Path) -> None:
    script = shutil.which("ndlens", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"ndlens {nl.__version__}\n" == ndlens(tmp_path, "--version").out


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = """
        import sys
        from ndlens.cli import main
        try:
            main(sys.argv[1:])
        except SystemExit as end:
            assert end.code == 0
        heavy = {"torch", "numpy", "jax", "rich", "matplotlib", "PIL", "multiprocessing"}
        assert not heavy & {name.partition(".")[0] for name in sys.modules}, sorted(sys.modules)
    """
    status, out, errors = run(script, *arguments)
    assert (status, errors) == (0, "")
    assert out.startswith("usage: ndlens")


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    nl.save(tmp_path / "x.safetensors", {f"w{i}": bytes(1) for i in range(2_000)})
    with subprocess.Popen(
        [sys.executable, "-m", "ndlens", "inspect", "--facts", "--json", "x.safetensors"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(tmp_path),
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline().startswith(b"{")
        command.stdout.close()
        assert command.stderr.read() == b""
        assert command.wait(60) == 0


TABLE = Table("title", ["a", "b|c"], [["1", "x|y"], ["22", "\x1b[2J"]], ["a note"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def rendered(format: str, file: io.StringIO | None = None) -> str:
    file = io.StringIO() if file is None else file
    render(Report([TABLE], {"seconds": 1.5}, ["the end"]), format, file)
    return file.getvalue()


def test_a_report_is_markdown() -> None:
    assert rendered("markdown") == (
        "**title**\n\n| a | b\\|c |\n| --- | --- |\n| 1 | x\\|y |\n| 22 | \\x1b[2J |\n"
        "\na note\n\n\nthe end\n"
    )


def test_a_report_is_json() -> None:
    assert rendered("json") == '{\n  "seconds": 1.5\n}\n'


PLAIN = "title\na   b|c\n--  -------\n1   x|y\n22  \\x1b[2J\na note\n\nthe end\n"


def test_a_pipe_gets_plain_text() -> None:
    assert rendered("text") == PLAIN


def test_a_terminal_gets_the_same_words_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    coloured = rendered("text", Terminal())
    assert "\x1b[" in coloured
    words = re.sub(r"\x1b\[[0-9;]*m|─", "", coloured).split()
    assert words == re.sub("--+", "", PLAIN).split()


def test_a_table_with_two_spaces_between_columns_is_not_folded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "64")
    columns = ["aligned", "columns", "of_a", "table", "of", "nine", "values", "side", "by_side"]
    file = Terminal()
    render(Report([Table("title", columns, [columns])], {}), "text", file)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()
    assert sum(line.split() == columns for line in lines) == 2


def test_a_terminal_without_rich_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.box", None)
    assert rendered("text", Terminal()) == PLAIN


def test_what_a_stream_cannot_encode_is_escaped() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    render(Report([Table("größe", ["µ"], [["\udc80"]])], {}), "markdown", file)
    file.seek(0)
    assert file.read() == "**gr\\xf6\\xdfe**\n\n| \\xb5 |\n| --- |\n| \\udc80 |\n\n"


def test_sizes_and_times_have_three_digits_at_most() -> None:
    sizes = (0, 999, 1000, 9_949, 123_456, 999_600, 2_000_000_000, 5e12)
    assert [size_text(size) for size in sizes] == [
        "0 B", "999 B", "1.0 kB", "9.9 kB", "123 kB", "1.0 MB", "2.0 GB", "5000 GB",
    ]  # fmt: skip
    times = (1e-7, 2.5e-5, 0.0123, 1.25, 30)
    assert [time_text(time) for time in times] == ["0.1 µs", "25 µs", "12 ms", "1.2 s", "30 s"]
