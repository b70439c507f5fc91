"""What the service asks of a runtime: the one interface behind all of its routes.

Every method may wait, but none may block the thread that calls it. Beside the errors that are
named, each may raise a `SellableError` with the HTTP status 503 while the runtime does not serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from engine.api.figures import Figures
from engine.contracts.answers import (
    ChannelStanding,
    ExceptionShown,
    KeyShown,
    MovementAnswer,
    PublishedKey,
    Stock,
)
from engine.contracts.calls import LookupKey, ReservationOrder, StepOrder
from engine.contracts.outcomes import ObservationOutcome
from engine.contracts.reservation_answers import ReservationAnswer, ReservationState, StepAnswer
from engine.core.dead_letters import Wanted
from engine.embedded.rules_desk import PublishedRules, RulesOrder
from engine.embedded.rules_trial import TrialWanted, Tried
from engine.embedded.shown import NumberExplained
from engine.rules.shown import RulesShown

Told = TypeVar("Told")


class Phase(StrEnum):
    """What a runtime is doing."""

    RESTORING = "restoring"
    SERVING = "serving"
    STOPPING = "stopping"


class Freshness(NamedTuple):
    """Up to when what a runtime tells is complete, as instants; None before its clock runs.

    `published` is the last tick of which every publication is told; `taken` the instant up to
    which movements are in the stock.
    """

    published: int | None
    taken: int | None


class Repeatable(NamedTuple, Generic[Told]):
    """An answer, and whether it was given before and is only repeated."""

    answer: Told
    repeated: bool


class Page(NamedTuple, Generic[Told]):
    """Some rows, and after which to go on; None: these are the last."""

    rows: Sequence[Told]
    next: str | None


class Runtime(Protocol):
    """A running engine, wherever it runs."""

    @property
    def phase(self) -> Phase:
        """What it is doing now."""
        ...

    def freshness(self) -> Freshness:
        """How fresh what it tells is."""
        ...

    def figures(self) -> Figures:
        """What the metrics tell."""
        ...

    # --- writes --------------------------------------------------------------------------------

    async def take(self, lines: Sequence[bytes], origin: str) -> list[MovementAnswer]:
        """Take movements; answered when all of them are durable."""
        ...

    async def observe(self, lines: Sequence[bytes], origin: str) -> list[ObservationOutcome]:
        """Take observations; answered when what came of all of them is durable."""
        ...

    async def reserve(self, order: ReservationOrder, origin: str) -> Repeatable[ReservationAnswer]:
        """Take all lines of a reservation, or none.

        Raises:
            KeyReusedError: the idempotency key belongs to another request.
        """
        ...

    async def step(self, order: StepOrder, origin: str) -> Repeatable[StepAnswer]:
        """Take a step of a reservation.

        Raises:
            NotFoundError: there is no such reservation.
            NotAllowedError: it is not one of the caller's channels.
            KeyReusedError: the idempotency key belongs to another request.
        """
        ...

    async def replay(
        self, exception: str, changes: Mapping[str, str], accept_old: bool
    ) -> Mapping[str, Any]:
        """Take a refused movement again, with some fields changed; tells its outcome.

        Raises:
            NotFoundError: there is no such exception.
            SellableError: it cannot be replayed, or was refused again.
        """
        ...

    async def dismiss(self, exception: str, reason: str) -> Mapping[str, Any]:
        """Close an exception.

        Raises:
            NotFoundError: there is no such exception.
            SellableError: it is closed already.
        """
        ...

    async def publish_rules(self, order: RulesOrder) -> PublishedRules:
        """Let the rules folder say something else; answered when it is in force.

        Raises:
            RulesError: the rules have mistakes.
            CasesFailedError: they fail their own cases.
            RulesChangedError: other rules are in force than were expected.
            SettingsError: they change settings, and may not.
            RulesConflictError: they cannot be published here.
            UnknownOutcomeError: nobody has told in time what became of it.
        """
        ...

    # --- lookups -------------------------------------------------------------------------------

    async def channel_kinds(self) -> Mapping[str, bool]:
        """The configured channels, and whether each has a number for each location."""
        ...

    async def look_up(self, keys: Sequence[LookupKey]) -> list[PublishedKey]:
        """What was told last of each key, in the order of the keys.

        Raises:
            NotFoundError: there is no such channel, or it cannot have such a key.
        """
        ...

    async def look_up_sku(
        self, sku: str, channel: str, locations: Sequence[str]
    ) -> list[PublishedKey]:
        """What a channel was told last of a SKU: at these locations in their order, or at all.

        Raises:
            NotFoundError: there is no such channel, or it has no locations.
        """
        ...

    async def knows(self, sku: str) -> bool:
        """Whether anything ever came of the SKU."""
        ...

    async def page(self, channel: str, after: str, limit: int) -> Page[PublishedKey]:
        """The next keys of a channel, in order of their names."""
        ...

    async def shown(self, sku: str, channels: Sequence[str]) -> list[KeyShown]:
        """The keys of a SKU with their values now, and when what is pending is due.

        Raises:
            NotFoundError: no movement of the SKU was ever applied.
        """
        ...

    async def stock(self, sku: str, location: str | None) -> Stock:
        """The stock of a SKU.

        Raises:
            NotFoundError: no movement of it was ever applied, or none there.
        """
        ...

    async def reservation(self, sku: str, name: str) -> ReservationState:
        """A reservation as it stands.

        Raises:
            NotFoundError: there is none.
        """
        ...

    async def explain(self, sku: str, channel: str, location: str | None) -> NumberExplained:
        """The way from physical stock to the published number.

        Raises:
            NotFoundError: there is no such channel or key, or no movement of the SKU.
        """
        ...

    async def channels(self) -> Sequence[ChannelStanding]:
        """How far each channel is behind."""
        ...

    async def rules(self) -> RulesShown:
        """The rules in force."""
        ...

    async def try_rules(self, wanted: TrialWanted) -> Tried:
        """What would change on live stock under other rules; one caller at a time.

        Raises:
            RulesError: the rules have mistakes.
            NotFoundError: there is no such channel, neither now nor then.
            TrialBusyError: others are being tried.
        """
        ...

    async def exceptions(
        self, wanted: Wanted, after: str | None, limit: int
    ) -> Page[ExceptionShown]:
        """The next exceptions, oldest first."""
        ...

    async def exception(self, exception: str) -> ExceptionShown:
        """One exception.

        Raises:
            NotFoundError: there is no such exception.
        """
        ...
