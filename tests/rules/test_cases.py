"""Merchandisers' own tests: the working folder's pass, and differences are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.rules import RulesError
from engine.rules.cases import CasesFailedError, check_cases, run_cases
from engine.rules.checking import check_folder
from tests.rules.support import WORKING_FOLDER, rules_folder

RULES = """\
rules:
- {name: shelf, buffer: {units: 2}}
- {name: closed, exclude: true, when: {locations: [W2]}}
- {name: later, cap: 5, from: 2026-11-20T00:00:00Z}
- {name: hourly, min_interval: 1h, when: {skus: [SOAP]}}
"""
CASES = """\
cases:
- name: {name}
  sku: MILK
  channel: web
  stock: {{W1: {{sellable: 10, reserved: 1}}, W2: 4, S1: 6}}
  expect: {expect}
"""


def test_every_case_of_the_working_folder_passes() -> None:
    """The rules in this repository do what their tests say, and nothing in them is doubtful."""
    results = run_cases(WORKING_FOLDER)
    assert len(results) >= 12
    assert [f"{result.file}:{result.line}" for result in results if not result.passed] == []
    checked = check_folder(WORKING_FOLDER)
    assert len(checked.cases) == len(results)
    assert checked.warnings == ()


EXPECTATIONS = [
    ("{available: 11, status: in_stock, pool: 11}", []),
    ("{excluded: [W2], min_interval: 0s}", []),
    ("{rules: {location_buffer: shelf, cap: none, exclude: {W2: closed, W1: none}}}", []),
    ("{rules: {location_buffer: {W1: shelf, S1: shelf}}}", []),
    ("{available: 12}", ["available: expected 12, got 11"]),
    ("{status: out_of_stock}", ["status: expected out_of_stock, got in_stock"]),
    ("{pool: 3}", ["pool: expected 3, got 11"]),
    ("{min_interval: 1h}", ["min_interval: expected 1h, got 0s"]),
    ("{excluded: []}", ["excluded: expected none, got W2"]),
    ("{rules: {cap: later}}", ["rules.cap: expected later, got none"]),
    (
        "{rules: {exclude: closed}}",
        [
            "rules.exclude at S1: expected closed, got none",
            "rules.exclude at W1: expected closed, got none",
        ],
    ),
    (
        "{rules: {location_buffer: {W1: none}}}",
        ["rules.location_buffer at W1: expected none, got shelf"],
    ),
]


@pytest.mark.parametrize(("expect", "differences"), EXPECTATIONS)
def test_what_comes_out_otherwise_is_told_with_both_values(
    tmp_path: Path, expect: str, differences: list[str]
) -> None:
    """Only what is written is compared."""
    text = CASES.format(name="a case", expect=expect)
    (result,) = run_cases(rules_folder(tmp_path, RULES, tests__a_yaml=text))
    assert list(map(str, result.differences)) == differences
    assert result.passed == (not differences)
    assert (result.name, result.file, result.line) == ("a case", "tests/a.yaml", 2)


def test_a_case_without_an_instant_stands_before_every_time_box(tmp_path: Path) -> None:
    """So that a test does not change its mind with the calendar."""
    text = CASES.format(name="before", expect="{available: 11}")
    text += "- {name: after, at: 2026-11-20T00:00:00Z, sku: MILK, channel: web,\n"
    text += "   stock: {W1: 10, Y: 20}, claims: [{quantity: 1}, {channel: market, quantity: 2}],\n"
    text += "   expect: {available: 5, pool: 23, rules: {cap: later}}}\n"
    results = run_cases(rules_folder(tmp_path, RULES, tests__a_yaml=text))
    assert [result.differences for result in results] == [(), ()]


CASE_MISTAKES = [
    ("- sku: A\n  channel: web\n  expect: {available: 1}", 2, "'name' is missing"),
    ("- name: x\n  channel: web\n  expect: {available: 1}", 2, "'sku' is missing"),
    ("- name: x\n  sku: A\n  expect: {available: 1}", 2, "'channel' is missing"),
    ("- name: x\n  sku: A\n  channel: web", 2, "'expect' is missing"),
    ("- {name: x, sku: A, channel: web}\n  expect: 1", 3, "not YAML"),
    ("- name: x\n  sku: A\n  channel: web\n  expect: {}", 5, "expects nothing"),
    ("- name: x\n  sku: A\n  channel: wep\n  expect: {pool: 1}", 4, "'wep' is not in"),
    ("- name: x\n  sku: A\n  channel: web\n  expect: {avail: 1}", 5, "'avail' is not known"),
    ("- name: x\n  sku: A\n  channel: web\n  expect: {status: in}", 5, "a status is expected"),
    ("- name: x\n  sku: A\n  channel: web\n  expect: {rules: {cap: x}}", 5, "no rule 'x'"),
    ("- name: x\n  sku: A\n  channel: web\n  expect: {rules: {cap: [x]}}", 5, "name of a rule"),
    ("- name: x\n  sku: A\n  channel: web\n  expect: {rules: {cup: x}}", 5, "'cup' is not known"),
    ("- name: x\n  sku: A\n  channel: web\n  stock: 5\n  expect: {pool: 1}", 5, "by location"),
    (
        "- name: x\n  sku: A\n  channel: web\n  stock: {A|B: 5}\n  expect: {pool: 1}",
        5,
        "holds a '|'",
    ),
    (
        "- name: x\n  sku: A\n  channel: web\n  stock:\n    W1: {solid: 5}\n  expect: {pool: 1}",
        6,
        "'solid' is not known",
    ),
    (
        "- name: x\n  sku: A\n  channel: web\n  claims:\n  - {channel: web}\n  expect: {pool: 1}",
        6,
        "'quantity' is missing",
    ),
    (
        "- name: x\n  sku: A\n  channel: collect\n  expect: {pool: 1}",
        4,
        "a number for each location",
    ),
    (
        "- name: x\n  sku: A\n  channel: web\n  location: W1\n  expect: {pool: 1}",
        5,
        "one number for all locations",
    ),
    (
        "- name: x\n  sku: A\n  channel: collect\n  location: A|B\n  expect: {pool: 1}",
        5,
        "holds a '|'",
    ),
]


@pytest.mark.parametrize(("text", "line", "message"), CASE_MISTAKES)
def test_a_mistake_in_a_case_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    """Running and checking refuse it alike."""
    folder = rules_folder(tmp_path, RULES, tests__a_yaml=f"cases:\n{text}\n")
    for call in (run_cases, check_folder):
        with pytest.raises(RulesError) as caught:
            call(folder)
        (found,) = caught.value.mistakes
        assert (found.file, found.line) == ("tests/a.yaml", line)
        assert message in found.message


def test_mistakes_in_rules_and_cases_are_told_together(tmp_path: Path) -> None:
    """All files of the folder, and a test file that would not be read."""
    folder = rules_folder(
        tmp_path,
        "rules:\n- {name: x}\n",
        tests__a_yaml="cases: {a: b}\n",
        tests__b_yml="cases: []\n",
        tests__c_yaml="",
    )
    with pytest.raises(RulesError) as caught:
        run_cases(folder)
    assert [mistake.file for mistake in caught.value.mistakes] == [
        "a.rules.yaml",
        "tests/a.yaml",
        "tests/b.yml",
    ]


def test_cases_are_held_against_the_channels_also_where_rules_have_mistakes(tmp_path: Path) -> None:
    """All mistakes at once: a wrong rule does not hide that a case names a channel nobody has."""
    folder = rules_folder(
        tmp_path,
        "rules:\n- {name: one, cap: -1}\n",
        tests__a_yaml="cases:\n"
        "- {name: a, sku: MILK, channel: wbe, expect: {available: 1}}\n"
        "- {name: b, sku: MILK, channel: collect, expect: {available: 1}}\n",
    )
    with pytest.raises(RulesError) as caught:
        check_folder(folder)
    assert [(mistake.file, mistake.line) for mistake in caught.value.mistakes] == [
        ("a.rules.yaml", 2),
        ("tests/a.yaml", 2),
        ("tests/a.yaml", 3),
    ]


def test_a_folder_without_cases_has_no_results(tmp_path: Path) -> None:
    """Tests are optional."""
    assert run_cases(rules_folder(tmp_path, RULES)) == []


def test_rules_that_fail_some_of_their_cases_are_told_with_these(tmp_path: Path) -> None:
    """All of them, and no others; rules that pass are let go on."""
    texts = [CASES.format(name=n, expect=f"{{available: {n}}}") for n in (11, 12, 13)]
    cases = texts[0] + "".join(text.removeprefix("cases:\n") for text in texts[1:])
    folder = rules_folder(tmp_path, RULES)
    (folder / "tests").mkdir()
    (folder / "tests/some.yaml").write_text(cases)
    checked = check_folder(folder)
    with pytest.raises(CasesFailedError, match="2 of 3 cases") as caught:
        check_cases(checked.rules, checked.cases)
    assert [result.name for result in caught.value.failed] == ["12", "13"]
    check_cases(checked.rules, checked.cases[:1])
