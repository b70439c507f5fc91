"""Asking a running engine over HTTP, in place of reading its data folder."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from engine.contracts.errors import EXIT_FAILED, EXIT_WRONG_CALL, SellableError, UsageError

WAIT_SECONDS: Final = 30.0
WORK_SECONDS: Final = 300.0
"""The longest wait for an answer to what was sent: trying rules on a million keys takes minutes."""
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
CLIENT_ERRORS: Final = range(400, 500)
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

_Told = TypeVar("_Told")


class RemoteError(SellableError):
    """The engine could not be asked, or did not answer as one does."""

    title = "The engine did not answer"


class RefusedError(SellableError):
    """The engine refused the call."""

    title = "The engine refused the call"

    def __init__(self, message: str, advice: str, exit_code: int) -> None:
        super().__init__(message, advice)
        self.exit_code = exit_code


class Remote:
    """A running engine."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        # What runs on this machine is never reached through a proxy.
        here = urlsplit(url).hostname in LOOPBACK
        self._opener = build_opener(ProxyHandler({})) if here else build_opener()

    def get(self, path: str, asked: Mapping[str, str | None], kind: type[_Told]) -> _Told:
        """Ask, and return the answer.

        Raises:
            RefusedError: the engine refused the call.
            RemoteError: it could not be asked.
        """
        request = Request(self._address(path, asked), headers=self._headers)
        return self._call(request, WAIT_SECONDS, kind)

    def send(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str | None],
        body: object,
        kind: type[_Told],
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> _Told:
        """Send something, and return the answer.

        Raises:
            RefusedError: the engine refused the call.
            RemoteError: it could not be asked; whether it did what was wanted is not known.
        """
        request = Request(
            self._address(path, asked),
            data=msgspec.json.encode(body),
            headers={**self._headers, "Content-Type": "application/json", **headers},
            method=method,
        )
        return self._call(request, WORK_SECONDS, kind)

    def _address(self, path: str, asked: Mapping[str, str | None]) -> str:
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return f"{self._url}{path}{'?' if query else ''}{query}"

    def _call(self, request: Request, wait_s: float, kind: type[_Told]) -> _Told:
        try:
            with self._opener.open(request, timeout=wait_s) as answer:
                body = answer.read()
        except HTTPError as error:
            with error:
                raise _refused(error.code, error.read()) from error
        except (URLError, HTTPException, TimeoutError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise RemoteError(
                f"{self._url} does not answer: {reason}",
                "Check the address, and that the engine runs with --listen.",
            ) from error
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise RemoteError(
                f"{self._url} answers something else than an engine does: {error}",
                "Check the address.",
            ) from error


def remote_of(
    data: Path | None, url: str | None, key: str | None, rules: Path | None = None
) -> Remote | None:
    """The engine to ask; None when a data folder is to be read.

    Raises:
        UsageError: none of the two is given, or both; or rules are, for a running engine.
    """
    if (data is None) == (url is None):
        raise UsageError(
            "either --data or --url is needed",
            "Name the data folder, or the address of a running engine.",
        )
    if url is None:
        return None
    if rules is not None:
        raise UsageError(
            "--rules and --url exclude each other", "A running engine has rules of its own."
        )
    return remote_at(url, key)


def remote_at(url: str, key: str | None) -> Remote:
    """The engine at an address.

    Raises:
        UsageError: it is none.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(
            f"--url {url}: an address with http or https is expected",
            "Write it as http://127.0.0.1:8080.",
        )
    return Remote(url, key)


def folder_of(data: Path | None) -> Path:
    """The data folder, where no address is given."""
    assert data is not None, "one of the two is given"
    return data


def quoted(text: str) -> str:
    """A text as one piece of a path."""
    return quote(text, safe="")


def _refused(status: int, body: bytes) -> SellableError:
    from engine.cli.problem import Problem  # what it needs of the rules is needed here alone

    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem(f"it answered {status}", "Check the address.")
    wrong = status in CLIENT_ERRORS
    return RefusedError(problem.told(), problem.advice, EXIT_WRONG_CALL if wrong else EXIT_FAILED)
