"""The ledger of alerts: every alert that is published was raised in it, every one that went was withdrawn, once and in order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lake import Lake, bar

from tickhouse.settings import AlertOverride, AnalyticsSettings, DeliverySettings, Settings
from tickhouse.storage import open_storage
from transform.alerts import ledger as ledger_module
from transform.alerts.event import AlertEvent
from transform.alerts.ledger import SnapshotLedger
from transform.build import run_build
from transform.marts import ALERT_EVENT
from transform.proof.verify import verify
from transform.rebuild import rebuild
from transform.snapshot.manifest import latest_manifest
from transform.snapshot.read import SnapshotReader

Row = dict[str, Any]


@pytest.fixture
def lake(build_settings: Settings) -> Lake:
    return Lake(build_settings)


def nobody(_stage: str, _done: int, _total: int | None) -> None:
    """Who watches is tested elsewhere."""


def entries(settings: Settings, after: int = 0) -> list[AlertEvent]:
    with SnapshotReader(open_storage(settings)).pin() as snapshot:
        assert snapshot is not None
        ledger = SnapshotLedger(snapshot)
        found = ledger.after(after, 100_000)
        assert ledger.newest_seq() == (found[-1].event_seq if found else after)
        return found


def holding(settings: Settings) -> dict[str, tuple[str, float]]:
    """What holds by `fct_alert`: severity and threshold by alert."""
    with SnapshotReader(open_storage(settings)).pin() as snapshot:
        assert snapshot is not None
        rows = snapshot.query("from fct_alert").to_pylist()
    return {row["alert_id"]: (row["severity"], row["threshold"]) for row in rows}


def told(found: list[AlertEvent], *, rule: str = "price_change", interval: str = "1d") -> list[tuple[str, int, str]]:
    return [(each.event, each.revision, each.severity) for each in found if (each.rule, each.interval) == (rule, interval)]


def replayed(found: list[AlertEvent]) -> dict[str, tuple[str, float]]:
    """What holds by the ledger alone; each entry fits what was before it."""
    holds: dict[str, tuple[str, float]] = {}
    revisions: dict[str, int] = {}
    assert [each.event_seq for each in found] == list(range(1, len(found) + 1))
    for each in found:
        assert each.revision == revisions.get(each.alert_id, 0) + 1
        revisions[each.alert_id] = each.revision
        assert (each.event == "raised") == (each.alert_id not in holds)
        if each.event == "withdrawn":
            del holds[each.alert_id]
        else:
            holds[each.alert_id] = (each.severity, each.threshold)
    return holds


def test_a_correction_withdraws_an_alert_and_another_raises_it_again(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0) for day in range(3)] + [bar("A", 3, 112.0)])
    first = run_build(lake.settings).manifest
    assert told(entries(lake.settings)) == [("raised", 1, "high")]
    lake.land([bar("A", 3, 101.0)])
    run_build(lake.settings)
    lake.land([bar("A", 3, 107.0)])
    run_build(lake.settings)
    lake.land([bar("A", 3, 113.0)])
    last = run_build(lake.settings).manifest
    found = entries(lake.settings)
    assert told(found) == [("raised", 1, "high"), ("withdrawn", 2, "high"), ("raised", 3, "medium"), ("changed", 4, "high")]
    assert [each.snapshot for each in found if each.rule == "price_change" and each.interval == "1d"] == [0, 1, 2, 3]
    assert (first.number, last.number) == (0, 3)
    assert len({each.key for each in found}) == len(found)


def test_what_moves_in_its_last_digits_only_is_told_to_nobody(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0 + day % 7, volume=1000.0 + day) for day in range(120)] + [bar("A", 120, 150.0)])
    run_build(lake.settings)
    before = entries(lake.settings)
    lake.land([bar("A", 3, 103.0 + 1e-9)])
    run_build(lake.settings)
    assert entries(lake.settings) == before
    assert before


def test_a_build_without_new_alerts_keeps_the_ledgers_files(lake: Lake) -> None:
    lake.land([bar("A", 0, 100.0), bar("A", 1, 120.0)])
    first = run_build(lake.settings).manifest
    lake.land([bar("B", 0, 100.0)])
    assert run_build(lake.settings).manifest.marts[ALERT_EVENT] == first.marts[ALERT_EVENT]


def test_other_rules_withdraw_and_raise_and_tell_nobody_of_history(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0) for day in range(3)] + [bar("A", 3, 107.0)])
    run_build(lake.settings)
    strict = AnalyticsSettings(alert_rules=(AlertOverride(rule="price_change", severity="medium", threshold=8.0),))
    run_build(lake.settings.model_copy(update={"analytics": strict}))
    run_build(lake.settings)
    found = entries(lake.settings)
    assert told(found) == [("raised", 1, "medium"), ("withdrawn", 2, "medium"), ("raised", 3, "medium")]
    assert not any(each.is_told for each in found), "bars of 2020"


def test_of_fresh_bars_people_are_told_and_of_what_becomes_of_it_however_late(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        moment = datetime(2020, 1, 22, 18, tzinfo=UTC)  # the bar of day 20 ended eighteen hours ago

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return cls.moment

    monkeypatch.setattr(ledger_module, "datetime", Clock)
    lake.land([bar("A", day, 100.0) for day in range(20)] + [bar("A", 20, 120.0), bar("OLD", 0, 100.0), bar("OLD", 1, 130.0)])
    run_build(lake.settings)
    daily = [each for each in entries(lake.settings) if each.interval == "1d"]
    assert {(each.symbol, each.is_told) for each in daily} == {("A", True), ("OLD", False)}
    Clock.moment += timedelta(days=365)
    lake.land([bar("A", 20, 100.0), bar("OLD", 1, 100.0)])
    run_build(lake.settings)
    withdrawn = [each for each in entries(lake.settings) if each.event == "withdrawn" and each.interval == "1d"]
    assert {(each.symbol, each.is_told) for each in withdrawn} == {("A", True), ("OLD", False)}


def test_history_is_told_when_asked(lake: Lake) -> None:
    lake.land([bar("A", 0, 100.0), bar("A", 1, 120.0)])
    run_build(lake.settings.model_copy(update={"delivery": DeliverySettings(history=True)}))
    assert all(each.is_told for each in entries(lake.settings))


def test_however_bars_come_the_ledger_replayed_gives_what_holds(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "APPENDED_ROWS", 8)
    monkeypatch.setattr(ledger_module, "CELL_ROWS", 16)
    rng = random.Random(1)
    for build in range(4):
        days = [*range(build * 9, build * 9 + 9), *rng.choices(range(build * 9 + 1), k=3)]
        lake.land([bar(symbol, day, rng.uniform(90, 112)) for symbol in ("A", "B") for day in days])
        run_build(lake.settings)
        found = entries(lake.settings)
        assert replayed(found) == holding(lake.settings)
    kinds = {each.event for each in found}
    assert kinds == {"raised", "changed", "withdrawn"}
    manifest = latest_manifest(lake.storage)
    assert manifest is not None
    assert len(manifest.marts[ALERT_EVENT].files) > 2
    assert verify(lake.settings, lake.storage, nobody).findings == []
    rebuild(lake.settings, nobody)
    assert entries(lake.settings) == found, "made anew, the same holds: there is nothing to tell"


def test_a_snapshot_without_a_ledger_begins_one_with_what_holds(lake: Lake) -> None:
    lake.land([bar("A", 0, 100.0), bar("A", 1, 120.0)])
    first = run_build(lake.settings).manifest
    older = first.model_copy(update={"marts": {name: mart for name, mart in first.marts.items() if name != ALERT_EVENT}})
    key = "published/manifests/00000000000000000000.json"
    lake.storage.delete(key)
    assert lake.storage.put_if_absent(key, older.model_dump_json().encode())
    lake.land([bar("B", 0, 100.0)])
    run_build(lake.settings)
    assert replayed(entries(lake.settings)) == holding(lake.settings) != {}
