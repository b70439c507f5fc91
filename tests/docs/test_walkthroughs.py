"""What the pages tell to type works, and prints what they show."""

from pathlib import Path

import pytest

from tests.docs.walkthrough import PROJECT, Shell, comparable, section, typed

README = (PROJECT / "README.md").read_text()
FIRST_RUN, OVER_HTTP = "A first run of your own", "Ask it over HTTP"
WALKTHROUGHS = {
    "docs/start.md": (PROJECT / "docs/start.md").read_text(),
    "README.md": section(README, FIRST_RUN) + section(README, OVER_HTTP),
}


@pytest.mark.parametrize("page", WALKTHROUGHS)
def test_typing_what_a_page_shows_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    """In an empty folder, from the first command to the last; times measured apart."""
    shell = Shell(tmp_path)
    steps = list(typed(WALKTHROUGHS[page]))
    assert steps, "the page tells to type something"
    try:
        for step in steps:
            printed = shell.type(step.command)
            if step.shown is not None:
                assert comparable(printed) == comparable(step.shown), step.command
    finally:
        shell.end()
