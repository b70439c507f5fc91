"""The generated parts of the pages about the HTTP service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus

from engine.api import call, embedded, errors, protocol
from engine.api.application import all_operations
from engine.api.embedded import EmbeddedRuntime
from engine.api.errors import CONFLICTS
from engine.api.kafka.remembered import RedisAwayError
from engine.api.kafka.rules import BrokersAwayError
from engine.api.keys import DEFAULT_RATE
from engine.api.metrics import ServiceMetrics
from engine.api.problems import kind_of
from engine.api.roles import ALLOWED, BY_CHANNEL, BY_SOURCE, Role
from engine.contracts import limits as wire
from engine.contracts.errors import NotFoundError, SellableError
from engine.contracts.instants import HOUR
from engine.embedded.answered import REMEMBERED_FOR, KeyReusedError
from engine.embedded.counter import (
    WAITING_MOVEMENTS,
    NotServingError,
    OverloadedError,
    UnknownOutcomeError,
)
from engine.embedded.dead_letter_desk import StillRefused
from engine.embedded.rules_desk import RulesChangedError, RulesConflictError, SettingsError
from engine.rules.cases import CasesFailedError
from engine.rules.mistakes import RulesError
from tests.docs.tables import table

MIB = 1024 * 1024
KIB = 1024


def calls() -> str:
    """Every call, who may make it, and what it does."""
    return table(
        ("call", "roles", "what"),
        (
            (
                f"`{one.method} {one.path}`",
                "no key needed"
                if one.action is None
                else ", ".join(role for role in Role if one.action in ALLOWED[role]),
                one.summary,
            )
            for one in all_operations(ServiceMetrics(EmbeddedRuntime()))
        ),
    )


def roles() -> str:
    """Every role, what it reaches, and what it may do."""
    return table(
        ("role", "made with", "may"),
        (
            (
                role.value,
                "`--channel`"
                if role in BY_CHANNEL
                else "`--source`"
                if role in BY_SOURCE
                else "nothing more",
                ", ".join(sorted(ALLOWED[role])),
            )
            for role in Role
        ),
    )


def problems() -> str:
    """Every kind of problem, by status."""
    kinds: Iterable[type[SellableError]] = (
        errors.MalformedError,
        errors.UnauthorizedError,
        errors.ForbiddenError,
        NotFoundError,
        errors.SlowError,
        KeyReusedError,
        StillRefused,
        errors.TooLargeError,
        errors.MediaTypeError,
        errors.InvalidError,
        errors.RateError,
        errors.FaultError,
        errors.UnconditionalError,
        CasesFailedError,
        SettingsError,
        RulesChangedError,
        RulesConflictError,
        OverloadedError,
        NotServingError,
        UnknownOutcomeError,
        RedisAwayError,
        BrokersAwayError,
    )
    found = {(kind.http_status, kind.title) for kind in kinds}
    found |= {(int(HTTPStatus.CONFLICT), title) for title in CONFLICTS}
    found.add((int(HTTPStatus.UNPROCESSABLE_ENTITY), RulesError.title))
    found |= {
        (int(status), status.phrase)
        for status in (
            HTTPStatus.METHOD_NOT_ALLOWED,
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        )
    }
    return table(
        ("status", "title", "type"),
        ((str(status), title, f"`{kind_of(title)}`") for status, title in sorted(found)),
    )


def limits() -> str:
    """Every limit, by what it limits."""
    return table(("limit", "how much", "beyond it"), _limits())


def _limits() -> Iterator[tuple[str, ...]]:
    yield "movements of a call", f"{wire.MAX_MOVEMENTS_PER_REQUEST:,}", "422"
    yield "keys of a lookup", f"{wire.MAX_LOOKUP_KEYS:,}", "422"
    yield "lines of a reservation", f"{wire.MAX_RESERVATION_LINES:,}", "422"
    yield "rows of a page", f"{wire.MAX_PAGE_ROWS:,}", "422"
    yield "changes that `POST /v1/rules/what-if` tells", f"{wire.MAX_CHANGES_SHOWN:,}", "422"
    yield "files of a rule set", f"{wire.MAX_RULES_FILES:,}", "422"
    yield "one of these files", f"{wire.MAX_RULES_FILE_BYTES // MIB} MiB", "422"
    yield "characters of its name", f"{wire.MAX_RULES_FILE_NAME_LENGTH:,}", "422"
    yield "rule sets that are tried at a time", "1", "503"
    yield (
        "body of `POST /v1/movements`, `/v1/rules/what-if` and `PUT /v1/rules`",
        f"{wire.MAX_BODY_BYTES // MIB} MiB",
        "413",
    )
    yield "any other body", f"{call.SMALL_BODY_BYTES // MIB} MiB", "413"
    yield "request line and headers", f"{protocol.MAX_HEAD_BYTES // KIB} KiB", "431"
    yield "time of the headers", f"{protocol.HEAD_SECONDS:.0f} s", "408"
    yield "time of the body", f"{call.BODY_SECONDS:.0f} s", "408"
    yield "connections at a time", f"{protocol.MAX_CONNECTIONS:,}", "503"
    yield "movements that wait for the engine", f"{WAITING_MOVEMENTS:,}", "503"
    yield "time in that queue", f"{embedded.WAIT_SECONDS:.0f} s", "503"
    yield "calls of a key", f"{DEFAULT_RATE}, or as it was made", "429"
    yield "answers under idempotency keys", f"{REMEMBERED_FOR // HOUR} h", "409"
