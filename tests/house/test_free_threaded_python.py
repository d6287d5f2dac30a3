"""`make test-freethreaded` takes what is there, and builds nothing of sources it does not know."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.helpers import free_threaded_python as maker


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for the release, as the second address; the first has nothing."""
    file = tmp_path / "release.tar.xz"
    file.write_bytes(b"sources")
    monkeypatch.setattr(maker, "SHA256", hashlib.sha256(b"sources").hexdigest())
    addresses = ((tmp_path / "nothing").as_uri(), file.as_uri())
    monkeypatch.setattr(maker, "ADDRESSES", addresses)
    return file


def test_sources_come_from_the_first_address_that_has_them(release: Path, tmp_path: Path) -> None:
    maker.download(tmp_path / "sources")
    assert (tmp_path / "sources").read_bytes() == b"sources"


def test_sources_that_are_not_the_release_are_refused(release: Path, tmp_path: Path) -> None:
    release.write_bytes(b"others")
    with pytest.raises(SystemExit, match="could be downloaded") as refused:
        maker.download(tmp_path / "sources")
    expected, got = (hashlib.sha256(text).hexdigest() for text in (b"sources", b"others"))
    assert f"release.tar.xz: its SHA-256 is {got}, expected {expected}" in str(refused.value)
    assert "nothing: " in str(refused.value)
    assert "say PYTHON=/path/to/a/free-threaded/python" in str(refused.value)


def test_what_a_build_needs_and_the_machine_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maker, "MADE", tmp_path / "made")
    monkeypatch.setattr(maker, "HEADERS", {"stdio.h": "libc6-dev", "no/such.h": "libnone-dev"})
    with pytest.raises(SystemExit) as refused:
        maker.make()
    assert str(refused.value) == (
        "no free-threaded Python was found, and to build one this machine lacks no/such.h: install"
        " them (Debian and Ubuntu: apt-get install libnone-dev), or say"
        " PYTHON=/path/to/a/free-threaded/python"
    )
    assert not (tmp_path / "made").exists()


def test_a_step_that_fails_shows_how_its_output_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "print('why it failed'); raise SystemExit(3)"]
    with pytest.raises(SystemExit, match=r"(?s)why it failed\n.* failed; all it said is in .*log"):
        maker.run(command, tmp_path, log)


def test_an_interpreter_that_was_chosen_must_be_free_threaded() -> None:
    command = [sys.executable, maker.__file__, "--only"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert done.stdout.strip() == sys.executable
    else:
        assert done.stderr.strip() == (
            f"{sys.executable} is not free-threaded: say PYTHON=/path/to/python3.14t, or leave"
            " PYTHON out to have one found or built"
        )


def test_only_an_interpreter_without_the_lock_works() -> None:
    assert maker.works(sys.executable) == bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert not maker.works("/no/such/python")
