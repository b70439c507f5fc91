"""`sellable lookup`: what channels were told of a SKU, from the read model in Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import typer

from engine.cli.examples import epilog
from engine.cli.kafka_settings import with_kafka_settings
from engine.cli.options import AsJson, OneChannel, Sku
from engine.cli.printing import STATUS_STYLES, number, print_json, print_table, say, styled
from engine.kafka.settings import KafkaSettings

if TYPE_CHECKING:
    from engine.contracts.availability import Availability

_ASKED: Final = ("brokers", "development", "redis_url", "redis_prefix", "topic_prefix")
_COLUMNS: Final = ("channel", "location", "available", "status", "version", "published at")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    left_out = [name for name in KafkaSettings.model_fields if name not in _ASKED]
    app.command("lookup", epilog=epilog("lookup"))(with_kafka_settings(lookup, left_out))


def lookup(
    sku: Sku,
    settings: KafkaSettings,
    channel: OneChannel = None,
    as_json: AsJson = False,
) -> None:
    """Look up what channels were told, in Redis.

    That is the read model which `sellable worker dispatch` keeps.
    """
    settings.refuse_clear_redis()
    found = asyncio.run(_find(settings, sku, channel))
    if as_json:
        print_json(found)
    elif found:
        print_table(
            _COLUMNS,
            [
                [
                    each.channel,
                    each.location or "",
                    number(each.available),
                    styled(each.status, STATUS_STYLES),
                    str(each.version),
                    each.computed_at,
                ]
                for each in found
            ],
            numbers=("available", "version"),
        )
    else:
        say(f"Nothing was published of {sku}{f' on {channel}' if channel else ''}.")


async def _find(settings: KafkaSettings, sku: str, channel: str | None) -> list[Availability]:
    from redis import RedisError

    from engine.contracts.errors import SellableError
    from engine.kafka.dispatch import read_model_of

    model = read_model_of(settings)
    try:
        return await model.lookup(sku, channel)
    except RedisError as error:
        raise SellableError(
            f"Redis did not answer: {error}", "Check --redis-url, and that Redis runs."
        ) from error
    finally:
        await model.close()
