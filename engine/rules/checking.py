"""`rules check`: all mistakes of a folder, or what is correct and yet hardly meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.rules.case_entries import CASES_FOLDER, Case, read_cases
from engine.rules.catalogue import ITEMS_FILE, LOCATIONS_FILE
from engine.rules.loader import NO_OVERRIDES, collect_rules
from engine.rules.mistakes import Mistake, Mistakes, RulesError, did_you_mean
from engine.rules.model import Catalogue, Channel, Kind, Rule
from engine.rules.replacing import settled
from engine.rules.ruleset import RuleSet
from engine.rules.sources import CHANNELS_FILE, ENGINE_FILE, RULES_SUFFIX

_READ = frozenset({CHANNELS_FILE, ENGINE_FILE, LOCATIONS_FILE, ITEMS_FILE})
_SUFFIXES = frozenset({".yaml", ".yml", ".csv"})
_PER_LOCATION = frozenset({Kind.EXCLUDE, Kind.LOCATION_BUFFER})


@dataclass(frozen=True, slots=True)
class CheckedFolder:
    """A folder without mistakes: its rules, its test cases, and what to look at again."""

    rules: RuleSet
    cases: tuple[Case, ...]
    warnings: tuple[Mistake, ...]


def check_folder(folder: Path, overrides: Mapping[str, str] = NO_OVERRIDES) -> CheckedFolder:
    """Check rules and test cases of a folder.

    Raises:
        RulesError: there are mistakes; the error holds all of them.
    """
    mistakes = Mistakes()
    rules = collect_rules(folder, overrides, mistakes)
    cases = read_cases(settled(folder), rules, mistakes)
    if rules is None or mistakes.found:
        raise RulesError(str(folder), mistakes.found)
    return CheckedFolder(rules, tuple(cases), tuple(sorted(find_warnings(settled(folder), rules))))


def find_warnings(folder: Path, rules: RuleSet) -> Iterator[Mistake]:
    """What is allowed and probably an oversight: names nobody knows, rules without effect."""
    yield from _files_not_read(folder)
    known = _KnownNames(rules.catalogue)
    for channel in rules.channels:
        yield from _doubtful_selector(channel, rules, known)
    for rule in rules.rules:
        yield from _unknown_names(rule, known)
        yield from _without_effect(rule, rules.channels)


def _files_not_read(folder: Path) -> Iterator[Mistake]:
    for path in sorted(folder.iterdir()):
        name = path.name
        if name.startswith(".") or path.suffix not in _SUFFIXES or not path.is_file():
            continue
        if name not in _READ and not name.endswith(RULES_SUFFIX):
            remedy = f"If it holds rules, rename it to {path.stem.split('.')[0]}{RULES_SUFFIX}."
            yield Mistake(name, 0, "the file is not read", remedy)
    for path in sorted(folder.glob(f"*/**/*{RULES_SUFFIX}")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith((".", f"{CASES_FOLDER}/")):
            remedy = "Move it up to where channels.yaml is."
            yield Mistake(name, 0, "the file is not read, since it is in a folder below", remedy)


class _KnownNames:
    """The names that the catalogue knows, by the key of a rule that uses them."""

    def __init__(self, catalogue: Catalogue) -> None:
        locations, items = catalogue.locations, catalogue.items
        there, sold = set(locations.values()), set(items.values())
        self.by_key: Mapping[str, Iterable[str]] = {
            "locations": locations.keys(),
            "location_types": {place.type for place in there} - {""},
            "regions": {place.region for place in there} - {""},
            "location_tags": {tag for place in there for tag in place.tags},
            "skus": items.keys(),
            "categories": {item.category for item in sold} - {""},
            "brands": {item.brand for item in sold} - {""},
            "item_tags": {tag for item in sold for tag in item.tags},
        }
        self._lists_locations = bool(locations)
        self._lists_items = bool(items)

    def missing(self, key: str, names: frozenset[str]) -> list[str]:
        """Which names the catalogue does not have; none where it lists nothing of the kind."""
        of_items = key in ("skus", "categories", "brands", "item_tags")
        if not (self._lists_items if of_items else self._lists_locations):
            return []
        known = self.by_key[key]
        return sorted(name for name in names if name not in known)


def _unknown_names(rule: Rule, known: _KnownNames) -> Iterator[Mistake]:
    for key, names in (
        ("skus", rule.items.skus),
        ("categories", rule.items.categories),
        ("brands", rule.items.brands),
        ("item_tags", rule.items.tags),
        ("locations", rule.locations.ids),
        ("location_types", rule.locations.types),
        ("regions", rule.locations.regions),
        ("location_tags", rule.locations.tags),
    ):
        for name in known.missing(key, names):
            message = f"the rule {rule.name!r} names {name!r} in {key}; the catalogue does not"
            remedy = f"List it there, or correct it. {did_you_mean(name, known.by_key[key])}"
            yield Mistake(rule.file, rule.line, message, remedy)


def _doubtful_selector(channel: Channel, rules: RuleSet, known: _KnownNames) -> Iterator[Mistake]:
    selector = channel.selector
    if selector is None:
        return
    for key, label, names in (
        ("locations", "ids", selector.ids),
        ("location_types", "types", selector.types),
        ("regions", "regions", selector.regions),
        ("location_tags", "tags", selector.tags),
    ):
        for name in known.missing(key, names):
            message = (
                f"the channel {channel.name!r} names {name!r} in {label}; the catalogue does not"
            )
            remedy = f"List it there, or correct it. {did_you_mean(name, known.by_key[key])}"
            yield Mistake(CHANNELS_FILE, 0, message, remedy)
    if not rules.claims_overlap(channel.index, channel.index):
        message = f"the channel {channel.name!r} has no location at all"
        yield Mistake(CHANNELS_FILE, 0, message, "Let its locations: fit one of locations.csv.")


def _without_effect(rule: Rule, channels: tuple[Channel, ...]) -> Iterator[Mistake]:
    """Effects that no channel of the rule can ever feel, although the rule has others."""
    mine = [channel for channel in channels if rule.for_channel(channel.index)]
    some_by_sku = any(not channel.by_location for channel in mine)
    some_by_location = any(channel.by_location for channel in mine)
    for kind in rule.kinds:
        if kind is Kind.CHANNEL_BUFFER:
            felt = some_by_sku and not rule.locations.any_given
        elif kind in _PER_LOCATION or not rule.locations.any_given:
            felt = True
        else:
            felt = some_by_location
        if not felt:
            message = f"the {kind.value.replace('_', ' ')} of the rule {rule.name!r} does nothing"
            remedy = (
                "A buffer of scope channel needs a channel of granularity sku and no conditions "
                "on locations; other effects with such conditions need granularity location."
            )
            yield Mistake(rule.file, rule.line, message, remedy)
