"""How fast a key sells: units of the current and the previous hour of the clock."""

from __future__ import annotations

from engine.contracts.records import KeyRecord, SkuRecord

HOUR = 3_600_000_000  # microseconds


def sold_lately(record: SkuRecord | KeyRecord, now: int) -> int:
    """Return units sold in the current and the previous hour of the clock."""
    if not record.sales:
        return 0
    hour, sold, before = record.sales
    passed = now // HOUR - hour
    if passed == 0:
        return sold + before
    return sold if passed == 1 else 0


def count_sale(record: SkuRecord | KeyRecord, quantity: int, clock: int) -> None:
    """Count units sold, by hours of the clock."""
    now = clock // HOUR
    if record.sales and record.sales[0] == now:
        record.sales[1] += quantity
        return
    before = record.sales[1] if record.sales and record.sales[0] == now - 1 else 0
    record.sales = [now, quantity, before]
