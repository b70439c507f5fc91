"""Choosing between inputs by when their next lines occurred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from engine.contracts.instants import parse_instant
from engine.embedded.inputs_lines import Segment
from engine.embedded.inputs_stream import Stream

_AT_ONCE: Final = -(2**63)  # before every instant that can be written
_REMEMBERED_TEXTS: Final = 4_096


class _When(msgspec.Struct, gc=False):
    occurred_at: str = ""


class Merge:
    """Takes lines from several inputs in the order of their `occurred_at`.

    The order depends on the lines alone: of the inputs' next lines always the one that occurred
    first, or of the first input among equals. A line without a readable `occurred_at` goes at
    once, as it will be refused wherever it stands.
    """

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_When)
        self._texts: dict[str, int] = {}

    def choose(self, streams: Sequence[Stream], limit: int) -> tuple[Stream, Segment, int]:
        """Return a run of lines: its stream, its segment, and the line of the segment it ends at.

        Every stream must have a segment. The run begins with the stream's next line and goes on
        as long as no other stream is due before.
        """
        chosen, first, bound, bound_place = 0, None, None, 0
        for place, stream in enumerate(streams):
            instant = self._instants(stream.segments[0])[stream.taken]
            if first is None or instant < first:
                bound, bound_place = first, chosen
                chosen, first = place, instant
            elif bound is None or instant < bound:
                bound, bound_place = instant, place
        stream = streams[chosen]
        segment = stream.segments[0]
        instants = self._instants(segment)
        stop = min(len(instants), stream.taken + limit)
        if bound is None:
            return stream, segment, stop
        # Among equals the stream that was given first goes first.
        latest = bound if chosen < bound_place else bound - 1
        end = stream.taken + 1
        while end < stop and instants[end] <= latest:
            end += 1
        return stream, segment, end

    def _instants(self, segment: Segment) -> list[int]:
        if segment.instants is None:
            segment.instants = [self._instant(line) for line in segment.lines]
        return segment.instants

    def _instant(self, line: bytes) -> int:
        try:
            text = self._decoder.decode(line).occurred_at
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _AT_ONCE
        known = self._texts.get(text)
        if known is None:
            if len(self._texts) >= _REMEMBERED_TEXTS:
                self._texts.clear()
            try:
                known = parse_instant(text)
            except ValueError:
                known = _AT_ONCE
            self._texts[text] = known
        return known
