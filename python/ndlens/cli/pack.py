"""`ndlens pack`: a folder of photographs or archives of samples, decoded once to one file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import ndlens as nl

from .report import Failure, Report, Table
from .units import size_text

if TYPE_CHECKING:
    import argparse

    from .progress import Progress

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Decode and resize a folder of images once, to a .safetensors that opens mapped."

# Images that are left out and named.
SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ndlens pack`."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder with a folder of images for each class, or a quoted pattern of images or of "
        "tar archives",
    )
    parser.add_argument("out", metavar="OUT", help="the new file, which ends in .safetensors")
    parser.add_argument(
        "--resize", type=int, metavar="PIXELS", help="length of the shorter side of each image"
    )
    parser.add_argument(
        "--format",
        dest="pixels_or_jpeg",
        choices=("pixels", "jpeg"),
        default="pixels",
        help="how images are kept",
    )
    parser.add_argument(
        "--quality", type=int, default=95, metavar="N", help="quality of JPEGs, from 1 to 100"
    )
    parser.add_argument("--mode", choices=("RGB", "L", "RGBA"), default="RGB", help="the channels")
    parser.add_argument(
        "--orient", action="store_true", help="turn images as their EXIF orientation says"
    )
    parser.add_argument(
        "--image", default="jpg", metavar="NAME", help="the extension of images in tar archives"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="number of threads; by default one a processor"
    )
    parser.add_argument(
        "--skip", action="store_true", help="leave out images that cannot be read or decoded"
    )


def run(arguments: argparse.Namespace, progress: Progress) -> Report:
    """Pack the images, and say what was written and what was left out."""
    from ..transforms import Resize

    del progress  # nl.pack has its own
    try:
        packed = nl.pack(
            _source(arguments),
            arguments.out,
            transforms=[] if arguments.resize is None else [Resize(arguments.resize)],
            format=arguments.pixels_or_jpeg,
            quality=arguments.quality,
            num_workers=arguments.workers,
            on_error="skip" if arguments.skip else "raise",
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Failure("; ".join([str(error), *getattr(error, "__notes__", ())])) from error
    nbytes = os.path.getsize(packed.path)  # noqa: PTH202
    report = Report(
        [Table("", ["file", "items", "size"])],
        {
            "command": "pack",
            "path": packed.path,
            "items": packed.items,
            "nbytes": nbytes,
            "skipped": [{"item": item, "error": error} for item, error in packed.skipped],
        },
    )
    report.tables[0].rows.append([packed.path, str(packed.items), size_text(nbytes)])
    if packed.skipped:
        report.status = 1
        left_out = Table(f"Left out: {len(packed.skipped)}", ["item", "why"])
        left_out.rows += [[str(item), error] for item, error in packed.skipped[:SHOWN]]
        report.tables.append(left_out)
    return report


def _source(arguments: argparse.Namespace) -> Any:
    settings = {"mode": arguments.mode, "orient": arguments.orient}
    if os.path.isdir(arguments.source):  # noqa: PTH112
        return nl.image_folder(arguments.source, **settings)
    if not arguments.source.endswith(".tar"):
        return {"image": nl.images(arguments.source, **settings)}
    samples: Any = nl.open(arguments.source)
    fields: dict[str, Any] = {"image": nl.images(samples[arguments.image], **settings)}
    if "cls" in samples:
        fields["label"] = nl.labels(samples["cls"])
    return fields
