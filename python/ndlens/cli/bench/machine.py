"""The machine and the versions that a figure belongs to."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from ... import __version__

__all__ = ["BUSY", "describe", "sentence"]

# Other processes on the machine slow torch's threads most, since these wait for each other: one
# that must wait for a core stalls all.
BUSY = 0.5

PACKAGES = ("numpy", "torch", "torchvision", "numba", "opencv-python-headless", "opencv-python")
# Of the processor's features those that the bodies of kernels are compiled for, as Linux has them.
FEATURES = ("avx2", "avx512f", "avx512bw", "avx512vl", "avx512vbmi")


def describe() -> dict[str, Any]:
    """The processor, its features, cores, memory, the system, and versions."""
    processor = _lines("/proc/cpuinfo")
    has = set(processor.get("flags", "").split())
    return {
        "cpu": processor.get("model name", platform.machine()),
        "features": [feature for feature in FEATURES if feature in has],
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "ndlens_isa": os.environ.get("NDLENS_ISA"),
        "versions": {"ndlens": __version__, **_versions()},
    }


def sentence(machine: dict[str, Any]) -> str:
    """The machine in words."""
    features = ", ".join(machine["features"]) or "none of AVX2 and AVX-512"
    asked = f" NDLENS_ISA={machine['ndlens_isa']}." if machine["ndlens_isa"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {machine['cpu']} ({features}), {machine['usable_cores']} of"
        f" {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB,"
        f" Python {machine['python']}; {versions}.{asked}"
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _lines(path: str) -> dict[str, str]:
    """The lines `name : value` of a file of /proc, of its first processor."""
    found: dict[str, str] = {}
    try:
        text = Path(path).read_text()
    except OSError:
        return found
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        found[name.strip()] = value.strip()
    return found
