"""What is done about a finding, by the policy in force. Nothing is adjusted unless it says so."""

from __future__ import annotations

from engine.contracts.findings import ADJUSTED, IN_FLIGHT, NO_ACTION, REVIEW
from engine.rules.model import Policy


def action_of(kind: str, difference: int, expected: int, settled: bool, policy: Policy) -> str:
    """The action for a difference of the class `kind`.

    `settled` tells that something newer has settled what lies there: a count, or an observation by
    which the book was adjusted.
    """
    size = abs(difference)
    if settled or kind == IN_FLIGHT or size <= _tolerated(expected, policy):
        return NO_ACTION
    return ADJUSTED if kind in policy.adjust and size <= policy.adjust_up_to else REVIEW


def _tolerated(expected: int, policy: Policy) -> int:
    share = abs(expected) * policy.percent_numerator // policy.percent_denominator
    return max(policy.tolerance, share)
