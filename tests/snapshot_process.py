"""Snapshots that vouch for themselves, and processes that read, hold or publish them: `python snapshot_process.py ROLE DATA_DIR`.

The only alert of a snapshot says how many bars it has, and what their closes add up to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.marts import FCT_ALERT, FCT_ALERT_SCHEMA, FCT_INDICATOR, FCT_INDICATOR_SCHEMA
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, latest_manifest, latest_number
from transform.snapshot.publish import NewMart, Publication, PublishConflictError, publish
from transform.snapshot.read import Snapshot, SnapshotReader

SYMBOLS = "ABCDEF"
BARS = 40
HELD_FOR = 25
"""So many publications happen while one pin is held."""

_DONE = "done"


def publish_next(storage: Storage, parent: Manifest | None) -> Manifest:
    """Publish the next snapshot: one symbol's closes are others, and its bar of the tail; the other files stay."""
    number = 0 if parent is None else parent.number + 1
    changed = SYMBOLS if parent is None else SYMBOLS[number % len(SYMBOLS)]
    cells = [(Cell(0, symbol, until), _bars(symbol, number)) for symbol, until in _ranges() if symbol in changed]
    cells.append((Cell(1), _bars("A", number)))
    written = {(cell.era, cell.symbols_from) for cell, _rows in cells}
    before = () if parent is None else parent.marts[FCT_INDICATOR].files
    kept = tuple(file for file in before if (file.era, file.symbols_from) not in written)
    closes = [_close(symbol, number if symbol in changed else _last_changed(symbol, number)) for symbol in SYMBOLS]
    total = BARS * (sum(closes) + _close("A", number))
    alert = {"rule": "sum", "value": total, "threshold": BARS * (len(SYMBOLS) + 1.0), "change_seq": number}
    alerts = [(Cell(0), pa.Table.from_pylist([alert], schema=FCT_ALERT_SCHEMA))]
    marts = {FCT_INDICATOR: NewMart(cells, kept), FCT_ALERT: NewMart(alerts)}
    balance = Balance(landed=0, current=0, superseded=0, quarantined=0)
    return publish(storage, Publication(parent, number, None, {}, balance, None, marts))


def _ranges() -> list[tuple[str, str | None]]:
    return list(zip(SYMBOLS, [*SYMBOLS[1:], None], strict=True))


def _last_changed(symbol: str, number: int) -> int:
    """The last snapshot up to `number` in which the symbol's cell was written."""
    return max(each for each in range(number + 1) if each == 0 or SYMBOLS[each % len(SYMBOLS)] == symbol)


def _close(symbol: str, number: int) -> float:
    return float(1000 * (SYMBOLS.index(symbol) + 1) + number)


def _bars(symbol: str, number: int) -> pa.Table:
    row = {"symbol": symbol, "interval": "1d", "close": _close(symbol, number), "change_seq": number}
    return pa.Table.from_pylist([row] * BARS, schema=FCT_INDICATOR_SCHEMA)


def is_mixed(snapshot: Snapshot) -> bool:
    """Whether what is read of the snapshot, in several ways, is not what its alert says."""
    vouched = snapshot.query("select value, threshold, change_seq from fct_alert").to_pylist()
    said = (vouched[0]["threshold"], vouched[0]["value"])
    found = snapshot.query("select count(*)::double as bars, sum(close) as closes from fct_indicator").to_pylist()[0]
    series = [snapshot.series(symbol, "1d").rows()["close"] for symbol in SYMBOLS]
    mapped = (float(sum(map(len, series))), float(sum(pc.sum(closes).as_py() for closes in series)))
    return (
        len(vouched) != 1 or vouched[0]["change_seq"] != snapshot.manifest.number or not (said == tuple(found.values()) == mapped)
    )


def read(reader: SnapshotReader, _storage: Storage, is_done: Callable[[], bool]) -> dict[str, object]:
    """Pin the newest again and again."""
    numbers, mixed = list[int](), 0
    while not is_done():
        with reader.pin() as snapshot:
            assert snapshot is not None
            numbers.append(snapshot.manifest.number)
            mixed += is_mixed(snapshot)
        _ready(numbers)
    return {"answers": len(numbers), "snapshots": len(set(numbers)), "mixed": mixed, "is_in_order": numbers == sorted(numbers)}


def hold(reader: SnapshotReader, storage: Storage, is_done: Callable[[], bool]) -> dict[str, object]:
    """Hold one snapshot while many are published, stream a long answer meanwhile, and ask again; then take the next."""
    held, mixed = list[int](), 0
    while not is_done():
        with reader.pin() as snapshot:
            assert snapshot is not None
            number = snapshot.manifest.number
            held.append(number)
            _ready(held)
            stream = snapshot.stream("select close, number from fct_indicator cross join range(5000) as r(number) order by close")
            sums = pc.sum(next(stream)["close"]).as_py()
            while (latest_number(storage) or 0) < number + HELD_FOR and not is_done():
                pass
            sums += sum(pc.sum(batch["close"]).as_py() for batch in stream)
            mixed += sums != 5000 * snapshot.query("select value from fct_alert")["value"][0].as_py()
            mixed += is_mixed(snapshot)
    return {"answers": len(held), "snapshots": len(set(held)), "mixed": mixed, "is_in_order": held == sorted(held)}


def publish_often(_reader: SnapshotReader, storage: Storage, _is_done: Callable[[], bool]) -> dict[str, object]:
    """Publish 20 snapshots beside another who does; who comes second to a number tries again."""
    published, refused = list[int](), 0
    while len(published) < 20:
        try:
            published.append(publish_next(storage, latest_manifest(storage)).number)
        except PublishConflictError:
            refused += 1
        _ready(published)
    return {"published": published, "refused": refused}


def _ready(done: list[int]) -> None:
    """Say that the first is done."""
    if len(done) == 1:
        sys.stdout.write("ready\n")
        sys.stdout.flush()


ROLES = {"read": read, "hold": hold, "publish": publish_often}

if __name__ == "__main__":
    role, folder = sys.argv[1], Path(sys.argv[2])
    storage = open_storage(Settings(data_dir=folder, _env_file=None))
    came_to = ROLES[role](SnapshotReader(storage, folder / "cache"), storage, (folder / _DONE).exists)
    sys.stdout.write(json.dumps(came_to) + "\n")
