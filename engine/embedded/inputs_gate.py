"""Finding the old place again in an input that is read from its start."""

from __future__ import annotations

from engine.embedded.inputs_position import Head, Position, head_digest


class Gate:
    """Lets through what has not been read before.

    It collects the first bytes until it can be told whether the input is the one of the saved
    position; if so, it drops everything up to there. `start` is the (offset, physical lines)
    from which bytes are let through, None as long as that is open.
    """

    def __init__(self, saved: Position) -> None:
        self.head = Head()
        self.start: tuple[int, int] | None = None if saved.offset else (0, 0)
        self._saved = saved
        self._collected = b""
        self._to_skip = 0

    @property
    def recognised(self) -> bool:
        """Whether this is the input of the saved position."""
        return self.start is not None and self.start[0] > 0

    @property
    def short(self) -> bool:
        """Whether the old place has not been reached yet."""
        return self._to_skip > 0

    def passed(self, head: bytes) -> None:
        """Start at the saved place at once: the head was compared, the file stands there."""
        self.head.take(head)
        self.start = (self._saved.offset, self._saved.line)

    def feed(self, piece: bytes) -> bytes:
        """Return what of the bytes has not been read before."""
        self.head.take(piece)
        if self.start is not None:
            skipped = min(self._to_skip, len(piece))
            self._to_skip -= skipped
            return piece[skipped:] if skipped else piece
        self._collected += piece
        if len(self._collected) < self._saved.head_length:
            return b""
        if head_digest(self._collected[: self._saved.head_length]) != self._saved.head_digest:
            return self.give_up()
        self.start = (self._saved.offset, self._saved.line)
        collected, self._collected = self._collected, b""
        self._to_skip = max(0, self._saved.offset - len(collected))
        return collected[self._saved.offset :]

    def give_up(self) -> bytes:
        """Return everything collected: this is another input, read from its start."""
        self.start = (0, 0)
        collected, self._collected = self._collected, b""
        return collected
