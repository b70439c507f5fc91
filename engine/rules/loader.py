"""Reads a rules folder: all of it or, with every mistake told at once, nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.rules.building import build_channel, build_rules
from engine.rules.catalogue import read_catalogue
from engine.rules.fingerprint import fingerprint
from engine.rules.mistakes import Mistakes, RulesError
from engine.rules.replacing import settled
from engine.rules.ruleset import RuleSet
from engine.rules.settings import read_settings
from engine.rules.sources import (
    check_file_names,
    granularities,
    read_channels,
    read_engine_file,
    read_rules,
)

NO_OVERRIDES: Mapping[str, str] = {}


def load_rules(folder: Path, overrides: Mapping[str, str] = NO_OVERRIDES) -> RuleSet:
    """The rule set of a folder.

    `overrides` lay settings over those of `engine.yaml`: texts by dotted name, such as
    `{"publish_tick": "500ms", "snapshot.every": "off"}`.

    Raises:
        RulesError: the folder has mistakes; the error holds all of them.
    """
    mistakes = Mistakes()
    rules = collect_rules(folder, overrides, mistakes)
    if rules is None:
        raise RulesError(str(folder), mistakes.found)
    return rules


def collect_rules(folder: Path, overrides: Mapping[str, str], mistakes: Mistakes) -> RuleSet | None:
    """The rule set of a folder; None, with every mistake noted, when there is any."""
    if not folder.is_dir():
        remedy = "Name a folder that holds channels.yaml and *.rules.yaml."
        mistakes.add(str(folder), 0, "there is no such folder", remedy)
        return None
    folder = settled(folder)
    check_file_names(folder, mistakes)
    settings = read_settings(read_engine_file(folder, mistakes), overrides, mistakes)
    entries = read_channels(folder, mistakes)
    catalogue = read_catalogue(folder, mistakes)
    sources = read_rules(folder, granularities(entries), mistakes)
    if mistakes.found or settings is None:
        return None
    channels = [
        build_channel(name, index, reading.entry)
        for index, (name, reading) in enumerate(entries.items())
        if reading is not None
    ]
    rules = build_rules(sources, channels)
    return RuleSet(
        fingerprint=fingerprint(settings, channels, catalogue, rules),
        settings=settings,
        channels=channels,
        catalogue=catalogue,
        rules=rules,
    )
