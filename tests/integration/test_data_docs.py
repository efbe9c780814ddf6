"""Data Docs tell of what was validated of late, are built outside the build, and forget what is too old."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import great_expectations.expectations as gxe
import pytest
from lake import Lake, bar

from apps.cli.docs_site import DataDocsSite
from tickhouse.settings import Settings
from transform.validation import data_docs
from transform.validation.data_docs import build_data_docs, site_folder
from transform.validation.judge import Judge
from transform.validation.revalidation import revalidate
from transform.validation.run import validate_new_slots
from transform.validation.suite import RULE, row_suite


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = Lake(settings)
    lake.land([*(bar("GOOD", day, 100.0) for day in range(9)), bar("BAD", 9, 100.0, volume=-7.0)])
    validate_new_slots(lake.settings, lake.storage)
    return lake


def pages(settings: Settings) -> list[str]:
    """The names of the runs that have a page."""
    return sorted({path.parent.parent.name for path in site_folder(settings).glob("validations/landed_bars_row/*/*/*.html")})


def stricter_suite() -> object:
    made = row_suite()
    made.add_expectation(
        gxe.ExpectColumnValuesToBeBetween(column="close", max_value=1e6, meta={RULE: "close_is_low"}, notes="close is low")
    )
    return made


def added(lake: Lake, now: datetime | None = None) -> tuple[int, int]:
    came_to = build_data_docs(lake.settings, lake.storage, now=now)
    return came_to.added, came_to.removed


def test_a_page_says_which_rule_failed_by_which_values(lake: Lake) -> None:
    assert not site_folder(lake.settings).exists(), "validation itself writes none"
    assert added(lake) == (1, 0)
    (run,) = pages(lake.settings)
    assert run.startswith("bars_incarnation-1_0_0-9_")
    (page,) = site_folder(lake.settings).glob("validations/landed_bars_row/*/*/*.html")
    assert "Failed" in page.read_text()
    assert "-7" in page.read_text()
    first = (site_folder(lake.settings) / "runs.html").read_text()
    assert "1 × <code>volume_is_not_negative</code> (volume is 0 or more; fractions are possible)" in first
    assert str(page.relative_to(site_folder(lake.settings))) in first


def test_what_is_documented_is_not_judged_again_and_a_day_that_grows_stays_one_run(lake: Lake) -> None:
    assert added(lake) == (1, 0)
    assert added(lake) == (0, 0)
    lake.land([bar("MORE", 0, 100.0)])
    validate_new_slots(lake.settings, lake.storage)
    assert added(lake) == (1, 0)
    (run,) = pages(lake.settings)
    assert "_0-10_" in run


def test_one_that_was_killed_before_its_pages_were_written_is_made_good(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    added(lake)
    lake.land([bar("MORE", 0, 100.0)])
    validate_new_slots(lake.settings, lake.storage)
    with monkeypatch.context() as killed:
        killed.setattr(data_docs._Site, "write", lambda _self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            added(lake)
    lake.land([bar("MORE", 1, 100.0)])
    validate_new_slots(lake.settings, lake.storage)
    assert added(lake) == (1, 0)
    (run,) = pages(lake.settings)
    assert "_0-11_" in run


def test_long_days_are_cut_where_a_batch_is(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_docs, "BATCH_ROWS", 10)
    added(lake)
    lake.land([bar("MORE", day, 100.0) for day in range(10)])
    validate_new_slots(lake.settings, lake.storage)
    assert added(lake) == (1, 0)
    assert [run.split("_")[3] for run in pages(lake.settings)] == ["0-9", "10-19"]


def test_what_is_older_than_the_retention_goes_and_does_not_come_back(lake: Lake) -> None:
    added(lake)
    later = datetime.now(UTC) + timedelta(days=lake.settings.validation.docs_retention_days + 1)
    assert added(lake, later) == (0, 1)
    assert pages(lake.settings) == []
    assert "Nothing was validated" in (site_folder(lake.settings) / "runs.html").read_text()
    assert added(lake, later) == (0, 0)


def test_after_a_rule_has_changed_it_tells_what_the_present_rules_found(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    added(lake)
    before = pages(lake.settings)
    monkeypatch.setattr(data_docs, "row_suite", stricter_suite)
    monkeypatch.setattr("transform.validation.judge.row_suite", stricter_suite)
    came_to = build_data_docs(lake.settings, lake.storage)
    assert (came_to.added, came_to.left_out, pages(lake.settings)) == (0, 1, before)
    revalidate(lake.settings, lake.storage)
    assert added(lake) == (1, 0)
    (run,) = pages(lake.settings)
    assert run.endswith(Judge(lake.settings.validation).fingerprint)


def test_old_and_new_rules_in_one_day_judge_nothing_twice_and_leave_no_bar_in_two_runs(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(lake)
    monkeypatch.setattr(data_docs, "row_suite", stricter_suite)
    monkeypatch.setattr("transform.validation.judge.row_suite", stricter_suite)
    lake.land([bar("MORE", 0, 100.0)])
    validate_new_slots(lake.settings, lake.storage)
    assert added(lake) == (1, 0)
    assert added(lake) == (0, 0)
    revalidate(lake.settings, lake.storage)
    assert added(lake) == (1, 0)
    (run,) = pages(lake.settings)
    assert "_0-10_" in run


def test_they_are_built_when_somebody_opens_them_and_not_at_every_look(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    built = threading.Event()
    calls = []

    def build(*arguments: object) -> object:
        calls.append(arguments)
        try:
            return build_data_docs(lake.settings, lake.storage)
        finally:
            built.set()

    monkeypatch.setattr(data_docs, "build_data_docs", build)
    site = DataDocsSite(lake.settings)
    assert site.opened() == site_folder(lake.settings)
    assert built.wait(30)
    for thread in threading.enumerate():
        if thread.name == "data-docs":
            thread.join(30)
    assert (site.opened() / "runs.html").is_file()
    assert len(calls) == 1
