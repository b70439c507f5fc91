"""`sellable reconcile`, with and without a running engine."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from engine.contracts.instants import format_instant
from engine.embedded.runtime import wall_clock
from tests.cli.conftest import Call, Live, until

FINDINGS = Path("data/out/reconciliation.findings.ndjson")


def findings() -> list[dict[str, object]]:
    """The findings in the file."""
    return [json.loads(line) for line in FINDINGS.read_text().splitlines()]


def test_a_file_is_compared_and_its_findings_are_written(replayed: Call) -> None:
    """Without an engine: what agrees, what differs, and what is refused, each counted."""
    assert findings() == []
    told = replayed("reconcile observations.ndjson --data data --json").data
    counts = {name: told[name] for name in ("received", "agrees", "differs", "duplicate")}
    assert counts == {"received": 3, "agrees": 1, "differs": 1, "duplicate": 0}
    assert told["refused"] == 1
    assert told["findings"] == findings()
    (finding,) = findings()
    assert (finding["location"], finding["action"]) == ("S-0101", "review")
    (refusal,) = told["refusals"]
    listed = replayed("exceptions list --data data --json").data
    assert refusal["exception"] in {one["exception"] for one in listed}
    shown = replayed(f"exceptions show {refusal['exception']} --data data --json").data
    assert shown["origin"] == "observations.ndjson:3"


def test_people_get_a_table_and_a_sum(replayed: Call) -> None:
    """With the class, the action, and the refused line's fault."""
    text = replayed("reconcile observations.ndjson --data data").out
    assert "S-0101" in text
    assert "shrink" in text
    assert "quantity is '3', expected a whole number" in text
    assert "3 observations: 1 agree, 1 differ (0 adjusted, 1 to review), 0 duplicate, 1" in text


def test_the_same_file_again_changes_nothing(replayed: Call) -> None:
    """What came before is a duplicate; what was refused is refused again."""
    replayed("reconcile observations.ndjson --data data")
    again = replayed("reconcile observations.ndjson --data data --json").data
    assert (again["duplicate"], again["refused"], again["findings"]) == (2, 1, [])
    assert len(findings()) == 1


def test_the_policy_of_the_last_run_adjusts_and_the_next_run_publishes(
    call: Call, workspace: Path
) -> None:
    """The adjustment is a movement of the finding's name, in stock at once."""
    with (workspace / "rules" / "engine.yaml").open("a") as settings:
        settings.write("reconciliation: {adjust: [shrink], adjust_up_to: 1000}\n")
    run = "run --rules rules --data data --input movements.ndjson --clock event --once"
    before = call(run).data
    told = call("reconcile observations.ndjson --data data --json").data
    assert [one["action"] for one in told["findings"]] == ["adjusted"]
    stock = call("stock 10-0001 --location S-0101 --data data --json").data
    assert stock["locations"][0]["sellable"] == 3
    after = call(run).data
    assert after["applied"] == before["applied"] + 1
    assert list(after) == list(before)


def test_a_packed_csv_file_is_read_with_the_columns_of_observations(
    replayed: Call, workspace: Path
) -> None:
    """And one without them is refused before anything is done."""
    rows = (
        "sku,location,source,quantity,observed_at,disposition\n"
        "10-0001,DC-EAST,erp,40,2026-11-10T06:00:00-05:00,\n"
        "10-0001,DC-EAST,erp,1,2026-11-10T06:00:00-05:00,damaged\n"
    )
    (workspace / "erp.csv.gz").write_bytes(gzip.compress(rows.encode()))
    told = replayed("reconcile erp.csv.gz --data data --json").data
    assert (told["agrees"], told["differs"]) == (1, 1)
    assert told["findings"][0]["disposition"] == "damaged"
    (workspace / "wrong.csv").write_text("sku,location\nA,B\n")
    wrong = replayed("reconcile wrong.csv --data data")
    assert wrong.status == 2
    assert "source,sku,location,quantity,observed_at" in wrong.err


def test_a_wrong_call_is_told_with_what_to_do(call: Call) -> None:
    """No such file, and no data folder."""
    assert call("reconcile nothing.ndjson --data data").status == 2
    failed = call("reconcile observations.ndjson --data nowhere")
    assert failed.status in (1, 2)
    assert "nowhere" in failed.err


def test_a_running_engine_compares(live: Live, call: Call, workspace: Path) -> None:
    """The order goes to the engine that has the folder, and its findings into its file."""
    live.send(id="c1", type="count", sku="A", location="DC-EAST", quantity=5)
    until(lambda: call("stock A --data data --json").status == 0)
    seen = {
        "source": "wms",
        "sku": "A",
        "location": "DC-EAST",
        "quantity": 5,
        "observed_at": format_instant(wall_clock()),
    }
    lines = [seen, {**seen, "source": "erp", "quantity": 4}]
    (workspace / "seen.ndjson").write_text("".join(json.dumps(one) + "\n" for one in lines))
    told = call("reconcile seen.ndjson --data data --json").data
    assert (told["agrees"], told["differs"]) == (1, 1)
    assert findings() == told["findings"]
    summary = live.stop().data
    assert summary["received"] == 1
