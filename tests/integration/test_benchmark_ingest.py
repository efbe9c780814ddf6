from __future__ import annotations

import pytest
from ingesting import landed_count, send_bars

from benchmarks.ingest import CPU, RATE, WAYS, run_program
from benchmarks.measuring.saved import bytes_saved_pct
from ingestion.topic import ensure_topic
from tickhouse.settings import Settings

MESSAGES = 300


@pytest.mark.parametrize("name", ["ceiling", "careful", "naive", "ours"])
def test_each_way_that_is_compared_comes_to_its_end_and_says_what_it_took(kafka_settings: Settings, name: str) -> None:
    ensure_topic(kafka_settings)
    send_bars(kafka_settings, range(MESSAGES))
    kafka_settings.data_dir.mkdir()
    figures = run_program(WAYS[name], kafka_settings, MESSAGES)
    assert figures[RATE] > 0
    assert figures[CPU] > 0
    if name == "ours":
        assert landed_count(kafka_settings) == MESSAGES
        assert 0 < figures["MiB at most"] < figures["MiB bound"]
        assert -1_000 < bytes_saved_pct(kafka_settings, MESSAGES, file_rows=1) < 100
