"""A build that nobody sees, so that what libraries make at their first use is made before a run is forked."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from tickhouse.bar import LANDED_SCHEMA
from tickhouse.settings import Settings, StorageSettings
from tickhouse.storage import open_storage
from transform.build import model
from transform.publication import publish_warehouse
from transform.validation.judge import judge_by

_BEGAN = datetime(2000, 1, 3, tzinfo=UTC)


def rehearse(settings: Settings) -> None:
    """Judge one bar, and build and publish an empty lake twice, in a folder that goes with it. Raises as these do.

    The second build is a quick one: models go on from what is there, as in nearly all runs to come. No file of Parquet is
    read: Arrow would keep its threads. DuckDB's and dbt's go with what they served.
    """
    judge_by(settings.validation).judge(_bar(), "rehearsal")
    with tempfile.TemporaryDirectory(prefix="tickhouse-rehearsal-") as folder:
        own = settings.model_copy(update={"data_dir": Path(folder), "storage": StorageSettings()})
        storage = open_storage(own)
        for _ in ("everything", "what new bars change"):
            model(own, storage)
            publish_warehouse(own, storage)


def _bar() -> pa.Table:
    values = {"symbol": "A", "interval": "1d", "source": "", "topic": "bars", "topic_id": "0", "partition": 0, "offset": 0}
    prices = {"open": 1.0, "high": 1.0, "low": 2.0, "close": 1.0, "volume": 1.0}  # it fails: that takes more than to pass
    times = {"ts": _BEGAN, "produced_at": _BEGAN, "kafka_timestamp": _BEGAN}
    row = {**dict.fromkeys(LANDED_SCHEMA.names), **values, **prices, **times}
    return pa.Table.from_pylist([row], schema=LANDED_SCHEMA)
