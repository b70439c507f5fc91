"""Identities of movements, as they lie in sealed blocks."""

from __future__ import annotations

import pytest

from engine.ledger import identities
from engine.ledger.identities import Identities
from engine.stores.memory import MemoryStore


def test_an_identity_that_also_lies_across_two_entries_of_a_page_is_found_where_it_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end of one entry and the beginning of the next may spell it by chance."""
    monkeypatch.setattr(identities, "SEAL_AT", 3)
    first, second, wanted = b"\1" * 16, b"\5" * 16, b"\t" * 8 + b"\5" * 8
    told = {first: wanted[:8], second: b"content2", wanted: b"content3"}
    found = Identities(MemoryStore(), 1_000)
    found.recent.update(told)
    found.journal(1, 0)
    assert found.recent == {}
    assert {identity: found.seen(identity) for identity in told} == told
    assert found.seen(b"\7" * 16) is None
