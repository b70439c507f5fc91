"""What is rehearsed: an engine that is started, fed, killed, started again and stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from engine.contracts.errors import SellableError
from engine.rehearsal.samples import Sample


class RehearsalError(SellableError):
    """The rehearsal itself could not be carried out."""

    title = "The rehearsal broke off"


class Target(Protocol):
    """A runtime under rehearsal."""

    @property
    def out(self) -> Path:
        """The folder that its outputs go to, one file a topic."""
        ...

    @property
    def entrance(self) -> Path:
        """The file to which movements are appended."""
        ...

    def start(self) -> None:
        """Start what does not run, and return when movements are taken."""
        ...

    def crash(self, part: str | None) -> None:
        """Kill a part as a machine does that loses power; None: the part that keeps the book."""
        ...

    def kill(self) -> None:
        """Kill all of it at once."""
        ...

    def stop(self) -> None:
        """Stop all of it in order."""
        ...

    def newest(self) -> Sample | None:
        """Return where it stands, None while it does not run."""
        ...

    def samples(self) -> list[Sample]:
        """Return where it stood, from the start on."""
        ...

    def throttle(self, channel: str, rate: str | None) -> None:
        """Let a channel take no more than a rate such as `1/s`; None: as its rules say."""
        ...

    def discard(self) -> None:
        """Leave nothing behind outside its folder; it does not run any more."""
        ...


class Targets(Protocol):
    """Where targets of one runtime come from; all have taken the same before."""

    @property
    def runtime(self) -> str:
        """The runtime's name, for the report."""
        ...

    @property
    def parts(self) -> Sequence[str]:
        """What of it can be killed by name."""
        ...

    def fresh(self, folder: Path) -> Target:
        """Return a target in a new folder, that has taken what came before; it may run already.

        Raises:
            RehearsalError: it could not take that.
        """
        ...
