"""Entry of the command `sellable`: runs a command line, and tells how it ended."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TextIO

import typer

from engine.cli.app import build, named, names_no_command
from engine.cli.errors import tell_error, wants_json
from engine.contracts.errors import EXIT_DONE, EXIT_FAILED, EXIT_WRONG_CALL, SellableError

PROGRAM = "sellable"


def main() -> None:
    """Run the command line of this process, and end it with the exit status."""
    # A shell may have closed them (`>&-`); a file that is opened later must not take their place.
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        # Identifiers may hold any letter of the world; the terminal may not know it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status = invoke(sys.argv[1:])
    _let_go_of_output()
    sys.exit(status)


def invoke(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status: 0 done, 1 failed, 2 wrongly called.

    Errors are told on stderr, as JSON if the command line asks for JSON.
    """
    words = list(arguments)
    if names_no_command(words):
        _run([*words, "--help"])
        return EXIT_WRONG_CALL
    try:
        status = _run(words)
        sys.stdout.flush()
    except SellableError as error:
        tell_error(error.message, error.advice, wants_json(words))
        return error.exit_code
    except typer.TyperException as error:
        path = " ".join([PROGRAM, *named(words)])
        tell_error(error.format_message(), f"See `{path} --help`.", wants_json(words))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        # The second while the command was still being imported: nothing was begun.
        return EXIT_FAILED
    except BrokenPipeError:
        # Whoever read our output has gone, and needs no message.
        return EXIT_FAILED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        advice = "Mend that and start the same command again."
        tell_error(f"{place}{error.strerror or error}", advice, wants_json(words))
        return EXIT_FAILED
    return status


def _nowhere() -> TextIO:
    return io.TextIOWrapper(io.FileIO(os.devnull, "w"), write_through=True)


def _run(words: list[str]) -> int:
    command = typer.main.get_command(build(words))
    status = command.main(words, prog_name=PROGRAM, standalone_mode=False)
    if status is None:
        return EXIT_DONE
    # What Ctrl-C leaves (130) is a failure like any other to whoever called.
    return status if status in (EXIT_DONE, EXIT_FAILED, EXIT_WRONG_CALL) else EXIT_FAILED


def _let_go_of_output() -> None:
    """Let what could not be written be forgotten, or Python would complain of it at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
