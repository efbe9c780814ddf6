"""Compaction among the rest: the command, a bucket, and tables built from archives."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from chain_slots import BEGUN_AT, CHAIN, land, read_all, walked
from lake import Lake, bar
from s3_server import CREDENTIALS, make_bucket, s3_server
from typer.testing import CliRunner

from apps.cli.main import app
from ingestion.chain.compaction import ArchiveSize, compact, compact_chain
from ingestion.chain.put import begin_chain
from tickhouse.settings import Settings, as_environment
from tickhouse.storage import Storage, open_storage
from tickhouse.storage.s3 import S3Storage
from transform.build import run_build
from transform.warehouse import open_warehouse

TEN_ROWS = ArchiveSize(rows=10)


@pytest.fixture
def bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Storage, Storage]]:
    """One bucket as two machines see it."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as address:
        name = f"lake-{uuid.uuid4().hex[:8]}"
        make_bucket(address, name)
        folders = (settings.cache_path / machine for machine in ("one", "other"))
        one, other = (S3Storage(name, "", folder, region="us-east-1", endpoint_url=address) for folder in folders)
        yield one, other


def test_a_bucket_is_compacted_and_a_machine_with_old_copies_reads_on(bucket: tuple[Storage, Storage]) -> None:
    one, other = bucket
    begin_chain(one, CHAIN, 0, BEGUN_AT)
    for position, next_offset in ((0, 4), (4, 10), (10, 12)):
        land(one, position, next_offset)
    before, bars = walked(other), read_all(other)
    compact_chain(one, CHAIN, TEN_ROWS)
    assert [name for name in one.list_after(CHAIN.folder) if name.endswith(".parquet")] == ["00000000000000000010.parquet"]
    assert land(other, 4, 9, "sleeper") == before[1]
    for storage in bucket:
        assert walked(storage) == before
        assert read_all(storage).equals(bars)


def test_a_full_refresh_from_archives_gives_the_same_tables(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    for day in range(6):
        lake.land([bar("A", day, 100.0 + day), bar("B", day, 50.0 - day), bar("BAD", day, 1.0, high=0.5)])
    run_build(lake.settings)
    before = tables(lake.settings)
    compact(lake.storage, ArchiveSize(rows=7))
    lake.settings.warehouse_path.unlink()
    run_build(lake.settings)
    assert tables(lake.settings) == before


def tables(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """Every cell but the number of the build that wrote it."""
    named = ("stg_bar", "int_landed_bar", "int_derived_bar", "fct_indicator", "fct_alert")
    query = "select columns(* exclude change_seq)::varchar from {} order by all"
    with open_warehouse(settings) as connection:
        return {name: connection.execute(query.format(name)).fetchall() for name in named}


def test_slots_are_validated_from_the_archive_when_they_were_compacted_first(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    lake.land([bar("A", 0, 100.0)])
    lake.land([bar("A", 1, 101.0), bar("BAD", 0, 1.0, high=0.5)])
    compact(lake.storage, ArchiveSize(is_partial=True))
    report = run_build(lake.settings)
    assert (report.validation.slots, report.validation.quarantined) == (2, 1)
    assert report.manifest.balance.model_dump() == {"landed": 3, "current": 2, "superseded": 0, "quarantined": 1}


def test_the_command_says_what_it_came_to(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    storage = open_storage(settings)
    begin_chain(storage, CHAIN, 0, BEGUN_AT)
    land(storage, 0, 8)
    land(storage, 8, 12)
    few = CliRunner().invoke(app, ["compact"])
    assert (few.exit_code, few.stdout) == (
        0,
        "Nothing to archive. An archive is made of 1,000,000 bars or 20,000 slots; --all takes fewer.\n",
    )
    whole = CliRunner().invoke(app, ["compact", "--all"])
    assert whole.exit_code == 0, whole.output
    assert whole.stdout.startswith("Archived 2 slots with 12 bars: 0.0 MB, ")
    assert whole.stdout.endswith("bytes a bar. Archives made: 1.\n")
    assert CliRunner().invoke(app, ["compact", "--all"]).stdout == "Nothing to archive.\n"
    assert read_all(storage)["offset"].to_pylist() == list(range(12))
