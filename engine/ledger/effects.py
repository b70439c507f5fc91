"""What each type of movement does to the keys it names.

Every function takes the book, the SKU and the movement, changes state, and returns the outcome.
A movement reaches them only after its fields were validated, so a field that its type needs is
there: `text` and `units` say so to the reader and to the type checker.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.contracts.movements import Movement
from engine.contracts.records import KeyRecord
from engine.ledger import counts
from engine.ledger.book import DISPOSITIONS, SELLABLE, Book, Sku

APPLIED = "applied"
ABSORBED = "absorbed"
REJECTED = "rejected"

Effect = Callable[[Book, Sku, Movement], str]

_NUMBER_OF = {name: number for number, name in enumerate(DISPOSITIONS)}


def text(value: str | None) -> str:
    """Return a text field that validation has made sure of."""
    return value or ""


def units(value: int | None) -> int:
    """Return a quantity that validation has made sure of."""
    return value or 0


def shortfall(key: KeyRecord) -> int:
    """Return what is promised at the key and not there."""
    missing = key.reserved - key.sellable if key.sellable > 0 else key.reserved
    return max(0, missing)


def check_stock(
    book: Book, sku: Sku, location: str, key: KeyRecord, sellable: int, short: int
) -> None:
    """Warn when sellable stock has crossed below 0, or stock is promised that is not there.

    `sellable` and `short` are the key's values before the movement.
    """
    if sellable >= 0 > key.sellable:
        book.warn(
            "negative_stock",
            f"{sku.name} at {location} has {key.sellable} sellable: "
            "the shelf proves the book wrong, count it",
        )
    if key.reserved and short == 0:
        now = shortfall(key)
        if now > 0:
            book.warn(
                "oversold",
                f"{sku.name} at {location}: {key.reserved} reserved, {key.sellable} sellable, "
                f"{now} short",
            )


def shift(
    book: Book,
    sku: Sku,
    location: str,
    key: KeyRecord,
    movement: Movement,
    disposition: int,
    delta: int,
    booked_as: str,
    counts_as: int = 1,
    taken_back_as: int = 1,
) -> bool:
    """Change a disposition, unless its newest count has seen the movement already.

    `counts_as` and `taken_back_as` are what the entry, and its taking back, add to the movements of
    their documents. Returns True when the movement was absorbed. Either way it is booked; an
    absorbed one is booked and taken back: a late sale is a sale in the books and not shrink.
    """
    at = movement.at
    name = sku.name
    if disposition == SELLABLE:
        absorbed = at <= key.counted_sellable
    else:
        absorbed = at <= counts.counted_at(key, disposition)
    book.entries.append((booked_as, at, location, name, disposition, delta, counts_as))
    if absorbed:
        book.entries.append(("count", at, location, name, disposition, -delta, taken_back_as))
        counts.note_absorbed(book, sku, location, key, disposition, delta, at)
        return True
    if disposition == SELLABLE:
        key.sellable += delta
    elif disposition == 1:
        key.inspecting += delta
    else:
        key.damaged += delta
    counts.remember(book, sku, location, key, disposition, delta, at)
    return False


def sale(book: Book, sku: Sku, movement: Movement) -> str:
    """Goods left over the counter.

    The work of `shift` and `touch` stands here once more, since most movements are sales.
    """
    location = movement.location or ""
    key = sku.keys.get(location) or book.key(sku, location)
    quantity = movement.quantity or 0
    at = movement.at
    book.entries.append((movement.type, at, location, sku.name, SELLABLE, -quantity, 1))
    key.version += 1
    sku.touched.add(location)
    if book.traces_per_key:
        book.touched_now.append((location, key))
    if at <= key.counted_sellable:
        book.entries.append(("count", at, location, sku.name, SELLABLE, quantity, 1))
        counts.note_absorbed(book, sku, location, key, SELLABLE, -quantity, at)
        return ABSORBED
    before = key.sellable
    short = shortfall(key) if key.reserved else 0
    key.sellable = after = before - quantity
    recent = key.recent
    recent.append(at)
    recent.append(-quantity << counts.DISPOSITION_BITS)
    if len(recent) >= counts.RECENT_LENGTH:
        counts.split_off(book, sku, location, key)
    if after < 0 or key.reserved:
        check_stock(book, sku, location, key, before, short)
    return APPLIED


def _add(book: Book, sku: Sku, movement: Movement, booked_as: str) -> str:
    """Add a signed quantity to the disposition that the movement names."""
    location = text(movement.location)
    key = book.key(sku, location)
    before, short = key.sellable, shortfall(key)
    disposition = SELLABLE if movement.disposition is None else _NUMBER_OF[movement.disposition]
    quantity = units(movement.quantity)
    absorbed = shift(book, sku, location, key, movement, disposition, quantity, booked_as)
    check_stock(book, sku, location, key, before, short)
    book.touch(sku, location, key)
    return ABSORBED if absorbed else APPLIED


def return_(book: Book, sku: Sku, movement: Movement) -> str:
    """Goods came back from a customer."""
    return _add(book, sku, movement, "return")


def adjustment(book: Book, sku: Sku, movement: Movement) -> str:
    """The book is corrected by a signed quantity."""
    return _add(book, sku, movement, "adjustment")


def receipt(book: Book, sku: Sku, movement: Movement) -> str:
    """Goods arrived: from a supplier, or as the other end of a transfer."""
    key = book.key(sku, text(movement.location))
    quantity = units(movement.quantity)
    if movement.from_location is not None:
        key.incoming -= quantity
        return _add(book, sku, movement, "transfer_receipt")
    if key.incoming > 0:
        key.incoming -= min(quantity, key.incoming)
    return _add(book, sku, movement, "receipt")


def expect(book: Book, sku: Sku, movement: Movement) -> str:
    """Goods are on order; a negative quantity cancels and never takes incoming below 0."""
    location = text(movement.location)
    key = book.key(sku, location)
    quantity = units(movement.quantity)
    if quantity > 0:
        key.incoming += quantity
    elif key.incoming > 0:
        key.incoming = max(0, key.incoming + quantity)
    book.touch(sku, location, key)
    return APPLIED


def transfer(book: Book, sku: Sku, movement: Movement) -> str:
    """Goods left for another location, where they are now incoming."""
    outcome = sale(book, sku, movement)
    target = text(movement.to_location)
    key = book.key(sku, target)
    key.incoming += units(movement.quantity)
    book.touch(sku, target, key)
    return outcome


def reclassify(book: Book, sku: Sku, movement: Movement) -> str:
    """Goods change their disposition: inspection passed, damage found."""
    location = text(movement.location)
    key = book.key(sku, location)
    before, short = key.sellable, shortfall(key)
    quantity = units(movement.quantity)
    source, target = _NUMBER_OF[text(movement.from_)], _NUMBER_OF[text(movement.to)]
    left = shift(book, sku, location, key, movement, source, -quantity, "reclassify")
    back = 0 if left else 1
    came = shift(book, sku, location, key, movement, target, quantity, "reclassify", 0, back)
    check_stock(book, sku, location, key, before, short)
    book.touch(sku, location, key)
    return ABSORBED if left and came else APPLIED


def count(book: Book, sku: Sku, movement: Movement) -> str:
    """A cycle count says what lay there at `occurred_at`; what moved since is added."""
    location = text(movement.location)
    key = book.key(sku, location)
    disposition = SELLABLE if movement.disposition is None else _NUMBER_OF[movement.disposition]
    at = movement.at
    book.touch(sku, location, key)
    if at <= counts.counted_at(key, disposition):
        return ABSORBED
    before, short = key.sellable, shortfall(key)
    since = counts.moved_since(book, sku, location, key, disposition, at)
    quantity = units(movement.quantity) + since
    variance = counts.set_counted(key, disposition, quantity, at)
    if variance:
        book.entries.append(("count", at, location, sku.name, disposition, variance, 1))
    counts.note_count(book, sku, location, key, disposition, variance, at)
    check_stock(book, sku, location, key, before, short)
    return APPLIED
