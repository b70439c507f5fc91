"""Derived movements as lines of JSON, in the order of their arrival."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from engine.contracts.limits import MAX_MOVEMENT_BYTES
from engine.demo.incidents import Arrivals, Fault
from engine.demo.movements import Kind, Movements
from engine.demo.orders import CHANNEL_OF_FLOW, NOWHERE, ORDER_PREFIX, Flow
from engine.demo.shelf_life import Way
from engine.demo.source import Ints, Lines
from engine.demo.stores import location_name

CHUNK_ROWS = 100_000

_RETURNED_TO = {
    Way.SELLABLE: "",
    Way.INSPECTING: '"disposition":"inspecting",',
    Way.DAMAGED: '"disposition":"damaged",',
}
_RECLASSIFIED = {
    Way.PASSED: ("QC", '"from":"inspecting","to":"sellable","reason":"inspection passed",'),
    Way.FAILED: ("QC", '"from":"inspecting","to":"damaged","reason":"inspection failed",'),
    Way.BROKE: ("BR", '"from":"sellable","to":"damaged","reason":"breakage",'),
}
_FORCED = frozenset({Flow.AMAZON, Flow.WALMART})


class Renderer:
    """Writes the movements of one kind at a time, whole columns at once."""

    def __init__(self, lines: Lines) -> None:
        self._store_numbers = [f"{number:04d}" for number in lines.stores.tolist()]
        self._places = [location_name(number) for number in lines.stores.tolist()]
        self._skus = [str(number) for number in lines.products.tolist()]
        self._writers: dict[Kind, Callable[[Movements], list[str]]] = {
            Kind.OPENING: self._opening,
            Kind.EXPECT: self._expect,
            Kind.TRANSFER: self._transfer,
            Kind.RECEIPT: self._receipt,
            Kind.ARRIVAL: self._arrival,
            Kind.RESERVE: self._reserve,
            Kind.CONFIRM: self._confirm,
            Kind.ALLOCATE: self._allocate,
            Kind.SALE: self._sale,
            Kind.COLLECT: self._collect,
            Kind.FULFIL: self._fulfil,
            Kind.RELEASE: self._release,
            Kind.RETURN: self._return,
            Kind.RECLASSIFY: self._reclassify,
            Kind.ADJUSTMENT: self._adjustment,
            Kind.COUNT: self._count,
        }

    def chunks(self, arrivals: Arrivals) -> Iterator[list[bytes]]:
        """Yields the lines without their newlines, `CHUNK_ROWS` at a time."""
        movements = arrivals.movements
        for start in range(0, len(movements), CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, len(movements)))
            texts = self._render(movements.take(rows))
            lines = [text.encode() for text in texts]
            for row, fault in arrivals.faults.items():
                if start <= row < start + len(lines):
                    lines[row - start] = spoil(lines[row - start], fault)
            yield lines

    def _render(self, part: Movements) -> list[str]:
        texts = [""] * len(part)
        for code in np.unique(part.kind).tolist():
            rows = np.flatnonzero(part.kind == code)
            written = self._writers[Kind(code)](part.take(rows))
            for row, text in zip(rows.tolist(), written, strict=True):
                texts[row] = text
        return texts

    def _columns(self, part: Movements) -> Iterator[tuple[str, str, str, int, int, int, str]]:
        """Yields SKU, location, store number, quantity, subject, detail and the instant."""
        stores = part.store.tolist()
        return zip(
            [self._skus[product] for product in part.product.tolist()],
            [self._places[store] for store in stores],
            [self._store_numbers[store] for store in stores],
            part.quantity.tolist(),
            part.subject.tolist(),
            part.detail.tolist(),
            texts_of(part.occurred),
            strict=True,
        )

    def _opening(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"OPEN-{store}","source":"stocktake","type":"count","sku":"{sku}",'
            f'"location":"{place}","quantity":{quantity},"occurred_at":"{at}"}}'
            for sku, place, store, quantity, _, _, at in self._columns(part)
        ]

    def _sale(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"{basket}","source":"pos-{store}","type":"sale","sku":"{sku}",'
            f'"location":"{place}","quantity":{quantity},"occurred_at":"{at}"}}'
            for sku, place, store, quantity, basket, _, at in self._columns(part)
        ]

    def _receipt(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"ASN-{store}-{date_of(day)}","source":"wms-central","type":"receipt",'
            f'"sku":"{sku}","location":"{place}","quantity":{quantity},"occurred_at":"{at}"}}'
            for sku, place, store, quantity, day, _, at in self._columns(part)
        ]

    def _arrival(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"TO-{self._store_numbers[sender]}-{store}-{date_of(day)}:in",'
            f'"source":"wms-central","type":"receipt","sku":"{sku}","location":"{place}",'
            f'"from_location":"{self._places[sender]}","quantity":{quantity},'
            f'"occurred_at":"{at}"}}'
            for sku, place, store, quantity, day, sender, at in self._columns(part)
        ]

    def _transfer(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"TO-{store}-{self._store_numbers[target]}-{date_of(day)}",'
            f'"source":"wms-central","type":"transfer","sku":"{sku}","location":"{place}",'
            f'"to_location":"{self._places[target]}","quantity":{quantity},"occurred_at":"{at}"}}'
            for sku, place, store, quantity, day, target, at in self._columns(part)
        ]

    def _expect(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"PO-{store}-{date_of(day)}{"" if quantity > 0 else ":less"}",'
            f'"source":"purchasing","type":"expect","sku":"{sku}","location":"{place}",'
            f'"quantity":{quantity},"occurred_at":"{at}"}}'
            for sku, place, store, quantity, day, _, at in self._columns(part)
        ]

    def _count(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"CC-{store}-{date_of(day)}","source":"stocktake","type":"count",'
            f'"sku":"{sku}","location":"{place}","quantity":{quantity},"occurred_at":"{at}",'
            f'"reason":"cycle count"}}'
            for sku, place, store, quantity, day, _, at in self._columns(part)
        ]

    def _adjustment(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"SP-{basket}","source":"store-{store}","type":"adjustment","sku":"{sku}",'
            f'"location":"{place}","quantity":{quantity},"occurred_at":"{at}","reason":"spoilage"}}'
            for sku, place, store, quantity, basket, _, at in self._columns(part)
        ]

    def _return(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"RT-{basket}","source":"returns","type":"return","sku":"{sku}",'
            f'"location":"{place}","quantity":{quantity},{_RETURNED_TO[Way(way)]}'
            f'"occurred_at":"{at}"}}'
            for sku, place, _, quantity, basket, way, at in self._columns(part)
        ]

    def _reclassify(self, part: Movements) -> list[str]:
        made = []
        for sku, place, store, quantity, basket, way, at in self._columns(part):
            prefix, change = _RECLASSIFIED[Way(way)]
            made.append(
                f'{{"id":"{prefix}-{basket}","source":"store-{store}","type":"reclassify",'
                f'"sku":"{sku}","location":"{place}","quantity":{quantity},{change}'
                f'"occurred_at":"{at}"}}'
            )
        return made

    def _orders(self, part: Movements) -> Iterator[tuple[str, str, Flow, int, str]]:
        """Yields reservation, SKU, flow, quantity and the instant."""
        for sku, _, _, quantity, basket, detail, at in self._columns(part):
            flow = Flow(detail)
            yield f"{ORDER_PREFIX[flow]}-{basket}", sku, flow, quantity, at

    def _reserve(self, part: Movements) -> list[str]:
        made = []
        ends = texts_of(part.until)
        columns = zip(
            self._orders(part), part.store.tolist(), part.until.tolist(), ends, strict=True
        )
        for (name, sku, flow, quantity, at), store, until, end in columns:
            place = "" if store == NOWHERE else f'"location":"{self._places[store]}",'
            forced = '"policy":"force",' if flow in _FORCED else ""
            expires = f'"expires_at":"{end}",' if until else ""
            made.append(
                f'{{"id":"{name}:reserve","source":"oms","type":"reserve","sku":"{sku}",'
                f'{place}"quantity":{quantity},"reservation":"{name}",'
                f'"channel":"{CHANNEL_OF_FLOW[flow]}",{forced}{expires}"occurred_at":"{at}"}}'
            )
        return made

    def _confirm(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"{name}:confirm","source":"payments","type":"confirm","sku":"{sku}",'
            f'"reservation":"{name}","occurred_at":"{at}"}}'
            for name, sku, _, _, at in self._orders(part)
        ]

    def _release(self, part: Movements) -> list[str]:
        return [
            f'{{"id":"{name}:release","source":"oms","type":"release","sku":"{sku}",'
            f'"reservation":"{name}","occurred_at":"{at}","reason":"cancelled by customer"}}'
            for name, sku, _, _, at in self._orders(part)
        ]

    def _allocate(self, part: Movements) -> list[str]:
        places = [self._places[store] for store in part.store.tolist()]
        return [
            f'{{"id":"{name}:allocate","source":"oms","type":"allocate","sku":"{sku}",'
            f'"location":"{place}","reservation":"{name}","occurred_at":"{at}"}}'
            for (name, sku, _, _, at), place in zip(self._orders(part), places, strict=True)
        ]

    def _fulfil(self, part: Movements) -> list[str]:
        places = [self._places[store] for store in part.store.tolist()]
        return [
            f'{{"id":"{name}:fulfil","source":"oms","type":"fulfil","sku":"{sku}",'
            f'"location":"{place}","quantity":{quantity},"reservation":"{name}",'
            f'"occurred_at":"{at}"}}'
            for (name, sku, _, quantity, at), place in zip(self._orders(part), places, strict=True)
        ]

    def _collect(self, part: Movements) -> list[str]:
        columns = zip(self._orders(part), part.subject.tolist(), part.store.tolist(), strict=True)
        return [
            f'{{"id":"{basket}","source":"pos-{self._store_numbers[store]}","type":"sale",'
            f'"sku":"{sku}","location":"{self._places[store]}","quantity":{quantity},'
            f'"reservation":"{name}","occurred_at":"{at}"}}'
            for (name, sku, _, quantity, at), basket, store in columns
        ]


def texts_of(seconds: Ints) -> list[str]:
    """Writes instants, in seconds since the Unix epoch, as RFC 3339 in UTC."""
    texts = np.datetime_as_string(seconds.astype("datetime64[s]"), timezone="UTC")
    written: list[str] = texts.tolist()
    return written


def date_of(day: int) -> str:
    """Writes a day since the Unix epoch as an ISO date."""
    return str(np.datetime64(day, "D"))


def spoil(line: bytes, fault: Fault) -> bytes:
    """Turns a line into what a source with that fault sends in its place."""
    if fault == Fault.NO_LOCATION:
        start = line.index(b'"location"')
        return line[:start] + line[line.index(b'"quantity"') :]
    if fault == Fault.CUT_OFF:
        return line[: len(line) * 2 // 3]
    if fault == Fault.NOT_JSON:
        return b"Z-REPORT printed, see journal: " + line[8:19]
    if fault == Fault.TOO_LARGE:
        return line[:-1] + b',"journal":"' + b"." * MAX_MOVEMENT_BYTES + b'"}'
    before, after = _REPLACED[fault]
    return line.replace(before, after, 1)


_REPLACED = {
    Fault.QUANTITY_AS_TEXT: (b'"quantity":', b'"quantity":"1 pc","counted":'),
    Fault.UNKNOWN_TYPE: (b'"type":"sale"', b'"type":"sold"'),
    Fault.LATER_SCHEMA: (b'{"id"', b'{"schema":2,"id"'),
    Fault.WRONG_ENCODING: (b'"source":"', b'"source":"caf\xe9-'),
    Fault.LOCAL_TIME: (b'Z"', b'"'),
    Fault.UNKNOWN_CHANNEL: (b'"channel":"', b'"channel":"old-'),
    Fault.SAME_RESERVATION: (b':reserve"', b':reserve-again"'),
}
