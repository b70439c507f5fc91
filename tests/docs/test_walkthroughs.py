"""What the pages tell to type works, and prints what they show."""

from pathlib import Path

import pytest

from tests.docs.walkthrough import PROJECT, Shell, comparable, section, typed

WALKTHROUGHS = {
    "docs/start.md": (PROJECT / "docs/start.md").read_text(),
    "README.md": section((PROJECT / "README.md").read_text(), "A first run of your own"),
}


@pytest.mark.parametrize("page", WALKTHROUGHS)
def test_typing_what_a_page_shows_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    """In an empty folder, from the first command to the last; times measured apart."""
    shell = Shell(tmp_path)
    steps = list(typed(WALKTHROUGHS[page]))
    assert steps, "the page tells to type something"
    for step in steps:
        printed = shell.type(step.command)
        if step.shown is not None:
            assert comparable(printed) == comparable(step.shown), step.command
