"""A stage is late when it has not come up for too long to what was there, and not because much arrives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingestion.chain.slot import Chain
from tickhouse.settings import IncidentSettings
from transform.incidents.lag import Mark, look_at_lag
from transform.status import PartitionStatus, Status
from transform.validation.refusal import Refusal

START = datetime(2026, 1, 1, tzinfo=UTC)
CHAIN = Chain("bars", "id-1", 0)
UI = "http://127.0.0.1:3000"


class Clock:
    """Looks at ends, some seconds after the first look; says which stages are late."""

    def __init__(self, **limits: int) -> None:
        self.limits = IncidentSettings.model_validate({"lag_seconds": 60, **limits})
        self.marks: dict[str, Mark] = {}

    def late(self, seconds: float, ends: tuple[int | None, int, int, int], unknown: str | None = None) -> list[str]:
        now = START + timedelta(seconds=seconds)
        status = Status((PartitionStatus(CHAIN, *ends),), None, unknown)
        self.seen, self.marks = look_at_lag(status, self.marks, self.limits, now, UI)
        return [each.key.partition(":")[2].partition("/")[0] for each in self.seen if each.trouble is not None]


def test_a_stage_that_keeps_up_is_never_late_however_much_arrives() -> None:
    clock = Clock()
    assert [
        clock.late(30 * look, (1_000 * look + 999, 1_000 * look, 1_000 * look - 9, 1_000 * look - 99)) for look in range(9)
    ] == [[]] * 9


@pytest.mark.parametrize(
    ("ends", "stage"),
    [((10, 5, 5, 5), "landing"), ((10, 10, 5, 5), "validation"), ((10, 10, 10, 5), "publishing")],
)
def test_the_stage_that_stands_still_is_late_after_the_limit_and_well_when_it_has_come_up(
    ends: tuple[int, int, int, int], stage: str
) -> None:
    clock = Clock()
    assert [clock.late(seconds, ends) for seconds in (0, 30, 60, 61, 90)] == [[], [], [], [stage], [stage]]
    assert clock.late(100, (20, 11, 11, 11)) == [], "what is there since is another matter, from now on"
    assert clock.late(161, (20, 11, 11, 11)) == ["landing"]
    assert clock.late(162, (20, 20, 20, 20)) == []
    assert clock.marks == {}


def test_more_rows_than_the_limit_are_late_at_once() -> None:
    clock = Clock(lag_rows=1_000)
    assert clock.late(0, (1_005, 5, 5, 5)) == []
    assert clock.late(1, (1_006, 5, 5, 5)) == ["landing"]


def test_what_is_not_known_is_not_judged_and_a_topic_that_is_no_more_is_not_late() -> None:
    clock = Clock()
    assert clock.late(0, (10, 5, 5, 5)) == []
    assert clock.late(50, (None, 5, 5, 5), unknown="no broker answers") == []
    assert not any("landing" in each.key for each in clock.seen)
    assert clock.late(61, (10, 5, 5, 5)) == ["landing"], "an outage of the broker stops no clock"
    assert clock.late(70, (None, 5, 5, 5)) == []
    assert any("landing" in each.key for each in clock.seen), "it is well: nothing of that topic can land any more"


def test_a_refused_batch_says_the_way_on() -> None:
    refusal = Refusal(position=5, reason="150 of 200 rows fail", failing_rows=150, refused_at=START)
    status = Status((PartitionStatus(CHAIN, 10, 10, 5, 5, refusal=refusal),), None)
    _seen, marks = look_at_lag(status, {}, IncidentSettings(), START, UI)
    seen, _marks = look_at_lag(status, marks, IncidentSettings(), START + timedelta(hours=1), UI)
    [trouble] = [each.trouble for each in seen if each.trouble is not None]
    assert trouble.title == "tickhouse: validation is late: 5 offsets behind on bars / 0"
    assert "Validation refused a batch: 150 of 200 rows fail." in trouble.text
    assert trouble.advice == refusal.way_on
    assert trouble.link == f"{UI}/assets/validated_slot"
