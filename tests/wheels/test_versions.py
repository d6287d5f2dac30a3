"""One version, and a changelog that has it: `release/versions.py` holds both."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest
from release import versions

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of this repository that have versions, to change."""
    names = ["Cargo.toml", "Cargo.lock", "pyproject.toml", "CHANGELOG.md", "fuzz/Cargo.lock"]
    names += [str(path.relative_to(ROOT)) for path in ROOT.glob("crates/*/Cargo.toml")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_manifest_here_has_the_version_of_the_workspace() -> None:
    assert versions.problems(ROOT) == []


def test_a_sister_crate_that_is_named_in_another_version_is_a_problem(checkout: Path) -> None:
    version = versions.read(ROOT / "Cargo.toml")["workspace"]["package"]["version"]
    path = "crates/ndlens-store"
    replace(
        checkout / "Cargo.toml",
        f'path = "{path}", version = "{version}"',
        f'path = "{path}", version = "0.0.9"',
    )
    assert versions.problems(checkout) == [
        f"Cargo.toml names ndlens-store 0.0.9, its own version is {version}"
    ]


def test_a_crate_with_a_version_of_its_own_is_a_problem(checkout: Path) -> None:
    manifest = checkout / "crates/ndlens-core/Cargo.toml"
    replace(manifest, "version.workspace = true", 'version = "9.0.0"')
    assert versions.problems(checkout) == ["crates/ndlens-core/Cargo.toml has a version of its own"]


def test_a_lock_file_of_another_version_is_a_problem(checkout: Path) -> None:
    version = versions.read(ROOT / "Cargo.toml")["workspace"]["package"]["version"]
    old = f'name = "ndlens-core"\nversion = "{version}"'
    replace(checkout / "fuzz/Cargo.lock", old, 'name = "ndlens-core"\nversion = "0.0.1"')
    assert versions.problems(checkout) == [f"fuzz/Cargo.lock has ndlens-core 0.0.1, not {version}"]


CHANGELOG = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-12-24

### Added

- Wheels.

## [0.1.0] - 2026-11-30

### Fixed

- A view.
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("## [Unreleased]\n", "", "CHANGELOG.md does not begin with ## [Unreleased]"),
        (
            "- 2026-12-24",
            "- 24 December",
            "CHANGELOG.md has the heading [0.2.0] - 24 December, which is not like "
            "[0.2.0] - 2026-12-24",
        ),
        ("2026-12-24", "2026-13-24", "CHANGELOG.md has 2026-13-24 for 0.2.0, which is no day"),
        (
            "[0.1.0] - 2026-11-30",
            "[0.3.0] - 2026-11-30",
            "CHANGELOG.md has 0.3.0 of 2026-11-30 below 0.2.0 of 2026-12-24",
        ),
        (
            "### Fixed",
            "### Mended",
            "CHANGELOG.md has the kind Mended in [0.1.0] - 2026-11-30, not one of Added, "
            "Changed, Deprecated, Removed, Fixed, Security",
        ),
        (
            "- A view.\n",
            "- A view.\n\n[0.2.0]: https://example.org/0.2.0\n",
            "CHANGELOG.md has no address for 0.1.0, Unreleased",
        ),
    ],
)
def test_a_changelog_that_is_not_as_keep_a_changelog_has_it_is_a_problem(
    checkout: Path, old: str, new: str, problem: str
) -> None:
    log = checkout / "CHANGELOG.md"
    log.write_text(CHANGELOG)
    assert versions.problems(checkout) == []
    replace(log, old, new)
    assert problem in versions.problems(checkout)


def test_a_release_needs_its_tag_its_section_and_nothing_unreleased(checkout: Path) -> None:
    log = checkout / "CHANGELOG.md"
    version = versions.read(checkout / "Cargo.toml")["workspace"]["package"]["version"]
    log.write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n\n- More.\n")
    assert versions.release(checkout, "v9.9.9") == [
        f"the tag is v9.9.9, the version is {version}",
        f"CHANGELOG.md has no section of {version}",
        "CHANGELOG.md has changes under [Unreleased] that belong to the release",
    ]
    log.write_text(CHANGELOG.replace("[0.1.0]", "[0.0.1]").replace("0.2.0", version))
    assert versions.release(checkout, f"v{version}") == []
    assert versions.notes(checkout, version) == "### Added\n\n- Wheels."


def test_setting_a_version_writes_it_wherever_it_is_written(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    updated = []

    def update(command: list[str], *, cwd: Path, check: bool) -> None:
        assert command[:3] == ["cargo", "update", "--workspace"]
        assert check
        updated.append(cwd)

    monkeypatch.setattr(subprocess, "run", update)
    old = versions.read(ROOT / "Cargo.toml")["workspace"]["package"]["version"]
    versions.put(checkout, "7.8.9-rc.1", datetime.date(2027, 1, 2))
    assert updated == [checkout, checkout / "fuzz"]
    for lock in ("Cargo.lock", "fuzz/Cargo.lock"):  # as cargo would have
        text = (checkout / lock).read_text()
        for path in checkout.glob("crates/*"):
            text = text.replace(
                f'name = "{path.name}"\nversion = "{old}"',
                f'name = "{path.name}"\nversion = "7.8.9-rc.1"',
            )
        (checkout / lock).write_text(text)
    assert versions.release(checkout, "v7.8.9-rc.1") == []
    assert (
        "## [Unreleased]\n\n## [7.8.9-rc.1] - 2027-01-02" in (checkout / "CHANGELOG.md").read_text()
    )


def test_a_pre_release_sorts_before_its_release() -> None:
    given = ["0.2.0", "0.2.0-rc.10", "0.2.0-beta.1", "0.10.0", "0.2.0-rc.2"]
    assert sorted(given, key=versions.order) == [
        "0.2.0-beta.1",
        "0.2.0-rc.2",
        "0.2.0-rc.10",
        "0.2.0",
        "0.10.0",
    ]
