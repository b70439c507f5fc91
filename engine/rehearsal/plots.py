"""Plots as SVG elements: lines over seconds, nothing loaded from anywhere, readable without colour.

Colours are CSS variables of the page, so that they fit a light and a dark screen. Each plot has a
title and a description for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 28
TICKS: Final = 4
STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600)  # seconds between two marks
MOST_STEPS: Final = 10
DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "1 3", "12 4")
COLOURS: Final = 6  # CSS variables --line-0 to --line-5

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of seconds that is marked, and what happened in it."""

    says: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines by name over the seconds from 0 on; `limit` is drawn across, with its words."""

    title: str
    unit: str
    lines: Mapping[str, Values]
    spans: Sequence[Span] = ()
    limit: float | None = None


def draw(plot: Plot) -> str:
    """Return the plot as an SVG element."""
    return "".join(_parts(plot))


def _parts(plot: Plot) -> Iterator[str]:
    seconds = max(2, *(len(values) for values in plot.lines.values()))
    top = _top(plot)
    yield (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(plot.title)}</title><desc>{escape(_in_words(plot))}</desc>"
    )
    for span in plot.spans:
        yield _marked(span, seconds)
    yield from _grid(plot, seconds, top)
    for number, values in enumerate(plot.lines.values()):
        yield from _line(number, values, seconds, top)
    if plot.limit is not None and plot.limit <= top:
        height = _y(plot.limit, top)
        yield f'<path class="limit" d="M{LEFT} {height}H{WIDTH - RIGHT}"/>'
    yield "</svg>"


def legend(plot: Plot) -> str:
    """Return the names of the lines, each with a sample of it."""
    names = [
        f'<span class="name"><svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">'
        f'<path class="line" style="{_style(number)}" d="M0 4H28"/></svg>{escape(name)}</span>'
        for number, name in enumerate(plot.lines)
    ]
    return f'<p class="legend">{"".join(names)}</p>'


def _in_words(plot: Plot) -> str:
    said = []
    for name, values in plot.lines.items():
        known = [value for value in values if value is not None]
        if known:
            said.append(f"{name}: at most {short(max(known))} {plot.unit}")
    return "; ".join(said) or "nothing was measured"


def _top(plot: Plot) -> float:
    """Return a round number that no line rises above."""
    known = [value for values in plot.lines.values() for value in values if value is not None]
    highest = max([*known, 0.0])
    if plot.limit is not None and plot.limit < highest * 3:
        highest = max(highest, plot.limit)
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (1.0, 2.0, 4.0, 5.0, 8.0, 10.0) if step * power >= highest)


def _grid(plot: Plot, seconds: int, top: float) -> Iterator[str]:
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        height = _y(value, top)
        yield f'<path class="grid" d="M{LEFT} {height}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{height + 4}" text-anchor="end">{short(value)}</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 2}">{escape(plot.unit)} by second</text>'
    every = next((step for step in STEPS if step * MOST_STEPS >= seconds), seconds)
    for second in range(every, seconds + 1, every):
        place = _x(second - 1, seconds)
        yield f'<text x="{place}" y="{HEIGHT - 14}" text-anchor="middle">{second}</text>'


def _line(number: int, values: Values, seconds: int, top: float) -> Iterator[str]:
    """Yield the line; where nothing is known it has a gap, and a lonely value is a dot."""
    runs: list[list[tuple[float, float]]] = [[]]
    for second, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((_x(second, seconds), _y(value, top)))
    style = _style(number)
    for run in runs:
        if len(run) == 1:
            yield f'<circle class="dot" style="{style}" cx="{run[0][0]}" cy="{run[0][1]}" r="2.5"/>'
        elif run:
            path = "L".join(f"{x} {y}" for x, y in run)
            yield f'<path class="line" style="{style}" d="M{path}"/>'


def _marked(span: Span, seconds: int) -> str:
    left, right = _x(span.start, seconds), _x(min(span.end, float(seconds)), seconds)
    return (
        f'<rect class="span" x="{left}" y="{TOP}" width="{max(2.0, round(right - left, 1))}" '
        f'height="{HEIGHT - TOP - BOTTOM}"><title>{escape(span.says)}</title></rect>'
    )


def _style(number: int) -> str:
    dash = DASHES[number % len(DASHES)]
    dashed = f";stroke-dasharray:{dash.replace(' ', ',')}" if dash else ""
    return f"--own:var(--line-{number % COLOURS}){dashed}"


def _x(second: float, seconds: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * second / max(1, seconds - 1), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value, top) / top, 1)


def short(value: float) -> str:
    """Return a number as it is read on an axis."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:.3g}M"
    if value >= 10_000:
        return f"{value / 1_000:.3g}k"
    if value == round(value):
        return f"{round(value):,}"
    return f"{value:.3g}"
