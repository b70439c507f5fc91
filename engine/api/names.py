"""Names for calls: unique, though no random bits are asked of the kernel for each."""

from __future__ import annotations

import itertools
import secrets
from typing import Final

PREFIX_BYTES: Final = 8


class Names:
    """Gives out names that nobody else gives out: 64 random bits once, and a number."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(PREFIX_BYTES)
        self._numbers = itertools.count(1)

    def new(self) -> str:
        """Return a new name, hexadecimal."""
        return f"{self._prefix}{next(self._numbers):06x}"
