"""Who calls: from the key in a request to what its owner may do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import structlog

from engine.api.errors import ForbiddenError, RateError, UnauthorizedError
from engine.api.keys import ALL, KeyRecord, find_key, read_keys
from engine.api.rates import CallBucket, parse_rate, whole_seconds
from engine.api.roles import ALLOWED, Action
from engine.contracts.calls import Caller
from engine.contracts.errors import SellableError

LOOK_EVERY_SECONDS: Final = 1.0
LOCAL: Final = "local"
"""Who calls where no keys are configured; also the source of the movements made for it."""


class Principal:
    """Somebody who calls: a key, or anybody on this machine where none are configured."""

    def __init__(self, record: KeyRecord | None, now: float) -> None:
        self.id = None if record is None else record.id
        self.name = LOCAL if record is None else record.name
        self.role = None if record is None else record.role
        self.caller = (
            Caller(LOCAL) if record is None else Caller(f"key-{record.id}", _reach(record.channels))
        )
        self._allowed = None if record is None else ALLOWED[record.role]
        self._sources = None if record is None else record.sources
        self._bucket = None if record is None else CallBucket(parse_rate(record.rate), now)

    def may(self, action: Action) -> bool:
        """Whether the role allows an action."""
        return self._allowed is None or action in self._allowed

    def check(self, action: Action) -> None:
        """Check that the role allows an action.

        Raises:
            ForbiddenError: it does not.
        """
        if not self.may(action):
            able = [role for role, actions in ALLOWED.items() if action in actions]
            raise ForbiddenError(
                f"a key of the role {self.role} may not {action}",
                f"Use a key of the role {' or '.join(able)}.",
            )

    def check_channel(self, channel: str | None) -> None:
        """Check that the key reaches a channel; None is every one of them at once.

        Raises:
            ForbiddenError: it does not.
        """
        if not self.caller.may_use(channel):
            what = "calls without a channel" if channel is None else f"the channel {channel}"
            mine = ", ".join(sorted(self.caller.channels or ()))
            raise ForbiddenError(
                f"the key does not reach {what}", f"It reaches {mine}: use a key that reaches it."
            )

    @property
    def sends_all(self) -> bool:
        """Whether the key may send movements of every source."""
        return self._sources is None or ALL in self._sources

    def may_send(self, source: str) -> bool:
        """Whether the key may send movements of a source."""
        return self._sources is None or any(
            fnmatchcase(source, pattern) for pattern in self._sources
        )

    def count_call(self, now: float) -> None:
        """Count a call.

        Raises:
            RateError: there were too many lately.
        """
        wait = 0.0 if self._bucket is None else self._bucket.take(now)
        if wait:
            raise RateError(
                "the key has made more calls than its rate allows",
                "Wait as long as Retry-After tells. One call takes many movements or keys.",
                whole_seconds(wait),
            )


class KeyRing:
    """The keys of a file, followed as it changes. Without any, everybody may do everything.

    That is meant for a service that only this machine can reach; `must_have_keys` says that it is
    another one: then without keys nobody may do anything.
    """

    def __init__(
        self,
        path: Path,
        must_have_keys: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._must_have_keys = must_have_keys
        self._monotonic = monotonic
        self._log = structlog.get_logger("sellable.keys")
        self._local = Principal(None, 0.0)
        self._principals: dict[str, Principal] = {}
        self._keys: dict[str, KeyRecord] = {}
        self._stamp = self._stat()
        self._take(read_keys(path))
        self._looked_at = monotonic()

    @property
    def is_open(self) -> bool:
        """Whether everybody may call, because there are no keys and only this machine calls."""
        return not self._keys and not self._must_have_keys

    @property
    def has_keys(self) -> bool:
        """Whether there is any key, also one that was revoked."""
        return bool(self._keys)

    @property
    def nobody(self) -> Principal:
        """Who calls what everybody may."""
        return self._local

    def identify(self, headers: Sequence[tuple[bytes, bytes]]) -> Principal:
        """Return who calls, by the header `Authorization: Bearer` or `X-API-Key`.

        Raises:
            UnauthorizedError: there is no key, or it is not known.
        """
        now = self._monotonic()
        if now - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at = now
            self._look_again()
        if self.is_open:
            return self._local
        text = _key_in(headers)
        if text is None:
            raise UnauthorizedError(
                "the call has no key", "Send it as the header `Authorization: Bearer KEY`."
            )
        record = find_key(self._keys, text)
        if record is None:
            raise UnauthorizedError(
                "the key is not known, or was revoked",
                "Check that it is whole; `sellable keys list` shows the ids of those that hold.",
            )
        return self._principals[record.id]

    def _look_again(self) -> None:
        stamp = self._stat()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._take(read_keys(self._path))
        except SellableError as error:
            self._log.error("the file of keys is broken, those read last stay", reason=str(error))

    def _take(self, keys: Sequence[KeyRecord]) -> None:
        if self._keys and not keys:
            # A file that goes away takes its keys with it; it does not open the door.
            self._must_have_keys = True
        now = self._monotonic()
        before, self._keys = self._keys, {key.id: key for key in keys}
        self._principals = {
            key.id: self._principals[key.id]
            if key.id in self._principals and before[key.id] == key
            else Principal(key, now)
            for key in keys
        }

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _reach(channels: Sequence[str] | None) -> frozenset[str] | None:
    return None if channels is None or ALL in channels else frozenset(channels)


def _key_in(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.partition(b" ")
            if scheme.lower() == b"bearer" and key:
                return key.strip().decode("latin-1")
        elif name == b"x-api-key":
            return value.decode("latin-1")
    return None
