"""Checks of what is published against the exchanges' calendars: they run by the clock, in jobs of their own, never in a build."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from orchestration.resources import Platform
from orchestration.retries import ANEW_AFTER_A_CRASH
from tickhouse.settings import FreshnessSettings
from transform.freshness.gaps import GapsFound, find_gaps
from transform.freshness.look import Freshness, look
from transform.freshness.report import days_text, late_text, minute_text

SHOWN = 100
"""So many series, or symbols, a check names; it says how many more there are."""

SHOWN_DAYS = 20
SHOWN_IN_WORDS = 5

Row = Mapping[str, str | int]


@dg.asset_check(
    asset="published_snapshot", description="Of every live series the bar is there that its exchange's schedule has due."
)
def bars_are_fresh(platform: Platform) -> dg.AssetCheckResult:
    settings = platform.settings()
    return fresh_result(look(settings, platform.storage(), datetime.now(UTC)), settings.freshness)


@dg.asset_check(asset="published_snapshot", description="Every trading day between a symbol's first and last has its bar.")
def no_trading_day_is_missing(platform: Platform) -> dg.AssetCheckResult:
    settings = platform.settings()
    return gaps_result(find_gaps(settings, platform.storage(), datetime.now(UTC)), settings.freshness)


def fresh_result(found: Freshness, rules: FreshnessSettings) -> dg.AssetCheckResult:
    """Which series are stale, by how much of the market's time, and how many there are of each status."""
    stale = found.stale
    rows = [
        {
            "symbol": each.series.symbol,
            "interval": each.series.interval,
            "newest_bar": minute_text(each.series.newest_ts),
            "due_bar": minute_text(each.due.ts if each.due else None),
            "late": late_text(each),
        }
        for each in stale[:SHOWN]
    ]
    counts = {f"{status}_series": series for status, series in found.counts.items()}
    named = "; ".join(f"{each.series.symbol} {each.series.interval} is {late_text(each)} late" for each in stale[:SHOWN_IN_WORDS])
    more = f"; {len(stale) - SHOWN_IN_WORDS:,} more" if len(stale) > SHOWN_IN_WORDS else ""
    said = named + more if stale else "No live series is stale."
    return _result(said, rows, len(stale), rules, {"looked_at": found.at.isoformat(timespec="seconds"), **counts})


def gaps_result(found: GapsFound, rules: FreshnessSettings) -> dg.AssetCheckResult:
    """Which symbols lack which trading days."""
    rows: list[Row] = [
        {"symbol": each.symbol, "missing_days": len(each.days), "days": days_text(each.days, SHOWN_DAYS)}
        for each in found.gaps[:SHOWN]
    ]
    counts = {"missing_days": found.days, "symbols_looked_at": found.looked_at, "symbols_without_calendar": len(found.unknown)}
    said = f"{found.days:,} trading days without a bar, in {len(found.gaps):,} of {found.looked_at:,} symbols."
    return _result(said, rows, len(found.gaps), rules, counts)


def _result(said: str, rows: Sequence[Row], total: int, rules: FreshnessSettings, metadata: Row) -> dg.AssetCheckResult:
    listed: dict[str, dg.MetadataValue | int] = {}
    if rows:
        listed["found"] = dg.MetadataValue.table([dg.TableRecord(row) for row in rows])
    if total > len(rows):
        listed["not_shown"] = total - len(rows)
    return dg.AssetCheckResult(
        passed=not total,
        description=said,
        severity=dg.AssetCheckSeverity[rules.severity.upper()],
        metadata={**listed, **metadata},
    )


MARKET_CHECKS = dg.AssetSelection.checks(bars_are_fresh, no_trading_day_is_missing)
"""What a build leaves out: these depend on the time of day, and not on what it made."""

FRESHNESS = dg.define_asset_job(
    "freshness",
    selection=dg.AssetSelection.checks(bars_are_fresh),
    description="Look for series whose due bar is missing.",
    tags=ANEW_AFTER_A_CRASH,
)

GAPS = dg.define_asset_job(
    "gaps",
    selection=dg.AssetSelection.checks(no_trading_day_is_missing),
    description="Look for trading days without a bar.",
    tags=ANEW_AFTER_A_CRASH,
)
