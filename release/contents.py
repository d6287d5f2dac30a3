"""What must be true of a wheel before it goes out: its names, its files, its compiled module.

    python -m release.contents dist/*.whl

auditwheel says which C library a module needs; this says the rest. A wheel that passes installs
only what the package has, runs with the interpreter that its name says, and asks the system for
nothing but the C library.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path, PurePosixPath

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import NoteSection, SymbolTableSection

ROOT = Path(__file__).parents[1]
MEGABYTES = 3.0

MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
# What a module may load: the C library in its parts, and the unwinder of gcc.
LIBRARIES = {
    "manylinux_2_17": {
        "ld-linux-aarch64.so.1",
        "ld-linux-x86-64.so.2",
        "libc.so.6",
        "libdl.so.2",
        "libgcc_s.so.1",
        "libm.so.6",
        "libpthread.so.0",
        "librt.so.1",
    },
    "musllinux_1_2": {"libc.so", "libgcc_s.so.1"},
}
GLIBC = (2, 17)
# Symbols that no library need have: the linker leaves them null.
OPTIONAL = {"__cxa_thread_atexit_impl", "__gmon_start__", "gnu_get_libc_version"}
EXPORTED = {"PyInit__ndlens"}


def listed() -> set[str]:
    """The files of the package, as the repository has them."""
    command = ["git", "ls-files", "-z", "--", "python/ndlens"]
    names = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    return {name.removeprefix("python/") for name in names.split("\0") if name}


def problems(path: Path) -> list[str]:
    """What is wrong with a wheel, one sentence each; an empty list if nothing is."""
    with zipfile.ZipFile(path) as wheel:
        return [
            *size(path),
            *files(wheel),
            *record(wheel),
            *tags(path, wheel),
            *module(path, wheel),
        ]


def size(path: Path) -> Iterator[str]:
    """It is small enough to be installed without a thought."""
    megabytes = path.stat().st_size / 1e6
    if megabytes >= MEGABYTES:
        yield f"it has {megabytes:.2f} MB, and may have {MEGABYTES:.1f} MB"


def files(wheel: zipfile.ZipFile) -> Iterator[str]:
    """The package's files, one compiled module, and what describes the distribution."""
    names = set(wheel.namelist())
    package = {name for name in names if name.startswith("ndlens/")}
    described = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    modules = {name for name in package if name.endswith(".so")}
    for name in sorted(names - package - described):
        yield f"{name} is neither of the package nor of its description"
    for name in sorted(package - modules - listed()):
        yield f"{name} is not in the repository"
    for name in sorted(listed() - package):
        yield f"{name} is missing"
    if len(modules) != 1:
        yield f"it has {len(modules)} compiled modules, not one"
    for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
        if not any(name.endswith(f".dist-info/licenses/{licence}") for name in described):
            yield f"{licence} is missing"


def record(wheel: zipfile.ZipFile) -> Iterator[str]:
    """RECORD names each file, with its size and SHA-256."""
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/RECORD"))
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(wheel.read(name).decode())) if row}
    for entry in sorted({*wheel.namelist(), *rows}):
        if entry not in rows or entry not in wheel.namelist():
            yield f"RECORD and the archive differ about {entry}"
            continue
        content = wheel.read(entry)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if entry != name and rows[entry] != [f"sha256={digest}", str(len(content))]:
            yield f"RECORD has another digest or size of {entry}"


def tags(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    """The file's name, WHEEL and METADATA say the same."""
    distribution, version, *tag = path.stem.split("-")
    folder = f"{distribution}-{version}.dist-info"
    description = Parser().parsestr(wheel.read(f"{folder}/WHEEL").decode())
    python, abi, platforms = tag
    expected = {f"{python}-{abi}-{platform}" for platform in platforms.split(".")}
    if set(description.get_all("Tag", [])) != expected:
        yield f"WHEEL has the tags {description.get_all('Tag')}, its name {sorted(expected)}"
    if description["Root-Is-Purelib"] != "false":
        yield "WHEEL says that nothing in it is compiled"
    metadata = Parser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    if (metadata["Name"], metadata["Version"]) != (distribution, version):
        yield f"METADATA is of {metadata['Name']} {metadata['Version']}"
    if metadata["License-Expression"] != "MIT OR Apache-2.0":
        yield f"METADATA has the licence {metadata['License-Expression']}"
    if python.removesuffix("t") != abi.removesuffix("t"):
        yield f"it is for any interpreter with the ABI {abi}, not for one version"


def build_id(module: ELFFile) -> str | None:
    """The id that a module and its debug information share."""
    for section in module.iter_sections():
        if isinstance(section, NoteSection):
            for note in section.iter_notes():
                if note["n_type"] == "NT_GNU_BUILD_ID":
                    return str(note["n_desc"])
    return None


def module(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    """The compiled module is of the processor and the ABI in its name, and stripped."""
    names = [name for name in wheel.namelist() if name.endswith(".so")]
    if len(names) != 1:
        return  # `files` says so
    _, abi, platforms = path.stem.split("-")[2:]
    elf = ELFFile(io.BytesIO(wheel.read(names[0])))
    suffix = f".cpython-{abi.removeprefix('cp')}-"
    if suffix not in names[0]:
        yield f"{names[0]} is not of the ABI {abi}"
    # manylinux2014 and manylinux_2_17 are one: the last name has the numbers.
    platform = platforms.split(".")[-1]
    processor = next(name for name in MACHINES if platform.endswith(name))
    library = platform.removesuffix(f"_{processor}")
    if elf["e_machine"] != MACHINES[processor]:
        yield f"{names[0]} is of {elf['e_machine']}, its name says {processor}"
    for section in elf.iter_sections():
        if section.name == ".symtab" or section.name.startswith((".debug", ".zdebug")):
            yield f"{names[0]} has {section.name}: it is not stripped"
    yield from debug_information(path, PurePosixPath(names[0]).name, elf)
    yield from needs(elf, library)
    yield from symbols(elf, library)


def debug_information(path: Path, name: str, elf: ELFFile) -> Iterator[str]:
    """The file with the debug information is beside the wheel, and of this module."""
    beside = path.parent / "debug" / path.stem / f"{name}.debug"
    identity = build_id(elf)
    if identity is None:
        yield f"{name} has no build id"
    elif not beside.exists():
        yield f"{beside} is missing"
    else:
        with beside.open("rb") as file:
            if build_id(ELFFile(file)) != identity:
                yield f"{beside} is of another build"


def needs(elf: ELFFile, library: str) -> Iterator[str]:
    """It loads the C library and nothing else, in no version that is too new."""
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                kind = tag["d_tag"]
                # pyelftools sets the attribute for this kind.
                if kind == "DT_NEEDED" and (name := vars(tag)["needed"]) not in LIBRARIES[library]:
                    yield f"it needs {name}"
                if kind in ("DT_RPATH", "DT_RUNPATH"):
                    yield "it looks for libraries in folders of its own"
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                for version in versions:
                    family, _, number = version.name.partition("_")
                    if family == "GLIBC" and tuple(map(int, number.split("."))) > GLIBC:
                        yield f"it needs {version.name}"


def symbols(elf: ELFFile, library: str) -> Iterator[str]:
    """It exports its entry; what it takes is CPython's or, by version, the C library's."""
    table = elf.get_section_by_name(".dynsym")
    assert isinstance(table, SymbolTableSection)
    versions = elf.get_section_by_name(".gnu.version")
    versioned = set()
    if isinstance(versions, GNUVerSymSection):
        for number, entry in enumerate(versions.iter_symbols()):
            if entry["ndx"] not in ("VER_NDX_LOCAL", "VER_NDX_GLOBAL"):
                versioned.add(number)
    exported = set()
    for number, symbol in enumerate(table.iter_symbols()):
        if not symbol.name:
            continue
        weak = symbol["st_info"]["bind"] == "STB_WEAK"
        if symbol["st_shndx"] != "SHN_UNDEF":
            exported.add(symbol.name)
        elif (
            library.startswith("manylinux")
            and number not in versioned
            and not symbol.name.startswith(("Py", "_Py"))
            and not (weak or symbol.name in OPTIONAL)
        ):
            yield f"it takes {symbol.name}, which is neither CPython's nor the C library's"
    if exported != EXPORTED:
        yield f"it exports {sorted(exported)}, not {sorted(EXPORTED)}"


def main() -> int:
    """Prints what is wrong with each wheel."""
    failed = False
    for name in sys.argv[1:]:
        found = problems(Path(name))
        failed |= bool(found)
        print(f"{name}: {'ok' if not found else ''}")
        for problem in found:
            print(f"  {problem}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
