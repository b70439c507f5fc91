"""Looking at the engine: stock, explanations, how channels stand."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from engine.api.call import Call, json_response
from engine.api.freshness import AGE_EXAMPLE, AsOf, Staleness, age_of
from engine.api.operations import Answer, Operation, Parameter
from engine.api.roles import Action
from engine.contracts.answers import ChannelStanding, Stock
from engine.contracts.limits import MAX_LOCATION_LENGTH, MAX_SKU_LENGTH
from engine.embedded.shown import NumberExplained

_SKU_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": MAX_SKU_LENGTH}

_SkuName = Annotated[str, Meta(min_length=1, max_length=MAX_SKU_LENGTH, description="The item.")]
_LocationName = Annotated[str, Meta(min_length=1, max_length=MAX_LOCATION_LENGTH)]


class StockQuery(msgspec.Struct):
    """Where."""

    location: Annotated[
        _LocationName | None, Meta(description="Only this location; left out: all.")
    ] = None


class StockTold(Stock):
    """The stock of one SKU."""

    as_of: AsOf
    staleness_seconds: Staleness


class ExplainQuery(msgspec.Struct):
    """Which number."""

    sku: _SkuName
    channel: Annotated[str, Meta(min_length=1)]
    location: Annotated[
        _LocationName | None,
        Meta(description="For a channel with a number for each location."),
    ] = None


class NumberTold(NumberExplained):
    """A number explained."""

    as_of: AsOf
    staleness_seconds: Staleness


class ChannelsTold(msgspec.Struct):
    """How far each channel is behind."""

    as_of: AsOf
    staleness_seconds: Staleness
    channels: list[ChannelStanding]


async def get_stock(call: Call) -> Response:
    """Tell the stock of a SKU."""
    _, taken = call.runtime.freshness()
    found = await call.runtime.stock(call.path["sku"], call.query.location)
    return json_response(
        StockTold(found.sku, found.unallocated_reserved, found.locations, *age_of(taken))
    )


async def get_explanation(call: Call) -> Response:
    """Explain a number."""
    query: ExplainQuery = call.query
    call.principal.check_channel(query.channel)
    found = await call.runtime.explain(query.sku, query.channel, query.location)
    _, taken = call.runtime.freshness()
    as_of, staleness = age_of(taken)
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    return json_response(NumberTold(**fields, as_of=as_of, staleness_seconds=staleness))


async def get_channels(call: Call) -> Response:
    """Tell how far the channels are behind."""
    published, _ = call.runtime.freshness()
    mine = [
        one for one in await call.runtime.channels() if call.principal.caller.may_use(one.channel)
    ]
    return json_response(ChannelsTold(*age_of(published), mine))


_WINNER: Final = {
    "name": "shelf buffer",
    "file": "base.rules.yaml",
    "line": 2,
    "effect": "10% rounded up, at least 2",
    "note": "",
}
_CAUSE: Final = {"source": "pos-0042", "id": "t-1001", "correlation_id": None}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/stock/{sku}",
        name="getStock",
        tag="Stock",
        summary="See the stock of a SKU",
        description="At each location what is sellable, under inspection, damaged, reserved and"
        " incoming; what `sellable stock` shows.",
        handler=get_stock,
        action=Action.SEE_STOCK,
        query=StockQuery,
        query_examples={"location": "S-0101"},
        path_parameters=(Parameter("sku", "The item.", _SKU_SCHEMA, "10-0001"),),
        answers={
            200: Answer(
                "The stock.",
                StockTold,
                {
                    "sku": "10-0001",
                    "unallocated_reserved": 2,
                    "locations": [
                        {
                            "location": "S-0101",
                            "sellable": 18,
                            "inspecting": 1,
                            "damaged": 0,
                            "on_hand": 19,
                            "reserved": 0,
                            "incoming": 0,
                            "version": 7,
                            "counted_at": {
                                "sellable": "2026-11-10T11:30:00Z",
                                "inspecting": None,
                                "damaged": None,
                            },
                        }
                    ],
                    **AGE_EXAMPLE,
                },
            )
        },
    ),
    Operation(
        method="GET",
        path="/v1/explain",
        name="explain",
        tag="Stock",
        summary="Explain a number",
        description="The signed way from physical stock to the published number: every term, the"
        " rules that won and lost with file and line, the last movements, what was told last and"
        " what is due when; what `sellable explain` shows.",
        handler=get_explanation,
        action=Action.EXPLAIN,
        query=ExplainQuery,
        query_examples={"sku": "10-0001", "channel": "web-shop"},
        answers={
            200: Answer(
                "The explanation.",
                NumberTold,
                {
                    "sku": "10-0001",
                    "channel": "web-shop",
                    "location": None,
                    "granularity": "sku",
                    "instant": "2026-11-20T09:05:02Z",
                    "locations": [
                        {
                            "location": "S-0101",
                            "sellable": 32,
                            "reserved": 0,
                            "base": 32,
                            "buffer": 4,
                            "after": 28,
                            "short": 0,
                            "ceiling": None,
                            "rule": "shelf buffer",
                        }
                    ],
                    "excluded": [],
                    "claims": [],
                    "pool": 28,
                    "after_buffer": 28,
                    "available": 28,
                    "status": "in_stock",
                    "min_interval": "0s",
                    "retired": False,
                    "next_edge": None,
                    "steps": [
                        {"what": "sellable", "quantity": 32, "location": "S-0101", "rule": None},
                        {
                            "what": "location buffer",
                            "quantity": -4,
                            "location": "S-0101",
                            "rule": "shelf buffer",
                        },
                    ],
                    "decisions": [
                        {
                            "kind": "location_buffer",
                            "location": "S-0101",
                            "winner": _WINNER,
                            "losers": [],
                        }
                    ],
                    "near_misses": [],
                    "near_misses_left_out": 0,
                    "published": {
                        "available": 28,
                        "status": "in_stock",
                        "version": 2,
                        "computed_at": "2026-11-20T09:05:01Z",
                        "cause": _CAUSE,
                    },
                    "pending": False,
                    "due": None,
                    "last_movements": [
                        {
                            **_CAUSE,
                            "type": "sale",
                            "location": "S-0101",
                            "quantity": 2,
                            "occurred_at": "2026-11-20T09:05:00Z",
                        }
                    ],
                    **AGE_EXAMPLE,
                },
            )
        },
    ),
    Operation(
        method="GET",
        path="/v1/channels",
        name="getChannels",
        tag="Channels",
        summary="See how far each channel is behind",
        description="How many keys each channel's limits hold back, and since when the oldest of"
        " them waits.",
        handler=get_channels,
        action=Action.SEE_CHANNELS,
        answers={
            200: Answer(
                "The channels that the key reaches.",
                ChannelsTold,
                {
                    **AGE_EXAMPLE,
                    "channels": [
                        {
                            "channel": "web-shop",
                            "granularity": "sku",
                            "retired": False,
                            "publications": 1204,
                            "pending": 3,
                            "oldest_pending_since": "2026-11-20T09:04:58Z",
                            "lag_seconds": 4.45,
                        }
                    ],
                },
            )
        },
    ),
)
