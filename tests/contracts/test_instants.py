"""Instants and durations, and their texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.contracts.instants import (
    DAY,
    HOUR,
    MAX_DURATION,
    MILLISECOND,
    MINUTE,
    SECOND,
    format_duration,
    format_instant,
    parse_duration,
    parse_instant,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = -62_135_596_800 * SECOND
LAST = 253_402_300_800 * SECOND - 1
NOON = 1_795_176_000 * SECOND  # 2026-11-20T12:00:00Z


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2026-11-20T12:00:00Z", NOON),
        ("2026-11-20t12:00:00z", NOON),
        ("2026-11-20T12:00:00-00:00", NOON),
        ("2026-11-20T13:30:00+01:30", NOON),
        ("2026-11-20T00:00:00-12:00", NOON),
        ("2026-11-20T12:00:00.5Z", NOON + 500 * MILLISECOND),
        ("2026-11-20T12:00:00.123Z", NOON + 123 * MILLISECOND),
        ("2026-11-20T12:00:00.123456Z", NOON + 123_456),
        ("2026-11-20T13:00:00.123456+01:00", NOON + 123_456),
        ("2026-11-20T12:00:00.1234569Z", NOON + 123_456),
        ("2026-11-20T12:00:00." + "9" * 40 + "Z", NOON + 999_999),
        ("0001-01-01T00:00:00Z", FIRST),
        ("9999-12-31T23:59:59.999999Z", LAST),
    ],
)
def test_a_time_with_offset_is_the_instant_it_names(text: str, instant: int) -> None:
    """However case, offset and fraction are written; what is beyond the microsecond is cut."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.999Z",
        "2017-01-01T00:59:60+01:00",
        "2016-12-31T15:59:60-08:00",
    ],
)
def test_a_leap_second_is_the_start_of_the_next_second(text: str) -> None:
    """Whatever its fraction, wherever on earth it was told."""
    assert parse_instant(text) == parse_instant("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-20",
        "2026-11-20T12:00Z",
        "2026-11-20T12:00:00",
        "2026-11-20 12:00:00Z",
        "2026-11-20_12:00:00Z",
        "2026-11-20T12:00:00 Z",
        "2026-11-20T12:00:00Z ",
        " 2026-11-20T12:00:00Z",
        "2026-11-20T12:00:00Z\n",
        "2026-11-20T12:00:00.Z",
        "2026-11-20T12:00:00,5Z",
        "2026-11-20T12:00:00.5",
        "2026-11-20T12:00:00.12Z\0Z",
        "2026-11-20T12:00:00.1234567e9Z",
        "2026-11-20T12:00:00.٣Z",
        "2026-11-20T12:00:0٣Z",
        "2026-11-20T12:00:00+01",
        "2026-11-20T12:00:00+0100",
        "2026-11-20T12:00:00+01:00:00",
        "2026-11-20T12:00:00+24:00",
        "2026-11-20T12:00:00+01:60",
        "2026-11-20T12:00:00+1:00",
        "2026-11-20T12:00:00\u221201:00",
        "2026-11-20T24:00:00Z",
        "2026-11-20T12:60:00Z",
        "2026-11-20T12:00:60Z",
        "2026-11-20T12:00:61Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "2026-11-31T12:00:00Z",
        "26-11-20T12:00:00Z",
        "20261120T120000Z",
        "2026-W47-5T12:00:00Z",
        "2026-324T12:00:00Z",
        "+2026-11-20T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "0001-01-01T00:00:00.5+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "1795176000",
    ],
)
def test_what_is_no_rfc_3339_time_with_offset_is_refused(text: str) -> None:
    """ISO 8601 knows many more ways; none of them is taken, and none is guessed."""
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@given(st.integers(FIRST, LAST))
@example(FIRST)
@example(LAST)
@example(-1)
def test_an_instant_is_read_back_from_its_text(instant: int) -> None:
    """For every microsecond of the years 1 to 9999."""
    assert parse_instant(format_instant(instant)) == instant


@given(
    st.datetimes().filter(lambda moment: 1 < moment.year < 9999),
    st.integers(-(23 * 60 + 59), 23 * 60 + 59),
)
def test_an_instant_does_not_depend_on_the_offset_it_is_told_in(
    moment: datetime, offset_minutes: int
) -> None:
    """Checked against the standard library's own arithmetic."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    expected = (aware - EPOCH) // timedelta(microseconds=1)
    assert parse_instant(aware.isoformat()) == expected


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (NOON, "2026-11-20T12:00:00Z"),
        (NOON + 120 * MILLISECOND, "2026-11-20T12:00:00.120Z"),
        (NOON + 1, "2026-11-20T12:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (LAST + 1, "+010000-01-01T00:00:00Z"),
        (FIRST - 1, "+000000-12-31T23:59:59.999999Z"),
        (LAST + 400 * 366 * DAY, "+010400-10-29T23:59:59.999999Z"),
    ],
)
def test_a_text_has_a_fraction_only_when_there_is_one(instant: int, text: str) -> None:
    """Of 3 digits when these say all; beyond the year 9999 the year has a sign."""
    assert format_instant(instant) == text


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", 0),
        ("250us", 250),
        ("500ms", 500 * MILLISECOND),
        ("30s", 30 * SECOND),
        ("15m", 15 * MINUTE),
        ("72h", 72 * HOUR),
        ("7d", 7 * DAY),
        ("36600d", MAX_DURATION),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, duration: int) -> None:
    """And its text is read back as it was written."""
    assert parse_duration(text) == duration
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "s",
        "-1s",
        "+1s",
        "1.5h",
        "1 s",
        "1S",
        "1w",
        "1m30s",
        "٣s",
        "36601d",
        "9" * 30 + "d",
    ],
)
def test_other_durations_are_refused(text: str) -> None:
    """A number without a unit, a unit that is not known, a sign, a fraction, a century too much."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(0, MAX_DURATION))
def test_a_duration_is_read_back_from_its_text(duration: int) -> None:
    """Whatever unit the text uses."""
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(("duration", "text"), [(72 * HOUR, "72h"), (DAY, "24h"), (7 * DAY, "7d")])
def test_days_are_written_from_a_week_on(duration: int, text: str) -> None:
    """Windows are spoken of in hours: 72h, not 3d."""
    assert format_duration(duration) == text
