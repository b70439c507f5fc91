"""The comparison as Markdown: first who leads, then all figures, then how they came about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from benchmarks.peers.jobs import Mode
from benchmarks.peers.results import Comparison, Kill
from benchmarks.peers.verdict import (
    REFERENCE_FLOOR_US,
    SLOWER_BY,
    Figure,
    Spread,
    figures_of,
    leads,
    references,
)

MEGABYTE = 1e6
MICROSECONDS = 1e6


def write_report(comparison: Comparison, plot: str, method: str, notes: str = "") -> str:
    """The whole report: `plot` is the file name of the picture, `method` says how it was measured.

    `notes` are what a person found.
    """
    parts = [
        "# INV-1 by others, and by us",
        _head(comparison),
        "## Who leads",
        *(_leads(comparison, mode) for mode in Mode if figures_of(comparison, mode)),
        f"![Movements a CPU second]({plot})",
        *([notes.strip()] if notes else []),
        *(_section(comparison, mode) for mode in Mode if figures_of(comparison, mode)),
        *_kills(comparison),
        "## Who takes part",
        _table(
            ("", "version", "input", "state", "output", "after a crash"),
            (
                (p.title, p.version, p.input, p.state, p.output, p.after_a_crash)
                for p in comparison.peers
            ),
        ),
        *_missing(comparison),
        *_references(comparison),
        "## How it was measured",
        method.strip(),
        _checked(comparison),
    ]
    return "\n\n".join(parts) + "\n"


def _head(comparison: Comparison) -> str:
    ran = sorted({run.commit for run in comparison.runs})
    killed = sorted({kill.commit for kill in comparison.kills})
    loads = [run.load for run in comparison.runs if not run.wrong]
    floors = comparison.floors_us
    rows = [
        f"Begun {comparison.started}. Timed at commit {', '.join(ran) or 'none'}.",
        f"Killed at commit {', '.join(killed) or 'none'} (+: with uncommitted changes).",
        f"Machine: {comparison.machine}. Software: {comparison.software}.",
    ]
    if floors:
        rows.append(
            f"The floor, decoding a line and nothing else, took {median(floors):.2f} us "
            f"({min(floors):.2f} to {max(floors):.2f} between the rounds)."
        )
    if loads:
        rows.append(
            f"Load average during the runs: {median(loads):.1f} "
            f"({min(loads):.1f} to {max(loads):.1f}); the peer and the broker make up two of it."
        )
    return "\n".join(rows)


def _leads(comparison: Comparison, mode: Mode) -> str:
    sentences = [f"- {sentence}" for sentence in leads(comparison, mode)]
    return "\n".join([f"Output {mode.title}:", "", *sentences])


def _section(comparison: Comparison, mode: Mode) -> str:
    titles = {peer.name: peer.title for peer in comparison.peers}
    heads = (
        "peer", "runs", "movements", "a CPU second, second half", "a CPU second, whole run",
        "a second of wall", "peak memory", "publications a movement", "result",
    )  # fmt: skip
    rows = [
        (titles[one.peer], *_cells(one))
        for one in sorted(figures_of(comparison, mode), key=lambda one: -one.half_cpu.median)
    ]
    explained = "Median, and lowest to highest of all runs."
    parts = "".join(f"\n\n{told}" for told in _parts(comparison, mode))
    return f"## Output {mode.title}\n\n{explained}\n\n{_table(heads, rows)}{parts}"


def _parts(comparison: Comparison, mode: Mode) -> Iterator[str]:
    """What each process of a peer with several took, over all its runs."""
    for peer in comparison.peers:
        runs = [
            run
            for run in comparison.runs
            if (run.peer, run.mode) == (peer.name, mode.value) and run.parts and not run.wrong
        ]
        movements = sum(run.movements for run in runs)
        names = runs[0].parts if runs else {}
        shares = [
            f"{name} {sum(run.parts[name] for run in runs) / movements * MICROSECONDS:.1f} us"
            for name in names
        ]
        if shares:
            yield f"CPU of {peer.title}, a movement of whole runs: {', '.join(shares)}."


def _cells(one: Figure) -> tuple[str, ...]:
    if one.void:
        return (str(one.runs), *["void"] * 6, _first_line(one.void))
    return (
        str(one.runs),
        f"{one.movements:,}",
        _range(one.half_cpu),
        _range(one.cpu),
        _range(one.wall),
        f"{one.peak_bytes / MEGABYTE:,.0f} MB",
        f"{one.publications / one.movements:.2f}",
        "the oracle's",
    )


def _range(values: Spread) -> str:
    return f"**{values.median:,.0f}** ({values.low:,.0f} to {values.high:,.0f})"


def _kills(comparison: Comparison) -> Iterator[str]:
    if not comparison.kills:
        return
    titles = {peer.name: peer.title for peer in comparison.peers}
    groups: dict[tuple[str, str], list[Kill]] = {}
    order = [peer.name for peer in comparison.peers]
    modes = [mode.value for mode in Mode]
    kills = sorted(
        comparison.kills, key=lambda kill: (modes.index(kill.mode), order.index(kill.peer))
    )
    for kill in kills:
        groups.setdefault((kill.peer, kill.mode), []).append(kill)
    heads = (
        "peer", "output", "kills", "publications", "lost", "repeated",
        "same version, other number", "final state",
    )  # fmt: skip
    rows = [
        (
            titles[peer],
            Mode(mode).title,
            str(len(kills)),
            f"{sum(kill.told for kill in kills):,}",
            *(
                _sum(getattr(kill, name) for kill in kills)
                for name in ("lost", "repeated", "changed")
            ),
            _first_line(next((kill.wrong for kill in kills if kill.wrong), "the oracle's")),
        )
        for (peer, mode), kills in groups.items()
    ]
    sizes = sorted({f"{kill.movements:,}" for kill in kills}, key=len)
    yield "## After `kill -9`"
    yield (
        f"Killed in the midst of {' or '.join(sizes)} movements and started again on what was "
        "left. Lost are versions of a key that never came, and keys whose last number is not the "
        "right one. "
        "Repeated are publications that came again under their version. A reader that follows a "
        "file while it is written may also have seen lines that the restart cut off and wrote "
        "again; they are not counted."
    )
    yield _table(heads, rows)


def _sum(values: Iterable[int]) -> str:
    known = list(values)
    return (
        f"{sum(known):,}"
        if len(known) == 1 or not sum(known)
        else f"{sum(known):,} ({min(known):,} to {max(known):,})"
    )


def _missing(comparison: Comparison) -> Iterator[str]:
    rows = [
        f"- {peer.title} did not run: {peer.missing}" for peer in comparison.peers if peer.missing
    ]
    if rows:
        yield "\n".join(rows)


def _references(comparison: Comparison) -> Iterator[str]:
    titles = {peer.name: peer.title for peer in comparison.peers}
    rows = [
        (
            titles[one.peer],
            f"{one.expected_low:,.0f} to {one.expected_high:,.0f}",
            f"{one.measured:,.0f}",
            "as its expert would" if one.is_good else f"more than {SLOWER_BY:.0%} slower",
        )
        for one in references(comparison)
    ]
    if rows:
        yield "## Is every peer written as its expert would?"
        yield (
            "What such programs reached on a simpler form of INV-1 with output on every change, "
            f"where the floor was {REFERENCE_FLOOR_US} us a line, scaled by the floor of this run."
        )
        yield _table(("peer", "expected a CPU second", "measured", "verdict"), rows)


def _checked(comparison: Comparison) -> str:
    if not comparison.checked:
        return "Nothing was compared with the oracle record by record in this run."
    rows = [f"- {row}" for row in comparison.checked]
    text = (
        "Before the rounds everybody did a small workload: final state, refusals and last numbers "
        "are the oracle's, and with output once a second every publication is. Of the full "
        "workload the final state of every key, the refusals and every last number are compared "
        "with a run of `sellable run` that was checked against the oracle on samples."
    )
    return "\n".join([text, "", *rows])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _first_line(text: str) -> str:
    """What a table has room for; `peers.json` holds the examples that follow."""
    return text.splitlines()[0].rstrip(":").replace("|", "/")
