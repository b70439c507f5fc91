"""Rule sets from the contents that control entries name."""

from __future__ import annotations

import structlog

from engine.kafka.contents import Contents
from engine.kafka.rules_files import load_files
from engine.rules.mistakes import Mistakes, RulesError
from engine.rules.model import Catalogue, Settings
from engine.rules.ruleset import RuleSet
from engine.rules.settings import read_settings


async def read_rules(contents: Contents, name: str) -> RuleSet | None:
    """The rule set that a control entry names, as soon as it is there.

    None, with every mistake told in the log, when it cannot be used: then those in force stay.
    """
    try:
        return load_files(await contents.read(name))
    except RulesError as error:
        log = structlog.get_logger("sellable.rules")
        log.error("rules are broken, those in force stay", content=name, mistakes=str(error))
        return None


def no_rules() -> RuleSet:
    """What holds before the log names any rules: no channels, and the settings' defaults."""
    settings = read_settings(None, {}, Mistakes())
    assert isinstance(settings, Settings), "the defaults of all settings can be used"
    catalogue = Catalogue({}, {})
    return RuleSet(fingerprint="", settings=settings, channels=(), catalogue=catalogue, rules=())
