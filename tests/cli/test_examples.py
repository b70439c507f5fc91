"""Every command shows examples, and every example works as it stands."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.examples import ENGINE, EXAMPLES, Example
from tests.cli.conftest import PATIENCE_SECONDS, REPLAY, Call, Live, environment

FAST = [
    (command, example)
    for command, examples in EXAMPLES.items()
    for example in examples
    if command != "demo"
    and not (example.until_stopped or example.needs_brokers or example.needs_engine)
]
ASKING = [example for examples in EXAMPLES.values() for example in examples if example.needs_engine]
FOLLOWING = [
    example
    for examples in EXAMPLES.values()
    for example in examples
    if example.until_stopped and not example.needs_brokers
]
COMMANDS = [
    "run",
    "stock",
    "availability",
    "explain",
    "rules",
    "rules check",
    "rules test",
    "rules explain",
    "rules what-if",
    "rules publish",
    "exceptions",
    "exceptions list",
    "exceptions show",
    "exceptions replay",
    "exceptions dismiss",
    "keys",
    "keys create",
    "keys list",
    "keys revoke",
    "snapshot",
    "reconcile",
    "lookup",
    "topics",
    "topics create",
    "topics check",
    "topics describe",
    "topics send",
    "topics snapshot",
    "worker",
    "worker ingest",
    "worker ledger",
    "worker publish",
    "worker dispatch",
    "api",
    "rehearse",
    "demo",
]


def with_program(folder: Path) -> dict[str, str]:
    """An environment whose shell knows `sellable`."""
    tools = folder / "bin"
    tools.mkdir()
    program = tools / "sellable"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m engine.cli.main "$@"\n')
    program.chmod(0o755)
    known = environment()
    return {**known, "PATH": f"{tools}:{known['PATH']}"}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_the_examples_of_the_command(call: Call, command: str) -> None:
    """Every command and every group has at least one, written as one would type it."""
    done = call(f"{command} --help")
    assert done.status == 0
    assert EXAMPLES[command]
    for example in EXAMPLES[command]:
        for line in example.command.splitlines():
            assert f"    {line}\n" in done.out


def test_there_are_examples_for_what_there_is() -> None:
    """No example is left over from a command that has gone."""
    assert set(EXAMPLES) == {"", *COMMANDS}


@pytest.mark.parametrize(
    ("command", "example"), FAST, ids=[f"{name}: {each.says}" for name, each in FAST]
)
def test_an_example_works_as_it_stands(
    call: Call, workspace: Path, command: str, example: Example
) -> None:
    """Typed into a shell, in a folder with rules and movements, it ends with 0.

    Or with 1, where that is a verdict on a busy machine.
    """
    if "--data data" in example.command and command != "run":
        assert call(REPLAY).status == 0
    done = subprocess.run(
        ["/bin/sh", "-c", example.command],
        env=with_program(workspace),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode in ((0, 1) if example.judges else (0,))
    assert done.stdout


@pytest.mark.parametrize("example", ASKING, ids=[each.says for each in ASKING])
def test_an_example_that_asks_an_engine_works_where_one_listens(
    call: Call, workspace: Path, example: Example
) -> None:
    """At the address that it names."""
    engine = Live(workspace, "run --rules rules --data live --listen 127.0.0.1:0")
    url = engine.first_log["listens"]
    words = example.command.replace(ENGINE, url).removeprefix("sellable ")
    done = call(words)
    assert engine.stop().status == 0
    assert (done.status, done.err) == (0, "")
    assert done.out


@pytest.mark.parametrize("example", FOLLOWING, ids=[each.says for each in FOLLOWING])
def test_an_example_that_follows_its_input_runs_until_ctrl_c(
    workspace: Path, example: Example
) -> None:
    """It tells that it runs, and ends with 0 when interrupted."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {example.command}"],
        env=with_program(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "the engine runs" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert '"received"' in out
