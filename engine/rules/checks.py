"""What is wrong with a rule although each of its fields can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.contracts.instants import format_instant
from engine.rules.document import Document, Place
from engine.rules.entries import BufferEntry, Reading, RuleEntry
from engine.rules.mistakes import Mistakes

EFFECTS = ("buffer", "cap", "floor", "share", "exclude", "min_interval")
"""The keys of a rule of which at least one must be given."""


@dataclass(frozen=True, slots=True)
class KnownChannels:
    """What rules are checked against.

    `by_location` tells of each channel whether it sells by location, None where its own entry is
    too faulty to tell; the whole is None where `channels.yaml` could not be read at all.
    """

    by_location: Mapping[str, bool | None] | None


@dataclass(frozen=True, slots=True)
class RuleChecker:
    """Checks the rules of one file; notes a mistake for everything that cannot be meant."""

    document: Document
    channels: KnownChannels
    mistakes: Mistakes

    def check(self, place: Place, reading: Reading[RuleEntry]) -> None:
        """Check one rule, leaving out what depends on fields that could not be read."""
        self._check_name(place, reading)
        self._check_effects(place, reading)
        self._check_buffer(place, reading)
        self._check_time_box(place, reading)
        if reading.sound(("scope",), ("buffer",), ("when",), *((key,) for key in EFFECTS)):
            self._check_location_conditions(place, reading.entry)
            self._check_channel_scope(place, reading.entry)

    def _mistake(self, place: Place, message: str, remedy: str) -> None:
        self.mistakes.add(self.document.file, self.document.line(place), message, remedy)

    def _check_name(self, place: Place, reading: Reading[RuleEntry]) -> None:
        if reading.sound(("name",)) and not reading.entry.name:
            self._mistake(place, "the rule has no name", "Add name: with a name of its own.")

    def _check_effects(self, place: Place, reading: Reading[RuleEntry]) -> None:
        if not reading.sound(*((key,) for key in EFFECTS)):
            return
        entry = reading.entry
        if all(getattr(entry, key) is None for key in EFFECTS):
            label = f"the rule {entry.name!r}" if entry.name else "the rule"
            remedy = f"Add at least one of {', '.join(EFFECTS)}."
            self._mistake(place, f"{label} has no effect", remedy)

    def _check_buffer(self, place: Place, reading: Reading[RuleEntry]) -> None:
        buffer = reading.entry.buffer
        if buffer is None:
            return
        here = (*place, "buffer")
        percent = buffer.percent is not None or not reading.sound(("buffer", "percent"))
        units = buffer.units is not None or not reading.sound(("buffer", "units"))
        if not percent and not units:
            message = "buffer: neither percent nor units is given"
            self._mistake(here, message, "Write {units: 2} or {percent: 10}.")
        elif percent and units:
            message = "buffer: percent and units are both given"
            self._mistake((*here, "units"), message, "Keep one of the two.")
        if reading.sound(("buffer", "min"), ("buffer", "max")):
            self._check_limits(here, buffer, units and not percent)

    def _check_limits(self, here: Place, buffer: BufferEntry, is_fixed: bool) -> None:
        if buffer.min is not None and buffer.max is not None and buffer.min > buffer.max:
            message = f"buffer: min {buffer.min} is more than max {buffer.max}"
            self._mistake((*here, "min"), message, "Swap the two, or take one out.")
        if is_fixed:
            for key in ("min", "max"):
                if getattr(buffer, key) is not None:
                    message = f"buffer: {key} goes with percent, not with units"
                    self._mistake((*here, key), message, f"Take {key} out, or use percent.")

    def _check_time_box(self, place: Place, reading: Reading[RuleEntry]) -> None:
        begins, ends = reading.entry.from_, reading.entry.until
        if begins is None or ends is None or begins < ends:
            return
        message = f"until {format_instant(ends)} is not after from {format_instant(begins)}"
        self._mistake((*place, "until"), message, "Let until lie after from, or swap the two.")

    def _granularities(self, entry: RuleEntry) -> set[bool | None]:
        """Whether the channels that the rule may match sell by location; None: cannot be told."""
        known = self.channels.by_location
        if known is None:
            return {None}
        return {known[name] for name in entry.when.channels or known}

    def _check_location_conditions(self, place: Place, entry: RuleEntry) -> None:
        when = entry.when
        given = [
            key
            for key in ("locations", "location_types", "regions", "location_tags")
            if getattr(when, key)
        ]
        per_location = entry.exclude is not None or (
            entry.buffer is not None and entry.scope == "location"
        )
        has_effect = any(getattr(entry, key) is not None for key in EFFECTS)
        if not given or per_location or not has_effect:
            return
        keys = " and ".join(given)
        only_buffer = all(getattr(entry, key) is None for key in EFFECTS if key != "buffer")
        if only_buffer and not self._names_only_by_location(entry):
            message = (
                f"{keys}: the rule can match nothing, since a buffer of scope channel is taken "
                "from what all locations of a channel have together"
            )
            remedy = f"Take {given[0]} out, or write scope: location."
            self._mistake((*place, "when", given[0]), message, remedy)
            return
        if self._granularities(entry) != {False}:
            return
        message = (
            f"{keys}: the rule can match nothing, since its channels publish one number per SKU "
            "and only exclude and a buffer of scope location look at single locations there"
        )
        remedy = f"Take {given[0]} out, or name a channel of granularity location."
        self._mistake((*place, "when", given[0]), message, remedy)

    def _names_only_by_location(self, entry: RuleEntry) -> bool:
        return bool(entry.when.channels) and self._granularities(entry) == {True}

    def _check_channel_scope(self, place: Place, entry: RuleEntry) -> None:
        if entry.buffer is None or entry.scope != "channel":
            return
        if not self._names_only_by_location(entry):
            return
        message = (
            "scope: a buffer of scope channel does nothing on channels of granularity location, "
            "and the rule names no other"
        )
        remedy = "Write scope: location, or name a channel of granularity sku."
        self._mistake((*place, "scope"), message, remedy)
