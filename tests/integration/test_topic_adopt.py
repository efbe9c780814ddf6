"""`tickhouse topic adopt` against a real broker: retention has passed the next offset, and somebody decides."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime

import pytest
from ingesting import Sent, assert_gapless, ingesting, landed, send_bars, slots, wait_until_landed
from kafka_admin import delete_records_before
from rich.console import Console

from apps.cli.adopting import adopt_topic
from apps.cli.status_report import status_report
from ingestion.ingestor import IngestorError, run_ingestor
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.status import KafkaSide, read_status


@pytest.fixture
def sent(one_partition: Settings) -> list[Sent]:
    """Of twenty messages five were landed, and Kafka has dropped the first ten."""
    sent = send_bars(one_partition, range(5))
    with ingesting(one_partition):
        wait_until_landed(one_partition, 5)
    sent += send_bars(one_partition, range(5, 20))
    delete_records_before(one_partition, 10)
    return sent


def adopt(settings: Settings, answer: bool) -> tuple[list[str], list[str]]:
    """The questions asked, and what was said."""
    questions, said = list[str](), list[str]()

    def confirm(question: str) -> bool:
        questions.append(question)
        return answer

    adopt_topic(settings, confirm, said.append)
    return questions, said


def test_a_loss_is_shown_and_given_up_only_when_told_so(one_partition: Settings, sent: list[Sent]) -> None:
    questions, said = adopt(one_partition, answer=False)
    assert len(questions) == 1
    assert "partition 0: offsets 5 to 9 (5)" in said[0]
    assert said[1] == "Nothing was changed."
    with pytest.raises(IngestorError, match=r"landed up to offset 5.*nothing below 10"):
        run_ingestor(one_partition, threading.Event())


def test_after_a_loss_was_given_up_the_rest_lands_and_everybody_sees_the_loss(one_partition: Settings, sent: list[Sent]) -> None:
    _, said = adopt(one_partition, answer=True)
    assert said[-1].endswith("partition=0 goes on at offset 10; 5 offsets are given up.")
    with ingesting(one_partition):
        wait_until_landed(one_partition, 15)
    assert landed(one_partition)["offset"].to_pylist() == [0, 1, 2, 3, 4, *range(10, 20)]
    assert_gapless(one_partition)
    assert sum(slot.footer.lost for slot in slots(one_partition)) == 5
    assert adopt(one_partition, answer=True)[1] == [
        f"Nothing is lost: every chain of topic {one_partition.kafka.topic} goes on within what Kafka has."
    ]
    output = io.StringIO()
    status = read_status(open_storage(one_partition), KafkaSide())
    Console(file=output, width=200).print(status_report(status, datetime.now(UTC)))
    assert f"Lost: 5 offsets of {one_partition.kafka.topic} / 0" in output.getvalue()
    assert "from 5 to 9" in output.getvalue()
