"""INV-1 as a dataflow: SKUs in shards, the state of each shard in its stateful step.

Items are chunks of movements of one shard, since bytewax's own cost is by item. State and positions
are snapshot once an epoch into bytewax's recovery store; after a crash the outputs are cut back.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.peers.bytewax_peer.files import REFUSED, Chunk, LinesSource, OutFiles
from benchmarks.peers.plain.movements import CHANNELS
from benchmarks.peers.plain.publications import dead_letter, state_rows
from benchmarks.peers.plain.shard import Shard, load
from benchmarks.peers.telling import Progress

EPOCH = timedelta(seconds=10)  # bytewax's own default
RECOVERY_PARTITIONS = 1
COLLECTED_AFTER = 200_000  # objects: most of them live long

Record = tuple[str, bytes]


class ShardLogic(StatefulLogic[Chunk, Record, bytes]):
    """The state of a shard, fed by chunks."""

    def __init__(self, tick: int, shards: list[Shard], kept: bytes | None) -> None:
        self._records: list[Record] = []
        self._shard = Shard(tick, self._publish, None if kept is None else load(kept))
        shards.append(self._shard)

    def on_item(self, value: Chunk) -> tuple[Iterable[Record], bool]:
        """Take all movements of a chunk, then move the clock."""
        records = self._records = [(REFUSED, letter + b"\n") for letter in value.refused]
        take = self._shard.take
        for movement, line, clock in value.movements:
            code = take(movement, clock)
            if code is not None:
                self._records.append((REFUSED, dead_letter(code, line) + b"\n"))
        self._shard.advance(value.clock)
        return records, StatefulLogic.RETAIN

    def snapshot(self) -> bytes:
        """As bytes, since bytewax may write it only after the state has moved on."""
        return self._shard.dump()

    def _publish(self, channel: str, record: bytes) -> None:
        self._records.append((f"availability.{channel}", record + b"\n"))


def make_flow(source: LinesSource, out: Path, tick: int, shards: list[Shard]) -> Dataflow:
    """The dataflow; every shard that it makes is appended to `shards`."""
    flow = Dataflow("inv1")
    chunks = op.input("movements", flow, source)
    told = op.stateful("inventory", chunks, lambda kept: ShardLogic(tick, shards, kept))
    records = op.map("address", told, lambda item: item[1])
    names = [*(f"availability.{channel}" for channel in CHANNELS), REFUSED]
    op.output("channels", records, OutFiles(out, names))
    return flow


def main() -> None:
    """Runs the flow over one file, to its end."""
    arguments = argparse.ArgumentParser()
    for name in ("input", "out", "state", "dump"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    for name in ("movements", "tick-us"):
        arguments.add_argument(f"--{name}", type=int, required=True)
    told = arguments.parse_args()
    gc.set_threshold(COLLECTED_AFTER)
    told.out.mkdir(parents=True, exist_ok=True)
    if not told.state.exists():
        told.state.mkdir(parents=True)
        init_db_dir(told.state, RECOVERY_PARTITIONS)
    progress = Progress(told.movements)
    shards: list[Shard] = []
    flow = make_flow(LinesSource(told.input, progress), told.out, told.tick_us, shards)
    cli_main(
        flow,
        workers_per_process=1,
        epoch_interval=EPOCH,
        recovery_config=RecoveryConfig(told.state),
    )
    rows = (row for shard in shards for row in state_rows(shard.skus))
    progress.finish(rows, told.dump)


if __name__ == "__main__":
    main()
