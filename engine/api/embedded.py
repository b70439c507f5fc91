"""The embedded engine as the service sees it: writes at its counter, lookups from its store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine.api.figures import Figures, figures_of
from engine.api.rules_turn import rules_turn
from engine.api.runtime import Freshness, Page, Phase, Repeatable
from engine.contracts.answers import (
    ChannelStanding,
    ExceptionShown,
    KeyShown,
    MovementAnswer,
    PublishedKey,
    Stock,
)
from engine.contracts.calls import LookupKey, ReservationOrder, StepOrder
from engine.contracts.errors import SellableError
from engine.contracts.exceptions import ADVICE
from engine.contracts.outcomes import ObservationOutcome
from engine.contracts.reservation_answers import ReservationAnswer, ReservationState, StepAnswer
from engine.core.dead_letters import DeadLetter, Wanted
from engine.embedded import dead_letter_desk, requests, reservation_requests
from engine.embedded.channel_watch import ChannelWatch
from engine.embedded.counter import (
    WAITING_MOVEMENTS,
    Counter,
    OverloadedError,
    Request,
    UnknownOutcomeError,
    starting,
    stopping,
)
from engine.embedded.looking import Looking
from engine.embedded.rules_desk import (
    PublishedRules,
    Ready,
    RulesDesk,
    RulesOrder,
    check_expected,
    make_ready,
)
from engine.embedded.rules_trial import RulesTrial, TrialWanted, Tried
from engine.embedded.runtime import Runtime as Engine
from engine.embedded.shown import NumberExplained, key_shown, number_explained
from engine.rules.replacing import discard
from engine.rules.shown import RulesShown, show_rules

WAIT_SECONDS: Final = 10.0
"""The longest wait of a write at the counter; then it is taken back, and nothing was done."""
FINISH_SECONDS: Final = 60.0
"""The longest wait once the engine has begun with it."""
SWEEP_SECONDS: Final = 1.0


class _Waiting(NamedTuple):
    """Somebody who waits for a request, and until when, by the loop's clock."""

    future: asyncio.Future[None]
    deadline: float


class EmbeddedRuntime:
    """The two sides of one embedded engine: `serve` is the engine's thread, the rest the service's.

    It is made before the engine is, so that the service can tell that it restores.
    """

    def __init__(self, waiting_movements: int = WAITING_MOVEMENTS) -> None:
        self._counter = Counter(self._tell, waiting_movements)
        self._watch = ChannelWatch()
        self._waiting: dict[Request, _Waiting] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: Looking | None = None
        self._phase = Phase.RESTORING

        self._trial = RulesTrial()
        self._publishing = asyncio.Lock()
        self._rules_desk: RulesDesk | None = None

    # --- the engine's side ---------------------------------------------------------------------

    @property
    def doorbell(self) -> int:
        """A descriptor that can be read while a request waits."""
        return self._counter.doorbell

    def open(self, engine: Engine) -> None:
        """Serve: the engine is there, with all of its state."""
        self._looking = Looking(engine)
        self._watch.look(engine)
        self._counter.open()
        self._phase = Phase.SERVING

    def meet(self, rules: RulesDesk) -> None:
        """Learn where rules are published."""
        self._rules_desk = rules

    @property
    def called(self) -> bool:
        """Whether a request waits."""
        return self._counter.called

    def serve(self, engine: Engine) -> None:
        """Take what has come."""
        self._counter.serve(engine)
        self._watch.look(engine)

    def wait(self, seconds: float) -> None:
        """Wait until something comes, at most so long."""
        self._counter.wait(seconds)

    def stop(self, engine: Engine) -> None:
        """Turn away what comes from now on, and finish what was accepted before."""
        self._phase = Phase.STOPPING
        self._counter.refuse(stopping)
        while self._counter.waiting:
            self._counter.serve(engine)
        self._trial.end()

    def fail(self) -> None:
        """Tell everybody who still waits that nobody will serve them."""
        self._phase = Phase.STOPPING
        self._counter.close(stopping)
        self._trial.end()

    def _tell(self, done: Sequence[Request]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve, done)

    # --- the service's side: writes ------------------------------------------------------------

    def _resolve(self, done: Sequence[Request]) -> None:
        for request in done:
            waiting = self._waiting.pop(request, None)
            if waiting is not None and not waiting.future.done():
                waiting.future.set_result(None)

    async def _have_done(self, request: Request) -> Any:
        """Leave a request at the counter, and return its answer once it is committed."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
            loop.call_later(SWEEP_SECONDS, self._sweep)
        future = loop.create_future()
        self._waiting[request] = _Waiting(future, loop.time() + WAIT_SECONDS)
        try:
            self._counter.put(request)
            await future
        finally:
            self._waiting.pop(request, None)
        if request.error is not None:
            raise request.error
        return request.answer

    def _sweep(self) -> None:
        """Take back what has waited too long; one timer for all, since hardly anything does."""
        assert self._loop is not None
        now = self._loop.time()
        for request, (future, deadline) in list(self._waiting.items()):
            if future.done() or now < deadline:
                continue
            if self._counter.withdraw(request):
                future.set_exception(
                    OverloadedError(
                        f"the engine did not come to it in {WAIT_SECONDS:.0f} s: it was taken back",
                        "Nothing was taken. Send the same again after the time that Retry-After "
                        "tells.",
                    )
                )
            elif now >= deadline + FINISH_SECONDS:
                future.set_exception(
                    UnknownOutcomeError(
                        "the engine has begun with it and not finished in time",
                        "Send the same again, with the same identities or Idempotency-Key: what "
                        "was taken is not taken twice.",
                    )
                )
        self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def take(self, lines: Sequence[bytes], origin: str) -> list[MovementAnswer]:
        """Take movements; answered when all of them are durable."""
        answers: list[MovementAnswer] = await self._have_done(requests.movements(lines, origin))
        return answers

    async def observe(self, lines: Sequence[bytes], origin: str) -> list[ObservationOutcome]:
        """Take observations; answered when what came of all of them is durable."""
        told: list[ObservationOutcome] = await self._have_done(requests.observations(lines, origin))
        return told

    async def reserve(self, order: ReservationOrder, origin: str) -> Repeatable[ReservationAnswer]:
        """Take all lines of a reservation, or none."""
        request = reservation_requests.reservation(order, origin)
        return Repeatable(await self._have_done(request), request.repeated)

    async def step(self, order: StepOrder, origin: str) -> Repeatable[StepAnswer]:
        """Take a step of a reservation."""
        request = reservation_requests.step(order, origin)
        return Repeatable(await self._have_done(request), request.repeated)

    async def replay(
        self, exception: str, changes: Mapping[str, str], accept_old: bool
    ) -> Mapping[str, Any]:
        """Take a refused movement again, with some fields changed."""

        def replay(engine: Engine) -> Mapping[str, Any]:
            return dead_letter_desk.replay(engine, exception, changes, accept_old)

        return await self._work(replay)

    async def dismiss(self, exception: str, reason: str) -> Mapping[str, Any]:
        """Close an exception."""

        def dismiss(engine: Engine) -> Mapping[str, Any]:
            return dead_letter_desk.dismiss(engine, exception, reason)

        return await self._work(dismiss)

    async def publish_rules(self, order: RulesOrder) -> PublishedRules:
        """Let the rules folder say something else; answered when it is in force."""
        looking = self._found
        async with rules_turn(self._publishing):
            check_expected(looking.rules.fingerprint, order.expected)
            record = looking.runtime.record
            ready = await asyncio.to_thread(make_ready, Path(record.rules), order, record.settings)
            return await self._published(ready)

    async def _published(self, ready: Ready) -> PublishedRules:
        def publish(_: Engine) -> PublishedRules:
            assert self._rules_desk is not None, "the loop serves those whom it has met"
            return self._rules_desk.publish(ready)

        try:
            done: PublishedRules = await self._have_done(requests.work(publish))
        except UnknownOutcomeError:
            raise  # the engine may be at it still
        except SellableError:
            discard(ready.prepared)
            raise
        return done

    async def _work(self, do: Callable[[Engine], Mapping[str, Any]]) -> Mapping[str, Any]:
        done: Mapping[str, Any] = await self._have_done(requests.work(do))
        return done

    # --- the service's side: lookups -----------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """What the engine is doing now."""
        return self._phase

    @property
    def _found(self) -> Looking:
        if self._looking is None:
            raise starting()
        return self._looking

    def freshness(self) -> Freshness:
        """How fresh what is told is."""
        if self._looking is None:
            return Freshness(None, None)
        committed = self._looking.runtime.committed
        return Freshness(committed.last_tick, committed.clock)

    def figures(self) -> Figures:
        """What the metrics tell."""
        if self._looking is None:
            return figures_of((), 0, ())
        standing = self._looking.runtime.engine.standing
        return figures_of([standing], self._counter.waiting, self._watch.standing)

    async def channel_kinds(self) -> Mapping[str, bool]:
        """The configured channels, and whether each has a number for each location."""
        return {channel.name: channel.by_location for channel in self._found.rules.channels}

    async def look_up(self, keys: Sequence[LookupKey]) -> list[PublishedKey]:
        """What was told last of each key, in the order of the keys."""
        looking = self._found
        return [
            looking.published(key.sku, looking.channel(key.channel), key.location) for key in keys
        ]

    async def look_up_sku(
        self, sku: str, channel: str, locations: Sequence[str]
    ) -> list[PublishedKey]:
        """What a channel was told last of a SKU: at these locations in their order, or at all."""
        looking = self._found
        found = looking.channel(channel)
        if locations:
            return [looking.published(sku, found, location) for location in locations]
        if found.by_location:
            return looking.published_everywhere(sku, found)
        return [looking.published(sku, found, None)]

    async def knows(self, sku: str) -> bool:
        """Whether anything ever came of the SKU."""
        return self._found.knows(sku)

    async def page(self, channel: str, after: str, limit: int) -> Page[PublishedKey]:
        """The next keys of a channel, in order of their names."""
        return Page(*self._found.page(self._found.channel(channel), after, limit))

    async def shown(self, sku: str, channels: Sequence[str]) -> list[KeyShown]:
        """The keys of a SKU with their values now, and when what is pending is due."""
        looking = self._found
        chosen = [looking.channel(name) for name in channels]
        return [key_shown(key) for key in looking.availability(sku, chosen)]

    async def stock(self, sku: str, location: str | None) -> Stock:
        """The stock of a SKU."""
        return self._found.stock(sku, location)

    async def reservation(self, sku: str, name: str) -> ReservationState:
        """A reservation as it stands."""
        return self._found.reservation(sku, name)

    async def explain(self, sku: str, channel: str, location: str | None) -> NumberExplained:
        """The way from physical stock to the published number."""
        looking = self._found
        return number_explained(looking.explain(sku, looking.channel(channel), location))

    async def channels(self) -> Sequence[ChannelStanding]:
        """How far each channel is behind."""
        return self._watch.standing

    async def rules(self) -> RulesShown:
        """The rules in force."""
        looking = self._found
        return show_rules(looking.rules, looking.runtime.committed.clock or 0)

    async def try_rules(self, wanted: TrialWanted) -> Tried:
        """What would change on live stock under other rules; one caller at a time."""
        return await asyncio.to_thread(self._trial.run, self._found, wanted)

    async def exceptions(
        self, wanted: Wanted, after: str | None, limit: int
    ) -> Page[ExceptionShown]:
        """The next exceptions, oldest first."""
        letters, following = self._found.exceptions(wanted, after, limit)
        return Page([_exception_shown(letter) for letter in letters], following)

    async def exception(self, exception: str) -> ExceptionShown:
        """One exception."""
        return _exception_shown(self._found.exception(exception))


def _exception_shown(letter: DeadLetter) -> ExceptionShown:
    record = letter.record
    return ExceptionShown(
        **msgspec.structs.asdict(record),
        status=letter.status,
        changed_at=letter.changed_at,
        note=letter.note,
        advice=ADVICE.get(record.code, ""),
    )
