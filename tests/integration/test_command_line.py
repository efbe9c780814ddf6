"""The parts run one by one from the command line, as the help tells a newcomer to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from ingestion.chain.walk import find_chains, walk
from tickhouse.settings import PREFIX, Settings, as_environment
from tickhouse.storage import open_storage

SECONDS = 150


@pytest.fixture
def environment(kafka_settings: Settings) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | as_environment(kafka_settings)


def tickhouse(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apps.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)


def landed_rows(settings: Settings) -> int:
    storage = open_storage(settings)
    return sum(slot.footer.rows for chain in find_chains(storage) for slot in walk(storage, chain))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_topic_that_is_missing_says_how_to_make_it(environment: dict[str, str], kafka_settings: Settings) -> None:
    missing = tickhouse(environment, "topic", "describe")
    assert missing.returncode == 1
    assert "`tickhouse topic create` makes it" in missing.stderr
    created = tickhouse(environment, "topic", "create")
    assert created.stdout.startswith(f"topic {kafka_settings.kafka.topic}: 3 partitions, id ")
    assert "the broker's clock" in created.stdout
    assert tickhouse(environment, "topic", "describe").stdout == created.stdout


def test_part_by_part_a_newcomer_gets_from_a_feed_to_a_snapshot(environment: dict[str, str], kafka_settings: Settings) -> None:
    assert "Nothing has landed yet" in tickhouse(environment, "status").stdout
    replayed = tickhouse(environment, "replay", "sample", "--max-messages", "60")
    assert replayed.stdout.startswith("60 bars delivered"), replayed.stderr

    ingestor = subprocess.Popen([sys.executable, "-m", "apps.cli", "ingest"], env=environment, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: landed_rows(kafka_settings) == 60)
    finally:
        ingestor.send_signal(signal.SIGTERM)
        _output, log = ingestor.communicate(timeout=SECONDS)
    assert ingestor.returncode == 0, log.decode()

    built = tickhouse(environment, "build")
    assert "published snapshot 0" in built.stdout, built.stderr
    assert "Of 60 landed rows, 60 are current" in tickhouse(environment, "status").stdout
    told = json.loads(tickhouse(environment, "status", "--json").stdout)
    ends = [[each[stage] for stage in ("in_kafka", "landed", "validated", "published")] for each in told["partitions"]]
    assert sum(in_kafka for in_kafka, *_ in ends) == 60
    assert [each for each in ends if each != [each[0]] * 4] == []
    assert {each["lag"] for each in told["partitions"]} == {0}
    assert sum(each["last_slot"]["rows"] for each in told["partitions"] if each["last_slot"]) > 0
