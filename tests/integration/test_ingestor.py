from __future__ import annotations

from ingesting import assert_landed_exactly, ingesting, quick, send_bars, wait_until_landed

from ingestion.topic import ensure_topic
from tickhouse.settings import Settings


def test_what_is_produced_is_landed_exactly(kafka_settings: Settings) -> None:
    settings = quick(kafka_settings)
    ensure_topic(settings)
    sent = send_bars(settings, range(1000))
    with ingesting(settings):
        wait_until_landed(settings, 1000)
        sent += send_bars(settings, range(1000, 1500))
        wait_until_landed(settings, 1500)
    assert_landed_exactly(settings, sent)
