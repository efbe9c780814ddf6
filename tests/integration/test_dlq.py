"""Dead letters on a real broker: sent again as they came, landed once, and counted at their first place."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
from ingesting import Sender, bar_message, dead_letters, ingesting, landed, wait_until_landed
from kafka_admin import admin, delete_topic
from kafka_messages import consume_topic
from typer.testing import CliRunner, Result

from apps.cli.main import app
from ingestion.dlq.book import LetterBook, Search
from ingestion.topic import ensure_topic
from tickhouse.settings import Settings, as_environment
from tickhouse.storage import open_storage
from transform.build import run_build
from transform.snapshot.read import SnapshotReader

ODD = [("schema_version", b"1"), ("trace", b"\xff\x00"), ("none", None)]


@pytest.fixture
def dlq(one_partition: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A topic of one partition, which the command line of this process finds in its environment."""
    for name, value in as_environment(one_partition).items():
        monkeypatch.setenv(name, value)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield one_partition
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def tickhouse(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dlq", *arguments])


def listed(*options: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in tickhouse("list", "--json", *options).stdout.splitlines()]


def land_all(settings: Settings, messages: int) -> None:
    with ingesting(settings):
        wait_until_landed(settings, messages)


def send_poison(settings: Settings, *values: bytes | None) -> None:
    sender = Sender(settings)
    for value in values:
        sender.send(value, b"\xfe\x00", ODD)
    sender.flush()


def test_a_letter_goes_out_as_it_came_with_its_first_place(dlq: Settings) -> None:
    send_poison(dlq, b"\x00\xff poison", None)
    land_all(dlq, 2)
    assert tickhouse("show", "0/0", "--raw").stdout_bytes == b"\x00\xff poison"
    result = tickhouse("replay", "0/0", "0/1")
    assert (result.exit_code, result.stdout.splitlines()[0][:34]) == (0, f"2 dead letters delivered to {dlq.kafka.topic}"[:34])
    first, second, *replays = consume_topic(dlq)
    letters = {letter["offset"]: letter for letter in dead_letters(dlq)}
    for original, replay in zip((first, second), replays, strict=True):
        assert (replay.key(), replay.value()) == (original.key(), original.value())
        *headers, (name, origin) = replay.headers() or []
        assert headers == ODD
        letter = letters[original.offset()]
        assert (name, origin.decode().split("/")) == (
            "tickhouse_origin",
            [letter["topic_id"], "0", str(original.offset()), str(original.timestamp()[1])],
        )


def test_a_mended_letter_lands_as_the_bar_it_should_have_been(dlq: Settings, tmp_path: Path) -> None:
    send_poison(dlq, b"poison")
    land_all(dlq, 1)
    mended = tmp_path / "mended.json"
    mended.write_bytes(bar_message(7))
    assert tickhouse("replay", "0/0", "--value", str(mended)).exit_code == 0
    land_all(dlq, 2)
    (row,) = landed(dlq).to_pylist()
    (letter,) = dead_letters(dlq)
    assert (row["open"], row["offset"]) == (7.25, 1)
    assert (row["origin_topic_id"], row["origin_partition"], row["origin_offset"]) == (letter["topic_id"], 0, 0)
    assert row["origin_timestamp"] == letter["kafka_timestamp"]
    assert [(line["place"], line["is_landed"]) for line in listed()] == [("0/0", True)]
    assert listed("--waiting") == []


def test_letters_of_another_version_are_replayed_with_a_mended_header(dlq: Settings) -> None:
    sender = Sender(dlq)
    for number in range(3):
        sender.send(bar_message(number), headers=[("schema_version", b"2")])
    sender.send(b"poison")
    sender.flush()
    land_all(dlq, 4)
    options = ("replay", "--stage", "version", "--header", "schema_version=1")
    assert "would be sent" in tickhouse(*options, "--dry-run").stdout
    refused = tickhouse(*options)
    assert (refused.exit_code, len(consume_topic(dlq))) == (2, 4)
    assert "say --yes" in refused.stderr
    assert tickhouse(*options, "--yes").exit_code == 0
    land_all(dlq, 7)
    assert landed(dlq)["open"].to_pylist() == [0.25, 1.25, 2.25]
    assert [line["place"] for line in listed("--waiting")] == ["0/3"]
    assert "nothing to replay" in tickhouse(*options, "--yes").stdout


def test_what_has_landed_is_left_out_and_what_failed_again_is_one_story(dlq: Settings) -> None:
    sender = Sender(dlq)
    sender.send(bar_message(0), headers=[("schema_version", b"2")])
    sender.send(b"poison")
    sender.flush()
    land_all(dlq, 2)
    assert tickhouse("replay", "0/0", "--header", "schema_version=1").exit_code == 0
    assert tickhouse("replay", "0/1").exit_code == 0
    land_all(dlq, 4)
    repeated = tickhouse("replay", "0/0")
    assert "0/0 has landed as 0/2: left out" in repeated.stdout
    assert "nothing to replay" in repeated.stdout
    assert "1 would be sent" in tickhouse("replay", "0/0", "--again", "--dry-run").stdout
    assert len(consume_topic(dlq)) == 4
    assert [(line["place"], line["is_landed"], line["replays"]) for line in listed()] == [
        ("0/1", False, [{"place": "0/3", "is_bar": False}]),
        ("0/0", True, [{"place": "0/2", "is_bar": True}]),
    ]
    assert tickhouse("replay", "0/3").exit_code == 0, "a try is sent again as the letter that it was first"
    assert tickhouse("replay", "--all", "--yes").exit_code == 0
    land_all(dlq, 6)
    (waiting,) = listed("--waiting")
    assert (waiting["place"], len(waiting["replays"])) == ("0/1", 3)  # type: ignore[arg-type]


def test_letters_of_a_topic_that_was_deleted_go_to_the_one_there_is_now(dlq: Settings) -> None:
    sender = Sender(dlq)
    sender.send(bar_message(3), headers=[("schema_version", b"2")])
    sender.flush()
    land_all(dlq, 1)
    (letter,) = dead_letters(dlq)
    delete_topic(dlq)
    ensure_topic(dlq)
    sender = Sender(dlq)
    sender.send(bar_message(4))
    sender.flush()
    land_all(dlq, 2)
    (line,) = listed()
    assert line["place"] == f"{letter['topic_id']}/0/0"
    assert tickhouse("replay", str(line["place"]), "--header", "schema_version=1").exit_code == 0
    land_all(dlq, 3)
    replay = next(row for row in landed(dlq).to_pylist() if row["open"] == 3.25)
    assert replay["topic_id"] != letter["topic_id"]
    assert (replay["origin_topic_id"], replay["origin_offset"]) == (letter["topic_id"], 0)
    assert LetterBook(open_storage(dlq), dlq.kafka.topic).count(Search(fate="landed")).total() == 1


def test_replayed_twice_in_flight_it_counts_once_and_below_the_correction_that_came_after_it(dlq: Settings) -> None:
    sender = Sender(dlq)
    for number in range(2):
        sender.send(bar_message(number, close=number + 0.25), headers=[("schema_version", b"2")])
    sender.send(bar_message(0, close=1.0))
    sender.flush()
    land_all(dlq, 3)
    for _ in range(2):
        assert tickhouse("replay", "--all", "--yes", "--header", "schema_version=1").exit_code == 0
    land_all(dlq, 7)
    balance = run_build(dlq).manifest.balance
    assert balance.model_dump() == {"landed": 5, "current": 2, "superseded": 3, "quarantined": 0}
    with SnapshotReader(open_storage(dlq)).pin() as snapshot:
        assert snapshot is not None
        rows = snapshot.query("select close from fct_indicator where derived_from is null order by ts").to_pylist()
    assert [row["close"] for row in rows] == [1.0, 1.25]


def test_what_kafka_refuses_is_counted_and_told(dlq: Settings) -> None:
    send_poison(dlq, b"poison")
    land_all(dlq, 1)
    limit = ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, dlq.kafka.topic, incremental_configs=[limit])
    client = admin(dlq)
    client.incremental_alter_configs([resource])[resource].result(30)
    mended = tickhouse("replay", "0/0", "--value", str(incompressible(dlq)))
    assert (mended.exit_code, "1 of 1 were not delivered" in mended.stderr) == (1, True)
    assert [line["place"] for line in listed("--waiting")] == ["0/0"]


def incompressible(settings: Settings) -> Path:
    file = settings.data_dir / "noise"
    file.write_bytes(random.Random(0).randbytes(20_000))
    return file


def test_without_a_topic_or_a_letter_it_is_said_what_to_do(dlq: Settings) -> None:
    send_poison(dlq, b"poison")
    land_all(dlq, 1)
    missing = tickhouse("show", "0/9")
    assert (missing.exit_code, "`tickhouse dlq list` shows" in missing.stderr) == (1, True)
    assert tickhouse("show", "first").exit_code == 2
    delete_topic(dlq)
    result = tickhouse("replay", "0/0")
    assert (result.exit_code, "`tickhouse topic create` makes it" in result.stderr) == (1, True)
