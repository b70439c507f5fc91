"""The engine's settings: declared once, read from `engine.yaml`, overridden from outside."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from engine.contracts.findings import ADJUSTABLE_CLASSES
from engine.contracts.instants import MILLISECOND
from engine.rules.document import Document, Place, Value
from engine.rules.fields import describe
from engine.rules.mistakes import Mistakes, did_you_mean
from engine.rules.model import Policy, Settings
from engine.rules.setting_values import (
    NO_CLASSES,
    OFF,
    Kind,
    Setting,
    SettingFault,
    SettingValue,
    read_value,
)

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
    Setting(
        "reconciliation.in_flight",
        "15m",
        0,
        "How far from its time movements may explain a difference from an observation.",
    ),
    Setting(
        "reconciliation.tolerance",
        "0",
        0,
        "A difference of so many units, or less, needs no action.",
        kind=Kind.UNITS,
    ),
    Setting(
        "reconciliation.tolerance_percent",
        "0",
        0,
        "The same as a percentage of what the book expects; the larger of the two counts.",
        kind=Kind.PERCENT,
    ),
    Setting(
        "reconciliation.adjust",
        NO_CLASSES,
        0,
        f"Classes of findings by which the book is adjusted: {', '.join(ADJUSTABLE_CLASSES)}.",
        kind=Kind.CLASSES,
    ),
    Setting(
        "reconciliation.adjust_up_to",
        "10",
        0,
        "The largest difference, in units, by which the book is adjusted; beyond it is reviewed.",
        kind=Kind.UNITS,
    ),
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
    values = {setting.name: read_value(setting, setting.default) for setting in SETTINGS}
    if document is not None:
        values.update(_from_file(document, mistakes))
    values.update(_from_overrides(overrides, mistakes))
    if len(mistakes.found) > before:
        return None
    return _build(values)


def _build(values: Mapping[str, SettingValue]) -> Settings:
    def whole(name: str) -> int:
        value = values[name]
        assert isinstance(value, int), f"{name} is a duration or a number"
        return value

    percent, adjust = (
        values["reconciliation.tolerance_percent"],
        values["reconciliation.adjust"],
    )
    assert isinstance(percent, Fraction), "it was read as one"
    assert isinstance(adjust, tuple), "it was read as one"
    return Settings(
        count_window=whole("count_window"),
        reservation_window=whole("reservation_window"),
        dedupe_window=whole("dedupe_window"),
        max_future=whole("max_future"),
        max_jump=whole("max_jump"),
        publish_tick=whole("publish_tick"),
        drain=whole("drain"),
        snapshot_every=whole("snapshot.every") or None,
        erp_window=whole("erp.window"),
        reconciliation=Policy(
            in_flight=whole("reconciliation.in_flight"),
            tolerance=whole("reconciliation.tolerance"),
            percent_numerator=percent.numerator,
            percent_denominator=percent.denominator,
            adjust=adjust,
            adjust_up_to=whole("reconciliation.adjust_up_to"),
        ),
    )


def _from_overrides(overrides: Mapping[str, str], mistakes: Mistakes) -> dict[str, SettingValue]:
    values: dict[str, SettingValue] = {}
    for name, text in overrides.items():
        try:
            setting = _find(name)
        except _UnknownSetting as unknown:
            mistakes.add(f"setting {name}", 0, "there is no such setting", unknown.remedy)
            continue
        try:
            values[name] = read_value(setting, text)
        except SettingFault as fault:
            place = f"{setting.flag} or {setting.environment}"
            mistakes.add(place, 0, fault.message, fault.remedy)
    return values


def _from_file(document: Document, mistakes: Mistakes) -> dict[str, SettingValue]:
    values: dict[str, SettingValue] = {}
    for place, value in _leaves(document, mistakes):
        name = ".".join(str(part) for part in place)
        try:
            values[name] = read_value(_find(name), value)
        except SettingFault as fault:
            mistakes.add(document.file, document.line(place), fault.message, fault.remedy)
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
    return any(each.name == f"{group}.every" and each.may_be_off for each in SETTINGS)


class _UnknownSetting(SettingFault):
    """There is no setting of that name."""


def _find(name: str) -> Setting:
    found = next((setting for setting in SETTINGS if setting.name == name), None)
    if found is None:
        names = [setting.name for setting in SETTINGS]
        raise _UnknownSetting(f"the key {name!r} is not known here", did_you_mean(name, names))
    return found
