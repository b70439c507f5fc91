"""Every mistake is told with file, line and a way to mend it, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contracts.errors import EXIT_WRONG_CALL, UsageError
from engine.rules import RulesError, document, load_rules
from engine.rules.document import MAX_FILE_BYTES
from engine.rules.entries import Entry, read_entry
from engine.rules.mistakes import NAMES_COMPARED, Mistakes, did_you_mean
from tests.rules.support import CHANNELS, mistakes_of, rules_folder, write_folder

RULE_MISTAKES = [
    # what stands below `- name: x` (which is line 2), the line, part of the message, of the remedy
    ("cap: 5\n  capp: 1", 4, "'capp' is not known", "Did you mean 'cap'"),
    ("note: nothing", 2, "no effect", "buffer"),
    ("when: {channels: [web]}", 2, "no effect", "exclude"),
    ("cap: 5\n  cap: 6", 4, "given twice, first in line 3", "Keep one"),
    ("cap: 5\n  when: {channels: [marked]}", 4, "'marked' is not in channels", "'market'"),
    ("cap: 5\n  when: {chanels: [web]}", 4, "'chanels' is not known", "'channels'"),
    ("cap: 5\n  when:\n    skus:\n      - A\n      - 'B|C'", 7, "holds a '|'", "Correct"),
    ("cap: 5\n  when: {skus: [' A']}", 4, "space at its beginning", "Correct"),
    ("cap: 5\n  when: {skus: ['']}", 4, "is empty", "Correct"),
    ("cap: 5\n  when: {skus: A}", 4, "a list is expected", "skus: [A]"),
    ("cap: 5\n  when:\n    skus:", 5, "a list is expected", "brackets"),
    ("cap: 5\n  when:", 4, "a block of settings is expected", "Write its keys"),
    ("cap: 5\n  when: {skus: [{a: b}]}", 4, "a name is expected", "Write one name"),
    ("cap: five", 3, "whole number", "from 0 to"),
    ("cap: 5.0", 3, "whole number", "from 0 to"),
    ("cap: 010", 3, "whole number", "from 0 to"),
    ("cap: -1", 3, "out of range", "from 0 to"),
    ("cap: 1000000001", 3, "out of range", "1000000000"),
    ("cap:", 3, "nothing was found", "whole number"),
    ("from:\n  cap: [1]", 4, "a list was found", "whole number"),
    ("cap: 1\n  from:\n  until:\n  note:\n  floor: {}", 7, "a block of", "whole number"),
    ("cap: 1\n  note: '" + "x" * 10_001 + "'", 4, "10001 characters", "Keep it below"),
    ("floor: -3", 3, "out of range", "from 0 to"),
    ("share: 101", 3, "out of range", "from 0 to 100"),
    ("share: -1", 3, "percentage", "from 0 to 100"),
    ("share: 50%", 3, "percentage", "without a % sign"),
    ("share: .nan", 3, "percentage", "from 0 to 100"),
    ("share: 010", 3, "percentage", "from 0 to 100"),
    ("buffer: {percent: 00.5}", 3, "percentage", "from 0 to 100"),
    ("exclude: maybe", 3, "true or false", "true or false"),
    ("min_interval: 30", 3, "no duration", "30s"),
    ("min_interval: -1s", 3, "no duration", "30s"),
    ("min_interval: [1s]", 3, "a list was found", "30s"),
    ("cap: 1\n  priority: high", 4, "whole number", "whole number"),
    ("cap: 1\n  scope: shop", 4, "location or channel", "location or channel"),
    ("cap: 1\n  note: {a: b}", 4, "a text is expected", "quotes"),
    ("buffer: 5", 3, "a buffer is a block", "{units: 2}"),
    ("buffer: {}", 3, "neither percent nor units", "{units: 2}"),
    ("buffer: {round: up}", 3, "neither percent nor units", "{percent: 10}"),
    ("buffer:\n    percent: 5\n    units: 2", 5, "both given", "Keep one"),
    ("buffer:\n    percent: 5\n    max: 1\n    min: 2", 6, "min 2 is more than max 1", "Swap"),
    ("buffer: {units: 5, max: 3}", 3, "max goes with percent", "Take max out"),
    ("buffer: {units: 5, min: 3}", 3, "min goes with percent", "Take min out"),
    ("buffer: {percent: 5, min: few, max: 2}", 3, "whole number", "from 0 to"),
    ("buffer: {percent: 100.01}", 3, "out of range", "0 to 100"),
    ("buffer: {percent: 5, round: sideways}", 3, "up or down", "up or down"),
    ("buffer: {percent: 5, rounding: up}", 3, "'rounding' is not known", "'round'"),
    ("cap: 1\n  from: 2026-11-20T00:00:00", 4, "no instant", "offset"),
    ("cap: 1\n  from: 2026-11-20", 4, "no instant", "2026-11-20T00:00:00Z"),
    ("cap: 1\n  until: tomorrow", 4, "no instant", "2026-11-20T00:00:00Z"),
    ("cap: 1\n  until: [1]", 4, "a date and time is expected", "offset"),
    (
        "cap: 1\n  from: 2026-11-20T00:00:00Z\n  until: 2026-11-19T19:00:00-05:00",
        5,
        "until 2026-11-20T00:00:00Z is not after",
        "swap",
    ),
    ("cap: 1\n  when: {channels: [web], regions: [east]}", 4, "match nothing", "Take regions out"),
    (
        "buffer: {units: 1}\n  scope: channel\n  when: {channels: [web], locations: [W1]}",
        5,
        "match nothing",
        "scope: location",
    ),
    ("buffer: {units: 1}\n  scope: channel\n  when: {regions: [e]}", 5, "nothing", "Take regions"),
    (
        "buffer: {units: 1}\n  scope: channel\n  when: {channels: [collect], regions: [east]}",
        4,
        "names no other",
        "scope: location",
    ),
    (
        "buffer: {units: 1}\n  scope: channel\n  when: {channels: [collect]}",
        4,
        "names no other",
        "scope: location",
    ),
]


@pytest.mark.parametrize(("text", "line", "message", "remedy"), RULE_MISTAKES)
def test_a_mistake_in_a_rule_is_told_with_its_line_and_a_remedy(
    tmp_path: Path, text: str, line: int, message: str, remedy: str
) -> None:
    """Each mistake in a rule is told once, alone, at the line it stands on."""
    (found,) = mistakes_of(rules_folder(tmp_path, f"rules:\n- name: x\n  {text}\n"))
    assert (found.file, found.line) == ("a.rules.yaml", line)
    assert message in found.message
    assert remedy in found.remedy


FILE_MISTAKES = [
    # file, its whole text, line, part of the message, part of the remedy
    ("a.rules.yaml", "rules:\n- cap: 1\n", 2, "no name", "Add name"),
    ("a.rules.yaml", "rules:\n- name: ' '\n  cap: 1\n", 2, "space", "Correct"),
    ("a.rules.yaml", "rules:\n- just text\n", 2, "a block of settings", "cap"),
    ("a.rules.yaml", "rules: {name: x, cap: 1}", 1, "a list of rules", "dash"),
    ("a.rules.yaml", "- name: x\n", 1, "must begin with rules:", "rules:"),
    ("a.rules.yaml", "rule:\n- name: x\n", 1, "'rule' is not known", "'rules'"),
    ("a.rules.yaml", "rules: []\nextra: 1\n", 2, "'extra' is not known", "rules"),
    ("a.rules.yaml", "rules:\n\t- name: x\n", 2, "not YAML", "spaces, not with tabs"),
    ("a.rules.yaml", "rules: [\n", 1, "not YAML", "brackets"),
    ("a.rules.yaml", "rules:\n- name: a: b\n", 2, "not YAML", "quotes"),
    ("a.rules.yaml", "rules:\n- name: \x01\n", 2, "not allowed", "UTF-8"),
    ("a.rules.yaml", "rules:\n- !python/name:os.system x\n", 2, "tag", "Take the tag out"),
    ("a.rules.yaml", "rules:\n- &a [*a]\n", 2, "there is no &a before", "Write it out"),
    ("a.rules.yaml", "rules: []\n---\nrules: []\n", 2, "a second document", "Take the line"),
    ("a.rules.yaml", "rules:\n- {a: 1}: x\n", 2, "a name is missing", "Write a name"),
    ("a.rules.yaml", "rules:\n- ~: x\n", 2, "a name is missing", "Write a name"),
    ("a.rules.yaml", "rules:\n- <<: 5\n", 2, "can be merged", "Name the anchor"),
    ("b.rules.yaml", "rules:\n\n- {name: other, cap: 1}\n", 3, "a.rules.yaml:2", "of its own"),
    ("channels.yaml", "", 1, "no channel", "Write in this file"),
    ("channels.yaml", "channels: {}", 1, "no channel", "Write in this file"),
    ("channels.yaml", "channels: []", 1, "no channel", "Write in this file"),
    ("channels.yaml", "channels:", 1, "no channel", "Write in this file"),
    ("channels.yaml", "channels: {", 1, "not YAML", "brackets"),
    ("channels.yaml", "web: {}", 1, "'web' is not known", "channels"),
    ("channels.yaml", "channels: [web]", 1, "a block of channels", "without dashes"),
    ("channels.yaml", "channels:\n  web: 5\n", 2, "a block of settings", "granularity"),
    ("channels.yaml", "channels:\n  web: {}\n  web: {}\n", 3, "first in line 2", "Keep"),
    ("channels.yaml", "channels:\n  w/b: {}\n", 2, "the name of a channel", "letters"),
    ("channels.yaml", f"channels:\n  {'x' * 65}: {{}}\n", 2, "too long", "64"),
    ("channels.yaml", "channels:\n  w: {granularity: both}\n", 2, "sku or location", "Write"),
    ("channels.yaml", "channels:\n  w: {locations: }\n", 2, "nothing was found", "Take the key"),
    ("channels.yaml", "channels:\n  w: {locations: {type: [a]}}\n", 2, "'type'", "'types'"),
    ("channels.yaml", "channels:\n  w: {retired: si}\n", 2, "true or false", "Write"),
    ("channels.yaml", "channels:\n  w:\n    publish: {max_rate: 5}\n", 3, "a rate", "100/s"),
    ("channels.yaml", "channels:\n  w:\n    publish: {max_rate: 0/s}\n", 3, "range", "1/day"),
    ("channels.yaml", "channels:\n  w:\n    publish: {max_per_key: 5/week}\n", 3, "a rate", "day"),
    ("channels.yaml", "channels:\n  w:\n    publish: {min_change: 0}\n", 3, "range", "from 1"),
    ("channels.yaml", "channels:\n  w:\n    publish: {low_stock: -1}\n", 3, "range", "from 0"),
    ("channels.yaml", "channels:\n  w:\n    publish: {min_interval: 5}\n", 3, "duration", "30s"),
    ("channels.yaml", "channels:\n  w:\n    publish: {maxrate: 5/s}\n", 3, "maxrate", "max_rate"),
    ("engine.yaml", "publish_tick: 10us\n", 1, "too short", "1ms or more"),
    ("engine.yaml", "drain: 24\n", 1, "no duration", "24h"),
    ("engine.yaml", "drain: 36000d\n", 1, "too long", "3660d or less"),
    ("engine.yaml", "drain: {a: 1}\n", 1, "a duration is expected", "24h"),
    ("engine.yaml", "\nerp: {windows: 5m}\n", 2, "'erp.windows'", "'erp.window'"),
    ("engine.yaml", "erp: off\n", 1, "a block of settings", "erp: {window: 15m}"),
    ("engine.yaml", "snapshot: 5m\n", 1, "a block of settings", "every"),
    ("engine.yaml", "dedupe: 5m\n", 1, "'dedupe' is not known", "'dedupe_window'"),
    ("engine.yaml", "- a\n", 1, "settings are expected", "publish_tick"),
    ("locations.csv", "location,type,region\nW1,a,b\n", 1, "'tags' is missing", "header"),
    ("locations.csv", "location;type;region;tags\n", 1, "no header", "commas"),
    (
        "locations.csv",
        "location,type,region,tags,time zone\nW1,a,b,,UTC\n",
        1,
        "'time zone' is not known",
        "'timezone'",
    ),
    ("locations.csv", "location,type,region,tags,tags\n", 1, "'tags' is given twice", "Take"),
    ("locations.csv", "location,type,region,tags\nA,a,b,\nA,a,b,\n", 3, "first in line 2", "Keep"),
    ("locations.csv", "location,type,region,tags\n\nA|B,a,b,\n", 3, "holds a '|'", "Correct"),
    ("locations.csv", "location,type,region,tags\n,a,b,\n", 2, "is empty", "Correct"),
    ("locations.csv", f"location,type,region,tags\n{'x' * 65},a,b,\n", 2, "64", "Correct"),
    ("locations.csv", "location,type,region,tags\nA,a|b,b,\n", 2, "type 'a|b'", "Correct"),
    ("locations.csv", "location,type,region,tags\nA,a,b,x;y|z\n", 2, "tag 'y|z'", "Correct"),
    ("locations.csv", "location,type,region,tags\nA,a,b\n", 2, "3 cells", "commas"),
    ("locations.csv", 'location,type,region,tags\nA,"a,b,\n', 2, "not CSV", "quotes"),
    (
        "locations.csv",
        "location,type,region,tags,timezone\nA,a,b,,Mars/Base\n",
        2,
        "timezone 'Mars/Base'",
        "America/New_York",
    ),
    ("items.csv", "sku,category,brand,tag\nA,a,b,\n", 1, "'tag'", "'tags'"),
    ("items.csv", "sku,category,brand,tag\nA,a,b,\nA,a,b,\n", 3, "first in line 2", "Keep"),
    ("items.csv", "sku,category,brand,tag\nA,a,b,\nB\n", 3, "1 cells", "commas"),
    ("items.csv", "item,category,brand,tags\nA,a,b,\n", 1, "'sku' is missing", "header"),
    ("items.csv", 'sku,category,brand,tags\nA,"a\nb",b,\nA,a,b,\n', 4, "first in line 2", "Keep"),
    ("items.csv", "sku,category,brand,tags\nA,a,b|c,\n", 2, "brand 'b|c'", "Correct"),
]


@pytest.mark.parametrize(
    ("buffer", "told"),
    [
        ("{percent: 101, min: 5, max: 2}", ["out of range", "min 5 is more than max 2"]),
        ("{percent: 101, units: -2}", ["out of range", "out of range", "both given"]),
        ("{units: -2, min: 5}", ["out of range", "min goes with percent"]),
    ],
)
def test_a_faulty_number_does_not_hide_what_else_is_wrong_with_a_buffer(
    tmp_path: Path, buffer: str, told: list[str]
) -> None:
    """All at once, so that nobody has to mend and try again."""
    found = mistakes_of(rules_folder(tmp_path, f"rules:\n- name: x\n  buffer: {buffer}\n"))
    assert len(found) == len(told)
    for words in told:
        assert any(words in mistake.message for mistake in found), [str(one) for one in found]


@pytest.mark.parametrize(("file", "text", "line", "message", "remedy"), FILE_MISTAKES)
def test_a_mistake_in_any_file_is_told_with_its_line_and_a_remedy(
    tmp_path: Path, file: str, text: str, line: int, message: str, remedy: str
) -> None:
    """Each kind of mistake is among those told, with file, line and remedy."""
    rules_folder(tmp_path, "rules:\n- {name: other, cap: 1}\n")
    found = mistakes_of(write_folder(tmp_path, {file: text}))
    assert any(
        (mistake.file, mistake.line) == (file, line)
        and message in mistake.message
        and remedy in mistake.remedy
        for mistake in found
    ), [str(mistake) for mistake in found]


@pytest.mark.parametrize("levels", [33, 200_000])
def test_a_file_of_nothing_but_brackets_is_refused(tmp_path: Path, levels: int) -> None:
    """However deep: PyYAML's own composer ends the process on the second of these."""
    (found,) = mistakes_of(rules_folder(tmp_path, "rules:\n " + "[" * levels))
    assert str(found).startswith("a.rules.yaml:2: this is nested more than 32 levels deep")


def test_a_file_too_large_to_be_meant_is_refused_unread(tmp_path: Path) -> None:
    """Sixty-four mebibytes are enough for any set of rules."""
    folder = rules_folder(tmp_path, "")
    with (folder / "a.rules.yaml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    (found,) = mistakes_of(folder)
    assert "67108865 bytes" in found.message
    assert "Split" in found.remedy


def test_a_file_with_too_many_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no file takes more memory than a machine has."""
    monkeypatch.setattr(document, "MAX_NODES", 100)
    (found,) = mistakes_of(rules_folder(tmp_path, "rules: [" + "5, " * 100 + "]\n"))
    assert str(found).startswith("a.rules.yaml:1: the file holds more than 100 values")
    assert "Split" in found.remedy


def test_whether_a_rule_can_match_is_not_judged_while_the_channels_cannot_be_read(
    tmp_path: Path,
) -> None:
    """One mistake, and none that only follows from it."""
    rules = "rules:\n- {name: x, cap: 1, when: {locations: [W1]}}\n"
    (found,) = mistakes_of(rules_folder(tmp_path, rules, channels_yaml="channels: {"))
    assert found.file == "channels.yaml"


def test_a_field_without_words_of_its_own_is_told_in_those_of_the_library(tmp_path: Path) -> None:
    """A new kind of field is a mistake with its line, too, and never a traceback."""

    class Probe(Entry):
        number: int = 0

    path = write_folder(tmp_path, {"probe.yaml": "probe:\n  number: many\n"}) / "probe.yaml"
    mistakes = Mistakes()
    read = document.read_document(path, "probe.yaml", mistakes)
    assert read is not None
    read_entry(Probe, read, ("probe",), {"number": "many"}, {}, mistakes)
    (found,) = mistakes.found
    assert str(found).startswith("probe.yaml:2: number: Input should be a valid integer")


def test_an_unknown_name_is_answered_with_the_closest_or_with_a_few() -> None:
    """Never with thousands."""
    assert did_you_mean("wbe", ["web", "app"]) == "Did you mean 'web'?"
    assert did_you_mean("x", ["web", "app"]) == "Known are: app, web."
    assert did_you_mean("x", []) == "There are none to choose from."
    many = [f"name {number:05}" for number in range(NAMES_COMPARED + 1)]
    assert did_you_mean("x", many[:30]).endswith("name 00019 and 10 more.")
    assert did_you_mean("name 00001", many) == "Check its spelling."


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """Mistakes in every file and setting, and several in one rule, come in one error."""
    rules = """\
rules:
- name: one
  cap: many
  share: 120
  when: {channels: [wbe], colours: [red]}
  from: 2026-11-20T00:00:00Z
  until: 2026-11-20T00:00:00Z
- {name: one, floor: 1}
"""
    folder = rules_folder(
        tmp_path,
        rules,
        engine_yaml="drain: 1\n",
        items_csv="sku,category\nA,b\n",
        channels_yaml=CHANNELS + "  new: {granularity: shop}\n",
    )
    with pytest.raises(RulesError) as caught:
        load_rules(folder, {"publish_tick": "0s", "publish_tock": "1s"})
    places = [(mistake.file, mistake.line) for mistake in caught.value.mistakes]
    assert places == [
        ("--publish-tick or SELLABLE_PUBLISH_TICK", 0),
        ("a.rules.yaml", 3),
        ("a.rules.yaml", 4),
        ("a.rules.yaml", 5),
        ("a.rules.yaml", 5),
        ("a.rules.yaml", 7),
        ("a.rules.yaml", 8),
        ("channels.yaml", 5),
        ("engine.yaml", 1),
        ("items.csv", 1),
        ("items.csv", 1),
        ("setting publish_tock", 0),
    ]
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == EXIT_WRONG_CALL
    assert str(caught.value).startswith("12 mistakes in the rules folder ")
    assert "a.rules.yaml:3: cap: a whole number is expected, 'many' was found." in str(caught.value)


def test_a_row_of_the_catalogue_is_examined_to_its_end(tmp_path: Path) -> None:
    """A faulty name, or one given twice, does not hide the faults of the cells after it."""
    rows = "location,type,region,tags,timezone\nS|1,,,,Nowhere\nS2,,,,\nS2,a|b,,,\n"
    found = mistakes_of(rules_folder(tmp_path, "", locations_csv=rows))
    assert [(mistake.line, mistake.message.split("'")[0]) for mistake in found] == [
        (2, "the location "),
        (2, "the timezone "),
        (4, "the location "),
        (4, "the type "),
    ]


def test_a_faulty_channel_does_not_make_the_rules_that_name_it_faulty(tmp_path: Path) -> None:
    """A channel whose entry has a mistake is still known by its name."""
    channels = "channels:\n  web: {granularity: shop}\n  market: text\n"
    rules = "rules:\n- {name: a, cap: 1, when: {channels: [web, market], regions: [east]}}\n"
    found = mistakes_of(rules_folder(tmp_path, rules, channels_yaml=channels))
    assert [(mistake.file, mistake.line) for mistake in found] == [
        ("channels.yaml", 2),
        ("channels.yaml", 3),
    ]


def test_a_folder_without_channels_says_what_to_add(tmp_path: Path) -> None:
    """The missing file is the only mistake: rules that name channels are not blamed."""
    text = "rules:\n- {name: a, cap: 1, when: {channels: [web]}}\n"
    (found,) = mistakes_of(write_folder(tmp_path, {"a.rules.yaml": text}))
    assert str(found).startswith("channels.yaml: the file is missing. Write in this file")


def test_a_folder_that_is_not_there_is_one_mistake(tmp_path: Path) -> None:
    """A wrong path is told as such."""
    (found,) = mistakes_of(tmp_path / "nowhere")
    assert found.message == "there is no such folder"


@pytest.mark.parametrize("name", ["peak.rules.yml", "channels.yml", "engine.yml"])
def test_a_file_with_the_other_suffix_is_a_mistake_and_not_ignored(
    tmp_path: Path, name: str
) -> None:
    """`.yml` is not read, so the file that was meant is named."""
    folder = write_folder(rules_folder(tmp_path, ""), {name: "rules: []"})
    (found,) = mistakes_of(folder)
    assert found.file == name
    assert f"Rename it to {Path(name).stem}.yaml" in found.remedy


@pytest.mark.parametrize("name", ["notes.yml", ".peak.rules.yml"])
def test_a_file_that_was_never_meant_to_be_read_is_none(tmp_path: Path, name: str) -> None:
    """Hidden ones, and other tools' files."""
    assert mistakes_of(write_folder(rules_folder(tmp_path, ""), {name: "rules: []"})) == []


def test_a_file_that_is_not_utf_8_is_told_with_the_line_of_the_first_such_byte(
    tmp_path: Path,
) -> None:
    """YAML and CSV alike."""
    folder = rules_folder(tmp_path, "")
    (folder / "a.rules.yaml").write_bytes(b"rules:\n- name: caf\xe9\n")
    (folder / "items.csv").write_bytes(b"sku,category,brand,tags\n\xff,,,\n")
    found = mistakes_of(folder)
    assert [(m.file, m.line) for m in found] == [("a.rules.yaml", 2), ("items.csv", 2)]


def test_a_folder_in_place_of_a_file_is_a_mistake(tmp_path: Path) -> None:
    """What cannot be read is told, and nothing is loaded without it."""
    folder = rules_folder(tmp_path, "")
    (folder / "b.rules.yaml").mkdir()
    (folder / "items.csv").unlink()
    (folder / "items.csv").mkdir()
    found = mistakes_of(folder)
    assert [m.file for m in found] == ["b.rules.yaml", "items.csv"]
    assert all("cannot be read" in m.message for m in found)


def test_a_catalogue_full_of_mistakes_stops_after_a_thousand(tmp_path: Path) -> None:
    """The report stays readable when a whole file is wrong."""
    rows = "\n".join("a|b,c,d," for _ in range(5000))
    items = f"sku,category,brand,tags\n{rows}\n"
    found = mistakes_of(rules_folder(tmp_path, "", items_csv=items))
    assert len(found) == 1001
    assert "too many mistakes" in found[-1].message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "rules:\n",
        "rules: []\n",
        "---\nrules: []\n...\n",
        "\ufeffrules: []\n",
    ],
)
def test_a_file_without_any_rule_is_no_mistake(tmp_path: Path, text: str) -> None:
    """A rules file may be emptied or commented out."""
    assert mistakes_of(rules_folder(tmp_path, text)) == []
