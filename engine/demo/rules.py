"""The rules folder of the demo: catalogue from the data, channels and rules as a retailer has them.

Departments, categories and brands are the data's own. That some stores sell online, their regions
and all channels and rules are invented.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.demo.assortment import tags_of
from engine.demo.source import TIMEZONE, Lines, Products
from engine.demo.stores import (
    CLICK_AND_COLLECT,
    HUB_TYPE,
    SHIPS_ONLINE,
    STORE_TYPE,
    Roles,
    location_name,
    region_of,
)

SHORT_RUN_DAYS = 60  # up to here a snapshot each week, beyond it twice a year

ENGINE_YAML = """\
publish_tick: 1m   # of a whole year; a chain that sells live would say 1s
snapshot: {{every: {every}}}
"""

CHANNELS_YAML = f"""\
# Who sells what, from where, and how often they want to hear of it.
channels:
  web-shop:                      # one number for each product, over all stores that pack parcels
    granularity: sku
    locations: {{tags: [{SHIPS_ONLINE}]}}
    publish: {{min_interval: 15m, max_rate: 100/s, low_stock: 5}}
  amazon-us:                     # packed in the hubs only; small changes may wait three days
    granularity: sku
    locations: {{types: [{HUB_TYPE}]}}
    publish: {{min_interval: 5m, max_rate: 50/s, min_change: 3, low_stock: 2, max_staleness: 72h}}
  walmart:                       # a budget for each listing
    granularity: sku
    locations: {{types: [{HUB_TYPE}]}}
    publish: {{min_interval: 1h, max_rate: 20/s, max_per_key: 4/day, low_stock: 3}}
  click-and-collect:             # one number for each product and store
    granularity: location
    locations: {{tags: [{CLICK_AND_COLLECT}]}}
    publish: {{min_interval: 10m, max_rate: 200/s, min_change: 2, low_stock: 1, max_staleness: 24h}}
"""

BUFFERS_YAML = f"""\
rules:
  - name: last unit stays on the shelf
    when: {{location_types: [{STORE_TYPE}]}}
    buffer: {{units: 1}}
    note: The last unit of a shelf is often the broken one.

  - name: hub picking buffer
    when: {{location_types: [{HUB_TYPE}]}}
    buffer: {{percent: 2, round: up}}
    note: Hubs are counted every night; two percent has been enough.

  - name: fresh needs more room
    when: {{item_tags: [fresh], channels: [web-shop, click-and-collect]}}
    buffer: {{percent: 15, round: up, min: 2, max: 40}}
    priority: 5
    note: Weighed and spoiled goods are told late.

  - name: marketplace safety
    when: {{channels: [amazon-us, walmart]}}
    scope: channel
    buffer: {{percent: 10, round: up, min: 1, max: 20}}
    note: A cancelled marketplace order costs seller rating.

  - name: walmart gets half
    when: {{channels: [walmart]}}
    share: 50

  - name: amazon sees at most 200
    when: {{channels: [amazon-us]}}
    cap: 200
    note: Competitors read our stock there.

  - name: no cosmetics testers
    when: {{categories: [COSMETICS], channels: [web-shop]}}
    floor: 2

  - name: flowers are told hourly
    when: {{categories: [FLORAL]}}
    min_interval: 1h
"""

EXCLUSIONS_YAML = """\
rules:
  - name: fresh is not for marketplaces
    when: {item_tags: [fresh], channels: [amazon-us, walmart]}
    exclude: true

  - name: nothing that is no parcel
    when: {item_tags: [not-a-product], channels: [web-shop, amazon-us, walmart, click-and-collect]}
    exclude: true
    note: Fuel, coupons, postage and the like pass the till but not the parcel counter.
"""

HOLIDAYS_YAML = """\
rules:
  - name: thanksgiving meals
    when: {item_tags: [holiday-meal]}
    buffer: {percent: 20, round: up, min: 1, max: 30}
    from: 2017-11-17T05:00:00Z
    until: 2017-11-27T05:00:00Z
    priority: 10
    note: Shelves are emptied by hand in that week; store operations asked for it.

  - name: christmas seasonals
    when: {item_tags: [seasonal], channels: [web-shop, amazon-us, walmart]}
    buffer: {percent: 25, round: up, min: 1, max: 50}
    from: 2017-12-08T05:00:00Z
    until: 2017-12-26T05:00:00Z
    priority: 20
    note: Walk-in customers first; none of it can be replenished before the day.

  - name: last parcels before christmas
    when: {channels: [amazon-us, walmart], item_tags: [seasonal, holiday-meal]}
    share: 30
    from: 2017-12-21T17:00:00Z
    until: 2017-12-26T05:00:00Z
    priority: 10
"""


def write_rules(folder: Path, lines: Lines, products: Products, roles: Roles) -> None:
    """Writes the rules folder; `folder` is made where it is missing.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    days = (int(lines.sold_at[-1]) - int(lines.sold_at[0])) // 86_400
    every = "7d" if days <= SHORT_RUN_DAYS else "180d"
    _write(folder / "engine.yaml", ENGINE_YAML.format(every=every))
    _write(folder / "channels.yaml", CHANNELS_YAML)
    _write(folder / "buffers.rules.yaml", BUFFERS_YAML)
    _write(folder / "exclusions.rules.yaml", EXCLUSIONS_YAML)
    _write(folder / "holidays.rules.yaml", HOLIDAYS_YAML)
    _write_table(
        folder / "locations.csv",
        ("location", "type", "region", "tags", "timezone"),
        _location_rows(lines, roles),
    )
    _write_table(
        folder / "items.csv",
        ("sku", "category", "brand", "tags"),
        _item_rows(lines, products),
    )


def _location_rows(lines: Lines, roles: Roles) -> Iterable[Sequence[str]]:
    flags = zip(roles.hub.tolist(), roles.ships.tolist(), roles.collects.tolist(), strict=True)
    for number, (hub, ships, collects) in zip(lines.stores.tolist(), flags, strict=True):
        tags = [SHIPS_ONLINE] * ships + [CLICK_AND_COLLECT] * collects
        kind = HUB_TYPE if hub else STORE_TYPE
        yield location_name(number), kind, region_of(number), ";".join(tags), TIMEZONE


def _item_rows(lines: Lines, products: Products) -> Iterable[Sequence[str]]:
    columns = zip(
        lines.products.tolist(),
        products.department,
        products.category,
        products.brand,
        products.kind,
        strict=True,
    )
    for number, department, category, brand, kind in columns:
        yield str(number), department, brand, ";".join(tags_of(department, category, kind))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
