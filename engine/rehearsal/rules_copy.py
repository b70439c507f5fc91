"""A copy of the rules folder, in which a rehearsal may change what a marketplace takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml


class RulesCopy:
    """A copy of the rules folder `told`, in `folder`. Whoever runs on it looks for changes."""

    def __init__(self, told: Path, folder: Path) -> None:
        self.folder = folder
        self._told = told
        if not folder.exists():
            shutil.copytree(told, folder, ignore=shutil.ignore_patterns("tests"))

    def throttle(self, channel: str, rate: str | None) -> None:
        """Let a channel take no more than a rate such as `1/s`; None: as its rules say."""
        path = self.folder / "channels.yaml"
        if rate is None:
            changed = (self._told / "channels.yaml").read_bytes()
        else:
            told = yaml.safe_load((self._told / "channels.yaml").read_text(encoding="utf-8"))
            own = told["channels"][channel] = dict(told["channels"][channel] or {})
            own["publish"] = {**(own.get("publish") or {}), "max_rate": rate}
            changed = yaml.safe_dump(told, sort_keys=False, allow_unicode=True).encode()
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(changed)
        unfinished.replace(path)
