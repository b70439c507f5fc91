"""When the newest observation was made by which a key's disposition was adjusted.

Two systems may find the same difference: the book is adjusted by one of them, and one that observed
earlier and comes later must not have it adjusted once more.
"""

from __future__ import annotations

import msgspec

from engine.contracts import records
from engine.contracts.observations import Observation
from engine.ledger.book import Reader


class Settled:
    """The newest adjusted observations; `puts` wait for the commit."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.puts: dict[bytes, bytes] = {}

    def at(self, observation: Observation) -> int:
        """When the newest one was made; an instant before every other when there was none."""
        name = _name_of(observation)
        stored = self.puts.get(name) or self._reader.get(name)
        return records.NEVER if stored is None else msgspec.msgpack.decode(stored, type=int)

    def note(self, observation: Observation) -> None:
        """Note that the book was adjusted by a newer one."""
        self.puts[_name_of(observation)] = msgspec.msgpack.encode(observation.at)


def _name_of(observation: Observation) -> bytes:
    place = f"{observation.sku}|{observation.location}|{observation.disposition}"
    return records.ADJUSTED + place.encode()
