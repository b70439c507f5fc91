"""The digests of identity and content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.movements import Movement, seal
from tests.contracts.support import ALL_TYPES, accepted, wire

CHANGES: dict[str, object] = {
    "id": "m-2",
    "source": "pos-0043",
    "type": "fulfil",
    "sku": "another",
    "location": "store-0043",
    "quantity": 3,
    "occurred_at": "2026-11-20T12:00:00.000001Z",
    "disposition": "damaged",
    "from": "damaged",
    "to": "damaged",
    "to_location": "l-1",
    "from_location": "l-1",
    "reservation": "order-2",
    "channel": "amazon-us",
    "policy": "force",
    "allow_partial": True,
    "expires_at": "2026-11-20T12:15:00Z",
}


def full() -> dict[str, object]:
    """A movement that may be a sale or a fulfil."""
    return wire("sale", reservation="order-1")


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_content_differs_when_any_field_of_it_differs(name: str) -> None:
    """Also a field that the type does not use."""
    changed = {**full(), name: CHANGES[name]}
    assert accepted(changed).content != accepted(full()).content


def test_no_two_of_the_changes_have_the_same_content() -> None:
    """A value in one field is not the same as that value in another."""
    digests = {accepted({**full(), name: CHANGES[name]}).content for name in CHANGES}
    assert len(digests) == len(CHANGES)


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "why"},
        {"reference": "what"},
        {"correlation_id": "c-1"},
        {"reason": "why", "reference": "what", "correlation_id": "c-1"},
        {"cashier": "someone", "at": 5, "expires": "x"},
        {"occurred_at": "2026-11-20T13:00:00+01:00"},
        {"occurred_at": "2026-11-20T12:00:00.000Z"},
        {"disposition": "sellable"},
        {"policy": "strict"},
        {"allow_partial": False},
        {"schema": 1},
        {"channel": None},
    ],
)
def test_content_is_the_same_however_it_is_told(changes: dict[str, object]) -> None:
    """Notes, unknown fields, offsets and defaults are no content."""
    movement = accepted({**full(), **changes})
    before = repr(movement)
    assert movement.content == accepted(full()).content
    assert repr(movement) == before


@pytest.mark.parametrize("movement_type", ALL_TYPES)
def test_content_holds_the_instant_of_expiry_and_not_its_notation(movement_type: str) -> None:
    """As with the time of the movement itself."""
    one, same, other = (
        accepted(wire(movement_type, expires_at=text)).content
        for text in ("2026-11-20T12:15:00Z", "2026-11-20T13:15:00+01:00", "2026-11-20T12:15:01Z")
    )
    assert one == same != other


def test_the_digests_of_a_movement_are_these_for_ever() -> None:
    """Stored digests are compared with new ones after an upgrade: they must never change."""
    movement = accepted(full())
    assert movement.identity.hex() == IDENTITY
    assert movement.content == CONTENT


IDENTITY = "1c4bd7991d2e71d7bd1d7179af35a137"
CONTENT = b"\xffnz\xc1\x99\xbf\xa7\xcc"

PART = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=4)


@given(st.lists(st.tuples(PART, PART, PART), min_size=2, max_size=2, unique=True))
def test_identities_differ_when_source_id_or_sku_does(parts: list[tuple[str, str, str]]) -> None:
    """Also when the same characters are parted differently."""
    movements = [
        Movement(source=source, id=name, sku=sku, type="sale") for source, name, sku in parts
    ]
    for movement in movements:
        seal(movement)
    one, other = (movement.identity for movement in movements)
    assert len(one) == 16
    assert one != other


def test_identity_does_not_depend_on_anything_else() -> None:
    """Another quantity is the same movement told wrongly, and is found by its content."""
    for name in CHANGES.keys() - {"source", "id", "sku"}:
        changed = accepted({**full(), name: CHANGES[name]})
        assert changed.identity == accepted(full()).identity
