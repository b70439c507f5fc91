"""Stories of a cluster, each from one number, played beside the oracle: what does not hold."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.contracts import records
from tests.kafka.simulated import SimulatedCluster
from tests.kafka.simulated_broker import Fault, draw_faults
from tests.oracle import Oracle, random_rules, write_rules_folder
from tests.oracle.decoding import DISPOSITIONS
from tests.oracle.generate import generate_timed
from tests.oracle.promises import broken_publications

MOVEMENTS = 150
FAULTS_EACH = 0.02
"""Of all occasions for a kind of fault, how many are struck."""
MOST_AT_ONCE = 6
MILLISECOND = 1_000
HOUR = 3_600_000_000
MEMORY_FOLDER = Path("/dev/shm")

BY_COMMIT = (records.DIRTY, records.WINDOW, records.IDENTITY_RECENT, records.FORGET)
"""Kinds of records that are cut by commits: an owner that ended within an envelope commits another
number of times. What they hold is in the results: identities, postings, and what is looked at."""
NO_MATTER = ("commit", "forgotten_until")
NEVER_BREAKS = "no error of its own"


@dataclass(frozen=True)
class Story:
    """Everything that happens: movements in groups, each with its arrival, and faults."""

    seed: int
    rules: Mapping[str, Any]
    groups: tuple[tuple[int, tuple[bytes, ...]], ...]
    faults: tuple[Fault, ...]

    @property
    def movements(self) -> int:
        """How many movements it has."""
        return sum(len(lines) for _, lines in self.groups)


@dataclass(frozen=True)
class Failure:
    """What does not hold, and how."""

    invariant: str
    message: str


@dataclass(frozen=True)
class Played:
    """What a story came to: what was wrong, if anything was, and how often what struck it."""

    failures: list[Failure]
    struck: Counter[str]
    takeovers: int = 0


def draw(seed: int, movements: int = MOVEMENTS, faults_each: float = FAULTS_EACH) -> Story:
    """The story of a seed."""
    rules = random_rules(seed)
    timed = generate_timed(seed, movements, channels=list(rules["channels"]))
    lines = [(arrival, line) for arrival, line in timed if line.strip()]
    chance = random.Random(f"groups {seed}")
    groups = []
    while lines:
        count = chance.randint(1, MOST_AT_ONCE)
        some, lines = lines[:count], lines[count:]
        arrival = some[-1][0] // MILLISECOND * MILLISECOND
        groups.append((arrival, tuple(line for _, line in some)))
    return Story(seed, rules, tuple(groups), tuple(draw_faults(seed, movements, faults_each)))


def play(story: Story) -> Played:
    """Play a story in folders of its own."""
    where = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=where) as name:
        folder = Path(name)
        write_rules_folder(story.rules, folder / "rules")
        cluster = SimulatedCluster(folder / "rules", folder / "data", story.seed, story.faults)
        try:
            failures = list(_play(story, cluster))
        except Exception as error:  # noqa: BLE001 - whatever the engine breaks with is a finding
            failures = [Failure(NEVER_BREAKS, f"{type(error).__name__}: {error}")]
        finally:
            takeovers = sum(partition.takeovers for partition in cluster.partitions)
            with _whatever_comes():
                cluster.close()
    return Played(failures, cluster.broker.faults.struck, takeovers)


@contextmanager
def _whatever_comes() -> Iterator[None]:
    """Closing what has failed may fail, and says nothing new."""
    try:
        yield
    except Exception:  # noqa: BLE001
        return


def _play(story: Story, cluster: SimulatedCluster) -> Iterator[Failure]:
    oracle, now = Oracle(story.rules, "wall"), 0
    for now, lines in story.groups:
        for line in cluster.feed(lines, now):
            oracle.feed(line, now)
    oracle.advance(now + 6 * HOUR)
    cluster.advance(now + 6 * HOUR)
    cluster.settle()
    cluster.advance(now + 12 * HOUR)
    cluster.settle()
    oracle.advance(now + 12 * HOUR)
    for name, found in INVARIANTS.items():
        for message in found(story, oracle, cluster):
            yield Failure(name, message)


# --- invariants ---------------------------------------------------------------------------------


def publications_keep_their_promises(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """Versions rise, nothing is told twice, rates and intervals are kept."""
    yield from broken_publications(story.rules, cluster.publications)


def publications_are_the_oracles(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """Every one of them; the last of each key where something came late, or a rate is short."""
    for channel, wanted in oracle.publications.items():
        mine, told = causeless(wanted), causeless(cluster.publications[channel])
        publish = story.rules["channels"][channel].get("publish", {})
        if publish.get("max_rate") or not cluster.channels[channel].exact:
            mine, told = last_of_each(mine), last_of_each(told)
        yield from first(channel, in_order(mine), in_order(told))


def outcomes_are_the_oracles(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """Of every movement: a repeat that nobody sent would be a duplicate."""
    yield from first("outcome", list(map(str, oracle.outcomes)), list(map(str, cluster.outcomes)))


def decisions_are_the_oracles(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """Every one of them, those sent again left out."""
    decisions = cluster.told("reservations.decisions")
    yield from first("decision", in_order(oracle.decisions), in_order(decisions))


def exceptions_are_the_oracles(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """As many of every code."""
    codes = Counter(told["code"] for told in oracle.exceptions)
    mine = Counter(told["code"] for told in cluster.told("exceptions"))
    yield from first("exceptions", [str(sorted(codes.items()))], [str(sorted(mine.items()))])


def the_state_is_the_oracles(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """Of every key."""
    rows = oracle.fingerprint_state()["keys"]
    yield from first("state", in_order(rows.values()), in_order(cluster.ledger_rows().values()))


def conservation(story: Story, oracle: Oracle, cluster: SimulatedCluster) -> Iterator[str]:
    """What is posted, in sequences without gaps, adds up to what is there."""
    booked: Counter[tuple[str, str, str]] = Counter()
    for number, messages in enumerate(cluster.broker.partitions("erp.postings", 3)):
        documents = {dict(one.headers)["id"]: json.loads(one.value or b"") for one in messages}
        sequences = [one["sequence"] for one in documents.values()]
        if sequences != list(range(1, len(sequences) + 1)):
            yield f"the sequence of partition {number} is {sequences}"
        for one in documents.values():
            for line in one["lines"]:
                booked[line["sku"], line["location"], line["disposition"]] += line["quantity"]
    for place, row in cluster.ledger_rows().items():
        sku, _, location = place.partition("|")
        for disposition in DISPOSITIONS:
            posted = booked[sku, location, disposition]
            if posted != row[disposition]:
                yield f"{posted} {disposition} posted of {place}, {row[disposition]} there"


def the_log_gives_the_same_records(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """Somebody who begins with nothing and takes the log without a fault has the same.

    Reservations that nobody needs to remember go sooner or later; it changes no result.
    """
    for partition in cluster.partitions:
        yield from _differ(f"rebuilt {partition.number}", partition.rebuilt(), partition.records())


def the_changelog_has_everything(
    story: Story, oracle: Oracle, cluster: SimulatedCluster
) -> Iterator[str]:
    """What a worker without a data folder would restore is what the owner has."""
    for partition in cluster.partitions:
        wanted, found = partition.records(), partition.restored()
        yield from _differ(f"restored {partition.number}", wanted, found)


INVARIANTS = {
    "publications keep their promises": publications_keep_their_promises,
    "publications are the oracle's": publications_are_the_oracles,
    "outcomes are the oracle's": outcomes_are_the_oracles,
    "decisions are the oracle's": decisions_are_the_oracles,
    "exceptions are the oracle's": exceptions_are_the_oracles,
    "the state is the oracle's": the_state_is_the_oracles,
    "conservation": conservation,
    "the log gives the same records": the_log_gives_the_same_records,
    "the changelog has everything": the_changelog_has_everything,
}


def _differ(what: str, mine: Mapping[bytes, bytes], told: Mapping[bytes, bytes]) -> Iterator[str]:
    for name in sorted(mine.keys() | told.keys()):
        if name[:1] in BY_COMMIT:
            continue
        if name[:1] == records.RESERVATION and (name not in mine or name not in told):
            continue
        one, other = _content(mine.get(name)), _content(told.get(name))
        if one != other:
            yield f"{what}: {name!r} is {one}, and {other}"
            return


def _content(stored: bytes | None) -> object:
    """A record as data: the order of its maps, and when it was committed, mean nothing."""
    if stored is None:
        return None
    try:
        found: object = msgspec.msgpack.decode(stored)
    except ValueError:  # no MessagePack
        return stored
    if isinstance(found, dict):
        return {name: held for name, held in found.items() if name not in NO_MATTER}
    return found


def in_order(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Records as texts, in an order of their own."""
    return sorted(json.dumps(record, sort_keys=True) for record in records)


def causeless(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Publications without what caused them.

    The publish worker knows which movement changed the quantity last, the oracle which one touched
    the SKU last: while a publication is held back, that may be another one.
    """
    return [{**record, "cause": None} for record in records]


def last_of_each(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last publication of every key, without version and time.

    Where a rate is short, how fast a key sells is as of the last change of its quantity; the oracle
    counts later sales, too, that left the channel's quantity alone. So the order may be another.
    """
    last = {(record["sku"], record["location"]): record for record in records}
    return [{**record, "version": None, "computed_at": None} for record in last.values()]


def first(what: str, mine: Sequence[str], told: Sequence[str]) -> Iterator[str]:
    """The first difference in one sentence, if there is any."""
    only_mine, only_told = Counter(mine) - Counter(told), Counter(told) - Counter(mine)
    if only_mine or only_told:
        mine_first, told_first = min(only_mine, default=""), min(only_told, default="")
        yield f"{what}: the oracle has {mine_first}, the cluster {told_first}"
