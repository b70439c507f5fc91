"""The report: one file that says it in words first, and that needs nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine.rehearsal.plots import Plot, draw, short
from engine.rehearsal.report import write_report
from tests.rehearsal.browser import dumped, pictured
from tests.rehearsal.samples import result

PROJECT = Path(__file__).parents[2]


class Text(HTMLParser):
    """The words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        """Take words."""
        self.words.append(data)


def test_it_says_first_whether_it_holds() -> None:
    """In a sentence, with what is missed."""
    assert '<h1 class="bad">It does not hold: delay of an urgent' in write_report(result())
    assert '<h1 class="good">It holds: every figure' in write_report(result(p99=1.0))
    unmeasured = write_report(result(p99=None))
    assert "It holds as far as it was measured" in unmeasured
    assert "too short for: delay of an urgent publication, median, delay" in unmeasured


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No address but the name of SVG, no script, no picture of a server."""
    page = write_report(result())
    addresses = set(re.findall(r"https?://[^\"' ]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|link|img|iframe)|src=|url\(|@import", page)


def test_what_was_typed_is_shown_as_it_was_typed() -> None:
    """A name with signs of HTML in it is no HTML."""
    page = write_report(result(says="tills <b>offline</b> & back"))
    assert "tills &lt;b&gt;offline&lt;/b&gt; &amp; back" in page
    assert "<b>" not in page


def test_a_plot_tells_its_peak_to_those_who_cannot_see_it() -> None:
    """As a description; where nothing is known the line has a gap, and a lonely value is a dot."""
    drawn = draw(Plot("Delay", "seconds", {"p99": [1.0, 2.0, None, 4.0, None]}, limit=5.0))
    assert "<desc>p99: at most 4 seconds</desc>" in drawn
    assert (drawn.count('class="line"'), drawn.count("<circle")) == (1, 1)
    assert 'class="limit"' in drawn
    assert "nothing was measured" in draw(Plot("Delay", "seconds", {"p99": [None]}))


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0.25, "0.25"), (7, "7"), (1_500, "1,500"), (25_000, "25k"), (3_000_000, "3M")],
)
def test_numbers_at_an_axis_are_short(number: float, shown: str) -> None:
    """So that they fit."""
    assert short(number) == shown


def test_a_browser_shows_all_of_it(tmp_path: Path) -> None:
    """Chromium, without any network: every table and plot, and no style that it did not know."""
    page = tmp_path / "report.html"
    page.write_text(write_report(result()), encoding="utf-8")
    shown = dumped(page, tmp_path / "profile")
    words = " ".join(Text(shown).words)
    for said in ("It does not hold", "Against the limits", "Second by second", "Headroom", "web"):
        assert said in words
    assert shown.count("<figure>") == shown.count("</svg></figure>") + shown.count("</p></figure>")
    assert shown.count("<figure>") == 6
    picture = pictured(page, tmp_path / "other", 1_000, 1_400)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000, "an empty page is a small picture"


def test_without_a_browser_the_test_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails; nothing is skipped in silence."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError, match="sudo apt-get install chromium"):
        dumped(tmp_path / "report.html", tmp_path / "profile")
