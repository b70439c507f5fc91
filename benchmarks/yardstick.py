"""A fixed piece of Python work, beside which the core is timed: it is as fast as the machine is.

It decodes the same lines and keeps a book of them in dictionaries, as a program would that does the
simplest part of the engine's work. What it costs says how fast this interpreter is on this machine
at this moment. Changing it changes every ratio that was ever measured: leave it as it is.
"""

from __future__ import annotations

import msgspec

from benchmarks.floor import Line


class Key:
    """What is known of one SKU at one location."""

    __slots__ = ("recent", "units", "version")

    def __init__(self) -> None:
        self.units = 0
        self.version = 0
        self.recent: list[tuple[str, int]] = []


class Book:
    """All keys, and which movements were seen."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], Key] = {}
        self.seen: set[tuple[str, str, str]] = set()

    def apply(self, line: Line) -> None:
        """Count a movement, once."""
        identity = line.source, line.id, line.sku
        if identity in self.seen:
            return
        self.seen.add(identity)
        place = line.sku, line.location or ""
        key = self.keys.get(place)
        if key is None:
            key = self.keys[place] = Key()
        units = line.quantity or 0
        key.units += -units if line.type in {"sale", "fulfil", "transfer"} else units
        key.version += 1
        key.recent.append((line.occurred_at, units))
        if len(key.recent) > 8:
            key.recent = key.recent[4:]


def work(lines: list[bytes]) -> int:
    """Do the work once; returns how many keys there are."""
    decode, book = msgspec.json.Decoder(Line).decode, Book()
    for line in lines:
        try:
            book.apply(decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return len(book.keys)
