"""The sheet: a picture of items, each with what was made of it and what was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .words import drawn_text

if TYPE_CHECKING:
    from .items import Item, Made

__all__ = ["drawn_sheet"]

_MARGIN = 16
_GAP = 10
_BETWEEN = 26  # from one item to the next
_LINE = 16
_TEXT = 12
_WIDTH = 1500  # about; items are wrapped to it
_GROUND, _INK, _DIM, _TILE = "#ffffff", "#1d2433", "#5d6879", "#eef1f6"
_CROP = "#ff7a1a"
_Font = Any


def drawn_sheet(
    items: list[Item], header: list[str], notes: list[str], side: int
) -> tuple[Image.Image, list[str]]:
    """The sheet, and sentences about how it shows pixels.

    Each item and each result gets the box where it is drawn. One that is not larger than `side` is
    drawn pixel for pixel, or each pixel as a square of several.
    """
    font = ImageFont.load_default(_TEXT)
    bold = ImageFont.load_default(_TEXT + 3)
    low_high, how = _range([made.pixels for item in items for made in item.made])
    original_range, original_how = _range([item.pixels for item in items])
    if not any(item.made for item in items):
        how = original_how
    notes = [*notes, *([how] if how else []), *_about_channels(items)]
    pictures = [
        [_picture(item.pixels, original_range)]
        + [_picture(made.pixels, low_high) for made in item.made]
        for item in items
    ]
    captions = [_captions(item, font, side) for item in items]
    tiles = len(pictures[0])
    strip_width = tiles * side + (tiles - 1) * _GAP
    across = max(1, min(len(items), (_WIDTH + _BETWEEN) // (strip_width + _BETWEEN)))
    # Rows are about equally full.
    across = -(-len(items) // -(-len(items) // across))
    width = 2 * _MARGIN + across * (strip_width + _BETWEEN) - _BETWEEN
    head = _wrapped(header[0], bold, width - 2 * _MARGIN)
    steps = _wrapped(header[1], font, width - 2 * _MARGIN)
    foot = [line for note in notes for line in _wrapped(note, font, width - 2 * _MARGIN)]
    top = _MARGIN + len(head) * (_LINE + 4) + len(steps) * _LINE + _GAP
    rows = [range(start, min(start + across, len(items))) for start in range(0, len(items), across)]
    caption_heights = [
        max(len(lines) for index in row for lines in captions[index]) * _LINE for row in rows
    ]
    height = top + sum(side + caption + _BETWEEN for caption in caption_heights)
    height += len(foot) * _LINE + _MARGIN
    sheet = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    y = _write(draw, _MARGIN, _MARGIN, head, bold, _INK, _LINE + 4)
    _write(draw, _MARGIN, y, steps, font, _DIM, _LINE)
    y = top
    for row, caption_height in zip(rows, caption_heights, strict=True):
        for place, index in enumerate(row):
            x = _MARGIN + place * (strip_width + _BETWEEN)
            places: list[Item | Made] = [items[index], *items[index].made]
            for number, (owner, picture) in enumerate(zip(places, pictures[index], strict=True)):
                left = x + number * (side + _GAP)
                owner.box = _place(sheet, draw, picture, left, y, side)
                lines = captions[index][number]
                _write(draw, left, y + side + 4, lines[:1], font, _INK, _LINE)
                _write(draw, left, y + side + 4 + _LINE, lines[1:], font, _DIM, _LINE)
            _outline(draw, items[index])
        y += side + caption_height + _BETWEEN
    _write(draw, _MARGIN, y, foot, font, _DIM, _LINE)
    return sheet, notes


def _captions(item: Item, font: _Font, side: int) -> list[list[str]]:
    original = _wrapped(f"{item.name}: {_described(item.pixels)}", font, side)
    return [
        original,
        *(
            [
                f"epoch {made.epoch}: {_described(made.pixels)}",
                *(line for text in drawn_text(made.params) for line in _wrapped(text, font, side)),
            ]
            for made in item.made
        ),
    ]


def _described(pixels: np.ndarray[Any, Any]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]} {pixels.dtype.name}"


def _write(
    draw: ImageDraw.ImageDraw,
    x: int,
    y: int,
    lines: list[str],
    font: _Font,
    ink: str,
    line_height: int,
) -> int:
    for line in lines:
        draw.text((x, y), line, font=font, fill=ink)
        y += line_height
    return y


def _wrapped(text: str, font: _Font, width: int) -> list[str]:
    """A text in lines of at most this many pixels; long words are cut."""
    lines = [""]
    for word in text.replace("\n", " ").split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def _place(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, picture: Image.Image, x: int, y: int, side: int
) -> tuple[int, int, int, int]:
    """Draws a picture in the middle of a square; returns its box there."""
    largest = max(picture.size)
    if largest > side:
        size = tuple(max(1, round(length * side / largest)) for length in picture.size)
        picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    elif (times := side // largest) > 1:
        size = tuple(length * times for length in picture.size)
        picture = picture.resize((size[0], size[1]), Image.Resampling.NEAREST)
    left, top = x + (side - picture.width) // 2, y + (side - picture.height) // 2
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=_TILE)
    sheet.paste(picture, (left, top))
    return left, top, picture.width, picture.height


def _outline(draw: ImageDraw.ImageDraw, item: Item) -> None:
    """Draws on the original what a crop keeps of it."""
    if item.box is None or item.crop is None:
        return
    left, top, width, height = item.box
    across, down = width / item.pixels.shape[1], height / item.pixels.shape[0]
    crop = item.crop
    x, y = left + crop["left"] * across, top + crop["top"] * down
    box = (x, y, x + crop["width"] * across - 1, y + crop["height"] * down - 1)
    draw.rectangle(box, outline=_CROP, width=2)


def _range(arrays: list[np.ndarray[Any, Any]]) -> tuple[tuple[float, float] | None, str]:
    """The numbers that are shown black and white, and a sentence about them.

    None if the elements are bytes or booleans, which are shown as they are.
    """
    if not arrays:
        return None, ""
    dtype = arrays[0].dtype
    if dtype in (np.uint8, np.bool_):
        return None, ""
    # Of half precision, and of integers beyond 2**53, nothing more is needed.
    # One image at a time: all of them as float64 would be eight times the memory of the batch.
    ends = [_ends(array) for array in arrays]
    low = min((end[0] for end in ends if end), default=0.0)
    high = max((end[1] for end in ends if end), default=1.0)
    if dtype.kind == "f" and low >= 0 and high <= 1:
        return (0.0, 1.0), f"{dtype.name} from 0 to 1 is shown from black to white"
    if dtype.kind == "f" and low >= 0 and 1 < high <= 255:
        return (0.0, 255.0), f"{dtype.name} from 0 to 255 is shown from black to white"
    high = high if high > low else low + 1
    return (
        (low, high),
        f"{dtype.name} is shown by its range, from {low:.3g} (black) to {high:.3g} (white)",
    )


def _ends(pixels: np.ndarray[Any, Any]) -> tuple[float, float] | None:
    """The least and the greatest finite number; None if there is none."""
    numbers = pixels.astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    return (float(numbers.min()), float(numbers.max())) if numbers.size else None


def _picture(pixels: np.ndarray[Any, Any], low_high: tuple[float, float] | None) -> Image.Image:
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3):
        pixels = pixels[..., :3] if pixels.shape[2] == 4 else pixels[..., :1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    elif low_high is not None:
        low, high = low_high
        scaled = (np.nan_to_num(pixels.astype(np.float64), posinf=high, neginf=low) - low) * (
            255 / (high - low)
        )
        pixels = scaled.round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def _about_channels(items: list[Item]) -> list[str]:
    """How images are shown that are neither grey nor RGB."""
    pixels = items[0].made[0].pixels if items[0].made else items[0].pixels
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels in (1, 3):
        return []
    shown = "the first three" if channels == 4 else "the first"
    return [
        f"of {channels} channels, {shown} are shown"
        if channels == 4
        else f"of {channels} channels, {shown} is shown"
    ]
