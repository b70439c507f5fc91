"""`POST /v1/movements`: movements from whoever has no Kafka, answered one by one."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from engine.api.call import JSON, NDJSON, Call, json_response
from engine.api.lines import read_lines
from engine.api.operations import Answer, Body, Operation
from engine.api.roles import Action
from engine.contracts.answers import MovementAnswer
from engine.contracts.limits import MAX_BODY_BYTES, MAX_MOVEMENTS_PER_REQUEST


class MovementsTold(msgspec.Struct):
    """What became of each movement, in the order in which they came, and how many of each."""

    outcomes: list[MovementAnswer]
    received: Annotated[int, Meta(ge=0)]
    applied: Annotated[int, Meta(ge=0)] = 0
    duplicate: Annotated[int, Meta(ge=0)] = 0
    absorbed: Annotated[int, Meta(ge=0)] = 0
    rejected: Annotated[int, Meta(ge=0)] = 0
    refused: Annotated[int, Meta(ge=0)] = 0


async def post_movements(call: Call) -> Response:
    """Take movements."""
    lines = read_lines(call, MAX_MOVEMENTS_PER_REQUEST, "movement")
    outcomes = await call.runtime.take(lines, call.origin)
    counts = Counter(one.outcome for one in outcomes)
    call.summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return json_response(MovementsTold(outcomes, len(outcomes), **counts))


_SALE: Final = {
    "id": "t-1001",
    "source": "pos-0042",
    "type": "sale",
    "sku": "10-0001",
    "location": "S-0101",
    "quantity": 2,
    "occurred_at": "2026-11-20T09:05:00Z",
}
_RETURN: Final = {**_SALE, "id": "t-1002", "type": "return", "quantity": 1}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/movements",
        name="postMovements",
        tag="Movements",
        summary="Send movements of stock",
        description="At most 1,000, as an array or one on each line (NDJSON), each as described"
        " on the page of the topic `movements`. Answered when all of them are durable, one by one:"
        " what is refused changes nothing and is kept as an exception. The same call again gives"
        " `duplicate` and harms nothing, so repeat it whenever an answer does not come.",
        handler=post_movements,
        action=Action.PUBLISH,
        body=Body(
            list[Any],
            {JSON: [_SALE, _RETURN], NDJSON: None},
            limit=MAX_BODY_BYTES,
        ),
        answers={
            200: Answer(
                "What became of each.",
                MovementsTold,
                {
                    "outcomes": [
                        {
                            "source": "pos-0042",
                            "id": "t-1001",
                            "sku": "10-0001",
                            "outcome": "applied",
                            "code": None,
                            "exceptions": [],
                        },
                        {
                            "source": "pos-0042",
                            "id": "t-1002",
                            "sku": "10-0001",
                            "outcome": "applied",
                            "code": None,
                            "exceptions": [],
                        },
                    ],
                    "received": 2,
                    "applied": 2,
                    "duplicate": 0,
                    "absorbed": 0,
                    "rejected": 0,
                    "refused": 0,
                },
            )
        },
        writes=True,
    ),
)
