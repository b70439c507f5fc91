"""When a snapshot is due and what its rows hold."""

from typing import Any

from .instants import ceiling_to


class SnapshotClock:
    """Due at whole multiples of `every`, taken on the first tick at or after, once time runs."""

    def __init__(self, every: int | None, tick: int) -> None:
        self.every = every
        self.tick = tick
        self.next_multiple: int | None = None

    def start(self, now: int) -> None:
        """The next multiple after `now`: when the clock starts, and when one was taken."""
        if self.every is not None:
            self.next_multiple = now - now % self.every + self.every

    def next_tick(self) -> int | None:
        """The tick on which the next snapshot is taken."""
        if self.next_multiple is None:
            return None
        return ceiling_to(self.next_multiple, self.tick)


def channel_rows(records: list[dict[str, Any]], computed: dict[Any, int]) -> list[dict[str, Any]]:
    """The last publication of every published key, and `computed`, its value now."""
    last = {(record["sku"], record["location"]): record for record in records}
    return [
        {**last[key], "computed": computed[key]}
        for key in sorted(last, key=lambda key: (key[0], key[1] or ""))
    ]
