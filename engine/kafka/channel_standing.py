"""The topic `channels.standing`: how far each channel is behind, told by its owner."""

from __future__ import annotations

from typing import Final

import msgspec

TELL_EVERY_S: Final = 1.0


class ChannelTold(msgspec.Struct):
    """Where a channel stands after a tick.

    `tick` is the last tick of which everything is told, None before the first; `pending` is how
    many keys are held back, `by_rate` how many of them by nothing but the channel's rate, `oldest`
    since when the longest of them waits, microseconds; `publications` counts those of the channel's
    whole history.
    """

    channel: str
    tick: int | None = None
    publications: int = 0
    pending: int = 0
    by_rate: int = 0
    oldest: int | None = None


encode_standing = msgspec.json.Encoder().encode
read_standing = msgspec.json.Decoder(ChannelTold).decode
