"""Taking old snapshots away, never from under a reader."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tickhouse.storage import ObjectMissingError, Storage
from transform.snapshot.manifest import MANIFESTS, Manifest, manifest_key, read_manifest


def remove_expired(storage: Storage, retention: timedelta, now: datetime | None = None) -> int:
    """Remove snapshots that were succeeded longer than `retention` ago, and files only they refer to.

    A snapshot a reader has pinned stays until a later call. Hold the build lock: a publish in progress may
    refer to the same files. Returns how many snapshots went.
    """
    moment = now or datetime.now(UTC)
    manifests = [read_manifest(storage, int(name.split(".")[0])) for name in storage.list_after(MANIFESTS)]
    expired = [manifest for manifest, successor in pairwise(manifests) if moment - successor.published_at > retention]
    removed = [manifest for manifest in expired if _remove_manifest(storage, manifest)]
    kept = {key for manifest in manifests if manifest not in removed for key in _files(manifest)}
    for key in {key for manifest in removed for key in _files(manifest)} - kept:
        storage.delete(key)
    return len(removed)


def _remove_manifest(storage: Storage, manifest: Manifest) -> bool:
    """Remove it under an exclusive lock, which a reader's shared one prevents; say whether it went."""
    key = manifest_key(manifest.number)
    try:
        descriptor = os.open(storage.local_path(key), os.O_RDONLY)
    except ObjectMissingError:
        return False
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
