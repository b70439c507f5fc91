"""Rules for an engine that only computes what channels may sell, and leaves the telling to another.

On Kafka the ledger computes quantities and the publish worker holds them back: so the ledger works
under the same rules with nothing that holds back.
"""

from __future__ import annotations

from dataclasses import replace

from engine.rules.model import Channel, Publish
from engine.rules.ruleset import RuleSet


def relaying(rules: RuleSet) -> RuleSet:
    """The rules, with every channel told at once and as often as its quantities change."""
    return RuleSet(
        fingerprint=rules.fingerprint,
        settings=rules.settings,
        channels=[replace(channel, publish=_at_once(channel)) for channel in rules.channels],
        catalogue=rules.catalogue,
        rules=[replace(rule, min_interval=None) for rule in rules.rules],
        relays=True,
        ranked=[channel.name for channel in rules.channels if channel.publish.max_rate is not None],
    )


def _at_once(channel: Channel) -> Publish:
    return Publish(
        min_interval=0,
        max_rate=None,
        max_per_key=None,
        min_change=1,
        low_stock=channel.publish.low_stock,
        max_staleness=channel.publish.max_staleness,
    )
