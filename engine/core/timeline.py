"""What falls due as the clock moves: expiries, rule edges, ticks, snapshots, posting windows.

It all happens in order of time; at one instant: expiries, then rule edges, then the tick.
"""

from __future__ import annotations

import msgspec

from engine.contracts import records
from engine.contracts.instants import format_instant
from engine.contracts.records import Trace
from engine.core.figures import Sweep
from engine.core.parts import EVENT, Parts
from engine.ledger import reservations
from engine.ledger.book import Sku

SWEEP_SKUS = 2_000  # SKUs looked at again at once after the rules have changed
FORGET_EVERY = 3_600_000_000  # microseconds of the clock between two looks for what to forget


def advance(parts: Parts, to: int) -> bool:
    """Let the clock reach `to`, and do what falls due on the way.

    Returns False when it stopped early because what follows has to see the state committed.
    """
    standing, book = parts.standing, parts.book
    if standing.last_tick is None:
        _begin(parts, to)
        return True
    if to < book.clock:
        return True
    book_entries(parts)
    while True:
        due = next_due(parts)
        if due is None or due > to:
            break
        if not _happen(parts, due):
            return False
    book.clock = to
    tick = parts.settings.publish_tick
    standing.last_tick = max(standing.last_tick, to - to % tick)
    if _horizon(parts) - standing.forgotten_until >= FORGET_EVERY:
        _forget_reservations(parts)
    parts.set_boundary()
    return True


def _begin(parts: Parts, instant: int) -> None:
    """The clock begins to run."""
    standing, settings = parts.standing, parts.settings
    parts.book.clock = standing.clock = standing.rules_from = instant
    standing.last_tick = instant - instant % settings.publish_tick
    standing.forgotten_until = _horizon(parts)
    every = settings.snapshot_every
    standing.next_snapshot = None if every is None else instant - instant % every + every
    parts.use_plan()
    parts.set_boundary()


def next_due(parts: Parts) -> int | None:
    """Return the next instant at which something falls due; the clock must run."""
    last = parts.standing.last_tick
    assert last is not None, "nothing falls due before the clock runs"
    # One comparison after the other: this is asked twice for every tick of a replay.
    due = next_tick(parts, last)
    expiry = parts.book.expiries.next
    for other in (parts.window.end, parts.next_edge, _next_cut(parts, last), expiry):
        if other is not None and (due is None or other < due):
            due = other
    return due


def next_tick_on_the_way(parts: Parts) -> int:
    """Return the tick on which it shows what the next that falls due has changed."""
    due = next_due(parts)
    assert due is not None, "something is to be published"
    tick = parts.settings.publish_tick
    return -(-due // tick) * tick


def next_tick(parts: Parts, last: int) -> int | None:
    """Return the next tick after the last one at which something may be published."""
    if parts.book.dirty or parts.standing.sweep is not None:
        return last + parts.settings.publish_tick
    return parts.publisher.next_due(last)


def _next_cut(parts: Parts, last: int) -> int | None:
    """Return the tick, after the last one, of the next snapshot."""
    standing, tick = parts.standing, parts.settings.publish_tick
    if standing.snapshot_ordered:
        return last + tick
    if standing.next_snapshot is None or parts.settings.snapshot_every is None:
        return None
    return max(-(-standing.next_snapshot // tick) * tick, last + tick)


def _happen(parts: Parts, due: int) -> bool:
    """Do what falls due at the instant; False when a commit has to come before the rest."""
    standing, book, tick = parts.standing, parts.book, parts.settings.publish_tick
    book.clock = max(book.clock, due)
    # Nothing fell due before, so the ticks before have passed.
    before = (due - 1) - (due - 1) % tick
    last = max(standing.last_tick or before, before)
    standing.last_tick = last
    reservations.expire_due(book, due)
    if parts.next_edge is not None and parts.next_edge <= due:
        parts.begin_epoch(parts.next_edge)
        return False
    if parts.window.end is not None and parts.window.end <= due:
        close_window(parts)
    if due % tick or due <= last:
        return True
    cut = _next_cut(parts, last)
    if standing.sweep is not None and _sweep(parts, due) and standing.clock_mode == EVENT:
        # Nobody waits for this tick: it publishes all that the rules change, and the commits
        # between keep the memory small. By the wall clock, the others go with later ticks.
        return False
    parts.publisher.tick(due)
    standing.last_tick = due
    parts.ticked = True
    if cut is None or cut > due:
        return True
    standing.cut = due
    return False


def cut_written(parts: Parts, snapshots: int) -> None:
    """Note that the snapshots of `standing.cut` are written."""
    standing, every = parts.standing, parts.settings.snapshot_every
    cut = standing.cut
    assert cut is not None, "a snapshot was due"
    standing.cut = None
    standing.snapshot_ordered = False
    standing.figures.snapshots += snapshots
    standing.next_snapshot = None if every is None else cut - cut % every + every


def book_entries(parts: Parts) -> None:
    """Book the stock changes since the last call into the posting window."""
    book = parts.book
    if book.entries:
        parts.window.book(book.entries, book.clock)
        book.entries = []


def close_window(parts: Parts) -> None:
    """Post what the open window holds."""
    book_entries(parts)
    standing = parts.standing
    documents = parts.window.close(standing.posting_number + 1, parts.settings.erp_window)
    standing.posting_number += len(documents)
    parts.postings.extend(documents)
    parts.window_closed = True


def close_windows(parts: Parts) -> None:
    """Post all that is booked, also of windows that are still to come."""
    close_window(parts)
    while parts.window.start is not None:
        close_window(parts)


# --- after the rules have changed --------------------------------------------------------------


def _rule_trace(parts: Parts) -> Trace:
    since = parts.standing.rules_from or 0
    return ("rules", f"edge:{format_instant(since)}", None, "rules", None, None, since)


def _sweep(parts: Parts, due: int) -> bool:
    """Look again at SKUs of which the rules have changed; return whether some are left."""
    parts.publisher.look_again(due, _next_to_sweep(parts), _rule_trace(parts))
    return parts.standing.sweep is not None


def _next_to_sweep(parts: Parts) -> list[Sku]:
    """Return SKUs that have not been looked at since the rules changed, some thousand at most."""
    standing, book = parts.standing, parts.book
    assert standing.sweep is not None, "the rules have changed"
    found: list[Sku] = []
    for name, stored in parts.reader.scan(records.SKU, standing.sweep.cursor):
        sku = book.adopt(name[1:].decode(), stored)
        # Dirty ones are looked at on this tick anyway. Whether new ones are in the store yet is up
        # to where batches were cut, so they may not count: nor those that only rejected or refused
        # movements have named, of which no channel is told.
        record = sku.record
        looked_at = record.epoch == standing.epoch and not record.everywhere
        if sku.dirty or looked_at or not record.trail:
            continue
        if len(found) == SWEEP_SKUS:
            standing.sweep = Sweep(name, standing.sweep.since)
            return found
        found.append(sku)
    standing.sweep = None
    return found


# --- reservations that nobody needs to remember ------------------------------------------------


def _horizon(parts: Parts) -> int:
    """Return the instant before which what has ended need not be remembered."""
    windows = parts.book.windows
    return parts.book.clock - max(windows.for_reservations, windows.for_identities)


def _forget_reservations(parts: Parts) -> None:
    """Drop the records of reservations that ended, or began early, too long ago."""
    book, horizon = parts.book, _horizon(parts)
    start = records.numbered(records.FORGET, max(0, parts.standing.forgotten_until))
    parts.standing.forgotten_until = horizon
    for name, stored in parts.reader.scan(records.FORGET, start):
        if int.from_bytes(name[1:9], "big") >= horizon:
            break
        for sku_name, reservation in msgspec.msgpack.decode(stored):
            book.forget_reservation(book.sku(sku_name), reservation)
        parts.forgotten.append(name)
