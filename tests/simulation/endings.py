"""What holds when a story has ended: one function per invariant, given the onlooker."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from engine.contracts.exceptions import FUTURE_DATED
from engine.core.engine import Engine
from engine.core.figures import Figures
from engine.embedded.view import View
from engine.stores.memory import MemoryStore
from tests.oracle.promises import broken_promises
from tests.simulation.invariants import different
from tests.simulation.journal import Player
from tests.simulation.monitor import Monitor, stock_of
from tests.simulation.scene import Scene
from tests.simulation.story import OFFSET_REWOUND, ORDERLESS, WHOLE, WILD, NewRules

Ending = Callable[[Monitor, Path], Iterator[str]]

OF_A_PLACE = ("sellable", "inspecting", "damaged", "reserved")


def at_rest_everything_was_told(monitor: Monitor, _: Path) -> Iterator[str]:
    """When nothing is left to do every channel has every number, as the oracle computes it."""
    if monitor.scene.story.rests:
        yield from (f"not told: {key}" for key in different(monitor))


def limits_are_kept(monitor: Monitor, _: Path) -> Iterator[str]:
    """Intervals, rates, budgets and ticks: what every channel was promised."""
    story = monitor.scene.story
    if not any(isinstance(event, NewRules) for event in story.events):
        yield from broken_promises(story.rules, _Results(monitor))


def other_cuts_give_the_same_bytes(monitor: Monitor, _: Path) -> Iterator[str]:
    """The log played line by line, and committed only where it must be, gives the same outputs."""
    scene = monitor.scene
    player = Player(scene.first_rules, scene.story.clock, as_written=False)
    with scene.small_memory():
        player.play(scene.journal.committed)
        player.commit()
    if player.disagreement is not None:
        yield player.disagreement
    told = {topic: bytes(data) for topic, data in player.told.items() if data}
    yield from _differences(scene.outputs(), told)
    if stock_of(View(player.store), player.store) != monitor.now.stock:
        yield "the stock differs"


def no_fault_leaves_a_trace(monitor: Monitor, folder: Path) -> Iterator[str]:
    """By the event clock the outputs are those of a run in which nothing happened."""
    scene, story = monitor.scene, monitor.scene.story
    rewound = any(fault.kind == OFFSET_REWOUND for fault in scene.faults.struck)
    if story.clock != "event" or story.has_turns or rewound:
        return
    quiet = dataclasses.replace(story, faults=(), pace=WHOLE)
    undisturbed = Scene(quiet, folder / "undisturbed", inputs=scene.inputs)
    undisturbed.play()
    yield from _differences(scene.outputs(), undisturbed.outputs())


def the_order_does_not_matter(monitor: Monitor, _: Path) -> Iterator[str]:
    """Each movement counts once: the stock is what it is when all come once, in order."""
    scene = monitor.scene
    if scene.story.kind != ORDERLESS:
        return
    store = MemoryStore()
    engine = Engine(store, scene.first_rules, "event")
    texts = {line.sent: line.text for line in scene.story.lines}
    batch = engine.prepare([texts[sent] for sent in sorted(texts)], lambda index: f"sent:{index}")
    done = 0
    while (done := engine.take(batch, done)) < len(texts):
        _commit(engine, store)
    _commit(engine, store)
    straight = stock_of(View(store), store)
    for place in sorted({*straight, *monitor.now.stock}):
        one, other = straight.get(place), monitor.now.stock.get(place)
        found = [[getattr(row, name, 0) for name in OF_A_PLACE] for row in (other, one)]
        if found[0] != found[1]:
            yield f"{place}: {found[0]} instead of {found[1]}"


def a_start_without_input_changes_nothing(monitor: Monitor, _: Path) -> Iterator[str]:
    """Started again with the same arguments, by the event clock, it tells nothing more."""
    scene = monitor.scene
    if scene.story.clock != "event":
        return
    outputs, before = scene.outputs(), _figures(scene)
    scene.faults.disarm()
    scene.play()
    yield from _differences(scene.outputs(), outputs)
    if _figures(scene) != before:
        yield f"{before} became {_figures(scene)}"


def all_told_again_changes_nothing(monitor: Monitor, _: Path) -> Iterator[str]:
    """Everything delivered once more, by another way, is dropped."""
    scene, story = monitor.scene, monitor.scene.story
    if story.kind == WILD or story.has_turns:
        return
    stock, before = monitor.now.stock, _figures(scene)
    if FUTURE_DATED in before.exceptions:
        return  # refused while the wall clock was behind, and right to be taken by now
    scene.faults.disarm()
    scene.read_all_again()
    after = _figures(scene)
    for name in ("applied", "absorbed", "rejected"):
        if getattr(after, name) != getattr(before, name):
            yield f"{name}: {getattr(before, name)} became {getattr(after, name)}"
    if story.clock == "event" and monitor.now.stock != stock:
        yield "the stock differs"


def _commit(engine: Engine, store: MemoryStore) -> None:
    changes = engine.collect()
    store.commit(changes.puts, changes.deletes, changes.ranges)
    if engine.standing.cut is not None:
        engine.cut_written(0)


def _figures(scene: Scene) -> Figures:
    return View(scene.store.kept).standing.figures


def _differences(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> Iterator[str]:
    for topic in sorted({*found, *expected}):
        ours, its = found.get(topic, b"").splitlines(), expected.get(topic, b"").splitlines()
        if ours != its:
            pairs = enumerate(zip(ours, its, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(ours), len(its)))
            yield f"{topic}, line {at + 1}: {ours[at : at + 1]} instead of {its[at : at + 1]}"


class _Results:
    """What was told, in the shape in which the promises are checked."""

    def __init__(self, monitor: Monitor) -> None:
        self.outcomes: list[tuple[str, str | None]] = []
        self.decisions: list[dict[str, Any]] = []
        self.exceptions: list[dict[str, Any]] = []
        self.snapshots: list[dict[str, Any]] = []
        told = monitor.told
        names = [channel.name for channel in monitor.scene.rules.channels]
        self.publications = {name: told[f"availability.{name}"] for name in names}
        self.postings = told["erp.postings"]
        self._stock = monitor.now.stock
        self._figures = _figures(monitor.scene)

    def state(self, sku: str, location: str) -> dict[str, Any]:
        row = self._stock.get((sku, location))
        return {name: getattr(row, name, 0) for name in OF_A_PLACE}

    def stock(self, sku: str) -> dict[str, Any]:
        return {"sku": sku}

    def computed(self, channel: str, sku: str, location: str | None = None) -> int:
        del channel, sku, location
        return 0

    def counters(self) -> dict[str, Any]:
        names = ("received", "applied", "duplicate", "absorbed", "rejected", "refused")
        return {name: getattr(self._figures, name) for name in names}


AT_THE_END: Final[Mapping[str, Ending]] = MappingProxyType(
    {
        "at rest everything was told": at_rest_everything_was_told,
        "limits are kept": limits_are_kept,
        "other cuts give the same bytes": other_cuts_give_the_same_bytes,
        "no fault leaves a trace": no_fault_leaves_a_trace,
        "the order does not matter": the_order_does_not_matter,
        "a start without input changes nothing": a_start_without_input_changes_nothing,
        "all told again changes nothing": all_told_again_changes_nothing,
    }
)
