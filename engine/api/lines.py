"""Bodies of many records, as an array or one on each line, and whether a key may send them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from engine.api.call import NDJSON, Call, invalid
from engine.api.errors import ForbiddenError, InvalidError, MalformedError
from engine.api.keyring import Principal
from engine.contracts.examination import BYTE_ORDER_MARK


class _Sender(msgspec.Struct):
    source: Any = None


_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_sender: Final = msgspec.json.Decoder(_Sender).decode


def read_lines(call: Call, limit: int, noun: str) -> list[bytes]:
    """The records of a body, each as its own JSON; `noun` is what one of them is.

    Raises:
        MalformedError: it is no JSON array, where it should be one.
        InvalidError: there are more than the limit.
        ForbiddenError: the key may not send one of them.
    """
    lines = _split(call, noun)
    if len(lines) > limit:
        raise InvalidError(
            f"there are {len(lines):,} {noun}s, at most {limit:,} are taken",
            "Nothing was taken. Send them in several calls.",
            "",
        )
    _check_sources(call.principal, lines, noun)
    return lines


def _split(call: Call, noun: str) -> list[bytes]:
    body = call.body.removeprefix(BYTE_ORDER_MARK)
    if call.media_type == NDJSON:
        return [line.rstrip(b"\r") for line in body.split(b"\n") if line.strip()]
    try:
        return [bytes(raw) for raw in _decode_array(body)]
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(
            f"the body is no JSON array: {error}",
            f"Nothing was taken. Send an array of {noun}s, or one on each line as {NDJSON}.",
        ) from error


def _check_sources(principal: Principal, lines: Sequence[bytes], noun: str) -> None:
    """Check that the key may send every record whose source can be read."""
    if principal.sends_all:
        return
    for place, line in enumerate(lines):
        try:
            source = _decode_sender(line).source
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # whatever it is, it becomes an exception
        if isinstance(source, str) and not principal.may_send(source):
            raise ForbiddenError(
                f"{noun} {place + 1} is of the source {source!r}, which the key may not send",
                "Nothing was taken. Use a key for this source.",
            )
