from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.measuring.report import Figure, Figures, measure, print_table, write_results


def figures(runs: int = 3) -> Figures:
    ours = Figure("ours", "s", tuple(float(number) for number in range(1, runs + 1)))
    return Figures([ours, Figure("theirs", "s", tuple(value * 10 for value in ours.values))])


def test_cases_take_turns() -> None:
    turns: list[str] = []

    def case(name: str) -> dict[str, float]:
        turns.append(name)
        return {"s": float(len(turns))}

    found = measure({"a": lambda: case("a"), "b": lambda: case("b")}, runs=3, say=lambda _: None)
    assert turns == ["a", "b"] * 3
    assert [(figure.case, figure.values) for figure in found] == [("a", (1, 3, 5)), ("b", (2, 4, 6))]


def test_a_ratio_is_of_medians_and_there_is_none_of_what_did_not_run() -> None:
    assert figures().ratio("s", "theirs", "ours") == 10
    assert figures().ratio("s", "others", "ours") is None


def test_results_are_written_in_the_agreed_form(tmp_path: Path) -> None:
    path = write_results("sample", figures(), {"theirs_over_ours": 10.0}, tmp_path)
    written = json.loads(path.read_text())
    assert path.name == "sample.json"
    assert list(written) == ["name", "at", "machine", "cases", "ratios"]
    assert written["cases"][0] == {"case": "ours", "unit": "s", "median": 2, "min": 1, "max": 3, "runs": 3}
    assert written["ratios"] == {"theirs_over_ours": 10.0}


def test_a_median_of_two_runs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too few of: ours, theirs"):
        write_results("sample", figures(runs=2), {}, tmp_path)


def test_the_table_shows_every_case_and_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("a title", figures(), {"theirs_over_ours": 10.0})
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("a title", "ours", "theirs", "theirs_over_ours = 10"))
