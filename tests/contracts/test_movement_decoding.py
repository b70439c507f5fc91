"""The fast way of decoding says exactly what the slow one says, and neither ever raises."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contracts import limits
from engine.contracts.exceptions import Refusal
from engine.contracts.instants import parse_instant
from engine.contracts.movement_examination import examine_line
from engine.contracts.movements import Movement, MovementDecoder
from tests.contracts.support import ALL_TYPES, CHANNELS, Wire, accepted, decoder, line_of, wire

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NICE_TEXT = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=12)
DAMAGED_TIMES = (
    "2026-11-20T12:00:00",
    "2026-11-20T12:00:00.12Z",
    "2026-11-20T12:00:00.123Z",
    "2026-11-20T12:00:00.124Z",
    "2026-11-20T12:00:00.1234Z",
    "2026-11-20T12:00:00.12٣Z",
    "2026-11-20T12:00:00Z.123Z",
    "2026-11-20T12:00:0.123Z",
    "2026-11-20T23:59:60Z",
    "2026-11-20T23:59:60.000Z",
    "2026-11-20T23:59:60.500Z",
    "2026-11-20T12:00:60.500Z",
    "2026-11-20T24:00:00.500Z",
    "2026-11-20T12:00:00.500+00:00",
    ".123Z",
)
TIME_TEXT = st.sampled_from(DAMAGED_TIMES) | st.datetimes().map(
    lambda moment: moment.isoformat() + "Z"
)
DISPOSITION = st.sampled_from(["sellable", "inspecting", "damaged"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(ANY_TEXT, inner, max_size=2),
    max_leaves=4,
)
MOSTLY_RIGHT: dict[str, st.SearchStrategy[object]] = {
    "id": NICE_TEXT | ANY_TEXT,
    "source": NICE_TEXT,
    "type": st.sampled_from(ALL_TYPES),
    "sku": NICE_TEXT | ANY_TEXT,
    "location": NICE_TEXT | ANY_TEXT,
    "quantity": st.integers(-1, 5) | st.integers(),
    "occurred_at": TIME_TEXT,
    "disposition": DISPOSITION,
    "from": DISPOSITION,
    "to": DISPOSITION,
    "to_location": NICE_TEXT,
    "from_location": NICE_TEXT,
    "reservation": NICE_TEXT | ANY_TEXT,
    "channel": st.sampled_from([*CHANNELS, "unknown"]),
    "policy": st.sampled_from(["strict", "force"]),
    "allow_partial": st.booleans(),
    "expires_at": TIME_TEXT,
    "reason": ANY_TEXT,
    "reference": ANY_TEXT,
    "correlation_id": ANY_TEXT,
    "schema": st.sampled_from([1, 1, 1, 2]),
    "unknown": ANY_JSON,
    "at": ANY_JSON,
    "expires": ANY_JSON,
}


@st.composite
def wire_values(draw: st.DrawFn) -> Wire:
    """A valid movement with a few fields drawn anew: right, wrong, null or gone."""
    values = wire(draw(st.sampled_from(ALL_TYPES)))
    for name in draw(st.lists(st.sampled_from(sorted(MOSTLY_RIGHT)), max_size=5, unique=True)):
        values[name] = draw(st.one_of(MOSTLY_RIGHT[name], MOSTLY_RIGHT[name], ANY_JSON))
    for name in draw(st.lists(st.sampled_from(sorted(values)), max_size=1)):
        del values[name]
    return values


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A line with odd white space, shuffled and repeated keys, and escaped characters."""
    values = draw(wire_values())
    pairs = list(values.items())
    if draw(st.booleans()):
        pairs = list(draw(st.permutations(pairs)))
    repeated: bool = draw(st.booleans())
    if pairs and repeated:
        pairs.insert(0, (draw(st.sampled_from(sorted(values))), draw(ANY_JSON)))
    space = st.sampled_from(["", "", " ", "\t", "\r\n "])
    ascii_only = draw(st.booleans())

    def text(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    body = f"{draw(space)},{draw(space)}".join(
        f"{text(name)}{draw(space)}:{draw(space)}{text(value)}" for name, value in pairs
    )
    line = draw(space) + "{" + draw(space) + body + draw(space) + "}" + draw(space)
    return line.encode()


@settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(written(), min_size=1, max_size=4))
def test_the_fast_way_and_the_slow_way_say_the_same(lines: list[bytes]) -> None:
    """For right and wrong movements however they are written, with empty and with full caches."""
    mine = MovementDecoder(CHANNELS)
    for line in [*lines, *lines]:
        assert mine.decode(line) == examine_line(line, CHANNELS)


def test_times_say_the_same_in_every_order_of_their_coming() -> None:
    """What is kept of one time never changes another, not even one that is none."""
    chance = random.Random(11)
    mine = decoder()
    for _ in range(400):
        text = chance.choice(DAMAGED_TIMES)
        line = line_of(wire("reserve", occurred_at=text, expires_at=chance.choice([None, text])))
        assert mine.decode(line) == examine_line(line, CHANNELS), text


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise(line: bytes) -> None:
    """Random bytes are refused, all of them."""
    assert isinstance(decoder().decode(line), Refusal)


@settings(max_examples=500)
@given(written(), st.data())
def test_no_damage_makes_the_decoder_raise(line: bytes, data: st.DataObject) -> None:
    """Lines with bytes replaced, taken out and put in; both ways still agree."""
    damaged = bytearray(line)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    result = decoder().decode(bytes(damaged))
    assert result == examine_line(bytes(damaged), CHANNELS)


@pytest.mark.parametrize("movement_type", ALL_TYPES)
def test_the_fast_way_takes_what_comes_every_day(
    movement_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary movement of each type never goes the slow way."""

    def slow(line: bytes, channels: object) -> Movement:
        raise AssertionError(line)

    monkeypatch.setattr("engine.contracts.movements.examine_line", slow)
    values = wire(
        movement_type, correlation_id="c-1", reason="größer", expires_at="2026-11-20T12:15:00.5Z"
    )
    assert isinstance(decoder().decode(line_of(values)), Movement)


def test_defaults_and_times_are_normalised() -> None:
    """Said or left out, a default is the same movement; times are instants only."""
    said = wire(
        "reserve",
        disposition="sellable",
        policy="strict",
        allow_partial=False,
        schema=1,
        expires_at="2026-11-20T13:15:00+01:00",
    )
    movement = accepted(said)
    assert movement == accepted(wire("reserve", expires_at="2026-11-20T12:15:00Z"))
    assert (movement.disposition, movement.policy) == (None, None)
    assert (movement.allow_partial, movement.schema) == (None, None)
    assert (movement.occurred_at, movement.expires_at) == ("", None)
    assert movement.at == parse_instant("2026-11-20T12:00:00Z")
    assert movement.expires == parse_instant("2026-11-20T12:15:00Z")


def test_what_is_no_default_is_kept() -> None:
    """Every field comes out as it went in."""
    values = wire(
        "reserve",
        disposition="damaged",
        from_="inspecting",
        to="damaged",
        to_location="l-1",
        from_location="l-2",
        channel="amazon-us",
        policy="force",
        allow_partial=True,
        reason="why",
        reference="what",
        correlation_id="c-1",
    )
    movement = accepted(values)
    for name in values.keys() - {"occurred_at", "from"}:
        assert getattr(movement, name) == values[name]
    assert movement.from_ == "inspecting"


def test_caches_stay_within_their_limits() -> None:
    """However many texts come, and what was forgotten is decoded as before."""
    mine = decoder()
    chance = random.Random(7)
    first = line_of(wire())
    expected = mine.decode(first)
    for number in range(limits.MAX_CACHED_INSTANTS + 10):
        minute, second = divmod(number, 60)
        hour, minute = divmod(minute, 60)
        time = f"2026-11-{chance.randrange(1, 30):02}T{hour:02}:{minute:02}:{second:02}Z"
        assert isinstance(mine.decode(line_of(wire(occurred_at=time))), Movement)
        assert isinstance(mine.decode(line_of(wire(occurred_at=time[:-1] + ".5Z"))), Movement)
        assert isinstance(mine.decode(line_of(wire(occurred_at=time[:-1] + ".500Z"))), Movement)
    assert len(mine._instants) <= limits.MAX_CACHED_INSTANTS
    assert len(mine._seconds) <= limits.MAX_CACHED_INSTANTS
    assert mine.decode(first) == expected


def test_texts_that_come_again_are_forgotten_when_they_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A source that sends ever new SKUs does not fill the memory."""
    monkeypatch.setattr("engine.contracts.movements.MAX_CACHED_TEXTS", 10)
    mine = decoder()
    for number in range(100):
        values = wire(sku=f"s{number}", location=f"l{number}", source=f"p{number}")
        assert isinstance(mine.decode(line_of(values)), Movement)
    for texts in (mine._skus, mine._locations, mine._sources):
        assert len(texts) <= 10
