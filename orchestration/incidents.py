"""The sensor that sees what fails and what is late, and tells people by the channels."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import BaseModel, ConfigDict

from orchestration.resources import Platform
from orchestration.watch import look_at_runs
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.incidents.book import Book
from transform.incidents.lag import Mark, look_at_lag
from transform.incidents.state import observe
from transform.incidents.telling import hearing, tell_all, troubled
from transform.status import read_kafka_side, read_status

FIRST_LOOK_BACK = timedelta(hours=1)
"""A look without a cursor begins here: what it reads again opens nothing twice."""

LONGEST_LOOK_BACK = timedelta(days=1)


class Cursor(BaseModel):
    """Up to when (UTC) runs were looked at, and what stages have to come up to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upto: datetime
    marks: dict[str, Mark] = {}


def incident_sensor(settings: Settings) -> dg.SensorDefinition:
    """Looks every `incidents.look_seconds`, in the code server: telling of a run that failed needs no run."""

    @dg.sensor(
        name="incidents",
        minimum_interval_seconds=settings.incidents.look_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells people of failed runs and checks, stale assets and lag, once, and once more when it is over.",
    )
    def incidents(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
        settings = platform.settings()
        if not hearing(settings.delivery):
            return dg.SkipReason("No channel hears of incidents: delivery.channels names none.")
        now = datetime.now(UTC)
        cursor = Cursor.model_validate_json(context.cursor) if context.cursor else Cursor(upto=now - FIRST_LOOK_BACK)
        after, said = look(context.instance, settings, platform.storage(), cursor, now)
        context.update_cursor(after.model_dump_json())
        return dg.SkipReason(said)

    return incidents


def look(instance: dg.DagsterInstance, settings: Settings, storage: Storage, cursor: Cursor, now: datetime) -> tuple[Cursor, str]:
    """Note what is seen since `cursor` in the book, tell the channels; where the next look begins, and how it is, for people."""
    runs = look_at_runs(instance, settings, max(cursor.upto, now - LONGEST_LOOK_BACK))
    status = read_status(storage, read_kafka_side(settings))
    late, marks = look_at_lag(status, cursor.marks, settings.incidents, now, settings.dagster.public_url)
    book, calm = Book(storage), timedelta(seconds=settings.incidents.calm_seconds)
    audience = [channel.name for channel in hearing(settings.delivery)]
    state = book.change(lambda state: observe(state, [*runs.observations, *late], audience, calm, now))
    down = troubled(tell_all(book, settings.delivery))
    is_open = ", ".join(each.key for each in state.open) or "none"
    return Cursor(upto=runs.upto, marks=marks), f"Open incidents: {is_open}." + (f" {down}." if down else "")
