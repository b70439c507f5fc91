"""Whatever is asked over HTTP, in whatever order: the answers are the oracle's."""

from __future__ import annotations

import copy
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.service_under_test import EmbeddedEngine
from tests.oracle import Oracle, generate, random_rules
from tests.oracle.generate import DEFAULT_LOCATIONS, DEFAULT_SKUS

EXAMPLES: Final = 15
LINES: Final = 150
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
TAKEN: Final = ("accepted", "partial")

_numbers = itertools.count(1)

wanted = st.fixed_dictionaries(
    {"quantity": st.integers(1, 12)},
    optional={
        "location": st.sampled_from(DEFAULT_LOCATIONS),
        "allow_partial": st.booleans(),
    },
)
reservations = st.fixed_dictionaries(
    {"lines": st.dictionaries(st.sampled_from(DEFAULT_SKUS), wanted, min_size=1, max_size=3)},
    optional={"channel": st.integers(0, 3), "policy": st.sampled_from(["strict", "force"])},
)
steps = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["confirm", "release", "fulfil", "allocate"]),
        "which": st.integers(0, 99),
        "quantity": st.integers(1, 5),
        "location": st.sampled_from(DEFAULT_LOCATIONS),
    }
)
calls = st.one_of(st.integers(1, 25), reservations, steps)


class Pair:
    """The service and the oracle, asked the same."""

    def __init__(self, seed: int, url: str) -> None:
        self.rules = random_rules(seed)
        self.channels = list(self.rules["channels"])
        self.oracle = Oracle(self.rules)
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=60)
        lines = generate(seed, LINES, channels=self.channels)
        lines = [line.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n") for line in lines]
        self.lines = [line for line in lines if line.strip()]
        self.names: list[tuple[str, str]] = []

    def movements(self, count: int) -> None:
        """Send the next of the stream."""
        sent, self.lines = self.lines[:count], self.lines[count:]
        expected = [self._feed(line) for line in sent]
        answer = self.http.post(
            "/v1/movements",
            content=b"\n".join(sent),
            headers={"Content-Type": "application/x-ndjson"},
        )
        told = answer.json()["outcomes"]
        assert [(one["outcome"], one["code"]) for one in told] == expected

    def reserve(self, asked: dict[str, Any]) -> None:
        """Reserve one SKU, or several."""
        name = f"http-{next(_numbers)}"
        channel = asked.get("channel")
        common: dict[str, Any] = {"reservation": name}
        if channel is not None:
            common["channel"] = self.channels[channel % len(self.channels)]
        if "policy" in asked:
            common["policy"] = asked["policy"]
        lines = [{"sku": sku, **line} for sku, line in asked["lines"].items()]
        body = {**common, **lines[0]} if len(lines) == 1 else {**common, "lines": lines}
        answer = self.http.post("/v1/reservations", json=body)
        told = answer.json()
        fed = [self._movement("reserve", told["decided_at"], {**common, **one}) for one in lines]
        alone = [self._decision_of(copy.deepcopy(self.oracle), one) for one in fed]
        whole = all(outcome in TAKEN for outcome, _ in alone)
        assert (answer.status_code == 201) == whole, told
        for line, movement, (outcome, quantity) in zip(told["lines"], fed, alone, strict=True):
            if whole or outcome == "rejected":
                assert self._decision_of(self.oracle, movement) == (outcome, quantity)
                assert (line["outcome"], line["quantity"]) == (outcome, quantity)
            else:
                assert (line["outcome"], line["quantity"]) == ("not_taken", 0)
        self.names += [(line["sku"], name) for line in lines]

    def step(self, asked: dict[str, Any]) -> None:
        """Take a step of one of the reservations."""
        if not self.names:
            return
        sku, name = self.names[asked["which"] % len(self.names)]
        kind = asked["kind"]
        fields = {"fulfil": ["quantity", "location"], "allocate": ["location"]}
        body = {field: asked[field] for field in fields.get(kind, [])}
        if kind == "release" and asked["quantity"] > 2:
            body["quantity"] = asked["quantity"]
        answer = self.http.post(f"/v1/reservations/{sku}/{name}/{kind}", json=body)
        known = self.oracle.world.reservations.find(sku, name, self.oracle.world.now)
        assert (answer.status_code == 404) == (known is None), answer.text
        if known is None:
            return
        told = answer.json()
        decided_at = told.get("decided_at") or self._now()
        line = self._movement(kind, decided_at, {"sku": sku, "reservation": name, **body})
        assert (told["outcome"], None) == self._feed(line)
        after = self.oracle.world.reservations.find(sku, name, self.oracle.world.now)
        assert after is not None
        assert told["reservation"]["quantity"] == after.left

    def compare(self, decisions: Path) -> None:
        """Compare stock, numbers and decisions."""
        for sku in DEFAULT_SKUS:
            expected = self.oracle.stock(sku)
            answer = self.http.get(f"/v1/stock/{sku}")
            if answer.status_code == 404:
                assert expected["locations"] == []
                continue
            told = answer.json()
            assert {name: told[name] for name in expected} == expected
            for key in self.http.get(f"/v1/availability/{sku}").json()["channels"]:
                value = self.oracle.computed(key["channel"], sku, key["location"])
                assert key["computed"] == value, key
        found = [json.loads(line) for line in decisions.read_text().splitlines()]
        assert found == self.oracle.decisions
        self.http.close()

    def _now(self) -> str:
        told: str = self.http.get("/readyz").json()["as_of"]
        return told

    def _movement(self, kind: str, at: str, fields: dict[str, Any]) -> bytes:
        base = {"id": f"o-{next(_numbers)}", "source": "oracle", "type": kind, "occurred_at": at}
        return json.dumps({**base, **fields}).encode()

    def _feed(self, line: bytes) -> tuple[str, str | None]:
        self.oracle.feed(line)
        return self.oracle.outcomes[-1]

    @staticmethod
    def _decision_of(oracle: Oracle, line: bytes) -> tuple[str, int]:
        before = len(oracle.decisions)
        oracle.feed(line)
        decision = oracle.decisions[before]
        return decision["outcome"], decision["quantity"]


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
@given(seed=st.integers(0, 10_000), asked=st.lists(calls, min_size=15, max_size=40))
def test_whatever_is_asked_the_answers_are_the_oracles(seed: int, asked: list[Any]) -> None:
    """Movements, reservations of one SKU and of several, and their steps, by the event clock."""
    rules = random_rules(seed)
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine(Path(folder), rules, clock="event")
        engine.start()
        try:
            pair = Pair(seed, engine.url)
            pair.movements(10)
            for one in asked:
                if isinstance(one, int):
                    pair.movements(one)
                elif "lines" in one:
                    pair.reserve(one)
                else:
                    pair.step(one)
            pair.compare(engine.data / "out" / "reservations.decisions.ndjson")
        finally:
            engine.stop()
