"""The rules: see those in force, try others on live stock, publish them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from engine.api.call import JSON, NOT_MODIFIED, Call, is_known, json_response, parse_body
from engine.api.errors import ChangedError, InvalidError, UnconditionalError, UnsoundError
from engine.api.freshness import AGE_EXAMPLE, AsOf, Staleness, age_of
from engine.api.operations import TAGS_PATTERN, Answer, Body, Operation
from engine.api.roles import Action
from engine.contracts.answers import FilesTold, MistakeShown, PublishedTold
from engine.contracts.calls import RulesBody
from engine.contracts.limits import (
    MAX_BODY_BYTES,
    MAX_CHANGES_SHOWN,
    MAX_RULES_FILE_BYTES,
    MAX_RULES_FILE_NAME_LENGTH,
    MAX_SHOWN_LENGTH,
)
from engine.embedded.rules_desk import RulesChangedError, RulesOrder
from engine.embedded.rules_trial import TrialWanted
from engine.embedded.what_if import WhatIf
from engine.rules.cases import CasesFailedError
from engine.rules.mistakes import Mistake, RulesError
from engine.rules.replacing import is_read
from engine.rules.shown import RulesShown

DEFAULT_CHANGES: Final = 1_000
ANY: Final = "*"
_TAGS: Final = re.compile(TAGS_PATTERN)
_STRONG_TAG: Final = re.compile(r'(?<!W/)"([^"]*)"')


class WhatIfQuery(msgspec.Struct):
    """What of it."""

    channel: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Only this channel; left out: all."),
    ] = None
    limit: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_CHANGES_SHOWN)],
        Meta(description="Tell so many changes; all are counted."),
    ] = DEFAULT_CHANGES


class WhatIfTold(WhatIf):
    """What would change on live stock if these rules were published."""

    warnings: Annotated[list[MistakeShown], Meta(description="What is allowed and hardly meant.")]
    as_of: AsOf
    staleness_seconds: Staleness


class RulesTold(RulesShown):
    """The rules in force."""

    as_of: AsOf
    staleness_seconds: Staleness


async def get_rules(call: Call) -> Response:
    """Tell the rules in force."""
    found = await call.runtime.rules()
    tag = f'"{found.fingerprint}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if is_known(call, tag):
        return Response(None, NOT_MODIFIED, headers)
    _, taken = call.runtime.freshness()
    told = RulesTold(found.fingerprint, found.channels, found.rules, found.settings, *age_of(taken))
    return json_response(told, headers=headers)


_rules_body: Final = msgspec.json.Decoder(RulesBody)


async def post_what_if(call: Call) -> Response:
    """Tell what would change if other rules were published."""
    query: WhatIfQuery = call.query
    _, taken = call.runtime.freshness()
    try:
        tried = await call.runtime.try_rules(
            TrialWanted(_files_of(call), query.channel, query.limit)
        )
    except RulesError as error:
        raise _mistaken(error) from error
    as_of, staleness = age_of(taken)
    return json_response(
        WhatIfTold(
            **msgspec.structs.asdict(tried.told),
            warnings=_shown(tried.checked.warnings),
            as_of=as_of,
            staleness_seconds=staleness,
        )
    )


async def put_rules(call: Call) -> Response:
    """Publish other rules."""
    settings_too = call.principal.may(Action.CHANGE_SETTINGS)
    order = RulesOrder(_files_of(call), _expected(call), settings_too)
    try:
        done = await call.runtime.publish_rules(order)
    except RulesError as error:
        raise _mistaken(error) from error
    except CasesFailedError as error:
        raise _failed(error) from error
    except RulesChangedError as error:
        raise ChangedError(
            error.title,
            error.message,
            error.advice,
            {"fingerprint": error.fingerprint},
            {"etag": f'"{error.fingerprint}"'},
        ) from error
    call.summary = f"rules {done.fingerprint} in place of {done.before}"
    told = PublishedTold(
        fingerprint=done.fingerprint,
        before=done.before,
        files=FilesTold(list(done.put), list(done.kept), list(done.removed)),
        cases=done.cases,
        warnings=_shown(done.warnings),
    )
    return json_response(told, headers={"etag": f'"{done.fingerprint}"'})


def _files_of(call: Call) -> Mapping[str, bytes]:
    """The files that were sent.

    Raises:
        InvalidError: one has a name that no file of a rules folder has, or is too large.
    """
    body = parse_body(call, _rules_body)
    files = {}
    for name, text in body.files.items():
        pointer = f"/files/{name.replace('~', '~0').replace('/', '~1')}"
        if not is_read(name):
            raise InvalidError(
                f"a rules folder holds no file {name[: 2 * MAX_RULES_FILE_NAME_LENGTH]!r}",
                "Name files channels.yaml, engine.yaml, locations.csv, items.csv, NAME.rules.yaml "
                f"or tests/NAME.yaml, with at most {MAX_RULES_FILE_NAME_LENGTH} characters.",
                pointer,
            )
        data = text.encode()
        if len(data) > MAX_RULES_FILE_BYTES:
            raise InvalidError(
                f"{name} has {len(data):,} bytes, more than {MAX_RULES_FILE_BYTES:,}",
                "Split rules into several files; put a large catalogue into the rules folder "
                "itself and leave it out here.",
                pointer,
            )
        files[name] = data
    return files


def _expected(call: Call) -> frozenset[str] | None:
    """The fingerprints of which one must be in force, by If-Match; None: any.

    Compared strongly, as RFC 9110 asks for: a weak tag matches nothing.

    Raises:
        UnconditionalError: nothing is said of it.
        InvalidError: what is said is no tag.
    """
    told = ", ".join(
        value.decode("latin-1").strip() for name, value in call.headers if name == b"if-match"
    )
    if not told:
        raise UnconditionalError(
            "the call does not say which rules it replaces",
            "Send the ETag of GET /v1/rules as If-Match, so that nobody's change is lost; or "
            "If-Match: * to replace whatever is in force.",
        )
    if not _TAGS.fullmatch(told):
        raise InvalidError(
            f"If-Match is {told[:MAX_SHOWN_LENGTH]!r}, neither * nor tags in quotes",
            "Send the ETag as GET /v1/rules gave it, with its quotes.",
            "If-Match",
        )
    return None if told == ANY else frozenset(_STRONG_TAG.findall(told))


def _mistaken(error: RulesError) -> UnsoundError:
    count = len(error.mistakes)
    return UnsoundError(
        error.title,
        f"{count} mistake{'' if count == 1 else 's'} in the rules: {error.mistakes[0]}",
        "Mend them all: `mistakes` has each with its file, its line and a remedy. Nothing was "
        "changed.",
        {"mistakes": _shown(error.mistakes)},
    )


def _failed(error: CasesFailedError) -> UnsoundError:
    return UnsoundError(
        error.title,
        error.message,
        f"{error.advice} Nothing was published.",
        {
            "failed": [
                {
                    "name": one.name,
                    "file": one.file,
                    "line": one.line,
                    "differences": msgspec.to_builtins(one.differences),
                }
                for one in error.failed
            ]
        },
    )


def _shown(mistakes: Sequence[Mistake]) -> list[MistakeShown]:
    return [MistakeShown(one.file, one.line, one.message, one.remedy) for one in mistakes]


_FILES: Final = {
    "channels.yaml": "channels:\n  web-shop: {publish: {low_stock: 10}}\n",
    "base.rules.yaml": "rules:\n  - {name: shelf buffer, buffer: {percent: 10, min: 2}}\n",
    "peak.rules.yaml": "rules:\n  - name: peak\n    buffer: {percent: 20, round: up}\n"
    "    from: 2026-11-20T00:00:00Z\n    until: 2026-12-01T00:00:00Z\n    priority: 10\n",
}
_BODY: Final = Body(RulesBody, {JSON: {"files": _FILES}}, limit=MAX_BODY_BYTES)
_WARNING: Final = {
    "file": "peak.rules.yaml",
    "line": 2,
    "message": "the rule 'peak' names 'GROCERRY' in categories; the catalogue does not",
    "remedy": "List it there, or correct it. Did you mean 'GROCERY'?",
}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/rules",
        name="getRules",
        tag="Rules",
        summary="See the rules in force",
        description="Channels, rules in the order in which they would win, and settings. The ETag"
        " changes when anything does that matters to a number.",
        handler=get_rules,
        action=Action.SEE_RULES,
        answers={
            200: Answer(
                "The rule set.",
                RulesTold,
                {
                    "fingerprint": "1f0c8f5a2c5d4b7e",
                    "channels": [
                        {
                            "channel": "web-shop",
                            "granularity": "sku",
                            "retired": False,
                            "locations": {"tags": ["ships-online"]},
                            "publish": {
                                "min_interval": "1s",
                                "max_rate": None,
                                "max_per_key": None,
                                "min_change": 1,
                                "low_stock": 10,
                                "max_staleness": "5m",
                            },
                        }
                    ],
                    "rules": [
                        {
                            "name": "shelf buffer",
                            "file": "base.rules.yaml",
                            "line": 2,
                            "note": "",
                            "priority": 0,
                            "when": {"location_types": ["store"]},
                            "from": None,
                            "until": None,
                            "in_force": True,
                            "effects": {"location_buffer": "10% rounded up, at least 2"},
                        }
                    ],
                    "settings": {"publish_tick": "1s"},
                    **AGE_EXAMPLE,
                },
                headers={"ETag": "The rule set's fingerprint."},
            ),
            304: Answer(
                "The rules are those that If-None-Match names.",
                headers={"ETag": "The rule set's fingerprint."},
            ),
        },
    ),
    Operation(
        method="POST",
        path="/v1/rules/what-if",
        name="tryRules",
        tag="Rules",
        summary="See what other rules would change on live stock",
        description="Every key's number under the rules in force and under those that are sent, as"
        " of one moment; nothing is changed. What `sellable rules what-if` shows. One at a time:"
        " while others are tried, 503.",
        handler=post_what_if,
        action=Action.TRY_RULES,
        query=WhatIfQuery,
        query_examples={"limit": 100},
        body=_BODY,
        answers={
            200: Answer(
                "What would change.",
                WhatIfTold,
                {
                    "fingerprint": "9b1f3c22a7d0e4c1",
                    "in_force": "1f0c8f5a2c5d4b7e",
                    "instant": "2026-11-20T09:05:02.450Z",
                    "compared_with": "rules",
                    "keys": 1204,
                    "changed": 1,
                    "channels": [
                        {
                            "channel": "web-shop",
                            "keys": 1204,
                            "changed": 1,
                            "more": 0,
                            "less": 1,
                            "sold_out": 0,
                            "back_in_stock": 0,
                            "available_now": 20480,
                            "available_then": 20477,
                        }
                    ],
                    "changes": [
                        {
                            "sku": "10-0001",
                            "channel": "web-shop",
                            "location": None,
                            "now": 28,
                            "status_now": "in_stock",
                            "then": 25,
                            "status_then": "in_stock",
                            "difference": -3,
                        }
                    ],
                    "warnings": [_WARNING],
                    **AGE_EXAMPLE,
                },
            )
        },
        problems=(409,),
    ),
    Operation(
        method="PUT",
        path="/v1/rules",
        name="putRules",
        tag="Rules",
        summary="Publish rules",
        description="Checked whole, with the cases in tests/; then the rules folder is replaced,"
        " all of it or nothing, and the answer comes when the new rules are in force. If-Match must"
        " name the rules that are replaced.",
        handler=put_rules,
        action=Action.PUBLISH_RULES,
        body=_BODY,
        answers={
            200: Answer(
                "The rules are in force.",
                PublishedTold,
                {
                    "fingerprint": "9b1f3c22a7d0e4c1",
                    "before": "1f0c8f5a2c5d4b7e",
                    "files": {
                        "put": ["base.rules.yaml", "channels.yaml", "peak.rules.yaml"],
                        "kept": ["items.csv", "locations.csv", "tests/base.yaml"],
                        "removed": ["summer.rules.yaml"],
                    },
                    "cases": 12,
                    "warnings": [],
                },
                headers={"ETag": "The rule set's fingerprint."},
            )
        },
        writes=True,
        must_match=True,
    ),
)
