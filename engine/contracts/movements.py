"""The topic `movements`: from the bytes of one line or message to a movement, or to a refusal.

The fast way is one decode in C and a handful of checks. It never decides that something is wrong:
whatever it cannot take at a glance goes the slow way of `movement_examination`, which looks at
everything in the promised order and names the first fault.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from engine.contracts.csv_rows import csv_row_to_json
from engine.contracts.exceptions import Refusal
from engine.contracts.instants import MILLISECOND, parse_instant
from engine.contracts.limits import (
    MAX_CACHED_INSTANTS,
    MAX_CACHED_TEXTS,
    MAX_LOCATION_LENGTH,
    MAX_SKU_LENGTH,
    MAX_SOURCE_LENGTH,
)
from engine.contracts.movement import (
    DAMAGED,
    DISPOSITIONS,
    FORCE,
    INSPECTING,
    MOVEMENT_TYPES,
    POLICIES,
    SELLABLE,
    STRICT,
    Movement,
    encode_content,
    hash_content,
    hash_identity,
    seal,
)
from engine.contracts.movement_examination import examine_line
from engine.contracts.movement_fields import NEEDS

__all__ = [
    "Movement",
    "MovementDecoder",
    "csv_row_to_json",
    "MOVEMENT_TYPES",
    "DISPOSITIONS",
    "SELLABLE",
    "INSPECTING",
    "DAMAGED",
    "POLICIES",
    "STRICT",
    "FORCE",
    "seal",
]

GLANCE_BYTES: Final = 512
"""Longest line of the fast way. It cannot nest deeper than the limit allows, nor be oversize."""

_SECOND_LENGTH: Final = len("2026-11-20T12:00:00")
_KEPT_LENGTH: Final = len("2026-11-20T12:00:00+01:00")
_LEAP_SECOND: Final = ":60"

_TYPES: Final[Mapping[str, str]] = MappingProxyType({name: name for name in MOVEMENT_TYPES})

_PLAIN: Final = frozenset({"sale", "return", "receipt", "expect", "adjustment", "count"})
"""Types that need nothing but the fields that `MovementDecoder.decode` looks at itself."""

_COUNT_PLACE: Final = 2
"""Place of the low byte of the number of fields in an encoded movement: it is a MessagePack
map 16, since the struct has more than 15 fields. Fields that hold their defaults are left out."""

_PLAIN_FIELDS: Final = 7
"""`id`, `source`, `type`, `sku`, `location`, `quantity` and `at`: with 7 there is no other."""

_WITHOUT_LOCATION: Final = frozenset(
    name for name, needs in NEEDS.items() if "location" not in needs.needed
)
_WITHOUT_RESERVATION: Final = frozenset(
    name for name, needs in NEEDS.items() if "reservation" not in needs.needed
)
_DISPOSITIONS_OR_NONE: Final = frozenset({None, *DISPOSITIONS})


class MovementDecoder:
    """Decodes movements; keeps small caches of texts that come again, so make one and keep it.

    `channels` are the names that a movement's `channel` may have.
    """

    __slots__ = (
        "_channels",
        "_decode",
        "_instants",
        "_last_instant",
        "_last_time",
        "_locations",
        "_milliseconds",
        "_seconds",
        "_skus",
        "_sources",
    )

    def __init__(self, channels: Collection[str]) -> None:
        self._channels = frozenset(channels)
        self._decode = msgspec.json.Decoder(Movement).decode
        self._instants: dict[str, int] = {}
        self._last_time = "1970-01-01T00:00:00Z"
        self._last_instant = 0
        self._seconds: dict[str, int] = {}
        self._milliseconds = {f".{count:03}Z": count * MILLISECOND for count in range(1000)}
        self._skus: dict[str, str] = {}
        self._locations: dict[str, str] = {}
        self._sources: dict[str, str] = {}

    def decode(self, line: bytes) -> Movement | Refusal:
        """The movement that the line says, or why it is refused.

        `line` has no byte order mark and need not end with a newline. Never raises.
        """
        if len(line) > GLANCE_BYTES:
            return examine_line(line, self._channels)
        try:
            if not line.isascii():
                line.decode()
            movement = self._decode(line)
            # Texts that come again are kept once: each is hashed once, and compared at a glance.
            movement.type = type_ = _TYPES[movement.type]
            source = self._sources.get(movement.source) or self._new_source(movement.source)
            sku = self._skus.get(movement.sku) or self._new_sku(movement.sku)
            movement.source, movement.sku = source, sku
            location, quantity = movement.location, movement.quantity
            if location is not None:
                movement.location = self._locations.get(location) or self._new_location(location)
            elif type_ not in _WITHOUT_LOCATION:
                return examine_line(line, self._channels)
            identity = movement.id
            # One expression, because this runs for every movement. The length of `id` and the
            # outer range of `quantity` are in the struct.
            if not (
                identity.isprintable()
                and (
                    (quantity is not None and quantity > 0) or _is_unusual_quantity(type_, quantity)
                )
            ):
                return examine_line(line, self._channels)
            text = movement.occurred_at
            if text != self._last_time:
                known = self._instants.get(text)
                self._last_instant = self._new_instant(text) if known is None else known
                self._last_time = text
            movement.at = self._last_instant
            movement.occurred_at = ""
            content = encode_content(movement)
            if content[_COUNT_PLACE] == _PLAIN_FIELDS and type_ in _PLAIN:
                movement.content = hash_content(content)
                movement.identity = hash_identity(f"{source}\0{identity}\0{sku}".encode())
                return movement
            if self._accept_more(movement):
                seal(movement)
                return movement
        except (msgspec.MsgspecError, KeyError, ValueError, OverflowError, RecursionError):
            pass  # the slow way finds the fault again and names it
        return examine_line(line, self._channels)

    def _accept_more(self, movement: Movement) -> bool:
        """Whether the fields that few movements have are right; if so, they are normalised."""
        type_ = movement.type
        movement.schema = None  # a number other than 1 did not pass the struct
        return (
            type_ in NEEDS
            and (movement.correlation_id is None or movement.correlation_id.isprintable())
            and (movement.reason is None or movement.reason.isprintable())
            and (movement.reference is None or movement.reference.isprintable())
            and (
                (
                    movement.to_location is None
                    and movement.from_location is None
                    and type_ != "transfer"
                )
                or self._are_places_right(movement)
            )
            and (
                (
                    movement.disposition is None
                    and movement.from_ is None
                    and movement.to is None
                    and type_ != "reclassify"
                )
                or _accept_dispositions(movement)
            )
            and self._accept_reservation(movement)
        )

    def _are_places_right(self, movement: Movement) -> bool:
        from_location, to_location = movement.from_location, movement.to_location
        if from_location is not None:
            if from_location not in self._locations:
                self._new_location(from_location)
            if movement.type == "receipt" and from_location == movement.location:
                return False
        if to_location is None:
            return movement.type != "transfer"
        if to_location not in self._locations:
            self._new_location(to_location)
        return movement.type != "transfer" or to_location != movement.location

    def _accept_reservation(self, movement: Movement) -> bool:
        reservation = movement.reservation
        if reservation is None:
            if movement.type not in _WITHOUT_RESERVATION:
                return False
        elif not reservation.isprintable():
            return False
        channel = movement.channel
        if channel is not None and not self._is_channel_right(movement.type, channel):
            return False
        policy = movement.policy
        if policy == STRICT:
            movement.policy = None
        elif policy is not None and policy != FORCE:
            return False
        if movement.allow_partial is False:
            movement.allow_partial = None
        text = movement.expires_at
        if text is None:
            movement.expires = None
            return True
        instant = self._instants.get(text)
        movement.expires = self._new_instant(text) if instant is None else instant
        movement.expires_at = None
        return True

    def _is_channel_right(self, type_: str, channel: str) -> bool:
        """Whether a channel is configured; it counts on a reserve only, elsewhere it is a text."""
        return channel in self._channels or (type_ != "reserve" and channel.isprintable())

    # Texts that come again are looked at once. A ValueError says that the slow way has to look.

    def _new_source(self, text: str) -> str:
        if not (0 < len(text) <= MAX_SOURCE_LENGTH and text.isprintable()):
            raise ValueError(text)
        return _keep_text(self._sources, text)

    def _new_sku(self, text: str) -> str:
        if not _is_identifier(text, MAX_SKU_LENGTH):
            raise ValueError(text)
        return _keep_text(self._skus, text)

    def _new_location(self, text: str) -> str:
        if not _is_identifier(text, MAX_LOCATION_LENGTH):
            raise ValueError(text)
        return _keep_text(self._locations, text)

    def _new_instant(self, text: str) -> int:
        """The instant of a time that is not kept.

        Whole seconds are kept as they are. Times with milliseconds seldom come again, but many
        share their second, so these are put together from the two.

        Raises:
            ValueError: it is no time.
        """
        milliseconds = self._milliseconds.get(text[_SECOND_LENGTH:])
        if milliseconds is None:
            instant = parse_instant(text)
            if len(text) <= _KEPT_LENGTH:
                _keep(self._instants, text, instant)
            return instant
        second = text[:_SECOND_LENGTH]
        start = self._seconds.get(second)
        if start is None:
            start = parse_instant(second + "Z")
            if second.endswith(_LEAP_SECOND):
                return start
            _keep(self._seconds, second, start)
        return start + milliseconds


def _keep(instants: dict[str, int], text: str, instant: int) -> None:
    if len(instants) >= MAX_CACHED_INSTANTS:
        instants.clear()
    instants[text] = instant


def _keep_text(texts: dict[str, str], text: str) -> str:
    if len(texts) >= MAX_CACHED_TEXTS:
        texts.clear()
    texts[text] = text
    return text


def _is_identifier(text: str, longest: int) -> bool:
    return (
        0 < len(text) <= longest
        and text.isprintable()
        and "|" not in text
        and text[0] != " "
        and text[-1] != " "
    )


def _is_unusual_quantity(type_: str, quantity: int | None) -> bool:
    """Whether a type takes a quantity that is 0, negative or missing."""
    needs = NEEDS.get(type_)
    if needs is None:
        return False
    return "quantity" not in needs.needed if quantity is None else needs.allows(quantity)


def _accept_dispositions(movement: Movement) -> bool:
    disposition, from_, to = movement.disposition, movement.from_, movement.to
    if disposition == SELLABLE:
        movement.disposition = None
    elif disposition not in _DISPOSITIONS_OR_NONE:
        return False
    if from_ not in _DISPOSITIONS_OR_NONE or to not in _DISPOSITIONS_OR_NONE:
        return False
    return movement.type != "reclassify" or (from_ is not None and to is not None and from_ != to)
