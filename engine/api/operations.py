"""One declaration per call: what is routed, checked, documented and measured follows from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.responses import Response

from engine.api.call import JSON, SMALL_BODY_BYTES, Call
from engine.api.roles import Action

Handler = Callable[[Call], Awaitable[Response]]

IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A new text for every new request, the same for its repetitions: the same"
    " request under the same key is done once, and answered alike for a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "example": "7d2f5c1e-basket-7",
}


TAG: Final = r'(W/)?"[^"]*"'
TAGS_PATTERN: Final = rf"^(\*|{TAG}( ?, ?{TAG})*)$"
"""`*`, or ETags one after another."""
IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of what is to be replaced, or `*` for whatever is there.",
    "schema": {"type": "string", "pattern": TAGS_PATTERN},
    "example": '"1f0c8f5a2c5d4b7e"',
}


class NoQuery(msgspec.Struct):
    """A call without parameters."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a path."""

    name: str
    description: str
    schema: Mapping[str, Any]
    example: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a call takes: the schema's type, an example by media type, a limit in bytes.

    A media type that is the same in another writing has no example of its own (None).
    """

    type: Any
    examples: Mapping[str, Any]
    required: bool = True
    limit: int = SMALL_BODY_BYTES

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types that are taken."""
        return tuple(self.examples)


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers to a call: its type (None: no body), an example, headers by name."""

    description: str
    type: Any = None
    example: Any = None
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. `action` None: everybody may, also without a key. `writes` calls are recorded.

    With `must_match` it says by If-Match what it replaces; `problems` are statuses of errors that
    other calls of its kind do not have.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str
    handler: Handler
    answers: Mapping[int, Answer]
    action: Action | None
    query: type[msgspec.Struct] = NoQuery
    query_examples: Mapping[str, Any] = field(default_factory=dict)
    path_parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    writes: bool = False
    idempotent_by_key: bool = False
    must_match: bool = False
    problems: tuple[int, ...] = ()

    @property
    def lists(self) -> frozenset[str]:
        """The parameters that may be given several times."""
        return frozenset(
            one.encode_name for one in msgspec.structs.fields(self.query) if _is_list(one.type)
        )


def _is_list(kind: Any) -> bool:
    told = msgspec.inspect.type_info(kind)
    if isinstance(told, msgspec.inspect.Metadata):
        told = told.type
    return isinstance(told, msgspec.inspect.ListType)
