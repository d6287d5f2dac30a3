"""Whether the version is the same everywhere and CHANGELOG.md has its section.

    python -m release.versions                   # as it must be at any time
    python -m release.versions --release v0.2.0  # as it must be when v0.2.0 is tagged
    python -m release.versions --set 0.2.0       # makes it so, for today's date

The version is in Cargo.toml, under [workspace.package]. Crates inherit it, and maturin reads it for
the wheels. Only what a published crate says of its sisters repeats it, since crates.io wants it.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

# Semantic versions as Cargo has them. maturin writes 0.2.0-rc.1 as 0.2.0rc1 for Python.
VERSION = re.compile(r"\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?")
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
SECTION = re.compile(rf"\[({VERSION.pattern})\] - (\d{{4}}-\d\d-\d\d)")
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
LINK = re.compile(r"^\[([^\]]+)\]: https?://", re.MULTILINE)


def read(path: Path) -> dict[str, Any]:
    """A TOML file."""
    return tomllib.loads(path.read_text())


def order(version: str) -> tuple[Any, ...]:
    """A key by which versions sort; a pre-release comes before its release."""
    number, _, early = version.partition("-")
    kind, _, count = early.partition(".")
    return (*map(int, number.split(".")), not early, kind, int(count or 0))


def problems(root: Path) -> list[str]:
    """What is wrong in a checkout at any time, one sentence each."""
    return [*manifests(root), *changelog(root)]


def manifests(root: Path) -> Iterator[str]:
    """Where a version is written that is not the workspace's."""
    workspace = read(root / "Cargo.toml")["workspace"]
    version = workspace["package"]["version"]
    if not VERSION.fullmatch(version):
        yield f"Cargo.toml has the version {version}, which is not like 0.2.0 or 0.2.0-rc.1"
    for name, dependency in workspace["dependencies"].items():
        if not isinstance(dependency, dict) or "path" not in dependency:
            continue
        if (said := dependency.get("version")) != version:
            yield f"Cargo.toml names {name} {said}, its own version is {version}"
    members = set()
    for manifest in sorted((root / "crates").glob("*/Cargo.toml")):
        package = read(manifest)["package"]
        members.add(package["name"])
        if package["version"] != {"workspace": True}:
            yield f"{manifest.relative_to(root)} has a version of its own"
    for lock in ("Cargo.lock", "fuzz/Cargo.lock"):
        for package in read(root / lock)["package"]:
            if package["name"] in members and package["version"] != version:
                yield f"{lock} has {package['name']} {package['version']}, not {version}"
    project = read(root / "pyproject.toml")["project"]
    if "version" in project or "version" not in project.get("dynamic", []):
        yield "pyproject.toml has a version of its own"


def sections(text: str) -> list[tuple[str, str]]:
    """The headings of versions, and what is below each."""
    parts = HEADING.split(text)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def changelog(root: Path) -> Iterator[str]:
    """Where CHANGELOG.md is not as Keep a Changelog has it."""
    text = (root / "CHANGELOG.md").read_text()
    found = sections(text)
    if not found or found[0][0] != "[Unreleased]":
        yield "CHANGELOG.md does not begin with ## [Unreleased]"
    before: tuple[str, str] | None = None
    for heading, body in found:
        for kind in re.findall(r"^### (.*)$", body, re.MULTILINE):
            if kind not in KINDS:
                known = ", ".join(KINDS)
                yield f"CHANGELOG.md has the kind {kind} in {heading}, not one of {known}"
        if heading == "[Unreleased]":
            continue
        match = SECTION.fullmatch(heading)
        if not match:
            yield f"CHANGELOG.md has the heading {heading}, which is not like [0.2.0] - 2026-12-24"
            continue
        version, date = match.groups()
        try:
            datetime.date.fromisoformat(date)
        except ValueError:
            yield f"CHANGELOG.md has {date} for {version}, which is no day"
        if before and not (order(version) < order(before[0]) and date <= before[1]):
            yield f"CHANGELOG.md has {version} of {date} below {before[0]} of {before[1]}"
        before = (version, date)
    # Where one version has an address, each has.
    links, titles = set(LINK.findall(text)), {heading.split("]")[0][1:] for heading, _ in found}
    if links & titles and titles - links:
        yield f"CHANGELOG.md has no address for {', '.join(sorted(titles - links))}"


def release(root: Path, tag: str) -> list[str]:
    """What is wrong in a checkout that a tag is put on."""
    version = read(root / "Cargo.toml")["workspace"]["package"]["version"]
    found = problems(root)
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, the version is {version}")
    if not (text := notes(root, version)):
        found.append(f"CHANGELOG.md has no section of {version}")
    elif not re.search(r"^- ", text, re.MULTILINE):
        found.append(f"CHANGELOG.md says nothing of {version}")
    if "- " in notes(root, "Unreleased"):
        found.append("CHANGELOG.md has changes under [Unreleased] that belong to the release")
    return found


def notes(root: Path, version: str) -> str:
    """What CHANGELOG.md has of a version; empty if it has no such section."""
    for heading, body in sections((root / "CHANGELOG.md").read_text()):
        if heading.startswith(f"[{version}]"):
            return LINK.split(body)[0].strip()
    return ""


def put(root: Path, version: str, today: datetime.date) -> None:
    """Writes a version where it is written, and dates what is unreleased."""
    manifest = root / "Cargo.toml"
    text = manifest.read_text()
    old = re.escape(tomllib.loads(text)["workspace"]["package"]["version"])
    text = re.sub(rf'^version = "{old}"$', f'version = "{version}"', text, flags=re.MULTILINE)
    text = re.sub(
        rf'^(ndlens[\w-]* = \{{ path = "[^"]+", version = )"{old}"',
        rf'\g<1>"{version}"',
        text,
        flags=re.MULTILINE,
    )
    manifest.write_text(text)
    log = root / "CHANGELOG.md"
    if not notes(root, version):
        heading = f"## [Unreleased]\n\n## [{version}] - {today.isoformat()}"
        log.write_text(log.read_text().replace("## [Unreleased]", heading, 1))
    for folder in (root, root / "fuzz"):
        command = ["cargo", "update", "--workspace", "--quiet", "--offline"]
        subprocess.run(command, cwd=folder, check=True)


def main() -> int:
    """Prints what is wrong, after it wrote a version if one was given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--release", metavar="TAG", help="check what a release of this tag needs")
    parser.add_argument("--notes", action="store_true", help="print what the changelog says of it")
    parser.add_argument("--set", metavar="VERSION", help="write this version, and today's date")
    options = parser.parse_args()
    if options.set:
        if not VERSION.fullmatch(options.set):
            parser.error(f"{options.set} is not like 0.2.0 or 0.2.0-rc.1")
        put(ROOT, options.set, datetime.date.today())
    if options.notes:
        print(notes(ROOT, read(ROOT / "Cargo.toml")["workspace"]["package"]["version"]))
    found = release(ROOT, options.release) if options.release else problems(ROOT)
    for problem in found:
        print(problem, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
