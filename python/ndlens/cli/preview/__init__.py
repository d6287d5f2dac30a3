"""`ndlens preview`: a contact sheet of what a loader would give, originals beside.

Items, order and draws are those of an `nl.Loader` with the same seed, which this command makes and
iterates: what the sheet shows is what a run gets, pixel for pixel where nothing is scaled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..report import Failure, Report, Table
from .expression import transforms_of
from .items import made_items
from .sources import opened
from .words import drawn_text

if TYPE_CHECKING:
    import argparse

    from ..progress import Progress
    from .items import Item

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Draw a picture of what a loader gives, beside the originals."

_MOST = 400
_MOST_PIXELS = 200_000_000  # of all tiles: a picture of 600 MB before it is packed
_DEFAULT_COUNT = 8
_DEFAULT_SIDE = 224


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "path",
        help="a file that nl.open opens, a quoted pattern of shards, of tar archives or of "
        "photographs, or a folder of photographs",
    )
    parser.add_argument(
        "--transforms",
        metavar="LIST",
        help="such as 'RandomCrop(256), RandomHorizontalFlip()', with v2.X for torchvision's; or "
        "MODULE:NAME or FILE.py:NAME, which imports your code",
    )
    parser.add_argument(
        "--count", type=int, default=_DEFAULT_COUNT, metavar="N", help="the number of items"
    )
    parser.add_argument(
        "--epochs", type=int, default=1, metavar="N", help="epochs, each beside the other"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the loader's seed")
    parser.add_argument("--shuffle", action="store_true", help="take the loader's shuffled order")
    parser.add_argument("--field", metavar="NAME", help="the array or the field of samples to show")
    parser.add_argument(
        "--channels",
        choices=["first", "last"],
        help="where the channels are, if shapes are unclear",
    )
    parser.add_argument("--dtype", help="dtype of raw bytes, such as uint8")
    parser.add_argument("--shape", metavar="N,H,W,C", help="shape of raw bytes; one may be -1")
    parser.add_argument(
        "--side",
        type=int,
        default=_DEFAULT_SIDE,
        metavar="PIXELS",
        help="side of the square that an image is fitted into",
    )
    parser.add_argument(
        "--skip",
        action="store_true",
        help="leave out photographs that cannot be read or decoded, and samples without one",
    )
    parser.add_argument("--out", default="preview.png", metavar="FILE", help="the picture")


def run(arguments: argparse.Namespace, progress: Progress) -> Report:
    """Make the sheet, and report what was drawn for it."""
    try:
        import numpy  # noqa: F401 - looked for before anything is opened
        from PIL import Image  # noqa: F401
    except ImportError as error:
        raise Failure(
            f'ndlens preview needs {_project(error)}: pip install "ndlens[cli]"'
        ) from error
    from .sheet import drawn_sheet

    for name, least, most in (("count", 1, _MOST), ("epochs", 1, 16), ("side", 16, 2048)):
        number = getattr(arguments, name)
        if not least <= number <= most:
            raise Failure(f"--{name} must be from {least} to {most}, got {number}")
    text = arguments.transforms or ""
    steps = transforms_of(text)
    source = opened(arguments)
    pixels = min(arguments.count, len(source.array)) * (1 + arguments.epochs) * arguments.side**2
    if pixels > _MOST_PIXELS:
        raise Failure(
            f"the sheet would have {pixels:,} pixels, more than {_MOST_PIXELS:,}: say a smaller "
            "--side, --count or --epochs"
        )
    rows = range(arguments.epochs)
    items: list[Item] = []
    for epoch in progress.of(rows, len(rows), "epochs"):
        made_items(items, source, steps, epoch, arguments)
    header = [
        f"{arguments.path}, seed {arguments.seed}{', shuffled' if arguments.shuffle else ''}",
        text or "no transforms",
    ]
    sheet, notes = drawn_sheet(items, header, source.notes, arguments.side)
    try:
        sheet.save(arguments.out)
    except (OSError, ValueError) as error:
        raise Failure(f"cannot write {arguments.out}: {error}") from error
    return _report(items, arguments, notes, sheet.size)


def _project(error: ImportError) -> str:
    return "Pillow" if (error.name or "").startswith("PIL") else "NumPy"


def _report(
    items: list[Item], arguments: argparse.Namespace, notes: list[str], size: tuple[int, int]
) -> Report:
    table = Table(f"{arguments.out}: {size[0]} x {size[1]} pixels", ["item", "epoch", "drawn"])
    for item in items:
        if not item.made:
            table.rows.append([item.name, "", "the original: there are no transforms"])
        for made in item.made:
            table.rows.append(
                [item.name, str(made.epoch), "; ".join(drawn_text(made.params)) or "nothing"]
            )
    table.notes = notes
    data = {
        "command": "preview",
        "out": arguments.out,
        "path": arguments.path,
        "seed": arguments.seed,
        "transforms": arguments.transforms or "",
        "width": size[0],
        "height": size[1],
        "notes": notes,
        "items": [
            {
                "item": item.number,
                "name": item.name,
                "original": item.box,
                "made": [
                    {"epoch": made.epoch, "params": made.params, "box": made.box}
                    for made in item.made
                ],
            }
            for item in items
        ],
    }
    return Report([table], data)
