"""`POST /v1/observations`: what other systems believe the stock is, compared with the book."""

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
from engine.contracts.limits import MAX_BODY_BYTES, MAX_OBSERVATIONS_PER_REQUEST
from engine.contracts.outcomes import ObservationOutcome


class ObservationsTold(msgspec.Struct):
    """What became of each observation, in the order in which they came, and how many of each."""

    outcomes: list[ObservationOutcome]
    received: Annotated[int, Meta(ge=0)]
    agrees: Annotated[int, Meta(ge=0)] = 0
    differs: Annotated[int, Meta(ge=0)] = 0
    duplicate: Annotated[int, Meta(ge=0)] = 0
    refused: Annotated[int, Meta(ge=0)] = 0


async def post_observations(call: Call) -> Response:
    """Take observations."""
    lines = read_lines(call, MAX_OBSERVATIONS_PER_REQUEST, "observation")
    outcomes = await call.runtime.observe(lines, call.origin)
    counts = Counter(one.outcome for one in outcomes)
    call.summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return json_response(ObservationsTold(outcomes, len(outcomes), **counts))


_OBSERVATION: Final = {
    "source": "wms-east",
    "sku": "10-0001",
    "location": "DC-EAST",
    "disposition": "sellable",
    "quantity": 412,
    "observed_at": "2026-11-20T09:00:00Z",
}
_FINDING: Final = {
    "finding": "f-6f0c9a1d5b7e42389a0c1d2e3f405162",
    "sku": "10-0001",
    "location": "DC-EAST",
    "source": "wms-east",
    "expected": 415,
    "observed": 412,
    "difference": -3,
    "class": "shrink",
    "action": "review",
    "observed_at": "2026-11-20T09:00:00Z",
    "disposition": "sellable",
}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/observations",
        name="postObservations",
        tag="Observations",
        summary="Compare what another system believes with the book",
        description="At most 1,000, as an array or one on each line (NDJSON), each as described"
        " on the page of the topic `observations`. Each is compared with the book as of its"
        " `observed_at`; where they differ there is a finding, with what explains it and what was"
        " done. Answered when all of it is durable. What is refused is kept as an exception. The"
        " same call again gives `duplicate` and adjusts nothing a second time.",
        handler=post_observations,
        action=Action.OBSERVE,
        body=Body(list[Any], {JSON: [_OBSERVATION], NDJSON: None}, limit=MAX_BODY_BYTES),
        answers={
            200: Answer(
                "What became of each.",
                ObservationsTold,
                {
                    "outcomes": [
                        {
                            "source": "wms-east",
                            "sku": "10-0001",
                            "location": "DC-EAST",
                            "disposition": "sellable",
                            "observed_at": "2026-11-20T09:00:00Z",
                            "outcome": "differs",
                            "expected": 415,
                            "finding": _FINDING,
                            "code": None,
                            "message": None,
                            "exception": None,
                        }
                    ],
                    "received": 1,
                    "agrees": 0,
                    "differs": 1,
                    "duplicate": 0,
                    "refused": 0,
                },
            )
        },
        writes=True,
    ),
)
