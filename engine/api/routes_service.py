"""Whether the service lives and is ready, and its metrics."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from engine.api.call import Call, json_response
from engine.api.freshness import AsOf, Staleness, age_of
from engine.api.metrics import ServiceMetrics
from engine.api.operations import Answer, Operation
from engine.api.roles import Action
from engine.api.runtime import Phase

SERVICE_UNAVAILABLE: Final = 503
RETRY_AFTER: Final = {"retry-after": "1"}


class Health(msgspec.Struct):
    """The process lives."""

    status: Annotated[str, Meta(extra_json_schema={"enum": ["ok"]})]


class Readiness(msgspec.Struct):
    """Whether calls are served now."""

    status: Annotated[str, Meta(extra_json_schema={"enum": [str(phase) for phase in Phase]})]
    as_of: AsOf
    staleness_seconds: Staleness


async def get_health(call: Call) -> Response:
    """Tell that the process lives."""
    return json_response(Health("ok"))


async def get_readiness(call: Call) -> Response:
    """Tell whether calls are served."""
    phase = call.runtime.phase
    told = Readiness(phase, *age_of(call.runtime.freshness().taken))
    if phase is Phase.SERVING:
        return json_response(told)
    return json_response(told, SERVICE_UNAVAILABLE, RETRY_AFTER)


def operations(metrics: ServiceMetrics) -> tuple[Operation, ...]:
    """The calls about the service itself."""

    async def get_metrics(call: Call) -> Response:
        return Response(metrics.text(), media_type=metrics.media_type)

    ready = {
        "status": "serving",
        "as_of": "2026-11-20T09:05:02.450Z",
        "staleness_seconds": 0.012,
    }
    return (
        Operation(
            method="GET",
            path="/healthz",
            name="getHealth",
            tag="Service",
            summary="Whether the process lives",
            description="For whoever restarts what does not answer. Needs no key.",
            handler=get_health,
            action=None,
            answers={200: Answer("It lives.", Health, {"status": "ok"})},
        ),
        Operation(
            method="GET",
            path="/readyz",
            name="getReadiness",
            tag="Service",
            summary="Whether calls are served",
            description="503 while the engine restores its state, and when it is ending. Needs no"
            " key.",
            handler=get_readiness,
            action=None,
            answers={
                200: Answer("It serves.", Readiness, ready),
                503: Answer(
                    "It restores its state, or is ending.",
                    Readiness,
                    {"status": "restoring", "as_of": None, "staleness_seconds": None},
                    headers={"Retry-After": "Seconds until it is worth asking again."},
                ),
            },
        ),
        Operation(
            method="GET",
            path="/metrics",
            name="getMetrics",
            tag="Service",
            summary="Metrics for Prometheus",
            description="Requests by call and status with their times, and the engine's own"
            " figures.",
            handler=get_metrics,
            action=Action.SEE_METRICS,
            answers={
                200: Answer(
                    "The metrics.",
                    str,
                    'sellable_movements_total{outcome="applied"} 42.0\n',
                    metrics.media_type,
                )
            },
        ),
    )
