"""Orders: to the engine that runs on a data folder, or carried out here when none does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.cli.reading import rules_folder
from engine.contracts.errors import EXIT_FAILED, SellableError
from engine.core.parts import EVENT
from engine.embedded.folder import is_running, open_for_reading, place_order
from engine.embedded.orders import carry_out
from engine.embedded.runtime import RunRecord, Runtime, read_run_record, wall_clock
from engine.rules.loader import load_rules
from engine.stores.base import StoreLockedError

ANSWER_SECONDS: Final = 300.0
"""The longest wait for a running engine: a snapshot of millions of keys takes its time."""


class OrderError(SellableError):
    """The order could not be carried out; nothing was changed."""

    title = "The order was not carried out"

    def __init__(self, message: str, advice: str, exit_code: int) -> None:
        super().__init__(message, advice)
        self.exit_code = exit_code


class Done(NamedTuple):
    """The answer to an order, and whether a running engine gave it."""

    answer: dict[str, Any]
    by_engine: bool


def order(data: Path, what: dict[str, Any]) -> Done:
    """Have an order carried out, by the running engine if there is one.

    Raises:
        OrderError: it could not be carried out.
        SellableError: the data folder or its rules cannot be used.
    """
    (done,) = orders(data, [what])
    return done


def orders(data: Path, all_of_them: Iterable[dict[str, Any]]) -> Iterator[Done]:
    """Have orders carried out one after the other, and tell the answer to each.

    Raises:
        OrderError: one could not be carried out; those before it were.
        SellableError: the data folder or its rules cannot be used.
    """
    waiting = iter(all_of_them)
    if not is_running(data):
        try:
            here = _opened(data)
        except StoreLockedError:
            pass  # an engine was started in this very moment
        else:
            with here as runtime:
                for what in waiting:
                    yield _checked(Done(carry_out(runtime, what), by_engine=False))
            return
    for what in waiting:
        yield _checked(Done(place_order(data, what, ANSWER_SECONDS), by_engine=True))


def _checked(done: Done) -> Done:
    if "error" in done.answer:
        raise OrderError(
            str(done.answer["error"]),
            str(done.answer.get("advice", "")),
            int(done.answer.get("exit_code", EXIT_FAILED)),
        )
    return done


def _opened(data: Path) -> AbstractContextManager[Runtime]:
    """The data folder as the engine would have it, under the rules and settings of its last run."""
    record = _last_run(data)
    folder = rules_folder(record)
    rules = load_rules(folder, record.settings)
    return _kept(Runtime(data, rules, folder, record.clock_mode, None, record.settings))


@contextmanager
def _kept(runtime: Runtime) -> Iterator[Runtime]:
    try:
        if runtime.record.clock_mode != EVENT:
            runtime.advance(wall_clock())
        yield runtime
    finally:
        runtime.close()


def _last_run(data: Path) -> RunRecord:
    store = open_for_reading(data)
    try:
        return read_run_record(store)
    finally:
        store.close()
