"""What is installed, locked and put into the image fits together."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "docker/requirements.lock")
NAME = re.compile(r"[A-Za-z0-9._-]+")


def project() -> dict[str, list[str]]:
    """The declared dependencies: those of the engine under the empty name, and each extra's."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": declared["dependencies"], **declared["optional-dependencies"]}


def locked(lock: str) -> set[str]:
    lines = (ROOT / lock).read_text().splitlines()
    return {line.partition("==")[0] for line in lines if re.match(r"[a-z0-9]", line)}


def name_of(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found is not None
    return found.group().lower().replace("_", "-")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry_and_hashes_everything(lock: str) -> None:
    """A lock file works with any registry, and with no content but that it was made of."""
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z0-9])", text)[1:])


def test_everything_declared_is_locked() -> None:
    """The lock of the project holds the engine's dependencies and those of every extra."""
    for requirements in project().values():
        assert {name_of(one) for one in requirements} <= locked("requirements.lock")


def test_the_image_holds_what_the_engine_needs_and_no_tools() -> None:
    """The lock of the image has the engine's dependencies, in versions that were tested, alone."""
    image = locked("docker/requirements.lock")
    assert {name_of(one) for one in project()[""]} <= image
    assert image.isdisjoint({"pytest", "mypy", "ruff", "pandas"})
    pinned = re.compile(r"^[a-z0-9][^\s\\]+==\S+", re.MULTILINE)
    versions = [set(pinned.findall((ROOT / lock).read_text())) for lock in LOCKS]
    assert versions[1] <= versions[0]


def test_what_the_dockerfile_copies_is_there_and_let_through() -> None:
    """Each source of a COPY exists, and .dockerignore does not hold it back."""
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copies = re.findall(
        r"^COPY (?!--from)(.+)$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE
    )
    sources = {source for copy in copies for source in copy.split()[:-1]}
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in let_through


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    """`make help` lists every target that can be called by name."""
    text = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (\S+)", text, re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    assert phony == explained
