"""The values of settings: what each kind may be, and how it is read from a text or a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from pydantic_core import PydanticCustomError

from engine.contracts.findings import ADJUSTABLE_CLASSES, FINDING_CLASSES
from engine.contracts.instants import DAY, format_duration, parse_duration
from engine.contracts.limits import MAX_QUANTITY
from engine.rules.document import Value
from engine.rules.fields import describe, read_percent
from engine.rules.mistakes import did_you_mean

LONGEST_WINDOW: Final = 3660 * DAY
"""Longest duration of any setting."""

OFF: Final = frozenset({"off", "false", "no"})
"""Texts that switch a setting off, where that is possible."""

NO_CLASSES: Final = "none"

SettingValue = int | Fraction | tuple[str, ...]


class Kind(Enum):
    """What the value of a setting is: the words for it, and its place holder in help texts."""

    DURATION = ("duration", "TIME")
    UNITS = ("whole number", "UNITS")
    PERCENT = ("percentage", "PERCENT")
    CLASSES = ("classes of findings", "CLASSES")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted name, default, limits and help.

    `default` is written as in `engine.yaml`; `lowest` is in microseconds, of a duration;
    `may_be_off` allows `off` instead of a duration.
    """

    name: str
    default: str
    lowest: int
    help: str
    may_be_off: bool = False
    kind: Kind = Kind.DURATION

    @property
    def type(self) -> str:
        """The type in words, for help texts."""
        return self.kind.value[0] + (" or off" if self.may_be_off else "")

    @property
    def place_holder(self) -> str:
        """What stands for a value in the help of the option: `TIME|off`."""
        return self.kind.value[1] + ("|off" if self.may_be_off else "")

    @property
    def flag(self) -> str:
        """The command line option: `--snapshot-every`."""
        return "--" + self.name.replace(".", "-").replace("_", "-")

    @property
    def environment(self) -> str:
        """The environment variable: `SELLABLE_SNAPSHOT_EVERY`."""
        return "SELLABLE_" + self.name.replace(".", "_").upper()


class SettingFault(Exception):
    """Why a value cannot be used, and what to write; it becomes a mistake and is never seen."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def read_value(setting: Setting, value: Value) -> SettingValue:
    """The value of a setting: microseconds (0: off), units, a fraction of 1, or names of classes.

    Raises:
        SettingFault: it cannot be used.
    """
    return _READERS[setting.kind](setting, value)


def _duration(setting: Setting, value: Value) -> int:
    off = " or off" if setting.may_be_off else ""
    remedy = f"Write a whole number and its unit, such as {setting.default}{off}."
    if not isinstance(value, str):
        found = f"a duration is expected, {describe(value)} was found"
        raise SettingFault(f"{setting.name}: {found}", remedy)
    if setting.may_be_off and value.lower() in OFF:
        return 0
    try:
        duration = parse_duration(value)
    except ValueError:
        raise SettingFault(f"{setting.name}: {describe(value)} is no duration", remedy) from None
    if duration < setting.lowest:
        lowest = format_duration(setting.lowest)
        raise SettingFault(f"{setting.name}: {value} is too short", f"Write {lowest} or more.")
    if duration > LONGEST_WINDOW:
        longest = format_duration(LONGEST_WINDOW)
        raise SettingFault(f"{setting.name}: {value} is too long", f"Write {longest} or less.")
    return duration


def _units(setting: Setting, value: Value) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        units = int(value[: len(str(MAX_QUANTITY)) + 1])
        if units <= MAX_QUANTITY:
            return units
    raise SettingFault(
        f"{setting.name}: a number of base units is expected, {describe(value)} was found",
        f"Write a whole number from 0 to {MAX_QUANTITY:,}, such as {setting.default}.",
    )


def _percent(setting: Setting, value: Value) -> Fraction:
    try:
        return read_percent(value)
    except PydanticCustomError as error:
        raise SettingFault(
            f"{setting.name}: {error.message()}", "Write a number from 0 to 100, such as 2.5."
        ) from None


def _classes(setting: Setting, value: Value) -> tuple[str, ...]:
    names = value
    if isinstance(value, str):
        given = [name.strip() for name in value.split(",")]
        names = [] if given == [NO_CLASSES] else [*given]
    if not isinstance(names, list):
        raise SettingFault(
            f"{setting.name}: a list of classes is expected, {describe(value)} was found",
            f"Write [shrink], or {NO_CLASSES}.",
        )
    return tuple(sorted({_class(setting, name) for name in names}))


def _class(setting: Setting, name: Value) -> str:
    if isinstance(name, str) and name in ADJUSTABLE_CLASSES:
        return name
    if name in FINDING_CLASSES:
        raise SettingFault(
            f"{setting.name}: {name} is never adjusted",
            "What is in flight settles itself, and a reservation that leaks has to be ended. "
            f"Choose from {', '.join(ADJUSTABLE_CLASSES)}.",
        )
    remedy = f"Choose from {', '.join(ADJUSTABLE_CLASSES)}."
    if isinstance(name, str):
        remedy = did_you_mean(name, ADJUSTABLE_CLASSES)
    raise SettingFault(f"{setting.name}: {describe(name)} is no class of findings", remedy)


_READERS: Final[Mapping[Kind, Callable[[Setting, Value], SettingValue]]] = MappingProxyType(
    {
        Kind.DURATION: _duration,
        Kind.UNITS: _units,
        Kind.PERCENT: _percent,
        Kind.CLASSES: _classes,
    }
)
