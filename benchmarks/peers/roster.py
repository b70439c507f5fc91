"""Who takes part."""

from __future__ import annotations

from benchmarks.peers.java_peers import JavaPeer, pinned
from benchmarks.peers.jobs import Facts, Peer
from benchmarks.peers.own import EmbeddedPeer, KafkaPeer
from benchmarks.peers.python_peers import BytewaxPeer, FaustPeer

STREAMS_JAVA = ("-Xms2g", "-Xmx2g", "-Xmn1300m", "-XX:+UseSerialGC")
FLINK_OPENS = (  # as Flink's own start scripts do
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)


def kafka_streams(guarantee: str) -> JavaPeer:
    """Kafka Streams, with one of its guarantees."""
    exact = guarantee == "exactly_once_v2"
    return JavaPeer(
        name="kafka-streams" if exact else "kafka-streams-alo",
        title=f"Kafka Streams, {'exactly' if exact else 'at least'} once",
        facts=Facts(
            version=f"Kafka Streams {pinned('kafka.version')}",
            input="Kafka",
            state="RocksDB, changelog topics, a cache of 256 MB",
            output="Kafka",
            after_a_crash=guarantee,
        ),
        module="kafka_streams",
        main="sellable.peers.kafkastreams.Main",
        java_options=STREAMS_JAVA,
        options=("--guarantee", guarantee, "--compression", "none"),
    )


def flink() -> JavaPeer:
    """Flink in one process, with one slot."""
    return JavaPeer(
        name="flink",
        title="Flink",
        facts=Facts(
            version=f"Flink {pinned('flink.version')}",
            input="Kafka",
            state="RocksDB, incremental checkpoints every 5 s, changes bundled in between",
            output="Kafka",
            after_a_crash="at least once",
        ),
        module="flink",
        main="sellable.peers.flink.Main",
        java_options=(*STREAMS_JAVA, *FLINK_OPENS),
        options=("--compression", "lz4"),
    )


def all_peers() -> list[Peer]:
    """Everybody, in the order of reports."""
    return [
        EmbeddedPeer(),
        KafkaPeer(),
        kafka_streams("exactly_once_v2"),
        kafka_streams("at_least_once"),
        flink(),
        BytewaxPeer(),
        FaustPeer(),
    ]
