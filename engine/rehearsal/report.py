"""The report of a rehearsal: one HTML file for whoever decides, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from engine.rehearsal import wording
from engine.rehearsal.limits import URGENT_P99
from engine.rehearsal.plots import Plot, Span, draw, legend
from engine.rehearsal.report_page import SIMULATED, STYLE
from engine.rehearsal.result import Result


def write_report(result: Result) -> str:
    """Return the report as HTML."""
    return "".join(_page(result))


def _page(result: Result) -> Iterator[str]:
    good = "good" if result.holds else "bad"
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Rehearsal: {escape(wording.verdict(result))}</title><style>{STYLE}</style></head>"
        f'<body><p class="soft">Rehearsal of {escape(result.begun_at)}</p>'
        f'<h1 class="{good}">{escape(wording.verdict(result))}</h1>'
        f"<p>{escape(wording.load(result))}.</p>"
    )
    for note in result.notes:
        yield f"<p><strong>Note:</strong> {escape(note)}</p>"
    yield from _limits(result)
    yield from _faults(result)
    yield from _plots(result)
    yield from _channels(result)
    yield from _headroom(result)
    yield from _rest(result)
    yield "</body></html>\n"


def _limits(result: Result) -> Iterator[str]:
    yield "<h2>Against the limits</h2>"
    rows = []
    for each in result.judgements:
        word = wording.holds(each)
        shown = "" if each.holds is None else "good" if each.holds else "bad"
        rows.append(
            (
                escape(each.says),
                escape(wording.value(each.unit, each.measured)),
                escape(wording.limit(each)),
                f'<span class="{shown}">{word}</span>',
            )
        )
    yield _table(("figure", "measured", "limit", ""), rows, {1, 2})


def _faults(result: Result) -> Iterator[str]:
    if result.faults:
        items = "".join(f"<li>{escape(fault.says)}</li>" for fault in result.faults)
        yield f"<h2>What went wrong on purpose</h2><ul>{items}</ul>"


def _plots(result: Result) -> Iterator[str]:
    series = result.series
    spans = [Span(fault.says, fault.start, fault.end) for fault in result.faults]
    p99 = next(each for each in result.judgements if each.name == URGENT_P99)
    plots = [
        Plot(
            "Movements offered and taken",
            "movements",
            {"offered": series.offered, "taken": series.taken},
            spans,
        ),
        Plot("Movements that wait for the engine", "movements", {"waiting": series.waiting}, spans),
        Plot(
            "Delay of urgent publications (sold out, or low)",
            "seconds",
            {"99 of 100": series.urgent_p99, "median": series.urgent_p50},
            spans,
            p99.limit,
        ),
        Plot("Keys that channels' limits hold back", "keys", series.held_back, spans),
        Plot(
            "Documents that wait for the ERP", "documents", {"waiting": series.erp_waiting}, spans
        ),
        Plot("Share of a core", "cores", {"engine": series.cpu}, spans),
    ]
    yield "<h2>Second by second</h2>"
    if spans:
        yield '<p class="soft">Faults are shaded. The dashed line is the limit.</p>'
    for plot in plots:
        named = legend(plot) if len(plot.lines) > 1 else ""
        yield f"<figure><figcaption>{escape(plot.title)}</figcaption>{draw(plot)}{named}</figure>"


def _channels(result: Result) -> Iterator[str]:
    yield "<h2>Channels</h2>"
    rows = []
    for each in result.channels:
        count, p50, p99, longest = wording.delay(each.urgent)
        rows.append(
            (
                escape(each.name),
                f"{each.publications:,}",
                count,
                p50,
                p99,
                longest,
                f"{each.held_back_peak:,}",
                f"{each.held_back_by_rate_peak:,}",
            )
        )
    heads = (
        "channel",
        "publications",
        "urgent",
        "median",
        "99 of 100",
        "longest",
        "held back at once",
        "by rate alone",
    )
    yield _table(heads, rows, set(range(1, len(heads))))


def _headroom(result: Result) -> Iterator[str]:
    if result.headroom is None:
        return
    yield f"<h2>Headroom</h2><p>{escape(wording.headroom(result.headroom))}</p>"
    rows = [
        (
            f"{trial.times:g}",
            f"{trial.movements_per_second:,.0f}",
            wording.seconds(trial.urgent_p99),
            wording.seconds(trial.drain),
            "held" if trial.holds else escape(trial.why),
        )
        for trial in sorted(result.headroom.trials, key=lambda trial: trial.times)
    ]
    heads = ("times the load", "movements a second", "urgent, 99 of 100", "caught up after", "")
    yield _table(heads, rows, {0, 1, 2, 3})


def _rest(result: Result) -> Iterator[str]:
    codes = ", ".join(f"{count:,} {code}" for code, count in result.exceptions.items()) or "none"
    erp = result.erp
    said = (
        f"Reservations that found no stock, oversells that did not happen: {result.rejected:,}. "
        f"Exceptions: {codes}. ERP: {erp.documents:,} documents with {erp.lines:,} lines, taken at "
        f"{erp.documents_per_second:g} a second; {erp.waiting_at_end:,} were left at the end."
    )
    yield f"<h2>Beside that</h2><p>{escape(said)}</p>"
    yield f"<p>The engine took {escape(wording.engine(result))}.</p>"
    items = "".join(f"<li>{_code(each)}</li>" for each in SIMULATED)
    yield f"<h2>What is real, and what is played</h2><ul>{items}</ul>"
    origin = (
        f"sellable {result.version}, runtime {result.runtime}, rules {result.rules}; "
        f"{result.machine}; the rehearsal took {result.seconds:.0f} s; the load generator was at "
        f"most {wording.seconds(result.load.generator_late)} late."
    )
    yield f'<p class="soft">{escape(origin)}</p>'


def _code(text: str) -> str:
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: set[int]) -> str:
    """Return a table; cells are HTML already."""
    head = _row("th", [escape(each) for each in heads], numbers)
    body = "".join(_row("td", row, numbers) for row in rows)
    table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _row(kind: str, cells: Sequence[str], numbers: set[int]) -> str:
    told = "".join(
        f'<{kind} class="number">{cell}</{kind}>'
        if place in numbers
        else f"<{kind}>{cell}</{kind}>"
        for place, cell in enumerate(cells)
    )
    return f"<tr>{told}</tr>"
