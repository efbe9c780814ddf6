"""Ours: what a build does when its models are made."""

from __future__ import annotations

from benchmarks.measuring.meter import Meter, peak_bytes
from benchmarks.publishing.work import MEBIBYTE
from tickhouse.settings import load_settings
from tickhouse.storage import open_storage
from transform.publication import publish_warehouse

if __name__ == "__main__":
    settings, meter, rows = load_settings(), Meter(), list[int]()
    storage = open_storage(settings)
    meter.start()
    manifest = publish_warehouse(settings, storage, rows.append)
    meter.stop()
    written = [file.bytes for mart in manifest.marts.values() for file in mart.files if f"/{manifest.number:020d}-" in file.key]
    figures = {"seconds": meter.seconds, "MB written": sum(written) / 1e6, "MiB at most": peak_bytes() / MEBIBYTE}
    meter.answer(sum(rows), figures, of="row")
