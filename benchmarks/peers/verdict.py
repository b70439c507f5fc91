"""What the runs say: medians, who leads by how much, and whether a peer is as fast as it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.jobs import Mode
from benchmarks.peers.results import Comparison, Described, Run

# What experts' programs reached on a simpler form of INV-1, telling every change: movements a CPU
# second, from and to, on a machine on which the floor was 0.22 us a line.
REFERENCES = {
    "kafka-streams": (63_000, 80_000),
    "kafka-streams-alo": (63_000, 80_000),
    "flink": (68_000, 74_000),
    "bytewax": (31_000, 31_000),
    "faust": (2_300, 2_300),
}
REFERENCE_FLOOR_US = 0.22
REFERENCE_MODE = Mode.CHANGES
SLOWER_BY = 0.25  # a peer that is more than this slower is not yet written as its expert would
EMBEDDED = "sellable-embedded"
ON_KAFKA = "sellable-kafka"
EMBEDDED_LEAD = 2.0  # times the best peer on Kafka, to reach
KAFKA_LEAD = 2.0  # times Kafka Streams and Flink, to aim for


@dataclass(frozen=True)
class Spread:
    """The median of some values, the lowest and the highest."""

    median: float
    low: float
    high: float


NOTHING = Spread(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Figure:
    """All runs of a peer in a mode; `void` says what was wrong in one of them, and empties them.

    `wall` and `cpu` are movements a second of wall and of CPU time in the whole run, `half_cpu`
    those of CPU time in its second half.
    """

    peer: str
    mode: Mode
    runs: int
    movements: int
    wall: Spread
    cpu: Spread
    half_cpu: Spread
    peak_bytes: int
    publications: int
    void: str = ""


def spread(values: Iterable[float]) -> Spread:
    """The spread of some values, at least one."""
    known = list(values)
    return Spread(median(known), min(known), max(known))


def figures_of(comparison: Comparison, mode: Mode) -> list[Figure]:
    """The figures of everybody who ran in a mode, in the order of the peers."""
    found = []
    for peer in comparison.peers:
        runs = [one for one in comparison.runs if (one.peer, one.mode) == (peer.name, mode.value)]
        if runs:
            found.append(_figure(peer.name, mode, runs))
    return found


def _figure(peer: str, mode: Mode, runs: Sequence[Run]) -> Figure:
    wrong = next((run.wrong for run in runs if run.wrong), "")
    if wrong:
        return Figure(
            peer=peer,
            mode=mode,
            runs=len(runs),
            movements=0,
            wall=NOTHING,
            cpu=NOTHING,
            half_cpu=NOTHING,
            peak_bytes=0,
            publications=0,
            void=wrong,
        )
    return Figure(
        peer=peer,
        mode=mode,
        runs=len(runs),
        movements=max(run.movements for run in runs),
        wall=spread(run.movements / run.wall_s for run in runs),
        cpu=spread(run.movements / run.cpu_s for run in runs),
        half_cpu=spread(run.half_movements / run.half_cpu_s for run in runs),
        peak_bytes=max(run.peak_bytes for run in runs),
        publications=int(median(run.publications for run in runs)),
    )


def leads(comparison: Comparison, mode: Mode) -> list[str]:
    """One sentence a target: how our runtimes stand to the peers, in the second half of runs."""
    figures = {one.peer: one for one in figures_of(comparison, mode) if not one.void}
    others = [
        figures[peer.name] for peer in comparison.peers if peer.name in figures and not peer.own
    ]
    on_kafka = {peer.name for peer in comparison.peers if peer.uses_kafka}
    best = [
        ("every peer", EMBEDDED, others, 1.0),
        ("every peer on Kafka", EMBEDDED, _only(others, on_kafka.__contains__), EMBEDDED_LEAD),
        ("Kafka Streams and Flink", ON_KAFKA, _only(others, _is_java), KAFKA_LEAD),
    ]
    return [
        _lead(comparison.peers, figures[own], rivals, who, target)
        for who, own, rivals, target in best
        if own in figures and rivals
    ]


def _only(figures: Iterable[Figure], wanted: Callable[[str], bool]) -> list[Figure]:
    return [one for one in figures if wanted(one.peer)]


def _is_java(peer: str) -> bool:
    return peer.startswith(("kafka-streams", "flink"))


def _lead(
    peers: Sequence[Described], own: Figure, rivals: Sequence[Figure], who: str, target: float
) -> str:
    titles = {peer.name: peer.title for peer in peers}
    fastest = max(rivals, key=lambda one: one.half_cpu.median)
    times = own.half_cpu.median / fastest.half_cpu.median
    stands = "leads" if times > 1 else "does NOT lead"
    reached = "reached" if times >= target else "NOT reached"
    wanted = "ahead" if target == 1 else f"{target:g} times"
    return (
        f"{titles[own.peer]} {stands} {who}: {times:.2f} times the fastest of them, "
        f"{titles[fastest.peer]} ({own.half_cpu.median:,.0f} against "
        f"{fastest.half_cpu.median:,.0f} movements a CPU second). To reach: {wanted}; {reached}."
    )


@dataclass(frozen=True)
class Reference:
    """How a peer stands to what experts reached, scaled to the speed of this machine."""

    peer: str
    expected_low: float
    expected_high: float
    measured: float
    is_good: bool


def references(comparison: Comparison) -> list[Reference]:
    """Everybody for whom there is a reference and who ran right in its mode."""
    if not comparison.floors_us:
        return []
    scale = REFERENCE_FLOOR_US / median(comparison.floors_us)
    found = []
    for figure in figures_of(comparison, REFERENCE_MODE):
        if figure.peer in REFERENCES and not figure.void:
            low, high = (scale * value for value in REFERENCES[figure.peer])
            measured = figure.half_cpu.median
            good = measured >= low * (1 - SLOWER_BY)
            found.append(Reference(figure.peer, low, high, measured, good))
    return found
