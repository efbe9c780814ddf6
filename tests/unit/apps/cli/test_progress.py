"""Progress is told on a terminal and off it, with the rate and the time that is left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from apps.cli.progress import ProgressLines, progress_line, showing_progress


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((1_234_567, 5_000_000, 412_000.0), "1,234,567 of 5,000,000 bars (25%), 412,000/s, 9 s left"),
        ((0, 10_000, 1.0), "0 of 10,000 bars (0%), 1/s, 2 h 46 min left"),
        ((100, 1_000, 10.0), "100 of 1,000 bars (10%), 10/s, 1 min 30 s left"),
        ((5, None, 2.0), "5 bars, 2/s"),
        ((5, 10, 0.0), "5 of 10 bars (50%), 0/s"),
        ((0, 0, 0.0), "0 of 0 bars, 0/s"),
    ],
)
def test_a_line_says_how_many_how_fast_and_how_long_yet(arguments: tuple[int, int | None, float], line: str) -> None:
    assert progress_line(*arguments) == line


def test_off_a_terminal_there_is_a_line_every_ten_seconds_at_the_rate_since_the_last() -> None:
    now, lines = 0.0, list[str]()
    progress = ProgressLines(lines.append, lambda: now)
    for second in range(26):
        now = float(second)
        progress.show(1_000_000 + second * 100 if second < 11 else 1_001_000 + (second - 10) * 50, 2_000_000)
    assert lines == [
        "1,001,000 of 2,000,000 bars (50%), 100/s, 2 h 46 min left",
        "1,001,500 of 2,000,000 bars (50%), 50/s, 5 h 32 min left",
    ]


def test_by_the_bars_own_time_nobody_is_told_how_long_it_takes() -> None:
    """The next bar may be a second away, or a weekend."""
    assert progress_line(100, 1_000, 10.0, is_steady=False) == "100 of 1,000 bars (10%), 10/s"
    for is_steady in (True, False):
        text = io.StringIO()
        console = Console(file=text, force_terminal=True, width=120)
        with showing_progress(console, "to topic bars", is_steady=is_steady) as show:
            show(500, 1_000)
        assert ("-:--:--" in text.getvalue()) is is_steady


def test_on_a_terminal_there_is_a_bar_with_the_rate() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with showing_progress(console, "to topic bars") as show:
        for done in (500, 600, 1_000):
            show(done, 1_000)
    assert "to topic bars" in text.getvalue()
    assert "1000/1000" in text.getvalue()
    assert "/s" in text.getvalue()


def test_off_a_terminal_a_short_replay_says_nothing() -> None:
    text = io.StringIO()
    with showing_progress(Console(file=text), "to topic bars") as show:
        show(1, 2)
        show(2, 2)
    assert text.getvalue() == ""
