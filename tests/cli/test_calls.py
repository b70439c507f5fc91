"""How a command line is taken, and how errors are told."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from engine import __version__
from engine.cli import main
from engine.cli.app import ENTRIES
from engine.cli.printing import on_one_line, safe, signed
from tests.cli.conftest import Call, environment, program, start

HEAVY = ("rocksdict", "pydantic", "numpy", "msgspec", "structlog")


def test_the_version_is_told(call: Call) -> None:
    """--version prints name and version."""
    assert call("--version").out == f"sellable {__version__}\n"


@pytest.mark.parametrize("line", ["", "rules", "exceptions"])
def test_a_call_that_names_no_command_shows_the_help(call: Call, line: str) -> None:
    """It is a wrong call, and shows what could have been meant."""
    done = call(line)
    assert done.status == 2
    assert "Commands:" in done.out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("stok 10-0001", "No such command 'stok'"),
        ("rules chek rules", "No such command 'chek'"),
        ("stock", "Missing"),
        ("stock 10-0001 --data", "--data"),
        ("stock 10-0001 --dta data", "--dta"),
        ("run --rules rules --data data --clock moon", "--clock"),
        ("exceptions list --data data --limit 0", "--limit"),
    ],
)
def test_a_wrong_call_ends_with_2_and_names_the_help(call: Call, line: str, told: str) -> None:
    """The error tells what is wrong and where to read more; with --json it is data."""
    done = call(line)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert told in done.err
    assert "--help`" in done.err
    assert list(json.loads(call(f"{line} --json").err)) == ["error", "advice"]


def test_ctrl_c_while_a_command_is_loaded_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A start takes its time on a busy machine; who changes their mind is told nothing."""

    def interrupted(_words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "build", interrupted)
    assert main.invoke(["stock", "10-0001", "--data", "data"]) == 1
    assert capsys.readouterr() == ("", "")


def test_a_wrong_name_in_a_group_leads_to_the_help_of_the_group(call: Call) -> None:
    """Not to that of a command that is not there."""
    assert "See `sellable topics --help`" in call("topics frobnicate").err
    assert "See `sellable topics check --help`" in call("topics check --brokerz x").err


def test_the_help_loads_nothing_that_only_an_engine_needs() -> None:
    """`sellable --help` answers at once, because no command is loaded for it."""
    code = (
        "import sys; from engine.cli.main import invoke; status = invoke(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules]); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_a_command_says_of_itself_what_the_overview_says(
    call: Call, entry: tuple[str, ...]
) -> None:
    """The summary in the list of commands is the first sentence of the command's own help."""
    name, summary = entry[0], entry[2]
    own = " ".join(call(f"{name} --help").out.split())
    assert summary in own


def test_every_command_adds_itself() -> None:
    """Each entry names a module that can be loaded and adds to an application."""
    for entry in ENTRIES:
        app = typer.Typer()
        import_module(entry.module).add_to(app)
        assert len(app.registered_commands) + len(app.registered_groups) == 1


def test_a_reader_that_goes_away_is_no_error(workspace: Path) -> None:
    """`sellable ... | head` says nothing on stderr when head has had enough."""
    line = "run --rules rules --data data --input movements.ndjson --clock event --once"
    assert start(workspace, line).status == 0
    process = subprocess.Popen(
        [*program(), "exceptions", "list", "--data", "data", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


def test_a_full_disk_behind_stdout_is_told(workspace: Path) -> None:
    """What could not be printed is a failure with a message, without a traceback."""
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [*program(), "rules", "check", "rules"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert process.returncode == 1
    assert process.stderr.startswith("error: No space left on device")
    assert "Traceback" not in process.stderr


def test_a_file_that_may_not_be_made_is_told_without_a_traceback(
    call: Call, workspace: Path
) -> None:
    """A data folder where a file lies is a wrong call, and the error says what to name instead."""
    (workspace / "data").write_text("not a folder")
    done = call("run --rules rules --data data --clock event --once")
    assert done.status == 2
    assert done.err.startswith("error: data is no folder\n  Name another one with --data.")
    assert "Traceback" not in done.err


def test_what_a_terminal_would_obey_is_written_out() -> None:
    """Payloads are shown as they came, but their control characters do nothing."""
    assert safe("a\x1b[31mb") == "a\\x1b[31mb"
    assert safe("two\nlines") == "two\nlines"
    assert on_one_line("two\nlines") == "two\\nlines"
    assert safe("Gr\u00f6\u00dfe") == "Gr\u00f6\u00dfe"


def test_terms_have_their_signs() -> None:
    """A term of a sum shows its sign and its thousands."""
    assert [signed(value) for value in (1200, -3)] == ["+1,200", "-3"]
