"""What happens while time passes: expiries, then rule edges, then ticks, in order of time."""

from .instants import ceiling_to, format_instant
from .publication import ChannelKey
from .snapshots import channel_rows
from .world import World

EXPIRY, EDGE, TICK = range(3)


def advance(world: World, now: int) -> None:
    """Moves the clock, with everything that falls due until then, `now` included."""
    if world.clock is None:
        world.clock = world.ticked_until = world.crossed_until = now
        world.snapshot_clock.start(now)
    while (due := _next_due(world)) is not None and due[0] <= now:
        instant, kind = due
        world.clock = max(world.clock, instant)
        if kind == EXPIRY:
            _expire_one(world)
        elif kind == EDGE:
            _cross_edge(world, instant)
        else:
            _tick(world, instant)
    world.clock = max(world.clock, now)
    world.postings.close_until(world.clock)


def next_publication(world: World, limit: int) -> int | None:
    """When the next publication is due if no movement comes any more, at most at `limit`.

    Whether it takes place is known on its tick: a rule that ends on the way may bring the value
    back to what was published, or let it go earlier.
    """
    due = world.publisher.next_due_tick(world.pending_now(), world.now)
    return None if due is None or due > limit else due


def next_tick_on_the_way(world: World) -> int:
    """The tick on which it shows what the next that falls due has changed."""
    due = _next_due(world)
    assert due is not None
    return ceiling_to(due[0], world.setting("publish_tick"))


def _next_due(world: World) -> tuple[int, int] | None:
    """(when, what) comes next."""
    candidates = [due for due in (_next_due_beside_ticks(world),) if due is not None]
    candidates += [(instant, TICK) for instant in _next_ticks(world)]
    return min(candidates, default=None)


def _next_due_beside_ticks(world: World) -> tuple[int, int] | None:
    candidates = [
        (instant, EDGE) for instant in world.rules.edges() if instant > world.crossed_until
    ]
    expiry = world.reservations.next_expiry()
    if expiry is not None:
        candidates.append((expiry[0], EXPIRY))
    return min(candidates, default=None)


def _next_ticks(world: World) -> list[int]:
    """Ticks on which something can happen; all others are passed over."""
    ticks = [world.snapshot_clock.next_tick()]
    if world.tick_wanted_from is not None:
        ticks.append(ceiling_to(world.tick_wanted_from, world.setting("publish_tick")))
    else:
        ticks.append(world.publisher.next_due_tick(world.pending, world.ticked_until))
    return [tick for tick in ticks if tick is not None]


def _expire_one(world: World) -> None:
    due = world.reservations.next_expiry()
    assert due is not None
    _, sku, name = due
    reservation = world.reservations.reservations[sku, name]
    before = world.values_of(sku, world.now)
    world.reservations.expire(reservation, world.now)
    world.expired(reservation, before)
    _want_tick(world, world.now)


def _cross_edge(world: World, instant: int) -> None:
    """Rules begin or end: keys come to exist, and values change."""
    for sku in world.skus:
        before = world.values_of(sku, instant - 1)
        for name, channel in world.rules.channels.items():
            if not channel.by_location:
                continue
            for location in world.book.locations(sku):
                key: ChannelKey = (name, sku, location)
                sells = world.rules.sells_from(channel, sku, location, instant)
                if sells and key not in world.publisher.keys:
                    world.publisher.touch(key, instant, edge=True)
        after = world.values_of(sku, instant)
        for other, value in before.items():
            if after[other] != value:
                world.publisher.touch(other, instant, edge=True)
    world.crossed_until = instant
    _want_tick(world, instant)


def _tick(world: World, instant: int) -> None:
    world.pending = world.publisher.run_tick(instant, world.values(instant))
    world.ticked_until = instant
    world.tick_wanted_from = None
    multiple = world.snapshot_clock.next_multiple
    if multiple is not None and multiple <= instant:
        _take_snapshots(world, instant)
        world.snapshot_clock.start(instant)


def _want_tick(world: World, instant: int) -> None:
    wanted = world.tick_wanted_from
    world.tick_wanted_from = instant if wanted is None else min(wanted, instant)


def _take_snapshots(world: World, instant: int) -> None:
    values = {key: value for key, (value, _) in world.values(instant).items()}
    for name, records in world.publisher.records.items():
        computed = {(key[1], key[2]): value for key, value in values.items() if key[0] == name}
        world.snapshots.append(
            {
                "channel": name,
                "ledger": False,
                "taken_at": format_instant(instant),
                "rows": channel_rows(records, computed),
            }
        )
    world.snapshots.append(
        {
            "channel": None,
            "ledger": True,
            "taken_at": format_instant(instant),
            "rows": [
                {"sku": sku, "location": location, **world.state(sku, location)}
                for sku, location in sorted(world.book.versions)
            ],
        }
    )
