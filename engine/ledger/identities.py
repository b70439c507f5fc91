"""Which movements were seen: exact, on disk for the window, with bounded memory.

An identity is a 128-bit hash and a 64-bit hash of the movement's content. The newest lie in a
dictionary and, for restarts, in one journal record per commit. Full dictionaries are sealed into
blocks: sorted pages in the store, and in memory a Bloom filter and the first hash of each page.
Small blocks are merged into large ones, so that few filters need asking. A block is dropped whole
when its newest identity is older than the window.

Memory: 16 bits a filter entry, doubled at most by rounding up to a power of two, and 8 bytes a
page of 1,024: at most 4.1 bytes an identity in blocks, and some 200 bytes for each of at most
131,072 recent ones. Disk: 24 bytes an identity. Bloom filter: B. H. Bloom, "Space/time trade-offs
in hash coding with allowable errors", 1970; two halves of the hash make the probes: Kirsch and
Mitzenmacher, "Less hashing, same performance", 2006.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, islice

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.contracts import records
from engine.ledger.book import Reader

SEAL_AT = 131_072  # recent identities that make a block
MERGE_AT = 32  # small blocks that make a large one
PAGE_LENGTH = 1_024  # identities a page
ENTRY_SIZE = 24  # bytes: 16 of identity, 8 of content
FILTER_BITS = 16  # bits of the filter an identity
PROBES = 4

_ENTRIES = struct.Struct("16s8s")  # what a journal's record is made of: identity, content
_ENTRY = np.dtype([("high", ">u8"), ("low", ">u8"), ("content", ">u8")])
_Hashes = NDArray[np.uint64]


class BlockRecord(msgspec.Struct, array_like=True, gc=False):
    """What a start needs of a block: its newest instant, size, filter and pages' first hashes."""

    newest: int
    size: int
    filter: bytes
    firsts: bytes


class _Block:
    """A sealed block: what memory keeps of it."""

    __slots__ = ("filter", "firsts", "mask", "newest", "number", "size")

    def __init__(self, number: int, record: BlockRecord) -> None:
        self.number = number
        self.newest = record.newest
        self.size = record.size
        self.filter = np.frombuffer(record.filter, dtype=np.uint8)
        self.firsts = np.frombuffer(record.firsts, dtype=np.uint64)
        self.mask = np.uint64(len(self.filter) * 8 - 1)

    def may_hold(self, high: _Hashes, low: _Hashes) -> NDArray[np.intp]:
        """Return the indexes of hashes that the block may hold."""
        left = np.arange(len(high))
        for probe in range(PROBES):
            bits = (high[left] + np.uint64(probe) * low[left]) & self.mask
            set_ = (self.filter[bits >> np.uint64(3)] >> (bits & np.uint64(7)).astype(np.uint8)) & 1
            left = left[set_ != 0]
            if not len(left):
                break
        return left


class Identities:
    """The identities of the window.

    `recent` maps an identity to the hash of its content, 8 bytes each; it may be asked and filled
    directly by whoever has already asked `suspects`.
    """

    def __init__(self, reader: Reader, window: int) -> None:
        self.reader = reader
        self.window = window
        self.recent: dict[bytes, bytes] = {}
        self.puts: dict[bytes, bytes] = {}
        self.ranges: list[tuple[bytes, bytes]] = []
        self._journaled = 0
        self.blocks: list[_Block] = []
        self._next_block = 0

    def load(self) -> None:
        """Read what is remembered from the store."""
        for name, stored in self.reader.scan(records.IDENTITY_BLOCK):
            number = int.from_bytes(name[1:], "big")
            self.blocks.append(_Block(number, msgspec.msgpack.decode(stored, type=BlockRecord)))
            self._next_block = number + 1
        for _, stored in self.reader.scan(records.IDENTITY_RECENT):
            self.recent.update(_ENTRIES.iter_unpack(stored))
        self._journaled = len(self.recent)

    def suspects(self, identities: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return those of the identities that sealed blocks hold, with their content hashes."""
        if not self.blocks or not identities:
            return {}
        packed = np.frombuffer(b"".join(identities), dtype=">u8").astype(np.uint64)
        high, low = packed[::2], packed[1::2] | np.uint64(1)
        found: dict[bytes, bytes] = {}
        for block in self.blocks:
            for index in block.may_hold(high, low).tolist():
                content = self._look_up(block, identities[index])
                if content is not None:
                    found[identities[index]] = content
        return found

    def seen(self, identity: bytes) -> bytes | None:
        """Return the content hash under which the identity was seen."""
        content = self.recent.get(identity)
        return self.suspects([identity]).get(identity) if content is None else content

    def journal(self, commit: int, clock: int) -> None:
        """Put what is new since the last commit into the store; seal and drop what is due."""
        if len(self.recent) >= SEAL_AT:
            self._seal(clock)
        elif len(self.recent) > self._journaled:
            # A dictionary keeps the order in which it was filled: the newest are its last.
            fresh = islice(reversed(self.recent.items()), len(self.recent) - self._journaled)
            name = records.numbered(records.IDENTITY_RECENT, commit)
            self.puts[name] = b"".join(chain.from_iterable(fresh))
            self._journaled = len(self.recent)
        self._drop_old(clock)

    def _seal(self, clock: int) -> None:
        entries = np.empty(len(self.recent), dtype=_ENTRY)
        hashes = np.frombuffer(b"".join(self.recent), dtype=">u8")
        entries["high"], entries["low"] = hashes[::2], hashes[1::2]
        entries["content"] = np.frombuffer(b"".join(self.recent.values()), dtype=">u8")
        self._add_block(entries, clock)
        self.recent = {}
        self._journaled = 0
        self.ranges.append((records.IDENTITY_RECENT, records.after_all(records.IDENTITY_RECENT)))
        small = [block for block in self.blocks if block.size < SEAL_AT * MERGE_AT]
        if len(small) >= MERGE_AT:
            self._merge(small)

    def _merge(self, small: list[_Block]) -> None:
        pages = [page for block in small for page in self._pages(block)]
        newest = max(block.newest for block in small)
        entries = np.frombuffer(b"".join(pages), dtype=_ENTRY)
        for block in small:
            self._drop(block)
        self._add_block(entries, newest)

    def _add_block(self, entries: NDArray[np.void], newest: int) -> None:
        number = self._next_block
        self._next_block += 1
        entries = entries[np.argsort(entries["high"], kind="stable")]
        for page, start in enumerate(range(0, len(entries), PAGE_LENGTH)):
            self.puts[_page_name(number, page)] = entries[start : start + PAGE_LENGTH].tobytes()
        high = entries["high"].astype(np.uint64)
        record = BlockRecord(
            newest=newest,
            size=len(entries),
            filter=_filter_of(high, entries["low"].astype(np.uint64) | np.uint64(1)),
            firsts=high[::PAGE_LENGTH].tobytes(),
        )
        self.puts[records.numbered(records.IDENTITY_BLOCK, number)] = msgspec.msgpack.encode(record)
        self.blocks.append(_Block(number, record))

    def _drop_old(self, clock: int) -> None:
        while self.blocks and self.blocks[0].newest < clock - self.window:
            self._drop(self.blocks[0])

    def _drop(self, block: _Block) -> None:
        self.blocks.remove(block)
        pages = records.numbered(records.IDENTITY_PAGE, block.number)
        name = records.numbered(records.IDENTITY_BLOCK, block.number)
        for start, stop in ((pages, records.after_all(pages)), (name, name + b"\0")):
            self.ranges.append((start, stop))
            for put in [put for put in self.puts if start <= put < stop]:
                del self.puts[put]

    def _look_up(self, block: _Block, identity: bytes) -> bytes | None:
        high = np.uint64(int.from_bytes(identity[:8], "big"))
        page = max(0, int(np.searchsorted(block.firsts, high, side="left")) - 1)
        while page < len(block.firsts) and block.firsts[page] <= high:
            content = self._find(self._page(block.number, page), identity)
            if content is not None:
                return content
            page += 1
        return None

    def _find(self, page: bytes, identity: bytes) -> bytes | None:
        at = page.find(identity)
        while at >= 0:
            if at % ENTRY_SIZE == 0:
                return page[at + 16 : at + ENTRY_SIZE]
            at = page.find(identity, at + 1)
        return None

    def _pages(self, block: _Block) -> Iterable[bytes]:
        return (self._page(block.number, page) for page in range(len(block.firsts)))

    def _page(self, number: int, page: int) -> bytes:
        name = _page_name(number, page)
        return self.puts.get(name) or self.reader.get(name) or b""


def _page_name(block: int, page: int) -> bytes:
    return records.numbered(records.IDENTITY_PAGE, block) + page.to_bytes(4, "big")


def _filter_of(high: _Hashes, low: _Hashes) -> bytes:
    """Return the Bloom filter of the hashes: its length in bits is a power of two."""
    length = 1 << max(6, (len(high) * FILTER_BITS - 1).bit_length())
    bits = np.zeros(length // 8, dtype=np.uint8)
    for probe in range(PROBES):
        places = (high + np.uint64(probe) * low) & np.uint64(length - 1)
        one = np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
        np.bitwise_or.at(bits, places >> np.uint64(3), one)
    return bits.tobytes()
