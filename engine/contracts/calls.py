"""What callers ask of a running engine: bodies of HTTP requests, and the orders made of them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from engine.contracts.limits import (
    MAX_LOCATION_LENGTH,
    MAX_LOOKUP_KEYS,
    MAX_NOTE_LENGTH,
    MAX_QUANTITY,
    MAX_RESERVATION_LENGTH,
    MAX_RESERVATION_LINES,
    MAX_RULES_FILE_NAME_LENGTH,
    MAX_RULES_FILES,
    MAX_SKU_LENGTH,
)

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
_IDENTIFIER: Final = rf"^[^ |{_CONTROL}]([^|{_CONTROL}]*[^ |{_CONTROL}])?\Z"
_TEXT: Final = rf"^[^{_CONTROL}]*\Z"
# The same as JSON Schema writes it: there, `$` is the end of the text.
_IDENTIFIER_SCHEMA: Final = {"pattern": _IDENTIFIER.replace(r"\Z", "$")}
_TEXT_SCHEMA: Final = {"pattern": _TEXT.replace(r"\Z", "$")}

Sku = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_SKU_LENGTH,
        pattern=_IDENTIFIER,
        extra_json_schema=_IDENTIFIER_SCHEMA,
    ),
]
Location = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_LOCATION_LENGTH,
        pattern=_IDENTIFIER,
        extra_json_schema=_IDENTIFIER_SCHEMA,
    ),
]
ReservationName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_RESERVATION_LENGTH,
        pattern=_TEXT,
        extra_json_schema=_TEXT_SCHEMA,
    ),
]
Note = Annotated[
    str, Meta(max_length=MAX_NOTE_LENGTH, pattern=_TEXT, extra_json_schema=_TEXT_SCHEMA)
]
Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

_WORD: Final = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
RULES_FILE_PATTERN: Final = (
    rf"^(channels\.yaml|engine\.yaml|locations\.csv|items\.csv|{_WORD}\.rules\.yaml"
    rf"|tests/{_WORD}\.yaml)$"
)
"""Names of the files that a rules folder is read from, as JSON Schema writes patterns."""


class ReservationLine(msgspec.Struct, gc=False, omit_defaults=True):
    """What is wanted of one SKU, at a location or, without one, wherever the channel sells."""

    sku: Sku
    quantity: Quantity
    location: Location | None = None
    allow_partial: Annotated[
        bool | None, Meta(description="Take what is there when it is less; left out: false.")
    ] = None


class ReservationBody(msgspec.Struct, gc=False, omit_defaults=True):
    """A reservation of one SKU, or of several in `lines`: all of it is taken, or nothing."""

    reservation: Annotated[ReservationName, Meta(description="Unique per SKU, such as a basket.")]
    lines: Annotated[
        Annotated[list[ReservationLine], Meta(min_length=1, max_length=MAX_RESERVATION_LINES)]
        | None,
        Meta(description="Several SKUs, each once; in place of `sku` and `quantity`."),
    ] = None
    sku: Sku | None = None
    quantity: Quantity | None = None
    location: Location | None = None
    channel: Annotated[
        str | None, Meta(description="Whose availability it may use; left out: all stock.")
    ] = None
    policy: Annotated[
        Literal["strict", "force"] | None,
        Meta(description="`force`: already sold elsewhere, always taken; left out: strict."),
    ] = None
    allow_partial: Annotated[
        bool | None, Meta(description="For every line that does not say otherwise.")
    ] = None
    expires_at: Annotated[
        Instant | None, Meta(description="When it ends by itself unless it was confirmed.")
    ] = None
    reason: Note | None = None
    reference: Note | None = None
    correlation_id: Note | None = None


class StepBody(msgspec.Struct, gc=False, omit_defaults=True):
    """A step of a reservation; every field may be left out, and so may the body."""

    occurred_at: Annotated[Instant | None, Meta(description="When it happened; left out: now.")] = (
        None
    )
    reason: Note | None = None
    reference: Note | None = None
    correlation_id: Note | None = None


class ReleaseBody(StepBody, omit_defaults=True):
    """What the customer gives back."""

    quantity: Annotated[Quantity | None, Meta(description="Left out: all of it.")] = None


class AllocateBody(StepBody, omit_defaults=True, kw_only=True):
    """Where an unallocated reservation shall be met from."""

    location: Location


class FulfilBody(StepBody, omit_defaults=True, kw_only=True):
    """The goods that have left the shelf, and where."""

    location: Location
    quantity: Quantity


class LookupKey(msgspec.Struct, gc=False, omit_defaults=True):
    """One key to look up; a location for channels of granularity location only."""

    sku: Annotated[str, Meta(max_length=MAX_SKU_LENGTH)]
    channel: str
    location: Annotated[str, Meta(max_length=MAX_LOCATION_LENGTH)] | None = None


class LookupBody(msgspec.Struct, gc=False):
    """Keys to look up; they are answered in this order."""

    keys: Annotated[list[LookupKey], Meta(max_length=MAX_LOOKUP_KEYS)]


class ReplayBody(msgspec.Struct, gc=False):
    """How a refused movement is mended before it is taken again."""

    set: Annotated[
        dict[str, str | int | bool | None],
        Meta(description="Fields and their new values; null takes a field out."),
    ] = {}
    accept_old: Annotated[
        bool, Meta(description="Take it although nobody can tell whether it was seen before.")
    ] = False


class DismissBody(msgspec.Struct, gc=False):
    """Why an exception is closed."""

    reason: Annotated[str, Meta(min_length=1, max_length=MAX_NOTE_LENGTH)]


class RulesBody(msgspec.Struct, gc=False):
    """The files of a rules folder: `channels.yaml` and any of the others that are read."""

    files: Annotated[
        dict[str, str],
        Meta(
            max_length=MAX_RULES_FILES,
            description="Texts by name: channels.yaml, *.rules.yaml, engine.yaml, locations.csv,"
            " items.csv, tests/*.yaml. engine.yaml, each catalogue file, and the cases as a whole,"
            " stay as they are in the rules folder unless they are sent; an empty text is no file.",
            extra_json_schema={
                "required": ["channels.yaml"],
                "propertyNames": {
                    "maxLength": MAX_RULES_FILE_NAME_LENGTH,
                    "pattern": RULES_FILE_PATTERN,
                },
            },
        ),
    ]


# --- orders: what a runtime is given -----------------------------------------------------------


class Idempotency(msgspec.Struct, gc=False, frozen=True):
    """What a call is known again by: `digest` of who called what under which key, 16 bytes.

    `fingerprint`, 8 bytes, is of what was asked: the same key may not ask for something else.
    """

    digest: bytes
    fingerprint: bytes


class Caller(msgspec.Struct, gc=False, frozen=True):
    """Who calls: the source of the movements made for it, and the channels it may touch.

    `channels` None means all.
    """

    source: str
    channels: frozenset[str] | None = None

    def may_use(self, channel: str | None) -> bool:
        """Whether it may touch what belongs to the channel; None belongs to all of them."""
        return self.channels is None or channel in self.channels


class ReservationOrder(msgspec.Struct, gc=False, frozen=True):
    """A reservation to be taken, whole or not at all; `id` is that of its movements."""

    body: ReservationBody
    lines: list[ReservationLine]
    caller: Caller
    id: str
    idempotency: Idempotency | None = None


class StepOrder(msgspec.Struct, gc=False, frozen=True):
    """A step of a reservation: a movement type, and the fields of its body by their wire names."""

    type: str
    sku: str
    reservation: str
    fields: dict[str, Any]
    caller: Caller
    id: str
    idempotency: Idempotency | None = None
