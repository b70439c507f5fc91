"""The Faust app of the ledger worker: it brings envelopes, and shares partitions among workers.

Faust does what it is good at: membership, sticky assignment of partitions, reading, flow control,
and committing offsets for those who watch the lag. What decides where a partition goes on is the
marker in its table, not the committed offset, and Faust has nothing to recover, since the desk
restores a partition before it is read.

What is used of Faust's inside (0.15.3, pinned), each with a test:
- `Consumer.perform_seek`, `resume_partitions`, `seek_wait`: only served partitions are read, from
  the envelope after the marker. (A commit may skip an unacknowledged message at the head.)
- `AIOKafkaConsumerThread._create_worker_consumer`: has a broker wait 1.5 s for something new, and
  a partition that was left out of a fetch waits as long.
- `Store.on_rebalance`: what is assigned. It must not wait long: a member sends no heartbeats until
  its callback is done, so the restore runs beside it.
- an agent acknowledges a message whose handling failed: so an error stops the worker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.stores.base import Store
from faust.tables.table import Table
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.transports import TransportT
from yarl import URL

from engine.kafka.catalogue import CHANGELOG, ENVELOPES
from engine.kafka.clients import FETCH_WAIT_MS, HEARTBEATS_PER_SESSION, ssl_context
from engine.kafka.desk import Desk
from engine.kafka.envelope_reading import Envelope
from engine.kafka.settings import SASL, KafkaSettings

GROUP: Final = "ledger"
NOTHING_TO_RECOVER: Final = 1 << 62
"""An offset after every record: Faust is never to read a changelog."""
FETCH_BYTES: Final = 4 * 1024 * 1024
MS_PER_SECOND: Final = 1_000
MICROSECONDS_PER_MS: Final = 1_000


class Lag(NamedTuple):
    """Messages that were written and not yet taken, and the time of the last one that was taken.

    The time is None when there are none, or none was taken yet.
    """

    messages: int
    taken_at: int | None


class PromptThread(AIOKafkaConsumerThread):
    """Fetches anew after `FETCH_WAIT_MS`, whether or not something came."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class LedgerConsumer(Consumer):
    """Reads the partitions that the desk serves, each from where its table says."""

    desk: Desk

    def _new_consumer_thread(self) -> PromptThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume reading, of served partitions only."""
        super().resume_partitions({tp for tp in tps if self._next_offset(tp) is not None})

    async def perform_seek(self) -> None:
        """Go where the tables say, whatever was committed."""
        for tp in self.assignment():
            offset = self._next_offset(tp)
            if offset is not None:
                await self.go_on(tp, offset)

    async def go_on(self, tp: TP, offset: int) -> None:
        """Read a partition from the offset on."""
        await self.seek(tp, offset)
        self._committed_offset[tp] = offset
        self.resume_partitions({tp})

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Never seek in a changelog: nobody reads it here."""
        await super().seek_wait(
            {tp: offset for tp, offset in partitions.items() if not self._is_changelog_tp(tp)}
        )

    def _next_offset(self, tp: TP) -> int | None:
        return None if self._is_changelog_tp(tp) else self.desk.next_offset(tp.partition)


class LedgerStore(Store[Any, Any]):
    """Stands for the partitions' tables before Faust; the desk keeps them."""

    desk: Desk
    envelopes: str

    def persisted_offset(self, tp: TP) -> int | None:
        """Where Faust would go on recovering: nowhere."""
        return NOTHING_TO_RECOVER

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        """Serve what is assigned."""
        await self.desk.assign({tp.partition for tp in assigned if tp.topic == self.envelopes})

    def reset_state(self) -> None:
        """There is no state here."""

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Faust never reads a changelog here."""
        raise NotImplementedError

    async def backup_partition(self, tp: Any, *more: Any, **named: Any) -> None:
        """Not here: the changelog is the backup."""
        raise NotImplementedError

    def restore_backup(self, tp: Any, *more: Any, **named: Any) -> None:
        """Not here: the changelog is the backup."""
        raise NotImplementedError


class LedgerTable(Table[Any, Any]):
    """The table of the ledger: its records are written by the desk, a batch for each step."""

    store_of: Callable[[LedgerTable], LedgerStore]

    def _new_store(self) -> LedgerStore:
        return self.store_of(self)


class LedgerApp:
    """The app, with its agent over envelopes. `failed` is told of what ends the worker."""

    def __init__(
        self,
        settings: KafkaSettings,
        make_desk: Callable[[Callable[[int], Awaitable[None]]], Desk],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._failed = failed
        self._envelopes = settings.topic(ENVELOPES)
        self.desk = make_desk(self._served)
        self.app = faust.App(**_configuration(settings))
        self.app.transport = self._transport()
        self._add_table()
        self._add_agent()
        self.app.on_partitions_revoked.connect(self._revoked)

    async def start(self) -> None:
        """Join the group; partitions are served as they are assigned and restored."""
        await self.app.start()

    async def stop(self) -> None:
        """Finish what is at hand, leave, and let the partitions go."""
        await self.app.stop()
        await self.desk.rest()
        await self.desk.close()

    def lag(self) -> Mapping[int, Lag]:
        """How far each partition that is served is behind its log."""
        lags = {}
        for number in self.desk.served():
            # None until the first answer to a fetch, though Faust's types say otherwise.
            end: int | None = self.app.consumer.highwater(TP(self._envelopes, number))
            offset, at = self.desk.next_offset(number), self.desk.time(number)
            if end is not None and offset is not None:
                messages = max(0, end - offset)
                lags[number] = Lag(messages, at if messages else None)
        return lags

    def _transport(self) -> TransportT:
        desk = self.desk

        class OwnConsumer(LedgerConsumer):
            pass

        class OwnTransport(Transport):
            pass

        OwnConsumer.desk = desk
        OwnTransport.Consumer = OwnConsumer
        return OwnTransport(self.app.conf.broker_consumer, self.app)

    def _add_table(self) -> None:
        desk, envelopes, app = self.desk, self._envelopes, self.app

        def store_of(table: LedgerTable) -> LedgerStore:
            store = LedgerStore(URL("ledger://"), app, table)
            store.desk = desk
            store.envelopes = envelopes
            return store

        table = LedgerTable(
            app,
            name=self._settings.topic("ledger"),
            changelog_topic=app.topic(
                self._settings.topic(CHANGELOG), key_serializer="raw", value_serializer="raw"
            ),
        )
        table.store_of = store_of
        app.tables.add(table)

    def _add_agent(self) -> None:
        topic = self.app.topic(self._envelopes, key_serializer="raw", value_serializer="raw")

        @self.app.agent(topic, concurrency=1, name=self._settings.topic("ledger"))
        async def take(stream: Any) -> None:
            async for event in stream.events():
                await self._take(event.message)

    async def _take(self, message: Any) -> None:
        try:
            milliseconds = round(message.timestamp * MS_PER_SECOND)
            envelope = Envelope(
                message.offset, milliseconds * MICROSECONDS_PER_MS, message.value or b""
            )
            await self.desk.take(message.partition, envelope)
        except Exception as error:  # noqa: BLE001 - an agent would go on with the next message
            self._failed(error)

    async def _served(self, number: int) -> None:
        offset = self.desk.next_offset(number)
        consumer = self.app.consumer
        assert isinstance(consumer, LedgerConsumer)
        if offset is not None:
            await consumer.go_on(TP(self._envelopes, number), offset)

    async def _revoked(self, *told: Any, **more: Any) -> None:
        await self.desk.rest()


def _configuration(settings: KafkaSettings) -> dict[str, Any]:
    session_s = settings.session_timeout_ms / MS_PER_SECOND
    return {
        "id": settings.group(GROUP),
        "broker": ";".join(f"aiokafka://{broker}" for broker in settings.bootstrap),
        "broker_client_id": f"{settings.topic_prefix}sellable-{GROUP}-{settings.worker_id}",
        "broker_credentials": _credentials(settings),
        "consumer_group_instance_id": settings.worker_id,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": FETCH_BYTES,
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": session_s / HEARTBEATS_PER_SESSION,
        "broker_request_timeout": max(settings.request_timeout_ms / MS_PER_SECOND, session_s),
        "broker_max_poll_records": 200,
        "broker_commit_every": 200,
        "broker_commit_interval": 1.0,
        "stream_buffer_maxsize": 128,
        "stream_wait_empty": True,
        "stream_recovery_delay": 0.0,
        "recovery_consistency_check": False,
        "producer_request_timeout": settings.request_timeout_ms / MS_PER_SECOND,
        "processing_guarantee": "at_least_once",
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_partitions": settings.partitions,
        "reply_create_topic": False,
        "web_enabled": False,
        "autodiscover": False,
        "datadir": settings.data / "faust",
        "store": "memory://",
    }


def _credentials(settings: KafkaSettings) -> Any:
    protocol = settings.security_protocol
    if protocol in SASL and settings.sasl_password is not None:
        return SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            ssl_context=ssl_context(settings),
            mechanism=settings.sasl_mechanism,
        )
    if protocol == "SSL":
        return SSLCredentials(context=ssl_context(settings))
    return None
