"""An onlooker who reads what the engine has committed, after every commit, and remembers it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.contracts import records
from engine.contracts.errors import NotFoundError
from engine.contracts.snapshots import LedgerRow
from engine.core.engine import Engine
from engine.core.step import Outcome
from engine.embedded.runtime import RUN
from engine.embedded.view import View
from engine.rules.ruleset import EVERYWHERE
from engine.stores.memory import MemoryStore
from tests.oracle.quantities import SkuStock, StockLine, computed
from tests.oracle.rules import Channel, Rules
from tests.simulation.journal import Call, Player, Took
from tests.simulation.scene import Scene
from tests.simulation.story import Rules as RulesTold

Record = dict[str, Any]
ChannelKey = tuple[str, str, str | None]  # channel, SKU, location
Place = tuple[str, str]  # SKU, location
AVAILABILITY = "availability."


@dataclass
class Promise:
    """What was decided about one name of a reservation, over all decisions so far.

    `early_least` and `early_most` are how much of the ends came before their reserve: known
    exactly where all was taken that was asked for, else within these bounds.
    """

    taken: int = 0
    ended: int = 0
    early_least: int = 0
    early_most: int = 0


@dataclass
class Committed:
    """What lies in the store after a commit."""

    stock: dict[Place, LedgerRow] = field(default_factory=dict)
    grounds: dict[str, SkuStock] = field(default_factory=dict)
    reservations: list[Place] = field(default_factory=list)
    clock: int | None = None
    sweeps: bool = False


class Values:
    """What each channel may offer, computed by the oracle from the stock alone."""

    def __init__(self, told: RulesTold) -> None:
        self.rules = Rules(told)
        self._edges = self.rules.edges()
        self._known: dict[str, tuple[SkuStock, int, dict[ChannelKey, int]]] = {}

    def of(self, ground: SkuStock, instant: int) -> dict[ChannelKey, int]:
        """Return the value of every key of a SKU that its stock gives rise to."""
        interval = sum(edge <= instant for edge in self._edges)
        known = self._known.get(ground.sku)
        if known is not None and known[:2] == (ground, interval):
            return known[2]
        found: dict[ChannelKey, int] = {}
        for channel in self.rules.channels.values():
            for location in self._locations(channel, ground, instant):
                value = computed(self.rules, channel, ground, location, instant)
                found[channel.name, ground.sku, location] = value
        self._known[ground.sku] = (ground, interval, found)
        return found

    def _locations(self, channel: Channel, ground: SkuStock, instant: int) -> list[str | None]:
        if not channel.by_location:
            return [None]
        sells = self.rules.sells_from
        return [place for place in ground.lines if sells(channel, ground.sku, place, instant)]

    def status(self, channel: str, value: int) -> str:
        """Return the status that belongs to a quantity."""
        if value == 0:
            return "out_of_stock"
        low = value <= self.rules.channels[channel].publish.low_stock
        return "low_stock" if low else "in_stock"


class Monitor:
    """What was told so far, what the store says now, and an engine that never stopped.

    `idle` tells that the last commit changed nothing: time passed.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.step = 0
        self.idle = False
        self.calls: list[Call] = []
        self.fresh: dict[str, bytes] = {}
        self.fresh_records: dict[str, list[Record]] = {}
        self.told: dict[str, list[Record]] = defaultdict(list)
        self.last: dict[ChannelKey, Record] = {}
        self.followed: list[tuple[Record | None, Record]] = []
        self.booked: Counter[tuple[str, str, str]] = Counter()
        self.promises: dict[Place, Promise] = defaultdict(Promise)
        self.outcomes: Counter[str] = Counter()
        self.now = Committed()
        self.clock_before: int | None = None
        self.twin = Player(scene.first_rules, scene.story.clock, as_written=True)
        self._valued = scene.first_rules
        self.values = Values(scene.told_of[scene.first_rules])
        self.probe: Engine = self.twin.engine
        self._read: Counter[str] = Counter()

    def look(self, puts: Mapping[bytes, bytes]) -> None:
        """Take in a commit, and what was put by it."""
        self.step += 1
        self.idle = not self.now.sweeps and puts.keys() <= {records.META, RUN}
        self.calls = self.scene.journal.commit()
        for call in self.calls:
            if isinstance(call, Took):
                self.outcomes.update(told.outcome for told in call.outcomes)
        self.twin.play(self.calls)
        self._read_outputs()
        if self.idle:
            self._read_clock()
        else:
            self._read_store()

    def lines_taken(self) -> list[tuple[bytes, Outcome]]:
        """Return the lines of this step with their outcomes."""
        return [
            pair
            for call in self.calls
            if isinstance(call, Took)
            for pair in zip(call.lines, call.outcomes, strict=False)
        ]

    # --- outputs -------------------------------------------------------------------------------

    def _read_outputs(self) -> None:
        self.fresh, self.fresh_records = {}, {}
        for topic, length in self.scene.lengths.items():
            start = self._read[topic]
            if length == start:
                continue
            with (self.scene.out / f"{topic}.ndjson").open("rb") as file:
                file.seek(start)
                data = file.read(length - start)
            self._read[topic] = length
            self.fresh[topic] = data
            found = [json.loads(line) for line in data.splitlines()]
            self.fresh_records[topic] = found
            self.told[topic] += found
        self.followed = [self._follow(topic, record) for topic, record in self._publications()]
        for document in self.fresh_records.get("erp.postings", ()):
            for line in document["lines"]:
                self.booked[line["sku"], line["location"], line["disposition"]] += line["quantity"]
        for decision in self.fresh_records.get("reservations.decisions", ()):
            _add(self.promises[decision["sku"], decision["reservation"]], decision)

    def _publications(self) -> Iterator[tuple[str, Record]]:
        for topic, found in self.fresh_records.items():
            if topic.startswith(AVAILABILITY):
                for record in found:
                    yield topic, record

    def _follow(self, topic: str, record: Record) -> tuple[Record | None, Record]:
        """Return the publication of the same key before this one, and this one."""
        key = (topic.removeprefix(AVAILABILITY), record["sku"], record["location"])
        before = self.last.get(key)
        self.last[key] = record
        return before, record

    # --- the store -----------------------------------------------------------------------------

    def _read_store(self) -> None:
        """Look at the store as a reader does, and start another engine on it."""
        scene = self.scene
        store = scene.store.kept
        rules = self.twin.rules
        if rules is not self._valued:
            self._valued = rules
            self.values = Values(scene.told_of[rules])
        view = View(store)
        self.clock_before = self.now.clock
        self.now = now = Committed(
            clock=view.standing.clock, sweeps=view.standing.sweep is not None
        )
        names = [channel.name for channel in rules.channels]
        for sku in skus_of(view, store):
            _, rows = view.stock(sku)
            now.stock.update({(row.sku, row.location): row for row in rows})
            lines, claims = view.ground(rules, sku)
            now.grounds[sku] = SkuStock(
                sku,
                {place: StockLine(line.sellable, line.reserved) for place, line in lines.items()},
                [(None if at == EVERYWHERE else names[at], held) for at, held in claims.items()],
            )
        for stored, _ in store.scan(records.RESERVATION):
            sku, _, name = stored[1:].decode().partition("|")
            now.reservations.append((sku, name))
        self.probe = Engine(store, rules, scene.story.clock)

    def _read_clock(self) -> None:
        """Look at a store in which nothing but the time has passed."""
        standing = View(self.scene.store.kept).standing
        self.clock_before = self.now.clock
        self.now = dataclasses.replace(
            self.now, clock=standing.clock, sweeps=standing.sweep is not None
        )

    def computed(self) -> dict[ChannelKey, int]:
        """Return the value of every key, those included that were told and offer nothing now."""
        clock = self.now.clock or 0
        found = {key: 0 for key in self.last if key[0] in self.values.rules.channels}
        for ground in self.now.grounds.values():
            found.update(self.values.of(ground, clock))
        return found

    def keys_out_of_sight(self) -> int:
        """Return how many keys may exist that were never told, and offer nothing now.

        A key of a location comes to exist while the channel sells from there. When that ends
        before it was told, nobody sees it but the engine.
        """
        local = [name for name, each in self.values.rules.channels.items() if each.by_location]
        known = self.computed()
        places = [(name, *place) for name in local for place in self.now.stock]
        return sum(place not in known for place in places)


def skus_of(view: View, store: MemoryStore) -> list[str]:
    """Return the SKUs of which a movement was applied or absorbed."""
    found = []
    for stored, _ in store.scan(records.SKU):
        sku = stored[1:].decode()
        try:
            view.stock(sku)
        except NotFoundError:
            continue  # nothing but rejected reservations
        found.append(sku)
    return found


def stock_of(view: View, store: MemoryStore) -> dict[Place, LedgerRow]:
    """Return the stock of every key in a store."""
    rows = [row for sku in skus_of(view, store) for row in view.stock(sku)[1]]
    return {(row.sku, row.location): row for row in rows}


def _add(promise: Promise, decision: Record) -> None:
    quantity, requested = decision["quantity"], decision["requested"]
    if decision["outcome"] in ("released", "fulfilled", "expired"):
        promise.ended += quantity
        return
    taken = 0 if decision["outcome"] == "rejected" else quantity
    promise.taken += taken
    promise.early_most += requested - taken
    if decision["outcome"] == "accepted":
        promise.early_least += requested - taken
