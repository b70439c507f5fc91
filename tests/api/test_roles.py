"""Who may do what: every role against every call, and how far each key reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import pytest

from engine.api import keyring
from engine.api.binding import Security
from engine.api.keys import ALL, NewKey, create_key, revoke_key
from engine.api.roles import BY_CHANNEL, BY_SOURCE, Role
from tests.api.service_under_test import EmbeddedEngine, Shop, movement, now, unique, until

READER, RESERVER, PUBLISHER = Role.READER, Role.RESERVER, Role.PUBLISHER
MERCHANDISER, OPERATOR, AUDITOR = Role.MERCHANDISER, Role.OPERATOR, Role.AUDITOR
EVERYBODY: Final = frozenset(Role)

MAY: Final[dict[str, frozenset[Role]]] = {
    "getAvailability": EVERYBODY - {PUBLISHER},
    "lookUpAvailability": EVERYBODY - {PUBLISHER},
    "getAvailabilityOfSku": EVERYBODY - {PUBLISHER},
    "postReservation": frozenset({RESERVER}),
    "getReservation": frozenset({RESERVER, OPERATOR, AUDITOR}),
    "confirmReservation": frozenset({RESERVER}),
    "releaseReservation": frozenset({RESERVER}),
    "fulfilReservation": frozenset({RESERVER}),
    "allocateReservation": frozenset({RESERVER}),
    "postMovements": frozenset({PUBLISHER}),
    "postObservations": frozenset({PUBLISHER, OPERATOR}),
    "getStock": frozenset({MERCHANDISER, OPERATOR, AUDITOR}),
    "explain": frozenset({MERCHANDISER, OPERATOR, AUDITOR}),
    "getChannels": EVERYBODY - {PUBLISHER},
    "getRules": frozenset({MERCHANDISER, OPERATOR, AUDITOR}),
    "tryRules": frozenset({MERCHANDISER, OPERATOR}),
    "putRules": frozenset({MERCHANDISER, OPERATOR}),
    "getExceptions": frozenset({OPERATOR, AUDITOR}),
    "replayException": frozenset({OPERATOR}),
    "dismissException": frozenset({OPERATOR}),
    "getMetrics": frozenset({OPERATOR, AUDITOR}),
    "getHealth": EVERYBODY,
    "getReadiness": EVERYBODY,
}
OPEN: Final = {"getHealth", "getReadiness"}

MakeKey = Callable[..., str]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """An engine whose service must have keys."""
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyring, "LOOK_EVERY_SECONDS", 0.02)
        made = EmbeddedEngine(folder, security=Security(has_keys=True))
        made.start()
        yield made
        made.stop()


@pytest.fixture
def make_key(engine: EmbeddedEngine) -> MakeKey:
    """Makes a key of the service and waits until it is taken up."""

    def make(role: Role, *reach: str, rate: str = "1000000/s", name: str = "") -> str:
        reach = reach or (ALL,)
        channels = reach if role in BY_CHANNEL else ()
        sources = reach if role in BY_SOURCE else ()
        wanted = NewKey(role, name, channels, sources, rate)
        text, _ = create_key(engine.data / "keys.json", wanted, now())
        until(lambda: ask(engine, "get", "/v1/channels", text).status_code != 401)
        return text

    return make


@pytest.fixture(scope="module")
def document(engine: EmbeddedEngine) -> dict[str, Any]:
    """The OpenAPI document, which everybody may read."""
    told: dict[str, Any] = engine.client.get("/openapi.json").json()
    return told


def ask(
    engine: EmbeddedEngine, method: str, path: str, key: str | None, **more: Any
) -> httpx.Response:
    """Call with a key."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return engine.client.request(method, path, headers=headers, **more)


def calls(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Every call with its example: name, method, path, and arguments of a request."""
    for template, told in document["paths"].items():
        for method, operation in told.items():
            path, query = template, {}
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
                elif parameter["in"] == "query" and "example" in parameter:
                    query[parameter["name"]] = parameter["example"]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            yield (
                operation["operationId"],
                method,
                path,
                {"params": query, "json": body["example"] if body else None},
            )


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_what_it_is_for_and_nothing_else(
    engine: EmbeddedEngine, document: dict[str, Any], make_key: MakeKey, role: Role
) -> None:
    """Every call of the document, with a key that reaches every channel and source."""
    key = make_key(role)
    seen = {}
    for name, method, path, more in calls(document):
        seen[name] = ask(engine, method, path, key, **more).status_code
    assert set(seen) == set(MAY)
    for name, status in seen.items():
        assert status != 401, name
        assert (status != 403) == (role in MAY[name]), f"{name} answered {status}"


def test_without_a_key_nothing_is_told_but_that_the_service_lives(
    engine: EmbeddedEngine, document: dict[str, Any]
) -> None:
    """401 on every other call, saying how to send a key."""
    for name, method, path, more in calls(document):
        answer = ask(engine, method, path, None, **more)
        assert (answer.status_code == 401) == (name not in OPEN), name
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["advice"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: key.upper(),
        lambda key: key.replace("slb_", "slb_0", 1),
        lambda key: "x",
        lambda key: "slb",
        lambda key: "\u00e9".encode("latin-1"),
    ],
)
def test_a_key_that_is_not_exactly_right_opens_nothing(
    engine: EmbeddedEngine, make_key: MakeKey, spoil: Callable[[str], Any]
) -> None:
    """Cut, changed, or something else."""
    spoilt = spoil(make_key(OPERATOR))
    raw = spoilt if isinstance(spoilt, bytes) else spoilt.encode()
    headers = {b"Authorization": b"Bearer " + raw}
    assert engine.client.get("/v1/rules", headers=headers).status_code == 401


def test_a_key_may_be_sent_as_a_header_of_its_own(
    engine: EmbeddedEngine, make_key: MakeKey
) -> None:
    """`X-API-Key`, where `Authorization` belongs to somebody else."""
    headers = {"X-API-Key": make_key(AUDITOR)}
    assert engine.client.get("/v1/rules", headers=headers).status_code == 200


def test_a_revoked_key_opens_nothing_within_a_moment(
    engine: EmbeddedEngine, make_key: MakeKey
) -> None:
    """Without a restart."""
    key = make_key(AUDITOR)
    assert ask(engine, "get", "/v1/rules", key).status_code == 200
    revoke_key(engine.data / "keys.json", key.split("_")[1], now())
    until(lambda: ask(engine, "get", "/v1/rules", key).status_code == 401)


def test_a_merchandiser_publishes_rules_and_not_settings(
    engine: EmbeddedEngine, make_key: MakeKey
) -> None:
    """They can let stock be adjusted by itself, say; those in force may be sent along."""
    merchandiser, operator = make_key(MERCHANDISER), make_key(OPERATOR)

    def put(key: str, **files: str) -> httpx.Response:
        named = {name.replace("_", "."): text for name, text in files.items()}
        tag = ask(engine, "get", "/v1/rules", key).headers["etag"]
        headers = {"Authorization": f"Bearer {key}", "If-Match": tag}
        return engine.client.put("/v1/rules", json={"files": named}, headers=headers)

    folder = engine.data.parent / "rules"
    rules = {name: (folder / name).read_text() for name in ("channels.yaml", "engine.yaml")}
    channels, settings = rules["channels.yaml"], rules["engine.yaml"]
    other = settings + "dedupe_window: 1h\n"
    refused = put(merchandiser, channels_yaml=channels, engine_yaml=other)
    assert (refused.status_code, refused.json()["title"]) == (403, "Not allowed")
    assert (folder / "generated.rules.yaml").exists()
    assert put(merchandiser, channels_yaml=channels).status_code == 200
    assert put(merchandiser, channels_yaml=channels, engine_yaml=settings).status_code == 200
    assert put(operator, channels_yaml=channels, engine_yaml=other).status_code == 200
    assert put(operator, channels_yaml=channels, engine_yaml=settings).status_code == 200


# --- reach -------------------------------------------------------------------------------------


@pytest.fixture
def publisher(engine: EmbeddedEngine, make_key: MakeKey) -> Iterator[Shop]:
    """Somebody who may send everything."""
    made = Shop(engine.url, make_key(PUBLISHER))
    yield made
    made.close()


def test_a_publisher_sends_observations_of_its_sources_alone(
    engine: EmbeddedEngine, make_key: MakeKey
) -> None:
    """With one of another source, nothing of the call is taken; an operator sends them all."""
    seen = {
        "source": "wms-east",
        "sku": unique("SKU"),
        "location": "DC",
        "quantity": 1,
        "observed_at": now(),
    }
    both = [seen, {**seen, "source": "erp"}]
    key = make_key(PUBLISHER, "wms-*")
    refused = ask(engine, "post", "/v1/observations", key, json=both)
    assert refused.status_code == 403
    assert "observation 2 is of the source 'erp'" in refused.json()["detail"]
    assert ask(engine, "post", "/v1/observations", key, json=[seen]).json()["duplicate"] == 0
    operator = make_key(OPERATOR)
    told = ask(engine, "post", "/v1/observations", operator, json=both).json()
    assert (told["duplicate"], told["differs"]) == (1, 1)


def test_a_reader_reads_its_channel_alone(
    engine: EmbeddedEngine, make_key: MakeKey, publisher: Shop
) -> None:
    """Other channels are neither told nor listed."""
    sku = publisher.stocked(5)
    key = make_key(READER, "web-shop")
    until(lambda: ask(engine, "get", f"/v1/availability?sku={sku}", key).status_code == 200)
    items = ask(engine, "get", f"/v1/availability?sku={sku}", key).json()["items"]
    assert {one["channel"] for one in items} == {"web-shop"}
    listed = ask(engine, "get", "/v1/channels", key).json()["channels"]
    assert [one["channel"] for one in listed] == ["web-shop"]
    for path in (
        f"/v1/availability?sku={sku}&channel=slow",
        f"/v1/availability/{sku}?channel=slow",
    ):
        assert ask(engine, "get", path, key).status_code == 403
    keys = {"keys": [{"sku": sku, "channel": "web-shop"}, {"sku": sku, "channel": "slow"}]}
    assert ask(engine, "post", "/v1/availability/lookup", key, json=keys).status_code == 403


def test_a_reserver_takes_and_touches_reservations_of_its_channel_alone(
    engine: EmbeddedEngine, make_key: MakeKey, publisher: Shop
) -> None:
    """Not another's, and none without a channel, which could take what belongs to all."""
    sku = publisher.stocked(5)
    mine, theirs = (Shop(engine.url, make_key(RESERVER, one)) for one in ("web-shop", "slow"))
    assert mine.reserve(sku, 1).status_code == 403
    assert mine.reserve(sku, 1, channel="slow").status_code == 403
    name = mine.reserve(sku, 1, channel="web-shop").json()["reservation"]
    path = f"/v1/reservations/{sku}/{name}"
    refused = theirs.http.get(path)
    assert (refused.status_code, "web-shop" in refused.text) == (403, False)
    for step, body in (("confirm", {}), ("release", {}), ("allocate", {"location": "DC"})):
        assert theirs.step(sku, name, step, **body).status_code == 403
    assert mine.http.get(path).json()["quantity"] == 1
    assert mine.step(sku, name, "confirm").status_code == 200
    mine.close()
    theirs.close()


def test_the_same_idempotency_key_of_two_callers_is_two_keys(
    engine: EmbeddedEngine, make_key: MakeKey, publisher: Shop
) -> None:
    """Nobody is given another's answer."""
    sku, key = publisher.stocked(5), unique("key")
    for channel in ("web-shop", "slow"):
        shop = Shop(engine.url, make_key(RESERVER, channel))
        answer = shop.reserve(sku, 1, channel=channel, key=key)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
        shop.close()


def test_a_publisher_sends_movements_of_its_sources_alone(
    engine: EmbeddedEngine, make_key: MakeKey
) -> None:
    """One of another source, and none of the call is taken; what nobody can read is kept."""
    key = make_key(PUBLISHER, "pos-*", "wms")
    sku = unique("SKU")
    mine = movement("receipt", sku, location="DC", quantity=1, source="pos-7")
    also = movement("receipt", sku, location="DC", quantity=1, source="wms")
    other = movement("receipt", sku, location="DC", quantity=1, source="wms-2")

    def send(*movements: Any) -> httpx.Response:
        return ask(engine, "post", "/v1/movements", key, json=movements)

    refused = send(mine, other)
    assert refused.status_code == 403
    assert "movement 2" in refused.json()["detail"]
    told = send(mine, also, 7).json()["outcomes"]
    assert [one["outcome"] for one in told] == ["applied", "applied", "refused"]


def test_more_calls_than_the_rate_are_turned_away_for_a_while(
    engine: EmbeddedEngine, make_key: MakeKey
) -> None:
    """429, with the seconds to wait; other keys go on."""
    slow, fast = make_key(READER, "web-shop", rate="60/min"), make_key(READER, "web-shop")
    answers = [ask(engine, "get", "/v1/channels", slow) for _ in range(3)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    assert ask(engine, "get", "/v1/channels", fast).status_code == 200
