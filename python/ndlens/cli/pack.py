"""`ndlens pack`: a folder of photographs or archives of samples, decoded once to one file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import ndlens as nl

from .._folder import DECODED, EXTENSIONS
from .archives import archived
from .report import Failure, Report, Table
from .units import size_text

if TYPE_CHECKING:
    import argparse

    from .progress import Progress

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Decode and resize a folder of images once, to a .safetensors that opens mapped."

# Images that are left out and named.
SHOWN = 20
# What an error says in Python, and the option that does it.
OPTIONS = (
    ('on_error="skip" leaves', "--skip leaves"),
    (f"extensions={DECODED}", f"--extensions {','.join(DECODED)} or with --skip"),
)
WILDCARDS = frozenset("*?[{")


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
        "--image",
        metavar="NAME",
        help="the extension of images in tar archives; by default the only one of jpeg, jpg, png "
        "and webp",
    )
    parser.add_argument(
        "--extensions",
        metavar="LIST",
        help=f"ends of names of images in a folder, such as {','.join(DECODED)}; by default those "
        "of torchvision's ImageFolder",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="number of threads; by default one a processor"
    )
    parser.add_argument(
        "--skip",
        action="store_true",
        help="leave out images that cannot be read or decoded, and samples without image or label",
    )


def run(arguments: argparse.Namespace, progress: Progress) -> Report:
    """Pack the images, and say what was written and what was left out."""
    from ..transforms import Resize

    del progress  # nl.pack has its own
    notes: list[str] = []
    try:
        packed = nl.pack(
            _source(arguments, notes),
            arguments.out,
            transforms=[] if arguments.resize is None else [Resize(arguments.resize)],
            format=arguments.pixels_or_jpeg,
            quality=arguments.quality,
            num_workers=arguments.workers,
            on_error="skip" if arguments.skip else "raise",
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Failure(_in_options(error)) from error
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
    report.tables[0].notes += notes
    if packed.skipped or notes:
        report.status = 1
    if packed.skipped:
        left_out = Table(f"Left out: {len(packed.skipped)}", ["item", "why"])
        left_out.rows += [[str(item), error] for item, error in packed.skipped[:SHOWN]]
        report.tables.append(left_out)
    return report


def _in_options(error: Exception) -> str:
    """An error with its notes, in the options of the command."""
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    text = "; ".join([text, *getattr(error, "__notes__", ())])
    for python, option in OPTIONS:
        text = text.replace(python, option)
    return text


def _source(arguments: argparse.Namespace, notes: list[str]) -> Any:
    settings = {"mode": arguments.mode, "orient": arguments.orient}
    path: str = arguments.source
    if os.path.isdir(path):  # noqa: PTH112
        return _folder(arguments, settings)
    if arguments.extensions is not None:
        raise Failure(f"--extensions is of a folder, and {path} is none")
    if not os.path.lexists(path) and not WILDCARDS.intersection(path):
        raise Failure(f"{path}: there is no such folder or file")
    if not path.endswith(".tar"):
        return {"image": nl.images(path, **settings)}
    opened: Any = nl.open(path)
    others = [name for name in ("cls",) if name in opened]
    samples, name = archived(opened, arguments.image, others, option="--image", skip=arguments.skip)
    without = len(opened.sample_keys) - len(samples.sample_keys)
    if without:
        named = " or ".join(map(repr, [name, *others]))
        notes.append(f"Left out: samples without {named}, {without} in all.")
    fields: dict[str, Any] = {"image": nl.images(samples[name], **settings)}
    if others:
        fields["label"] = nl.labels(samples["cls"])
    return fields


def _folder(arguments: argparse.Namespace, settings: dict[str, Any]) -> nl.ImageFolder:
    path: str = arguments.source
    with os.scandir(path) as entries:
        if not any(entry.is_dir() for entry in entries):
            raise Failure(
                f"{path} has no folder for each class; of images without classes give a quoted "
                f"pattern, such as '{path.rstrip('/')}/*.jpg'"
            )
    if arguments.extensions is not None:
        given = tuple(one.strip().lower() for one in arguments.extensions.split(",") if one.strip())
        if not given:
            raise Failure("--extensions must be ends of names, such as .jpg,.png")
        return nl.image_folder(path, extensions=given, **settings)
    if arguments.skip:
        # Files of formats that are not decoded are left out as the others are, with their names.
        return nl.image_folder(
            path, is_valid_file=lambda name: name.lower().endswith(EXTENSIONS), **settings
        )
    return nl.image_folder(path, **settings)
