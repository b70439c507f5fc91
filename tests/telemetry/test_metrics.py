"""The metrics of a worker, as Prometheus reads them."""

from __future__ import annotations

import socket

import httpx
import pytest

from engine.telemetry.metrics import ListenAddressError, WorkerMetrics, served


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_metrics_are_served_while_the_worker_runs_and_not_after() -> None:
    """At the address that was asked for, in the text format of Prometheus."""
    metrics, address = WorkerMetrics(), f"127.0.0.1:{free_port()}"
    metrics.movements.labels("applied").inc(3)
    with served(metrics, address):
        answer = httpx.get(f"http://{address}/metrics")
    assert answer.status_code == 200
    assert 'sellable_movements_total{outcome="applied"} 3.0' in answer.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address}/metrics")


def test_two_workers_in_one_process_count_apart() -> None:
    """There is no registry that all share."""
    one, other = WorkerMetrics(), WorkerMetrics()
    one.envelopes.inc()
    assert other.registry.get_sample_value("sellable_envelopes_total") == 0.0


@pytest.mark.parametrize("address", ["9100", ":9100", "127.0.0.1:", "127.0.0.1:99999", "nonsense"])
def test_what_is_no_address_is_told_with_an_example(address: str) -> None:
    """Before anything is started."""
    with pytest.raises(ListenAddressError, match="no address"), served(WorkerMetrics(), address):
        pass


def test_an_address_that_is_taken_is_told_with_what_to_do() -> None:
    """Two workers on one machine need one each."""
    address = f"127.0.0.1:{free_port()}"
    with (
        served(WorkerMetrics(), address),
        pytest.raises(ListenAddressError, match="cannot be served"),
        served(WorkerMetrics(), address),
    ):
        pass


def test_without_an_address_nothing_is_served() -> None:
    """Metrics are asked for, not forced on anybody."""
    with served(WorkerMetrics(), None):
        pass
