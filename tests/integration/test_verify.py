"""What is broken on purpose is named, each thing by its key; what is whole adds up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from broken_lake import Copy, land_letters, letters_at, nobody
from chain_slots import bars_at
from ingesting import Sender, bar_message, ingesting, wait_until_landed
from lake import BEGUN_AT, Lake, bar
from typer.testing import CliRunner, Result

from apps.cli.main import app
from ingestion.chain.archive import bars_key, footers_key, record_key
from ingestion.chain.compaction import ArchiveSize, compact
from ingestion.chain.seal import read_sealed, write_sealed
from ingestion.chain.slot import SlotFooter, encode_slot
from ingestion.chain.walk import find_chains, walk
from ingestion.dead_letter import write_dead_letters
from ingestion.topic import describe_topic
from tickhouse.bar import LANDED_SCHEMA
from tickhouse.settings import Settings, as_environment
from tickhouse.storage import open_storage
from transform.build import run_build
from transform.marts import FCT_ALERT, FCT_INDICATOR
from transform.proof.verify import verify
from transform.snapshot.manifest import manifest_key
from transform.validation.record import record_key as validation_key


@pytest.fixture(scope="module")
def lake(shared_build_settings: Settings) -> Lake:
    """An archive of two slots and, behind it, slots with corrections, quarantined rows, dead letters, markers; two snapshots."""
    lake = Lake(shared_build_settings)
    lake.land([bar("A", day, 100.0 + day % 7 * 3) for day in range(40)])
    lake.land([bar("B", day, 50.0) for day in range(40)])
    run_build(lake.settings)
    compact(lake.storage, ArchiveSize(is_partial=True))
    lake.land([bar("A", 0, 101.0), bar("A", 40, 103.0), bar("BAD", 0, 1.0, high=0.5)])
    lake.pass_over(2)
    land_letters(lake, 3)
    origin = {"origin_topic_id": lake.chain.topic_id, "origin_partition": 0, "origin_offset": 85, "origin_timestamp": BEGUN_AT}
    lake.land([bar("C", 0, 10.0, **origin), bar("C", 1, 11.0, **origin), bar("C", 2, 12.0)])
    lake.land([bar("D", day, 20.0) for day in range(3)])
    run_build(lake.settings)
    lake.land([bar("E", day, 20.0) for day in range(2)])
    return lake


@pytest.fixture
def copy(lake: Lake, tmp_path: Path) -> Copy:
    shutil.copytree(lake.settings.lake_path, tmp_path / "data" / "lake")
    return Copy(lake.settings.model_copy(update={"data_dir": tmp_path / "data"}), lake)


def test_a_sound_lake_adds_up(copy: Copy) -> None:
    before = sorted(copy.settings.data_dir.rglob("*"))
    proof = copy.verify()
    assert (proof.findings, proof.notes) == ([], [])
    lake = proof.lake
    assert (lake.produced, lake.bars, lake.dead_letters, lake.no_message) == (94, 91, 3, 2)
    assert (lake.chains, lake.slots, lake.archives, lake.quarantined, lake.unsealed) == (1, 8, 1, 1, 0)
    assert proof.recounted is not None
    assert proof.recounted.model_dump() == {"landed": 89, "current": 86, "superseded": 2, "quarantined": 1}
    assert proof.snapshots.snapshots == 2
    assert sorted(copy.settings.data_dir.rglob("*")) == before, "nothing is left behind"


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.8])
def test_a_flipped_bit_in_a_slot_is_named_wherever_it_is(copy: Copy, place: float) -> None:
    copy.flip(copy.slot_key(0), place)
    assert copy.named()[copy.slot_key(0)].kind == "slot damaged"


FLIPPED: dict[str, tuple[Callable[[Copy], str], str]] = {
    "archived bars": (lambda copy: bars_key(copy.chain, copy.archive), "archive damaged"),
    "archived footers": (lambda copy: footers_key(copy.chain, copy.archive), "archive footers damaged"),
    "dead letters": (lambda copy: copy.letters_key(), "dead letters damaged"),
    "quarantine": (lambda copy: copy.quarantine_key(), "quarantine damaged"),
    "published file": (lambda copy: copy.file_key(FCT_ALERT), "published file damaged"),
}


@pytest.mark.parametrize("name", FLIPPED)
def test_a_flipped_bit_in_any_other_file_is_named(copy: Copy, name: str) -> None:
    of_copy, kind = FLIPPED[name]
    key = of_copy(copy)
    copy.flip(key)
    assert copy.named()[key].kind == kind


MISSING: dict[str, tuple[Callable[[Copy], str], str]] = {
    "genesis": (lambda copy: copy.chain.genesis_key, "genesis missing"),
    "slot in the middle": (lambda copy: copy.slot_key(0), "slot missing"),
    "last published slot": (lambda copy: copy.slot_key(len(copy.slots) - 1), "slot missing"),
    "archive record": (lambda copy: record_key(copy.chain, 0), "archive record missing"),
    "archived bars": (lambda copy: bars_key(copy.chain, copy.archive), "archive missing"),
    "archived footers": (lambda copy: footers_key(copy.chain, copy.archive), "archive footers missing"),
    "dead letters": (lambda copy: copy.letters_key(), "dead letters missing"),
    "validation record": (lambda copy: validation_key(copy.chain, copy.slots[1].position), "validation record missing"),
    "quarantine": (lambda copy: copy.quarantine_key(), "quarantine missing"),
    "published file": (lambda copy: copy.file_key(FCT_INDICATOR), "published file missing"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_named(copy: Copy, name: str) -> None:
    of_copy, kind = MISSING[name]
    key = of_copy(copy)
    copy.storage.delete(key)
    assert copy.named()[key].kind == kind


def test_slots_that_nobody_validated_are_missed_all_the_same(copy: Copy) -> None:
    """Neither a record nor a snapshot tells of them: the slot behind the gap does."""
    end = copy.slots[-1].next_offset
    newest = copy.chain.slot_key(end)
    later = SlotFooter(end + 2, end + 3, 0, 0, None, "test", 1, None, None, ())
    copy.storage.put_if_absent(copy.chain.slot_key(end + 2), encode_slot(bars_at([]), later))
    copy.storage.delete(newest)
    assert copy.named()[newest].found == "no such object"


def test_the_walk_goes_on_behind_what_is_lost_and_names_all_of_it(copy: Copy) -> None:
    lost = [copy.slot_key(0), copy.letters_key(), copy.slot_key(3)]
    for key in lost:
        copy.storage.delete(key)
    assert copy.named().keys() >= {*lost, copy.manifest_key}


def test_a_row_that_is_there_twice_is_named_in_a_slot(copy: Copy) -> None:
    key = copy.slot_key(0)
    rows, _ = read_sealed(copy.path(key).read_bytes())
    copy.path(key).write_bytes(encode_slot(pa.concat_tables([rows, rows.slice(2)]), copy.footer(0)))
    found = copy.named()[key]
    assert found.kind == "slot wrong"
    assert found.found == "4 bars, and its footer counts 3; offsets 82 come twice or out of order"


def test_a_row_that_is_there_twice_is_named_in_an_archive(copy: Copy) -> None:
    key = bars_key(copy.chain, copy.archive)
    rows, _ = read_sealed(copy.path(key).read_bytes())
    copy.path(key).write_bytes(write_sealed(pa.concat_tables([rows, rows.slice(0, 1)])))
    assert "rows is 81, and its record says 80" in copy.named()[key].found


def test_a_row_that_is_there_twice_is_named_in_a_mart_though_the_manifest_vouches_for_it(copy: Copy) -> None:
    copy.publish_instead(FCT_INDICATOR, lambda rows: pa.concat_tables([rows.slice(0, 1), rows]))
    found = copy.named()
    assert found[f"{copy.manifest_key}#{FCT_INDICATOR}"].found.startswith("A 1d 2020-01-01")
    assert "87 landed bars" in found[copy.manifest_key].found


def test_published_rows_out_of_order_are_named(copy: Copy) -> None:
    copy.publish_instead(FCT_INDICATOR, lambda rows: pa.concat_tables([rows.slice(1), rows.slice(0, 1)]))
    assert copy.named()[copy.file_key(FCT_INDICATOR)].found == "rows are not in the order of symbol, interval, ts"


def test_a_bar_that_is_not_published_is_named_and_one_that_never_landed(copy: Copy) -> None:
    def swap(rows: pa.Table) -> pa.Table:
        other = pa.array(["Z" if symbol == "D" else symbol for symbol in rows["symbol"].to_pylist()])
        return rows.set_column(0, "symbol", other)

    copy.publish_instead(FCT_INDICATOR, swap)
    found = copy.named()[copy.manifest_key]
    assert found.kind == "published bars"
    assert "3 are not published: D 1d 2020-01-01" in found.found
    assert "3 are not in the lake: Z 1d 2020-01-01" in found.found


def test_other_contents_are_named_by_their_hash(copy: Copy) -> None:
    def changed(rows: pa.Table) -> pa.Table:
        volumes = [value + 1 if place == 3 else value for place, value in enumerate(rows["volume"].to_pylist())]
        return rows.set_column(rows.schema.get_field_index("volume"), "volume", pa.array(volumes, pa.float64()))

    copy.publish_instead(FCT_INDICATOR, changed, is_hashed=False)
    found = copy.named()[copy.file_key(FCT_INDICATOR)].found
    said = copy.manifest.marts[FCT_INDICATOR].files[0].content
    assert found.startswith("contents with the hash ")
    assert found.endswith(f", and the manifest says {said}")


def test_a_file_outside_its_cell_is_named(copy: Copy) -> None:
    marts = json.loads(copy.path(copy.manifest_key).read_text())["marts"]
    marts[FCT_INDICATOR]["files"][0]["symbols_from"] = "B"
    marts[FCT_ALERT]["cuts"] = {"1d": ["2030-01-01T00:00:00Z"]}
    for file in marts[FCT_ALERT]["files"]:
        file["era"] = 1
    copy.change_json(copy.manifest_key, marts=marts)
    found = copy.named()
    assert "has symbols from A to D, in the cell from 'B' to the last" in found[copy.manifest_key].found
    assert found[copy.file_key(FCT_ALERT)].found == "rows have times that are none of era 1"


def test_a_manifest_that_is_missing_between_others_is_named(copy: Copy) -> None:
    newer = copy.manifest.model_copy(update={"number": copy.manifest.number + 2, "parent": copy.manifest.number + 1})
    copy.storage.put_if_absent(manifest_key(newer.number), newer.model_dump_json().encode())
    assert copy.named()[manifest_key(newer.number - 1)].kind == "manifest missing"


def test_an_alert_of_no_bar_is_named(copy: Copy) -> None:
    def added(rows: pa.Table) -> pa.Table:
        row = {"alert_id": "x", "symbol": "Z", "interval": "1d", "ts": BEGUN_AT, "rule": "price_change", "severity": "low"}
        row |= {"value": 1.0, "threshold": 1.0, "change_seq": 1}
        return pa.concat_tables([rows, pa.Table.from_pylist([row], schema=rows.schema)])

    copy.publish_instead(FCT_ALERT, added)
    assert copy.named()[f"{copy.manifest_key}#{FCT_ALERT}"].found.endswith(
        "Z 1d 2026-01-01 00:00:00+00:00 price_change have no bar"
    )


def test_a_lost_quarantine_file_shows_in_the_balance_too(copy: Copy) -> None:
    copy.storage.delete(copy.quarantine_key())
    assert copy.named()[copy.manifest_key].found == "89 landed = 87 current + 2 superseded + 0 quarantined"


def test_a_quarantined_row_that_is_not_the_slots_is_named(copy: Copy) -> None:
    key = copy.quarantine_key()
    rows, _ = read_sealed(copy.path(key).read_bytes())
    at = rows.schema.get_field_index("volume")
    copy.path(key).write_bytes(write_sealed(rows.set_column(at, rows.schema.field(at), pa.array([7.0]))))
    assert copy.named()[key].found == "rows are not what the slot has at their offsets"


def test_a_record_that_says_something_else_than_its_slot_is_named(copy: Copy) -> None:
    key = validation_key(copy.chain, copy.slots[0].position)
    copy.change_json(key, landed_rows=4, quarantined_rows=0)
    found = copy.named()[key].found
    assert found.startswith("4 bars, offsets 80 to 82; 0 quarantined rows, and quarantine/")


def test_a_balance_that_somebody_changed_is_named(copy: Copy) -> None:
    copy.change_json(copy.manifest_key, balance={"landed": 89, "current": 85, "superseded": 3, "quarantined": 1})
    found = copy.verify().findings
    assert [(one.kind, one.key) for one in found] == [("balance", copy.manifest_key)]
    assert (found[0].expected, found[0].found) == (
        "89 landed = 85 current + 3 superseded + 1 quarantined",
        "89 landed = 86 current + 2 superseded + 1 quarantined",
    )


def test_a_manifest_out_of_its_chain_is_named(copy: Copy) -> None:
    copy.change_json(copy.manifest_key, parent=None)
    assert copy.named()[copy.manifest_key].found == "its parent is None"


def test_a_message_that_is_a_bar_and_a_dead_letter_is_named(copy: Copy, lake: Lake) -> None:
    slot = copy.footer(0)
    key = write_dead_letters(copy.storage, copy.chain, slot.position, letters_at(lake, [81]), "twice")
    rows, _ = read_sealed(copy.path(copy.slot_key(0)).read_bytes())
    copy.path(copy.slot_key(0)).write_bytes(encode_slot(rows, replace(slot, dead_letters=1, dead_letter_key=key)))
    assert copy.named()[key].found == "offsets 81 are bars of the slot at 80 too"


def test_litter_is_told_and_no_failure(copy: Copy, lake: Lake) -> None:
    slot = copy.path(copy.slot_key(0))
    shutil.copyfile(slot, slot.with_name(f"{81:020d}.parquet"))
    shutil.copyfile(slot, slot.with_name(f"{10**12:020d}.parquet"))
    record = copy.path(validation_key(copy.chain, 80))
    shutil.copyfile(record, record.with_name(f"{81:020d}.json"))
    write_dead_letters(copy.storage, copy.chain, 80, letters_at(lake, [80]), "nobody-names-it")
    proof = copy.verify()
    assert proof.findings == []
    assert [note.split(" in ")[0] for note in proof.notes] == ["1 slots", "1 files of dead letters", "1 validation records"]


def test_slots_older_than_seals_are_counted(copy: Copy) -> None:
    path = copy.path(copy.slot_key(0))
    rows, _ = read_sealed(path.read_bytes())
    pq.write_table(rows.replace_schema_metadata(copy.footer(0).metadata()), path)
    proof = copy.verify()
    assert (proof.findings, proof.lake.unsealed) == ([], 1)


def test_every_message_that_kafka_holds_is_a_bar_or_a_dead_letter_andnobody_else_is(one_partition: Settings) -> None:
    sender = Sender(one_partition, transactional_id=one_partition.kafka.topic)
    for numbers, is_committed in ((range(5), True), (range(5, 8), False), (range(8, 12), True)):
        sender.producer.begin_transaction()
        for number in numbers:
            sender.send(bar_message(number) if number != 9 else b"{")
        sender.flush()
        sender.producer.commit_transaction() if is_committed else sender.producer.abort_transaction()
    with ingesting(one_partition):
        wait_until_landed(one_partition, 8)
    storage = open_storage(one_partition)
    proof = verify(one_partition, storage, nobody, is_topic_read=True)
    assert proof.findings == []
    assert (proof.lake.messages, proof.lake.produced, proof.lake.bars, proof.lake.dead_letters) == (9, 9, 8, 1)
    assert proof.lake.no_message >= 5, "three aborted records and the markers of two transactions before the last bar"
    slot = next(one for one in walk(storage, find_chains(storage)[0]) if one.footer.rows)
    rows, _ = read_sealed(storage.get(slot.key))
    moved = [5, *rows["offset"].to_pylist()[1:]]  # where a marker is
    path = storage.local_path(slot.key)
    ordered = rows.set_column(rows.schema.get_field_index("offset"), "offset", pa.array(moved)).sort_by("offset")
    path.write_bytes(encode_slot(ordered.cast(LANDED_SCHEMA), slot.footer))
    found = [one.found for one in verify(one_partition, storage, nobody, is_topic_read=True).findings]
    assert found == ["1 offsets did not land: 0", "1 offsets landed and are no messages: 5"]


def test_what_was_not_compared_with_kafka_is_said(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transform.proof.verify.describe_topic", partial(describe_topic, timeout_seconds=0.5))
    assert copy.verify().lake.not_asked == "not compared with Kafka: --topic reads what it still holds"
    kafka = copy.settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    proof = verify(copy.settings.model_copy(update={"kafka": kafka}), copy.storage, nobody, is_topic_read=True)
    assert (proof.findings, proof.lake.messages) == ([], None)
    assert "no broker answers at 127.0.0.1:1" in str(proof.lake.not_asked)


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, ["verify", *arguments])


def test_the_command_tells_a_balance_and_what_breaks_it(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = run(copy.settings, monkeypatch)
    assert sound.exit_code == 0, sound.output
    assert "94 = 91 landed + 3 dead letters" in sound.stdout
    assert "89 = 86 current + 2 superseded + 1 quarantined" in sound.stdout
    assert sound.stdout.endswith("\nEverything adds up.\n")
    copy.flip(copy.slot_key(0))
    broken = run(copy.settings, monkeypatch)
    assert broken.exit_code == 1
    assert f"slot damaged: {copy.slot_key(0)}" in broken.stdout
    told = json.loads(run(copy.settings, monkeypatch, "--json").stdout)
    assert (told["holds"], told["lake"]["bars"]) == (False, 88)
    assert told["findings"][0]["key"] == copy.slot_key(0)
