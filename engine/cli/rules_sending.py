"""What of a rules folder is sent to a running engine: channels, rules and cases."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.contracts.calls import RulesBody
from engine.rules.checking import check_folder
from engine.rules.replacing import OF_OTHERS, names_in, settled

PATH: Final = "/v1/rules"


def read_for_sending(folder: Path) -> RulesBody:
    """Check a rules folder, and read what of it is sent.

    Settings and master data are not: they belong to others, and stay as the engine has them.

    Raises:
        RulesError: there are mistakes; the error holds all of them.
    """
    check_folder(folder)  # also that every file is text
    there = settled(folder)
    names = [name for name in names_in(there) if name not in OF_OTHERS]
    return RulesBody({name: (there / name).read_bytes().decode() for name in names})
