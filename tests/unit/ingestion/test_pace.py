from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.pace import SLICE_ROWS, Pace, RatePace, SpeedPace, choose_pace
from ingestion.slices import read_slices
from ingestion.sources import SyntheticFeed
from ingestion.sources.feed import TableFeed
from tickhouse.settings import ProducerSettings

MINUTE = 60_000_000


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bars(count: int, symbols: int = 1) -> pa.Table:
    return pa.concat_tables(SyntheticFeed(symbols=symbols, bars=count).pieces())


def test_the_pace_is_the_one_that_the_settings_ask_for() -> None:
    assert type(choose_pace(ProducerSettings())) is Pace
    assert type(choose_pace(ProducerSettings(rate=5))) is RatePace
    assert type(choose_pace(ProducerSettings(speed=5))) is SpeedPace


def test_without_a_pace_nothing_is_waited_for() -> None:
    assert (Pace().due(0, 1_000), Pace().end()) == (0, 0)


def test_a_rate_gives_every_slice_its_time_the_last_one_too(clock: Clock) -> None:
    pace = RatePace(100, clock)
    assert [pace.due(0, 2), pace.due(0, 2), pace.due(0, 6), pace.end()] == pytest.approx([100, 100.02, 100.04, 100.1])


def test_a_rate_makes_up_for_a_second_and_no_more(clock: Clock) -> None:
    pace = RatePace(100, clock)
    pace.due(0, 100)
    clock.now = 150
    assert [pace.due(0, 100), pace.due(0, 100), pace.due(0, 100)] == [149, 150, 151]


def test_at_sixty_times_a_minute_of_bars_takes_a_second(clock: Clock) -> None:
    pace = SpeedPace(60, clock)
    assert [pace.due(at * MINUTE, 5_000) for at in (1_000, 1_000, 1_001, 1_003)] == pytest.approx([100, 100, 101, 103])


def test_a_speed_makes_up_for_a_second_and_no_more(clock: Clock) -> None:
    pace = SpeedPace(60, clock)
    pace.due(0, 1)
    clock.now = 150
    assert [pace.due(at * MINUTE, 1) for at in (1, 2, 3)] == pytest.approx([101, 150, 151])


def test_each_round_of_a_loop_begins_at_once(clock: Clock) -> None:
    pace = SpeedPace(60, clock)
    pace.due(5 * MINUTE, 1)
    clock.now = 101
    assert [pace.due(0, 1), pace.due(MINUTE, 1)] == pytest.approx([101, 102])


@pytest.mark.parametrize("settings", [{}, {"rate": 0.1}, {"rate": 200}, {"rate": 1e6}, {"speed": 1}, {"speed": 1e6}], ids=str)
@pytest.mark.parametrize("rows", [0, 1, SLICE_ROWS, SLICE_ROWS + 1, 5_000])
def test_slices_are_all_of_the_bars_and_none_is_too_large(settings: dict[str, float], rows: int) -> None:
    ends = choose_pace(ProducerSettings.model_validate(settings)).slice_ends(bars(rows) if rows else bars(1).slice(1))
    assert ends == sorted(set(ends))
    assert [ends[-1:], [end for end in ends if end <= 0]] == [[rows] if rows else [], []]
    assert max((end - start for start, end in zip([0, *ends], ends, strict=False)), default=0) <= SLICE_ROWS


def test_by_their_own_time_bars_of_one_moment_are_sent_together() -> None:
    table = bars(4, symbols=7)
    assert SpeedPace(60).slice_ends(table) == [7, 14, 21, 28]
    assert SpeedPace(1e9).slice_ends(table) == [28]


@given(
    rows=st.integers(0, 50),
    position=st.integers(0, 120),
    more=st.none() | st.integers(0, 120),
    loop=st.booleans(),
    speed=st.none() | st.just(60),
)
def test_slices_are_the_bars_from_the_position_on_round_after_round(
    rows: int, position: int, more: int | None, loop: bool, speed: float | None
) -> None:
    until = None if more is None else position + more
    if loop and until is None:
        return
    table = bars(50).slice(0, rows)
    pace = choose_pace(ProducerSettings(speed=speed))
    slices = list(read_slices(TableFeed(table), pace, position=position, until=until, loop=loop))
    times = [time.value // 1_000 for time in table["ts"].to_pandas()]
    rounds = times * (250 if loop else 1)
    assert [time for part in slices for time in times_of(part.values)] == rounds[position:until]
    assert all(part.event_time == times_of(part.values)[0] for part in slices)


def times_of(values: pa.BinaryArray) -> list[int]:
    texts = [value.split(b'"ts":"')[1].split(b'"')[0].decode().removesuffix("Z") for value in values.to_pylist()]
    return [pa.scalar(text).cast(pa.timestamp("us")).value for text in texts]


def test_what_reading_the_feed_raises_comes_through() -> None:
    class Broken(TableFeed):
        def pieces(self, first_row: int = 0):  # type: ignore[no-untyped-def]
            yield self.bars
            raise OSError("the disk is gone")

    slices = read_slices(Broken(bars(3)), Pace(), until=None, loop=False)
    assert len(next(slices)) == 3
    with pytest.raises(OSError, match="the disk is gone"):
        next(slices)


def test_a_gap_in_the_feed_is_waited_for(clock: Clock) -> None:
    pace = SpeedPace(60, clock)
    pace.due(0, 1)
    assert pace.due(int(timedelta(hours=1) / timedelta(microseconds=1)), 1) == pytest.approx(160)
