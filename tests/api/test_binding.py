"""Where the service may listen, and what it must have to do so."""

from __future__ import annotations

import ssl
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from engine.api.binding import (
    ListenError,
    Security,
    bind,
    check_exposure,
    is_loopback,
    parse_address,
)
from tests.api.service_under_test import EmbeddedEngine

MakeEngine = Callable[..., EmbeddedEngine]
PAIR = (Path("certificate.pem"), Path("key.pem"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:80", ("::1", 80)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    """IPv6 stands in brackets."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:x", "host:65536", "h:-1"])
def test_what_is_no_address_is_told_with_one_that_is(text: str) -> None:
    """A wrong call, with advice."""
    with pytest.raises(ListenError, match="no address") as told:
        parse_address(text)
    assert "127.0.0.1:8080" in told.value.advice


@pytest.mark.parametrize(
    ("host", "security"),
    [
        ("127.0.0.1", Security(False)),
        ("localhost", Security(False)),
        ("::1", Security(False)),
        ("127.0.0.1", Security(True)),
        ("0.0.0.0", Security(True, *PAIR)),
        ("0.0.0.0", Security(True, behind_proxy=True)),
        ("127.0.0.1", Security(True, behind_proxy=True)),
    ],
)
def test_what_is_safe_is_served(host: str, security: Security) -> None:
    """This machine alone without keys; anybody with keys that nobody can overhear."""
    check_exposure(host, security)


@pytest.mark.parametrize(
    ("host", "security", "advice"),
    [
        ("0.0.0.0", Security(False), "keys create"),
        ("::", Security(False), "keys create"),
        ("192.0.2.7", Security(False), "127.0.0.1"),
        ("shop.example", Security(False), "keys create"),
        ("0.0.0.0", Security(False, *PAIR), "keys create"),
        ("0.0.0.0", Security(True), "--tls-cert"),
        ("0.0.0.0", Security(True), "--behind-proxy"),
        ("127.0.0.1", Security(False, behind_proxy=True), "keys create"),
        ("127.0.0.1", Security(True, tls_key=Path("k.pem")), "both"),
    ],
)
def test_what_is_not_safe_is_refused_with_a_way_to_make_it_so(
    host: str, security: Security, advice: str
) -> None:
    """Without keys others would be let in; without TLS keys could be overheard."""
    with pytest.raises(ListenError) as told:
        check_exposure(host, security)
    assert advice in told.value.advice


def test_an_address_that_somebody_listens_at_is_told() -> None:
    """A wrong call, before anything is started."""
    with bind("127.0.0.1", 0) as taken, pytest.raises(ListenError, match="cannot listen"):
        bind("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_told(host: str) -> None:
    """A wrong call."""
    with pytest.raises(ListenError, match="cannot listen"):
        bind(host, 0)


def test_names_are_not_asked_whether_they_are_of_this_machine() -> None:
    """Whoever answers for a name may answer otherwise tomorrow; `localhost` excepted."""
    assert is_loopback("LOCALHOST")
    assert is_loopback("127.8.8.8")
    assert not is_loopback("localhost.example")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this machine and its key."""
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    command += f" -out {paths[0]} -keyout {paths[1]}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return paths


def test_with_a_certificate_calls_are_encrypted(
    make_engine: MakeEngine, certificate: tuple[Path, Path]
) -> None:
    """From TLS 1.2 on; whoever trusts the certificate is answered."""
    own = make_engine(security=Security(False, *certificate))
    own.start()
    assert own.url.startswith("https://")
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with httpx.Client(verify=trusting, trust_env=False) as client:
        assert client.get(f"{own.url}/readyz").json()["status"] == "serving"
    old = ssl.create_default_context(cafile=str(certificate[0]))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with httpx.Client(verify=old, trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get(f"{own.url}/readyz")


def test_a_certificate_that_cannot_be_used_is_told(
    make_engine: MakeEngine, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """Missing, or no certificate."""
    (tmp_path / "broken.pem").write_text("no certificate")
    for path in (tmp_path / "missing.pem", tmp_path / "broken.pem"):
        own = make_engine(security=Security(False, path, certificate[1]))
        with pytest.raises(ListenError, match="cannot be used"):
            own.start_server()
