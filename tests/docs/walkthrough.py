"""Running what a page tells to type, and comparing what it shows with what comes out.

Blocks of `sh` are typed as they are. In blocks of `console` each line after `$ ` is typed, and the
lines up to the next one are what it shall print. Blocks that call `make` are left out.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engine.embedded.folder import is_running

PROJECT = Path(__file__).parents[2]
COLUMNS = 200
PROMPT = "$ "

_BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MEASURED = re.compile(r'"(seconds|movements_per_second|staleness_seconds)":[0-9.]+')
_NOW = re.compile(r'"(as_of|computed_at|decided_at|expires_at)":"[^"]*"')
LISTENS = "127.0.0.1:8080"
_SHIM = """#!/bin/sh
PYTHONPATH='{project}' exec '{python}' -m engine.cli.main "$@"
"""


class Typed(NamedTuple):
    """What is typed, and what shall come out; None: it is not shown."""

    command: str
    shown: str | None


def typed(text: str) -> Iterator[Typed]:
    """What a page, or a part of it, tells to type."""
    for language, body in _BLOCK.findall(text):
        if re.search(r"^(\$ )?make ", body, re.MULTILINE):
            continue
        if language == "sh":
            yield Typed(body, None)
            continue
        for piece in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, shown = piece.partition("\n")
            yield Typed(command, shown)


def section(text: str, title: str) -> str:
    """The part of a page under a heading of the second level."""
    return re.split(r"^## ", text.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


class Shell:
    """Types commands in a folder, with `sellable` on the path.

    Where pages listen at a fixed port, a free one is taken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{taken.getsockname()[1]}"
        shims = folder / "bin"
        shims.mkdir()
        shim = shims / "sellable"
        shim.write_text(_SHIM.format(project=PROJECT, python=sys.executable))
        shim.chmod(0o755)
        path = f"{shims}{os.pathsep}{os.environ['PATH']}"
        settings = {"COLUMNS": str(COLUMNS), "TERM": "dumb", "PATH": path}
        self.environment = {
            **{name: value for name, value in os.environ.items() if "SELLABLE" not in name},
            **settings,
        }

    def type(self, command: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            ["bash", "-c", command.replace(LISTENS, self.address)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout.replace(self.address, LISTENS)

    def end(self) -> None:
        """End the engines that a page has left running."""
        for lock in self.folder.glob("*/engine.lock"):
            # Without an engine that holds it, the number in it may be anybody's by now.
            if is_running(lock.parent):
                os.kill(int(lock.read_text()), signal.SIGTERM)


def comparable(text: str) -> str:
    """A text without what is measured anew each time, and without spaces at the ends of lines.

    Of answers of a running engine the time of day is left out as well.
    """
    text = _MEASURED.sub(r'"\1":0', text)
    text = _NOW.sub(r'"\1":""', text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
