"""Contests as a picture: a panel each, a bar a contestant, the limit of memory as a line."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

from .contest import Column, Ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .contest import Contest

__all__ = ["DOTS_PER_INCH", "draw"]

DOTS_PER_INCH = 144

# Of Okabe and Ito's colours, which people tell apart whatever colours they see.
OURS, LIMIT = "#0072B2", "#D55E00"
OTHERS, INK, PALE = "#B4BAC1", "#1F2328", "#656D76"

# In inches.
WIDTH, MARGIN, GAP = 8.6, 0.25, 0.45
NAMES, FIGURES, RATIOS, PITCH, BAR = 2.0, 0.95, 0.75, 0.27, 0.2
TITLE_LINE, HEAD, LIMIT_HEAD, FOOT_LINE = 0.2, 0.3, 0.2, 0.16
# Panels beyond so many stand in two columns.
ONE_COLUMN = 4


class Panel(NamedTuple):
    """What is drawn of a contest."""

    title: list[str]
    legend: list[str]
    contest: Contest
    names: list[str]  # with a bar
    limits: list[str]  # with a line

    @property
    def head(self) -> float:
        """Inches above the bars."""
        lines = len(self.title) + len(self.legend)
        return lines * TITLE_LINE + 0.08 + (LIMIT_HEAD * len(self.limits))

    @property
    def height(self) -> float:
        """Inches, all in all."""
        return self.head + len(self.names) * PITCH


def draw(contests: Iterable[tuple[str, Contest]], notes: Sequence[str], path: Path) -> None:
    """Draw the contests that have figures, with sentences below, to a file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [_panel(name, contest) for name, contest in contests if contest.turns]
    columns = _columns(panels)
    foot = [line for note in notes for line in textwrap.wrap(note, 125 * len(columns))]
    height = max(sum(panel.height + GAP for panel in column) for column in columns)
    size = (WIDTH * len(columns), MARGIN + height + FOOT_LINE * len(foot) + MARGIN)
    figure = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(figure)
    for number, column in enumerate(columns):
        top = size[1] - MARGIN
        for panel in column:
            _draw_panel(figure, size, number * WIDTH + MARGIN, top, panel)
            top -= panel.height + GAP
    for number, line in enumerate(reversed(foot)):
        bottom = (MARGIN + number * FOOT_LINE) / size[1]
        figure.text(MARGIN / size[0], bottom, line, size=7, color=PALE)
    _save(figure, path)


def _columns(panels: list[Panel]) -> list[list[Panel]]:
    """The panels in one column, or in two of about the same height."""
    if len(panels) <= ONE_COLUMN:
        return [panels]
    whole = sum(panel.height + GAP for panel in panels)
    first: list[Panel] = []
    for panel in panels:
        height = sum(before.height + GAP for before in first)
        if height + panel.height / 2 > whole / 2:
            break
        first.append(panel)
    return [first, panels[len(first) :]]


def _panel(name: str, contest: Contest) -> Panel:
    ratios = [column for column in contest.columns if isinstance(column, Ratio)]
    legend = f"{contest.unit}, {contest.better} is better"
    if ratios:
        legend += f"; in grey: {ratios[0].title} .. {ratios[0].words}".rstrip()
    return Panel(
        textwrap.wrap(f"{name}: {contest.title}", 92),
        textwrap.wrap(legend, 105),
        contest,
        [name for name in contest.turns if name not in contest.limits],
        [name for name in contest.limits if name in contest.turns],
    )


def _draw_panel(
    figure: Any, size: tuple[float, float], left: float, top: float, panel: Panel
) -> None:
    contest, column = panel.contest, panel.contest.columns[0]
    assert isinstance(column, Column)

    def shown(name: str) -> float:
        value = contest.value(name, column.figure, column.statistic)
        return 0.0 if value is None else value * column.scale

    def write(x: float, inches_down: float, text: str, **style: Any) -> None:
        figure.text(x / size[0], (top - inches_down) / size[1], text, va="top", **style)

    for number, line in enumerate(panel.title):
        write(left, number * TITLE_LINE, line, size=9.5, color=INK, weight="bold")
    for number, line in enumerate(panel.legend, len(panel.title)):
        write(left, number * TITLE_LINE, line, size=8, color=PALE)

    bars = len(panel.names) * PITCH
    width = WIDTH - 2 * MARGIN - NAMES - FIGURES - RATIOS
    axes = figure.add_axes(
        (
            (left + NAMES) / size[0],
            (top - panel.height) / size[1],
            width / size[0],
            bars / size[1],
        )
    )
    values = [shown(name) for name in panel.names]
    most = max([*values, *map(shown, panel.limits), 0.0]) or 1.0
    axes.set_xlim(0, most)
    axes.set_ylim(len(panel.names) - 0.5, -0.5)
    axes.set_axis_off()
    axes.axvline(0, color=INK, linewidth=0.8)
    colours = [OURS if name in contest.ours else OTHERS for name in panel.names]
    axes.barh(range(len(values)), values, BAR / PITCH, color=colours)
    ratio = next((column for column in contest.columns if isinstance(column, Ratio)), None)

    def beside(row: int, inches: float, text: str, **style: Any) -> None:
        """Text in a row, so many inches from the right end of the bars."""
        place, points = (1, row), (inches * 72, 0)
        axes.annotate(
            text,
            place,
            points,
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            size=8.5,
            ha="right",
            va="center_baseline",
            **style,
        )

    for row, (name, value) in enumerate(zip(panel.names, values, strict=True)):
        ours = name in contest.ours
        style = {"color": OURS, "weight": "bold"} if ours else {"color": INK}
        beside(row, -width - 0.08, name, **style)
        beside(row, FIGURES, f"{value:{column.spec}}", **style)
        times = None if ratio is None else contest.ratio(ratio, name)
        if times is not None:
            beside(row, FIGURES + RATIOS, f"{times:{_short(times)}} x", color=PALE)
    # Upwards from the smallest, so that no line crosses the label of another.
    for row, limit in enumerate(sorted(panel.limits, key=shown)):
        value, label = shown(limit), f"{limit}: {shown(limit):{column.spec}}"
        dashes = ("--", ":")[row % 2]
        top_row = -0.5 - (row + 0.8) * LIMIT_HEAD / PITCH
        bottom_row = len(panel.names) - 0.5
        axes.plot(
            (value, value), (bottom_row, top_row), dashes, color=LIMIT, linewidth=1.3, clip_on=False
        )
        axes.annotate(
            label,
            (value, top_row),
            (-5, 0),
            textcoords="offset points",
            size=8,
            color=LIMIT,
            ha="right",
            va="top",
            annotation_clip=False,
        )


def _short(times: float) -> str:
    """Two digits after the point where one would hide the difference."""
    return ".2f" if times < 2 else ".1f" if times < 100 else ",.0f"


def _save(figure: Any, path: Path) -> None:
    """A PNG with few colours, since it has few; other formats as matplotlib has them."""
    if path.suffix.lower() != ".png":
        figure.savefig(path)
        return
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    # Few pixels have the colour of a line, which other methods would drop.
    method = Image.Quantize.MAXCOVERAGE
    Image.open(drawn).convert("RGB").quantize(64, method).save(path, optimize=True)
