"""Orders: some baskets were not carried to a till but ordered, and some orders came to nothing.

Whole baskets become orders, by a hash of their number. Web orders ask strictly, before the goods
leave; a third of them ask for any store and are allocated soon after. Customers who collect hold
their goods at the store and pay at its till. Marketplaces tell what they have sold already, so
their reservations are forced. Where the shelf held too little when a strict order came in, the
customer was turned away: the goods of that line never left.
Beside these, some baskets are abandoned (their reservations expire) and some orders cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from engine.demo.assortment import Assortment
from engine.demo.chance import between, draw
from engine.demo.movements import Kind, Movements, join, make
from engine.demo.source import DAY_S, Ints, Lines, Mask
from engine.demo.stock import HOUR_S, MINUTE_S, ORDERS_OPEN_S, Shelf
from engine.demo.stores import Roles


class Flow(IntEnum):
    """How a basket was sold."""

    TILL = 0
    WEB = 1
    COLLECT = 2
    AMAZON = 3
    WALMART = 4
    ABANDONED = 5
    CANCELLED = 6


CHANNEL_OF_FLOW = {
    Flow.WEB: "web-shop",
    Flow.COLLECT: "click-and-collect",
    Flow.AMAZON: "amazon-us",
    Flow.WALMART: "walmart",
    Flow.ABANDONED: "web-shop",
    Flow.CANCELLED: "web-shop",
}
ORDER_PREFIX = {
    Flow.WEB: "WEB",
    Flow.COLLECT: "COL",
    Flow.AMAZON: "AMZ",
    Flow.WALMART: "WMT",
    Flow.ABANDONED: "CART",
    Flow.CANCELLED: "WEBX",
}

WEB_SHARE = 0.05  # of the baskets of the shipping stores
COLLECT_SHARE = 0.03  # of the baskets of the stores where customers collect
AMAZON_SHARE = 0.015  # of the baskets of the hubs, as Walmart's
WALMART_SHARE = 0.010
UNALLOCATED_SHARE = 0.33  # of the web orders
COPIED_SHARES = {"abandoned": 0.010, "cancelled": 0.005}  # of the shipping stores' lines
FRESH_KEPT_BACK = 0.15  # of the shelf, as in the demo's buffer rules; one unit of other goods
LATE_CONFIRM_SHARE = 0.01  # of the web orders: the payment's word comes after the expiry
LATE_RESERVE_SHARE = 0.01  # of the web orders: the order comes after its confirmation
CHECKOUT_S = 20 * MINUTE_S
COLLECT_WITHIN_S = 48 * HOUR_S
UNTIL_NEVER = 0
NOWHERE = -1  # the store of an unallocated reservation


@dataclass(frozen=True)
class Orders:
    """How each line was sold, when it was ordered, and how that ended.

    `anywhere` orders name no store at first; `turned_away` found too little in theirs.
    """

    flow: Ints
    ordered_at: Ints
    anywhere: Mask
    turned_away: Mask

    @property
    def at_the_till(self) -> Mask:
        till: Mask = self.flow == Flow.TILL
        return till


def place_orders(lines: Lines, goods: Assortment, roles: Roles, shelf: Shelf) -> Orders:
    """Decides how each basket was sold; `shelf` is what the shelves held if every line left."""
    flow = _flows(lines, goods, roles)
    lead = np.where(
        flow == Flow.COLLECT,
        between("collect lead", lines.basket, HOUR_S, 20 * HOUR_S),
        between("web lead", lines.basket, 45 * MINUTE_S, 6 * HOUR_S),
    )
    opens = int(lines.sold_at[0]) // DAY_S * DAY_S + ORDERS_OPEN_S
    ordered_at = np.where(flow == Flow.TILL, lines.sold_at, lines.sold_at - lead)
    ordered_at = np.minimum(lines.sold_at, np.maximum(ordered_at, opens))
    anywhere = _asks_anywhere(lines, flow)
    turned_away = np.zeros(len(lines), dtype=np.bool_)
    asked = np.flatnonzero((flow != Flow.TILL) & ~anywhere)
    held = shelf.at(lines.key[asked], ordered_at[asked])
    fresh = goods.fresh[asked]
    kept_back = np.where(fresh, np.maximum(2, np.ceil(held * FRESH_KEPT_BACK)), 1)
    turned_away[asked] = held - kept_back < lines.quantity[asked]
    return Orders(flow, ordered_at, anywhere, turned_away)


def _asks_anywhere(lines: Lines, flow: Ints) -> Mask:
    """Marketplaces name no store, and some customers of the web shop get none named."""
    web = (flow == Flow.WEB) & (draw("anywhere", lines.basket) < UNALLOCATED_SHARE)
    anywhere: Mask = web | (flow == Flow.AMAZON) | (flow == Flow.WALMART)
    return anywhere


def _flows(lines: Lines, goods: Assortment, roles: Roles) -> Ints:
    chance = draw("flow", lines.basket)
    flow = np.full(len(lines), Flow.TILL, dtype=np.int64)
    edge = 0.0
    for kind, share, stores in (
        (Flow.WEB, WEB_SHARE, roles.ships),
        (Flow.COLLECT, COLLECT_SHARE, roles.collects),
        (Flow.AMAZON, AMAZON_SHARE, roles.hub),
        (Flow.WALMART, WALMART_SHARE, roles.hub),
    ):
        chosen = (chance >= edge) & (chance < edge + share) & stores[lines.store]
        flow[chosen] = kind
        edge += share
    marketplace = (flow == Flow.AMAZON) | (flow == Flow.WALMART)
    flow[~goods.orderable | (goods.fresh & marketplace)] = Flow.TILL
    return flow


def derive_orders(lines: Lines, goods: Assortment, roles: Roles, orders: Orders) -> Movements:
    """Derives the movements of all orders, from the reservation to the end."""
    return join(
        [
            *_sold_orders(lines, orders),
            *_abandoned(lines, goods, roles),
            *_cancelled(lines, goods, roles),
        ]
    )


def _sold_orders(lines: Lines, orders: Orders) -> list[Movements]:
    rows = np.flatnonzero(orders.flow != Flow.TILL)
    flow, asked_at, leaves_at = orders.flow[rows], orders.ordered_at[rows], lines.sold_at[rows]
    basket = lines.basket[rows]
    web, collect = flow == Flow.WEB, flow == Flow.COLLECT
    marketplace = ~web & ~collect
    anywhere = orders.anywhere[rows]
    until = np.where(web, asked_at + CHECKOUT_S, UNTIL_NEVER)
    until = np.where(collect, asked_at + COLLECT_WITHIN_S, until)
    ordered = make(
        Kind.RESERVE,
        occurred=asked_at,
        store=np.where(anywhere, NOWHERE, lines.store[rows]),
        product=lines.product[rows],
        quantity=lines.quantity[rows],
        subject=basket,
        detail=flow,
        until=until,
        line=lines.number[rows],
    )
    stays = ~orders.turned_away[rows]
    paid_at = np.minimum(leaves_at, asked_at + between("payment", basket, MINUTE_S, 10 * MINUTE_S))
    chance = draw("late step", basket)
    late_word = web & (chance < LATE_CONFIRM_SHARE)
    late_order = web & ~late_word & (chance < LATE_CONFIRM_SHARE + LATE_RESERVE_SHARE)
    delayed = ordered.arrived + np.where(late_order & stays, 12 * MINUTE_S, 0)
    left = ordered.replaced(
        store=lines.store[rows], until=np.zeros(len(rows), dtype=np.int64), occurred=leaves_at
    )
    return [
        ordered.replaced(arrived=delayed),
        _step(left, Kind.CONFIRM, paid_at, np.where(late_word, 40 * MINUTE_S, 0)).take(
            stays & ~marketplace
        ),
        _step(left, Kind.ALLOCATE, np.minimum(leaves_at, paid_at + 15 * MINUTE_S)).take(
            stays & anywhere
        ),
        _step(left, Kind.COLLECT, leaves_at).take(stays & collect),
        _step(left, Kind.FULFIL, leaves_at).take(stays & ~collect),
    ]


def _step(order: Movements, kind: Kind, at: Ints, delay: Ints | int = 0) -> Movements:
    """The same order's later step of that kind, `delay` seconds late in being told."""
    kinds = np.full(len(order), int(kind), dtype=np.int64)
    return order.replaced(kind=kinds, occurred=at, arrived=at + delay)


def _abandoned(lines: Lines, goods: Assortment, roles: Roles) -> list[Movements]:
    rows = _copied_lines(lines, goods, roles, "abandoned")
    return [_extra_order(lines, rows, Flow.ABANDONED, CHECKOUT_S)]


def _cancelled(lines: Lines, goods: Assortment, roles: Roles) -> list[Movements]:
    rows = _copied_lines(lines, goods, roles, "cancelled")
    ordered = _extra_order(lines, rows, Flow.CANCELLED, CHECKOUT_S)
    number = lines.number[rows]
    paid = ordered.occurred + between("paid", number, MINUTE_S, 9 * MINUTE_S)
    regretted = paid + between("regret", number, 10 * MINUTE_S, 5 * HOUR_S)
    return [ordered, _step(ordered, Kind.CONFIRM, paid), _step(ordered, Kind.RELEASE, regretted)]


def _copied_lines(lines: Lines, goods: Assortment, roles: Roles, topic: str) -> Ints:
    chosen = draw(topic, lines.number) < COPIED_SHARES[topic]
    return np.flatnonzero(chosen & roles.ships[lines.store] & goods.orderable)


def _extra_order(lines: Lines, rows: Ints, flow: Flow, open_for_s: int) -> Movements:
    return make(
        Kind.RESERVE,
        occurred=lines.sold_at[rows],
        store=lines.store[rows],
        product=lines.product[rows],
        quantity=lines.quantity[rows],
        subject=lines.basket[rows],
        detail=int(flow),
        until=lines.sold_at[rows] + open_for_s,
        line=lines.number[rows],
    )
