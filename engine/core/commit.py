"""One commit: everything that has changed since the last, as records and lines of topics."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.contracts import records
from engine.core.changes import Changes, Output
from engine.core.parts import Parts
from engine.core.timeline import book_entries
from engine.ledger.book import Sku

RESERVATIONS_AT_WORK = 1_000  # per SKU, kept in memory after a commit

_encode = msgspec.msgpack.Encoder().encode


def collect(parts: Parts) -> Changes:
    """Return all that has changed since the last commit; the parts then count as committed."""
    book_entries(parts)
    standing = parts.standing
    standing.commit += 1
    changes = Changes()
    _collect_skus(parts, changes)
    _collect_journals(parts, changes)
    changes.outputs = take_outputs(parts)
    parts.save_buckets()
    standing.clock = parts.book.clock if parts.running else None
    standing.exception_number = parts.letters.number
    changes.puts[records.META] = _encode(standing)
    parts.book.forget_resting()
    return changes


def _collect_skus(parts: Parts, changes: Changes) -> None:
    book, fold, puts = parts.book, parts.sums.fold, changes.puts
    for sku in book.changed:
        if sku.touched or sku.record.epoch != book.epoch:
            fold(book, sku)
        name, record = sku.name, sku.record
        if len(record.trail) > records.TRAIL_LENGTH:
            del record.trail[: -records.TRAIL_LENGTH]
        puts[f"S{name}".encode()] = _encode(record)
        keys = sku.keys
        for location in sku.changed_keys:
            puts[f"K{name}|{location}".encode()] = _encode(keys[location])
        sku.changed_keys.clear()
        if sku.changed_reservations:
            _collect_reservations(sku, changes)
        sku.changed = False
    book.changed = []
    publisher = parts.publisher
    changes.merge(publisher.held.take_changes(publisher.outlets))
    for changed in (book.chunks_changed, book.expiries.changed):
        changes.merge(changed)
        changed.clear()


def _collect_reservations(sku: Sku, changes: Changes) -> None:
    for name in sku.changed_reservations:
        record = sku.reservations[name]
        if record is None:
            changes.deletes.append(records.reservation_name(sku.name, name))
        else:
            changes.puts[records.reservation_name(sku.name, name)] = _encode(record)
    sku.changed_reservations.clear()
    if len(sku.reservations) > RESERVATIONS_AT_WORK:
        sku.reservations.clear()
        sku.has_all_reservations = False


def _collect_journals(parts: Parts, changes: Changes) -> None:
    book, commit = parts.book, parts.standing.commit
    if parts.ticked:
        changes.ranges.append((records.DIRTY, records.after_all(records.DIRTY)))
        book.dirty_saved = 0
        parts.ticked = False
    if len(book.dirty) > book.dirty_saved:
        fresh = [sku.name for sku in book.dirty[book.dirty_saved :]]
        changes.puts[records.numbered(records.DIRTY, commit)] = _encode(fresh)
        book.dirty_saved = len(book.dirty)
    if parts.window_closed:
        changes.ranges.append((records.WINDOW, records.after_all(records.WINDOW)))
        parts.window_closed = False
    lines = parts.window.take_changes()
    if lines is not None:
        changes.puts[records.numbered(records.WINDOW, commit)] = lines
    if book.settled:
        name = records.numbered(records.numbered(records.FORGET, max(0, book.clock)), commit)
        changes.puts[name] = _encode(book.settled)
        book.settled = []
    changes.deletes.extend(parts.forgotten)
    parts.forgotten.clear()
    identities = parts.identities
    identities.journal(commit, book.clock)
    changes.ranges.extend(identities.ranges)
    changes.puts.update(identities.puts)
    identities.ranges.clear()
    identities.puts.clear()
    for puts in (parts.letters.puts, parts.settled.puts):
        changes.puts.update(puts)
        puts.clear()


def take_outputs(parts: Parts) -> dict[str, Sequence[Output]]:
    """Return the records that wait for each topic, in order; they count as handed over.

    They belong to the next commit. Whoever takes them before it may write them while the rest of
    the commit is still to be collected, but has to drop them again when that never comes.
    """
    figures = parts.standing.figures
    outputs: dict[str, Sequence[Output]] = {}
    for outlet in parts.publisher.outlets:
        if outlet.records:
            outputs[outlet.topic] = outlet.records
            name = outlet.channel.name
            figures.publications[name] = figures.publications.get(name, 0) + len(outlet.records)
            outlet.records = []
    if parts.book.decisions:
        outputs["reservations.decisions"] = parts.book.decisions
        figures.decisions += len(parts.book.decisions)
        parts.book.decisions = []
    if parts.postings:
        outputs["erp.postings"] = parts.postings
        figures.postings += len(parts.postings)
        parts.postings = []
    if parts.findings:
        outputs["reconciliation.findings"] = parts.findings
        parts.findings = []
    if parts.letters.fresh:
        outputs["exceptions"] = parts.letters.fresh
        parts.letters.fresh = []
    return outputs
