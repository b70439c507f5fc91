"""One call as a route sees it: who calls, what is asked, and the body within its limits."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.responses import Response

from engine.api.errors import InvalidError, MalformedError, MediaTypeError, SlowError, TooLargeError
from engine.api.keyring import Principal
from engine.api.runtime import Runtime
from engine.contracts.calls import Idempotency
from engine.contracts.errors import NotFoundError

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
NOT_MODIFIED: Final = 304
SMALL_BODY_BYTES: Final = 1024 * 1024
BODY_SECONDS: Final = 10.0
"""The longest time from the headers to the end of the body."""
MAX_PARAMETERS: Final = 1_200
MAX_IDEMPOTENCY_KEY_LENGTH: Final = 200
_ETAG: Final = re.compile(r'"[^"]*"')
_IDEMPOTENCY_KEY: Final = re.compile(f"[!-~]{{1,{MAX_IDEMPOTENCY_KEY_LENGTH}}}")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Parsed = TypeVar("_Parsed")


@dataclass(slots=True)
class Call:
    """One call. `path` holds the path's parameters, decoded; `query` what its type makes of it.

    `name` is unique among all calls; `request_id` is it too, unless the caller has given its own.
    """

    runtime: Runtime
    principal: Principal
    headers: Sequence[tuple[bytes, bytes]]
    path: Mapping[str, str]
    query: Any
    body: bytes
    media_type: str
    operation: str
    name: str = ""
    request_id: str = ""
    summary: str = ""

    def header(self, name: bytes) -> str | None:
        """Return a header."""
        return header(self.headers, name)

    @property
    def origin(self) -> str:
        """Where movements of this call come from, as exceptions tell it."""
        return f"http:{self.principal.name}:{self.request_id}"


def header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the first header of the name, in small letters."""
    for found, value in headers:
        if found == name:
            return value.decode("latin-1")
    return None


def is_known(call: Call, tag: str) -> bool:
    """Return whether the caller has what the ETag stands for already, by If-None-Match.

    Compared weakly, as RFC 9110 asks for: `W/` makes no difference.
    """
    told = [value.decode("latin-1") for name, value in call.headers if name == b"if-none-match"]
    if any(value.strip() == "*" for value in told):
        return True
    return tag.removeprefix("W/") in {one for value in told for one in _ETAG.findall(value)}


# --- bodies ------------------------------------------------------------------------------------


def media_type_of(headers: Sequence[tuple[bytes, bytes]], taken: Sequence[str]) -> str:
    """Return the media type of the body, in small letters and without parameters.

    Raises:
        MediaTypeError: it is none of those that are taken, or the body is packed.
    """
    encoding = header(headers, b"content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise MediaTypeError(
            f"the body is packed with {encoding!r}", "Send it as it is, without Content-Encoding."
        )
    told = header(headers, b"content-type")
    media_type = "" if told is None else told.partition(";")[0].strip().lower()
    if media_type not in taken:
        found = f"the body is {media_type!r}" if media_type else "the body has no Content-Type"
        raise MediaTypeError(found, f"Send it as {' or '.join(taken)}.")
    return media_type


async def read_body(receive: Receive, headers: Sequence[tuple[bytes, bytes]], limit: int) -> bytes:
    """Read the body.

    Raises:
        TooLargeError: it is longer than the limit, in bytes.
        SlowError: it did not come in time, or the caller has gone.
    """
    told = header(headers, b"content-length")
    if told is not None and told.isdigit() and int(told) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_whole(receive, limit)
    except TimeoutError as error:
        raise SlowError(
            f"the body did not come within {BODY_SECONDS:.0f} s",
            "Nothing was taken. Send the whole body at once.",
        ) from error


async def _read_whole(receive: Receive, limit: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and message["type"] == "http.request":
        if len(body) > limit:
            raise _too_large(limit)
        return body
    pieces = [body]
    size = len(body)
    while message["type"] == "http.request" and message.get("more_body", False):
        if size > limit:
            raise _too_large(limit)
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
    if message["type"] != "http.request":
        raise SlowError("the caller went before the body was whole", "Nothing was taken.")
    if size > limit:
        raise _too_large(limit)
    return b"".join(pieces)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        f"the body is longer than {limit:,} bytes", "Nothing was taken. Send it in several calls."
    )


def parse_body(call: Call, decoder: msgspec.json.Decoder[_Parsed]) -> _Parsed:
    """Decode a body of JSON.

    Raises:
        MalformedError: it is no JSON.
        InvalidError: it is not what the call takes.
    """
    try:
        try:
            return decoder.decode(call.body)
        except msgspec.ValidationError:
            return _parse_whole_numbers(call.body, decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(
            f"the body is no JSON: {error}", "Send one JSON value in UTF-8."
        ) from error


def _parse_whole_numbers(body: bytes, kind: type[_Parsed]) -> _Parsed:
    """Decode a body once more, with `5.0` for 5: JSON Schema takes the one for the other.

    Raises:
        InvalidError: it is not what the call takes, however one writes its numbers.
    """
    value = _with_whole_numbers(msgspec.json.decode(body))
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise invalid(error) from error


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_whole_numbers(one) for one in value]
    if isinstance(value, dict):
        return {name: _with_whole_numbers(one) for name, one in value.items()}
    return value


def invalid(error: msgspec.ValidationError, parameter: bool = False) -> InvalidError:
    """The error for what msgspec has found: its message ends with the path, ` - at `$.a[0]``."""
    message, _, path = str(error).partition(" - at `")
    keys = path.rstrip("`").removeprefix("$")
    place = keys.replace("[", ".").replace("]", "").replace(".", "/")
    pointer = "?" + place.split("/")[1] if parameter and place else place
    what = message[:1].lower() + message[1:]
    where = f"at {pointer}: " if pointer else ""
    return InvalidError(
        f"{where}{what}", "See the call in /openapi.json, with an example.", pointer
    )


# --- parameters --------------------------------------------------------------------------------


def path_of(encoded: Mapping[str, str]) -> dict[str, str]:
    """Decode the parameters of a path.

    Raises:
        NotFoundError: one is not UTF-8, or holds what nothing can be named by.
    """
    found = {}
    for name, text in encoded.items():
        try:
            found[name] = unquote(text, errors="strict")
        except UnicodeDecodeError as error:
            raise NotFoundError(
                f"the {name} in the path is not UTF-8", "Encode it with percent signs in UTF-8."
            ) from error
    return found


def parse_query(query: bytes, kind: type[_Parsed], many: frozenset[str]) -> _Parsed:
    """Read the query into a struct; the parameters named in `many` may be given several times.

    Raises:
        InvalidError: a parameter is not what the call takes, or given twice.
    """
    values: dict[str, Any] = {}
    if query:
        for name, value in _pairs(query):
            if name in many:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise InvalidError(f"{name} is given twice", "Give it once.", f"?{name}")
            else:
                values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error, parameter=True) from error


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except UnicodeDecodeError as error:
        raise InvalidError(
            "the query is not UTF-8", "Encode it with percent signs in UTF-8.", "?"
        ) from error
    except ValueError as error:
        raise InvalidError(
            f"the query has more than {MAX_PARAMETERS} parameters",
            "Send the keys in the body of POST /v1/availability/lookup.",
            "?",
        ) from error


def idempotency_of(call: Call, asked: msgspec.Struct) -> Idempotency | None:
    """What the call is known again by, from its header `Idempotency-Key`.

    Raises:
        InvalidError: the key is empty, too long or not plain ASCII.
    """
    key = call.header(b"idempotency-key")
    if key is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidError(
            f"Idempotency-Key has {len(key)} characters, or others than letters, digits and signs",
            f"Use 1 to {MAX_IDEMPOTENCY_KEY_LENGTH}, such as a UUID for every new request.",
            "Idempotency-Key",
        )
    who = "\0".join([call.principal.caller.source, call.operation, *call.path.values(), key])
    return Idempotency(
        hashlib.blake2b(who.encode(), digest_size=16).digest(),
        hashlib.blake2b(msgspec.msgpack.encode(asked), digest_size=8).digest(),
    )


def json_response(
    told: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(told), status, headers, JSON)
