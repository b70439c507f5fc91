"""Channels, buffer rules, catalogue and settings: what a rules folder says, ready to be asked."""

from engine.rules.loader import load_rules
from engine.rules.mistakes import Mistake, RulesError
from engine.rules.model import (
    Buffer,
    Catalogue,
    Channel,
    Item,
    Kind,
    Location,
    Publish,
    Rate,
    Rule,
    Settings,
)
from engine.rules.plan import ItemClass, Plan, Terms
from engine.rules.ruleset import EVERYWHERE, RuleSet
from engine.rules.setting_values import Setting
from engine.rules.settings import list_settings

__all__ = [
    "EVERYWHERE",
    "Buffer",
    "Catalogue",
    "Channel",
    "Item",
    "ItemClass",
    "Kind",
    "Location",
    "Mistake",
    "Plan",
    "Publish",
    "Rate",
    "Rule",
    "RuleSet",
    "RulesError",
    "Setting",
    "Settings",
    "Terms",
    "list_settings",
    "load_rules",
]
