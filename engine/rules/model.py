"""What a rules folder says, once it is read: channels, catalogue, rules, settings.

Everything here is immutable. Durations and instants are `int` microseconds, quantities `int` base
units, percentages exact fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

DEFAULT_TIMEZONE = "UTC"
"""The timezone of a location that names none (IANA name)."""


class Location(NamedTuple):
    """Attributes of a location; `timezone` is an IANA name."""

    type: str
    region: str
    tags: frozenset[str]
    timezone: str


class Item(NamedTuple):
    """Attributes of a SKU. SKUs with the same attributes share one object."""

    category: str
    brand: str
    tags: frozenset[str]


UNLISTED_LOCATION = Location("", "", frozenset(), DEFAULT_TIMEZONE)
"""Stands for every location that the catalogue does not list: it has no attributes."""
UNLISTED_ITEM = Item("", "", frozenset())
"""Stands for every SKU that the catalogue does not list: it has no attributes."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Attributes of the locations and SKUs that have any."""

    locations: Mapping[str, Location]
    items: Mapping[str, Item]

    def location(self, location: str) -> Location:
        """The attributes of a location, listed or not."""
        return self.locations.get(location, UNLISTED_LOCATION)

    def item(self, sku: str) -> Item:
        """The attributes of a SKU, listed or not."""
        return self.items.get(sku, UNLISTED_ITEM)


@dataclass(frozen=True, slots=True)
class LocationMatch:
    """Conditions on a location: of every kind that is given, one entry must fit."""

    ids: frozenset[str]
    types: frozenset[str]
    regions: frozenset[str]
    tags: frozenset[str]

    @property
    def any_given(self) -> bool:
        """Whether there is a condition at all; without one every location fits."""
        return bool(self.ids or self.types or self.regions or self.tags)

    def fits(self, location: str, attributes: Location) -> bool:
        """Whether the location meets every kind of condition that is given."""
        return (
            (not self.ids or location in self.ids)
            and (not self.types or attributes.type in self.types)
            and (not self.regions or attributes.region in self.regions)
            and (not self.tags or not self.tags.isdisjoint(attributes.tags))
        )


@dataclass(frozen=True, slots=True)
class ItemMatch:
    """Conditions on a SKU: of every kind that is given, one entry must fit."""

    skus: frozenset[str]
    categories: frozenset[str]
    brands: frozenset[str]
    tags: frozenset[str]

    @property
    def any_given(self) -> bool:
        """Whether there is a condition at all; without one every SKU fits."""
        return bool(self.skus or self.categories or self.brands or self.tags)

    def fits(self, sku: str, attributes: Item) -> bool:
        """Whether the SKU meets every kind of condition that is given."""
        return (not self.skus or sku in self.skus) and self.fits_attributes(attributes)

    def fits_attributes(self, attributes: Item) -> bool:
        """Whether the attributes meet the conditions, those that name SKUs left aside."""
        return (
            (not self.categories or attributes.category in self.categories)
            and (not self.brands or attributes.brand in self.brands)
            and (not self.tags or not self.tags.isdisjoint(attributes.tags))
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in any `period` microseconds."""

    count: int
    period: int


@dataclass(frozen=True, slots=True)
class Publish:
    """How a channel wants to be told. Durations in microseconds, the rest in base units."""

    min_interval: int
    max_rate: Rate | None
    max_per_key: Rate | None
    min_change: int
    low_stock: int
    max_staleness: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A place that sells. `index` is its position in the file; `selector` None means everywhere."""

    name: str
    index: int
    by_location: bool
    selector: LocationMatch | None
    retired: bool
    publish: Publish


@dataclass(frozen=True, slots=True)
class Buffer:
    """Stock held back: fixed units, or an exact fraction of a base quantity.

    With `denominator` 0 it is `units`. Otherwise numerator/denominator of the base, rounded up or
    down to whole units, then held between `minimum` and `maximum`.
    """

    units: int = 0
    numerator: int = 0
    denominator: int = 0
    round_up: bool = True
    minimum: int = 0
    maximum: int | None = None

    def amount(self, base: int) -> int:
        """Base units to hold back of `base` (0 or more); may be more than there is."""
        if not self.denominator:
            return self.units
        if self.round_up:
            amount = -(-base * self.numerator // self.denominator)
        else:
            amount = base * self.numerator // self.denominator
        if amount < self.minimum:
            amount = self.minimum
        if self.maximum is not None and amount > self.maximum:
            amount = self.maximum
        return amount


class Kind(StrEnum):
    """The kinds of effect; each is decided on its own among the rules that have it."""

    EXCLUDE = "exclude"
    LOCATION_BUFFER = "location_buffer"
    CHANNEL_BUFFER = "channel_buffer"
    SHARE = "share"
    FLOOR = "floor"
    CAP = "cap"
    MIN_INTERVAL = "min_interval"


class Specificity(NamedTuple):
    """How closely a rule names its keys; compared from the first field to the last."""

    names_skus: bool
    names_locations: bool
    names_item_attribute: bool
    names_location_attribute: bool
    names_channels: bool
    condition_kinds: int


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule, resolved. Compared by identity; a smaller `rank` wins over a larger one.

    `channels` is a bit mask of channel indexes, with every bit set when the rule names none.
    `share` is a fraction of 1 as (numerator, denominator). `begins` is inclusive, `ends` is not.
    """

    name: str
    file: str
    line: int
    note: str
    rank: int
    priority: int
    specificity: Specificity
    channels: int
    items: ItemMatch
    locations: LocationMatch
    begins: int | None
    ends: int | None
    location_buffer: Buffer | None
    channel_buffer: Buffer | None
    share: tuple[int, int] | None
    floor: int | None
    cap: int | None
    exclude: bool | None
    min_interval: int | None

    def in_force(self, instant: int) -> bool:
        """Whether the instant lies in the rule's time box."""
        return (self.begins is None or self.begins <= instant) and (
            self.ends is None or instant < self.ends
        )

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of effect the rule has."""
        effects = (
            (Kind.EXCLUDE, self.exclude),
            (Kind.LOCATION_BUFFER, self.location_buffer),
            (Kind.CHANNEL_BUFFER, self.channel_buffer),
            (Kind.SHARE, self.share),
            (Kind.FLOOR, self.floor),
            (Kind.CAP, self.cap),
            (Kind.MIN_INTERVAL, self.min_interval),
        )
        return tuple(kind for kind, effect in effects if effect is not None)

    def for_channel(self, channel: int) -> bool:
        """Whether the rule applies to the channel with this index."""
        return bool(self.channels >> channel & 1)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done about differences between an observation and the book.

    `in_flight` is in microseconds, `tolerance` and `adjust_up_to` in base units, the fraction
    `percent_numerator` by `percent_denominator` of what was expected. `adjust` are classes.
    """

    in_flight: int
    tolerance: int
    percent_numerator: int
    percent_denominator: int
    adjust: tuple[str, ...]
    adjust_up_to: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The engine's settings, durations in microseconds; `snapshot_every` is None when off."""

    count_window: int
    reservation_window: int
    dedupe_window: int
    max_future: int
    max_jump: int
    publish_tick: int
    drain: int
    snapshot_every: int | None
    erp_window: int
    reconciliation: Policy
