"""Counts as of a time: what a key's recent movements were, and what a count makes of them.

A cycle count at T says what lay on the shelf at T. The book is then that quantity plus all that
has moved since. So each key remembers its recent movements: the newest in its own record, older
ones in chunks of their own that are never rewritten and are dropped when they are too old for any
count to need them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.contracts import records
from engine.contracts.records import ChunkRecord, KeyRecord
from engine.ledger.book import DAMAGED, INSPECTING, SELLABLE, Book, Sku

RECENT_LENGTH = 128  # numbers in a key's own record (64 movements) before a chunk is split off
CHUNKS_DROPPED_AT_ONCE = 2  # at most, per new chunk: dropping keeps pace with writing

DISPOSITION_BITS = 2
MARK = 3  # where a pair has it in place of a disposition, it is a note: see `count_noted`


def counted_at(key: KeyRecord, disposition: int) -> int:
    """Return the instant of the newest count of the disposition."""
    if disposition == SELLABLE:
        return key.counted_sellable
    return key.counted_inspecting if disposition == INSPECTING else key.counted_damaged


def set_counted(key: KeyRecord, disposition: int, quantity: int, at: int) -> int:
    """Set the disposition to what was counted; returns the variance."""
    if disposition == SELLABLE:
        variance = quantity - key.sellable
        key.sellable, key.counted_sellable = quantity, at
    elif disposition == INSPECTING:
        variance = quantity - key.inspecting
        key.inspecting, key.counted_inspecting = quantity, at
    else:
        variance = quantity - key.damaged
        key.damaged, key.counted_damaged = quantity, at
    return variance


def remember(
    book: Book, sku: Sku, location: str, key: KeyRecord, disposition: int, delta: int, at: int
) -> None:
    """Remember a movement of the key for counts that come later."""
    recent = key.recent
    recent.append(at)
    recent.append((delta << DISPOSITION_BITS) + disposition)
    if len(recent) >= RECENT_LENGTH:
        split_off(book, sku, location, key)


def note_count(
    book: Book, sku: Sku, location: str, key: KeyRecord, disposition: int, variance: int, at: int
) -> None:
    """Remember what a count corrected, so that what the book was before it is known still."""
    if variance:
        remember(book, sku, location, key, disposition, variance, at)
    remember(book, sku, location, key, MARK, disposition << 1, at)


def note_absorbed(
    book: Book, sku: Sku, location: str, key: KeyRecord, disposition: int, delta: int, at: int
) -> None:
    """Remember a movement that a count had seen before it came.

    The book was another from then on until the first count after it, which corrected that. Which
    one that is is found when somebody asks, since few ask and many movements are late.
    """
    told = (delta << DISPOSITION_BITS) + disposition
    remember(book, sku, location, key, MARK, (told << 1) + 1, at)


def count_noted(packed: int) -> int | None:
    """Return the disposition of which the pair notes a count; None when it is something else."""
    note = packed >> DISPOSITION_BITS
    return None if packed & MARK != MARK or note & 1 else note >> 1


def absorbed_noted(packed: int, disposition: int) -> int | None:
    """Return the signed quantity of the absorbed movement that the pair notes, if it does."""
    note = packed >> DISPOSITION_BITS
    if packed & MARK != MARK or not note & 1 or note >> 1 & MARK != disposition:
        return None
    return note >> 1 + DISPOSITION_BITS


def absorbed_since_count(
    book: Book, sku: Sku, location: str, key: KeyRecord, disposition: int, instant: int
) -> int:
    """Return what absorbed movements changed after the newest count up to the instant, until it.

    They came later than the count that followed them, and no count lies between them and the
    instant: so the book was another then by just that.
    """
    counted = book.counts_from()
    absorbed: list[tuple[int, int]] = []
    for at, packed in newest_first(book, sku, location, key, counted, instant):
        if count_noted(packed) == disposition:
            counted = max(counted, at)
        quantity = absorbed_noted(packed, disposition)
        if quantity is not None:
            absorbed.append((at, quantity))
    return sum(quantity for at, quantity in absorbed if at > counted)


def newest_first(
    book: Book, sku: Sku, location: str, key: KeyRecord, after: int, until: int
) -> Iterator[tuple[int, int]]:
    """Yield the remembered pairs that occurred in (after, until], those that came last first.

    A pair is when a movement occurred, and its signed quantity times 4 plus its disposition.
    """
    for pairs in _pages(book, sku, location, key, after, until):
        for place in range(len(pairs) - 2, -1, -2):
            if after < pairs[place] <= until:
                yield pairs[place], pairs[place + 1]


def _pages(
    book: Book, sku: Sku, location: str, key: KeyRecord, after: int, until: int
) -> Iterator[list[int]]:
    yield key.recent
    for number in range(key.chunk_next - 1, key.chunk_first - 1, -1):
        chunk = _read_chunk(book, _chunk_name(sku, location, number))
        if chunk is None or chunk.newest_so_far <= after:
            return
        if chunk.oldest <= until:
            yield chunk.pairs


def moved_since(
    book: Book, sku: Sku, location: str, key: KeyRecord, disposition: int, instant: int
) -> int:
    """Return what the disposition gained in movements that occurred after the instant."""
    total = _sum_after(key.recent, disposition, instant)
    for number in range(key.chunk_next - 1, key.chunk_first - 1, -1):
        chunk = _read_chunk(book, _chunk_name(sku, location, number))
        if chunk is None or chunk.newest_so_far <= instant:
            break
        if chunk.oldest > instant:
            total += chunk.sums[disposition]
        else:
            total += _sum_after(chunk.pairs, disposition, instant)
    return total


def _sum_after(pairs: list[int], disposition: int, instant: int) -> int:
    mask = (1 << DISPOSITION_BITS) - 1
    return sum(
        packed >> DISPOSITION_BITS
        for at, packed in zip(pairs[::2], pairs[1::2], strict=True)
        if at > instant and packed & mask == disposition
    )


def split_off(book: Book, sku: Sku, location: str, key: KeyRecord) -> None:
    """Move a full key's recent movements to a chunk, unless most of them are of no use any more."""
    horizon = book.clock - book.windows.for_counts
    kept: list[int] = []
    for at, packed in zip(key.recent[::2], key.recent[1::2], strict=True):
        if at > horizon:
            kept.append(at)
            kept.append(packed)
    if len(kept) <= RECENT_LENGTH // 2:
        key.recent = kept
        return
    instants, mask = kept[::2], (1 << DISPOSITION_BITS) - 1
    key.recent_max = max(key.recent_max, max(instants))
    sums = tuple(
        sum(p >> DISPOSITION_BITS for p in kept[1::2] if p & mask == disposition)
        for disposition in (SELLABLE, INSPECTING, DAMAGED)
    )
    chunk = ChunkRecord(key.recent_max, min(instants), (sums[0], sums[1], sums[2]), kept)
    name = _chunk_name(sku, location, key.chunk_next)
    book.chunks_changed[name] = msgspec.msgpack.encode(chunk)
    key.chunk_next += 1
    key.recent = []
    _drop_old_chunks(book, sku, location, key, horizon)


def _drop_old_chunks(book: Book, sku: Sku, location: str, key: KeyRecord, horizon: int) -> None:
    for _ in range(CHUNKS_DROPPED_AT_ONCE):
        assert key.chunk_first < key.chunk_next, "the chunk that was just written is not old"
        name = _chunk_name(sku, location, key.chunk_first)
        chunk = _read_chunk(book, name)
        if chunk is not None and chunk.newest_so_far > horizon:
            return
        book.chunks_changed[name] = None
        key.chunk_first += 1


def _chunk_name(sku: Sku, location: str, number: int) -> bytes:
    prefix = f"C{sku.name}|{location}|".encode()
    return records.numbered(prefix, number)


def _read_chunk(book: Book, name: bytes) -> ChunkRecord | None:
    stored = book.chunks_changed.get(name)
    if stored is None and name not in book.chunks_changed:
        stored = book.reader.get(name)
    return None if stored is None else msgspec.msgpack.decode(stored, type=ChunkRecord)
