"""Examples of every command, as data: shown under `--help`, and run by a test as they stand.

They are meant for a folder that holds the working rules folder `rules/` of the project and some
movements; those that read the data folder `data` come after the first example of `run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Example(NamedTuple):
    """What one wants to do, and what to type into a shell.

    Some run until they are stopped; some need a Kafka broker at `BROKERS`, or Redis; some need an
    engine that listens at `ENGINE`. The exit status of some is a verdict: 0, or 1 where the machine
    is too slow.
    """

    says: str
    command: str
    until_stopped: bool = False
    needs_brokers: bool = False
    judges: bool = False
    needs_engine: bool = False


_RUN: Final = Example(
    "Replay a file of movements, as fast as it can be read",
    "sellable run --rules rules --data data --input movements.ndjson --clock event --once",
)

BROKERS: Final = "localhost:9092"
ENGINE: Final = "http://127.0.0.1:8080"


def _with_brokers(says: str, command: str) -> Example:
    return Example(says, command, needs_brokers=True)


def _worker(says: str, command: str, more: str) -> Example:
    line = f"{command} --brokers {BROKERS} --rules rules{more}"
    return Example(says, line, until_stopped=True, needs_brokers=True)


EXAMPLES: Final[Mapping[str, tuple[Example, ...]]] = MappingProxyType(
    {
        "": (
            Example("Check a rules folder", "sellable rules check rules"),
            _RUN,
            Example(
                "Ask why a channel shows what it shows",
                "sellable explain 10-0001 --channel web-shop --data data",
            ),
        ),
        "run": (
            _RUN,
            Example(
                "Follow a file that grows, by the time of day, until Ctrl-C",
                "sellable run --rules rules --data live --input movements.ndjson",
                until_stopped=True,
            ),
            Example(
                "Take what another program sends, without snapshots",
                "gzip -cd movements.ndjson.gz |\n"
                "    sellable run --rules rules --data piped --input - --clock event --once \\\n"
                "    --snapshot-every off",
            ),
            Example(
                "Serve HTTP as well: lookups, reservations, movements",
                "sellable run --rules rules --data shop --listen 127.0.0.1:8080",
                until_stopped=True,
            ),
            Example(
                "Two files in the order of their times, results in a folder of their own",
                "sellable run --rules rules --data merged --out results \\\n"
                "    --input movements.ndjson.gz --input counts.csv --merge --clock event --once",
            ),
        ),
        "stock": (
            Example("At every location", "sellable stock 10-0001 --data data"),
            Example(
                "At one, for a program",
                "sellable stock 10-0001 --location DC-EAST --data data --json",
            ),
        ),
        "availability": (
            Example("On every channel", "sellable availability 10-0001 --data data"),
            Example(
                "On one, for a program",
                "sellable availability 10-0001 --channel amazon-us --data data --json",
            ),
        ),
        "explain": (
            Example(
                "A channel with one number per SKU",
                "sellable explain 10-0001 --channel web-shop --data data",
            ),
            Example(
                "A channel with a number per location",
                "sellable explain 10-0001 --channel click-and-collect --location S-0101 \\\n"
                "    --data data",
            ),
        ),
        "rules": (
            Example("Find every mistake", "sellable rules check rules"),
            Example("Run the cases in rules/tests", "sellable rules test rules"),
        ),
        "rules check": (
            Example("Find every mistake", "sellable rules check rules"),
            Example("For a program", "sellable rules check rules --json"),
        ),
        "rules test": (
            Example("Run the cases in rules/tests", "sellable rules test rules"),
            Example("For a program", "sellable rules test rules --json"),
        ),
        "rules explain": (
            Example(
                "Which rules win in the week of Black Friday",
                "sellable rules explain 10-0107 --channel amazon-us --rules rules \\\n"
                "    --at 2026-11-27T12:00:00-05:00",
            ),
            Example(
                "With stock that might be there, 2 of it reserved at the store",
                "sellable rules explain 10-0001 --channel web-shop --rules rules \\\n"
                "    --stock DC-EAST=40 --stock S-0101=20/2",
            ),
            Example(
                "With the stock of a data folder",
                "sellable rules explain 10-0001 --channel web-shop --rules rules --data data",
            ),
        ),
        "rules what-if": (
            Example(
                "What other rules would change on the stock of now",
                "cp -r rules next-rules\n"
                "sed -i 's/percent: 10/percent: 20/' next-rules/*.rules.yaml\n"
                "sellable rules what-if next-rules --data data",
            ),
            Example(
                "One channel, for a program",
                "sellable rules what-if rules --channel amazon-us --data data --json",
            ),
            Example(
                "On the stock of an engine that runs elsewhere",
                f"sellable rules what-if rules --url {ENGINE}",
                needs_engine=True,
            ),
        ),
        "rules publish": (
            Example(
                "Put rules in force",
                f"sellable rules publish rules --url {ENGINE}",
                needs_engine=True,
            ),
        ),
        "exceptions": (
            Example("The open ones", "sellable exceptions list --status open --data data"),
            Example(
                "Mend one and replay it",
                "sellable exceptions replay x-00000001 --set quantity=2 --data data",
            ),
        ),
        "exceptions list": (
            Example("The open ones", "sellable exceptions list --status open --data data"),
            Example(
                "Those that may cause an oversell, for a program",
                "sellable exceptions list --severity critical --data data --json",
            ),
        ),
        "exceptions show": (
            Example("One with its payload", "sellable exceptions show x-00000001 --data data"),
        ),
        "exceptions replay": (
            Example(
                "Mend a field and replay",
                "sellable exceptions replay x-00000001 --set quantity=2 --data data",
            ),
            Example(
                "Replay what came too late to tell whether it was seen",
                "sellable exceptions replay x-00000003 --accept-old --data data",
            ),
        ),
        "exceptions dismiss": (
            Example(
                "Close one for good",
                'sellable exceptions dismiss x-00000002 --reason "a test of the till" --data data',
            ),
        ),
        "keys": (
            Example(
                "Let a web shop look up and reserve",
                "sellable keys create --role reserver --channel web-shop --data data",
            ),
            Example("Which keys there are", "sellable keys list --data data"),
        ),
        "keys create": (
            Example(
                "Let a web shop look up and reserve",
                "sellable keys create --role reserver --channel web-shop --data data",
            ),
            Example(
                "Let the tills send what they sell, at most 50 calls a second",
                "sellable keys create --role publisher --source 'pos-*' --rate 50/s \\\n"
                "    --name tills --data data",
            ),
        ),
        "keys list": (Example("With what each reaches", "sellable keys list --data data"),),
        "keys revoke": (
            Example(
                "The key that was lost",
                "sellable keys revoke $(sellable keys create --role auditor --data data --json |\n"
                '    sed \'s/.*"id":"\\([0-9a-f]*\\)".*/\\1/\') --data data',
            ),
        ),
        "snapshot": (
            Example("Into the file reconciliation.snapshots", "sellable snapshot --data data"),
        ),
        "reconcile": (
            Example(
                "What the warehouse believes, a line of JSON for each",
                "sellable reconcile observations.ndjson --data data",
            ),
            Example(
                "A row of a spreadsheet, for a program",
                "(echo source,sku,location,quantity,observed_at;\n"
                " echo erp,10-0001,DC-EAST,40,2026-11-10T14:00:00Z) > erp.csv\n"
                "sellable reconcile erp.csv --data data --json",
            ),
        ),
        "lookup": (
            _with_brokers(
                "On every channel",
                "sellable lookup 10-0001 --redis-url redis://127.0.0.1:6379/0",
            ),
            _with_brokers(
                "On one, for a program",
                "sellable lookup 10-0001 --channel web-shop --json \\\n"
                "    --redis-url redis://127.0.0.1:6379/0",
            ),
        ),
        "topics": (
            _with_brokers(
                "Make the topics, on a broker on this machine",
                "sellable topics create --brokers localhost:9092 --rules rules",
            ),
        ),
        "topics create": (
            _with_brokers(
                "On a broker on this machine, with few partitions",
                "sellable topics create --brokers localhost:9092 --rules rules --partitions 3",
            ),
        ),
        "topics check": (
            _with_brokers(
                "For a program",
                "sellable topics check --brokers localhost:9092 --rules rules \\\n"
                "    --partitions 3 --json",
            ),
        ),
        "topics describe": (
            Example("As a table", "sellable topics describe --rules rules"),
            Example(
                "As they would be on a cluster of your own, for a program",
                "sellable topics describe --rules rules --replication 3 --json",
            ),
        ),
        "topics send": (
            _with_brokers(
                "What a file holds",
                "sellable topics send movements.ndjson --topic movements.pos \\\n"
                "    --brokers localhost:9092",
            ),
            _with_brokers(
                "What another program says",
                "gzip -cd movements.ndjson.gz |\n"
                "    sellable topics send --topic movements.pos --brokers localhost:9092",
            ),
        ),
        "topics snapshot": (
            _with_brokers(
                "Of everything, now",
                "sellable topics snapshot --brokers localhost:9092",
            ),
        ),
        "worker": (
            _worker("Bring movements in", "sellable worker ingest", " --data ingest"),
            _worker("Keep the book", "sellable worker ledger", " --data ledger"),
        ),
        "worker ingest": (
            _worker("With brokers on this machine", "sellable worker ingest", " --data ingest"),
        ),
        "worker ledger": (
            _worker("With brokers on this machine", "sellable worker ledger", " --data ledger"),
        ),
        "worker publish": (
            _worker("With brokers on this machine", "sellable worker publish", " --data publish"),
        ),
        "worker dispatch": (
            _worker(
                "With brokers and Redis on this machine",
                "sellable worker dispatch",
                " --data dispatch \\\n    --redis-url redis://127.0.0.1:6379/0",
            ),
        ),
        "api": (
            _worker(
                "With brokers and Redis on this machine",
                "sellable api",
                " --data api \\\n    --redis-url redis://127.0.0.1:6379/0 --listen 127.0.0.1:8080",
            ),
        ),
        "rehearse": (
            Example(
                "Some seconds of generated movements",
                "sellable rehearse --rules rules --duration 3s --skus 50 --no-headroom",
                judges=True,
            ),
            Example(
                "A recording three times as fast, with tills offline and the engine killed",
                "sellable rehearse --rules rules --movements movements.ndjson --factor 3 \\\n"
                "    --duration 4s --fault till-chain --fault worker@2s --limit urgent-p99=20s \\\n"
                "    --limit channel-drain=5s --no-headroom",
                judges=True,
            ),
            Example(
                "The workers on Kafka, with the ledger killed, on brokers on this machine",
                "sellable rehearse --kafka --brokers localhost:9092 --rules rules \\\n"
                "    --partitions 3 --duration 3s --skus 50 --fault worker=ledger@1s --no-headroom",
                needs_brokers=True,
                judges=True,
            ),
        ),
        "demo": (Example("A month of it", "sellable demo --days 31"),),
    }
)

HEADING: Final = "Examples:"
INDENT: Final = "  "


def epilog(command: str) -> str:
    """The block of examples that stands under the help of a command."""
    lines = []
    for example in EXAMPLES[command]:
        lines += [f"# {example.says}", *example.command.splitlines()]
    # A backspace on a line of its own keeps the lines of a paragraph as they are.
    return "\n".join(["\b", HEADING, *(INDENT + line for line in lines)])
