"""The engine's settings: declared once, read from `engine.yaml`, overridden from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.contracts.instants import DAY, MILLISECOND, format_duration, parse_duration
from engine.rules.document import Document, Place, Value
from engine.rules.fields import describe
from engine.rules.mistakes import Mistakes, did_you_mean
from engine.rules.model import Settings

LONGEST_WINDOW = 3660 * DAY
"""Longest duration of any setting."""

OFF = frozenset({"off", "false", "no"})
"""Texts that switch a setting off, where that is possible."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted name, default, limits and help. All are durations.

    `default` is written as in `engine.yaml`; `lowest` is in microseconds; `may_be_off` allows
    `off` instead of a duration.
    """

    name: str
    default: str
    lowest: int
    help: str
    may_be_off: bool = False

    @property
    def type(self) -> str:
        """The type in words, for help texts."""
        return "duration or off" if self.may_be_off else "duration"

    @property
    def flag(self) -> str:
        """The command line option: `--snapshot-every`."""
        return "--" + self.name.replace(".", "-").replace("_", "-")

    @property
    def environment(self) -> str:
        """The environment variable: `SELLABLE_SNAPSHOT_EVERY`."""
        return "SELLABLE_" + self.name.replace(".", "_").upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "count_window",
        "72h",
        MILLISECOND,
        "How far back a cycle count may lie and still be placed exactly among the movements.",
    ),
    Setting(
        "reservation_window",
        "72h",
        0,
        "How long a step of a reservation that came before its reserve is remembered.",
    ),
    Setting(
        "dedupe_window",
        "72h",
        MILLISECOND,
        "How long the identity of a movement is remembered; older movements are refused.",
    ),
    Setting("max_future", "5m", 0, "How far ahead of the wall clock a movement may lie untouched."),
    Setting(
        "max_jump",
        "31d",
        MILLISECOND,
        "How far a movement may move the event clock ahead at once.",
    ),
    Setting(
        "publish_tick", "1s", MILLISECOND, "Publications happen on whole multiples of this time."
    ),
    Setting("drain", "24h", 0, "How far the event clock goes on, at most, after the input ended."),
    Setting(
        "snapshot.every",
        "24h",
        MILLISECOND,
        "Time between two snapshots, or off.",
        may_be_off=True,
    ),
    Setting("erp.window", "15m", MILLISECOND, "The time that one posting to the ERP sums up."),
)


def list_settings() -> tuple[Setting, ...]:
    """Every setting, so that options and environment variables can be made from them."""
    return SETTINGS


def read_settings(
    document: Document | None, overrides: Mapping[str, str], mistakes: Mistakes
) -> Settings | None:
    """The settings of `engine.yaml` (None: there is none) with the overrides laid over them.

    Overrides go by dotted name, `snapshot.every`, and hold the text as typed. None, with the
    mistakes noted, when any value cannot be used.
    """
    before = len(mistakes.found)
    values = {setting.name: _duration(setting.default) for setting in SETTINGS}
    if document is not None:
        values.update(_from_file(document, mistakes))
    values.update(_from_overrides(overrides, mistakes))
    if len(mistakes.found) > before:
        return None
    return Settings(
        count_window=values["count_window"],
        reservation_window=values["reservation_window"],
        dedupe_window=values["dedupe_window"],
        max_future=values["max_future"],
        max_jump=values["max_jump"],
        publish_tick=values["publish_tick"],
        drain=values["drain"],
        snapshot_every=values["snapshot.every"] or None,
        erp_window=values["erp.window"],
    )


def _from_overrides(overrides: Mapping[str, str], mistakes: Mistakes) -> dict[str, int]:
    values = {}
    for name, text in overrides.items():
        setting = _find(name)
        if setting is None:
            remedy = did_you_mean(name, _names())
            mistakes.add(f"setting {name}", 0, "there is no such setting", remedy)
            continue
        fault = _fault(setting, text)
        if fault:
            mistakes.add(f"setting {name}", 0, *fault)
        else:
            values[name] = _duration(text)
    return values


def _from_file(document: Document, mistakes: Mistakes) -> dict[str, int]:
    values = {}
    for place, value in _leaves(document, mistakes):
        name = ".".join(str(part) for part in place)
        setting = _find(name)
        fault: tuple[str, str] | None
        if setting is None:
            fault = (f"the key {name!r} is not known here", did_you_mean(name, _names()))
        else:
            fault = _fault(setting, value)
        if fault:
            mistakes.add(document.file, document.line(place), *fault)
        else:
            assert isinstance(value, str), "anything else is a fault"
            values[name] = _duration(value)
    return values


def _leaves(document: Document, mistakes: Mistakes) -> list[tuple[Place, Value]]:
    """Place and value of each setting; `snapshot: off` is short for `snapshot: {every: off}`."""
    if document.value is None:
        return []
    if not isinstance(document.value, dict):
        message = f"settings are expected, {describe(document.value)} was found"
        mistakes.add(document.file, 1, message, "Write for example publish_tick: 1s.")
        return []
    groups = {setting.name.split(".")[0] for setting in SETTINGS if "." in setting.name}
    found: list[tuple[Place, Value]] = []
    for key, value in document.value.items():
        if key not in groups:
            found.append(((key,), value))
        elif isinstance(value, dict):
            found += (((key, inner), item) for inner, item in value.items())
        elif isinstance(value, str) and value.lower() in OFF and _may_be_off(key):
            found.append(((key, "every"), value))
        else:
            names = [setting.name for setting in SETTINGS if setting.name.startswith(f"{key}.")]
            message = f"{key}: a block of settings is expected, {describe(value)} was found"
            example = f"{key}: {{{names[0].split('.')[1]}: 15m}}"
            mistakes.add(document.file, document.line((key,)), message, f"Write {example}.")
    return found


def _may_be_off(group: str) -> bool:
    every = _find(f"{group}.every")
    return every is not None and every.may_be_off


def _fault(setting: Setting, value: Value) -> tuple[str, str] | None:
    """What is wrong with a value, and the remedy; None when it can be used."""
    off = " or off" if setting.may_be_off else ""
    remedy = f"Write a whole number and its unit, such as {setting.default}{off}."
    if not isinstance(value, str):
        return f"{setting.name}: a duration is expected, {describe(value)} was found", remedy
    if setting.may_be_off and value.lower() in OFF:
        return None
    try:
        duration = parse_duration(value)
    except ValueError:
        return f"{setting.name}: {describe(value)} is no duration", remedy
    if duration < setting.lowest:
        lowest = format_duration(setting.lowest)
        return f"{setting.name}: {value} is too short", f"Write {lowest} or more."
    if duration > LONGEST_WINDOW:
        longest = format_duration(LONGEST_WINDOW)
        return f"{setting.name}: {value} is too long", f"Write {longest} or less."
    return None


def _duration(text: str) -> int:
    """Microseconds, and 0 for off: what may be off may not be 0."""
    return 0 if text.lower() in OFF else parse_duration(text)


def _find(name: str) -> Setting | None:
    return next((setting for setting in SETTINGS if setting.name == name), None)


def _names() -> list[str]:
    return [setting.name for setting in SETTINGS]
