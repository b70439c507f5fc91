"""What is too large, too slow, too much or no HTTP at all harms nobody."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from engine.api import call, door, protocol
from tests.api.service_under_test import EmbeddedEngine, Shop, unique, until

LIMIT_SECONDS = 0.3


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """An engine whose service has little patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "HEAD_SECONDS", LIMIT_SECONDS)
        patch.setattr(call, "BODY_SECONDS", LIMIT_SECONDS)
        patch.setattr(protocol, "MAX_CONNECTIONS", 20)
        made = EmbeddedEngine(tmp_path_factory.mktemp("service"))
        made.start()
        yield made
        made.stop()


class Line:
    """A connection of bytes."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        host, port = engine.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)

    def send(self, data: bytes) -> None:
        """Send bytes; that the other side has hung up is its right."""
        try:
            self.socket.sendall(data)
        except OSError:
            return

    def all(self) -> bytes:
        """What comes until the other side hangs up."""
        pieces = []
        try:
            while piece := self.socket.recv(65_536):
                pieces.append(piece)
        except ConnectionError:
            pass
        self.socket.close()
        return b"".join(pieces)


def status(answer: bytes) -> int:
    """The status of an answer."""
    return int(answer.split(b" ", 2)[1])


def problem(answer: bytes) -> dict[str, str]:
    """The problem that an answer tells."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    told: dict[str, str] = json.loads(body)
    assert told["advice"]
    return told


def serves(engine: EmbeddedEngine) -> bool:
    """Whether other callers are served."""
    return engine.client.get("/readyz").status_code == 200


# --- too large ---------------------------------------------------------------------------------


def test_head_is_answered_as_get_without_its_body(own: EmbeddedEngine) -> None:
    """On every path that GET has, 404 and the document too; elsewhere 405 tells what is taken."""
    own.start()
    paths = own.client.get("/openapi.json").json()["paths"]
    taking_get = [
        path.replace("{sku}", "A").replace("{reservation}", "R")
        for path, told in paths.items()
        if "get" in told
    ]
    assert len(taking_get) > 10
    for path in (*taking_get, "/openapi.json", "/nowhere"):
        told, head = own.client.get(path), own.client.head(path)
        assert (head.status_code, head.content) == (told.status_code, b""), path
        for name in ("content-type", "etag", "cache-control"):
            assert head.headers.get(name) == told.headers.get(name)
        assert int(head.headers["content-length"]) > 0
    assert own.client.get("/healthz").status_code == 200  # on the same connection
    assert own.client.head("/v1/movements").headers["allow"] == "POST"
    assert own.client.delete("/v1/rules").headers["allow"] == "GET, HEAD, PUT"


def test_headers_that_never_end_are_cut_off(engine: EmbeddedEngine) -> None:
    """431, after 32 KiB."""
    line = Line(engine)
    line.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
    for number in range(100):
        line.send(b"X-%d: %b\r\n" % (number, b"a" * 1_000))
    answer = line.all()
    assert status(answer) == 431
    assert problem(answer)["detail"].startswith("the headers are longer")
    assert serves(engine)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_long_headers_that_come_at_once_are_too_long_all_the_same(
    engine: EmbeddedEngine, method: str
) -> None:
    """Whole with their body in one piece of the stream, and with another request behind it."""
    head = f"{method} /v1/movements HTTP/1.1\r\nHost: localhost\r\nX: {'a' * 33_000}\r\n"
    line = Line(engine)
    line.send((head + "Content-Length: 2\r\n\r\n[]").encode() + b"GET /healthz HTTP/1.1\r\n\r\n")
    answer = line.all()
    assert status(answer) == 431
    assert answer.count(b"HTTP/1.1 ") == 1
    assert serves(engine)


def test_a_request_line_that_never_ends_is_cut_off(engine: EmbeddedEngine) -> None:
    """The same limit."""
    line = Line(engine)
    line.send(b"GET /" + b"a" * 100_000)
    assert status(line.all()) == 431


@pytest.mark.parametrize(
    ("path", "size"), [("/v1/movements", 8_400_000), ("/v1/reservations", 1_100_000)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(
    engine: EmbeddedEngine, path: str, size: int, chunked: bool
) -> None:
    """413, whether its length was told or not; nothing of it is taken."""
    body = b"[" + b" " * size + b"]"

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    answer = engine.client.post(
        path,
        content=pieces() if chunked else body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
    assert "Nothing was taken" in answer.json()["advice"]
    assert serves(engine)


def test_who_goes_on_sending_what_was_refused_is_cut_off(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body of any length, told to be one byte too long."""
    monkeypatch.setattr(protocol, "MAX_THROWN_AWAY_BYTES", 200_000)
    line = Line(engine)
    line.send(
        b"POST /v1/movements HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n"
    )
    with pytest.raises(ConnectionError):
        line.socket.sendall(b" " * 100_000_000)
    line.socket.close()
    assert serves(engine)


def test_a_query_of_too_many_parameters_is_refused(engine: EmbeddedEngine) -> None:
    """422, with the call that takes lists."""
    answer = engine.client.get("/v1/availability?" + "&".join(["sku=a"] * 1_300))
    assert answer.status_code == 422
    assert "lookup" in answer.json()["advice"]


def test_more_keys_than_a_call_may_name_are_refused(engine: EmbeddedEngine) -> None:
    """SKUs times channels times locations."""
    query = "&".join(f"sku=s{n}" for n in range(100)) + "&channel=click-and-collect&"
    query += "&".join(f"location=l{n}" for n in range(11))
    answer = engine.client.get(f"/v1/availability?{query}")
    assert answer.status_code == 422
    assert "1,100 keys" in answer.json()["detail"]


# --- too slow ----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc"])
def test_a_connection_that_says_no_more_is_closed(engine: EmbeddedEngine, said: bytes) -> None:
    """Whether it has begun to speak (408) or not."""
    line = Line(engine)
    line.send(said)
    answer = line.all()
    assert answer == b"" if not said else status(answer) == 408
    assert serves(engine)


def test_headers_that_trickle_in_are_not_waited_for(engine: EmbeddedEngine) -> None:
    """Not even when something comes all the time."""
    line = Line(engine)
    line.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
    line.socket.settimeout(0.02)
    answer = b""
    for _ in range(500):
        line.send(b"X: y\r\n")
        try:
            answer += line.socket.recv(65_536)
        except TimeoutError:
            continue
        except ConnectionError:
            break
        if answer:
            break
    assert status(answer) == 408
    line.socket.close()


def test_a_body_that_does_not_come_is_not_waited_for(engine: EmbeddedEngine) -> None:
    """408, and others are served meanwhile."""
    line = Line(engine)
    line.send(
        b"POST /v1/movements HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\nConnection: close\r\n\r\n[1,"
    )
    assert serves(engine)
    answer = line.all()
    assert status(answer) == 408
    assert "Nothing was taken" in problem(answer)["advice"]


def test_a_caller_who_goes_in_the_middle_leaves_nothing_behind(engine: EmbeddedEngine) -> None:
    """A body cut off takes nothing."""
    sku = unique("SKU")
    line = Line(engine)
    line.send(
        b"POST /v1/reservations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 1000\r\n\r\n{"sku":"%b"' % sku.encode()
    )
    line.socket.close()
    assert serves(engine)
    assert engine.client.get(f"/v1/stock/{sku}").status_code == 404


def test_a_connection_is_used_for_many_calls_and_rests_in_between(
    engine: EmbeddedEngine,
) -> None:
    """The patience with headers begins anew with each call, and not between two."""
    line = Line(engine)
    for _ in range(3):
        line.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b""
        while b'"ok"' not in got:
            got += line.socket.recv(65_536)
        time.sleep(LIMIT_SECONDS * 1.5)
    line.socket.close()


# --- too many ----------------------------------------------------------------------------------


def test_connections_beyond_the_limit_are_turned_away(engine: EmbeddedEngine) -> None:
    """503 with Retry-After; when others have gone there is room again."""
    lines = [Line(engine) for _ in range(40)]
    answers = [line.all() for line in lines]
    refused = [answer for answer in answers if answer]
    assert refused
    assert {status(answer) for answer in refused} == {503}
    assert b"retry-after: 1" in refused[0]
    engine.client.close()
    engine._client = None
    until(lambda: serves(engine))


# --- no HTTP, or not what is served ------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"POST /v1/movements HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_no_http_is_told_so(engine: EmbeddedEngine, said: bytes) -> None:
    """400 as a problem, and the connection is closed."""
    line = Line(engine)
    line.send(said)
    answer = line.all()
    assert status(answer) == 400
    problem(answer)
    assert serves(engine)


def test_a_method_that_a_path_does_not_take_is_told_with_those_that_it_does(
    engine: EmbeddedEngine,
) -> None:
    """405 as a problem."""
    answer = engine.client.delete("/v1/reservations")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_of_another_kind_is_told_so(engine: EmbeddedEngine, headers: dict[str, str]) -> None:
    """415: a form of some web page cannot reserve anything."""
    answer = engine.client.post("/v1/reservations", content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["advice"] or "Encoding" in answer.json()["advice"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nul", b"\xff", b'{"reservation":"\xff"}', b"[" * 90_000, b'{"a":1e999}']
)
def test_a_body_that_is_no_json_is_told_so(engine: EmbeddedEngine, body: bytes) -> None:
    """400 or 422, never an error of the service."""
    answer = engine.client.post(
        "/v1/reservations", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    "query", ["limit=1&limit=2", "limit=0", "limit=1001", "limit=ten", "sku=%ff", "sku="]
)
def test_a_parameter_that_is_not_sound_is_told_with_its_name(
    engine: EmbeddedEngine, query: str
) -> None:
    """422, with a pointer."""
    answer = engine.client.get(f"/v1/availability?{query}")
    assert answer.status_code == 422
    assert answer.json()["pointer"].startswith("?")


def test_without_keys_a_name_of_another_machine_is_refused(engine: EmbeddedEngine) -> None:
    """So that no web page can reach the service under a name of its own."""
    for host, expected in (
        ("evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
    ):
        answer = engine.client.get("/v1/rules", headers={"Host": host})
        assert answer.status_code == expected, host


def test_an_error_that_nobody_foresaw_is_a_problem_and_the_service_goes_on(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500, without what went wrong inside."""

    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    with monkeypatch.context() as patch:
        patch.setattr(door, "parse_query", fail)
        answer = engine.client.get("/v1/rules")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert serves(engine)


def test_a_request_keeps_the_name_that_its_caller_gave_it(engine: EmbeddedEngine) -> None:
    """If it is a plain one; otherwise it gets one."""
    named = engine.client.get("/v1/stock/none", headers={"X-Request-Id": "call-7"})
    assert named.headers["x-request-id"] == "call-7"
    assert named.json()["instance"].endswith("call-7")
    odd = engine.client.get("/healthz", headers={"X-Request-Id": "a b"})
    assert odd.headers["x-request-id"] != "a b"


def test_ordinary_calls_are_served_all_the_while(engine: EmbeddedEngine) -> None:
    """After everything that was tried on it."""
    shop = Shop(engine.url)
    sku = shop.stocked(1)
    assert shop.reserve(sku, 1).status_code == 201
    shop.close()
