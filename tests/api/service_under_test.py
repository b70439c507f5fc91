"""What the conformance suite needs to know about a running service, and those it is run over."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from engine.api.application import create_app
from engine.api.audit import AuditFile
from engine.api.binding import Security, bind
from engine.api.embedded import EmbeddedRuntime
from engine.api.keyring import KeyRing
from engine.api.server import Server
from engine.contracts.errors import SellableError
from engine.embedded.inputs import Inputs
from engine.embedded.loop import Job, Stop, run
from engine.embedded.runtime import Runtime
from engine.rules.loader import load_rules
from tests.oracle import write_rules_folder

PATIENCE_SECONDS: Final = 60.0
RULES: Final[dict[str, Any]] = {
    "settings": {"publish_tick": "20ms", "snapshot": {"every": "off"}},
    "channels": {
        "web-shop": {"publish": {"low_stock": 5}},
        "slow": {"publish": {"min_interval": "1h"}},
        "click-and-collect": {"granularity": "location", "locations": {"types": ["store"]}},
    },
    "rules": [
        {"name": "kept for walk-ins", "when": {"channels": ["slow"]}, "buffer": {"units": 1}}
    ],
    "locations": [
        {"location": "S-1", "type": "store"},
        {"location": "S-2", "type": "store"},
        {"location": "DC", "type": "warehouse"},
    ],
}


class Service(Protocol):
    """A service that runs, over some runtime."""

    @property
    def url(self) -> str:
        """Where it listens."""
        ...

    @property
    def data(self) -> Path:
        """Where its keys and its audit record lie."""
        ...

    def start(self) -> None:
        """Start it, again on what it has kept."""
        ...

    def stop(self) -> None:
        """Stop it gracefully."""
        ...


class EmbeddedEngine:
    """The embedded engine and its service, each on a thread of this process."""

    def __init__(
        self,
        folder: Path,
        rules: Mapping[str, Any] = RULES,
        clock: str = "wall",
        waiting_movements: int = 20_000,
        security: Security | None = None,
    ) -> None:
        self.data = folder / "data"
        self.clock = clock
        self.waiting_movements = waiting_movements
        self.security = security or Security(has_keys=False)
        self._rules = folder / "rules"
        write_rules_folder(rules, self._rules)
        self._stop = Stop()
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        self._client: httpx.Client | None = None
        self._serving = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.address

    @property
    def client(self) -> httpx.Client:
        """A caller without a key."""
        if self._client is None:
            self._client = httpx.Client(
                base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False, verify=False
            )
        return self._client

    def start(self) -> None:
        """Start the server, then the engine, and wait until it serves."""
        self.start_server()
        self.start_engine()

    def start_server(self) -> None:
        """Start the server alone: it tells that the engine restores its state."""
        self.visitors = EmbeddedRuntime(self.waiting_movements)
        keyring = KeyRing(self.data / "keys.json", must_have_keys=self.security.has_keys)
        self._audit = AuditFile(self.data / "audit.ndjson")
        app = create_app(self.visitors, keyring, self._audit, self.security.behind_proxy)
        taken = bind("127.0.0.1", 0)
        try:
            self._server = Server(app, taken, self.security)
        except SellableError:
            taken.close()
            self._audit.close()
            raise
        self._server.start()
        self._serving = True

    def start_engine(self) -> None:
        """Start the engine, and wait until it serves."""
        self._stop = Stop()
        self._thread = threading.Thread(target=self._run, name="engine")
        self._thread.start()
        until(lambda: self._failed is not None or self.visitors.phase == "serving")
        assert self._failed is None, self._failed

    def stop(self) -> None:
        """Stop both, the engine first."""
        self._stop.asked = True
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._thread is not None:
            self._thread.join(PATIENCE_SECONDS)
            self._thread = None
        if self._serving:
            self._serving = False
            self.visitors.fail()
            self._server.stop()
            self._audit.close()

    def _run(self) -> None:
        try:
            runtime = Runtime(self.data, load_rules(self._rules), self._rules, self.clock, None)
            try:
                with Inputs(()) as inputs:
                    self.visitors.open(runtime)
                    job = Job(False, self._stop, visitors=self.visitors)
                    run(runtime, inputs, self._rules, job)
                    self.visitors.stop(runtime)
            finally:
                self.visitors.fail()
                runtime.close()
        except BaseException as error:
            self._failed = error
            raise


SERVICES: Final[Mapping[str, Callable[[Path], Service]]] = {"embedded": EmbeddedEngine}


def until(found: Callable[[], Any]) -> Any:
    """Look again and again, for a minute at most, until something is there, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (there := found()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)
    return there


def now(**passed: float) -> str:
    """The time of day, or so much after it, as movements tell it."""
    return (datetime.now(UTC) + timedelta(**passed)).isoformat()


_numbers = itertools.count(1)


def unique(word: str) -> str:
    """A name that no other test uses."""
    return f"{word}-{next(_numbers)}"


class Shop:
    """A caller of the service, with words for what it often does."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(
            base_url=url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False, verify=False
        )

    def close(self) -> None:
        """Hang up."""
        self.http.close()

    def send(self, *movements: dict[str, Any]) -> list[dict[str, Any]]:
        """Send movements, and return their outcomes."""
        answer = self.http.post("/v1/movements", json=list(movements))
        assert answer.status_code == 200, answer.text
        outcomes: list[dict[str, Any]] = answer.json()["outcomes"]
        return outcomes

    def stocked(self, quantity: int, location: str = "DC", sku: str | None = None) -> str:
        """Receive some of a SKU, by default a new one; returns it."""
        sku = sku or unique("SKU")
        outcome = self.send(movement("receipt", sku, location=location, quantity=quantity))
        assert outcome[0]["outcome"] == "applied"
        return sku

    def reserve(self, sku: str, quantity: int, **more: Any) -> httpx.Response:
        """Ask for a reservation of a new name."""
        key = more.pop("key", None)
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"reservation": unique("basket"), "sku": sku, "quantity": quantity, **more}
        return self.http.post("/v1/reservations", json=body, headers=headers)

    def step(self, sku: str, name: str, kind: str, **body: Any) -> httpx.Response:
        """Take a step of a reservation."""
        return self.http.post(f"/v1/reservations/{sku}/{name}/{kind}", json=body)

    def look_up(self, **asked: Any) -> dict[str, Any]:
        """Look up availability."""
        answer = self.http.get("/v1/availability", params=asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def exceptions(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """All exceptions, page by page."""
        after: str | None = None
        while True:
            more = {} if after is None else {"after": after}
            page = self.http.get("/v1/exceptions", params={**asked, **more}).json()
            assert len(page["exceptions"]) <= asked.get("limit", 100)
            yield from page["exceptions"]
            after = page["next"]
            if after is None:
                return

    def published(self, sku: str, channel: str, value: int, location: str | None = None) -> Any:
        """Wait until a channel was told a number, and return the item."""
        where = {} if location is None else {"location": location}

        def found() -> Any:
            answer = self.http.get(
                "/v1/availability", params={"sku": sku, "channel": channel, **where}
            )
            items = answer.json().get("items", []) if answer.status_code == 200 else []
            return next((item for item in items if item["available"] == value), None)

        return until(found)


def movement(type: str, sku: str, **fields: Any) -> dict[str, Any]:
    """A movement that happens now."""
    base = {"id": unique("m"), "source": "test", "type": type, "sku": sku, "occurred_at": now()}
    return {**base, **fields}
