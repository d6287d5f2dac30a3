"""The packages that pyproject.toml's dependency groups leave out on this Python, and why.

A package with a marker that is false here is not installed. The comment behind it is the reason.
No marker tells a free-threaded build from another: what those have is a group, and the reasons for
the others are here. A test that imports a package that is left out is left out for its reason:
conftest.py asks `reason`.
"""

from __future__ import annotations

import re
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

# `"h5py; python_version < '3.15'", # why`
MARKED = re.compile(r'^ +"([^"]+;[^"]+)",(?: # (.+))?$', re.MULTILINE)
# Modules whose names are not those of their packages.
MODULES = {
    "apache-tvm-ffi": "tvm_ffi",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pytorch-ignite": "ignite",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}

STABLE = "has wheels of the stable ABI only, which free-threaded Pythons do not load"
NONE = "has no wheel for free-threaded Pythons"

# Modules that are left out of free-threaded builds, with the reasons.
FREE_THREADED = {
    "accelerate": f"accelerate needs safetensors, which {STABLE}",
    "cv2": f"opencv-python-headless {STABLE}",
    "fastai": f"fastai needs spacy, which {NONE}",
    "polars": f"polars {STABLE}",
    "ray": f"ray {NONE}",
    "safetensors": f"safetensors {STABLE}",
    "simplejpeg": f"simplejpeg {NONE}",
    "transformers": f"transformers needs safetensors, which {STABLE}",
}


def marked(text: str) -> dict[str, tuple[Requirement, str]]:
    """The requirements with markers in the text of a pyproject.toml, by module, with reasons."""
    groups = tomllib.loads(text).get("dependency-groups", {})
    listed = {entry for group in groups.values() for entry in group if ";" in entry}
    found = dict(MARKED.findall(text))
    without = sorted(entry for entry in listed if not found.get(entry))
    assert not without, f"no comment says why: {', '.join(without)}"
    requirements = ((Requirement(entry), found[entry]) for entry in sorted(listed))
    return {
        MODULES.get(requirement.name, requirement.name.replace("-", "_")): (requirement, why)
        for requirement, why in requirements
    }


def left_out(text: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The modules that are left out, with the reasons; here, or in an environment of markers."""
    return {
        module: f"{requirement.name} {why}"
        for module, (requirement, why) in marked(text).items()
        if requirement.marker and not requirement.marker.evaluate(dict(environment or {}))
    }


# Of tests that fork beside threads. `make stress` does so, and says how each child ended.
forks_beside_threads = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="free-threaded CPython's own locks may hang such a child: docs/decisions/0066",
)

LEFT_OUT = left_out(PYPROJECT.read_text())
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    LEFT_OUT |= FREE_THREADED


def reason(error: BaseException | None) -> str | None:
    """Why a module that was not found is left out, if it is; None of every other error."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return LEFT_OUT.get(error.name.partition(".")[0])
    return None


def reason_in(output: str) -> str | None:
    """As `reason`, of what a program wrote before it ended."""
    names = re.findall(r"^ModuleNotFoundError: No module named '(\w+)", output, re.MULTILINE)
    return next((LEFT_OUT[name] for name in names if name in LEFT_OUT), None)
