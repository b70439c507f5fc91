"""Consumers, producers and admin clients as the settings say; they are returned not yet started."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.helpers import create_ssl_context

from engine.kafka.packing import pack_quickly
from engine.kafka.patience import patiently
from engine.kafka.settings import SASL, KafkaSettings, SettingsError

Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer)
HEARTBEATS_PER_SESSION = 3
PRODUCER_BATCH_BYTES = 512 * 1024
MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""Longest message that a worker sends: an exception may hold an incoming message of 1 MiB, with six
bytes for each of its own where these are control characters."""
METADATA_AGE_MS = 5_000
"""New topics `movements.*` are found after so long."""
FETCH_WAIT_MS = 100
"""How long a broker waits for something new. aiokafka has one fetch under way to each broker, and a
partition that it left out, since what was read of it was not taken yet, waits until it is back."""


def connection(settings: KafkaSettings, kind: str) -> dict[str, Any]:
    """What every client needs to reach the brokers.

    Raises:
        SettingsError: a certificate cannot be read.
    """
    words: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "client_id": f"{settings.topic_prefix}sellable-{kind}-{settings.worker_id}",
        "request_timeout_ms": settings.request_timeout_ms,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.security_protocol in SASL and settings.sasl_password is not None:
        words["sasl_mechanism"] = settings.sasl_mechanism
        words["sasl_plain_username"] = settings.sasl_username
        words["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return words


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """The certificates of the settings, None for a protocol without TLS.

    Raises:
        SettingsError: a certificate or key cannot be read.
    """
    if not settings.security_protocol.endswith("SSL"):
        return None
    password = settings.ssl_key_password
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=None if settings.ssl_cafile is None else str(settings.ssl_cafile),
            certfile=None if settings.ssl_certfile is None else str(settings.ssl_certfile),
            keyfile=None if settings.ssl_keyfile is None else str(settings.ssl_keyfile),
            password=None if password is None else password.get_secret_value(),
        )
    except OSError as error:
        raise SettingsError(
            f"a certificate or key cannot be used: {error}",
            "Name PEM files in ssl_cafile, ssl_certfile and ssl_keyfile.",
        ) from error
    return context


def make_consumer(settings: KafkaSettings, kind: str, **more: Any) -> AIOKafkaConsumer:
    """A consumer without a group that reads from where it is told to; `more` as of aiokafka.

    Raises:
        SettingsError: a certificate cannot be read.
    """
    words: dict[str, Any] = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "metadata_max_age_ms": METADATA_AGE_MS,
    }
    return AIOKafkaConsumer(**{**connection(settings, kind), **words, **more})


def make_member(settings: KafkaSettings, kind: str, **more: Any) -> AIOKafkaConsumer:
    """A consumer that shares the work of its kind, under this worker's own lasting name.

    Raises:
        SettingsError: a certificate cannot be read.
    """
    words: dict[str, Any] = {
        "group_id": settings.group(kind),
        "group_instance_id": settings.worker_id,
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.session_timeout_ms // HEARTBEATS_PER_SESSION,
    }
    return make_consumer(settings, kind, **{**words, **more})


def make_producer(settings: KafkaSettings, kind: str, **more: Any) -> AIOKafkaProducer:
    """A producer that waits for all copies, and repeats a send without doubling it.

    Raises:
        SettingsError: a certificate cannot be read.
    """
    pack_quickly()
    words: dict[str, Any] = {
        "acks": "all",
        "enable_idempotence": True,
        "max_request_size": MAX_REQUEST_BYTES,
        "max_batch_size": PRODUCER_BATCH_BYTES,
        "compression_type": None if settings.compression == "none" else settings.compression,
    }
    return AIOKafkaProducer(**{**connection(settings, kind), **words, **more})


@asynccontextmanager
async def running(client: Client, patient: bool = False) -> AsyncIterator[Client]:
    """A consumer or producer, started, and stopped whatever happens; a patient one waits to start.

    aiokafka's own `async with` leaves one behind that could not be started, with its connections:
    whoever tries again while the brokers are away would gather them.

    Raises:
        KafkaError: the brokers refuse, or they are away and it is not patient.
    """
    try:
        await (patiently(client.start) if patient else client.start())
        yield client
    finally:
        await stop_client(client)


async def stop_client(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop a client. Stopping twice does nothing.

    A consumer of aiokafka (0.14) one of whose fetches waits to be tried again, since the brokers
    are away, raises the cancellation of that fetch and leaves its connections open.
    """
    stopping = asyncio.ensure_future(client.stop())
    await asyncio.wait({stopping})
    if stopping.cancelled():
        await client._client.close()
    else:
        stopping.result()


def make_admin(settings: KafkaSettings, kind: str = "admin") -> AIOKafkaAdminClient:
    """A client that makes and looks at topics.

    Raises:
        SettingsError: a certificate cannot be read.
    """
    return AIOKafkaAdminClient(**connection(settings, kind))
