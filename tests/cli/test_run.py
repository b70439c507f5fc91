"""`sellable run`: its summary, how it ends, where its settings come from."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from engine.embedded.folder import open_for_reading
from engine.embedded.runtime import read_run_record
from tests.cli.conftest import REPLAY, Call, Live, environment, program, start, until

KEYS = [
    "received",
    "applied",
    "duplicate",
    "absorbed",
    "rejected",
    "refused",
    "publications",
    "exceptions",
    "decisions",
    "postings",
    "snapshots",
    "pending",
    "seconds",
    "movements_per_second",
]
CHANNELS = ["web-shop", "amazon-us", "walmart", "ebay", "click-and-collect"]


def settings_of(data: str) -> dict[str, str]:
    store = open_for_reading(Path(data))
    try:
        return read_run_record(store).settings
    finally:
        store.close()


def test_a_run_prints_one_line_of_json_and_nothing_else(workspace: Path) -> None:
    """A run to the end prints its summary on stdout, and nothing on stderr when not watched."""
    done = start(workspace, REPLAY)
    assert (done.status, done.err) == (0, "")
    assert done.out.count("\n") == 1
    summary = json.loads(done.out)
    assert list(summary) == KEYS
    outcomes = [summary[name] for name in KEYS[1:6]]
    assert summary["received"] == sum(outcomes) == 16
    assert outcomes == [11, 1, 0, 1, 3]
    assert summary["exceptions"] == {"invalid_field": 2, "negative_stock": 1, "too_old": 1}
    assert summary["pending"] == 0


def test_every_configured_channel_is_counted(call: Call) -> None:
    """Channels that were told nothing stand in the summary with 0."""
    summary = call("run --rules rules --data data --clock event --once").data
    assert summary["publications"] == dict.fromkeys(CHANNELS, 0)


def test_a_second_run_takes_nothing_again(replayed: Call) -> None:
    """Counts are over the data folder's history, the speed is of the run at hand."""
    again = replayed(REPLAY).data
    assert again["received"] == 16
    assert again["movements_per_second"] == 0


def test_standard_input_is_read_anew_after_it_was_read_to_its_end(workspace: Path) -> None:
    """What is piped into a second run is another input, also when it begins like the first."""
    line = "run --rules rules --data data --input - --clock event --once"
    command = [*program(), *shlex.split(line)]
    text = (workspace / "movements.ndjson").read_text()
    first, second = (
        subprocess.run(
            command, input=text, env=environment(), capture_output=True, text=True, check=True
        )
        for _ in range(2)
    )
    assert json.loads(first.stdout)["received"] == 16
    assert json.loads(second.stdout)["received"] == 32
    assert json.loads(second.stdout)["applied"] == 11


def test_several_inputs_are_merged_by_time(call: Call) -> None:
    """Packed NDJSON and CSV are taken together; outputs go where --out says."""
    done = call(
        "run --rules rules --data data --out results --input movements.ndjson.gz "
        "--input counts.csv --merge --clock event --once"
    )
    assert done.data["received"] == 18
    assert done.data["applied"] == 13
    assert Path("results/availability.web-shop.ndjson").exists()


def test_a_damaged_input_is_told_and_does_not_stop_the_run(call: Call, workspace: Path) -> None:
    """Of a truncated gzip file all whole lines are taken; a warning names file, offset, remedy."""
    packed = workspace / "movements.ndjson.gz"
    packed.write_bytes(packed.read_bytes()[:-100])
    done = call(REPLAY.replace("movements.ndjson", "movements.ndjson.gz"))
    assert done.status == 0
    assert 0 < done.data["received"] < 16
    assert "warning: movements.ndjson.gz is damaged at byte" in done.err
    assert "Send the file again" in done.err


def test_a_missing_input_is_a_wrong_call_and_makes_no_data_folder(
    call: Call, workspace: Path
) -> None:
    """What can be known before the start is told before the start."""
    done = call(REPLAY.replace("movements.ndjson", "nowhere.ndjson"))
    assert (done.status, done.out) == (2, "")
    assert "there is no input file nowhere.ndjson" in done.err
    assert not (workspace / "data").exists()


def test_broken_rules_are_told_all_at_once(call: Call, workspace: Path) -> None:
    """Every mistake comes with its file and line, and nothing is started."""
    (workspace / "rules/broken.rules.yaml").write_text("rules:\n  - nme: x\n  - name: y\n")
    done = call(REPLAY)
    assert done.status == 2
    assert "broken.rules.yaml:2" in done.err
    assert "broken.rules.yaml:3" in done.err
    assert not (workspace / "data").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_engine_that_follows_its_input_ends_well_by_a_signal(
    live: Live, number: signal.Signals, call: Call
) -> None:
    """Stopped by a signal it prints its summary and exits with 0; nothing is lost."""
    live.send(id="c1", type="count", sku="A", location="DC-EAST", quantity=5)
    until(lambda: call("stock A --data data").status == 0)
    done = live.stop(number)
    assert done.status == 0
    assert done.data["applied"] == 1
    assert "Traceback" not in done.err


def test_a_run_that_was_to_reach_the_end_fails_when_stopped_before(workspace: Path) -> None:
    """With --once a signal before the end of the input is an exit status of 1, and no summary."""
    line = "run --rules rules --data data --input - --clock event --once"
    process = subprocess.Popen(
        [*program(), *shlex.split(line)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write((workspace / "movements.ndjson").read_text())
    process.stdin.flush()
    until(lambda: start(workspace, "stock 10-0001 --data data").status == 0)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert "Start the same command again" in err


def test_an_option_beats_the_environment_and_that_the_file(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting is taken from the option, else from the environment, else from engine.yaml."""
    monkeypatch.setenv("SELLABLE_ERP_WINDOW", "30m")
    monkeypatch.setenv("SELLABLE_PUBLISH_TICK", "2s")
    call(f"{REPLAY} --publish-tick 5s --snapshot-every off")
    assert settings_of("data") == {
        "erp.window": "30m",
        "publish_tick": "5s",
        "snapshot.every": "off",
    }
    postings = Path("data/out/erp.postings.ndjson").read_text().splitlines()
    assert {json.loads(line)["window_start"][14:16] for line in postings} <= {"00", "30"}
    told = Path("data/out/availability.web-shop.ndjson").read_text().splitlines()
    assert all(int(json.loads(line)["computed_at"][17:19]) % 5 == 0 for line in told)


def test_a_setting_that_cannot_be_used_is_a_wrong_call(call: Call) -> None:
    """The message names the setting and shows how to write it."""
    done = call(f"{REPLAY} --publish-tick fast --json")
    assert done.status == 2
    told = json.loads(done.err)
    assert list(told) == ["error", "advice"]
    assert "publish_tick" in told["error"]


def test_changed_rules_take_effect_while_the_engine_runs(
    live: Live, call: Call, workspace: Path
) -> None:
    """A channel that is added to the folder is told its numbers, without a restart."""
    live.send(id="c1", type="count", sku="A", location="DC-EAST", quantity=5)
    until(lambda: call("stock A --data data").status == 0)
    channels = workspace / "rules/channels.yaml"
    changed = workspace / "channels.new"
    changed.write_text(channels.read_text() + "\n  outlet:\n    locations: {ids: [DC-EAST]}\n")
    changed.replace(channels)

    def told() -> bool:
        found = call("availability A --channel outlet --data data --json").data
        return bool(found["channels"][0]["available"] == 5)

    until(told)
    assert live.stop().data["publications"]["outlet"] == 1


def test_a_terminal_sees_progress_beside_the_summary(workspace: Path) -> None:
    """The progress bar goes to stderr; stdout keeps its one line."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*program(), *shlex.split(REPLAY)],
        env=environment(TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=True,
    )
    os.close(theirs)
    seen = os.read(ours, 65_536).decode()
    os.close(ours)
    assert json.loads(done.stdout)["received"] == 16
    assert "16 movements" in seen


def test_a_data_folder_has_one_engine_at_a_time(live: Live, call: Call) -> None:
    """A second engine on the same folder is refused, and told who has it."""
    done = call("run --rules rules --data data --once")
    assert done.status == 1
    assert f"process {live.process.pid}" in done.err


def test_logs_are_json_when_nobody_watches(live: Live) -> None:
    """On anything but a terminal every line on stderr is one JSON object with level and time."""
    assert live.first_log["level"] == "info"
    assert live.first_log["timestamp"].endswith("Z")
    assert live.first_log["data"] == "data"
