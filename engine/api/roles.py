"""Who may do what: roles and the actions that each allows. What is not listed is denied."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Action(StrEnum):
    """What a call does."""

    LOOK_UP = "look up availability"
    SEE_STOCK = "see stock"
    EXPLAIN = "explain numbers"
    SEE_CHANNELS = "see how channels stand"
    RESERVE = "take reservations and their steps"
    SEE_RESERVATIONS = "see reservations"
    PUBLISH = "send movements"
    OBSERVE = "send observations"
    SEE_EXCEPTIONS = "see exceptions"
    WORK_EXCEPTIONS = "replay and dismiss exceptions"
    SEE_RULES = "see the rules"
    TRY_RULES = "try other rules on live stock"
    PUBLISH_RULES = "publish rules"
    CHANGE_SETTINGS = "publish settings"
    SEE_METRICS = "see the metrics"


class Role(StrEnum):
    """What a key is for."""

    READER = "reader"
    RESERVER = "reserver"
    PUBLISHER = "publisher"
    MERCHANDISER = "merchandiser"
    OPERATOR = "operator"
    AUDITOR = "auditor"


_SEES_ALL: Final = frozenset(
    {
        Action.LOOK_UP,
        Action.SEE_STOCK,
        Action.EXPLAIN,
        Action.SEE_CHANNELS,
        Action.SEE_RESERVATIONS,
        Action.SEE_EXCEPTIONS,
        Action.SEE_RULES,
        Action.SEE_METRICS,
    }
)

ALLOWED: Final[Mapping[Role, frozenset[Action]]] = MappingProxyType(
    {
        Role.READER: frozenset({Action.LOOK_UP, Action.SEE_CHANNELS}),
        Role.RESERVER: frozenset(
            {Action.LOOK_UP, Action.SEE_CHANNELS, Action.RESERVE, Action.SEE_RESERVATIONS}
        ),
        Role.PUBLISHER: frozenset({Action.PUBLISH, Action.OBSERVE}),
        Role.MERCHANDISER: frozenset(
            {
                Action.LOOK_UP,
                Action.SEE_STOCK,
                Action.EXPLAIN,
                Action.SEE_CHANNELS,
                Action.SEE_RULES,
                Action.TRY_RULES,
                Action.PUBLISH_RULES,
            }
        ),
        Role.OPERATOR: _SEES_ALL
        | {
            Action.WORK_EXCEPTIONS,
            Action.OBSERVE,
            Action.TRY_RULES,
            Action.PUBLISH_RULES,
            Action.CHANGE_SETTINGS,
        },
        Role.AUDITOR: _SEES_ALL,
    }
)

BY_CHANNEL: Final = frozenset({Role.READER, Role.RESERVER})
"""Roles whose keys reach certain channels only."""

BY_SOURCE: Final = frozenset({Role.PUBLISHER})
"""Roles whose keys send movements of certain sources only."""
