"""The documentation agrees with the code, and with itself."""

import re

import pytest

from engine.cli.examples import EXAMPLES
from engine.contracts.exceptions import CODES
from engine.contracts.movement_fields import KNOWN_FIELDS
from engine.rules import list_settings
from tests.docs.generated import PROJECT, help_of, names_in, pages, rendered

PAGES = [str(page.relative_to(PROJECT)) for page in pages()]
WITH_LINKS = [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md", "rules/README.md", "topics/README.md"]

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"^\$ sellable ?(.*)$", re.MULTILINE)
_FIRST_CELL = re.compile(r"^\| `([^`]+)`", re.MULTILINE)


def read(page: str) -> str:
    """The text of a page."""
    return (PROJECT / page).read_text()


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked to."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WITH_LINKS)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    """To a file or folder of the project, and to a heading that is there."""
    here = PROJECT / page
    for link in _LINK.findall(_FENCED.sub("", read(page))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (here.parent / path).resolve() if path else here
        assert target.exists(), link
        assert target.is_relative_to(PROJECT), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_parts_of_a_page_are_what_the_code_says(page: str) -> None:
    """Otherwise run: python -m tests.docs.generated."""
    assert read(page) == rendered(read(page))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_shows_exists(page: str) -> None:
    """Each call of `sellable` in a console block names a command, whose help can be shown."""
    for block in _CONSOLE.findall(read(page)):
        for call in _CALL.findall(block):
            words = call.split()
            command = " ".join(words[:2]) if " ".join(words[:2]) in EXAMPLES else words[0]
            assert command in EXAMPLES, call
            options = {word.split("=")[0] for word in words if word.startswith("--")}
            assert options <= set(re.findall(r"--[a-z-]+", help_of(command))), call


def test_the_settings_table_has_every_setting_and_no_other() -> None:
    """In the order in which they are declared."""
    found = _FIRST_CELL.findall(read("docs/reference/settings.md"))
    assert found == [setting.name for setting in list_settings()]


def test_the_table_of_codes_has_every_code_and_no_other() -> None:
    """In the order of examination, warnings last."""
    assert _FIRST_CELL.findall(read("docs/reference/exceptions.md")) == list(CODES)


def test_the_reference_of_movements_has_every_field() -> None:
    """Each field that the engine knows is explained."""
    text = read("docs/reference/movements.md")
    assert [name for name in sorted(KNOWN_FIELDS) if f"`{name}`" not in text] == []


def test_the_overview_links_to_every_page() -> None:
    """No page can be found by chance only."""
    overview = read("docs/README.md")
    every = {str(path.relative_to(PROJECT / "docs")) for path in (PROJECT / "docs").rglob("*.md")}
    assert [path for path in every - {"README.md"} if f"({path})" not in overview] == []


def test_some_parts_are_generated() -> None:
    """Settings, codes and commands cannot drift away from the code."""
    generated = {name for page in PAGES for name in names_in(read(page))}
    assert {"settings", "codes", "commands", "types"} <= generated


def test_every_test_that_shows_what_is_promised_on_failures_is_there() -> None:
    """Under the name, and in the file, that the page gives."""
    shown = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read("docs/kafka/failures.md"))
    assert len(shown) > 40
    for file, name in shown:
        assert re.search(rf"^(async )?def {name}\(", read(file), re.MULTILINE), name
