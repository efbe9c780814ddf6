"""Every retained snapshot held against its files: bytes, rows, contents, order, and one row a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import duckdb
import pyarrow as pa

from tickhouse.storage import ObjectMissingError, Storage
from transform.marts import FCT_ALERT, FCT_INDICATOR
from transform.proof.finding import BUILD_AGAIN, PUBLISH_AGAIN, Findings
from transform.proof.published_file import KEYS, Cuts, bytes_of, read_contents
from transform.snapshot.manifest import MANIFESTS, Manifest, PublishedFile, PublishedMart, manifest_key, read_manifest

_TWICE = "select {key} from {mart} group by all having count(*) > 1 order by all"
_ALERT_WITHOUT_BAR = """
select symbol, interval, ts, rule
from fct_alert anti join fct_indicator using (symbol, interval, ts)
order by all
"""
_SHOWN = 5

Step = Callable[[int], object]


@dataclass
class SnapshotsProof:
    """What was looked at. `whole` are the keys of files that are there and hold what a manifest says.

    `unhashed` files were published before contents were hashed.
    """

    newest: Manifest | None = None
    snapshots: int = 0
    files: int = 0
    bytes: int = 0
    rows: int = 0
    unhashed: int = 0
    whole: set[str] = field(default_factory=set)


def newest_readable(storage: Storage) -> Manifest | None:
    """The newest manifest that can be read; what is wrong with others is told by `prove_snapshots`."""
    for number in reversed(_numbers(storage)):
        try:
            return read_manifest(storage, number)
        except (ObjectMissingError, ValueError):
            continue
    return None


def _numbers(storage: Storage) -> list[int]:
    return [int(name.removesuffix(".json")) for name in storage.list_after(MANIFESTS)]


def _read(storage: Storage, number: int, findings: Findings) -> Manifest | None:
    """The manifest of this number; what is wrong with it becomes a finding. None when it cannot be read, or retention took it."""
    key = manifest_key(number)
    try:
        manifest = read_manifest(storage, number)
    except ObjectMissingError:
        return None
    except ValueError as error:
        found = str(error).splitlines()[0]
        findings.add("manifest damaged", key, expected="a snapshot's manifest", found=found, remedy=PUBLISH_AGAIN)
        return None
    if wrong := _manifest_faults(manifest, key):
        expected = "the next of a chain of manifests, whose numbers add up"
        findings.add("manifest wrong", key, expected=expected, found="; ".join(wrong), remedy=PUBLISH_AGAIN)
    return manifest


def _manifest_faults(manifest: Manifest, key: str) -> list[str]:
    balance, wrong = manifest.balance, []
    if manifest_key(manifest.number) != key:
        wrong.append(f"it says that it is number {manifest.number}")
    if manifest.parent != (manifest.number - 1 if manifest.number else None):
        wrong.append(f"its parent is {manifest.parent}")
    if balance.landed != balance.current + balance.superseded + balance.quarantined:
        sides = f"{balance.current:,} current + {balance.superseded:,} superseded + {balance.quarantined:,} quarantined"
        wrong.append(f"{balance.landed:,} landed are not {sides}")
    for name, mart in manifest.marts.items():
        if mart.rows != (rows := sum(file.rows for file in mart.files)):
            wrong.append(f"{name} has {mart.rows:,} rows, and its files {rows:,}")
        wrong += _layout_faults(name, mart)
    return wrong


def _layout_faults(name: str, mart: PublishedMart) -> list[str]:
    """Files whose symbols are not those of their cell: a reader who picks files by symbol would miss rows."""
    wrong = []
    for file, following in zip_longest(mart.files, mart.files[1:]):
        ends = following.symbols_from if following is not None and following.era == file.era else None
        if file.first_symbol is None or file.last_symbol is None:
            continue
        if file.first_symbol < file.symbols_from or (ends is not None and file.last_symbol >= ends):
            held = f"{file.key} has symbols from {file.first_symbol} to {file.last_symbol}"
            until = "the last" if ends is None else f"before {ends!r}"
            wrong.append(f"{name}: {held}, in the cell from {file.symbols_from!r} to {until}")
    return wrong


def prove_snapshots(
    storage: Storage, newest: Manifest | None, scratch: duckdb.DuckDBPyConnection, findings: Findings, step: Step
) -> SnapshotsProof:
    """Look at every kept manifest, at each of their files once, then at the newest as a whole.

    `step` is told of rows that were read.
    Memory: some 100,000 rows at a time, a kilobyte a file, and what `scratch` may take for finding keys that come twice.
    """
    proof = SnapshotsProof(newest)
    seen: set[PublishedFile] = set()
    numbers = _numbers(storage)
    for number in sorted(set(range(numbers[0], numbers[-1])).difference(numbers)) if numbers else ():
        expected = f"a snapshot between {numbers[0]} and {numbers[-1]}, which are kept"
        findings.add("manifest missing", manifest_key(number), expected=expected, found="no such object", remedy=PUBLISH_AGAIN)
    for number in reversed(numbers):
        if (manifest := _read(storage, number, findings)) is not None:
            proof.snapshots += 1
            _prove_files(storage, manifest, seen, proof, findings, step)
    if newest is not None:
        _prove_newest(storage, newest, scratch, findings, proof)
    if proof.unhashed:
        findings.note(f"{proof.unhashed:,} published files are older than hashes of contents: their bytes were looked at.")
    return proof


def _prove_files(
    storage: Storage, manifest: Manifest, seen: set[PublishedFile], proof: SnapshotsProof, findings: Findings, step: Step
) -> None:
    """Look at those of the snapshot's files that no later one has."""
    for name, mart in manifest.marts.items():
        for file in set(mart.files) - seen:
            seen.add(file)
            fault = _file_fault(storage, name, file, mart.cuts, proof, step)
            if fault is None:
                proof.whole.add(file.key)
            elif storage.exists(manifest_key(manifest.number)):  # else retention took the snapshot and its files meanwhile
                expected = f"{file.rows:,} rows of {name} in {file.bytes:,} bytes, as snapshot {manifest.number} says"
                findings.add(fault[0], file.key, expected=expected, found=fault[1], remedy=PUBLISH_AGAIN)


def whole_files(storage: Storage, mart: PublishedMart, proof: SnapshotsProof) -> list[Path] | None:
    """The mart's files on this machine; None when one of them is not what it should be."""
    keys = [file.key for file in mart.files]
    return [storage.local_path(key) for key in keys] if keys and proof.whole.issuperset(keys) else None


def _file_fault(
    storage: Storage, name: str, file: PublishedFile, cuts: Cuts, proof: SnapshotsProof, step: Step
) -> tuple[str, str] | None:
    """What kind of fault the file has, and which; None when it is what its manifest says."""
    try:
        path = storage.local_path(file.key)
        size, checksum = bytes_of(path)
    except (ObjectMissingError, FileNotFoundError):
        return "published file missing", "no such object"
    proof.files += 1
    proof.bytes += size
    if (size, checksum) != (file.bytes, file.sha256):
        return "published file damaged", f"{size:,} bytes with the SHA-256 {checksum}, and the manifest says {file.sha256}"
    try:
        contents = read_contents(path, name, file.era, cuts, step)
    except (pa.ArrowException, OSError, KeyError) as error:
        return "published file damaged", f"it cannot be read: {str(error).splitlines()[0]}"
    proof.rows += contents.rows
    proof.unhashed += file.content is None
    faults = contents.differences(file)
    return ("published file wrong", "; ".join(faults)) if faults else None


def _prove_newest(
    storage: Storage, manifest: Manifest, scratch: duckdb.DuckDBPyConnection, findings: Findings, proof: SnapshotsProof
) -> None:
    """That no key comes twice within a mart, and each alert is of a bar; of marts whose files are whole."""
    readable = set()
    for name, mart in manifest.marts.items():
        if (paths := whole_files(storage, mart, proof)) is not None:
            scratch.read_parquet([str(path) for path in paths]).create_view(name)
            readable.add(name)
            twice = _TWICE.format(key=", ".join(KEYS[name]), mart=name)
            _tell_rows(scratch, twice, manifest, name, "one row a key", "come twice", findings)
    if {FCT_ALERT, FCT_INDICATOR} <= readable:
        _tell_rows(scratch, _ALERT_WITHOUT_BAR, manifest, FCT_ALERT, "alerts of published bars", "have no bar", findings)


def _tell_rows(
    scratch: duckdb.DuckDBPyConnection, sql: str, manifest: Manifest, name: str, expected: str, fault: str, findings: Findings
) -> None:
    """Tell of the rows that the query finds, if there are any."""
    rows = scratch.execute(sql).fetchmany(_SHOWN + 1)
    if rows:
        some = "; ".join(" ".join(map(str, row)) for row in rows[:_SHOWN]) + (" and more" if len(rows) > _SHOWN else "")
        key = f"{manifest_key(manifest.number)}#{name}"
        findings.add("mart wrong", key, expected=expected, found=f"{some} {fault}", remedy=BUILD_AGAIN)
