"""`sellable run --listen`, and the commands that ask a running engine with `--url`."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Call, Live


def test_a_running_engine_is_asked_like_its_data_folder(listening: Live, call: Call) -> None:
    """`stock`, `availability` and `explain` tell the same, for people and for programs."""
    url = listening.first_log["listens"]
    for command in (
        "stock 10-0001",
        "stock 10-0001 --location DC-EAST",
        "availability 10-0001",
        "availability 10-0001 --channel amazon-us",
        "explain 10-0001 --channel web-shop",
        "explain 10-0001 --channel click-and-collect --location S-0101",
    ):
        for form in ("", " --json"):
            there = call(f"{command} --url {url}{form}")
            here = call(f"{command} --data live{form}")
            assert there.status == 0, there.err
            assert there.out == here.out, command


def test_what_a_running_engine_refuses_is_told_with_its_advice(listening: Live, call: Call) -> None:
    """Exit status 2 for a wrong call."""
    url = listening.first_log["listens"]
    done = call(f"stock 99-9999 --url {url} --json")
    assert (done.status, done.out) == (2, "")
    assert "99-9999" in json.loads(done.err)["error"]
    assert call(f"explain 10-0001 --channel nowhere --url {url}").status == 2


def test_an_engine_with_keys_is_asked_with_one(
    listening: Live, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From --key or the environment; the keys may come while it runs."""
    url = listening.first_log["listens"]
    key = call("keys create --role auditor --data live").out.strip()
    with httpx.Client(base_url=url, trust_env=False) as client:
        while client.get("/v1/rules").status_code != 401:
            pass
    assert call(f"stock 10-0001 --url {url}").status == 2
    assert call(f"stock 10-0001 --url {url} --key {key}").status == 0
    monkeypatch.setenv("SELLABLE_KEY", key)
    assert call(f"stock 10-0001 --url {url}").status == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("", "either --data or --url"),
        ("--data live --url http://127.0.0.1:1", "either --data or --url"),
        ("--url ftp://127.0.0.1", "http or https"),
        ("--url 127.0.0.1:80", "http or https"),
    ],
)
def test_which_engine_is_asked_must_be_clear(call: Call, options: str, told: str) -> None:
    """A wrong call otherwise."""
    done = call(f"stock 10-0001 {options}")
    assert done.status == 2
    assert told in done.err


def test_nobody_there_is_told(call: Call) -> None:
    """Exit status 1, with what to check."""
    done = call("stock 10-0001 --url http://127.0.0.1:9")
    assert done.status == 1
    assert "--listen" in done.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--listen 0.0.0.0:0", "keys create"),
        ("--listen 127.0.0.1:0 --behind-proxy", "keys create"),
        ("--listen nowhere", "127.0.0.1:8080"),
        ("--listen 127.0.0.1:0 --once", "Leave one of them out"),
        ("--listen 127.0.0.1:0 --tls-cert x.pem", "Give both"),
        ("--behind-proxy", "--listen"),
    ],
)
def test_what_would_not_be_safe_or_makes_no_sense_is_refused(
    call: Call, options: str, told: str
) -> None:
    """Exit status 2, before any data folder is made."""
    done = call(f"run --rules rules --data none {options}")
    assert done.status == 2
    assert told in done.err
    assert not Path("none/state").exists()


def test_a_wider_address_needs_keys_and_tls_or_a_proxy(workspace: Path, call: Call) -> None:
    """With both it listens there."""
    assert call("keys create --role auditor --data live").status == 0
    refused = call("run --rules rules --data live --listen 0.0.0.0:0")
    assert (refused.status, "--tls-cert" in refused.err) == (2, True)
    engine = Live(workspace, "run --rules rules --data live --listen 0.0.0.0:0 --behind-proxy")
    port = re.search(r":(\d+)$", engine.first_log["listens"])
    assert port is not None
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"http://127.0.0.1:{port[1]}/v1/rules").status_code == 401
        assert client.get(f"http://127.0.0.1:{port[1]}/readyz").status_code == 200
    assert engine.stop().status == 0


def test_with_sync_writes_are_taken_as_well(workspace: Path) -> None:
    """They are answered when they have reached the disk."""
    engine = Live(workspace, "run --rules rules --data live --listen 127.0.0.1:0 --sync")
    with httpx.Client(base_url=engine.first_log["listens"], trust_env=False) as client:
        told = client.post("/v1/movements", json=[{"id": "1"}]).json()
        assert told["refused"] == 1
    assert json.loads(engine.stop(signal.SIGINT).out)["received"] == 1
