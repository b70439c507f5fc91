"""The figures as bars, in SVG that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.peers.jobs import Mode
from benchmarks.peers.results import Comparison
from benchmarks.peers.verdict import Figure, figures_of

WIDTH = 860
LEFT = 210
RIGHT = 130
BAR = 18
GAP = 8
HEAD = 44
SECTION = 34
OWN, OTHER, WHISKER = "#0b6e4f", "#8a94a6", "#222"
STEPS = (1, 2, 5, 10)
MOST_LINES = 6


def draw(comparison: Comparison) -> str:
    """Movements a CPU second of everybody in every mode: medians, with lowest and highest."""
    sections = [(mode, _right(figures_of(comparison, mode))) for mode in Mode]
    shown = [(mode, figures) for mode, figures in sections if figures]
    top = max((one.half_cpu.high for _, figures in shown for one in figures), default=1.0)
    step = step_of(top)
    scale = (WIDTH - LEFT - RIGHT) / top
    rows: list[str] = []
    y = HEAD
    for mode, figures in shown:
        rows.append(_text(LEFT, y + 14, f"output {mode.title}", weight="bold"))
        y += SECTION - GAP
        for figure in figures:
            rows += _bar(comparison, figure, y, scale)
            y += BAR + GAP
        y += GAP
    axis = [_tick(value, y, scale) for value in range(0, int(top) + 1, step)]
    title = _text(12, 24, "Movements a CPU second, second half of a run", weight="bold", size=15)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 30}" '
        f'viewBox="0 0 {WIDTH} {y + 30}" font-family="sans-serif">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join([title, *axis, *rows])
        + "\n</svg>\n"
    )


def step_of(top: float) -> int:
    """The smallest round distance of lines of which no more than a few are needed."""
    size = 1
    while True:
        for step in STEPS:
            if top / (step * size) <= MOST_LINES:
                return step * size
        size *= STEPS[-1]


def _right(figures: Sequence[Figure]) -> list[Figure]:
    return [one for one in figures if not one.void]


def _bar(comparison: Comparison, figure: Figure, y: int, scale: float) -> list[str]:
    peer = next(one for one in comparison.peers if one.name == figure.peer)
    values = figure.half_cpu
    low, high = LEFT + values.low * scale, LEFT + values.high * scale
    middle = y + BAR / 2
    colour = OWN if peer.own else OTHER
    return [
        _text(LEFT - 8, y + 14, peer.title, anchor="end"),
        _rectangle(y, values.median * scale, colour),
        f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="{WHISKER}"/>',
        _text(high + 6, y + 14, f"{values.median:,.0f}"),
    ]


def _rectangle(y: int, width: float, colour: str) -> str:
    return f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'


def _tick(value: int, bottom: int, scale: float) -> str:
    x = LEFT + value * scale
    line = f'<line x1="{x:.1f}" y1="{HEAD - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
    return line + _text(x, bottom + 18, f"{value:,}", anchor="middle", size=11)


def _text(
    x: float, y: float, text: str, anchor: str = "start", weight: str = "normal", size: int = 13
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}">{escape(text)}</text>'
    )
