"""Shared memory where processes cannot see each other: no /proc, or not dumpable."""

from __future__ import annotations

import ctypes
import os
import pickle
from pathlib import Path

import pytest
from tests.helpers.programs import Peer, run

import ndlens as nl

# Hides /proc from the rest of the script, in namespaces of its own.
HIDE_PROC = """
    import ctypes, os
    import ndlens as nl

    libc = ctypes.CDLL(None, use_errno=True)
    CLONE_NEWNS, CLONE_NEWUSER, MS_REC, MS_PRIVATE = 0x20000, 0x10000000, 0x4000, 0x40000
    kinds = CLONE_NEWNS if os.geteuid() == 0 else CLONE_NEWNS | CLONE_NEWUSER
    hidden = (
        libc.unshare(kinds) == 0
        and libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
        and libc.mount(b"tmpfs", b"/proc", b"tmpfs", 0, None) == 0
    )
    if not hidden:
        print("no namespaces")
        raise SystemExit
    def error(call, *arguments, **options):
        try:
            call(*arguments, **options)
        except OSError as error:
            print(type(error).__name__, error, sep=": ")
"""

# What a process does that is neither the superuser nor dumpable, and one that is dumpable, of the
# same user.
BECOME = (
    "import ctypes; os.geteuid() == 0 and (os.setgid(65534), os.setuid(65534)); "
    "ctypes.CDLL(None).prctl(4, {dumpable}, 0, 0, 0)"
)

HIDDEN = (
    "it is not dumpable (prctl PR_SET_DUMPABLE, or another user since it was started), so no other"
    " process can look into its /proc/{pid}/fd; send copies of the arrays, or start it as the user"
    " that it runs as"
)


def run_without_proc(script: str) -> list[str]:
    status, out, err = run(HIDE_PROC + script)
    assert (status, err) == (0, "")
    if out == "no namespaces\n":
        pytest.skip("this machine gives no mount namespace")
    return out.splitlines()


def test_without_proc_a_name_is_refused_and_never_given_twice() -> None:
    expected = (
        'OSError: cannot look for the shared memory of the name "x": processes find each other\'s'
        " in /proc, and /proc/self/fd cannot be read here: No such file or directory (os error 2)"
    )
    script = """
    error(nl.share, bytes(24), name="x")
    error(nl.share, lambda: bytes(24), name="x", timeout=0)
    error(nl.attach, "x")
    """
    assert run_without_proc(script) == [expected] * 3


def test_without_proc_arrays_are_shared_with_forks_and_a_handle_says_what_is_missing() -> None:
    script = """
    import pickle
    shared = nl.share(bytes(24))
    child = os.fork()
    if child == 0:
        shared[3] = 7
        os._exit(pickle.loads(pickle.dumps(shared))[3])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert shared[3] == 7
    large = nl.share(bytes(2_000_000))
    stream = pickle.dumps(large)
    del large
    error(pickle.loads, stream)
    print(os.getpid())
    """
    *errors, pid = run_without_proc(script)
    assert errors == [
        f"OSError: cannot look for the shared memory of process {pid}: processes find each other's"
        " in /proc, and /proc/self/fd cannot be read here: No such file or directory (os error 2)"
    ]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    # For processes of another user, down from the top.
    for path in (tmp_path, *tmp_path.parents):
        if (
            path.owner() == Path.home().owner()
            and path.stat().st_uid == os.geteuid()
            and path != Path("/")
        ):
            path.chmod(path.stat().st_mode | 0o711)
    tmp_path.chmod(0o777)
    return tmp_path


def test_a_handle_of_a_process_that_is_not_dumpable_says_why_it_cannot_be_opened(
    directory: Path,
) -> None:
    with Peer() as hidden, Peer() as seen:
        hidden(BECOME.format(dumpable=0))
        seen(BECOME.format(dumpable=1))
        hidden("shared = nl.share(bytes(range(9)))")
        stream = hidden("pickle.dumps(shared)")
        assert seen(f"pickle.loads({stream})") == (
            f"StaleHandleError: cannot open the shared memory of process {hidden.pid}: "
            + HIDDEN.format(pid=hidden.pid)
        )
        # Its own, and what it was sent, it opens.
        assert hidden(f"pickle.loads({stream}).tolist()") == repr(list(range(9)))
        seen("other = nl.share(bytes([5] * 3))")
        assert hidden(f"pickle.loads({seen('pickle.dumps(other)')}).tolist()") == "[5, 5, 5]"
        # And a copy goes everywhere.
        assert seen(f"pickle.loads({hidden('pickle.dumps(shared.copy())')}).tolist()") == repr(
            list(range(9))
        )


def test_a_process_that_is_not_dumpable_attaches_names_and_creates_none() -> None:
    with Peer() as hidden, Peer() as seen:
        hidden(BECOME.format(dumpable=0))
        seen(BECOME.format(dumpable=1))
        name = f"hidden-{os.getpid()}"
        assert (
            hidden(f"nl.share(bytes(9), name={name!r})")
            == f'OSError: cannot share under the name "{name}": this process is not dumpable (prctl'
            " PR_SET_DUMPABLE, or another user since it was started), so no other process can"
            f" look into its /proc/{hidden.pid}/fd; share from a process that is, or without a"
            " name before forking"
        )
        seen(f"x = nl.share(bytes(9), name={name!r})")
        hidden(f"x = nl.share(bytes(9), name={name!r})")
        hidden("x[4] = 4")
        assert seen("x[4]") == "4"


def test_forked_children_of_a_process_that_is_not_dumpable_share_what_was_there_before() -> None:
    script = f"""
        import os, pickle, warnings
        import ndlens as nl

        warnings.simplefilter("ignore", DeprecationWarning)
        {BECOME.format(dumpable=0)}
        shared = nl.share(bytes(9))
        stream = pickle.dumps(shared[2:])
        child = os.fork()
        if child == 0:
            pickle.loads(stream)[0] = 7
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert shared[2] == 7
    """
    assert run(script) == (0, "", "")


@pytest.mark.parametrize(
    ("seconds", "got"), [(float("nan"), "NaN"), (-0.5, "-0.5"), (float("-inf"), "-inf")]
)
def test_times_that_are_none_are_refused(seconds: float, got: str) -> None:
    with pytest.raises(ValueError, match=f"^seconds must be at least 0, got {got}$"):
        nl._ndlens._wait_for_receipts(seconds)
    with pytest.raises(ValueError, match=f"^timeout must be at least 0, got {got}$"):
        nl.attach("nobody", timeout=seconds)


def test_an_infinite_time_is_as_long_as_it_takes() -> None:
    # In an interpreter of its own, where nothing is under way.
    script = """
        import math, os
        import ndlens as nl

        assert nl._ndlens._wait_for_receipts(math.inf)
        shared = nl.share(b"abc", name=f"infinite-{os.getpid()}", timeout=math.inf)
        assert nl.shares_memory(nl.attach(f"infinite-{os.getpid()}", timeout=math.inf), shared)
    """
    assert run(script) == (0, "", "")


def test_a_file_in_memory_that_lies_about_its_contents_is_an_error_of_attach() -> None:
    """Any process of the user may give a memfd any name, seals and contents."""
    name = f"lies-{os.getpid()}"
    real = nl.share(bytes(100), name=f"model-{os.getpid()}")
    model = next(
        descriptor
        for descriptor in Path("/proc/self/fd").iterdir()
        if os.path.realpath(descriptor).startswith(f"/memfd:ndlens:model-{os.getpid()} ")
    )
    header = bytearray(model.read_bytes()[:4096])
    del real
    length, ready, manifest = 1 << 40, 12, 40
    header[16:32] = os.urandom(16)
    header[32:40] = length.to_bytes(8, "little")
    header[ready : ready + 4] = (1).to_bytes(4, "little")
    header[manifest : manifest + 16] = (0).to_bytes(8, "little") + length.to_bytes(8, "little")
    descriptor = os.memfd_create(f"ndlens:{name}", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        os.pwrite(descriptor, header, 0)
        os.ftruncate(descriptor, 4096 + length)
        f_add_seals, f_seal_shrink, f_seal_grow = 1033, 2, 4
        assert ctypes.CDLL(None).fcntl(descriptor, f_add_seals, f_seal_shrink | f_seal_grow) == 0
        with pytest.raises(
            nl.FormatError, match=r"^damaged handle: its manifest has 1099511627776 bytes, expected"
        ):
            nl.attach(name, timeout=0)
    finally:
        os.close(descriptor)


def test_pickles_of_shared_arrays_are_as_short_as_before() -> None:
    assert len(pickle.dumps(nl.share(bytes(range(9))))) < 300
