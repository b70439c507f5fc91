"""The topic `movements.outcomes`: what became of every movement."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine.contracts.exceptions import REFUSED_CODES

APPLIED: Final = "applied"
DUPLICATE: Final = "duplicate"
ABSORBED: Final = "absorbed"
REJECTED: Final = "rejected"
REFUSED: Final = "refused"
OUTCOMES: Final = (APPLIED, DUPLICATE, ABSORBED, REJECTED, REFUSED)

AGREES: Final = "agrees"
DIFFERS: Final = "differs"
OBSERVATION_RESULTS: Final = (AGREES, DIFFERS, DUPLICATE, REFUSED)
"""What becomes of an observation, in place of an outcome: it is no movement."""


class MovementOutcome(msgspec.Struct, gc=False):
    """The one outcome of one movement; the identity is null where it could not be read."""

    source: str | None
    id: str | None
    sku: str | None
    outcome: Annotated[str, Meta(extra_json_schema={"enum": list(OUTCOMES)})]
    code: Annotated[
        str | None,
        Meta(
            description="Why it was refused; null for every other outcome.",
            extra_json_schema={"enum": [*REFUSED_CODES, None]},
        ),
    ]
