"""`sellable rules explain`: which rules win for a SKU on a channel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from engine.cli.explanation import print_ledger, print_rules
from engine.cli.options import AsJson, ChannelName, KeyLocation, Sku
from engine.cli.printing import STATUS_STYLES, number, print_json, say, styled
from engine.cli.reading import looking_at, rules_to_explain_with
from engine.contracts.errors import UsageError
from engine.contracts.instants import format_instant, parse_instant
from engine.embedded.runtime import wall_clock
from engine.rules.explain import Explanation, StockLine, explain_channel
from engine.rules.explained import Explained, explained_fields
from engine.rules.loader import load_rules
from engine.rules.mistakes import did_you_mean
from engine.rules.model import Channel
from engine.rules.ruleset import RuleSet

DEFAULT_FOLDER: Final = Path("rules")
_STOCK: Final = re.compile(
    r"(?P<location>.+)=(?P<sellable>-?[0-9]{1,18})(?:/(?P<reserved>[0-9]{1,18}))?"
)


class Ground(NamedTuple):
    """What rules are explained on: stock by location, claims by channel index, and when.

    `real` is False where the locations are only there to be asked about, without stock.
    """

    stock: Mapping[str, StockLine]
    claims: Mapping[int, int]
    instant: int
    real: bool


def explain(
    sku: Sku,
    channel: ChannelName,
    location: KeyLocation = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            "--rules",
            metavar="DIR",
            help="The rules folder; left out: that of --data, else ./rules.",
        ),
    ] = None,
    stock: Annotated[
        list[str] | None,
        typer.Option(
            "--stock",
            metavar="L=N[/R]",
            help="N units at the location L, R of them reserved; may be repeated.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Take the stock from this data folder."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="The time, RFC 3339; left out: now."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which rules win for a SKU on a channel, and why the others do not.

    With stock, from --stock or --data, it shows the way to the number as well; without, every
    location of the catalogue is asked about.
    """
    if stock and data is not None:
        raise UsageError("--stock and --data exclude each other", "Leave one of them out.")
    when = None if at is None else _instant(at)
    if data is not None:
        loaded, ground = _from_folder(data, rules, sku, when)
    else:
        loaded = load_rules(rules or DEFAULT_FOLDER)
        instant = wall_clock() if when is None else when
        ground = Ground(_places(loaded, stock or ()), {}, instant, bool(stock))
    chosen = _channel(loaded, channel)
    explanation = explain_channel(
        loaded, ground.instant, chosen, sku, location, ground.stock, ground.claims
    )
    if as_json:
        print_json(Explained(**explained_fields(explanation)))
    else:
        _print(explanation, ground.real)


def parse_stock(text: str) -> tuple[str, StockLine]:
    """The location and stock that a text such as `DC-EAST=40` or `S-0101=20/2` names.

    Raises:
        UsageError: the text names none.
    """
    match = _STOCK.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--stock {text}: a location, = and a whole number are expected",
            "Write --stock DC-EAST=40, or --stock DC-EAST=40/4 with 4 of them reserved.",
        )
    return match["location"], StockLine(int(match["sellable"]), int(match["reserved"] or 0))


def _from_folder(
    data: Path, rules: Path | None, sku: str, when: int | None
) -> tuple[RuleSet, Ground]:
    with looking_at(data) as view:
        loaded = rules_to_explain_with(view, rules)
        stock, claims = view.ground(loaded, sku)
        clock = view.standing.clock
    instant = when if when is not None else wall_clock() if clock is None else clock
    return loaded, Ground(stock, claims, instant, True)


def _places(rules: RuleSet, stock: Sequence[str]) -> dict[str, StockLine]:
    if stock:
        return dict(parse_stock(text) for text in stock)
    return {location: StockLine(0, 0) for location in rules.catalogue.locations}


def _channel(rules: RuleSet, name: str) -> Channel:
    found = rules.channel(name)
    if found is None:
        known = [channel.name for channel in rules.channels]
        raise UsageError(f"there is no channel {name}", did_you_mean(name, known))
    return found


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise UsageError(
            f"--at {text}: {error}", "Write it with its offset, such as 2026-11-27T12:00:00-05:00."
        ) from error


def _print(explanation: Explanation, with_stock: bool) -> None:
    where = f" at {explanation.location}" if explanation.location else ""
    say((f"{explanation.sku} on {explanation.channel}{where}", "bold"))
    say((f"under the rules of {format_instant(explanation.instant)}", "dim"))
    if with_stock:
        say(
            f"{number(explanation.available)} available, ",
            styled(explanation.status, STATUS_STYLES),
        )
        say()
        print_ledger(explanation)
    elif explanation.excluded:
        names = [line.location for line in explanation.excluded]
        say(f"not sold from {', '.join(names)}")
    print_rules(explanation)
