"""Every field of a movement with every kind of fault, and the order in which faults count."""

from __future__ import annotations

import pytest

from engine.contracts.exceptions import Refusal
from engine.contracts.limits import MAX_MOVEMENT_BYTES, MAX_NESTING_DEPTH
from engine.contracts.movement_fields import KNOWN_FIELDS
from engine.contracts.movements import Movement
from tests.contracts.support import ALL_TYPES, accepted, decoder, line_of, refused, wire, without

NEEDED = {
    name: ("id", "source", "type", "sku", "occurred_at", *more)
    for name, more in {
        "sale": ("location", "quantity"),
        "return": ("location", "quantity"),
        "receipt": ("location", "quantity"),
        "expect": ("location", "quantity"),
        "transfer": ("location", "quantity", "to_location"),
        "adjustment": ("location", "quantity"),
        "count": ("location", "quantity"),
        "reclassify": ("location", "quantity", "from", "to"),
        "reserve": ("quantity", "reservation"),
        "confirm": ("reservation",),
        "allocate": ("location", "reservation"),
        "release": ("reservation",),
        "fulfil": ("location", "quantity", "reservation"),
    }.items()
}
ALL_FIELDS = sorted(KNOWN_FIELDS)
BILLION = 10**9

TEXTS_WITH_LIMIT = [
    ("id", 1, 128),
    ("source", 1, 64),
    ("sku", 1, 100),
    ("location", 1, 64),
    ("to_location", 1, 64),
    ("from_location", 1, 64),
    ("reservation", 1, 128),
    ("reason", 0, 256),
    ("reference", 0, 256),
    ("correlation_id", 0, 256),
]
IDENTIFIERS = ("sku", "location", "to_location", "from_location")
OTHER_TEXTS = ("id", "source", "reservation", "reason", "reference", "correlation_id", "channel")

WRONG_KINDS: dict[str, list[object]] = {
    "text": [5, 5.5, True, False, [], ["a"], {}, {"a": 1}, 10**40],
    "integer": ["5", 5.0, 5.5, True, False, [], [5], {}, "", -0.0],
    "flag": ["true", "", 0, 1, [], {}],
}


def kind_of(name: str) -> str:
    """The kind of wrong values that a field has."""
    return {"quantity": "integer", "schema": "integer", "allow_partial": "flag"}.get(name, "text")


def test_a_valid_movement_of_every_type_is_taken() -> None:
    """The starting point of the other tests here."""
    for movement_type in ALL_TYPES:
        assert accepted(wire(movement_type)).type == movement_type


STAGES = {"schema": "unsupported_schema", "type": "unknown_type"}
"""Fields that are examined on their own, before the others, with a code of their own."""


def code_of(name: str) -> str:
    """The code of a fault in a field."""
    return STAGES.get(name, "invalid_field")


@pytest.mark.parametrize("movement_type", ALL_TYPES)
@pytest.mark.parametrize("name", ALL_FIELDS)
def test_a_field_may_be_missing_or_null_exactly_where_the_type_does_not_need_it(
    movement_type: str, name: str
) -> None:
    """Null and missing are the same."""
    values = wire(movement_type)
    for changed in (without(values, name), {**values, name: None}):
        if name in NEEDED[movement_type]:
            refusal = refused(changed)
            assert (refusal.code, refusal.field) == (code_of(name), name)
            assert f"{name} is missing" in refusal.message
        else:
            accepted(changed)


@pytest.mark.parametrize("movement_type", ALL_TYPES)
@pytest.mark.parametrize("name", ALL_FIELDS)
def test_a_value_of_the_wrong_kind_is_refused_even_where_the_type_does_not_need_the_field(
    movement_type: str, name: str
) -> None:
    """And the field is named."""
    for value in WRONG_KINDS[kind_of(name)]:
        refusal = refused({**wire(movement_type), name: value})
        assert (refusal.code, refusal.field) == (code_of(name), name), value


@pytest.mark.parametrize("movement_type", ["transfer", "confirm"])
@pytest.mark.parametrize(("name", "shortest", "longest"), TEXTS_WITH_LIMIT)
@pytest.mark.parametrize("character", ["x", "é", "𝄞"])
def test_a_text_has_as_many_characters_as_its_field_allows(
    movement_type: str, name: str, shortest: int, longest: int, character: str
) -> None:
    """Characters are counted, not bytes."""
    for length in (shortest, longest):
        accepted({**wire(movement_type), name: character * length})
    for length in (shortest - 1, longest + 1):
        if length >= 0:
            refusal = refused({**wire(movement_type), name: character * length})
            assert (refusal.code, refusal.field) == (code_of(name), name)


@pytest.mark.parametrize("movement_type", ["transfer", "reserve"])
@pytest.mark.parametrize("name", IDENTIFIERS)
@pytest.mark.parametrize(
    "text",
    [
        "a|b",
        "|",
        " a",
        "a ",
        " ",
        "a\tb",
        "a\n",
        "a\x7f",
        "a\x00",
        "a\u200b",
        "a\u00a0b",
        "a\u2028",
    ],
)
def test_an_identifier_is_printable_without_bar_or_space_at_an_end(
    movement_type: str, name: str, text: str
) -> None:
    """Otherwise two keys could look like one."""
    refusal = refused({**wire(movement_type), name: text})
    assert (refusal.code, refusal.field) == ("invalid_field", name)


@pytest.mark.parametrize("name", IDENTIFIERS)
@pytest.mark.parametrize("text", ["a b", "é", "店舗 42", "a/b:c;d", '"', "\\", "'", "💶"])
def test_an_identifier_may_hold_any_other_character(name: str, text: str) -> None:
    """Spaces inside, letters of any language, quotes and backslashes."""
    movement = accepted({**wire("transfer"), name: text})
    assert getattr(movement, name) == text


@pytest.mark.parametrize("name", OTHER_TEXTS)
@pytest.mark.parametrize("text", ["a\tb", "a\n", "\r", "\x00", "\x1f", "\x7f", "a\x85", "\x9f"])
def test_a_text_holds_no_control_character(name: str, text: str) -> None:
    """Neither the ASCII ones nor those above 127."""
    refusal = refused({**wire("reserve"), name: text})
    assert (refusal.code, refusal.field) == ("invalid_field", name)


@pytest.mark.parametrize("name", sorted(set(OTHER_TEXTS) - {"channel"}))
@pytest.mark.parametrize("text", [" ", " a ", "a|b", "a\u200bb", "a\u00a0b", "💶", '\\ "'])
def test_a_text_may_hold_what_an_identifier_may_not(name: str, text: str) -> None:
    """Bars, spaces at the ends, and characters that are not printed."""
    assert getattr(accepted({**wire("reserve"), name: text}), name) == text


SIGNED = ("adjustment", "expect")


@pytest.mark.parametrize("movement_type", ALL_TYPES)
def test_a_quantity_is_in_the_range_of_its_type(movement_type: str) -> None:
    """1 to 10^9; a count from 0; adjustments and expectations from -10^9 but not 0."""
    taken = [1, 2, BILLION]
    wrong = [BILLION + 1, 2**63, 2**64, 10**30, 10**200, -BILLION - 1, -(2**63) - 1]
    (taken if movement_type == "count" else wrong).append(0)
    (taken if movement_type in SIGNED else wrong).extend([-1, -BILLION])
    for quantity in taken:
        assert accepted(wire(movement_type, quantity=quantity)).quantity == quantity
    for quantity in wrong:
        refusal = refused(wire(movement_type, quantity=quantity))
        assert (refusal.code, refusal.field) == ("invalid_field", "quantity"), quantity


@pytest.mark.parametrize("number", ["1e2", "2.0", "2e0", "1e400", "-1e999", "9" * 5000, "1E-400"])
def test_a_number_that_is_no_integer_or_beyond_every_range_names_its_field(number: str) -> None:
    """It is valid JSON, so it is not malformed."""
    for name in ("quantity", "sku", "allow_partial", "policy", "disposition", "expires_at"):
        line = line_of(wire(**{name: "@"})).replace(b'"@"', number.encode())
        result = decoder().decode(line)
        assert isinstance(result, Refusal)
        assert (result.code, result.field) == ("invalid_field", name)


@pytest.mark.parametrize("number", ["2", "0", "-1", "9" * 30, "9" * 5000])
def test_another_schema_is_refused_before_every_other_fault(number: str) -> None:
    """Its fields may mean something else, so nothing else is looked at."""
    values = wire(type="teleport", quantity="many", schema="@", channel="nowhere")
    result = decoder().decode(line_of(values).replace(b'"@"', number.encode()))
    assert isinstance(result, Refusal)
    assert (result.code, result.field) == ("unsupported_schema", "schema")


@pytest.mark.parametrize("movement_type", [*ALL_TYPES, "teleport", "", "SALE", "sale "])
def test_a_type_is_judged_before_the_other_fields(movement_type: str) -> None:
    """One of thirteen words, exactly."""
    refusal = refused(wire(type=movement_type, id="", quantity="many"))
    known = movement_type in ALL_TYPES
    assert refusal.code == ("invalid_field" if known else "unknown_type")
    assert refusal.field == ("id" if known else "type")


@pytest.mark.parametrize("name", ["disposition", "from", "to", "policy"])
@pytest.mark.parametrize("word", ["lost", "", "SELLABLE", "Strict", "sellable "])
@pytest.mark.parametrize("movement_type", ["sale", "reclassify", "reserve"])
def test_a_word_that_is_no_choice_is_refused(name: str, word: str, movement_type: str) -> None:
    """Even where the type does not need the field."""
    refusal = refused({**wire(movement_type), name: word})
    assert (refusal.code, refusal.field) == ("invalid_field", name)


@pytest.mark.parametrize("name", ["occurred_at", "expires_at"])
@pytest.mark.parametrize("movement_type", ["sale", "reserve", "confirm"])
@pytest.mark.parametrize(
    "text",
    ["", "2026-11-20", "2026-11-20T12:00:00", "2026-11-20 12:00:00Z", "2026-02-30T00:00:00Z"],
)
def test_a_time_that_is_none_is_refused(name: str, movement_type: str, text: str) -> None:
    """The message says what is wrong with it."""
    refusal = refused({**wire(movement_type), name: text})
    assert (refusal.code, refusal.field) == ("invalid_field", name)


def test_a_time_that_was_refused_is_refused_again() -> None:
    """Nothing wrong gets into the decoder's caches."""
    mine = decoder()
    for values in (wire(occurred_at="noon"), wire(sku="a|b"), wire(location=" "), wire(source="")):
        for _ in range(3):
            assert isinstance(mine.decode(line_of(values)), Refusal)


@pytest.mark.parametrize(
    ("movement_type", "name", "other"),
    [
        ("transfer", "to_location", "location"),
        ("receipt", "from_location", "location"),
        ("reclassify", "to", "from"),
    ],
)
def test_two_ends_of_a_move_differ(movement_type: str, name: str, other: str) -> None:
    """Goods that stay where they are have not moved."""
    values = wire(movement_type)
    refusal = refused({**values, name: values[other]})
    assert (refusal.code, refusal.field) == ("invalid_field", name)


def test_ends_that_a_type_does_not_have_may_be_equal() -> None:
    """A sale's to_location is valid and without effect."""
    values = wire("sale", to_location="store-0042", from_location="store-0042")
    accepted({**values, "from": "damaged", "to": "damaged"})


@pytest.mark.parametrize("movement_type", ALL_TYPES)
@pytest.mark.parametrize("channel", ["", "amazon", "AMAZON-US", "amazon-us ", "x" * 300])
def test_a_reserve_needs_a_configured_channel_and_no_other_type_does(
    movement_type: str, channel: str
) -> None:
    """It is looked up only where it counts, and only when nothing else is wrong."""
    values = wire(movement_type, channel=channel)
    if movement_type != "reserve":
        accepted(values)
        return
    refusal = refused(values)
    assert (refusal.code, refusal.field) == ("unknown_channel", "channel")
    assert refused({**values, "reference": 5}).field == "reference"


@pytest.mark.parametrize("channel", ["amazon-us", "größe|42"])
def test_a_configured_channel_is_taken(channel: str) -> None:
    """Whatever it is called."""
    assert accepted(wire("reserve", channel=channel)).channel == channel


OK = line_of(wire())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"\n",
        b"{}x",
        b"nonsense",
        b"[]",
        b'"text"',
        b"5",
        b"1e400",
        b"null",
        b"true",
        b"[" + OK + b"]",
        OK[:-1],
        OK[:-1] + b",}",
        OK + OK,
        OK + b"\0",
        OK.replace(b'"', b"'"),
        OK[:-1] + b',"x":NaN}',
        OK[:-1] + b',"x":Infinity}',
        OK[:-1] + b',"quantity":NaN}',
        OK[:-1] + b',"x":01}',
        OK[:-1] + b',"x":"\x01"}',
        OK[:-1] + b',"x":"\\q"}',
        OK[:-1] + b',"x":"\xff"}',
        OK[:-1] + b',"\xff":1}',
        OK[:-1] + b',"x":"\xed\xa0\x80"}',
        OK[:-1] + b',"x":"\xc0\xaf"}',
        OK[:-1] + b',"x":"\\ud800"}',
        OK[:-1] + b',"reason":"\\ud800 alone"}',
        OK[:-1] + b',"reason":"\xff"}',
        OK[:-1] + b',"schema":2,"x":tru}',
        b"\xef\xbb\xbf" + OK,
        OK.decode().encode("utf-16"),
        OK[:-1] + b',"x":' + b"[" * 600 + b"]" * 600 + b"}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
    ],
)
def test_a_line_that_is_not_one_json_object_in_utf_8_is_malformed(line: bytes) -> None:
    """Also where the fault is in a field that nobody knows."""
    result = decoder().decode(line)
    assert isinstance(result, Refusal)
    assert (result.code, result.field) == ("malformed", None)


def test_a_movement_may_have_64_kib_and_no_more() -> None:
    """The size is judged before anything else."""
    padding = MAX_MOVEMENT_BYTES - len(OK)
    assert isinstance(decoder().decode(OK + b" " * padding), Movement)
    for line in (OK + b" " * (padding + 1), b"\xff" * (MAX_MOVEMENT_BYTES + 1)):
        result = decoder().decode(line)
        assert isinstance(result, Refusal)
        assert result.code == "oversize"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_unknown_fields_nest_as_deep_as_the_limit_and_no_deeper(
    opening: bytes, closing: bytes
) -> None:
    """The movement's own object is the first level; brackets inside texts do not count."""
    levels = MAX_NESTING_DEPTH - 1

    def nested(depth: int) -> bytes:
        value = opening * depth + b'"[[{"' + closing * depth
        return OK[:-1] + b',"x":' + value + b',"y":"' + b'[{\\"' * 600 + b'"}'

    assert isinstance(decoder().decode(nested(levels)), Movement)
    result = decoder().decode(nested(levels + 1))
    assert isinstance(result, Refusal)
    assert result.code == "malformed"


def test_of_a_key_given_twice_the_last_counts() -> None:
    """Whether the first was right or wrong."""
    last_right = OK.replace(b'"quantity": 2', b'"quantity": "x", "quantity": 3')
    result = decoder().decode(last_right)
    assert isinstance(result, Movement)
    assert result.quantity == 3
    last_wrong = OK.replace(b'"quantity": 2', b'"quantity": 2, "quantity": 0')
    assert isinstance(decoder().decode(last_wrong), Refusal)
    nulled = OK[:-1] + b',"location":null}'
    assert isinstance(decoder().decode(nulled), Refusal)


def test_unknown_fields_are_ignored_whatever_they_are_called() -> None:
    """Also when they are called like something inside the engine."""
    names = ("at", "expires", "from_", "cashier", "Quantity", "")
    values: tuple[object, ...] = ("text", 5, 1.5, True, None, [1], {"a": {}}, 10**40)
    for value in values:
        movement = accepted({**wire(), **dict.fromkeys(names, value)})
        assert movement == accepted(wire())


def test_a_refusal_tells_the_correlation_id_where_it_can_be_read() -> None:
    """So that the sender finds its own movement among the exceptions."""
    assert refused(wire(quantity=0, correlation_id="c-1")).correlation_id == "c-1"
    assert refused(wire(quantity=0, correlation_id=5)).correlation_id is None


def test_a_message_repeats_a_long_value_shortened_and_nothing_invisible() -> None:
    """Messages are read on terminals."""
    refusal = refused(wire(sku="\u202e" + "x" * 5000))
    assert len(refusal.message) < 200
    assert refusal.message.isprintable()


@pytest.mark.parametrize("escape", [r"\ud83d", r"\uDE00", r"\ude00\ud83d", r"\ud83d\ud83d\ude00"])
def test_half_of_a_character_is_called_that(escape: str) -> None:
    """No text can hold it, and what the JSON decoder says of it would send people astray."""
    line = line_of(wire("sale")).replace(b"{", b'{"note":"%b",' % escape.encode(), 1)
    result = decoder().decode(line)
    assert isinstance(result, Refusal)
    assert result.code == "malformed"
    assert "one half of a character" in result.message


def test_both_halves_of_a_character_are_taken() -> None:
    """As escapes one after the other, the way many encoders write what lies beyond U+FFFF."""
    line = line_of(wire("sale")).replace(b"{", rb'{"note":"\ud83d\ude00",', 1)
    assert isinstance(decoder().decode(line), Movement)
