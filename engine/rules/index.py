"""Rules indexed by what they name, so that a look-up never walks over all of them.

A rule belongs to one of four groups by its conditions: on nothing but channels (*general*), on
the SKU only, on the location only, or on both. SKUs with the same rules share an `ItemGroup`,
locations with the same rules and channels share a `LocationGroup`; both are made the first time
they are asked for and hold only rules that fit. Which of them is in force is for the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.rules.model import UNLISTED_ITEM, UNLISTED_LOCATION, Catalogue, Item, Location, Rule


class ItemGroup:
    """The rules with conditions on the SKU that fit all SKUs of the group.

    `everywhere`, by rank, have no conditions on the location, `here_and_there` have some.
    """

    __slots__ = ("everywhere", "here_and_there")

    def __init__(self, rules: Iterable[Rule]) -> None:
        split = list(rules)
        self.everywhere = tuple(rule for rule in split if not rule.locations.any_given)
        self.here_and_there = frozenset(rule for rule in split if rule.locations.any_given)


class LocationGroup:
    """What locations with the same rules have in common.

    `channels` is the bit mask of channels whose selector includes them, `any_item`, by rank, the
    rules with conditions on the location only, `some_items` those with conditions on the SKU as
    well.
    """

    __slots__ = ("any_item", "channels", "some_items")

    def __init__(self, rules: Iterable[Rule], channels: int) -> None:
        split = list(rules)
        self.channels = channels
        self.any_item = tuple(rule for rule in split if not rule.items.any_given)
        self.some_items = frozenset(rule for rule in split if rule.items.any_given)


class RuleIndex:
    """All rules of a rule set, in force or not, found by SKU and by location."""

    def __init__(
        self,
        rules: Sequence[Rule],
        catalogue: Catalogue,
        coverage: Callable[[str], int],
        selected: frozenset[str],
    ) -> None:
        """`rules` by rank; `coverage` gives a location's channels as a mask.

        `selected` are the locations that selectors name by id.
        """
        self._rules = rules
        self._catalogue = catalogue
        self._items = catalogue.items
        self._coverage = coverage
        self.general = tuple(
            rule for rule in rules if not rule.items.any_given and not rule.locations.any_given
        )
        self._located = tuple(rule for rule in rules if _only_location(rule))
        self._by_sku = _by_name(rules, _skus)
        self._by_brand = _by_name(rules, _brands)
        self._by_category = _by_name(rules, _categories)
        self._by_item_tag = _by_name(rules, _item_tags)
        self._by_location = _by_name(rules, _location_ids)
        self._by_region = _by_name(rules, _regions)
        self._by_type = _by_name(rules, _location_types)
        self._by_location_tag = _by_name(rules, _location_tags)
        self._known_locations = selected | self._by_location.keys() | catalogue.locations.keys()
        self._plain: dict[Item, ItemGroup] = {}
        self._named: dict[tuple[int, Item], ItemGroup] = {}
        self._item_groups: dict[tuple[int, ...], ItemGroup] = {}
        self._locations: dict[str, LocationGroup] = {}
        self._location_groups: dict[tuple[int, tuple[int, ...]], LocationGroup] = {}
        self._stranger = self._make_location_group("")

    def item_group(self, sku: str) -> ItemGroup:
        """The group of a SKU: two look-ups once its attributes have been met."""
        item = self._items.get(sku, UNLISTED_ITEM)
        named = self._by_sku.get(sku)
        if named is None:
            group = self._plain.get(item)
            if group is None:
                group = self._plain[item] = self._make_item_group(item, (), sku)
            return group
        group = self._named.get((id(named), item))
        if group is None:
            group = self._named[id(named), item] = self._make_item_group(item, named, sku)
        return group

    def location_group(self, location: str) -> LocationGroup:
        """The group of a location; all that nothing names and no catalogue lists share one."""
        group = self._locations.get(location)
        if group is None:
            if location not in self._known_locations:
                return self._stranger
            group = self._locations[location] = self._make_location_group(location)
        return group

    def candidates(self, sku: str, location: str | None) -> list[Rule]:
        """Every rule whose conditions on SKU and location fit, by rank, in force or not.

        Without a location only rules without conditions on one are given.
        """
        group = self.item_group(sku)
        found = [*self.general, *group.everywhere]
        if location is not None:
            there = self.location_group(location)
            found += there.any_item
            found += group.here_and_there & there.some_items
        return by_rank(found)

    def of_item(self, sku: str) -> list[Rule]:
        """Every rule whose conditions on the SKU fit, whatever it says of locations, by rank."""
        group = self.item_group(sku)
        found = [*self.general, *group.everywhere, *group.here_and_there, *self._located]
        return by_rank(found)

    def _make_item_group(self, item: Item, named: tuple[int, ...], sku: str) -> ItemGroup:
        near = set(named)
        near.update(self._by_brand.get(item.brand, ()))
        near.update(self._by_category.get(item.category, ()))
        for tag in item.tags:
            near.update(self._by_item_tag.get(tag, ()))
        fitting = tuple(rank for rank in sorted(near) if self._rules[rank].items.fits(sku, item))
        group = self._item_groups.get(fitting)
        if group is None:
            group = self._item_groups[fitting] = ItemGroup(self._rules[rank] for rank in fitting)
        return group

    def _make_location_group(self, location: str) -> LocationGroup:
        attributes: Location = self._catalogue.locations.get(location, UNLISTED_LOCATION)
        near = set(self._by_location.get(location, ()))
        near.update(self._by_region.get(attributes.region, ()))
        near.update(self._by_type.get(attributes.type, ()))
        for tag in attributes.tags:
            near.update(self._by_location_tag.get(tag, ()))
        rules = self._rules
        fitting = tuple(r for r in sorted(near) if rules[r].locations.fits(location, attributes))
        channels = self._coverage(location)
        group = self._location_groups.get((channels, fitting))
        if group is None:
            group = LocationGroup((rules[rank] for rank in fitting), channels)
            self._location_groups[channels, fitting] = group
        return group


def by_rank(rules: Iterable[Rule]) -> list[Rule]:
    """The rules in the order in which they win."""
    return sorted(rules, key=_rank)


def _rank(rule: Rule) -> int:
    return rule.rank


def _only_location(rule: Rule) -> bool:
    return rule.locations.any_given and not rule.items.any_given


def _by_name(
    rules: Sequence[Rule], names: Callable[[Rule], frozenset[str]]
) -> dict[str, tuple[int, ...]]:
    """Ranks of the rules by each name they are filed under; equal entries are one object.

    So an entry is told apart by its `id`, which costs the same however long it is.
    """
    filed: dict[str, tuple[int, ...]] = {}
    growing: dict[str, list[int]] = {}
    for rule in rules:
        for name in names(rule):
            growing.setdefault(name, []).append(rule.rank)
    shared: dict[tuple[int, ...], tuple[int, ...]] = {}
    for name, ranks in growing.items():
        entry = tuple(ranks)
        filed[name] = shared.setdefault(entry, entry)
    return filed


# A rule is filed under one kind of its conditions on the SKU, the narrowest it has, and under one
# kind of its conditions on the location.


def _skus(rule: Rule) -> frozenset[str]:
    return rule.items.skus


def _brands(rule: Rule) -> frozenset[str]:
    return frozenset() if rule.items.skus else rule.items.brands


def _categories(rule: Rule) -> frozenset[str]:
    items = rule.items
    return frozenset() if items.skus or items.brands else items.categories


def _item_tags(rule: Rule) -> frozenset[str]:
    items = rule.items
    return frozenset() if items.skus or items.brands or items.categories else items.tags


def _location_ids(rule: Rule) -> frozenset[str]:
    return rule.locations.ids


def _regions(rule: Rule) -> frozenset[str]:
    return frozenset() if rule.locations.ids else rule.locations.regions


def _location_types(rule: Rule) -> frozenset[str]:
    where = rule.locations
    return frozenset() if where.ids or where.regions else where.types


def _location_tags(rule: Rule) -> frozenset[str]:
    where = rule.locations
    return frozenset() if where.ids or where.regions or where.types else where.tags
