"""Taking old snapshots away, never from under a reader."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from tickhouse.storage import ObjectMissingError, Storage
from transform.marts import PUBLISHED
from transform.snapshot.manifest import MANIFESTS, Manifest, data_folder, manifest_key, read_manifest


def remove_expired(storage: Storage, retention: timedelta, now: datetime | None = None) -> int:
    """Remove snapshots that were succeeded longer than `retention` ago, and the files that no kept one refers to.

    The oldest go first, up to one that a reader has pinned: that and all after it stay until a later call. Returns how many
    went. It reads those that go and the first that stays, and may run beside a publication: what that refers to, the newest
    snapshot refers to, or its number is higher.
    """
    expires = (now or datetime.now(UTC)) - retention
    removed: list[Manifest] = []
    for manifest, succeeded_at in _oldest_first(storage):
        if succeeded_at is None or succeeded_at >= expires or not _remove_manifest(storage, manifest):
            if removed:
                _remove_files(storage, removed, manifest)
            break
        removed.append(manifest)
    return len(removed)


def _oldest_first(storage: Storage) -> Iterator[tuple[Manifest, datetime | None]]:
    """Each manifest, and when the next one was published."""
    manifest = None
    for name in storage.list_after(MANIFESTS):
        try:
            successor = read_manifest(storage, int(name.split(".")[0]))
        except ObjectMissingError:
            continue  # another process removes expired ones too
        if manifest is not None:
            yield manifest, successor.published_at
        manifest = successor
    if manifest is not None:
        yield manifest, None


def _remove_files(storage: Storage, removed: list[Manifest], oldest: Manifest) -> None:
    """Remove the files older than the oldest kept snapshot that it does not name: what one dropped, no later one takes up.

    They are those of the snapshots just removed, and what a removal that was killed left behind.
    """
    files = _files(oldest)
    gone = {key for manifest in removed for key in _files(manifest)}
    ends = f"{oldest.number:020d}-"
    for folder in map(data_folder, PUBLISHED):
        gone |= {f"{folder}/{name}" for name in takewhile(lambda name: name < ends, storage.list_after(folder))}
    for key in sorted(gone - files):
        storage.delete(key)


def _remove_manifest(storage: Storage, manifest: Manifest) -> bool:
    """Remove it under an exclusive lock, which a reader's shared one prevents; say whether it went."""
    key = manifest_key(manifest.number)
    try:
        descriptor = os.open(storage.local_path(key), os.O_RDONLY)
    except ObjectMissingError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        storage.delete(key)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _files(manifest: Manifest) -> set[str]:
    return {file.key for mart in manifest.marts.values() for file in mart.files}
