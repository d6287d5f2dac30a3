"""What `nl.save` promises of permissions: the same as `open`, before, during and after."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.helpers.programs import run

import ndlens as nl

ROOT = os.geteuid() == 0

# A user and a group that own nothing here.
NOBODY = 65_534

# Goes on as somebody without privileges, if it has any.
AS_NOBODY = f"""
    import os, sys
    import ndlens as nl
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
        os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
    path = sys.argv[1]
    def save(path=path, obj=b"new"):
        try:
            nl.save(path, obj)
        except OSError as error:
            print(type(error).__name__, error.filename == path, error.strerror)
        else:
            print("saved")
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of the user that programs here go on as; the way to it is open."""
    directory = tmp_path / "directory"
    directory.mkdir()
    if ROOT:
        os.chown(directory, NOBODY, NOBODY)
        for above in [tmp_path, *tmp_path.parents][:3]:
            above.chmod(above.stat().st_mode | 0o011)
    return directory


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "array.npy"


def give(path: Path, mode: int) -> None:
    if ROOT:
        os.chown(path, NOBODY, NOBODY)
    path.chmod(mode)


def content(path: Path) -> bytes:
    return bytes(np.load(path).tobytes())


def modes_while_saving(path: Path) -> set[int]:
    """The permissions that files beside `path` have while a large array is saved there."""
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for entry in os.scandir(path.parent):
                if entry.name.startswith("."):
                    try:
                        status = entry.stat()
                    except FileNotFoundError:
                        continue
                    if status.st_size:
                        seen.add(stat.S_IMODE(status.st_mode))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        nl.save(path, np.zeros(20_000_000, np.uint8))
    finally:
        done.set()
        watcher.join()
    return seen


@pytest.mark.parametrize("mode", [None, 0o600, 0o666])
def test_a_file_is_private_until_it_is_whole(tmp_path: Path, mode: int | None) -> None:
    path = tmp_path / "array.npy"
    with path.open("w"):
        usual = stat.S_IMODE(path.stat().st_mode)
    if mode is None:
        path.unlink()
    else:
        path.chmod(mode)
    assert modes_while_saving(path) <= {0o600, usual if mode is None else mode}
    assert 0o600 in modes_while_saving(path)
    assert stat.S_IMODE(path.stat().st_mode) == (usual if mode is None else mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o027])
def test_a_new_file_has_what_the_umask_leaves(path: Path, umask: int) -> None:
    script = (
        AS_NOBODY
        + f"""
    os.umask({umask})
    save()
    open(path + ".open", "w").close()
    """
    )
    assert run(script, str(path)) == (0, "saved\n", "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert path.stat().st_mode == path.with_name("array.npy.open").stat().st_mode


def test_owner_group_and_extended_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.setxattr(path, "user.origin", b"a camera\0")
    os.setxattr(path, "user.empty", b"")
    if ROOT:
        os.chown(path, NOBODY, 1234)
        os.setxattr(path, "trusted.mark", b"1")
    before = path.stat()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    nl.save(path, b"new")
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )
    assert after.st_ino != before.st_ino
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == attributes
    assert content(path) == b"new"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as the kernel keeps it: tag, permissions, id."""
    words = [(2).to_bytes(4, "little")]
    words += [
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, bits, who in entries
    ]
    return b"".join(words)


UNNAMED = 0xFFFF_FFFF
SHARED_WITH_1234 = acl(
    (0x01, 6, UNNAMED), (0x02, 6, 1234), (0x04, 4, UNNAMED), (0x10, 6, UNNAMED), (0x20, 0, UNNAMED)
)


def test_an_acl_is_kept_and_one_that_the_directory_would_give_is_not_added(tmp_path: Path) -> None:
    path, other = tmp_path / "array.npy", tmp_path / "other.npy"
    for file in (path, other):
        file.write_bytes(b"old")
        file.chmod(0o640)
    os.setxattr(path, "system.posix_acl_access", SHARED_WITH_1234)
    os.setxattr(tmp_path, "system.posix_acl_default", SHARED_WITH_1234)
    before = path.stat().st_mode
    nl.save(path, b"new")
    assert os.getxattr(path, "system.posix_acl_access") == SHARED_WITH_1234
    assert path.stat().st_mode == before
    nl.save(other, b"new")
    assert os.listxattr(other) == []
    assert stat.S_IMODE(other.stat().st_mode) == 0o640
    # A new file has what the directory gives, as one of `open` has.
    nl.save(tmp_path / "saved.npy", b"new")
    (tmp_path / "opened").open("w").close()
    saved, opened = tmp_path / "saved.npy", tmp_path / "opened"
    assert saved.stat().st_mode == opened.stat().st_mode
    assert os.getxattr(saved, "system.posix_acl_access") == os.getxattr(
        opened, "system.posix_acl_access"
    )


def test_set_uid_and_set_gid_bits_are_not_kept(path: Path) -> None:
    path.write_bytes(b"old")
    for mode, kept in [(0o4755, 0o755), (0o2755, 0o755), (0o6711, 0o711)]:
        give(path, mode)
        nl.save(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == kept


def test_a_file_without_write_permission_is_not_replaced(path: Path) -> None:
    np.save(path, np.frombuffer(b"old", np.uint8))
    give(path, 0o444)
    assert run(AS_NOBODY + "    save()", str(path)) == (
        0,
        "PermissionError True Permission denied\n",
        "",
    )
    assert content(path) == b"old"
    assert [*path.parent.iterdir()] == [path]


def test_a_file_whose_owner_cannot_be_kept_is_not_replaced(path: Path) -> None:
    if not ROOT:
        pytest.skip("another user's file, which only the superuser can make, is needed to see it")
    np.save(path, np.frombuffer(b"old", np.uint8))
    for user, group in [(0, NOBODY), (NOBODY, 1234)]:
        path.chmod(0o666)
        os.chown(path, user, group)
        text = (
            f"PermissionError True it belongs to user {user} and group {group}, and a file in its"
            " place would not: Operation not permitted; remove it first, or save under another"
            " name\n"
        )
        assert run(AS_NOBODY + "    save()", str(path)) == (0, text, "")
        assert content(path) == b"old"
        assert [*path.parent.iterdir()] == [path]


def test_a_file_that_can_be_written_in_a_directory_that_cannot_says_so(path: Path) -> None:
    np.save(path, np.frombuffer(b"old", np.uint8))
    give(path, 0o666)
    path.parent.chmod(0o555)
    text = (
        "PermissionError True no new file can be made beside it, which is to take its place:"
        " Permission denied\nPermissionError True Permission denied\n"
    )
    script = AS_NOBODY + "    save(); save(path + '.new.npy')"
    assert run(script, str(path)) == (0, text, "")
    path.parent.chmod(0o755)
    assert content(path) == b"old"


def test_a_directory_that_cannot_be_read_is_no_hindrance(path: Path) -> None:
    path.parent.chmod(0o333)
    try:
        assert run(AS_NOBODY + "    save(); save(obj=b'newer')", str(path)) == (
            0,
            "saved\n" * 2,
            "",
        )
    finally:
        path.parent.chmod(0o755)
    assert content(path) == b"newer"
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_to_nothing_makes_the_file_that_it_names_as_open_does(
    tmp_path: Path, depth: int, absolute: bool
) -> None:
    (tmp_path / "far").mkdir()
    name = tmp_path / "far" / "array.npy" if absolute else Path("far/array.npy")
    for step in range(depth):
        link = tmp_path / f"{step}.npy"
        link.symlink_to(name)
        name = link if absolute else Path(link.name)
    nl.save(link, b"abc")
    assert link.is_symlink()
    assert content(tmp_path / "far" / "array.npy") == content(link) == b"abc"
    assert len([*tmp_path.iterdir()]) == depth + 1
    (tmp_path / "loop.npy").symlink_to("loop.npy")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        nl.save(tmp_path / "loop.npy", b"abc")
    (tmp_path / "nowhere.npy").symlink_to("no/where.npy")
    with pytest.raises(FileNotFoundError):
        nl.save(tmp_path / "nowhere.npy", b"abc")


@pytest.mark.parametrize("letters", [240, 247, 248, 250, 255])
@pytest.mark.parametrize("letter", ["x", "ü"])
def test_names_may_be_as_long_as_the_system_has_them(
    tmp_path: Path, letters: int, letter: str
) -> None:
    size = len(letter.encode())
    name = letter * ((letters - 4) // size) + ".npy"
    name = "y" * (letters - len(name.encode())) + name
    assert len(name.encode()) == letters
    for _ in range(2):
        nl.save(tmp_path / name, b"abc")
    assert [*tmp_path.iterdir()] == [tmp_path / name]
    with pytest.raises(OSError, match="File name too long"):
        nl.save(tmp_path / ("y" * 252 + ".npy"), b"abc")


def test_what_is_no_name_of_a_file_is_the_systems_error(tmp_path: Path) -> None:
    (tmp_path / "x.npy").mkdir()
    for name in ("x.npy/", "y.npy/"):
        with pytest.raises(IsADirectoryError):
            nl.save(f"{tmp_path}/{name}", b"abc")
    assert [*tmp_path.iterdir()] == [tmp_path / "x.npy"]


@pytest.mark.skipif(
    shutil.which("chattr") is None, reason="chattr makes files that cannot be changed"
)
def test_an_immutable_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    nl.save(path, b"old")
    if subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode:
        pytest.skip("the file system has no immutable files, or they are the superuser's to make")
    try:
        with pytest.raises(PermissionError):
            nl.save(path, b"new")
    finally:
        subprocess.run(["chattr", "-i", path], check=True)
    assert content(path) == b"old"
