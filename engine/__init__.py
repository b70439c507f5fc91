"""Sellable: how much of each item every channel may sell, kept up to date by stock movements."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
