"""Where the service listens, and whether that is safe."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.contracts.errors import UsageError

MAX_PORT: Final = 65_535
BACKLOG: Final = 1_024
LOCALHOST: Final = "localhost"


@dataclass(frozen=True, slots=True)
class Security:
    """What protects the service: keys, TLS, a proxy in front that does TLS."""

    has_keys: bool
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False


class ListenError(UsageError):
    """Nothing can be served there."""

    title = "Cannot listen there"


def parse_address(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`; port 0 is any free one.

    Raises:
        ListenError: it is no such address.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > MAX_PORT:
        raise ListenError(
            f"{text!r} is no address to listen at",
            "Write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080.",
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_exposure(host: str, security: Security) -> None:
    """Check that nobody is let in without being asked who it is, nor listened to on the way.

    Raises:
        ListenError: the address can be reached from elsewhere, and keys or TLS are missing.
    """
    if (security.tls_certificate is None) != (security.tls_key is None):
        raise ListenError(
            "of --tls-cert and --tls-key one is given without the other", "Give both, or none."
        )
    if security.behind_proxy and not security.has_keys:
        raise ListenError(
            "--behind-proxy lets others call, and there are no keys",
            "Make one first: `sellable keys create --role operator --data DIR`.",
        )
    if is_loopback(host):
        return
    if not security.has_keys:
        raise ListenError(
            f"{host} can be reached from other machines, and there are no keys",
            "Make one first: `sellable keys create --role operator --data DIR`; or listen at "
            "127.0.0.1.",
        )
    if security.tls_certificate is None and not security.behind_proxy:
        raise ListenError(
            f"{host} can be reached from other machines, and keys would go there in clear text",
            "Give --tls-cert and --tls-key; or --behind-proxy, if only a proxy that does TLS can "
            "reach this address.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host.lower() == LOCALHOST:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Take the address, so that nobody else can have it.

    Raises:
        ListenError: it is not of this machine, or somebody listens there already.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot(host, port, error) from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise _cannot(host, port, error) from error
    return taken


def _cannot(host: str, port: int, error: OSError) -> ListenError:
    return ListenError(
        f"cannot listen at {host}:{port}: {error.strerror or error}",
        "Choose an address of this machine, and a port that nobody listens at.",
    )
