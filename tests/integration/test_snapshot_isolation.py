"""However fast snapshots follow each other, a reader sees one; retention and other publishers take nothing from anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import snapshot_process
from snapshot_process import HELD_FOR, publish_next

from tickhouse.settings import Settings, process_environment
from tickhouse.storage import Storage, open_storage
from transform.marts import FCT_INDICATOR
from transform.snapshot.manifest import data_folder, latest_manifest, read_manifest
from transform.snapshot.retention import remove_expired

PUBLICATIONS = 120
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Start a process of `snapshot_process` in this role; all of them end with the test."""
    command = [sys.executable, str(Path(snapshot_process.__file__))]
    environment = process_environment() | {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    with ExitStack() as stack:

        def process(role: str) -> subprocess.Popen[str]:
            arguments = [*command, role, str(settings.data_dir)]
            started = stack.enter_context(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment))
            stack.callback(started.kill)
            return started

        yield process


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def came_to(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return json.loads(output.splitlines()[-1])


def files_left(storage: Storage, mart: str) -> set[str]:
    return {f"{data_folder(mart)}/{name}" for name in storage.list_after(data_folder(mart))}


def test_no_answer_is_mixed_while_the_head_moves_under_readers_a_long_stream_and_retention(
    settings: Settings, storage: Storage, start: Start
) -> None:
    manifest = publish_next(storage, None)
    readers = [start("read") for _ in range(3)]
    holder = start("hold")
    for process in (*readers, holder):
        wait_until_ready(process)
    removed = 0
    for _ in range(PUBLICATIONS):
        manifest = publish_next(storage, manifest)
        removed += remove_expired(storage, timedelta(0))
    (settings.data_dir / "done").touch()
    for report in map(came_to, readers):
        assert (report["mixed"], report["is_in_order"]) == (0, True)
        assert report["snapshots"] >= 5, "the head moved under it"
    held = came_to(holder)
    assert (held["mixed"], held["is_in_order"]) == (0, True)
    assert held["snapshots"] >= 3, f"each of them while {HELD_FOR} more were published"
    removed += remove_expired(storage, timedelta(0))
    assert removed == PUBLICATIONS, "what was pinned went when it was not any more"
    for name, mart in manifest.marts.items():
        assert files_left(storage, name) == {file.key for file in mart.files}


def test_two_publishers_at_once_make_one_chain(storage: Storage, start: Start) -> None:
    publishers = [start("publish") for _ in range(2)]
    reports = [came_to(process) for process in publishers]
    published = [number for report in reports for number in report["published"]]
    assert sorted(published) == list(range(40))
    manifests = [read_manifest(storage, number) for number in range(40)]
    assert [manifest.parent for manifest in manifests] == [None, *range(39)]
    named = {file.key for manifest in manifests for file in manifest.marts[FCT_INDICATOR].files}
    assert files_left(storage, FCT_INDICATOR) == named, "who came second took its files along"
    newest = latest_manifest(storage)
    assert newest is not None
    with snapshot_process.SnapshotReader(storage).pin() as snapshot:
        assert snapshot is not None
        assert not snapshot_process.is_mixed(snapshot)
