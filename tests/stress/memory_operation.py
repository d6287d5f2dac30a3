"""An operation that `memory_sweep.py` tries."""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """Code to be run where memory is short, after `setup`, which is run where it is not."""

    name: str
    code: str
    setup: str = ""
    refusal: str | None = None
    """The name of the exception that the operation ends in, however much memory there is."""


# Makes `paths`, of 20 photographs; the last is truncated.
PHOTOGRAPHS = """
from PIL import Image
paths = [f"{k:02}.jpg" for k in range(20)]
for path in paths:
    Image.fromarray(np.arange(300 * 400 * 3).astype("u1").reshape(300, 400, 3)).save(path)
with open(paths[-1], "r+b") as file:
    file.truncate(100)
"""

# Makes `paths`, of 600 files with one array.
SHARDS = """
paths = []
for k in range(600):
    paths.append(f"{k:04}.npy")
    np.save(paths[-1], np.full((2, 3), k, "i4"))
"""

# Makes `path`, of an archive of 20,000 samples, and `root`, of a folder of two classes.
ARCHIVE = """
import io, os, tarfile
path, root = "x.tar", "classes"
with tarfile.open(path, "w") as tar:
    for k in range(20_000):
        for ending in ("bin", "cls"):
            member = tarfile.TarInfo(f"{k:06}.{ending}")
            member.size = 5
            tar.addfile(member, io.BytesIO(b"%05d" % k))
os.utime(path, (0, 0))
for k in range(20_000):
    folder = os.path.join(root, "ab"[k % 2])
    os.makedirs(folder, exist_ok=True)
    open(os.path.join(folder, f"{k}.jpg"), "wb").close()
"""
