"""One simulation: a run without a crash, the same run with crashes, and what has to hold."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.oracle import write_rules_folder
from tests.simulation import invariants
from tests.simulation.faults import CrashError, Faults
from tests.simulation.runs import Machine, Pace
from tests.simulation.streams import calm, rules_for, wild

LINES = 120
CALM_EVERY = 3  # one seed in so many has a calm stream, and one ends with something pending


class Simulation:
    """A stream under rules, from a seed."""

    def __init__(self, seed: int, folder: Path, lines: int = LINES) -> None:
        self.seed = seed
        self.folder = folder
        self.is_calm = seed % CALM_EVERY == 0
        self.rests = seed % CALM_EVERY != 1
        rules: dict[str, Any] = rules_for(seed, self.rests, self.is_calm)
        write_rules_folder(rules, folder / "rules")
        stream = (calm if self.is_calm else wild)(seed, lines, rules)
        (folder / "first.ndjson").write_bytes(b"".join(line + b"\n" for line in stream[:50]))
        (folder / "second.ndjson").write_bytes(b"".join(line + b"\n" for line in stream[50:]))

    def machine(self, name: str) -> Machine:
        """A new machine, with the inputs of this simulation."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        inputs = [self.folder / "first.ndjson", self.folder / "second.ndjson"]
        return Machine(self.folder / "rules", inputs, folder)

    def uninterrupted(self) -> Machine:
        """The machine after a run in which nothing happens."""
        machine = self.machine("reference")
        machine.run()
        return machine

    def pace(self) -> Pace:
        """A pace with many commits."""
        chance = random.Random(self.seed)
        batch = chance.randint(1, 25)
        return Pace(batch, batch * chance.randint(1, 3), chance.randint(1, 5))

    def violations(self, crashes: Counter[str]) -> Iterator[str]:
        """Everything that is not as it should be; `crashes` counts what was done to the run."""
        reference = self.uninterrupted()
        crashed = self.machine("crashed")
        faults = Faults(random.Random(self.seed), share=0.15)
        yield from self._run_with_crashes(crashed, faults)
        crashes.update(faults.crashes)
        yield from self.compared(reference, crashed)
        yield from self.at_rest(crashed)
        yield from self.run_again(crashed)
        if self.is_calm:
            yield from self.told_again(crashed)

    def _run_with_crashes(self, machine: Machine, faults: Faults) -> Iterator[str]:
        checks = [*invariants.AT_ANY_TIME, *(invariants.WHEN_CALM if self.is_calm else ())]
        while True:
            try:
                machine.run(faults, self.pace())
            except CrashError:
                for check in checks:
                    yield from check(machine)
                continue
            return

    def compared(self, reference: Machine, other: Machine) -> Iterator[str]:
        """Rebuild: the same input gives the same bytes, whatever happened meanwhile."""
        expected, found = reference.outputs(), other.outputs()
        for name in sorted({*expected, *found}):
            if expected.get(name) != found.get(name):
                yield f"bytes: {name} differs from the uninterrupted run"
        if invariants.stock(reference.store) != invariants.stock(other.store):
            yield "state: the stock differs from the uninterrupted run"
        figures = invariants.standing(reference.store).figures
        if figures != invariants.standing(other.store).figures:
            yield f"figures: {invariants.standing(other.store).figures} instead of {figures}"

    def at_rest(self, machine: Machine) -> Iterator[str]:
        """Every invariant of a run that has ended."""
        for check in invariants.AT_THE_END:
            yield from check(machine)
        if self.rests:
            yield from invariants.what_rests_is_published(machine)
        if self.is_calm:
            for check in invariants.WHEN_CALM:
                yield from check(machine)

    def run_again(self, machine: Machine) -> Iterator[str]:
        """Started again with the same arguments, nothing changes."""
        outputs, before = machine.outputs(), invariants.standing(machine.store)
        machine.run()
        if machine.outputs() != outputs:
            yield "again: another start with the same inputs has changed the outputs"
        after = invariants.standing(machine.store)
        if (before.figures, before.clock) != (after.figures, after.clock):
            yield f"again: {before.figures} became {after.figures}"

    def told_again(self, machine: Machine) -> Iterator[str]:
        """Told again under another name, every movement is dropped as a duplicate."""
        outputs, state = machine.outputs(), invariants.stock(machine.store)
        before = invariants.standing(machine.store).figures
        again = self.folder / "again.ndjson"
        again.write_bytes(b"".join(path.read_bytes() for path in machine.inputs))
        Machine(machine.rules, [again], machine.folder, machine.store).run()
        after = invariants.standing(machine.store).figures
        if after.duplicate - before.duplicate != before.received or after.refused != before.refused:
            yield f"replay: of {before.received} movements not all were duplicates: {after}"
        if machine.outputs() != outputs or invariants.stock(machine.store) != state:
            yield "replay: movements told again have changed something"
