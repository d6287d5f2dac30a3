"""What `make wheels` refuses in a wheel, and where it keeps debug information.

The wheels here have a module of three lines of C instead of the real one.
"""

from __future__ import annotations

import platform
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from release import contents, symbols

ROOT = Path(__file__).parents[2]
MACHINE = platform.machine()
MODULE = f"ndlens/_ndlens.cpython-312-{MACHINE}-linux-gnu.so"
NAME = f"ndlens-0.1.0-cp312-cp312-manylinux2014_{MACHINE}.manylinux_2_17_{MACHINE}.whl"
INFO = "ndlens-0.1.0.dist-info"

ENTRY = "void *PyInit__ndlens(void) { return 0; }"


def compiled(folder: Path, source: str = ENTRY) -> bytes:
    """A module with debug information and a build id."""
    (folder / "module.c").write_text(source)
    built = folder / "module.so"
    command = ["cc", "-g", "-shared", "-fPIC", "-nostartfiles", "-Wl,--build-id=sha1"]
    subprocess.run([*command, "-o", built, folder / "module.c"], check=True)
    return built.read_bytes()


def files(module: bytes) -> dict[str, bytes]:
    """What a wheel has, without its RECORD."""
    tags = "".join(f"Tag: cp312-cp312-{tag}\n" for tag in NAME[:-4].split("-")[4].split("."))
    metadata = "Name: ndlens\nVersion: 0.1.0\nLicense-Expression: MIT OR Apache-2.0\n"
    described = {
        "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tags}",
        "METADATA": f"Metadata-Version: 2.4\n{metadata}",
        "licenses/LICENSE-MIT": "MIT",
        "licenses/LICENSE-APACHE": "Apache",
    }
    package = {name: (ROOT / "python" / name).read_bytes() for name in contents.listed()}
    return package | {MODULE: module} | {f"{INFO}/{k}": v.encode() for k, v in described.items()}


def pack(path: Path, held: Mapping[str, bytes], recorded: Mapping[str, bytes]) -> Path:
    """A wheel of these files, with a RECORD of those."""
    rows = [symbols.row(name, content) for name, content in recorded.items()]
    record = "\n".join([*rows, f"{INFO}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in held.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{INFO}/RECORD", record)
    return path


def made(folder: Path, held: Mapping[str, bytes], name: str = NAME) -> Path:
    """A wheel of these files as `make wheels` leaves it, in folder/dist."""
    (folder / "unstripped").mkdir()
    (folder / "dist").mkdir()
    return symbols.split(pack(folder / "unstripped" / name, held, held), folder / "dist")


def test_a_wheel_that_make_wheels_leaves_has_no_problem(tmp_path: Path) -> None:
    assert contents.problems(made(tmp_path, files(compiled(tmp_path)))) == []


def test_debug_information_goes_to_a_file_that_the_module_names(tmp_path: Path) -> None:
    wheel = made(tmp_path, files(compiled(tmp_path)))
    debug = wheel.parent / "debug" / wheel.stem / f"{Path(MODULE).name}.debug"
    with zipfile.ZipFile(wheel) as archive:
        module = archive.read(MODULE)
    assert debug.name.encode() in module
    assert b".debug_info" not in module
    assert b".debug_info" in debug.read_bytes()
    shown = symbols.output("addr2line", "--functions", "--exe", debug, entry_address(debug))
    assert shown.splitlines()[0] == "PyInit__ndlens"
    assert shown.splitlines()[1].endswith("module.c:1")


def entry_address(debug: Path) -> str:
    (line,) = (
        line for line in symbols.output("nm", debug).splitlines() if "PyInit__ndlens" in line
    )
    return f"0x{line.split()[0]}"


def test_a_wheel_as_maturin_built_it_is_refused(tmp_path: Path) -> None:
    held = files(compiled(tmp_path))
    found = contents.problems(pack(tmp_path / NAME, held, held))
    assert f"{MODULE} has .symtab: it is not stripped" in found
    assert f"{MODULE} has .debug_info: it is not stripped" in found
    assert any(line.endswith(".so.debug is missing") for line in found)


def drop(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(held: dict[str, bytes]) -> None:
        del held[name]

    return change


def put(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(held: dict[str, bytes]) -> None:
        held[name] = content

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (drop("ndlens/py.typed"), "ndlens/py.typed is missing"),
        (drop(f"{INFO}/licenses/LICENSE-MIT"), "LICENSE-MIT is missing"),
        (put("ndlens/loader.pyc", b""), "ndlens/loader.pyc is not in the repository"),
        (
            put("tests/test_view.py", b""),
            "tests/test_view.py is neither of the package nor of its description",
        ),
        (
            put(f"{INFO}/METADATA", b"Name: ndlens\nVersion: 0.2.0\n"),
            "METADATA is of ndlens 0.2.0",
        ),
        (
            put(f"{INFO}/WHEEL", b"Root-Is-Purelib: true\nTag: py3-none-any\n"),
            "WHEEL says that nothing in it is compiled",
        ),
    ],
)
def test_a_file_too_much_or_too_few_or_of_another_build_is_a_problem(
    change: Callable[[dict[str, bytes]], None], problem: str, tmp_path: Path
) -> None:
    held = files(compiled(tmp_path))
    change(held)
    assert problem in contents.problems(made(tmp_path, held))


def test_a_file_that_is_not_as_recorded_is_a_problem(tmp_path: Path) -> None:
    held = files(compiled(tmp_path))
    wheel = pack(tmp_path / NAME, held | {"ndlens/errors.py": b"# other"}, held)
    assert "RECORD has another digest or size of ndlens/errors.py" in contents.problems(wheel)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "extern void spline(void); void *PyInit__ndlens(void) { spline(); return 0; }",
            "it takes spline, which is neither CPython's nor the C library's",
        ),
        (
            f"{ENTRY} int helper(void) {{ return 1; }}",
            "it exports ['PyInit__ndlens', 'helper'], not ['PyInit__ndlens']",
        ),
    ],
)
def test_a_symbol_too_much_is_a_problem(source: str, problem: str, tmp_path: Path) -> None:
    assert contents.problems(made(tmp_path, files(compiled(tmp_path, source)))) == [problem]


def test_a_module_of_another_abi_than_its_wheel_is_a_problem(tmp_path: Path) -> None:
    name = NAME.replace("cp312-cp312", "cp313-cp313t")
    assert f"{MODULE} is not of the ABI cp313t" in contents.problems(
        made(tmp_path, files(compiled(tmp_path)), name)
    )


def test_a_wheel_that_is_too_large_is_a_problem(tmp_path: Path) -> None:
    state, noise = 1, bytearray()
    while len(noise) < 3_100_000:
        state = state * 6364136223846793005 + 1442695040888963407 & 0xFFFFFFFFFFFFFFFF
        noise += (state >> 32).to_bytes(4, "little")
    module = compiled(tmp_path)
    found = contents.problems(made(tmp_path, files(module) | {"ndlens/noise": bytes(noise)}))
    assert found[0].startswith("it has 3.")
    assert found[0].endswith(" MB, and may have 3.0 MB")
