"""Whether an installed ndlens works here, and gives the values that it gives everywhere.

    python smoke.py

`make wheels-check` runs it for each wheel, in an environment that holds that wheel and nothing
else, and so can anybody after an installation. It needs no package but ndlens. What it reads it
makes itself, from integers, so that the digests below hold on every platform, interpreter and
instruction set. It prints one line for each part, and ends with status 1 where one fails.
"""

from __future__ import annotations

import base64
import hashlib
import io
import pickle
import platform
import struct
import sys
import sysconfig
import tarfile
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ndlens as nl
from ndlens import transforms as T

# 40 rows of 56 pixels, quality 60, 4:2:0.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZG"
    "NywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09P"
    "T09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAoADgDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAA"
    "AAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAk"
    "M2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKT"
    "lJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QA"
    "HwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdh"
    "cRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hp"
    "anN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk"
    "5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDztIParCW3tVyKD2q5Fbe1a4el7Uyp4ixnpae1WEs/ar/lrGcY"
    "y3pUiRSP3x9OK6ZU8PB8tuZ9kehSxDZTWzAGWwB71KttGDyR+HNXVtUTG7AqZIh/DGfxrKXs1o4pPtq3+Fj0qVd9"
    "yktvGMYBP0FFaiwsACdq/h1orKcqUX7yS+S/V3PQhXdjIgg6cVc8vy0GB8x6VPbQdOKsCDfMeOnFTQrOGHXLvLRH"
    "5pTrXZThteMkVOsbMcIMD17mrfklm2DoOv1qYQ4+RBz3PpSdRQXLHRL72+y/r8D0aVe5TS3VOCMt6Cp1hbGSQi+1"
    "W1gCYCrlv5VMsAB+bLN6Vg6rjpt6fk3u35I9KlXKccA/gTPuaK0hCejc/wCyKKxdaMXb/gfkn+LuehGtoZltDhck"
    "dBmpoYdkZbHSiiilNqnFrpFv+vuPzinJ3Jo4NiAgfMelTJBsAVR8x/Siiok3HSPSyXz3+Z6VKbJkgx8iDnufSpo4"
    "McJgDu1FFY32t5r5L/PqelSmyZIQBwNq+vrRRRXJOu4WVlt5/o0ejCTsf//Z"
)

ITEMS, HEIGHT, WIDTH = 12, 40, 56

# Lists of transforms, each of which an epoch applies.
EPOCHS: dict[str, list[Any]] = {
    "none": [],
    "CenterCrop": [T.CenterCrop(24)],
    "ChannelsFirst": [T.ChannelsFirst()],
    "ColorJitter": [T.ColorJitter(0.4, 0.4, 0.4, 0.1)],
    "Crop": [T.Crop(3, 5, 20, 30)],
    "Normalize": [
        T.ToDtype("float32", scale=True),
        T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        T.ChannelsFirst(),
    ],
    "Pad": [T.Pad((1, 2, 3, 4), padding_mode="reflect")],
    "RandomCrop": [T.RandomCrop(24, padding=4)],
    "RandomErasing": [T.RandomErasing(p=1.0)],
    "RandomGrayscale": [T.RandomGrayscale(p=0.5)],
    "RandomHorizontalFlip": [T.RandomHorizontalFlip()],
    "RandomJitter": [T.ToDtype("float32", scale=True), T.RandomJitter(0.1)],
    "RandomQuarterTurn": [T.CenterCrop(24), T.RandomQuarterTurn()],
    "RandomResizedCrop": [T.RandomResizedCrop(24)],
    "RandomResizedCrop to float16": [
        T.RandomResizedCrop(24, interpolation="bicubic"),
        T.ToDtype("float16", scale=True),
    ],
    "RandomScale": [T.ToDtype("float32", scale=True), T.RandomScale(0.8, 1.2)],
    "RandomVerticalFlip": [T.RandomVerticalFlip()],
    "Resize": [T.Resize((24, 32))],
    "Resize nearest": [T.Resize((60, 80), interpolation="nearest")],
    "Standardize": [T.ToDtype("float32"), T.Standardize([100.0], [50.0])],
    "ToDtype": [T.ToDtype("bfloat16", scale=True)],
}
MIXED: dict[str, Any] = {
    "CutMix": T.CutMix(10),
    "MixUp": T.MixUp(10),
    "RandomChoice": T.RandomChoice([T.CutMix(10), T.MixUp(10)]),
}
# The first 16 digits of the SHA-256 of the bytes of an epoch's batches.
DIGESTS = {
    "none": "9bdb1c49a7e2cc3d",
    "CenterCrop": "3decd3c69de4dd23",
    "ChannelsFirst": "da640889b8dc6829",
    "ColorJitter": "1bacf04da206e059",
    "Crop": "4b3de71ba03a1480",
    "Normalize": "dcb3accad1ea5be4",
    "Pad": "38f8836ba633b0e0",
    "RandomCrop": "56b4cd2242507729",
    "RandomErasing": "d3c2fc7feb00089d",
    "RandomGrayscale": "7632e546430b541f",
    "RandomHorizontalFlip": "6978e4950a027f66",
    "RandomJitter": "f5685d728f5f918d",
    "RandomQuarterTurn": "c95589157fa965e2",
    "RandomResizedCrop": "482eef2b7274f3d8",
    "RandomResizedCrop to float16": "49b3842d4bee11a2",
    "RandomScale": "f961f9460d1d01e8",
    "RandomVerticalFlip": "b39ba992e59d4124",
    "Resize": "9bcf550c701ada55",
    "Resize nearest": "4d4ccb0336dbee8a",
    "Standardize": "97fe246faee3c17a",
    "ToDtype": "2aa028ef564b12ca",
    "CutMix": "5b01f0e4fd04ffcb",
    "MixUp": "2a5478fe2d254177",
    "RandomChoice": "fc7fcb31acf47a8d",
}
# And of the pixels of JPEG.
DECODED = "83fac94ac51a037d"


def digest(parts: Any) -> str:
    """The first 16 digits of the SHA-256 of views' bytes, one after another."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(nl.view(part).tobytes())
    return sha.hexdigest()[:16]


def pixels() -> nl.View:
    """Images of integers that no seed is needed for, (items, height, width, channels)."""
    state, values = 1, bytearray(ITEMS * HEIGHT * WIDTH * 3)
    for place in range(len(values)):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        values[place] = state >> 16 & 0xFF
    return nl.view(values).reshape(ITEMS, HEIGHT, WIDTH, 3)


def labels() -> nl.View:
    """A class for each image, int64."""
    return nl.view(bytearray(struct.pack(f"<{ITEMS}q", *(n % 10 for n in range(ITEMS))))).cast(
        "int64"
    )


def views() -> None:
    data = bytearray(range(24))
    view = nl.view(data).reshape(2, 3, 4)
    crop = view[1, ::-1, 1:3]
    assert crop.tolist() == [[21, 22], [17, 18], [13, 14]]
    assert (crop.shape, crop.strides, crop.dtype) == ((3, 2), (-4, 1), "uint8")
    crop[0, 0] = 99
    assert data[21] == 99
    assert view.permute(2, 0, 1).flip(0).windows(2).shape == (3, 2, 2, 3)
    try:
        crop.reshape(6)
    except nl.CopyRequired:
        pass
    else:
        raise AssertionError("a crop became one row without a copy")


def files(folder: Path) -> None:
    images = pixels()
    nl.save(folder / "images.npy", images)
    assert nl.open(folder / "images.npy").tobytes() == images.tobytes()
    nl.save(folder / "set.safetensors", {"images": images, "labels": labels()})
    opened = nl.open(folder / "set.safetensors")
    assert opened["labels"].tolist() == [n % 10 for n in range(ITEMS)]
    assert opened["images"].tobytes() == images.tobytes()
    with zipfile.ZipFile(folder / "images.npz", "w") as archive:
        archive.write(folder / "images.npy", "images.npy")
    assert nl.open(folder / "images.npz")["images"].tobytes() == images.tobytes()
    with tarfile.open(folder / "images.tar", "w") as archive:
        for name, content in (("a.jpg", JPEG), ("a.cls", b"3"), ("b.jpg", JPEG), ("b.cls", b"4")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    samples = nl.open(folder / "images.tar")
    assert nl.labels(samples["cls"]).tolist() == [3, 4]
    assert bytes(samples["jpg"][1]) == JPEG


def photographs(folder: Path) -> None:
    decoded = nl.decode_image(JPEG)
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert digest([decoded]) == DECODED, digest([decoded])
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(JPEG)
    (batch,) = nl.Loader(
        nl.images(str(folder / "*.jpg")),
        batch_size=3,
        transforms=[T.CenterCrop((HEIGHT, WIDTH))],
        output="view",
    )
    assert digest([batch[2]]) == DECODED


def sharing() -> None:
    shared = nl.share({"images": pixels()})
    sent = pickle.dumps(shared)
    assert len(sent) < 4096
    received = pickle.loads(sent)["images"]
    received[3, 2, 1] = 77
    assert shared["images"][3, 2, 1].tolist() == [77, 77, 77]


def epoch(transforms: list[Any], workers: int) -> str:
    loader = nl.Loader(
        pixels(),
        batch_size=5,
        shuffle=True,
        seed=7,
        num_workers=workers,
        transforms=transforms,
        output="view",
    )
    return digest(loader)


def mixed(transform: Any) -> str:
    fields = {"image": pixels(), "label": labels()}
    loader = nl.Loader(
        fields,
        batch_size=4,
        shuffle=True,
        seed=7,
        num_workers=2,
        transforms={"image": [T.ToDtype("float32", scale=True)]},
        mix=transform,
        output="view",
    )
    return digest(part for batch in loader for part in (batch["image"], batch["label"]))


def epochs() -> None:
    wrong = {}
    for name, transforms in EPOCHS.items():
        for workers in (0, 2):
            if (got := epoch(transforms, workers)) != DIGESTS[name]:
                wrong[f"{name}, {workers} workers"] = got
    for name, transform in MIXED.items():
        if (got := mixed(transform)) != DIGESTS[name]:
            wrong[name] = got
    assert not wrong, f"other batches than everywhere: {wrong}"
    covered = {type(step).__name__ for steps in EPOCHS.values() for step in steps} | {*MIXED}
    missing = {*T.__all__} - covered - {"BatchTransform", "Compose", "Transform", "replay"}
    assert not missing, f"no epoch of {sorted(missing)}"


def main() -> int:
    threads = "free-threaded, " if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    if threads:
        assert not vars(sys)["_is_gil_enabled"](), "ndlens turned the GIL on"
    print(
        f"ndlens {nl.__version__} on {platform.python_implementation()} "
        f"{platform.python_version()} ({threads}{sysconfig.get_platform()}), "
        f"{Path(nl.__file__).parent}"
    )
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: list[tuple[str, Callable[[], None]]] = [
            ("views", views),
            ("files", lambda: files(folder)),
            ("images", lambda: photographs(folder)),
            ("shared memory", sharing),
            (f"epochs of {len(EPOCHS) + len(MIXED)} lists of transforms", epochs),
        ]
        for what, part in parts:
            try:
                part()
            except Exception:
                traceback.print_exc()
                failed += 1
                print(f"failed: {what}")
            else:
                print(f"ok: {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
