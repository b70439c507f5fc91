"""Comparisons as they come out of runs, made by hand."""

from __future__ import annotations

from msgspec.structs import replace

from benchmarks.peers.results import Comparison, Described, Kill, Run

CPU_SECONDS = 10.0


def peer(name: str, own: bool = False, uses_kafka: bool = True, missing: str = "") -> Described:
    """A peer of which only what the verdict looks at is told."""
    return Described(
        name=name,
        title=name.title(),
        version="1",
        input="Kafka",
        state="RocksDB",
        output="Kafka",
        after_a_crash="exactly once",
        uses_kafka=uses_kafka,
        own=own,
        missing=missing,
    )


def run(name: str, per_cpu_second: float, mode: str = "changes", wrong: str = "") -> Run:
    """A run of a million movements, whose first half was twice as slow as its second."""
    movements = 1_000_000
    half_s = movements / 2 / per_cpu_second
    right = Run(
        peer=name,
        mode=mode,
        round=1,
        commit="abc1234",
        movements=movements,
        wall_s=half_s * 4,
        cpu_s=half_s * 3,
        half_movements=movements // 2,
        half_wall_s=half_s,
        half_cpu_s=half_s,
        peak_bytes=500_000_000,
        publications=2_000_000,
        load=3.5,
    )
    return replace(right, wrong=wrong)


def kill(name: str, lost: int = 0, repeated: int = 0) -> Kill:
    """One that ended in the right state."""
    return Kill(
        peer=name,
        mode="changes",
        commit="abc1234",
        movements=1_000,
        killed_at=500,
        told=2_000,
        lost=lost,
        repeated=repeated,
    )


def comparison(runs: list[Run], kills: list[Kill] | None = None) -> Comparison:
    """Everybody who is known, with a floor as the references had it."""
    return Comparison(
        started="2026-11-28 09:45 UTC",
        machine="a machine",
        software="Python",
        peers=[
            peer("sellable-embedded", own=True, uses_kafka=False),
            peer("sellable-kafka", own=True),
            peer("kafka-streams"),
            peer("flink", missing="Java 17 was not found"),
            peer("bytewax", uses_kafka=False),
        ],
        floors_us=[0.44, 0.44],
        runs=runs,
        kills=kills or [],
    )
