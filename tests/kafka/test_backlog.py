"""Work in the background is done in order, and what ends it is told."""

from __future__ import annotations

import asyncio

from engine.kafka.backlog import Backlog

HURRIED = 9


class Desk:
    """Notes what was worked off, and what failed; `broken` is the item that cannot be."""

    def __init__(self, broken: int = -1) -> None:
        self.done: list[list[int]] = []
        self.failures: list[BaseException] = []
        self.broken = broken

    async def work(self, items: list[int]) -> None:
        """Work items off."""
        await asyncio.sleep(0)
        if self.broken in items:
            raise ValueError(self.broken)
        self.done.append(items)


async def test_what_waits_is_worked_off_in_order_so_many_at_a_time() -> None:
    """What has piled up before the start, and what comes later."""
    desk = Desk()
    backlog = Backlog(desk.work, desk.failures.append, room=8, at_once=3)
    for number in range(5):
        await backlog.put(number)
    backlog.start()
    backlog.start()
    await backlog.settle()
    await backlog.put(5)
    await backlog.settle()
    assert desk.done == [[0, 1, 2], [3, 4], [5]]
    await backlog.stop()
    await backlog.stop()
    assert desk.failures == []


async def test_whoever_puts_waits_while_there_is_no_room() -> None:
    """So that nobody reads faster than it is worked off."""
    desk = Desk()
    backlog = Backlog(desk.work, desk.failures.append, room=1, at_once=1)
    await backlog.put(0)
    putting = asyncio.create_task(backlog.put(1))
    await asyncio.sleep(0)
    assert not putting.done()
    backlog.start()
    await putting
    await backlog.settle()
    assert desk.done == [[0], [1]]
    await backlog.stop()


async def test_an_error_is_told_and_ends_the_work() -> None:
    """Nothing after it is done, and nobody waits for that for ever."""
    desk = Desk(broken=1)
    backlog = Backlog(desk.work, desk.failures.append, room=8, at_once=1)
    for number in range(3):
        await backlog.put(number)
    backlog.start()
    await backlog.settle()
    assert desk.done == [[0]]
    assert [str(error) for error in desk.failures] == ["1"]
    await backlog.stop()


async def test_after_an_error_nobody_waits_for_room() -> None:
    """Whoever puts is not what has failed: it must be able to end in good order."""
    desk = Desk(broken=0)
    backlog = Backlog(desk.work, desk.failures.append, room=1, at_once=1)
    await backlog.put(0)
    putting = asyncio.create_task(backlog.put(1))
    await asyncio.sleep(0)
    backlog.start()
    await putting
    for number in range(2, 6):
        await backlog.put(number)
    assert desk.done == []
    await backlog.stop()


async def test_before_the_start_there_is_nothing_to_wait_for() -> None:
    """A partition may be given away before it has begun."""
    desk = Desk()
    backlog = Backlog(desk.work, desk.failures.append, room=8, at_once=1)
    await backlog.put(0)
    await backlog.settle()
    assert desk.done == []


async def test_items_wait_for_more_unless_one_hurries() -> None:
    """Together they are less work; what hurries takes those before it along."""
    desk = Desk()
    backlog = Backlog(
        desk.work,
        desk.failures.append,
        room=8,
        at_once=8,
        patience_s=30.0,
        hurries=lambda item: item == HURRIED,
    )
    backlog.start()
    for number in range(3):
        await backlog.put(number)
        await asyncio.sleep(0.01)
    assert desk.done == []
    await backlog.put(HURRIED)
    await backlog.settle()
    assert desk.done == [[0, 1, 2, HURRIED]]
    await backlog.stop()


async def test_items_do_not_wait_for_more_for_ever() -> None:
    """After their time they are worked off as they are."""
    desk = Desk()
    backlog = Backlog(
        desk.work, desk.failures.append, 8, at_once=8, patience_s=0.01, hurries=lambda _: False
    )
    backlog.start()
    await backlog.put(0)
    await backlog.settle()
    await backlog.put(1)
    await backlog.settle()
    assert desk.done == [[0], [1]]
    await backlog.stop()
