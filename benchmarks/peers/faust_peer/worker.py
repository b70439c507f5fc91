"""INV-1 as a Faust agent: movements are taken by the batch, and tables set once a batch."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from benchmarks.peers.faust_peer.tables import Tables
from benchmarks.peers.plain.instants import HOUR, SECOND
from benchmarks.peers.plain.ledger import examine
from benchmarks.peers.plain.movements import CHANNELS, Faulty, read_movement
from benchmarks.peers.plain.publications import dead_letter
from benchmarks.peers.plain.shard import Journal, Shard
from benchmarks.peers.plain.state import NEVER
from benchmarks.peers.telling import Progress

BATCH = 1_000  # movements
BUFFERED = 8_192
COMMIT_SECONDS = 1.0
FETCH_BYTES = 4 << 20
LINGER_MS = 50
PRODUCER_BATCH_BYTES = 256 << 10
COLLECTED_AFTER = 200_000  # objects: most of them live long
REFUSED = "exceptions"


class Worker:
    """The app, its tables, and the shard in memory that works on them."""

    def __init__(self, told: argparse.Namespace) -> None:
        self._told = told
        self._progress = Progress(told.movements)
        self.app = faust.App(
            told.application,
            broker=f"kafka://{told.brokers}",
            store="rocksdb://",
            datadir=str(told.state),
            web_enabled=False,
            topic_disable_leader=True,
            topic_partitions=1,
            table_standby_replicas=0,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id="inv1",
            consumer_max_fetch_size=FETCH_BYTES,
            broker_commit_interval=COMMIT_SECONDS,
            stream_buffer_maxsize=BUFFERED,
            producer_linger=LINGER_MS / 1_000,
            producer_max_batch_size=PRODUCER_BATCH_BYTES,
            producer_compression_type=told.compression,
            producer_acks=-1,
        )
        self._tables = Tables(self.app)
        self._journal = Journal()
        self._topics = {
            name: self.app.topic(f"{told.outputs}{name}", value_serializer="raw")
            for name in (*(f"availability.{channel}" for channel in CHANNELS), REFUSED)
        }
        self._records: list[tuple[str, bytes]] = []
        self._shard: Shard | None = None
        self._clock = NEVER
        self._forget_at = NEVER
        movements = self.app.topic(told.input, key_serializer="raw", value_serializer="raw")
        self.app.agent(movements, name="inventory")(self._agent)

    async def _agent(self, stream: Any) -> None:
        """Movements are acknowledged once the tables have them, a batch at a time.

        `Stream.take` would do that, but a table can be set for a current event only.
        """
        batch: list[Any] = []
        async for event in stream.noack().events():
            batch.append(event)
            message = event.message
            behind = self.app.consumer.highwater(TP(message.topic, message.partition))
            done = message.offset + 1
            if len(batch) < BATCH and done < behind:
                continue
            await self._take_all(batch)
            for taken in batch:
                await stream.ack(taken)
            batch.clear()
            self._progress.reached(done)
            if done >= self._told.movements:
                self.app.loop.create_task(self._finish())

    async def _take_all(self, batch: list[Any]) -> None:
        shard = self._shard
        if shard is None:
            shard = self._shard = self._tables.load(
                self._told.tick_us, self._publish, self._journal
            )
            self._clock = shard.clock
        for event in batch:
            self._take(shard, event.message.value)
        if batch[-1].message.offset + 1 >= self._told.movements:
            shard.advance(self._clock + SECOND - self._clock % SECOND)
        await self._keep(shard, batch[0].message.offset)

    def _take(self, shard: Shard, line: bytes) -> None:
        try:
            movement = read_movement(line)
            code = examine(movement, self._clock)
        except Faulty as fault:
            code = str(fault)
        else:
            if code is None:
                self._clock = max(self._clock, movement.at)
                code = shard.take(movement, self._clock)
        if code is not None:
            self._records.append((REFUSED, dead_letter(code, line)))

    def _publish(self, channel: str, record: bytes) -> None:
        self._records.append((f"availability.{channel}", record))

    async def _keep(self, shard: Shard, offset: int) -> None:
        """Send what was published, then set the tables."""
        for name, record in self._records:
            await self._topics[name].send(value=record)
        self._records.clear()
        self._tables.keep(shard, self._journal, offset)
        if self._clock >= self._forget_at:
            self._forget_at = self._clock + HOUR
            self._tables.forget(self._clock)

    async def _finish(self) -> None:
        """Wait until the last movement is committed, then write the state and go."""
        partition = TP(self._told.input, 0)
        consumer: Any = self.app.consumer  # what was committed is told by no public method
        await self.app.producer.flush()
        while (consumer._committed_offset[partition] or 0) < self._told.movements:
            await consumer.commit()
            await asyncio.sleep(0.02)
        self._progress.finish(self._tables.rows(), self._told.dump)
        os._exit(0)  # what leaving a group in good order costs is of no interest


def main() -> None:
    """Runs the worker until all movements of the input topic are done."""
    arguments = argparse.ArgumentParser()
    for name in ("brokers", "application", "input", "outputs", "compression"):
        arguments.add_argument(f"--{name}", required=True)
    for name in ("state", "dump"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    for name in ("movements", "tick-us"):
        arguments.add_argument(f"--{name}", type=int, required=True)
    gc.set_threshold(COLLECTED_AFTER)
    worker = Worker(arguments.parse_args())
    faust.Worker(worker.app, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
