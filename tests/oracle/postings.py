"""Stock changes as the ERP books them: documents per window, type and business date."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from .decoding import Movement
from .instants import datetime_of, format_instant
from .rules import Rules

LINES_OF_A_DOCUMENT = 500


@dataclass(frozen=True)
class Booking:
    """One change of one disposition by one movement."""

    business_date: str
    type: str
    location: str
    sku: str
    disposition: str
    quantity: int
    movements: int
    """1 where the movement counts, 0 on the other line of the same movement."""


class Postings:
    """Bookings of the open windows and the documents of the closed ones."""

    def __init__(self, rules: Rules, window: int) -> None:
        self.rules = rules
        self.window = window
        self.open: dict[int, list[Booking]] = {}
        self.documents: list[dict[str, Any]] = []

    def business_date(self, location: str, occurred_at: int) -> str:
        """The calendar day at the location, `2026-11-20`."""
        zone = self.rules.locations.get(location, {}).get("timezone") or "UTC"
        return datetime_of(occurred_at).astimezone(ZoneInfo(zone)).date().isoformat()

    def book(self, at: int, bookings: list[Booking]) -> None:
        """Into the window that holds when it occurred, or the clock where it is late."""
        self.open.setdefault(at - at % self.window, []).extend(bookings)

    def close_until(self, clock: int) -> None:
        """Posts every window that has ended."""
        for start in sorted(self.open):
            if start + self.window <= clock:
                self._post(start, self.open.pop(start))

    def close_all(self) -> None:
        """Posts what is left at the end of the input."""
        for start in sorted(self.open):
            self._post(start, self.open.pop(start))

    def _post(self, start: int, bookings: list[Booking]) -> None:
        for business_date, kind in sorted({(one.business_date, one.type) for one in bookings}):
            mine = [
                one for one in bookings if (one.business_date, one.type) == (business_date, kind)
            ]
            lines = []
            for line in sorted({(one.location, one.sku, one.disposition) for one in mine}):
                booked = [one for one in mine if (one.location, one.sku, one.disposition) == line]
                quantity = sum(one.quantity for one in booked)
                if quantity != 0:
                    lines.append((*line, quantity, sum(one.movements for one in booked)))
            for first in range(0, len(lines), LINES_OF_A_DOCUMENT):
                part = lines[first : first + LINES_OF_A_DOCUMENT]
                self._write(start, business_date, kind, part)

    def _write(
        self,
        start: int,
        business_date: str,
        kind: str,
        lines: list[tuple[str, str, str, int, int]],
    ) -> None:
        sequence = len(self.documents) + 1
        window = datetime_of(start).strftime("%Y%m%dT%H%M%SZ")
        self.documents.append(
            {
                "document": f"{window}-{kind}-{business_date}-{sequence}",
                "sequence": sequence,
                "window_start": format_instant(start),
                "window_end": format_instant(start + self.window),
                "business_date": business_date,
                "type": kind,
                "lines": [
                    {"location": place, "sku": sku, "disposition": name, "quantity": quantity}
                    for place, sku, name, quantity, _ in lines
                ],
                "movements": sum(movements for *_, movements in lines),
            }
        )


def posting_type(movement: Movement) -> str:
    """The movement's type, but for the arrival of a transfer."""
    if movement["type"] == "receipt" and movement["from_location"] is not None:
        return "transfer_receipt"
    return str(movement["type"])
