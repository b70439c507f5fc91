"""What one commit holds: records to put and to drop, and lines for the topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

# A record of a topic, or one that is encoded already: a JSON text.
Output = msgspec.Struct | msgspec.Raw


@dataclass(slots=True)
class Changes:
    """One atomic step of the store, with the outputs that belong to it.

    `ranges` are dropped first, [from, to); then `puts` and `deletes` take effect. `outputs` are the
    records of each topic, in order.
    """

    puts: dict[bytes, bytes] = field(default_factory=dict)
    deletes: list[bytes] = field(default_factory=list)
    ranges: list[tuple[bytes, bytes]] = field(default_factory=list)
    outputs: dict[str, Sequence[Output]] = field(default_factory=dict)

    def merge(self, changed: dict[bytes, bytes | None]) -> None:
        """Add records that were put, or dropped where the value is None."""
        for name, value in changed.items():
            if value is None:
                self.deletes.append(name)
            else:
                self.puts[name] = value
