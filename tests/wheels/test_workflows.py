"""What `.github/workflows` may do, and that what it runs is there.

actionlint knows the format. These are rules of ours: a workflow gets no right that it does not
name, and runs no action that somebody can change after we read it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# Rights to write, and to sign as this repository.
MAY_WRITE = {
    ("release.yml", "attest"): {"attestations", "id-token"},
    ("release.yml", "crates"): {"id-token"},
    ("release.yml", "github"): {"contents"},
    ("release.yml", "pypi"): {"id-token"},
}

everywhere = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def read(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job.get("steps", [])]


def recipes() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_there_are_workflows_for_changes_for_wheels_and_for_releases() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml", "wheels.yml"]


@everywhere
def test_a_workflow_may_only_read_unless_a_job_says_what_it_writes(path: Path) -> None:
    content = read(path)
    assert content["permissions"] == {"contents": "read"}
    for name, job in content["jobs"].items():
        rights = job.get("permissions", {})
        writes = {right for right, level in rights.items() if level == "write"}
        assert writes == MAY_WRITE.get((path.name, name), set())


@everywhere
def test_every_action_is_named_by_its_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} has no version"


@everywhere
def test_no_checkout_leaves_a_token_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@everywhere
def test_every_job_has_a_limit_of_time(path: Path) -> None:
    for name, job in read(path)["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 120, name


@everywhere
def test_no_script_has_an_expression_in_it(path: Path) -> None:
    """GitHub puts expressions into scripts before a shell reads them: names could be commands."""
    for step in steps(path):
        assert "${{" not in step.get("run", "")


@everywhere
def test_every_recipe_and_program_that_is_run_is_there(path: Path) -> None:
    for step in steps(path):
        for recipe in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert recipe in recipes()
        for module in re.findall(r"-m (release\.\w+)", step.get("run", "")):
            assert (ROOT / (module.replace(".", "/") + ".py")).exists()
        for program in re.findall(r"\b[\w/]+\.py\b", step.get("run", "")):
            assert (ROOT / program).exists()


def test_publishing_waits_for_tests_wheels_and_an_approval() -> None:
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    assert jobs["attest"]["needs"] == ["ci", "wheels"]
    assert jobs["pypi"]["environment"]["name"] == "pypi"
    assert jobs["crates"]["environment"]["name"] == "crates-io"
    for name in ("pypi", "crates"):
        assert jobs[name]["needs"] == "attest"
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()
