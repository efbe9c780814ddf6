"""After a rule has changed, what other rules judged is judged again, and the next build reads what moved."""

from __future__ import annotations

import json
from collections.abc import Callable

import great_expectations.expectations as gxe
import pytest
from lake import Lake, bar
from typer.testing import CliRunner, Result

from apps.cli.main import app
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.build import run_build
from transform.proof.verify import verify
from transform.rebuild import rebuild
from transform.snapshot.manifest import latest_manifest
from transform.snapshot.read import SnapshotReader
from transform.validation import judge, revalidation
from transform.validation.judge import ValidationError
from transform.validation.quarantine_book import QuarantineBook, Wanted
from transform.validation.record import walk_records
from transform.validation.revalidation import RecordsInForce, RevalidationConflictError, revalidate, revalidation_key
from transform.validation.run import validate_new_slots
from transform.validation.suite import RULE, row_suite

CHEAP = bar("CHEAP", 0, 100.0, volume=3.0)
NO_VOLUME = bar("NO_VOLUME", 1, 100.0, volume=None)
GOOD = [bar("GOOD", day, 100.0) for day in range(20)]

Other = Callable[[], None]


@pytest.fixture
def lake(build_settings: Settings) -> Lake:
    """Two slots: one with a bar that lacks its volume, one with a bar of little volume."""
    lake = Lake(build_settings)
    lake.land([*GOOD[:10], NO_VOLUME])
    lake.land([*GOOD[10:], CHEAP])
    return lake


@pytest.fixture
def other_rules(monkeypatch: pytest.MonkeyPatch) -> Other:
    """Lets a missing volume pass from then on, and refuses one below 5."""

    def changed() -> None:
        def suite() -> object:
            made = row_suite()
            dropped = {"volume_is_given", "volume_is_not_negative"}
            made.expectations = [each for each in made.expectations if each.configuration.meta[RULE] not in dropped]
            made.add_expectation(
                gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=5, meta={RULE: "volume_is_not_small"}, notes="…")
            )
            return made

        monkeypatch.setattr(judge, "row_suite", suite)

    return changed


def published(settings: Settings) -> set[str]:
    with SnapshotReader(open_storage(settings)).pin() as snapshot:
        assert snapshot is not None
        return {row["symbol"] for row in snapshot.query("select distinct symbol from fct_indicator").to_pylist()}


def faults(settings: Settings) -> list[str]:
    return [
        f"{each.kind} {each.found}"
        for each in verify(settings, open_storage(settings), lambda _stage, _done, _total: None).findings
    ]


def test_rows_move_as_the_rules_say_and_every_proof_holds(lake: Lake, other_rules: Other) -> None:
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "CHEAP"}
    other_rules()
    outcome = revalidate(lake.settings, lake.storage)
    assert (outcome.rows, outcome.slots, outcome.released, outcome.quarantined) == (22, 2, 1, 1)
    assert outcome.failures == {"volume_is_not_small": 1}
    assert published(lake.settings) == {"GOOD", "CHEAP"}, "what is published stands until a build"
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "NO_VOLUME"}
    newest = latest_manifest(lake.storage)
    assert newest is not None
    assert (newest.balance.landed, newest.balance.current, newest.balance.quarantined) == (22, 21, 1)
    with SnapshotReader(open_storage(lake.settings)).pin() as snapshot:
        assert snapshot is not None
        counted = snapshot.query(
            "select symbol, quarantined_by_rule from fct_data_quality where quarantined_rows > 0"
        ).to_pylist()
        batches = snapshot.query("select quarantined_rows from fct_batch_quality order by position").to_pylist()
    assert counted == [{"symbol": "CHEAP", "quarantined_by_rule": '{"volume_is_not_small": 1}'}]
    assert [batch["quarantined_rows"] for batch in batches] == [0, 1]
    assert faults(lake.settings) == []
    assert run_build(lake.settings).manifest.number == newest.number, "it is read again once, not by every build"
    assert rebuild(lake.settings, lambda _stage, _done, _total: None).is_same


def test_another_reason_for_the_same_row_reaches_the_tables_of_quality(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed() -> object:
        made = row_suite()
        for each in made.expectations:
            if each.configuration.meta[RULE] == "volume_is_given":
                each.meta = {RULE: "volume_is_there"}
        return made

    run_build(lake.settings)
    monkeypatch.setattr(judge, "row_suite", renamed)
    outcome = revalidate(lake.settings, lake.storage)
    assert (outcome.slots, outcome.released, outcome.quarantined, outcome.renamed) == (1, 0, 0, 1)
    run_build(lake.settings)
    asked = "select quarantined_by_rule from {} where quarantined_rows > 0"
    with SnapshotReader(open_storage(lake.settings)).pin() as snapshot:
        assert snapshot is not None
        for table in ("fct_data_quality", "fct_batch_quality"):
            assert snapshot.query(asked.format(table)).to_pylist() == [{"quarantined_by_rule": '{"volume_is_there": 1}'}]


def test_what_the_present_rules_judged_is_not_judged_again(lake: Lake, other_rules: Other) -> None:
    validate_new_slots(lake.settings, lake.storage)
    assert revalidate(lake.settings, lake.storage).rows == 0
    other_rules()
    assert revalidate(lake.settings, lake.storage).rows == 22
    assert revalidate(lake.settings, lake.storage).rows == 0
    lake.land([bar("NEW", 0, 100.0, volume=2.0)])
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "NO_VOLUME"}
    assert revalidate(lake.settings, lake.storage).rows == 0


def test_rules_that_come_back_bring_back_what_they_said(lake: Lake, other_rules: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    validate_new_slots(lake.settings, lake.storage)
    other_rules()
    revalidate(lake.settings, lake.storage)
    assert [row.broken for row in QuarantineBook(lake.storage, "bars").newest(Wanted())] == [("volume_is_not_small",)]
    monkeypatch.setattr(judge, "row_suite", row_suite)
    assert revalidate(lake.settings, lake.storage).rows == 22
    assert [row.broken for row in QuarantineBook(lake.storage, "bars").newest(Wanted())] == [("volume_is_given",)]
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "CHEAP"}
    assert faults(lake.settings) == []


def test_a_dry_one_tells_the_same_and_writes_nothing(lake: Lake, other_rules: Other) -> None:
    validate_new_slots(lake.settings, lake.storage)
    other_rules()
    folders = [f"{area}/{lake.chain.path}" for area in ("validated", "quarantine", "revalidated")]
    before = [list(lake.storage.list_after(folder)) for folder in folders]
    dry = revalidate(lake.settings, lake.storage, is_dry=True)
    assert [list(lake.storage.list_after(folder)) for folder in folders] == before
    assert dry == revalidate(lake.settings, lake.storage)


def test_one_that_is_killed_between_two_batches_goes_on_where_it_was(
    lake: Lake, other_rules: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_build(lake.settings)
    other_rules()
    monkeypatch.setattr(revalidation, "BATCH_ROWS", 11)

    def kill(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        revalidate(lake.settings, lake.storage, on_rows=kill)
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "NO_VOLUME", "CHEAP"}, "the first batch is judged anew, the second is not"
    assert faults(lake.settings) == []
    assert revalidate(lake.settings, lake.storage).rows == 11
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "NO_VOLUME"}


def test_of_two_at_once_one_says_that_the_other_came_first(
    lake: Lake, other_rules: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate_new_slots(lake.settings, lake.storage)
    other_rules()
    monkeypatch.setattr(revalidation, "BATCH_ROWS", 11)
    others = []
    with pytest.raises(RevalidationConflictError, match="another revalidation"):
        revalidate(lake.settings, lake.storage, on_rows=lambda _rows: others.append(revalidate(lake.settings, lake.storage)))
    assert [other.rows for other in others] == [11]
    assert len(RecordsInForce(lake.storage, lake.chain).revalidations) == 2
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "NO_VOLUME"}
    assert faults(lake.settings) == []


def test_a_batch_with_too_many_failures_stays_as_it_was(lake: Lake, other_rules: Other) -> None:
    validate_new_slots(lake.settings, lake.storage)
    other_rules()
    strict = lake.settings.validation.model_copy(update={"block_from_rows": 1, "max_quarantined_pct": 1})
    outcome = revalidate(lake.settings.model_copy(update={"validation": strict}), lake.storage)
    assert outcome.blocked is not None
    assert RecordsInForce(lake.storage, lake.chain).revalidations == []


def test_a_revalidation_before_the_first_build_counts(lake: Lake, other_rules: Other) -> None:
    validate_new_slots(lake.settings, lake.storage)
    other_rules()
    revalidate(lake.settings, lake.storage)
    run_build(lake.settings)
    assert published(lake.settings) == {"GOOD", "NO_VOLUME"}


def test_a_damaged_revalidation_is_found_by_verify(lake: Lake, other_rules: Other) -> None:
    validate_new_slots(lake.settings, lake.storage)
    lake.storage.put_if_absent(revalidation_key(lake.chain, 0), b"{")
    assert any("revalidation damaged" in fault for fault in faults(lake.settings))


def test_a_rule_that_cannot_be_evaluated_moves_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    validate_new_slots(lake.settings, lake.storage)

    def suite() -> object:
        made = row_suite()
        made.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column="no_such_column", meta={RULE: "none"}, notes="…"))
        return made

    monkeypatch.setattr(judge, "row_suite", suite)
    with pytest.raises(ValidationError, match="none"):
        revalidate(lake.settings, lake.storage)
    assert RecordsInForce(lake.storage, lake.chain).revalidations == []


@pytest.fixture
def command(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr("apps.cli.quarantine.start", lambda *_args, **_kwargs: lake.settings)
    return lambda *arguments: CliRunner().invoke(app, ["quarantine", *arguments])


def test_the_command_lists_shows_and_judges_again(lake: Lake, other_rules: Other, command: Callable[..., Result]) -> None:
    assert "No bar of topic bars is in quarantine" in command("list").output
    run_build(lake.settings)
    listed = command("list").output
    assert "0/10" in listed
    assert "NO_VOLUME" in listed
    assert "1 quarantined bar of topic bars." in listed
    assert "by rule: volume_is_given 1" in listed
    assert "None of topic bars's 1 quarantined bars is like that" in command("list", "--symbol", "GOOD").output
    assert "there is no rule 'x'" in command("list", "--rule", "x").output
    (line,) = command("list", "--json").output.splitlines()
    assert {**json.loads(line), "rules": ""} == {**json.loads(line), "rules": "", "place": "0/10", "broken": ["volume_is_given"]}
    shown = command("show", "0/10").output
    assert "volume_is_given: volume is not missing" in shown
    assert "judges it again" not in shown
    missing = command("show", "0/9")
    assert missing.exit_code == 1
    other_rules()
    assert (
        "1 would be released, 1 would be newly quarantined (volume_is_not_small 1)" in command("revalidate", "--dry-run").output
    )
    done = command("revalidate").output
    assert "Judged 22 bars again: 1 released, 1 newly quarantined" in done
    assert "`tickhouse build`" in done
    assert "Nothing to judge again" in command("revalidate").output
    assert "volume_is_not_small 1" in command("list").output
    assert [row.broken for row in QuarantineBook(lake.storage, "bars").newest(Wanted())] == [("volume_is_not_small",)]


def test_records_are_never_rewritten(lake: Lake, other_rules: Other) -> None:
    validate_new_slots(lake.settings, lake.storage)
    before = list(walk_records(lake.storage, lake.chain))
    other_rules()
    revalidate(lake.settings, lake.storage)
    assert list(walk_records(lake.storage, lake.chain)) == before
