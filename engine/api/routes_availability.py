"""Lookups of availability: what each channel was told last, by SKU, list, channel and location."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
import xxhash
from msgspec import Meta
from starlette.responses import Response

from engine.api.call import JSON, NOT_MODIFIED, Call, is_known, json_response, parse_body
from engine.api.errors import InvalidError
from engine.api.freshness import AsOf, Staleness, age_of
from engine.api.operations import Answer, Body, Operation, Parameter
from engine.api.roles import Action
from engine.contracts.answers import KeyShown, PublishedKey, SkuShown
from engine.contracts.calls import LookupBody
from engine.contracts.errors import NotFoundError
from engine.contracts.limits import (
    MAX_LOCATION_LENGTH,
    MAX_LOOKUP_KEYS,
    MAX_PAGE_ROWS,
    MAX_SKU_LENGTH,
)

MAX_LISTED: Final = 100
DEFAULT_ROWS: Final = 100

SKU_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": MAX_SKU_LENGTH}


class AvailabilityQuery(msgspec.Struct):
    """What is looked up."""

    sku: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=MAX_SKU_LENGTH)]],
        Meta(max_length=MAX_LISTED, description="May be repeated; left out: all, page by page."),
    ] = []
    channel: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(
            max_length=MAX_LISTED,
            description="May be repeated; left out: every channel that the key reaches.",
        ),
    ] = []
    location: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=MAX_LOCATION_LENGTH)]],
        Meta(
            max_length=MAX_LISTED,
            description="For channels of granularity location: these, in this order, such as the"
            " nearest first; left out: wherever the SKU is.",
        ),
    ] = []
    limit: Annotated[
        int, Meta(ge=1, le=MAX_PAGE_ROWS, description="Rows of a page, without `sku`.")
    ] = DEFAULT_ROWS
    after: Annotated[str, Meta(description="`next` of the page before, without `sku`.")] = ""


class AvailabilityTold(msgspec.Struct, gc=False):
    """Keys as their channels were told last."""

    as_of: AsOf
    staleness_seconds: Staleness
    items: list[PublishedKey]
    next: Annotated[
        str | None, Meta(description="Send it as `after` for the next page; null: no more.")
    ] = None


class SkuTold(SkuShown):
    """The keys of one SKU, published and now."""

    as_of: AsOf
    staleness_seconds: Staleness


class SkuQuery(msgspec.Struct):
    """Which channels."""

    channel: Annotated[
        list[str], Meta(max_length=MAX_LISTED, description="May be repeated; left out: all.")
    ] = []


_lookup: Final = msgspec.json.Decoder(LookupBody)


async def get_availability(call: Call) -> Response:
    """Look up SKUs, or a page of a channel."""
    query: AvailabilityQuery = call.query
    kinds = await _channels(call, query.channel)
    if not query.sku:
        return await _page(call, query, list(kinds))
    asked = len(query.sku) * len(kinds) * max(1, len(query.location))
    if asked > MAX_LOOKUP_KEYS:
        raise InvalidError(
            f"{asked:,} keys are asked for, at most {MAX_LOOKUP_KEYS:,} are told at once",
            "Name fewer SKUs, channels or locations in a call.",
            "?sku",
        )
    published, _ = call.runtime.freshness()
    items: list[PublishedKey] = []
    for sku in query.sku:
        for channel, by_location in kinds.items():
            places = query.location if by_location or query.channel else ()
            items += await call.runtime.look_up_sku(sku, channel, places)
    if not any(item.version for item in items):
        await _must_be_known(call, query.sku)
    return _told(call, items, published)


async def post_lookup(call: Call) -> Response:
    """Look up a list of keys."""
    body = parse_body(call, _lookup)
    for channel in {key.channel for key in body.keys}:
        call.principal.check_channel(channel)
    published, _ = call.runtime.freshness()
    return _told(call, await call.runtime.look_up(body.keys), published)


async def get_sku(call: Call) -> Response:
    """Tell the published numbers of a SKU beside those that are true now."""
    sku = call.path["sku"]
    kinds = await _channels(call, call.query.channel)
    _, taken = call.runtime.freshness()
    keys: list[KeyShown] = await call.runtime.shown(sku, list(kinds))
    return json_response(SkuTold(sku, keys, *age_of(taken)))


async def _channels(call: Call, named: Sequence[str]) -> Mapping[str, bool]:
    """The channels that are asked for, checked, and whether each has numbers by location."""
    kinds = await call.runtime.channel_kinds()
    if not named:
        return {name: kind for name, kind in kinds.items() if call.principal.caller.may_use(name)}
    chosen = {}
    for name in named:
        call.principal.check_channel(name)
        if name not in kinds:
            raise NotFoundError(
                f"there is no channel {name}", f"The channels are {', '.join(kinds)}."
            )
        chosen[name] = kinds[name]
    return chosen


async def _page(call: Call, query: AvailabilityQuery, channels: Sequence[str]) -> Response:
    """A page over the keys of the channels, one channel after the other.

    A page is gone on from by the channel's name, a slash, and the key that was told last.
    """
    name, _, after = query.after.partition("/")
    if name and name not in channels:
        raise NotFoundError(
            f"no page ends with {query.after!r}", "Send `after` as `next` of the page before."
        )
    published, _ = call.runtime.freshness()
    left = list(channels[channels.index(name) :] if name else channels)
    items: list[PublishedKey] = []
    while left and len(items) < query.limit:
        page = await call.runtime.page(left[0], after, query.limit - len(items))
        items += page.rows
        if page.next is not None:
            return _told(call, items, published, f"{left[0]}/{page.next}")
        left.pop(0)
        after = ""
    return _told(call, items, published, f"{left[0]}/" if left else None)


async def _must_be_known(call: Call, skus: Sequence[str]) -> None:
    for sku in skus:
        if await call.runtime.knows(sku):
            return
    raise NotFoundError(
        f"no movement of {skus[0]} was ever applied" if len(skus) == 1 else "no SKU is known",
        "Check the SKU; it is known once a movement of it was applied.",
    )


def _told(
    call: Call, items: list[PublishedKey], published: int | None, following: str | None = None
) -> Response:
    told = AvailabilityTold(*age_of(published), items, following)
    tag = _tag(items, following)
    headers = {"etag": tag, "cache-control": "no-cache", "sellable-as-of": told.as_of or ""}
    if is_known(call, tag):
        return Response(None, NOT_MODIFIED, headers)
    return json_response(told, headers=headers)


def _tag(items: Sequence[PublishedKey], following: str | None) -> str:
    """A weak tag over what was published: `as_of` goes on while the numbers stay."""
    if len(items) == 1:
        item = items[0]
        return f'W/"{item.version}-{item.computed_at or ""}"'
    digest = xxhash.xxh3_64((following or "").encode())
    for item in items:
        key = f"{item.sku}|{item.channel}|{item.location}|{item.version}|{item.computed_at}\n"
        digest.update(key.encode())
    return f'W/"{digest.hexdigest()}"'


_ITEM: Final[dict[str, Any]] = {
    "sku": "10-0001",
    "channel": "web-shop",
    "location": None,
    "available": 28,
    "status": "in_stock",
    "version": 2,
    "computed_at": "2026-11-20T09:05:01Z",
    "cause": {"source": "pos-0042", "id": "t-1001", "correlation_id": None},
    "pending_since": None,
}
_AGE: Final = {"as_of": "2026-11-20T09:05:02Z", "staleness_seconds": 0.412}
_TOLD: Final = {**_AGE, "items": [_ITEM], "next": None}
_HEADERS: Final = {
    "ETag": "Changes when a published number does; send it back as If-None-Match.",
    "Sellable-As-Of": "As `as_of`.",
}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/availability",
        name="getAvailability",
        tag="Availability",
        summary="Look up what channels may sell",
        description="The numbers as last published, under their channels' limits: what the"
        " marketplace shows. By SKU, channel and location, or without a SKU page by page.",
        handler=get_availability,
        action=Action.LOOK_UP,
        query=AvailabilityQuery,
        query_examples={"sku": ["10-0001"], "channel": ["web-shop"]},
        answers={
            200: Answer(
                "The keys, in the order asked for.", AvailabilityTold, _TOLD, JSON, _HEADERS
            ),
            304: Answer("Nothing was published since; the body is left out.", headers=_HEADERS),
        },
    ),
    Operation(
        method="POST",
        path="/v1/availability/lookup",
        name="lookUpAvailability",
        tag="Availability",
        summary="Look up a list of keys",
        description="At most 1,000 keys, answered in their order; a key that was never published"
        " has version 0 and no number.",
        handler=post_lookup,
        action=Action.LOOK_UP,
        body=Body(
            LookupBody,
            {
                JSON: {
                    "keys": [
                        {"sku": "10-0001", "channel": "web-shop"},
                        {"sku": "10-0001", "channel": "click-and-collect", "location": "S-0101"},
                    ]
                }
            },
        ),
        answers={
            200: Answer(
                "The keys, in the order asked for.", AvailabilityTold, _TOLD, JSON, _HEADERS
            ),
            304: Answer("Nothing was published since; the body is left out.", headers=_HEADERS),
        },
    ),
    Operation(
        method="GET",
        path="/v1/availability/{sku}",
        name="getAvailabilityOfSku",
        tag="Availability",
        summary="Compare published numbers with those that are true now",
        description="Each key of the SKU as last published, what it is now, and from when its"
        " channel's limits allow to tell it: what `sellable availability` shows.",
        handler=get_sku,
        action=Action.LOOK_UP,
        query=SkuQuery,
        query_examples={"channel": ["web-shop"]},
        path_parameters=(Parameter("sku", "The item.", SKU_SCHEMA, "10-0001"),),
        answers={
            200: Answer(
                "Its keys.",
                SkuTold,
                {
                    "sku": "10-0001",
                    "channels": [
                        {
                            "channel": "web-shop",
                            "location": None,
                            "available": 28,
                            "status": "in_stock",
                            "version": 2,
                            "computed_at": "2026-11-20T09:05:01Z",
                            "cause": _ITEM["cause"],
                            "computed": 27,
                            "computed_status": "in_stock",
                            "pending": True,
                            "due": "2026-11-20T09:05:31Z",
                        }
                    ],
                    **_AGE,
                },
            )
        },
    ),
)
