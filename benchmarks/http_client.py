"""A load generator for HTTP: closed loops for capacity, open loops for times of answers.

In an open loop calls fall due at a fixed rate whatever the server does, and an answer's time counts
from when its call was due, so that a stall counts for all that should have been asked meanwhile
(Gil Tene, "How NOT to measure latency"). Plain sockets and bytes: a client library would cost more
than the server that is measured.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length: "
PIECE_BYTES = 1 << 20
OK = range(200, 300)

Calls = Callable[[int], bytes]


class UnexpectedAnswerError(Exception):
    """The server answered something else than success."""


@dataclass
class Load:
    """What was measured: seconds of each answer, in all, and the bytes of one answer."""

    answers: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    sample: bytes = b""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.answers) / self.wall_s

    def quantile_ms(self, share: float) -> float:
        """The time within which a share of the answers came, milliseconds."""
        ordered = sorted(self.answers)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1_000


class Connection:
    """One connection that waits for one answer at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._got = b""

    def ask(self, call: bytes, due: float) -> None:
        """Send a call that was due at a time."""
        self.due = due
        self.socket.sendall(call)

    def answer(self) -> bytes | None:
        """Return the answer once it is whole.

        Raises:
            UnexpectedAnswerError: its status is no success, or the server has hung up.
        """
        piece = self.socket.recv(PIECE_BYTES)
        if not piece:
            raise UnexpectedAnswerError("the server has hung up")
        self._got += piece
        head = self._got.find(END_OF_HEAD)
        if head < 0:
            return None
        lower = self._got[:head].lower()
        start = lower.find(LENGTH) + len(LENGTH)
        end = lower.find(b"\r", start)
        length = int(lower[start : end if end >= 0 else head])
        whole = head + len(END_OF_HEAD) + length
        if len(self._got) < whole:
            return None
        answer, self._got = self._got[:whole], self._got[whole:]
        if int(answer[9:12]) not in OK:
            raise UnexpectedAnswerError(answer.decode(errors="replace"))
        return answer


def closed_loop(port: int, calls: Calls, connections: int, seconds: float) -> Load:
    """Ask again as soon as an answer comes, on every connection."""
    load = Load()
    number = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask(calls(number), time.perf_counter())
            number += 1
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            for key, _ in selector.select(0.1):
                connection = key.data
                answer = connection.answer()
                if answer is None:
                    continue
                now = time.perf_counter()
                load.answers.append(now - connection.due)
                load.sample = answer
                connection.ask(calls(number), now)
                number += 1
        load.wall_s = now - began
        _finish(selector, connections, load)
    return load


def open_loop(port: int, calls: Calls, connections: int, rate: float, seconds: float) -> Load:
    """Ask at a fixed rate; what finds no free connection waits for one, and its time counts."""
    load = Load()
    free: deque[Connection] = deque()
    number, total = 0, int(rate * seconds)
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            free.append(connection)
        began = time.perf_counter()
        while number < total:
            due = began + number / rate
            now = time.perf_counter()
            while free and due <= now and number < total:
                free.popleft().ask(calls(number), due)
                number += 1
                due = began + number / rate
            wait = max(0.0, due - now) if free else 1.0
            for key, _ in selector.select(wait):
                connection = key.data
                answer = connection.answer()
                if answer is not None:
                    load.answers.append(time.perf_counter() - connection.due)
                    load.sample = answer
                    free.append(connection)
        _finish(selector, connections - len(free), load)
        load.wall_s = time.perf_counter() - began
    return load


def _finish(selector: selectors.BaseSelector, waiting: int, load: Load) -> None:
    """Take the answers that are still to come, so that the server has taken all that was asked."""
    while waiting:
        for key, _ in selector.select():
            answer = key.data.answer()
            if answer is not None:
                load.answers.append(time.perf_counter() - key.data.due)
                load.sample = answer
                waiting -= 1
    for key in list(selector.get_map().values()):
        key.data.socket.close()


def call(method: str, path: str, body: bytes | None = None, headers: str = "") -> bytes:
    """The bytes of a call."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    if body is None:
        return f"{head}\r\n".encode()
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
