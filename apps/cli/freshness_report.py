"""What `tickhouse freshness`, `tickhouse gaps` and `tickhouse docs freshness` show, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.freshness.gaps import find_gaps
from transform.freshness.look import Freshness, look
from transform.freshness.report import days_text, late_text, minute_text
from transform.freshness.verdict import Verdict

_NOTHING = "Nothing is published yet: tickhouse build publishes what has landed."
_SHOWN_DAYS = 10


def tell_freshness(settings: Settings, *, limit: int, as_json: bool) -> None:
    """A line a series, the gravest first; exit with 1 when one is stale."""
    found = look(settings, open_storage(settings), datetime.now(UTC))
    if as_json:
        for each in found.verdicts:
            typer.echo(json.dumps(verdict_json(each)))
    elif found.verdicts:
        shown = found.verdicts[: limit or None]
        Console(highlight=False).print(freshness_table(shown))
        for status, reason in dict.fromkeys((each.status, each.reason) for each in shown):
            typer.echo(f"{status}: {reason}")
        typer.echo(
            f"{len(found.verdicts):,} series at {minute_text(found.at)} UTC: {_counts_text(found)}{_more(found.verdicts, shown)}"
        )
    else:
        typer.echo(_NOTHING)
    if found.stale:
        raise typer.Exit(1)


def tell_sources(settings: Settings) -> None:
    """A line for the one source that ages, the landed slots; exit with 1 when a live series of it is stale."""
    found = look(settings, open_storage(settings), datetime.now(UTC))
    newest = (
        "no slot yet" if found.validated_at is None else f"newest slot validated at {found.validated_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    typer.echo(f"landing.slot: {'error' if found.stale else 'pass'}, {newest}; series: {_counts_text(found) or 'none'}")
    if found.stale:
        typer.echo("tickhouse freshness names them")
        raise typer.Exit(1)


def tell_gaps(settings: Settings, *, limit: int, as_json: bool) -> None:
    """A line for each symbol that lacks trading days."""
    found = find_gaps(settings, open_storage(settings), datetime.now(UTC))
    if as_json:
        for each in found.gaps:
            typer.echo(json.dumps({"symbol": each.symbol, "missing_days": [str(day) for day in each.days]}))
        return
    shown = found.gaps[: limit or None]
    for each in shown:
        typer.echo(f"{each.symbol}: {len(each.days):,} missing: {days_text(each.days, _SHOWN_DAYS if limit else len(each.days))}")
    unknown = f"; no calendar tells of {len(found.unknown):,} more" if found.unknown else ""
    typer.echo(
        f"{found.days:,} trading days without a bar, in {len(found.gaps):,} of {found.looked_at:,} symbols{unknown}"
        f"{_more(found.gaps, shown)}"
    )


def freshness_table(verdicts: Sequence[Verdict]) -> Table:
    """A line a series; times are UTC."""
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for column in ("symbol", "interval", "newest bar", "due bar", "status", "late"):
        table.add_column(column, no_wrap=True, justify="right" if column == "late" else "left")
    for each in verdicts:
        due = minute_text(each.due.ts if each.due else None)
        newest = minute_text(each.series.newest_ts)
        table.add_row(each.series.symbol, each.series.interval, newest, due, each.status, late_text(each))
    return table


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Plain values: times are ISO 8601 in UTC, `late` counts `late_unit`, and what is not known is null."""
    due, landing = verdict.due, verdict.landing
    return {
        "symbol": verdict.series.symbol,
        "interval": verdict.series.interval,
        "newest_ts": verdict.series.newest_ts.isoformat(),
        "due_ts": due.ts.isoformat() if due else None,
        "due_ended_at": due.ended_at.isoformat() if due else None,
        "status": verdict.status,
        "reason": verdict.reason,
        "late": verdict.late if due else None,
        "late_unit": verdict.late_unit,
        "landed_at": landing.newest_at.isoformat() if landing else None,
    }


def _counts_text(found: Freshness) -> str:
    return ", ".join(f"{series:,} {status}" for status, series in found.counts.items())


def _more(every: Sequence[object], shown: Sequence[object]) -> str:
    return f"; {len(every) - len(shown):,} not shown (--limit 0 shows all)" if len(shown) < len(every) else ""
