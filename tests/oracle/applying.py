"""What one accepted movement does to the world."""

from dataclasses import dataclass, field

from .decoding import Movement
from .effects import Effect, effects_of
from .postings import Booking, posting_type
from .quantities import SkuStock, StockLine, available_to_reserve
from .reservations import StepResult
from .world import World

OF_A_RESERVATION = ("reserve", "confirm", "allocate", "release", "fulfil", "sale")
TOUCHES_NO_KEY_BY_ITSELF = ("reserve", "confirm", "allocate", "release")


@dataclass
class Applied:
    """The outcome (applied, absorbed or rejected) and the codes of the warnings."""

    outcome: str
    warnings: list[str] = field(default_factory=list)


def apply(world: World, movement: Movement) -> Applied:
    """Applies a movement after everything that falls due before it has happened."""
    sku, location = movement["sku"], movement["location"]
    before = world.sku_stock(sku)
    values_before = world.values_of(sku, world.now)
    step = _step_of_reservation(world, movement, before)
    touched = set(step.touched)
    _goods_on_their_way(world, movement)
    if movement["type"] == "transfer":
        touched.add(movement["to_location"])
    if movement["type"] not in TOUCHES_NO_KEY_BY_ITSELF:
        touched.add(location)
    seen_by_a_count = _move_goods(world, movement)
    applied = Applied("absorbed" if seen_by_a_count else step.outcome, step.warnings)
    if movement["type"] in ("sale", "fulfil"):
        world.publisher.sold.append((world.now, sku, location, movement["quantity"]))
    if applied.outcome != "rejected":
        if location is not None and (sku, location) not in world.book.versions:
            touched.add(location)  # whatever it changes there, it is the first that was there
        for place in touched:
            world.book.touch(sku, place)
        cause = {name: movement[name] for name in ("source", "id", "correlation_id")}
        world.touched(sku, touched, cause, values_before)
        if world.tick_wanted_from is None:
            world.tick_wanted_from = world.now + 1
    if step.expired_at_once:
        reservation = world.reservations.reservations[sku, movement["reservation"]]
        world.expired(reservation, world.values_of(sku, world.now))
    applied.warnings += _stock_warnings(before, world.sku_stock(sku))
    return applied


def _step_of_reservation(world: World, movement: Movement, stock: SkuStock) -> StepResult:
    if movement["type"] not in OF_A_RESERVATION or movement["reservation"] is None:
        return StepResult()

    def available() -> int:
        return available_to_reserve(
            world.rules, stock, movement["location"], movement["channel"], world.now
        )

    return world.reservations.step(movement, world.now, available)


def _goods_on_their_way(world: World, movement: Movement) -> None:
    sku, location, quantity = movement["sku"], movement["location"], movement["quantity"]
    if movement["type"] == "expect":
        world.book.expect(sku, location, quantity)
    elif movement["type"] == "transfer":
        world.book.expect(sku, movement["to_location"], quantity)
    elif movement["type"] == "receipt":
        of_transfer = movement["from_location"] is not None
        world.book.arrive(sku, location, quantity, of_transfer)


def _move_goods(world: World, movement: Movement) -> bool:
    """Books the movement at its key; True when a count had seen all that it does there."""
    effects = effects_of(movement)
    if movement["type"] == "count":
        return not _take_count(world, movement, effects[0])
    at, sku = movement["occurred_at"], movement["sku"]
    seen = [effect for effect in effects if not world.book.move(sku, effect, at)]
    itself = [
        _booking(world, movement, posting_type(movement), effect, effect is effects[0])
        for effect in effects
    ]
    taken_back = [
        _booking(
            world,
            movement,
            "count",
            Effect(effect.location, effect.disposition, -effect.quantity),
            effect is seen[0],
        )
        for effect in seen
    ]
    world.postings.book(max(world.now, at), itself + taken_back)
    return bool(effects) and len(seen) == len(effects)


def _take_count(world: World, movement: Movement, effect: Effect) -> bool:
    """Takes the count and books its variance; False when it is no newer than the newest one."""
    key = (movement["sku"], effect.location, effect.disposition)
    held = world.book.quantity(*key)
    if not world.book.count(movement["sku"], effect, movement["occurred_at"]):
        return False
    variance = world.book.quantity(*key) - held
    if variance != 0:
        changed = Effect(effect.location, effect.disposition, variance)
        at = max(world.now, movement["occurred_at"])
        world.postings.book(at, [_booking(world, movement, "count", changed, True)])
    return True


def _booking(world: World, movement: Movement, kind: str, effect: Effect, counts: bool) -> Booking:
    return Booking(
        business_date=world.postings.business_date(effect.location, movement["occurred_at"]),
        type=kind,
        location=effect.location,
        sku=movement["sku"],
        disposition=effect.disposition,
        quantity=effect.quantity,
        movements=int(counts),
    )


def _stock_warnings(before: SkuStock, after: SkuStock) -> list[str]:
    nothing = StockLine(0, 0)
    negative = [
        "negative_stock"
        for location, line in after.lines.items()
        if before.lines.get(location, nothing).sellable >= 0 > line.sellable
    ]
    oversold = [
        "oversold"
        for location, line in after.lines.items()
        if before.lines.get(location, nothing).short == 0 < line.short
    ]
    return negative + oversold
